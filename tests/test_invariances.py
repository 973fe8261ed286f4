"""What may not move a number: turning, flipping, padding, channel order, gain, offset, pixel size, tiles, threads.

The whole pipeline runs on one synthetic section, and on the same section changed. Exact where nothing is resampled;
else within the tolerance that the metric catalogue states.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from thymusimg.channels.correct import Correction
from thymusimg.phantom import PhantomSpec, make_phantom
from thymusimg.pipeline import SectionResult, analyse_section
from thymusimg.section.model import Level, Section, Subject, Window
from thymusimg.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

ROLES = ("cd45", "k14", "k8")
SPEC = PhantomSpec(
    area_mm2=0.2, islets=2, medulla_fraction=0.3, indeterminate_fraction=0.05, order=0.95,
    cd45_cortex_per_mm2=3000.0, cd45_medulla_per_mm2=800.0,
)  # fmt: skip
PIXEL_UM = 0.5
BLOCK = 4  # full-resolution pixels a side of a coarse pixel
AREAS = ("cortex_area_mm2", "medulla_area_mm2", "tissue_area_mm2")


@dataclass(frozen=True)
class ArrayImage:
    """An image in memory, for the engine's lazy protocol."""

    pixels: np.ndarray
    path: str = "memory"
    format: str = "array"
    pixel_size_um: tuple[float, float] | None = None
    semi_quantitative: bool = False
    lossy: str = ""
    warnings: tuple[str, ...] = ()
    tile_shape: tuple[int, int] = (512, 512)

    @property
    def channel_names(self):
        return ("",) * len(self.pixels)

    @property
    def emission_nm(self):
        return (None,) * len(self.pixels)

    @property
    def dtype(self):
        return self.pixels.dtype

    @property
    def max_value(self):
        return 65535.0

    @property
    def levels(self):
        return (Level(self.pixels.shape[1:], 1.0),)

    def read(self, level: int, channel: int, window: Window) -> np.ndarray:
        return self.pixels[channel][window.slices]

    def close(self) -> None:
        pass


def analyse(pixels: np.ndarray, *, pixel_um: float = PIXEL_UM, order=(0, 1, 2), **compute: int) -> SectionResult:
    roles = {role: order.index(i) for i, role in enumerate(ROLES)}
    section = Section(Subject("s"), ArrayImage(pixels[list(order)]), roles, {r: r for r in ROLES}, pixel_um)
    return analyse_section(section, Settings.from_mapping({"compute": compute}))


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    """A lobe on a slide whose sides are whole coarse pixels."""
    drawn = make_phantom(SPEC, seed=11, pixel_size_um=PIXEL_UM).pixels
    height, width = (n // (2 * BLOCK) * 2 * BLOCK for n in drawn.shape[1:])
    return np.ascontiguousarray(drawn[:, :height, :width])


@pytest.fixture(scope="module")
def plain(pixels) -> SectionResult:
    return analyse(pixels)


def numbers(result: SectionResult) -> dict[str, float]:
    return {k: v for k, v in result.measurements.items() if isinstance(v, (int, float)) and not isinstance(v, bool)}


def assert_close(result: SectionResult, plain: SectionResult, rel: float, names: tuple[str, ...] = ()) -> None:
    found, wanted = numbers(result), numbers(plain)
    for name in names or wanted:
        assert found[name] == pytest.approx(wanted[name], rel=rel, abs=1e-9, nan_ok=True), name


TURNS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "a quarter turn": lambda a: np.rot90(a, axes=(-2, -1)),
    "left for right": lambda a: a[..., ::-1],
    "top for bottom": lambda a: a[..., ::-1, :],
    "transposed": lambda a: a.swapaxes(-2, -1),
}


@pytest.mark.parametrize("turn", TURNS.values(), ids=TURNS)
def test_turning_and_flipping(pixels, plain, turn):
    turned = analyse(np.ascontiguousarray(turn(pixels)))
    same = np.mean(turned.compartments.labels == turn(plain.compartments.labels))
    assert same > 0.9995  # float sums run in another order
    assert_close(
        turned, plain, 2e-3, (*AREAS, "medulla_fraction", "segregation_index_50um", "double_positive_fraction")
    )
    assert turned.measurements["cd45_count"] == pytest.approx(plain.measurements["cd45_count"], rel=5e-3)


def test_padding_with_background(pixels, plain):
    rng = np.random.default_rng(0)
    edge = pixels[:, :8].reshape(3, -1)
    padded = np.stack(
        [rng.choice(e, (a.shape[0] + 160, a.shape[1] + 240)) for e, a in zip(edge, pixels, strict=True)]
    )
    padded[:, 80:-80, 120:-120] = pixels
    result = analyse(padded)
    inner = result.compartments.labels[20:-20, 30:-30]
    assert np.mean(inner == plain.compartments.labels) > 0.995
    assert_close(result, plain, 0.01, (*AREAS, "medulla_fraction", "segregation_index_50um"))
    assert result.measurements["cd45_count"] == pytest.approx(plain.measurements["cd45_count"], rel=0.01)


def test_channel_order(pixels, plain):
    result = analyse(pixels, order=(2, 0, 1))
    np.testing.assert_array_equal(result.compartments.labels, plain.compartments.labels)
    assert_close(result, plain, 0.0)


# at half the gain there are half as many grey levels, and the one at the gate holds 2-3 % of the positive area
@pytest.mark.parametrize(("gain", "grey"), [(0.5, 0.04), (2.0, 1e-6)])
def test_gain(pixels, plain, gain, grey):
    result = analyse(np.rint(pixels * gain).astype(np.uint16))
    assert_close(result, plain, 0.02, (*AREAS, "double_positive_fraction", "segregation_index_50um"))
    assert_close(result, plain, grey, ("cd45_area_fraction",))
    assert result.measurements["cd45_count"] == pytest.approx(plain.measurements["cd45_count"], rel=0.02)


@pytest.mark.parametrize("channel", range(3), ids=ROLES)
def test_gain_of_one_stain(pixels, plain, channel):
    changed = pixels.copy()
    changed[channel] = np.rint(changed[channel] * 1.5)
    assert_close(analyse(changed), plain, 0.02, (*AREAS, "double_positive_fraction", "segregation_index_50um"))


def test_offset(pixels, plain):
    result = analyse(pixels + np.array([500, 250, 900], np.uint16)[:, None, None])
    assert_close(
        result, plain, 0.02, (*AREAS, "double_positive_fraction", "segregation_index_50um", "cd45_area_fraction")
    )
    assert result.measurements["cd45_count"] == pytest.approx(plain.measurements["cd45_count"], rel=0.02)


def test_half_the_pixel_size(pixels, plain):
    """The same section at 0.5 and at 1 µm a pixel: the coarse grid is the same, the cells are coarser."""
    halved = pixels.reshape(3, pixels.shape[1] // 2, 2, pixels.shape[2] // 2, 2).mean((2, 4))
    result = analyse(np.rint(halved).astype(np.uint16), pixel_um=2 * PIXEL_UM)
    assert_close(result, plain, 0.05, (*AREAS, "medulla_fraction", "segregation_index_50um", "cmj_length_mm"))
    assert result.measurements["cd45_area_fraction"] == pytest.approx(
        plain.measurements["cd45_area_fraction"], rel=0.25
    )


def test_cd45_takes_no_part_in_the_compartments(pixels, plain):
    noisy = pixels.copy()
    noisy[0] = np.random.default_rng(1).integers(0, 4000, noisy[0].shape)
    labels = replace_tissue(plain, noisy)
    np.testing.assert_array_equal(labels, plain.compartments.labels)


def replace_tissue(plain: SectionResult, pixels: np.ndarray) -> np.ndarray:
    """Return the labels when CD45 is replaced and the tissue's outline, which CD45 may help to find, is kept."""
    from thymusimg.compartments.keratin import segment_compartments

    prepared = plain.prepared
    noise = pixels[0].reshape(prepared.survey.grid.shape[0], BLOCK, prepared.survey.grid.shape[1], BLOCK)
    planes = {**prepared.planes, "cd45": noise.mean((1, 3)).astype(np.float32)}
    return segment_compartments(planes, prepared.tissue, prepared.survey.grid, Settings().compartments).labels


@pytest.mark.parametrize(
    "compute", [{"tile_px": 256}, {"tile_px": 512}, {"tile_px": 4096}, {"threads": 1}], ids=str
)
def test_tiles_and_threads_do_not_show(pixels, plain, compute):
    result = analyse(pixels, **compute)
    whole = Window(0, pixels.shape[1], 0, pixels.shape[2])
    np.testing.assert_array_equal(result.compartments.labels, plain.compartments.labels)
    np.testing.assert_array_equal(result.cells.masks.paint(whole), plain.cells.masks.paint(whole))
    assert result.cells.table.equals(plain.cells.table)
    assert result.quality.equals(plain.quality)
    assert_close(result, plain, 0.0)


def test_the_correction_is_off_without_need(plain):
    correction = plain.prepared.correction
    assert isinstance(correction, Correction)
    assert not correction.gains
    assert replace(correction, notes=()).unmixing is None

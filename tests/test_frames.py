"""A section on a big empty slide is analysed in a frame: the same as its crop, wherever on the slide it lies."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from scipy.spatial import KDTree

from thymusimg.phantom import PhantomSpec, make_phantom
from thymusimg.pipeline import SectionResult, analyse_section
from thymusimg.section import flat, framing
from thymusimg.section.model import Level, Section, Subject, Window
from thymusimg.section.survey import survey_framed
from thymusimg.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

ROLES = ("cd45", "k14", "k8")
SPEC = PhantomSpec(
    area_mm2=0.2, islets=2, medulla_fraction=0.3, indeterminate_fraction=0.05, order=0.95,
    cd45_cortex_per_mm2=3000.0, cd45_medulla_per_mm2=800.0,
)  # fmt: skip
SLIDE = (5120, 4608)
CORNER = (2100, 1500)
SETTINGS = Settings()


@dataclass(frozen=True)
class CountedImage:
    """A pyramid in memory that counts how often every stored tile is asked for."""

    pyramid: Mapping[int, np.ndarray]
    decoded: Counter[tuple[int, int, int, int]] = field(default_factory=Counter)
    path: str = "memory"
    format: str = "array"
    pixel_size_um: tuple[float, float] | None = None
    semi_quantitative: bool = False
    lossy: str = ""
    warnings: tuple[str, ...] = ()
    tile_shape: tuple[int, int] = (512, 512)
    emission_nm: tuple[float | None, ...] = (None, None, None)
    channel_names: tuple[str, ...] = ROLES
    dtype: np.dtype = np.dtype(np.uint16)  # noqa: RUF009  immutable
    max_value: float = 65535.0

    @property
    def levels(self) -> tuple[Level, ...]:
        return tuple(Level(plane.shape[1:], float(down)) for down, plane in self.pyramid.items())

    def read(self, level: int, channel: int, window: Window) -> np.ndarray:
        for y in range(window.y0 // 512, -(-window.y1 // 512)):
            for x in range(window.x0 // 512, -(-window.x1 // 512)):
                self.decoded[level, channel, y, x] += 1
        return list(self.pyramid.values())[level][channel][window.slices]

    def close(self) -> None:
        """Nothing to release."""


def halved(pixels: np.ndarray, down: int) -> np.ndarray:
    height, width = pixels.shape[1] // down, pixels.shape[2] // down
    blocks = pixels[:, : height * down, : width * down].reshape(len(pixels), height, down, width, down)
    return blocks.mean((2, 4)).round().astype(np.uint16)


def on_glass(pixels: np.ndarray, corners: list[tuple[int, int]]) -> np.ndarray:
    """Put sections on a slide whose glass has the level and the noise of theirs."""
    rng = np.random.default_rng(0)
    glass = pixels[:, :64, :64].reshape(len(pixels), -1)
    tile = rng.choice(glass[0], (len(pixels), 1024, 1024))  # the same glass again and again: it is fast
    slide = np.tile(tile, (1, -(-SLIDE[0] // 1024), -(-SLIDE[1] // 1024)))[:, : SLIDE[0], : SLIDE[1]]
    for y, x in corners:
        slide[:, y : y + pixels.shape[1], x : x + pixels.shape[2]] = pixels
    return slide


def section_of(pixels: np.ndarray, *, pyramid: bool = False, **options: object) -> Section:
    levels = {1: pixels} | ({4: halved(pixels, 4), 16: halved(pixels, 16)} if pyramid else {})
    roles = {role: i for i, role in enumerate(ROLES)}
    return Section(Subject("s"), CountedImage(levels), roles, {r: r for r in ROLES}, 0.5, **options)


@pytest.fixture(scope="module")
def lobe() -> np.ndarray:
    return make_phantom(SPEC, 3, pixel_size_um=0.5).pixels


@pytest.fixture(scope="module")
def slide(lobe: np.ndarray) -> np.ndarray:
    return on_glass(lobe, [CORNER])


@pytest.fixture
def big(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every slide counts as a big one."""
    monkeypatch.setattr(framing, "WHOLE_PX", 0)


def same_numbers(one: SectionResult, other: SectionResult, rel: float) -> None:
    for name, value in one.measurements.items():
        if isinstance(value, float) and name != "pixel_size_um":
            assert other.measurements[name] == pytest.approx(value, rel=rel, abs=rel, nan_ok=True), name


@pytest.mark.parametrize("pyramid", [False, True], ids=["flat", "pyramid"])
def test_a_framed_section_is_its_crop_in_the_slides_coordinates(slide, big, monkeypatch, pyramid) -> None:
    framed = analyse_section(section_of(slide, pyramid=pyramid), SETTINGS)
    frame = framed.section.frame
    assert frame is not None
    assert frame.shape[0] * frame.shape[1] < 0.5 * SLIDE[0] * SLIDE[1]
    monkeypatch.setattr(framing, "WHOLE_PX", 10**9)
    crop = analyse_section(section_of(slide[(slice(None), *frame.slices)], pyramid=pyramid), SETTINGS)
    assert crop.section.frame is None
    np.testing.assert_array_equal(framed.compartments.labels, crop.compartments.labels)
    for role, plane in framed.prepared.planes.items():
        np.testing.assert_array_equal(plane, crop.prepared.planes[role])
    shift = {"y_um": frame.y0 * 0.5, "x_um": frame.x0 * 0.5}
    moved = crop.cells.table.assign(**{name: crop.cells.table[name] + by for name, by in shift.items()})
    pd.testing.assert_frame_equal(framed.cells.table, moved, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(framed.cells.masks.boxes, crop.cells.masks.boxes + np.repeat(frame[::2], 2))
    np.testing.assert_array_equal(framed.cells.masks.bits, crop.cells.masks.bits)
    for ours, theirs in zip(framed.compartments.junction_um, crop.compartments.junction_um, strict=True):
        np.testing.assert_allclose(ours, theirs + np.array(list(shift.values())), atol=1e-9)
    same_numbers(framed, crop, 1e-6)


def test_a_framed_section_is_that_of_the_whole_slide(slide, big, monkeypatch) -> None:
    """Not to the bit: the level of the glass is a median, and the frame holds less of it."""
    framed = analyse_section(section_of(slide, pyramid=True), SETTINGS)
    monkeypatch.setattr(framing, "WHOLE_PX", 10**9)
    whole = analyse_section(section_of(slide, pyramid=True), SETTINGS)
    place = framed.compartments.grid.place
    there = whole.compartments.labels[place.slices]
    assert np.count_nonzero(there) == np.count_nonzero(whole.compartments.labels)
    differing = np.count_nonzero(framed.compartments.labels != there)
    assert differing <= 0.003 * np.count_nonzero(there)
    assert len(framed.cells.table) == pytest.approx(len(whole.cells.table), rel=0.005)
    places = [result.cells.table[["y_um", "x_um"]].to_numpy() for result in (whole, framed)]
    distance, _ = KDTree(places[0]).query(places[1])
    assert np.mean(distance < 1.0) >= 0.99
    for name in ("tissue_area_mm2", "cortex_area_mm2", "medulla_area_mm2", "cd45_count", "cmj_length_mm"):
        assert framed.measurements[name] == pytest.approx(whole.measurements[name], rel=0.01), name


def test_outlines_are_the_frame_and_each_section_is_its_own(lobe, big) -> None:
    corners = [(600, 500), (3300, 2900)]
    slide = on_glass(lobe, corners)
    height, width = lobe.shape[1:]
    found = []
    for y, x in corners:
        ring = (np.array([[y, x], [y, x + width], [y + height, x + width], [y + height, x]]) - 0.5) * 0.5
        section = section_of(slide, pyramid=True, roi=(ring,))
        result = analyse_section(section, SETTINGS)
        frame = result.section.frame
        assert frame is not None
        own = Window(y, y + height, x, x + width)
        assert own.overlap(frame) == own
        assert max(np.subtract(frame.shape, own.shape)) <= 1600
        image = section.image
        beyond = [k for k in image.decoded if k[0] == 0 and not _touches(k, frame)]
        assert not beyond, "pixels of the other section were read"
        found.append(result)
    first, second = found
    assert second.measurements["cd45_count"] == pytest.approx(first.measurements["cd45_count"], rel=0.02)
    move = (np.array(corners[1]) - corners[0]) * 0.5
    centres = [r.cells.table[["y_um", "x_um"]].mean().to_numpy() for r in found]
    np.testing.assert_allclose(centres[1] - centres[0], move, atol=2.0)


def _touches(key: tuple[int, int, int, int], frame: Window) -> bool:
    y, x = key[2] * 512, key[3] * 512
    return y < frame.y1 and y + 512 > frame.y0 and x < frame.x1 and x + 512 > frame.x0


def test_a_flat_slide_is_decoded_once(slide, big) -> None:
    section = section_of(slide)
    framed, _ = survey_framed(section, threads=2)
    assert framed.frame is not None
    assert set(section.image.decoded.values()) == {1}
    assert len(section.image.decoded) == 3 * 10 * 9


def test_what_did_not_fit_is_read_again_and_changes_nothing(slide, big, monkeypatch) -> None:
    framed, kept = survey_framed(section_of(slide))
    monkeypatch.setattr(flat, "KEPT_BYTES", 0)
    section = section_of(slide)
    again, read = survey_framed(section, threads=2)
    assert framed.frame == again.frame
    for role in ROLES:
        np.testing.assert_array_equal(kept.planes[role], read.planes[role])
    pd.testing.assert_frame_equal(kept.tiles, read.tiles)
    assert max(section.image.decoded.values()) == 2
    twice = [key for key, count in section.image.decoded.items() if count == 2]
    assert all(_touches(key, framed.frame) for key in twice)


def test_a_pyramid_is_decoded_once_a_level(slide, big) -> None:
    section = section_of(slide, pyramid=True)
    framed, _ = survey_framed(section, threads=2)
    assert framed.frame is not None
    of_levels = {key: n for key, n in section.image.decoded.items() if key[0] > 0}
    assert set(of_levels.values()) == {1}, "a window that straddles tiles decodes them again"


@pytest.mark.parametrize("pyramid", [False, True], ids=["flat", "pyramid"])
def test_a_small_slide_has_no_frame(lobe, pyramid) -> None:
    framed, _ = survey_framed(section_of(lobe, pyramid=pyramid))
    assert framed.frame is None

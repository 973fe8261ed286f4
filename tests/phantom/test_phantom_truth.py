from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from thymusimg.compartments.model import Compartment
from thymusimg.errors import CallError
from thymusimg.measurements.columns import columns
from thymusimg.phantom import PhantomSpec, make_phantom, write_ome_tiff
from thymusimg.phantom.recipe import Recipe, shared_latent
from thymusimg.phantom.values import measure_truth
from thymusimg.phantom.whole_slide import write_section
from thymusimg.section.coarse import block_mean
from thymusimg.section.model import Grid
from thymusimg.section.store import Bundle

if TYPE_CHECKING:
    from pathlib import Path

SPEC = PhantomSpec(area_mm2=0.06, islets=2, cd45_cortex_per_mm2=7000.0)


def _disc(radius_um: float) -> tuple[Grid, np.ndarray]:
    """A round medulla in the middle of a square of cortex of 800 µm."""
    grid = Grid.of((800, 800), 1.0)
    y, x = np.meshgrid(*(grid.to_um(np.arange(n)) - 400 for n in grid.shape), indexing="ij")
    labels = np.full(grid.shape, Compartment.CORTEX, np.uint8)
    labels[np.hypot(y, x) < radius_um] = Compartment.MEDULLA
    return grid, labels


def test_the_truth_of_a_disc_can_be_checked_by_hand() -> None:
    grid, labels = _disc(150)
    cells = pd.DataFrame(
        {"y_um": [400.0, 410, 100, 100], "x_um": [400.0, 400, 100, 700], "visible_area_um2": [30.0] * 4}
    )
    covered = np.full(grid.shape, 0.25, np.float32)
    medulla = (labels == Compartment.MEDULLA).astype(np.float32)
    clean = {"k14": medulla, "k8": 1 - medulla}
    spec = PhantomSpec(boundary_fuzz_um=10, order=0.7)
    values = measure_truth(grid, labels, np.ones(grid.shape, bool), cells, covered, clean, spec)
    disc = math.pi * 0.15**2
    assert values["medulla_area_mm2"] == pytest.approx(disc, rel=0.01)
    assert values["medulla_fraction"] == pytest.approx(disc / 0.64, rel=0.01)
    assert values["cmj_length_mm"] == pytest.approx(2 * math.pi * 0.15, rel=0.01)
    assert values["cmj_width_um"] == pytest.approx(25.63)
    assert (values["islet_count"], values["islet_effective_number"]) == (1, 1)
    assert values["cd45_count"] == 4
    assert values["cd45_density_medulla_per_mm2"] == pytest.approx(2 / disc, rel=0.01)
    assert values["cd45_area_fraction"] == pytest.approx(0.25)
    assert values["cd45_log_ratio_cortex_medulla"] == pytest.approx(math.log(disc / (0.64 - disc)), abs=0.02)
    assert values["order"] == 0.7
    # stains apart at 50 µm, but for the tiles on the border
    assert values["segregation_index_50um"] > 0.5


def test_columns_of_the_truth_are_columns_of_a_result() -> None:
    values = make_phantom(SPEC, 1, pixel_size_um=1.0).truth.values
    known = {column.name for column in columns("sections")}
    assert set(values) - known == {"order", "double_positive_cells"}
    assert not [name for name in values if name.endswith(("_p", "_null"))]


def test_without_medulla_the_junction_is_undefined() -> None:
    spec = SPEC.model_copy(update={"medulla_fraction": 0.0, "indeterminate_fraction": 1.0})
    values = make_phantom(spec, 1, pixel_size_um=1.0).truth.values
    for name in ("cmj_length_mm", "cmj_width_um", "medulla_fraction", "largest_islet_share"):
        assert math.isnan(values[name]), name
    assert values["islet_count"] == 0


def test_a_section_on_disk_is_the_section_in_memory(tmp_path: Path) -> None:
    memory = make_phantom(SPEC, 5, pixel_size_um=0.5, size_mm=0.6)
    write_ome_tiff(memory, tmp_path / "memory.ome.tif", pyramid=True)
    for name, windows in (("one", (2048, 4096)), ("many", (512, 208))):
        image, bundle = tmp_path / f"{name}.ome.tif", tmp_path / f"{name}.zarr"
        written = write_section(
            SPEC, 5, image, bundle=bundle, pixel_size_um=0.5, size_mm=0.6, pyramid=True, band_px=windows[0],
            window_px=windows[1], threads=2,
        )  # fmt: skip
        assert image.read_bytes() == (tmp_path / "memory.ome.tif").read_bytes()
        assert written.cells.equals(memory.truth.cells)
        pd.testing.assert_series_equal(pd.Series(dict(written.values)), pd.Series(dict(memory.truth.values)))
        truth = Bundle.open(bundle)
        assert np.array_equal(truth.label("cells")[:], memory.truth.instances)
        assert np.array_equal(truth.label("compartments")[:], memory.truth.labels)
        assert set(truth.planes) == {"cd45", "k14", "k8"}


def test_windows_that_do_not_fit_the_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CallError, match="multiple of 512"):
        write_section(SPEC, 5, tmp_path / "a.ome.tif", band_px=500)
    assert not (tmp_path / "a.ome.tif").exists()


def test_whole_slides_are_big() -> None:
    small = Recipe("s", "m", "g", "", "B1", "cd34_10wk", 1, 1, 1)
    assert not small.is_big
    assert Recipe("s", "m", "g", "", "B1", "cd34_10wk", 1, 1, 1, size_mm=10.0).is_big


@pytest.mark.parametrize("icc", [0.0, 0.3, 0.65, 0.9])
def test_the_intraclass_correlation_is_the_chosen_one(icc: float) -> None:
    # one-way ANOVA: 300 animals of four sections
    drawn = np.array(
        [[shared_latent(10_000 + a, a, 4 * a + s, icc)("order") for s in range(4)] for a in range(300)]
    )
    between = 4 * drawn.mean(1).var(ddof=1)
    within = drawn.var(1, ddof=1).mean()
    assert (between - within) / (between + 3 * within) == pytest.approx(icc, abs=0.06)
    assert drawn.var() == pytest.approx(1, abs=0.12)


def test_empty_slide_around_the_tissue_changes_no_true_value() -> None:
    truth = make_phantom(SPEC, 3, pixel_size_um=1.0).truth
    pad = 45  # coarse pixels
    grid = truth.grid
    wide = Grid(
        tuple(n * grid.factor + 2 * pad * grid.factor for n in grid.shape), grid.slide_pixel_um, grid.factor
    )
    clean = {
        r: np.pad(block_mean(p, grid.factor), pad) for r, p in zip(("cd45", "k14", "k8"), truth.clean, strict=True)
    }
    covered = np.pad(block_mean((truth.instances > 0).astype(np.uint8), grid.factor).astype(np.float16), pad)
    moved = truth.human.assign(**{c: truth.human[c] + pad * grid.pixel_um for c in ("y_um", "x_um")})
    values = measure_truth(wide, np.pad(truth.labels, pad), np.pad(truth.tissue, pad), moved, covered, clean, SPEC)
    same = dict(truth.values)
    # the contour's points begin elsewhere; distances to it move by parts of a pixel
    distance = "cd45_median_distance_to_cmj_um"
    assert values.pop(distance) == pytest.approx(same.pop(distance), abs=0.3)
    pd.testing.assert_series_equal(pd.Series(values), pd.Series(same), rtol=1e-6)

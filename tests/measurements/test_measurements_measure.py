from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from scipy import ndimage
from skimage.measure import find_contours

from thymusimg.cells.model import CellMasks, Cells, Gate
from thymusimg.compartments.model import Compartment, Compartments
from thymusimg.measurements.columns import check_columns, columns
from thymusimg.measurements.families import network
from thymusimg.measurements.families.infiltration import FINISHED
from thymusimg.measurements.measure import Measured, measure_section
from thymusimg.measurements.population.profile import profile_by_distance
from thymusimg.section.model import Grid, Subject
from thymusimg.settings import MeasurementSettings

if TYPE_CHECKING:
    from collections.abc import Callable

PIXEL_UM = 2.0
NO_MASKS = CellMasks(np.zeros((0, 4), np.int32), np.zeros(1, np.int64), np.zeros(0, bool))


class Case(SimpleNamespace):
    labels: np.ndarray
    k14: np.ndarray
    k8: np.ndarray
    positive: np.ndarray
    cells: np.ndarray
    """(N, 2) pixel indices."""
    pixel_um: float


def lobe(size: int = 512) -> Case:
    """A lobe of 460 µm radius with a round medulla of 200 µm, an islet, a cyst, a strip of indeterminate."""
    rng = np.random.default_rng(0)
    y, x = (np.mgrid[:size, :size] - (size - 1) / 2) * PIXEL_UM
    r = np.hypot(y, x)
    labels = np.where(r < 460, 5, 0)
    labels[r < 450] = Compartment.CORTEX
    inside = np.hypot(y, x + 60) < 200
    islet = np.hypot(y - 60, x - 330) < 40
    labels[inside | islet] = Compartment.MEDULLA
    labels[(np.abs(x + 60) < 30) & (y < -230) & (r < 450)] = Compartment.INDETERMINATE
    labels[np.hypot(y - 330, x) < 30] = Compartment.CYST
    labels[np.hypot(y + 100, x - 380) < 25] = Compartment.ARTEFACT
    medulla = ndimage.gaussian_filter((labels == 2).astype(np.float64), 5)
    grain = 1 + 0.3 * ndimage.gaussian_filter(rng.normal(size=labels.shape), 3) / 0.1
    k14 = 100 * medulla * grain + rng.normal(size=labels.shape)
    k8 = (r < 450) * (120 - 90 * medulla) * grain[::-1] + rng.normal(size=labels.shape)
    positive = rng.random(labels.shape) * 0.3 * (r < 460)
    places = rng.uniform(0, size - 1, (6000, 2))
    kept = labels[np.rint(places[:, 0]).astype(int), np.rint(places[:, 1]).astype(int)]
    cells = places[np.isin(kept, (1, 2, 3, 5))]
    return Case(labels=labels.astype(np.uint8), k14=k14, k8=k8, positive=positive, cells=cells, pixel_um=PIXEL_UM)


def compartments_of(case: Case) -> Compartments:
    labels, grid = case.labels, Grid(case.labels.shape, case.pixel_um, 1)
    tissue = labels > 0
    medulla, cortex = labels == 2, labels == 1
    lines, reasons, distance = (), {}, np.full(labels.shape, np.nan, np.float32)
    if medulla.any() and cortex.any():
        share = [ndimage.gaussian_filter(m.astype(np.float64), 10 / case.pixel_um) for m in (medulla, cortex)]
        field = np.where(share[0] + share[1] > 0.9, share[0] / np.maximum(sum(share), 1e-9), np.nan)
        lines = tuple(grid.to_um(line) for line in find_contours(field, 0.5) if len(line) > 10)
        signed = ndimage.distance_transform_edt(medulla) - ndimage.distance_transform_edt(~medulla)
        distance = np.where(tissue, signed * case.pixel_um, np.nan).astype(np.float32)
    else:
        reasons = {"junction": "no medulla was found" if cortex.any() else "no cortex was found"}
    depth = ndimage.distance_transform_edt(np.pad(tissue, 1))[1:-1, 1:-1] * case.pixel_um
    return Compartments(
        grid, labels, tissue, tissue.astype(np.float32), distance, depth.astype(np.float32), distance, lines,
        reasons=reasons,
    )  # fmt: skip


def cells_of(case: Case, compartments: Compartments) -> Cells:
    index = np.rint(case.cells).astype(int)
    at = tuple(index.T)
    table = pd.DataFrame(
        {
            "y_um": case.cells[:, 0] * case.pixel_um,
            "x_um": case.cells[:, 1] * case.pixel_um,
            "area_um2": 40.0,
            "mean_cd45": np.linspace(50, 150, len(case.cells)),
            "compartment": [Compartment(int(v)).name.lower() for v in case.labels[at]],
            "distance_to_cmj_um": compartments.distance_to_cmj_um[at],
            "depth_from_capsule_um": compartments.depth_from_capsule_um[at],
        }
    )
    return Cells(
        table, NO_MASKS, case.positive.astype(np.float32), Gate(1.0, 0.0, 1.0, "controls_sd", ("c1",), 0.5)
    )


def measure(case: Case, *, with_cells: bool = True, without: str = "", **given: Any) -> Measured:
    compartments = compartments_of(case)
    cells = cells_of(case, compartments) if with_cells else None
    section: Any = SimpleNamespace(
        subject=Subject("s1", "m1", "treated", donor="d1"),
        pixel_size_um=case.pixel_um,
        markers={"k14": "CD11c", "k8": "CD205", "cd45": "CD45"},
    )
    planes = {"k14": case.k14.astype(np.float32), "k8": case.k8.astype(np.float32)}
    planes.pop(without, None)
    return measure_section(section, compartments, planes, cells, MeasurementSettings(), **given)


@pytest.fixture(scope="module")
def usual() -> Measured:
    return measure(lobe())


def numbers(measured: Measured) -> dict[str, float]:
    return {k: float(v) for k, v in measured.section.items() if isinstance(v, float | int)}


def holds(measured: Measured) -> None:
    """Every declared column and no other; every undefined one has a reason, and no defined one has."""
    assert list(measured.section) == [c.name for c in columns("sections")]
    undefined = {k for k, v in measured.section.items() if isinstance(v, float) and math.isnan(v)}
    assert undefined == set(measured.reasons)
    assert all(measured.reasons.values())
    check_columns("sections", pd.DataFrame([measured.section]))
    check_columns("compartments", measured.compartments)


def test_every_column_is_measured(usual: Measured) -> None:
    holds(usual)
    # cells that are strewn at random have no clusters; keratins that exclude each other no common signal; the lobe
    # is narrower than two of its own periods
    none = {f"manders_costes_{where}" for where in ("k8_in_k14", "k14_in_k8")}
    none |= {f"{role}_dominant_wavelength_um" for role in ("k14", "k8")}
    # the slide itself is not there
    none |= {c.name for c in network.COLUMNS}
    assert set(usual.reasons) <= {"cd45_cluster_scale_um", "cd45_single_area_um2", *FINISHED, *none}


def test_areas_of_known_shapes(usual: Measured) -> None:
    row = numbers(usual)
    # π · 0.46² less the artefact and the cyst, π · 0.025² and π · 0.03²
    whole = math.pi * 0.46**2
    assert row["tissue_area_mm2"] == pytest.approx(whole - math.pi * (0.025**2 + 0.03**2), rel=0.005)
    assert row["cyst_area_mm2"] == pytest.approx(math.pi * 0.03**2, rel=0.02)
    assert row["medulla_area_mm2"] == pytest.approx(math.pi * (0.2**2 + 0.04**2), rel=0.01)
    shares = ("cortex", "medulla", "indeterminate", "cyst", "other")
    assert sum(row[f"{name}_share"] for name in shares) == pytest.approx(1)
    parts = ("cortex", "medulla", "indeterminate")
    assert sum(row[f"{name}_area_mm2"] for name in parts) == pytest.approx(row["parenchyma_area_mm2"])
    both = row["medulla_area_mm2"] + row["cortex_area_mm2"]
    assert row["medulla_fraction"] == pytest.approx(row["medulla_area_mm2"] / both)


def test_islets_and_junction_of_known_shapes(usual: Measured) -> None:
    row = numbers(usual)
    assert row["islet_count"] == 2
    # 200² / (200² + 40²)
    assert row["largest_islet_share"] == pytest.approx(0.9615, abs=0.002)
    # two circles; smoothing at 10 µm pulls the small one in by about σ² / 2r
    assert row["cmj_length_mm"] == pytest.approx(2 * math.pi * (0.2 + 0.04), rel=0.03)
    assert row["cmj_density_mm_per_mm2"] == pytest.approx(row["cmj_length_mm"] / row["parenchyma_area_mm2"])
    # K14 was blurred by 5 pixels of 2 µm
    assert row["cmj_width_um"] == pytest.approx(25.6, rel=0.25)
    assert row["cortical_coverage"] > 0.9


def test_subject_and_markers_are_passed_on(usual: Measured) -> None:
    names = ("section_id", "animal", "group", "donor", "k14_marker", "k8_marker", "cd45_marker")
    assert [usual.section[n] for n in names] == ["s1", "m1", "treated", "d1", "CD11c", "CD205", "CD45"]


def test_cells_are_counted_per_parenchyma(usual: Measured) -> None:
    case, row = lobe(), numbers(usual)
    at = case.labels[tuple(np.rint(case.cells).astype(int).T)]
    assert row["cd45_count"] == np.isin(at, (1, 2, 3)).sum()
    assert row["cd45_count_outside"] == (at == 5).sum()
    assert row["cd45_density_per_mm2"] == pytest.approx(row["cd45_count"] / row["parenchyma_area_mm2"])
    assert row["cd45_density_low_per_mm2"] < row["cd45_density_per_mm2"] < row["cd45_density_high_per_mm2"]
    assert row["cd45_area_fraction"] == pytest.approx(
        case.positive[np.isin(case.labels, (1, 2, 3))].mean(), rel=1e-5
    )
    # scattered at random: as dense in the cortex as in the medulla, and no clusters
    assert row["cd45_log_ratio_cortex_medulla"] == pytest.approx(0, abs=0.15)
    assert row["cd45_excess_gini"] == pytest.approx(0, abs=0.05)
    assert usual.section["cd45_count_reliable"] is True


def test_compartment_rows(usual: Measured) -> None:
    table = usual.compartments.set_index("compartment")
    assert list(table.index) == ["cortex", "medulla", "indeterminate", "cyst", "other", "artefact"]
    assert table["fraction"].drop("artefact").sum() == pytest.approx(1)
    row = numbers(usual)
    assert table.loc["medulla", "area_mm2"] == pytest.approx(row["medulla_area_mm2"])
    assert table.loc["medulla", "mean_k14"] > 5 * table.loc["cortex", "mean_k14"]
    assert table.loc["cortex", "cd45_density_per_mm2"] == pytest.approx(row["cd45_density_cortex_per_mm2"])


def test_profile_of_a_section() -> None:
    case = lobe()
    compartments = compartments_of(case)
    profile = profile_by_distance(compartments, cells_of(case, compartments))
    assert profile["area_mm2"].sum() == pytest.approx(compartments.area_mm2())
    assert profile["low_um"].min() < 0 < profile["high_um"].max()


# --- what is undefined, and why


def test_without_cells_every_cell_column_says_so(usual: Measured) -> None:
    measured = measure(lobe(), with_cells=False, cells_reason="no CD45 channel was given")
    holds(measured)
    of_cells = {name: why for name, why in measured.reasons.items() if name.startswith("cd45_")}
    assert set(of_cells.values()) == {"no CD45 channel was given"}
    expected = {c.name for c in columns("sections") if c.name.startswith("cd45_")} - {"cd45_marker"}
    assert set(of_cells) == expected
    # and nothing else
    assert set(measured.reasons) - expected == set(usual.reasons) - expected
    assert measured.section["cells_method"] == "none"
    assert (measured.compartments.query("area_mm2 > 0")["reason"] == "no CD45 channel was given").all()


def changed(**changes: Callable[[Case], Any]) -> Case:
    case = lobe(384)
    for name, change in changes.items():
        setattr(case, name, change(case))
    return case


def relabelled(old: int, new: int) -> Case:
    return changed(labels=lambda c: np.where(c.labels == old, new, c.labels).astype(np.uint8))


def test_no_medulla() -> None:
    measured = measure(relabelled(Compartment.MEDULLA, Compartment.CORTEX))
    holds(measured)
    row = measured.section
    assert (row["medulla_fraction"], row["islet_count"], row["islets_per_mm2"]) == (0, 0, 0)
    for name in ("cmj_length_mm", "cmj_width_um", "largest_islet_share", "cd45_density_medulla_per_mm2"):
        assert measured.reasons[name] == "no medulla was found"
    assert measured.reasons["cd45_log_ratio_cortex_medulla"] == "no medulla was found"


def test_no_cortex() -> None:
    measured = measure(relabelled(Compartment.CORTEX, Compartment.INDETERMINATE))
    holds(measured)
    row = measured.section
    assert (row["medulla_fraction"], row["cortical_coverage"]) == (1, 0)
    for name in ("cmj_length_mm", "cmj_width_um", "cortical_thickness_um", "cd45_density_cortex_per_mm2"):
        assert measured.reasons[name] == "no cortex was found"


def test_no_parenchyma() -> None:
    measured = measure(changed(labels=lambda c: np.where(c.labels > 0, 5, 0).astype(np.uint8)))
    holds(measured)
    for name in ("segregation_index_50um", "double_positive_fraction", "islets_per_mm2", "cortical_coverage"):
        assert "no parenchyma" in measured.reasons[name]
    for name in ("cd45_density_per_mm2", "cd45_area_fraction", "cd45_count_reliable"):
        assert "no parenchyma" in measured.reasons[name]


def test_nothing_at_all() -> None:
    empty = changed(labels=lambda c: np.zeros_like(c.labels), cells=lambda c: np.zeros((0, 2)))
    measured = measure(empty)
    holds(measured)
    assert measured.section["tissue_area_mm2"] == 0
    assert "no analysable tissue" in measured.reasons["cortex_share"]


def test_no_cell() -> None:
    measured = measure(changed(cells=lambda c: np.zeros((0, 2)), positive=lambda c: c.positive * 0))
    holds(measured)
    row = measured.section
    assert (row["cd45_count"], row["cd45_density_per_mm2"], row["cd45_empty_tile_fraction"]) == (0, 0, 1)
    assert row["cd45_count_reliable"] is True
    assert math.isfinite(row["cd45_log_ratio_cortex_medulla"])
    assert "no human CD45+ cell" in measured.reasons["cd45_excess_gini"]
    # no cells: at most 3.69 / A
    assert row["cd45_density_high_per_mm2"] == pytest.approx(3.69 / row["parenchyma_area_mm2"], rel=1e-3)


@pytest.mark.parametrize("role", ["k14", "k8"])
def test_a_missing_stain(role: str) -> None:
    measured = measure(lobe(384), without=role)
    holds(measured)
    assert measured.reasons["segregation_index_50um"] == f"no {role.upper()} channel was given"
    assert ("cmj_width_um" in measured.reasons) == (role == "k14")


def test_dense_cells_cannot_be_counted() -> None:
    def dense(case: Case) -> np.ndarray:
        return np.where(np.arange(case.labels.shape[0])[:, None] < 192, 0.8, 0.1) * (case.labels > 0)

    measured = measure(changed(positive=dense))
    assert measured.section["cd45_count_reliable"] is False
    # 0.8 on one half and 0.1 on the other
    assert measured.section["cd45_saturated_share"] == pytest.approx(8 / 9, abs=0.03)


# --- what leaves the numbers where they are


def moved(case: Case, move: Callable[[np.ndarray], np.ndarray], place: Callable[[np.ndarray], np.ndarray]) -> Case:
    planes = {name: np.ascontiguousarray(move(getattr(case, name))) for name in ("labels", "k14", "k8", "positive")}
    return Case(cells=place(case.cells), pixel_um=case.pixel_um, **planes)


LAST = 511


@pytest.mark.parametrize(
    "turned",
    [
        lambda c: moved(c, np.rot90, lambda p: np.stack([LAST - p[:, 1], p[:, 0]], axis=1)),
        lambda c: moved(c, np.fliplr, lambda p: np.stack([p[:, 0], LAST - p[:, 1]], axis=1)),
        lambda c: moved(c, np.flipud, lambda p: np.stack([LAST - p[:, 0], p[:, 1]], axis=1)),
        lambda c: moved(c, lambda a: np.pad(a, ((40, 0), (7, 25))), lambda p: p + np.array([40, 7])),
    ],
    ids=["turned by 90°", "left-right", "up-down", "padded"],
)
def test_turning_flipping_and_padding_change_nothing(usual: Measured, turned: Callable[[Case], Case]) -> None:
    case = turned(lobe())
    assert numbers(measure(case)) == pytest.approx(numbers(usual), rel=1e-4, abs=1e-6, nan_ok=True)


def test_gain_of_a_stain_changes_only_its_means(usual: Measured) -> None:
    case = lobe()
    case.k14, case.k8 = case.k14 * 0.5, case.k8 * 2
    assert numbers(measure(case)) == pytest.approx(numbers(usual), rel=1e-4, nan_ok=True)


def test_the_pixel_size_hardly_matters(usual: Measured) -> None:
    case = lobe()
    fine = moved(case, lambda a: np.kron(a, np.ones((2, 2), a.dtype)), lambda p: 2 * p + 0.5)
    fine.pixel_um = PIXEL_UM / 2
    found, wanted = numbers(measure(fine)), numbers(usual)
    for name in wanted:
        if name not in ("pixel_size_um", "grid_pixel_um", "cmj_fit_r2"):
            assert found[name] == pytest.approx(wanted[name], rel=0.05, abs=0.01, nan_ok=True), name


def test_cells_without_an_assignment_are_placed_by_their_centroid() -> None:
    case = lobe(384)
    compartments = compartments_of(case)
    cells = cells_of(case, compartments)
    bare = replace(cells, table=cells.table.drop(columns="compartment"))
    one, two = (profile_by_distance(compartments, c)["cell_count"].sum() for c in (cells, bare))
    assert one == two

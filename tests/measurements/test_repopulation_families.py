from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from thymusimg.cells.assign import assign_cells
from thymusimg.cells.model import CellMasks, Cells, Gate
from thymusimg.compartments.junction import depth_from_capsule_um, junction_contours, signed_distance_um
from thymusimg.compartments.model import Compartments
from thymusimg.measurements.families import cells as counting
from thymusimg.measurements.families import epithelium, infiltration, profile, spread
from thymusimg.measurements.population.axis import place_on_axis
from thymusimg.measurements.row import Row
from thymusimg.measurements.view import SectionView
from thymusimg.section.model import Grid
from thymusimg.settings import MeasurementSettings

if TYPE_CHECKING:
    from collections.abc import Callable

PIXEL_UM = 2.0
FAMILIES = (counting, spread, profile, infiltration, epithelium)
NO_MASKS = CellMasks(np.zeros((0, 4), np.int32), np.zeros(1, np.int64), np.zeros(0, bool))


def round_lobe(cut: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels of a round lobe (radius 300 µm; medulla of 120 µm off its middle), less ``cut`` columns; cells."""
    y, x = np.mgrid[:340, :340] - 169.5
    r = np.hypot(y, x) * PIXEL_UM
    medulla = np.hypot(y - 12, x - 25) * PIXEL_UM < 120
    labels = np.select([medulla, r < 288, r < 300], [2, 1, 5], 0).astype(np.uint8)
    places = np.random.default_rng(0).uniform(0, 339, (6000, 2))
    places = places[np.hypot(*(places - 169.5).T) * PIXEL_UM < 298]
    return np.ascontiguousarray(labels[:, cut:]), places[places[:, 1] >= cut] - (0, cut)


def view_of(labels: np.ndarray, places: np.ndarray) -> SectionView:
    grid, tissue = Grid(labels.shape, PIXEL_UM, 1), labels > 0
    lines = junction_contours(labels, grid, 10.0)
    nothing = np.full(labels.shape, np.nan, np.float32)
    compartments = Compartments(
        grid, labels, tissue, tissue.astype(np.float32), signed_distance_um(labels, tissue, lines, grid),
        depth_from_capsule_um(tissue, grid), nothing, lines,
    )  # fmt: skip
    table = pd.DataFrame({"y_um": places[:, 0] * PIXEL_UM, "x_um": places[:, 1] * PIXEL_UM})
    table = table.assign(area_um2=40.0, mean_cd45=table["x_um"] * 0 + 100)
    positive = np.zeros(labels.shape, np.float32)
    positive[tuple(np.rint(places).astype(int).T)] = 1
    cells = assign_cells(Cells(table, NO_MASKS, positive, Gate(1.0, 0.0, 1.0, "section")), compartments)
    section: Any = SimpleNamespace()
    planes = {"k14": (labels == 2).astype(np.float32) * 80 + 20, "k8": (labels == 1).astype(np.float32) * 50 + 10}
    settings = MeasurementSettings()
    return SectionView(section, compartments, planes, settings, place_on_axis(cells, compartments, settings))


def measured(labels: np.ndarray, places: np.ndarray) -> Row:
    row, view = Row(), view_of(labels, places)
    for family in FAMILIES:
        family.measure(row, view)
    return row


def curve(row: Row, name: str) -> pd.DataFrame:
    return row.curves[row.curves["curve"] == name].set_index("x")


@pytest.fixture(scope="module")
def whole() -> Row:
    return measured(*round_lobe())


def test_every_column_and_every_curve_is_filled(whole: Row) -> None:
    declared = {column.name for family in FAMILIES for column in family.COLUMNS}
    assert set(whole.values) == declared
    curves = {c.name for family in FAMILIES for c in getattr(family, "CURVES", ())}
    assert set(whole.curves["curve"]) == curves
    assert whole.curves["value"].notna().all()


def test_evenly_strewn_cells_have_flat_profiles(whole: Row) -> None:
    density = 6000 / (339 * 339 * 4e-6)
    for name in ("cmj", "depth", "capsule_fraction", "cma", "cma_quantile"):
        found = curve(whole, f"cd45_profile_{name}")
        large = found[found["weight"] > 0.01]
        assert len(large) > 4
        assert large["value"].to_numpy() / density == pytest.approx(1, abs=0.3)
        inside = (found["low"] <= density) & (found["high"] >= density)
        assert inside.mean() > 0.75
    assert whole.values["cd45_cma3_quantile"] == pytest.approx(0.5, abs=0.02)
    # 32 tiles: its SD is a quarter
    assert whole.values["cd45_dispersion"] == pytest.approx(1, abs=0.8)


def test_weights_are_the_tissue_of_the_bins(whole: Row) -> None:
    # cortex and medulla for what has a side; all of the parenchyma for depth
    parenchyma = np.pi * 0.288**2
    for name in ("cd45_profile_cmj", "cd45_profile_depth", "cd45_profile_cma", "k14_profile_cmj"):
        assert curve(whole, name)["weight"].sum() == pytest.approx(parenchyma, rel=0.01)


def test_keratins_step_at_the_junction(whole: Row) -> None:
    k14, k8 = curve(whole, "k14_profile_cmj")["value"], curve(whole, "k8_profile_cmj")["value"]
    assert k14[-37.5] == pytest.approx(20, abs=1)
    assert k14[37.5] == pytest.approx(100, abs=1)
    assert k8[-37.5] == pytest.approx(60, abs=1)


def test_where_the_image_cuts_the_tissue_only_known_distances_count(whole: Row) -> None:
    # the cut passes 49 µm from the medulla
    cut = measured(*round_lobe(cut=110))
    full, part = curve(whole, "k14_profile_cmj"), curve(cut, "k14_profile_cmj")
    assert part["weight"].sum() < 0.8 * full["weight"].sum()
    shared = part.index.intersection(full.index)
    assert part.loc[shared, "value"].to_numpy() == pytest.approx(full.loc[shared, "value"].to_numpy(), rel=0.1)
    density = 6000 / (339 * 339 * 4e-6)
    found = curve(cut, "cd45_profile_cmj")
    assert found[found["weight"] > 0.01]["value"].to_numpy() / density == pytest.approx(1, abs=0.3)


@pytest.mark.parametrize(
    ("move", "place"),
    [
        (np.rot90, lambda p: np.stack([339 - p[:, 1], p[:, 0]], axis=1)),
        (np.fliplr, lambda p: np.stack([p[:, 0], 339 - p[:, 1]], axis=1)),
        (lambda a: np.pad(a, ((9, 3), (0, 21))), lambda p: p + np.array([9, 0])),
    ],
    ids=["turned", "flipped", "padded"],
)
def test_curves_turn_flip_and_move_with_the_section(
    whole: Row, move: Callable[[np.ndarray], np.ndarray], place: Callable[[np.ndarray], np.ndarray]
) -> None:
    labels, places = round_lobe()
    turned = measured(np.ascontiguousarray(move(labels)), place(places))
    for name in whole.curves["curve"].unique():
        one, two = curve(whole, name), curve(turned, name)
        assert one.index.tolist() == pytest.approx(two.index.tolist())
        # a cell or a pixel on the edge of a bin may change sides: distances are rounded to 24 bits
        assert two["value"].to_numpy() == pytest.approx(one["value"].to_numpy(), rel=0.02, abs=1e-9)
        assert two["weight"].to_numpy() == pytest.approx(one["weight"].to_numpy(), rel=0.02, abs=1e-9)


def test_cells_under_the_capsule_are_peripheral() -> None:
    labels, places = round_lobe()
    rim = places[np.hypot(*(places - 169.5).T) * PIXEL_UM > 255]
    row = measured(labels, rim)
    # the capsule's inner border lies at 288 µm: what lies beyond 238 µm is within 50 µm of it
    assert row.values["cd45_peripheral_share"] == 1
    assert row.values["cd45_inner_density_per_mm2"] == 0
    assert row.values["inner_parenchyma_area_mm2"] == pytest.approx(np.pi * 0.238**2, rel=0.02)
    assert row.values["cd45_median_cma2"] < -0.5


def test_without_a_medulla_the_axis_says_so() -> None:
    labels, places = round_lobe()
    row = measured(np.where(labels == 2, 1, labels).astype(np.uint8), places)
    assert "the medulla holds 0 points" in row.reasons["cd45_median_cma3"]
    assert "the medulla holds 0 points" in curve(row, "cd45_profile_cma")["reason"].iloc[0]
    assert curve(row, "cd45_profile_cmj")["reason"].iloc[0] == "there is no corticomedullary junction"
    assert np.isfinite(curve(row, "cd45_profile_depth")["value"]).all()

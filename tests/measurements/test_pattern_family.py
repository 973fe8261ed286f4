from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from thymusimg.compartments.model import Compartments
from thymusimg.measurements.families import pattern
from thymusimg.measurements.row import Row
from thymusimg.measurements.view import SectionView
from thymusimg.section.model import Grid
from thymusimg.settings import MeasurementSettings

Values = npt.NDArray[np.float64]
Labels = npt.NDArray[np.uint8]

SIZE = 256
PIXEL_UM = 2.0


def lobe() -> Labels:
    """A cortex of 480 µm with a medulla and a cyst, in a capsule."""
    y, x = (np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2) * PIXEL_UM
    r = np.hypot(y, x)
    labels = np.where(r < 250, 5, 0)
    labels[r < 240 + 10 * np.sin(3 * np.arctan2(y, x) + 0.5)] = 1
    labels[np.hypot(y - 30, x + 50) < 90] = 2
    labels[np.hypot(y + 120, x) < 40] = 4
    return labels.astype(np.uint8)


def measured(labels: Labels, cells: Values, pixel_um: float = PIXEL_UM, **settings: Any) -> Row:
    """Measure cells, given as (y, x) indices of the grid."""
    grid = Grid(labels.shape, pixel_um, 1)
    nothing = np.zeros(labels.shape, np.float32)
    compartments = Compartments(grid, labels, labels > 0, nothing, nothing, nothing, nothing, ())
    y, x = (cells * pixel_um).T
    found: Any = SimpleNamespace(table=pd.DataFrame({"y_um": y, "x_um": x}))
    slide: Any = None  # the pattern needs no pixel
    asked = MeasurementSettings(pattern_simulations=39, **settings)
    view = SectionView(slide, compartments, {}, asked, cells=found)
    row = Row()
    pattern.measure(row, view)
    assert set(row.values) == {c.name for c in pattern.COLUMNS}
    undefined = {k for k, v in row.values.items() if isinstance(v, float) and math.isnan(v)}
    assert undefined == set(row.reasons)
    assert set(row.curves["curve"]) == {c.name for c in pattern.CURVES}
    return row


def scattered(n: int = 800, seed: int = 0) -> Values:
    """Cells at random, three times as dense in the medulla."""
    rng = np.random.default_rng(seed)
    cells = rng.uniform(0, SIZE - 1, (4 * n, 2))
    code = lobe()[tuple(np.rint(cells).astype(int).T)]
    return np.concatenate([cells[code == 2], cells[code == 1][::3], cells[code == 5][:20]])


def clustered() -> Values:
    rng = np.random.default_rng(1)
    around = rng.uniform(60, 190, (15, 1, 2))
    return (around + rng.normal(0, 5, (15, 20, 2))).reshape(-1, 2)


def test_random_cells() -> None:
    row = measured(lobe(), scattered())
    values = row.values
    assert values["cd45_pattern_class"] == "not distinguishable from random"
    assert set(row.reasons) == {"cd45_cluster_scale_um"}
    assert values["cd45_clark_evans"] == pytest.approx(1, abs=0.05)
    assert values["cd45_neighbour_ratio_25um"] == pytest.approx(1, abs=0.1)
    uniform = measured(lobe(), scattered(), pattern_null="uniform").values
    assert uniform["cd45_pattern_class"] == "clustered"  # the medulla is denser, no more


def test_clustered_cells_and_their_curves() -> None:
    row = measured(lobe(), clustered())
    assert row.values["cd45_pattern_class"] == "clustered"
    assert row.values["cd45_l_excess_25um"] > 5
    assert 10 < row.values["cd45_cluster_scale_um"] < 50
    curves = row.curves
    g = curves[curves["curve"] == "cd45_g"]
    assert (g["value"] > g["high"]).any()
    assert (g["weight"] == row.values["cd45_pattern_cells"]).all()
    ell = curves[curves["curve"] == "cd45_l"]
    assert ell["x"].min() == 12.5
    assert (ell["low"] <= ell["high"]).all()


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        (np.zeros((0, 2)), "no human CD45+ cell"),
        (np.array([[128.0, 128.0]]), "1 cells in the parenchyma; a pattern needs 10"),
        (np.array([[128.0, 128.0], [150.0, 100.0]]), "2 cells in the parenchyma"),
        (np.array([[2.0, 2.0]] * 30), "no human CD45+ cell"),
    ],
)
def test_few_cells(cells: Values, reason: str) -> None:
    row = measured(lobe(), cells)
    assert reason in row.reasons["cd45_pattern_p"]
    assert reason in row.reasons["cd45_pattern_class"]
    assert row.curves["reason"].str.contains(reason, regex=False).all()
    inside = row.values["cd45_pattern_cells"]
    assert ("cd45_largest_empty_circle_um" in row.reasons) == (inside == 0)


def test_all_cells_in_one_pixel() -> None:
    row = measured(lobe(), np.full((40, 2), 128.25))
    assert row.values["cd45_clark_evans"] == 0
    assert row.values["cd45_pattern_cells"] == 40
    # all pairs are nearer than a cell's diameter: none is left
    assert row.values["cd45_neighbour_ratio_25um"] == 0


def test_what_is_too_narrow_too_many_or_not_there() -> None:
    strip = np.zeros((SIZE, SIZE), np.uint8)
    strip[100:115] = 1
    cells = np.stack([np.full(60, 107.0), np.linspace(3, 250, 60)], axis=1)
    assert "the parenchyma is 30 µm wide" in measured(strip, cells).reasons["cd45_pattern_p"]
    strip[100:190] = 1  # 180 µm: up to 45
    row = measured(strip, scattered())
    assert "a quarter of that, 45 µm" in row.reasons["cd45_l_excess_50um"]
    assert math.isfinite(float(row.values["cd45_l_excess_25um"]))
    assert "never thinned" in measured(lobe(), scattered(), pattern_max_cells=100).reasons["cd45_clark_evans"]
    assert "no parenchyma" in measured(lobe() * 0, scattered()).reasons["cd45_largest_empty_circle_um"]
    short = measured(lobe(), scattered(), pattern_reach_um=20)
    assert "from 10 to 20 µm" in short.reasons["cd45_neighbour_ratio_25um"]


def numbers(row: Row) -> dict[str, object]:
    return {k: v for k, v in row.values.items() if not isinstance(v, str)}


@pytest.mark.parametrize("turn", range(4))
def test_turning_flipping_and_padding_change_nothing(turn: int) -> None:
    labels, cells, last = lobe(), clustered(), SIZE - 1
    usual = numbers(measured(labels, cells))
    moves = [
        (np.rot90(labels), np.stack([last - cells[:, 1], cells[:, 0]], axis=1)),
        (labels[::-1], np.stack([last - cells[:, 0], cells[:, 1]], axis=1)),
        (labels.T, cells[:, ::-1]),
        (np.pad(labels, ((3, 9), (20, 0))), cells + np.array([3.0, 20.0])),
    ]
    moved, places = moves[turn]
    assert numbers(measured(np.ascontiguousarray(moved), places)) == pytest.approx(usual, rel=1e-9, nan_ok=True)


def test_finer_pixels_change_little() -> None:
    labels, cells = lobe(), scattered()
    fine = np.kron(labels, np.ones((2, 2), np.uint8))
    one, two = numbers(measured(labels, cells)), numbers(measured(fine, cells * 2 + 0.5, PIXEL_UM / 2))
    assert two == pytest.approx(one, rel=0.05, abs=0.02, nan_ok=True)

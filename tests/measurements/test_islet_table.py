"""Islets one by one: the same numbers as together, and where they lie."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from thymusimg.cells.model import CellMasks, Cells, Gate
from thymusimg.compartments.model import Compartment, Compartments
from thymusimg.measurements.shapes.islet_table import MEANINGS, islet_table
from thymusimg.measurements.shapes.islets import find_islets, label_islets
from thymusimg.section.model import Grid
from thymusimg.settings import MeasurementSettings

GRID = Grid((800, 1200), 0.5, 4)


def compartments() -> Compartments:
    labels = np.full(GRID.shape, Compartment.CORTEX, np.uint8)
    labels[40:80, 40:80] = Compartment.MEDULLA  # 80 µm
    labels[100:130, 200:220] = Compartment.MEDULLA
    labels[0:40, 280:300] = Compartment.MEDULLA  # cut
    labels[150:155, 20:25] = Compartment.MEDULLA  # too small
    nothing = np.zeros(GRID.shape, np.float32)
    return Compartments(GRID, labels, labels > 0, nothing, nothing, nothing, nothing, ())


def cells(places: list[tuple[float, float]]) -> Cells:
    table = pd.DataFrame(places, columns=["y_um", "x_um"])
    none = CellMasks(np.zeros((0, 4), np.int32), np.zeros(1, np.int64), np.zeros(0, bool))
    return Cells(table, none, np.zeros(GRID.shape, np.float32), Gate(1.0, 0.0, 1.0, "section"))


def test_islets_are_listed_as_they_are_counted() -> None:
    found, settings = compartments(), MeasurementSettings()
    table, labels = islet_table(found, settings)
    together = find_islets(found.mask(Compartment.MEDULLA), GRID.pixel_um)
    assert table["area_um2"].tolist() == together.areas_um2.tolist() == [6400.0, 3200.0, 2400.0]
    assert table["at_border"].tolist() == [False, True, False]
    np.testing.assert_array_equal(table["isoperimetric_ratio"], together.roundness)
    assert [np.count_nonzero(labels == i) * 4.0 for i in (1, 2, 3)] == table["area_um2"].tolist()
    assert table["y_um"].iloc[0] == pytest.approx(GRID.to_um(59.5))
    assert table["x_um"].iloc[2] == pytest.approx(GRID.to_um(209.5))
    assert set(table) == set(MEANINGS) - {"cd45_count", "cd45_density_per_mm2"}


def test_cells_count_for_the_islet_that_they_lie_in() -> None:
    table, _ = islet_table(
        compartments(), MeasurementSettings(), cells([(120.0, 120.0), (121.0, 122.0), (300.0, 42.0)])
    )
    assert table["cd45_count"].tolist() == [2, 0, 0]
    assert table["cd45_density_per_mm2"].iloc[0] == pytest.approx(2 / 0.0064)
    assert list(table) == list(MEANINGS)


def test_no_medulla_is_an_empty_table() -> None:
    islets, labels = label_islets(np.zeros((5, 5), bool), 2.0)
    assert islets.count == 0
    assert not labels.any()

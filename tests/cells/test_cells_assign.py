from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from thymusimg.cells.assign import assign_cells
from thymusimg.cells.model import CellMasks, Cells, Gate
from thymusimg.compartments.model import Compartments
from thymusimg.section.model import Grid

GRID = Grid.of((40, 60), 0.5)  # factor 4, 2 µm


def compartments() -> Compartments:
    labels = np.ones(GRID.shape, np.uint8)
    labels[:, 5:] = 2
    labels[8:] = 5
    y, x = np.indices(GRID.shape)
    ramp = GRID.to_um(x).astype(np.float32)
    axis = np.full(GRID.shape, 0.5, np.float32)
    axis[0] = np.nan
    depth = GRID.to_um(y).astype(np.float32)
    return Compartments(GRID, labels, labels > 0, ramp, ramp, depth, axis, ())


def cells(places) -> Cells:
    table = pd.DataFrame(places, columns=["y_um", "x_um"])
    none = CellMasks(np.zeros((0, 4), np.int32), np.zeros(1, np.int64), np.zeros(0, bool))
    return Cells(table, none, np.zeros(GRID.shape, np.float32), Gate(1, 0, 1, "section"))


def test_compartment_is_the_coarse_pixel_of_the_centroid():
    # full-resolution pixels 0-19 are cortex: the border lies at 9.75 µm from the first pixel's centre
    table = assign_cells(cells([[3, 9.7], [3, 9.8], [17, 3]]), compartments()).table
    assert table["compartment"].tolist() == ["cortex", "medulla", "other"]


def test_distances_are_bilinear():
    table = assign_cells(cells([[3.0, 6.3], [7.77, 11.1]]), compartments()).table
    np.testing.assert_allclose(table["distance_to_cmj_um"], [6.3, 11.1], rtol=1e-6)
    np.testing.assert_allclose(table["depth_from_capsule_um"], [3.0, 7.77], rtol=1e-6)


def test_undefined_neighbours_leave_the_nearest_value():
    table = assign_cells(cells([[1.5, 5], [2.3, 5], [0, 5]]), compartments()).table
    assert np.isnan(table["axis"][0])
    assert table["axis"][1] == 0.5
    assert np.isnan(table["axis"][2])


def test_no_cells_and_no_junction():
    bare = replace(compartments(), distance_to_cmj_um=np.full(GRID.shape, np.nan, np.float32))
    table = assign_cells(cells(np.zeros((0, 2))), bare).table
    assert table.columns[-4:].tolist() == ["compartment", "distance_to_cmj_um", "depth_from_capsule_um", "axis"]
    assert len(table) == 0
    assert np.isnan(assign_cells(cells([[3, 3]]), bare).table["distance_to_cmj_um"]).all()

from __future__ import annotations

import numpy as np
import pytest

from thymusimg.compartments.junction import (
    contour_length,
    corticomedullary_axis,
    depth_from_capsule_um,
    junction_contours,
    signed_distance_um,
)
from thymusimg.compartments.model import Compartment
from thymusimg.compartments.shapes import closed, dilate, drop_small, erode, fill_holes, fill_small_holes, opened
from thymusimg.compartments.smooth import blur
from thymusimg.section.model import Grid

SHAPE = (301, 321)
GRID = Grid((1204, 1284), 0.5, 4)
Y, X = np.indices(SHAPE)
AWAY_UM = np.hypot(Y - 150, X - 160) * 2.0


def rings(radius_um: float, lobe_um: float = 280.0) -> np.ndarray:
    labels = np.zeros(SHAPE, np.uint8)
    labels[lobe_um >= AWAY_UM] = Compartment.CORTEX
    labels[radius_um >= AWAY_UM] = Compartment.MEDULLA
    return labels


@pytest.mark.parametrize("radius_um", [60.0, 120.0, 200.0])
def test_length_and_place_of_a_circle(radius_um: float) -> None:
    (line,) = junction_contours(rings(radius_um), GRID, 10.0)
    assert contour_length(line) == pytest.approx(2 * np.pi * radius_um, rel=0.02)
    centre = GRID.to_um([150, 160])
    assert np.hypot(*(line - centre).T) == pytest.approx(radius_um, abs=2.0)


def test_borders_on_anything_else_do_not_count() -> None:
    labels = rings(120.0)
    labels[(X < 160) & (labels == Compartment.CORTEX)] = Compartment.INDETERMINATE
    lines = junction_contours(labels, GRID, 10.0)
    assert sum(map(contour_length, lines)) == pytest.approx(np.pi * 120, rel=0.06)
    assert min(line[:, 1].min() for line in lines) > GRID.to_um(160) - 15
    assert junction_contours(np.where(labels == 1, 0, labels).astype(np.uint8), GRID, 10.0) == ()


def test_signed_distance_of_a_circle() -> None:
    labels = rings(120.0)
    tissue = labels > 0
    lines = junction_contours(labels, GRID, 10.0)
    found = signed_distance_um(labels, tissue, lines, GRID)
    assert np.isnan(found[~tissue]).all()
    assert np.abs(found[tissue] - (120.0 - AWAY_UM[tissue])).max() < 2.5
    assert (found[labels == Compartment.CORTEX] <= 0).all()
    assert (found[labels == Compartment.MEDULLA] >= 0).all()
    assert np.isnan(signed_distance_um(labels, tissue, (), GRID)).all()


def test_depth_ignores_holes_and_axis_runs_from_zero_to_one() -> None:
    labels = rings(120.0)
    tissue = labels > 0
    torn = tissue & ~((np.abs(Y - 60) < 8) & (np.abs(X - 160) < 8))
    depth = depth_from_capsule_um(torn, GRID)
    assert np.abs(depth[torn] - (280 - AWAY_UM[torn])).max() < 3
    axis = corticomedullary_axis(labels, depth, GRID)
    assert (axis[torn & (labels == Compartment.MEDULLA)] == 1).all()
    middle = torn & (np.abs(AWAY_UM - 200) < 1)
    assert axis[middle] == pytest.approx(0.5, abs=0.02)
    assert np.nanmin(axis) >= 0
    assert np.nanmax(axis) <= 1
    assert np.isnan(corticomedullary_axis(np.where(labels == 2, 1, labels).astype(np.uint8), depth, GRID)).all()


def test_shapes_keep_their_promises() -> None:
    dot = np.zeros((41, 41), bool)
    dot[20, 20] = True
    for radius in (3.0, 4.5, 7.0):
        grown = dilate(dot, radius)
        y, x = np.nonzero(grown)
        assert np.hypot(y - 20, x - 20).max() <= radius
        assert np.count_nonzero(grown) == pytest.approx(np.pi * radius**2, rel=0.15)
        np.testing.assert_array_equal(erode(~dot, radius), ~grown)
    bar = np.zeros((60, 60), bool)
    bar[10:50, 10:50] = True
    bar[28:32, 50:60] = True
    assert not opened(bar, 4.0)[28:32, 55:].any()
    assert opened(bar, 4.0)[30, 30]
    bar[20, 20] = False
    assert closed(bar, 3.0)[20, 20]
    assert fill_holes(bar)[20, 20]
    assert fill_small_holes(bar, 1)[20, 20]
    assert not fill_small_holes(bar, 0)[20, 20]
    assert not drop_small(dot, 2).any()


@pytest.mark.parametrize("sigma", [1.5, 4.0, 6.3, 20.0])
def test_blur_has_the_sigma_that_was_asked_for(sigma: float) -> None:
    plane = np.zeros((257, 257))
    plane[128, 128] = 1
    out = blur(plane, sigma)
    y = np.arange(257) - 128
    assert out.sum() == pytest.approx(1, abs=1e-3)
    assert np.sqrt((out.sum(1) * y**2).sum()) == pytest.approx(sigma, rel=0.04)

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial import cKDTree

from thymusimg.compartments.model import Compartment
from thymusimg.measurements.population.axis import Axis, corticomedullary_axis, mean_distance_um
from thymusimg.measurements.population.hexgrid import lay_hex_grid


def thymus(height: int = 150, width: int = 210, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels and depth of a random lobe: cortex outside, medulla where a smooth field is high."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    tissue = np.hypot((y - height / 2 + 0.5) / height, (x - width / 2 + 0.5) / width) < 0.45
    field = ndimage.gaussian_filter(rng.normal(size=tissue.shape), 9)
    depth = ndimage.distance_transform_edt(tissue)
    labels = np.where(tissue, np.where((field > 0) & (depth > 12), 2, 1), 0).astype(np.uint8)
    labels[(field < -0.02) & tissue] = Compartment.INDETERMINATE
    return labels, np.where(tissue, (depth - 0.5) * 2, np.nan).astype(np.float32)


def pixels(axis: Axis, labels: np.ndarray) -> np.ndarray:
    out = np.full((2, *labels.shape), np.nan)
    where = np.nonzero(labels)
    for i, values in enumerate((axis.cma2, axis.cma3)):
        out[i][where] = axis.grid.at(values, *where)
    return out


@pytest.mark.parametrize("neighbours", [1, 5, 10, 23])
def test_mean_distance_is_that_of_a_search_among_all_points(neighbours: int) -> None:
    rng = np.random.default_rng(1)
    grid = lay_hex_grid(np.ones((120, 160), bool), 2.0, 10.0)
    structure = grid.valid & (ndimage.gaussian_filter(rng.normal(size=grid.valid.shape), 5) > 0.02)
    points = grid.points_um()
    every = cKDTree(points[structure[grid.valid]]).query(points, k=neighbours)[0].reshape(len(points), -1)
    found = mean_distance_um(grid, structure, neighbours)
    assert found[grid.valid] == pytest.approx(every.mean(axis=1), abs=1e-9)
    assert np.isnan(found[~grid.valid]).all()


def test_ten_neighbours_on_15_um_are_16_8_um_away() -> None:
    grid = lay_hex_grid(np.ones((200, 200), bool), 2.0, 15.0)
    middle = mean_distance_um(grid, grid.valid)[grid.reach]
    assert middle == pytest.approx((6 * 15 + 3 * 15 * np.sqrt(3)) / 10)


def test_places_take_the_value_of_the_nearest_point() -> None:
    rng = np.random.default_rng(2)
    grid = lay_hex_grid(np.ones((90, 130), bool), 1.3, 10.0)
    values = np.where(grid.valid, rng.random(grid.valid.shape), np.nan)
    places = rng.uniform(0, [89, 129], (2000, 2))
    across, along = ((places - grid.centre_px) * 1.3).T
    nearest = cKDTree(grid.points_um()).query(np.column_stack([across, along]))[1]
    assert np.array_equal(grid.at(values, *places.T), values[grid.valid][nearest])


@pytest.mark.parametrize("shape", [(150, 210), (210, 150), (180, 180)])
def test_the_axis_turns_flips_and_moves_with_the_section(shape: tuple[int, int]) -> None:
    labels, depth = thymus(*shape, seed=3)
    usual = pixels(corticomedullary_axis(labels, depth, 2.0), labels)
    for move in (np.rot90, np.fliplr, np.flipud, lambda a: np.rot90(np.fliplr(a))):
        turned = np.ascontiguousarray(move(labels))
        axis = corticomedullary_axis(turned, np.ascontiguousarray(move(depth)), 2.0)
        assert np.array_equal(pixels(axis, turned), np.stack([move(p) for p in usual]), equal_nan=True)
    wide = ((13, 4), (7, 0))
    padded = np.pad(labels, wide)
    axis = corticomedullary_axis(padded, np.pad(depth, wide, constant_values=np.nan), 2.0)
    assert np.array_equal(pixels(axis, padded)[:, 13:-4, 7:], usual, equal_nan=True)


def test_the_axis_hardly_depends_on_the_pixel_size() -> None:
    labels, depth = thymus(seed=4)
    coarse = pixels(corticomedullary_axis(labels, depth, 2.0), labels)
    fine_labels = np.kron(labels, np.ones((2, 2), np.uint8))
    fine = corticomedullary_axis(fine_labels, np.kron(depth, np.ones((2, 2), np.float32)), 1.0)
    again = pixels(fine, fine_labels)[:, ::2, ::2]
    assert np.nanmean(np.abs(again - coarse)) < 0.02


def test_the_axis_rises_inwards_and_stays_between_minus_one_and_one() -> None:
    labels = np.zeros((260, 400), np.uint8)
    labels[10:130], labels[130:250] = Compartment.CORTEX, Compartment.MEDULLA
    rows = np.arange(260, dtype=np.float32)[:, None] * np.ones(400, np.float32)
    depth = np.where(labels > 0, (rows - 9.5) * 2, np.nan).astype(np.float32)
    axis = corticomedullary_axis(labels, depth, 2.0)
    for values in (axis.cma2, axis.cma3):
        line = axis.grid.at(values, np.arange(12, 245, 10), np.full(24, 200))
        assert (np.diff(line) > -0.02).all()
        assert line[0] < -0.6
        assert line[-1] > 0.7
        known = values[np.isfinite(values)]
        assert ((known > -1) & (known < 1)).all()


def test_without_a_compartment_the_axis_is_undefined() -> None:
    labels, depth = thymus(seed=5)
    axis = corticomedullary_axis(np.where(labels == 2, 1, labels).astype(np.uint8), depth, 2.0)
    assert axis.reason3 == axis.reason2 == "the medulla holds 0 points of the 10 µm grid; 10 are needed"
    assert np.isnan(axis.cma3).all()
    no_cortex = corticomedullary_axis(np.where(labels == 1, 3, labels).astype(np.uint8), depth, 2.0)
    assert "cortex" in no_cortex.reason3
    assert no_cortex.reason2 == ""
    assert np.isfinite(no_cortex.cma2).any()
    cut = corticomedullary_axis(labels, np.full_like(depth, np.nan), 2.0)
    assert "capsule" in cut.reason2

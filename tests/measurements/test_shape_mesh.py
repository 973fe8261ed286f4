"""Meshes, voids, lacunarity and contact against their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import ndimage

from thymusimg.measurements.network.mesh import (
    find_voids,
    lacunarity,
    mesh_width_px,
    width_histogram,
    width_quantile_um,
)
from thymusimg.measurements.population.contact import chance_within, measure_contact


def test_widths_against_painted_discs() -> None:
    noise = ndimage.gaussian_filter(np.random.default_rng(5).normal(size=(90, 90)), 4)
    mask = noise > 0
    mask[[0, -1]] = mask[:, [0, -1]] = False
    depth = ndimage.distance_transform_edt(mask)
    y, x = np.mgrid[:90, :90]
    painted = np.zeros(mask.shape)
    for cy, cx in np.argwhere(mask):
        inside = np.hypot(y - cy, x - cx) < depth[cy, cx]
        painted[inside] = np.maximum(painted[inside], depth[cy, cx])
    wanted = np.maximum(2 * (painted - 0.25), 1)[mask]
    found = mesh_width_px(mask, 200)[mask]
    # centres that a neighbour's disc covers but for a fifth of a pixel are left out: a few rim pixels get less
    assert (found <= wanted + 1e-4).all()
    assert (found == pytest.approx(wanted, abs=1e-4)) or np.mean(np.abs(found - wanted) < 1e-4) > 0.97
    assert np.median(found) == pytest.approx(np.median(wanted), abs=0.3)


@pytest.mark.parametrize("width", [5, 8, 20, 33])
def test_stripes_are_as_wide_as_they_are(width: int) -> None:
    mask = np.ones((150, 300), bool)
    mask[:, :: width + 3] = mask[:, 1 :: width + 3] = mask[:, 2 :: width + 3] = False
    inner = mesh_width_px(mask, 100)[:, 60:240]
    assert np.median(inner[inner > 0]) == pytest.approx(width, abs=0.5)


def test_wide_places_are_cut() -> None:
    assert mesh_width_px(np.ones((50, 50), bool), 30).max() == pytest.approx(29.5)


def test_turning_does_not_show() -> None:
    mask = ndimage.gaussian_filter(np.random.default_rng(6).normal(size=(120, 100)), 3) > 0
    turned = np.rot90(mesh_width_px(np.ascontiguousarray(np.rot90(mask)), 60), -1)
    assert (turned == mesh_width_px(mask, 60)).all()


def test_quantiles_of_the_histogram() -> None:
    width = np.array([[4.0, 4.0, 8.0, 0.0]], np.float32)
    counts = width_histogram(width, np.array([[1, 1, 1, 1]], np.uint8), 0.5, 3)
    assert counts.sum() == 3
    assert width_quantile_um(counts[1], 0.5) == pytest.approx(2.0, abs=0.25)
    assert width_quantile_um(counts[1], 0.95) == pytest.approx(4.0, abs=0.25)
    assert math.isnan(width_quantile_um(counts[2], 0.5))


def test_voids_are_told_from_meshes_and_from_cysts() -> None:
    y, x = np.mgrid[:200, :300] * 2.0
    positive = np.ones(y.shape, np.float32)
    filled, empty = np.hypot(y - 150, x - 150) < 40, np.hypot(y - 150, x - 420) < 30
    positive[filled | empty] = 0
    positive[300:, :] = 1
    positive[180:184, 20:200] = 0  # a gap 8 µm wide is no void, however long
    dapi = np.where(empty, 5, 100).astype(np.float32)
    voids = find_voids(positive, np.ones(y.shape, bool), dapi, 2.0)
    assert voids.number == 2
    assert voids.area_mm2 == pytest.approx(math.pi * (40**2 + 30**2) * 1e-6, rel=0.03)
    assert voids.filled_mm2 == pytest.approx(math.pi * 40**2 * 1e-6, rel=0.03)
    unknown = find_voids(positive, np.ones(y.shape, bool), None, 2.0)
    assert math.isnan(unknown.filled_mm2)
    assert unknown.area_mm2 == voids.area_mm2


def test_a_small_hole_is_no_void() -> None:
    positive = np.ones((100, 100), np.float32)
    positive[40:54, 40:54] = 0  # 784 µm²
    assert find_voids(positive, np.ones((100, 100), bool), None, 2.0).number == 0


@pytest.mark.parametrize("n", [1, 2, 4])
def test_lacunarity_of_independent_pixels(n: int) -> None:
    p = 0.3
    plane = (np.random.default_rng(7).random((600, 600)) < p).astype(np.float32)
    found = lacunarity(plane, np.ones(plane.shape, bool), 1.0, sides_um=(n,)).value[0]
    assert found == pytest.approx(1 + (1 - p) / (p * n * n), rel=0.01)


def test_lacunarity_keeps_inside_the_mask() -> None:
    plane = np.ones((60, 60), np.float32)
    inside = np.zeros((60, 60), bool)
    inside[10:30, 10:30] = True
    plane[~inside] = 100
    found = lacunarity(plane, inside, 1.0, sides_um=(10.0, 40.0))
    assert found.value[0] == pytest.approx(1)
    assert found.weight_mm2[0] == pytest.approx(11 * 11 * 1e-6)
    assert math.isnan(found.value[1])


def test_cells_at_random_have_a_ratio_of_one_and_the_range_holds_it() -> None:
    rng = np.random.default_rng(8)
    chance, held = np.full(400, 0.3), 0
    for seed in range(100):
        distance = np.where(rng.random(400) < 0.3, 0.0, 20.0)
        found = measure_contact(distance, np.full(400, 3.0), chance, seed=seed)
        held += found.low <= found.ratio <= found.high
    assert 88 <= held <= 100


def test_cells_at_the_network() -> None:
    found = measure_contact(np.full(50, 4.0), np.full(50, 3.0), np.full(50, 0.2))
    assert (found.share, found.ratio) == (1, pytest.approx(5))
    assert found.low < 1 < found.high < found.ratio


def test_no_cells_and_no_network() -> None:
    none = np.zeros(0)
    assert math.isnan(measure_contact(none, none, none).ratio)
    far = measure_contact(np.full(3, 12.0), np.full(3, 3.0), np.zeros(3))
    assert (far.share, far.expected) == (0, 0)
    assert math.isnan(far.ratio)


def test_the_chance_is_the_share_of_the_area() -> None:
    counts = np.array([10, 20, 30, 40])  # the last: beyond 0.75
    assert chance_within(np.array([0.0, 0.25, 0.375, 0.75]), counts, 0.25) == pytest.approx([0, 0.1, 0.2, 0.6])
    assert math.isnan(chance_within(np.array([1.0]), counts, 0.25)[0])

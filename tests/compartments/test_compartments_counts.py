"""Ring medians and sides of patches against their definitions, written out."""

from __future__ import annotations

import numpy as np

from thymusimg.compartments.cyst import _ring_medians
from thymusimg.compartments.edge import _facing
from thymusimg.compartments.shapes import fill_holes, holes


def test_ring_medians_are_those_of_each_ring() -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(size=400).astype(np.float32)
    distance = np.sqrt(rng.integers(0, 150, 400)).astype(np.float32)
    distance[(distance > 4) & (distance <= 5)] = np.inf
    rings = [values[(distance > n) & (distance <= n + 1)] for n in range(9)]
    expected = [float(np.median(ring)) if len(ring) else 0.0 for ring in rings]
    assert expected[4] == 0.0
    np.testing.assert_array_equal(_ring_medians(values, distance, 9), expected)


def test_no_pixel_near_leaves_every_ring_at_zero() -> None:
    assert not _ring_medians(np.ones(3, np.float32), np.full(3, np.inf, np.float32), 4).any()


def test_every_side_of_a_patch_is_counted_once() -> None:
    patch = np.zeros((5, 6), np.uint32)
    patch[1:3, 1:4] = 1
    patch[4, 5] = 2  # in a corner: two of its sides lie against nothing
    assert _facing(patch, patch == 0, 3).tolist() == [0, 10, 2]
    assert _facing(patch, np.zeros(patch.shape, bool), 3).tolist() == [0, 0, 0]


def test_filling_agrees_with_the_numbered_holes() -> None:
    mask = np.random.default_rng(5).random((60, 70)) < 0.6
    np.testing.assert_array_equal(fill_holes(mask), mask | (holes(mask)[0] > 0))
    assert fill_holes(np.ones((3, 4), bool)).all()
    assert not fill_holes(np.zeros((3, 4), bool)).any()

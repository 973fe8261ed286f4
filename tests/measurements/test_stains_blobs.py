from __future__ import annotations

import math

import numpy as np
import pytest

from thymusimg.measurements.pattern.cross import measure_cross_pattern
from thymusimg.measurements.pattern.window import Window
from thymusimg.measurements.smoothing import smooth_to
from thymusimg.measurements.stains.blobs import cross_ratio, find_blobs

FULL = np.ones((300, 300), bool)


def bodies(places: np.ndarray, pixel_um: float = 2.0) -> np.ndarray:
    plane = np.zeros(FULL.shape, np.float32)
    plane[tuple(places.astype(int).T)] = 1000
    return smooth_to(plane, 6.0, pixel_um)


def test_every_body_is_found_once_where_it_lies() -> None:
    places = np.stack(np.meshgrid(np.arange(20, 290, 15), np.arange(20, 290, 20), indexing="ij"), -1).reshape(-1, 2)
    found = find_blobs(bodies(places), FULL, 1.0, 2.0)
    np.testing.assert_allclose(found, places, atol=0.05)


def test_dim_bodies_and_bodies_outside_are_none() -> None:
    plane = bodies(np.array([[50, 50], [50, 200]])) + 0.05 * bodies(np.array([[200, 200]]))
    inside = FULL.copy()
    inside[:, 150:] = False
    assert len(find_blobs(plane, FULL, 1.0, 2.0)) == 2
    assert len(find_blobs(plane, inside, 1.0, 2.0)) == 1
    assert len(find_blobs(plane, FULL, math.nan, 2.0)) == 0
    assert len(find_blobs(plane, FULL & False, 1.0, 2.0)) == 0


@pytest.mark.parametrize("turn", [np.rot90, np.fliplr, np.transpose])
def test_turning_turns_the_spots(turn) -> None:
    rng = np.random.default_rng(0)
    plane = smooth_to(rng.normal(size=FULL.shape).astype(np.float32), 8.0, 2.0)
    one = find_blobs(plane, FULL, 0.0, 2.0)
    two = find_blobs(np.ascontiguousarray(turn(plane)), FULL, 0.0, 2.0)
    assert abs(len(one) - len(two)) <= 1  # maxima that are equal to the last bit of a float32 sum


def test_spots_mixed_at_random_and_spots_in_two_halves() -> None:
    rng = np.random.default_rng(1)
    at = rng.uniform(0, 598, (800, 2))
    window = Window.of(np.ones((300, 300), np.uint8), 2.0)
    radii = np.array([25.0, 50.0])
    mixed = rng.random(800) < 0.4
    assert cross_ratio(
        measure_cross_pattern(at[mixed], at[~mixed], window, radii, simulations=59), 50
    ) == pytest.approx(1, abs=0.1)
    left = at[:, 0] < 250
    apart = measure_cross_pattern(at[left], at[~left], window, radii, simulations=59)
    assert cross_ratio(apart, 50) < 0.2
    assert apart.null.p == pytest.approx(1 / 60)

"""The opened area against the definition: pixels nearer than the radius to a place that deep in the mask."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from thymusimg.measurements.shapes.opening import STEPS, opened_area
from thymusimg.measurements.smoothing import depth_px, distance_px


@pytest.mark.parametrize("seed", range(12))
def test_it_is_what_two_distance_transforms_say(seed: int) -> None:
    rng = np.random.default_rng(seed)
    noise = rng.random((rng.integers(1, 90), rng.integers(1, 90))).astype(np.float32)
    mask = cv2.GaussianBlur(noise, (0, 0), rng.uniform(0.5, 4)) > 0.5
    depth = depth_px(mask)
    for radius in range(1, 60):
        centres = depth >= radius / STEPS
        expected = np.count_nonzero(distance_px(centres) < radius / STEPS) if centres.any() else 0
        assert opened_area(depth, radius) == expected


def test_a_disc_opened_by_itself_stays_and_by_more_is_gone() -> None:
    y, x = np.mgrid[-20:21, -20:21]
    disc = np.hypot(y, x) < 15
    depth = depth_px(disc)
    assert opened_area(depth, round(depth.max() * STEPS)) == disc.sum()
    assert opened_area(depth, round(depth.max() * STEPS) + 1) == 0

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from thymusimg.compartments.distance import distance_px, distance_within, within
from thymusimg.section.quantile import quantiles


@pytest.mark.parametrize("shape", [(30, 41), (1, 50), (50, 1), (120, 90)])
@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.999])
def test_distances_are_exact(shape: tuple[int, int], share: float) -> None:
    mask = np.random.default_rng(0).random(shape) > share
    mask[0, 0] = False
    truth = distance_transform_edt(mask)
    np.testing.assert_array_equal(distance_px(mask), truth.astype(np.float32))
    np.testing.assert_array_equal(distance_px(mask.T), truth.T.astype(np.float32))
    for radius in (0.5, 1.0, 3.0, 4.5, 12.5):
        np.testing.assert_array_equal(within(~mask, radius), truth <= radius)
    for limit in (0.5, 1.0, 4.25, 25.0, 127.0, 127.5):  # the last is too far for the quick way
        np.testing.assert_array_equal(
            distance_within(mask, limit), np.minimum(distance_px(mask), np.float32(limit))
        )


def test_near_distances_in_large_planes() -> None:
    y, x = np.mgrid[:300, :417]
    mask = np.hypot(y - 150, x - 200) < 140  # rows of several runs, depths beyond the limit
    mask &= np.random.default_rng(2).random(mask.shape) > 0.0005
    for limit in (48.0, 73.85, 96.0, 127.0):
        np.testing.assert_array_equal(
            distance_within(mask, limit), np.minimum(distance_px(mask), np.float32(limit))
        )


def test_a_mask_without_an_end_is_infinitely_deep() -> None:
    assert np.isinf(distance_px(np.ones((5, 7), bool))).all()
    assert not within(np.zeros((5, 7), bool), 3.0).any()
    assert (distance_within(np.ones((5, 7), bool), 3.5) == 3.5).all()


@pytest.mark.parametrize("count", [7, 30_000])
def test_quantiles_are_those_of_the_sorted_values(count: int) -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(0, 3, count).astype(np.float32)
    values[: count // 3] = np.round(values[: count // 3])
    where = rng.random(count) > 0.3
    where[0] = True
    shares = (0, 0.001, 0.1587, 0.5, 0.75, 0.995, 1)
    assert quantiles(values, shares) == pytest.approx(np.quantile(values.astype(float), shares), abs=1e-12)
    assert quantiles(values, shares, where) == pytest.approx(
        np.quantile(values[where].astype(float), shares), abs=1e-12
    )
    with pytest.raises(ValueError, match="no pixel"):
        quantiles(values, (0.5,), np.zeros(count, bool))

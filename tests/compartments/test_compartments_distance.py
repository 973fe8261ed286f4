from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from thymusimg.compartments.distance import distance_px, within
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


def test_a_mask_without_an_end_is_infinitely_deep() -> None:
    assert np.isinf(distance_px(np.ones((5, 7), bool))).all()
    assert not within(np.zeros((5, 7), bool), 3.0).any()


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

from __future__ import annotations

import numpy as np
import pytest

from thymusimg.channels.fold import BINS, find_period, fold, half_doubt, repeat_score, template


def repeating(period: float, size: int = 1200, noise: float = 0.3, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return -((2 * (np.arange(size) / period % 1) - 1) ** 2) + noise * rng.standard_normal(size)


@pytest.mark.parametrize("period", [61.3, 120.0, 250.0])
def test_a_period_is_found(period):
    profile = repeating(period)
    found, score = find_period(profile, np.ones(profile.size))
    assert found == pytest.approx(period, rel=0.01)
    assert score > 12


@pytest.mark.parametrize("seed", range(5))
def test_smooth_chance_does_not_repeat(seed):
    from scipy.ndimage import gaussian_filter1d

    profile = gaussian_filter1d(np.random.default_rng(seed).standard_normal(1200), 25)
    _, score = find_period(profile, np.ones(profile.size))
    assert score < 12


def test_halves_agree_on_a_pattern_and_not_on_chance():
    weight = np.ones(1200)
    for profile, agree in ((repeating(100), True), (np.random.default_rng(0).standard_normal(1200), False)):
        folded = fold(profile, weight, 100)
        size = np.sqrt(np.mean(template(folded) ** 2))
        assert (half_doubt(folded) < 0.5 * size) == agree


def test_folding_by_hand():
    profile = np.tile(np.arange(BINS, dtype=float), 5)
    folded = fold(profile, np.ones(profile.size), BINS)
    assert folded.mean.shape == (5, BINS)
    np.testing.assert_allclose(template(folded), np.arange(BINS) - (BINS - 1) / 2)


def test_too_few_cycles_are_no_period():
    found, score = find_period(np.ones(100), np.ones(100))
    assert np.isnan(found)
    assert score == 0
    assert repeat_score(fold(repeating(500), np.ones(1200), 500)) == 0

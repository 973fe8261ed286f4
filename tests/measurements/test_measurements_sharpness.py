from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import curve_fit
from scipy.stats import norm
from skimage.measure import find_contours

from thymusimg.measurements.shapes.sharpness import (
    WIDTH_10_90,
    Sharpness,
    fit_edges,
    junction_sharpness,
    weighted_quantile,
)


def test_the_width_of_a_normal_edge_by_hand() -> None:
    # Φ(1.2816) = 0.9, so from 10 to 90 % it is 2 · 1.2816
    assert pytest.approx(2.563, abs=5e-4) == WIDTH_10_90


def measured(
    s_um: float, pixel_um: float = 2.0, *, gain: float = 1.0, offset: float = 5.0, noise: float = 0
) -> Sharpness:
    """A round medulla of 240 µm radius in cortex up to 470 µm, K14 an error function of ``s_um``."""
    n = int(960 / pixel_um)
    y, x = (np.mgrid[:n, :n] - (n - 1) / 2) * pixel_um
    depth = 240 - np.hypot(y, x)
    k14 = offset + gain * (100 * norm.cdf(depth / s_um) + noise * np.random.default_rng(6).normal(size=(n, n)))
    medulla, cortex = depth > 0, (depth <= 0) & (depth > -230)
    lines = find_contours(depth, 0.0)
    return junction_sharpness(k14.astype(np.float32), medulla, cortex, lines, pixel_um)


@pytest.mark.parametrize("s_um", [6, 12, 30])
def test_the_width_of_a_known_edge(s_um: float) -> None:
    found = measured(s_um)
    assert found.width_um == pytest.approx(2.563 * s_um, rel=0.02)
    assert found.r2 > 0.99
    assert found.profiled_mm == pytest.approx(2 * math.pi * 0.24, rel=0.01)


def test_the_width_does_not_follow_gain_offset_noise_or_pixel_size() -> None:
    one = measured(12).width_um
    assert measured(12, gain=2, offset=300).width_um == pytest.approx(one, rel=1e-3)
    assert measured(12, noise=10).width_um == pytest.approx(one, rel=0.05)
    assert measured(12, 1.0).width_um == pytest.approx(one, rel=0.05)


def test_contrast_is_the_step_over_the_medullary_plateau() -> None:
    # b = 25, h = 100: 100 / 125
    assert measured(12, offset=25).contrast == pytest.approx(0.8, rel=0.01)


def test_a_step_is_as_sharp_as_a_pixel() -> None:
    assert measured(0.01).width_um < 2.563 * 1.0  # half a pixel of 2 µm


def test_a_flat_stain_has_no_width() -> None:
    found = measured(12, gain=0)
    assert math.isnan(found.width_um)
    assert found.fitted_share == 0


def test_a_reversed_stain_has_no_width() -> None:
    assert math.isnan(measured(12, gain=-1, offset=200).width_um)


def test_small_islets_have_no_profile() -> None:
    # radius 40 µm: a profile leaves the islet on its far side at 80 µm
    n = 200
    y, x = (np.mgrid[:n, :n] - (n - 1) / 2) * 2.0
    depth = 40 - np.hypot(y, x)
    k14 = norm.cdf(depth / 5).astype(np.float32)
    found = junction_sharpness(k14, depth > 0, (depth <= 0) & (depth > -150), find_contours(depth, 0.0), 2.0)
    assert math.isnan(found.width_um)
    assert found.profiled_mm == 0


def test_no_line_has_no_width() -> None:
    empty = np.zeros((10, 10), bool)
    assert math.isnan(junction_sharpness(np.zeros((10, 10), np.float32), empty, empty, [], 2.0).width_um)


def test_fits_agree_with_scipy() -> None:
    rng = np.random.default_rng(7)
    x = np.arange(-100.0, 101, 2)
    truth = [(3, 50, 5, 8), (0, 20, -20, 25), (10, 100, 0, 3)]
    profiles = np.stack([b + h * norm.cdf(x, m, s) + rng.normal(0, 2, x.size) for b, h, m, s in truth])
    fit = fit_edges(profiles, x)
    for i, start in enumerate(truth):
        wanted, _ = curve_fit(lambda t, b, h, m, s: b + h * norm.cdf(t, m, s), x, profiles[i], p0=start)
        assert [v[i] for v in fit[:4]] == pytest.approx(wanted, rel=1e-3, abs=1e-2)


def test_weighted_quantiles() -> None:
    values = np.array([3.0, 1.0, 2.0])
    assert weighted_quantile(values, np.array([1.0, 1.0, 1.0]), 0.5) == 2
    assert weighted_quantile(values, np.array([5.0, 1.0, 1.0]), 0.5) == 3
    assert weighted_quantile(np.array([1.0, 2.0]), np.ones(2), 0.5) == 1.5

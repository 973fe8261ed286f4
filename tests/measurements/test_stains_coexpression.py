from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import ndimage, stats
from skimage.measure import manders_coloc_coeff, pearson_corr_coeff

from thymusimg.measurements.stains import autocorrelation
from thymusimg.measurements.stains.autocorrelation import autocorrelation_length_um
from thymusimg.measurements.stains.manders import colocalise, costes_thresholds
from thymusimg.measurements.stains.scramble import scramble_null

SIZE = 240
Y, X = np.mgrid[:SIZE, :SIZE]
ROUND = np.hypot(Y - 119.5, X - 119.5) < 110


def field(seed: int, sigma: float = 6.0) -> np.ndarray:
    smooth = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(SIZE, SIZE)), sigma, mode="wrap")
    return np.exp(smooth / smooth.std()).astype(np.float32)


def test_manders_and_pearson_agree_with_scikit_image() -> None:
    a, b = field(0), field(1) + 0.5 * field(0)
    found = colocalise(a, b, ROUND, 1.2, 2.0)
    assert found.m1 == pytest.approx(manders_coloc_coeff(a, b > 2.0, ROUND), rel=1e-6)
    assert found.m2 == pytest.approx(manders_coloc_coeff(b, a > 1.2, ROUND), rel=1e-6)
    assert found.pearson == pytest.approx(pearson_corr_coeff(a, b, ROUND)[0], rel=1e-5)
    assert found.pearson == pytest.approx(stats.pearsonr(a[ROUND].astype(float), b[ROUND].astype(float))[0])


def test_icq_by_hand() -> None:
    # means 2 and 2: products +, 0, −, +: two of four above 0, less ½
    a, b = np.float32([[0, 2, 1, 5]]), np.float32([[1, 2, 3, 2.5]])
    assert colocalise(a, b, np.ones((1, 4), bool), 0, 0).icq == pytest.approx(0.0)
    assert colocalise(a, a, np.ones((1, 4), bool), 0, 0).icq == pytest.approx(0.25)
    a = np.float32([[0, 1, 4, 5]])
    assert colocalise(a, a, np.ones((1, 4), bool), 0, 0).icq == pytest.approx(0.5)
    assert colocalise(a, -a, np.ones((1, 4), bool), 0, 0).icq == pytest.approx(-0.5)


def test_what_is_negative_is_no_stain() -> None:
    a, b = np.float32([[2, -3, 1]]), np.float32([[1, 1, -1]])
    assert colocalise(a, b, np.ones((1, 3), bool), 0, 0).m1 == pytest.approx(2 / 3)


def test_empty_and_constant_stains_are_undefined() -> None:
    flat, a = np.ones((SIZE, SIZE), np.float32), field(0)
    found = colocalise(a, flat, ROUND, 1.0, 0.5)
    assert found.m1 == 1
    assert math.isnan(found.pearson)
    assert math.isnan(found.icq)
    assert math.isnan(colocalise(a, a * 0, ROUND, 1.0, 0.5).m2)
    assert all(math.isnan(v) for v in colocalise(a, a, ROUND & False, 1.0, 1.0))
    assert math.isnan(costes_thresholds(a, flat, ROUND).first)


def test_below_costes_thresholds_nothing_is_correlated() -> None:
    rng = np.random.default_rng(2)
    common = field(3) * 20
    a, b = ((common * g + rng.normal(20, 5, ROUND.shape)).astype(np.float32) for g in (1.0, 0.4))
    found = costes_thresholds(a, b, ROUND)
    below = ROUND & ((a < found.first) | (b < found.second))
    assert abs(stats.pearsonr(a[below].astype(float), b[below].astype(float))[0]) < 0.02
    # just above, they still are
    higher = ROUND & ((a < found.first + 0.3 * a.std()) | (b < found.second + 0.3 * b.std()))
    assert stats.pearsonr(a[higher].astype(float), b[higher].astype(float))[0] > 0.05


def test_costes_thresholds_move_with_the_gain_of_one_stain() -> None:
    a, b = field(3) + field(4), field(3) + field(5)
    one, two = costes_thresholds(a, b, ROUND), costes_thresholds(a * 3 + 7, b, ROUND)
    assert two.first == pytest.approx(3 * one.first + 7, rel=1e-3)
    assert two.second == pytest.approx(one.second, rel=1e-3)


def test_stains_that_exclude_each_other_have_no_costes_thresholds() -> None:
    a = field(0)
    assert math.isnan(costes_thresholds(a, a.max() - a, ROUND).first)


def test_scrambling_unrelated_stains_changes_nothing() -> None:
    a, b = field(6), field(7)
    found = colocalise(a, b, ROUND, 1.0, 1.0)
    null = scramble_null(a, b, ROUND, 1.0, 1.0, 2.0, block_um=30)
    assert null.mean("pearson") == pytest.approx(0, abs=0.02)
    # M1 of unrelated stains is the area that the other covers
    assert null.mean("m1") == pytest.approx((b[ROUND] > 1).mean(), abs=0.02)
    assert 0.01 < null.p_above("pearson", found.pearson) < 0.99


def test_the_scramble_test_keeps_its_level_with_wide_blocks_only() -> None:
    """Unrelated stains: 5 % of sections below 0.05 with blocks of the autocorrelation, far more with small ones."""
    small, wide = [], []
    for seed in range(40):
        a, b = field(100 + seed), field(200 + seed)
        r = colocalise(a, b, ROUND, 1.0, 1.0).pearson
        length = autocorrelation_length_um(b, ROUND, 2.0)
        for block_um, out in ((6.0, small), (2 * length, wide)):
            null = scramble_null(a, b, ROUND, 1.0, 1.0, 2.0, block_um=block_um, scrambles=59)
            out.append(null.p_above("pearson", r) <= 0.05)
    assert np.mean(wide) < 0.15 < np.mean(small)


def test_nothing_outside_the_mask_takes_part() -> None:
    a, b = field(8), field(9)
    far = np.where(ROUND, np.float32(0), np.float32(1e4))
    one = scramble_null(a, b, ROUND, 1.0, 1.0, 2.0, block_um=30, scrambles=20)
    two = scramble_null(a + far, b + far, ROUND, 1.0, 1.0, 2.0, block_um=30, scrambles=20)
    np.testing.assert_array_equal(one.m1, two.m1)
    np.testing.assert_array_equal(one.pearson, two.pearson)


@pytest.mark.parametrize("turn", [np.rot90, np.fliplr, np.transpose, lambda v: np.pad(v, ((3, 8), (5, 0)))])
def test_scrambles_are_the_same_however_the_section_lies(turn) -> None:
    inside = ROUND & (X > 40)
    a, b = np.where(inside, field(8), 0), np.where(inside, field(9), 0)
    one = scramble_null(a, b, inside, 1.0, 1.0, 2.0, block_um=30, scrambles=20)
    two = scramble_null(
        *(np.ascontiguousarray(turn(v)) for v in (a, b, inside)), 1.0, 1.0, 2.0, block_um=30, scrambles=20
    )
    np.testing.assert_allclose(two.m1, one.m1, rtol=1e-5)
    np.testing.assert_allclose(two.pearson, one.pearson, atol=1e-5)


def test_too_few_blocks_are_not_scrambled() -> None:
    null = scramble_null(field(8), field(9), ROUND, 1.0, 1.0, 2.0, block_um=300)
    assert null.blocks < 10
    assert math.isnan(null.mean("m1"))
    assert math.isnan(null.p_above("m1", 0.5))
    assert scramble_null(field(8), field(9), ROUND, 1.0, 1.0, 2.0, block_um=math.nan).blocks == 0


@pytest.mark.parametrize("pixel_um", [1.0, 2.0])
def test_autocorrelation_of_smoothed_noise(pixel_um: float) -> None:
    # exp(−r² / (4 σ²)) = 1/e at 2σ
    size = int(1600 / pixel_um)
    noise = np.random.default_rng(0).normal(size=(size, size))
    smooth = ndimage.gaussian_filter(noise, 15 / pixel_um, mode="wrap").astype(np.float32)
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    for mask in (np.ones_like(smooth, bool), np.hypot(y, x) < 0.4 * size):
        assert autocorrelation_length_um(smooth, mask, pixel_um) == pytest.approx(30, rel=0.1)


def test_autocorrelation_that_is_not_there() -> None:
    assert math.isnan(autocorrelation_length_um(np.ones((50, 50), np.float32), np.ones((50, 50), bool), 2.0))
    assert math.isnan(autocorrelation_length_um(np.ones((50, 50), np.float32), np.zeros((50, 50), bool), 2.0))


def test_how_far_shifts_are_looked_at_first_changes_no_length(monkeypatch: pytest.MonkeyPatch) -> None:
    planes = [field(0, 2.0), field(1, 12.0), field(2, 40.0), np.ones_like(field(0))]
    found = []
    for reach in (4, 30, 10_000):
        monkeypatch.setattr(autocorrelation, "_FIRST_REACH", reach)
        found.append(autocorrelation.autocorrelation_lengths_um(planes, ROUND, 2.0))
    assert found[0] == pytest.approx(found[2], nan_ok=True)
    assert found[1] == pytest.approx(found[2], nan_ok=True)
    assert np.isnan(found[0]).tolist() == [False, False, False, True]

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.meta_analysis import effectsize_smd
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestIndPower

from thymusimg.study.adjust import false_discovery, holm
from thymusimg.study.effects import cliffs_delta, hedges_g, welch
from thymusimg.study.power import detectable_d, power_sentence
from thymusimg.study.scales import choose_scale, effect, onto


def pair(seed: int, n: int, m: int, shift: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    return generator.normal(0, 1, n), generator.normal(shift, 2, m)


@pytest.mark.parametrize(("n", "m"), [(2, 2), (3, 3), (3, 7), (12, 5)])
@pytest.mark.parametrize("confidence", [0.95, 0.9])
def test_welch_is_scipys(n: int, m: int, confidence: float) -> None:
    for seed in range(5):
        reference, group = pair(seed, n, m)
        ours, theirs = welch(reference, group, confidence), stats.ttest_ind(group, reference, equal_var=False)
        assert ours.p == pytest.approx(theirs.pvalue, rel=1e-9)
        assert ours.t == pytest.approx(theirs.statistic)
        assert ours.df == pytest.approx(theirs.df)
        assert ours.difference[1:] == pytest.approx(tuple(theirs.confidence_interval(confidence)))


def test_welch_with_one_group_constant_is_a_one_sample_test() -> None:
    group = np.array([1.0, 2.0, 4.0])
    ours, theirs = welch(np.zeros(5), group), stats.ttest_1samp(group, 0.0)
    assert ours.p == pytest.approx(theirs.pvalue)
    assert ours.df == pytest.approx(2)


def test_welch_does_not_depend_on_the_unit() -> None:
    reference, group = pair(3, 4, 5)
    for unit in (1e-150, 1e-6, 1e6):
        assert welch(reference * unit, group * unit).p == pytest.approx(welch(reference, group).p, rel=1e-9)


@pytest.mark.parametrize(
    ("reference", "group"), [([1.0], [1.0, 2.0]), ([1.0, 1.0], [2.0, 2.0]), ([0.1 + 0.2, 0.3], [0.5, 0.5])]
)
def test_what_cannot_be_judged_is_refused(reference: list[float], group: list[float]) -> None:
    for judge in (welch, hedges_g):
        with pytest.raises(ValueError, match="animals"):
            judge(np.array(reference), np.array(group))


def test_welch_interval_covers_what_it_says() -> None:
    generator = np.random.default_rng(5)
    draws = 4000
    for n, m in ((3, 3), (4, 4), (4, 8)):
        covered = 0
        for _ in range(draws):
            interval = welch(generator.normal(0, 1, n), generator.normal(1.5, 1, m)).difference
            covered += interval.low <= 1.5 <= interval.high
        assert 0.94 <= covered / draws <= 0.975  # Welch is a little wide at n = 3


@pytest.mark.parametrize(("n", "m"), [(3, 3), (4, 9), (15, 15)])
def test_hedges_g_is_statsmodels(n: int, m: int) -> None:
    for seed in range(5):
        reference, group = pair(seed, n, m)
        g, _ = effectsize_smd(group.mean(), group.std(ddof=1), m, reference.mean(), reference.std(ddof=1), n)
        assert hedges_g(reference, group).estimate == pytest.approx(g)


def test_hedges_g_is_pingouins() -> None:
    pingouin = pytest.importorskip("pingouin")
    reference, group = pair(1, 5, 6)
    assert hedges_g(reference, group).estimate == pytest.approx(
        pingouin.compute_effsize(group, reference, eftype="hedges"), rel=1e-6
    )


def test_the_interval_of_g_puts_the_observed_t_at_its_tails() -> None:
    reference, group = pair(2, 4, 6)
    df, scale = 8, math.sqrt(1 / 4 + 1 / 6)
    t = stats.ttest_ind(group, reference).statistic
    correction = 1 - 3 / (4 * df - 1)
    _, low, high = hedges_g(reference, group)
    assert stats.nct.sf(t, df, low / correction / scale) == pytest.approx(0.025, abs=1e-6)
    assert stats.nct.cdf(t, df, high / correction / scale) == pytest.approx(0.025, abs=1e-6)


def test_exchanging_the_groups_turns_every_effect_round() -> None:
    reference, group = pair(4, 4, 6)
    there, back = hedges_g(reference, group), hedges_g(group, reference)
    assert (back.low, back.high) == pytest.approx((-there.high, -there.low), abs=1e-6)
    assert cliffs_delta(reference, group) == -cliffs_delta(group, reference)


def test_cliffs_delta_by_hand() -> None:
    assert cliffs_delta(np.array([1.0, 2, 3]), np.array([4.0, 5])) == 1
    assert cliffs_delta(np.array([1.0, 1]), np.array([1.0, 1])) == 0
    assert cliffs_delta(np.array([1.0, 3]), np.array([2.0, 2])) == 0


@pytest.mark.parametrize("seed", range(5))
def test_adjustments_are_statsmodels(seed: int) -> None:
    p = np.random.default_rng(seed).uniform(0, 0.2, 9)
    p[3] = p[6]
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1])
    np.testing.assert_allclose(false_discovery(p), multipletests(p, method="fdr_bh")[1])


def test_a_declared_test_that_failed_still_counts() -> None:
    p = np.array([0.01, np.nan, 0.03])
    np.testing.assert_allclose(holm(p), [0.03, np.nan, 0.06])
    np.testing.assert_allclose(false_discovery(p), [0.02, np.nan, 0.03])
    assert holm(np.array([])).size == 0


def test_detectable_differences_are_the_published_ones() -> None:
    sizes = (3, 4, 5, 6, 8, 10, 12, 15)
    assert [round(detectable_d(n, n), 2) for n in sizes] == [3.07, 2.38, 2.02, 1.80, 1.51, 1.32, 1.20, 1.06]
    assert detectable_d(4, 8) == pytest.approx(
        TTestIndPower().solve_power(nobs1=4, ratio=2, alpha=0.05, power=0.8), rel=1e-5
    )
    assert detectable_d(3, 3, alpha=0.05 / 9) > detectable_d(3, 3)
    with pytest.raises(ValueError, match="two animals"):
        detectable_d(1, 5)


def test_power_in_words() -> None:
    assert "only from 3.07 standard deviations" in power_sentence(3, 3)
    assert "for 6 primary tests" in power_sentence(3, 4, tests=6)
    assert "no difference can be tested" in power_sentence(1, 4)


def test_scales_keep_or_give_up() -> None:
    assert choose_scale(np.array([1.0, 2]), "log").scale == "log"
    assert choose_scale(np.array([0.0, 2]), "log").scale == "identity"
    assert choose_scale(np.array([0.2, 1.0]), "logit").note
    assert choose_scale(np.array([-3.0, 2]), "identity").note == ""


def test_ratios_and_odds_ratios_by_hand() -> None:
    reference, group = np.array([1.0, 4.0]), np.array([8.0, 8.0])
    ratio = effect(welch(onto(reference, "log"), onto(group, "log")).difference, "log")
    assert ratio.estimate == pytest.approx(4)  # geometric means 2 and 8
    odds = effect(
        welch(onto(np.array([0.2, 0.2]), "logit"), onto(np.array([0.5, 0.5001]), "logit")).difference, "logit"
    )
    assert odds.estimate == pytest.approx(4, rel=1e-3)
    assert ratio.low < ratio.estimate < ratio.high

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from thymusimg.study.permutation import permute


def brute_force(values: np.ndarray, in_group: np.ndarray) -> float:
    def apart(chosen: tuple[int, ...]) -> float:
        mask = np.isin(np.arange(values.size), chosen)
        return abs(values[mask].mean() - values[~mask].mean())

    seen = apart(tuple(np.flatnonzero(in_group)))
    all_of_them = [apart(c) for c in itertools.combinations(range(values.size), int(in_group.sum()))]
    return float(np.mean([one >= seen - 1e-9 for one in all_of_them]))


@pytest.mark.parametrize(("n", "m"), [(2, 2), (3, 3), (4, 3), (5, 5), (1, 6)])
def test_exact_p_is_brute_force(n: int, m: int) -> None:
    for seed in range(4):
        values = np.random.default_rng(seed).normal(size=n + m).round(1)  # rounded, so that there are ties
        in_group = np.arange(n + m) >= n
        assert permute(values, in_group).p == pytest.approx(brute_force(values, in_group))


def test_exact_p_is_scipys() -> None:
    values = np.random.default_rng(1).normal(size=9)
    theirs = stats.permutation_test(
        (values[:4], values[4:]), lambda x, y: abs(x.mean() - y.mean()), n_resamples=np.inf, alternative="greater"
    )
    assert permute(values, np.arange(9) >= 4).p == pytest.approx(theirs.pvalue)


@pytest.mark.parametrize(("n", "smallest"), [(3, 0.10), (4, 0.029), (5, 0.008)])
def test_the_smallest_possible_p(n: int, smallest: float) -> None:
    found = permute(np.arange(2.0 * n), np.arange(2 * n) >= n)
    assert round(found.smallest, 3) == smallest
    assert found.p == found.smallest  # complete separation reaches it
    assert found.exact


def test_unequal_groups_have_no_mirror_image() -> None:
    assert permute(np.arange(7.0), np.arange(7) >= 3).smallest == pytest.approx(1 / 35)


def test_equal_values_give_one() -> None:
    assert permute(np.full(6, 0.1), np.arange(6) >= 3).p == 1


def test_neither_order_nor_unit_nor_offset_matters() -> None:
    values, in_group = np.random.default_rng(2).normal(size=8), np.arange(8) >= 4
    order = np.random.default_rng(3).permutation(8)
    p = permute(values, in_group).p
    assert permute(values[order], in_group[order]).p == p
    assert permute(values * 1e6 + 5e6, in_group).p == p
    assert permute(values, ~in_group).p == p


def test_strata_are_permuted_within() -> None:
    values = np.array([0.0, 1, 10, 11, 100, 101])
    in_group = np.array([False, True] * 3)
    strata = np.array([0, 0, 1, 1, 2, 2])
    found = permute(values, in_group, strata)
    assert found.arrangements == 8
    assert found.p == found.smallest == 2 / 8
    assert permute(values, in_group).p > 0.5  # without strata the batches drown the difference


def test_strata_by_brute_force() -> None:
    values = np.random.default_rng(4).normal(size=9)
    in_group = np.array([True, False, True, False, False, True, False, True, False])
    strata = np.array([0, 0, 0, 0, 1, 1, 1, 1, 1])
    centred = values - np.array([values[strata == s].mean() for s in strata])
    seen = abs(centred[in_group].sum())
    sums = [
        abs(centred[list(one)].sum() + centred[list(two)].sum())
        for one in itertools.combinations(range(4), 2)
        for two in itertools.combinations(range(4, 9), 2)
    ]
    assert permute(values, in_group, strata).p == pytest.approx(np.mean([s >= seen - 1e-12 for s in sums]))


def test_a_stratum_of_one_group_takes_no_part() -> None:
    values, in_group = np.array([1.0, 2, 3, 4, 50]), np.array([False, False, True, True, True])
    strata = np.array([0, 0, 0, 0, 1])
    assert permute(values, in_group, strata).p == permute(values[:4], in_group[:4]).p


def test_drawn_arrangements_are_seeded_and_never_zero() -> None:
    values, in_group = np.arange(16.0), np.arange(16) >= 8
    drawn = permute(values, in_group, most_exact=10, draws=999)
    assert not drawn.exact
    assert drawn.p == drawn.smallest == 1 / 1000
    assert drawn == permute(values, in_group, most_exact=10, draws=999)
    shuffled = np.random.default_rng(0).permutation(values)
    exact = permute(shuffled, in_group)
    assert permute(shuffled, in_group, most_exact=10, draws=20_000).p == pytest.approx(exact.p, abs=0.015)


def test_false_positives_stay_below_the_level() -> None:
    generator = np.random.default_rng(6)
    in_group = np.arange(8) >= 4
    p = np.array([permute(generator.normal(size=8), in_group).p for _ in range(1500)])
    assert (p <= 0.1).mean() <= 0.115

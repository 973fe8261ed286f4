from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from thymusimg.measurements.pattern.cells import PatternChoice, measure_pattern, radii_within
from thymusimg.measurements.pattern.cross import measure_cross_pattern
from thymusimg.measurements.pattern.envelope import global_envelope
from thymusimg.measurements.pattern.nulls import redraw, simulate
from thymusimg.measurements.pattern.window import Window

Values = npt.NDArray[np.float64]

SQUARE = Window.of(np.ones((200, 200), np.uint8), 2.0)
HALVES = Window.of(np.repeat([[1, 2]], 200, axis=0).repeat(100, axis=1).astype(np.uint8), 2.0)
FEW = PatternChoice(reach_um=60, simulations=39)


def random_points(n: int, seed: int = 0) -> Values:
    return np.random.default_rng(seed).uniform(-1, 399, (n, 2))


# --- the envelope


def rank_length_p(curves: Values) -> float:
    """The p value as the paper defines it, curve by curve."""
    total = len(curves)

    def ranks(i: int) -> list[float]:
        below = [(curves[:, k] < v).sum() + ((curves[:, k] == v).sum() + 1) / 2 for k, v in enumerate(curves[i])]
        return sorted(min(r, total + 1 - r) for r in below)

    first = ranks(0)
    return sum(ranks(i) <= first for i in range(total)) / total


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("ties", [False, True])
def test_p_is_that_of_the_definition(seed: int, ties: bool) -> None:
    curves = np.random.default_rng(seed).normal(size=(40, 6)).cumsum(axis=1)
    if ties:
        curves = np.round(curves)
    found = global_envelope(curves[0], curves[1:])
    assert found.p == rank_length_p(curves)
    assert found.p_interval[0] < found.p <= found.p_interval[1]
    outside = bool(found.above.any() or found.below.any())
    assert outside <= (found.p <= 0.05)  # the other way round too, without ties
    assert ties or outside == (found.p <= 0.05)


def test_equal_curves_are_not_special() -> None:
    found = global_envelope(np.zeros(4), np.zeros((39, 4)))
    assert found.p == 1
    assert not found.above.any()
    assert not found.below.any()


def test_error_of_the_whole_curve_is_the_nominal_one() -> None:
    rng = np.random.default_rng(1)
    curves = rng.normal(size=(1000, 100, 20)).cumsum(axis=2)
    outside = [bool(e.above.any() or e.below.any()) for e in (global_envelope(c[0], c[1:]) for c in curves)]
    assert 0.03 <= np.mean(outside) <= 0.07  # 0.05 ± 3 standard errors


# --- what is drawn


def test_every_part_keeps_its_points() -> None:
    codes = np.repeat(np.array([1, 2], np.uint8), [40, 7])
    drawn = redraw(HALVES, codes)(np.random.default_rng(0))
    assert np.bincount(HALVES.part(drawn)).tolist() == [0, 40, 7]
    anywhere = redraw(HALVES, codes, by_part=False)(np.random.default_rng(0))
    assert np.bincount(HALVES.part(anywhere))[2] > 10
    assert redraw(HALVES, codes[:0])(np.random.default_rng(0)).shape == (0, 2)


def test_points_of_the_same_seed_are_not_among_the_simulations() -> None:
    drawn = simulate(lambda rng: float(rng.random()), 20, 5)
    assert len(set(drawn)) == 20
    for plain in (5, [5, 0], [5, 3]):
        assert np.random.default_rng(plain).random() not in drawn


def test_threads_change_no_bit() -> None:
    points = random_points(300)
    one, four = (measure_pattern(points, SQUARE, FEW, threads=t) for t in (1, 4))
    np.testing.assert_array_equal(one.l_null.low, four.l_null.low)
    np.testing.assert_array_equal(one.g_null.mean, four.g_null.mean)
    assert one.clark_evans == four.clark_evans
    assert simulate(lambda r: r.random(), 2, 1) != simulate(lambda r: r.random(), 2, 2)


# --- verdicts


def clusters(seed: int = 0) -> Values:
    rng = np.random.default_rng(seed)
    around = rng.uniform(30, 370, (20, 1, 2))
    return (around + rng.normal(0, 10, (20, 10, 2))).reshape(-1, 2)


def hard_core(n: int, least: float) -> Values:
    kept = np.zeros((0, 2))
    for point in random_points(20 * n, seed=4):
        if len(kept) < n and (np.hypot(*(kept - point).T) > least).all():
            kept = np.vstack([kept, point])
    return kept


def test_clusters_are_clustered() -> None:
    found = measure_pattern(clusters(), SQUARE, FEW)
    assert found.verdict == "clustered"
    assert found.l_null.p == 1 / 40
    assert found.excess_over_null_um(25) > 8
    assert found.neighbour_ratio_at(25) > 3
    assert 10 < found.clustering_scale_um < 50  # clusters of a radius of 20 µm
    assert found.clark_evans < 0.8
    assert np.isnan(found.excess_over_null_um(100))


def test_cells_that_cannot_overlap_are_not_dispersed() -> None:
    points = hard_core(1000, 7.0)
    assert measure_pattern(points, SQUARE, FEW._replace(core_um=0)).verdict == "dispersed"
    found = measure_pattern(points, SQUARE, FEW)
    assert found.verdict == "not distinguishable from random"
    assert found.g[0] < 0.2 < 0.8 < found.g[5]  # at 2.5 and 15 µm


def test_a_lattice_is_dispersed() -> None:
    y, x = np.mgrid[:14, :14].reshape(2, -1) * 28.0 + 12
    jitter = np.random.default_rng(0).normal(0, 3, (196, 2))
    found = measure_pattern(np.stack([y, x], axis=1) + jitter, SQUARE, FEW)
    assert "dispersed" in found.verdict
    assert found.clark_evans > 1.5


def test_parts_of_different_density_are_no_clusters() -> None:
    rng = np.random.default_rng(5)
    points = np.concatenate([rng.uniform(-1, [399, 199], (500, 2)), rng.uniform([-1, 199], 399, (60, 2))])
    assert measure_pattern(points, HALVES, FEW).verdict == "not distinguishable from random"
    assert measure_pattern(points, HALVES, FEW._replace(by_part=False)).verdict == "clustered"


def test_coverage_of_the_whole_test() -> None:
    quick = PatternChoice(reach_um=40, simulations=19)
    p = [
        measure_pattern(random_points(60, seed), SQUARE, quick._replace(seed=seed)).l_null.p for seed in range(120)
    ]
    assert np.count_nonzero(np.array(p) <= 0.05) <= 13  # 6 ± 3 standard errors
    assert 0.42 < np.mean(p) < 0.6


def test_radii_end_at_a_quarter_of_the_width() -> None:
    narrow = Window.of(np.ones((30, 200), np.uint8), 2.0)  # 60 µm wide
    assert radii_within(narrow, PatternChoice()).tolist() == [12.5, 15.0]
    assert not len(radii_within(Window.of(np.ones((10, 200), np.uint8), 2.0), PatternChoice()))
    with pytest.raises(ValueError, match="two points and a radius"):
        measure_pattern(random_points(1), SQUARE)


# --- two kinds


def test_kinds_that_mix_at_random() -> None:
    first, second = random_points(150, 1), random_points(100, 2)
    for null in ("labels", "redraw"):
        found = measure_cross_pattern(first, second, SQUARE, [10, 20, 40], null=null, simulations=39)
        assert found.counts == (150, 100)
        assert found.null.p > 0.05


def test_kinds_that_attract_or_avoid() -> None:
    first = random_points(100, 3)
    beside = np.clip(first + np.random.default_rng(0).normal(0, 4, first.shape), 0, 398)
    left, right = first[first[:, 1] < 190], first[first[:, 1] > 210]
    near = measure_cross_pattern(first, beside, SQUARE, [10, 20, 40], null="redraw", simulations=39)
    assert near.null.above.any()
    apart = measure_cross_pattern(left, right, SQUARE, [40, 60, 80], simulations=39, threads=2)
    assert apart.null.below.any()
    with pytest.raises(ValueError, match="both kinds"):
        measure_cross_pattern(first, first[:0], SQUARE, [10])

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from scipy.spatial import KDTree

from thymusimg.measurements.pattern.covariance import set_covariance
from thymusimg.measurements.pattern.functions import (
    PairSums,
    besag_l_um,
    cross_k_um2,
    pair_correlation,
    ripley_k_um2,
    stoyan_bandwidth_um,
    sum_pairs,
    sums_in,
)
from thymusimg.measurements.pattern.nearest import clark_evans, nearest_neighbours_um
from thymusimg.measurements.pattern.nulls import simulate
from thymusimg.measurements.pattern.pairs import cell_side, sort_points
from thymusimg.measurements.pattern.window import Window

Values = npt.NDArray[np.float64]

SQUARE = Window.of(np.ones((200, 200), np.uint8), 2.0)
RADII = np.array([5.0, 10.0, 20.0, 40.0, 60.0])


def lobe() -> Window:
    """A lobe of 500 µm with a waist, a wide septum and holes; part 2 is its upper half."""
    y, x = (np.mgrid[:250, :250] - 125) / 250
    r = np.hypot(y, x)
    mask = (r < 0.45 + 0.04 * np.sin(3 * np.arctan2(y, x) + 1)) & (np.abs(x + 0.1 * y - 0.05) > 0.02)
    for cy, cx in [(0.1, 0.2), (-0.2, -0.1), (0.25, -0.15), (0, -0.3)]:
        mask &= np.hypot(y - cy, x - cx) > 0.05
    return Window.of(mask * np.where(y < 0, 2, 1).astype(np.uint8), 2.0)


def random_points(n: int, side_um: float = 400.0, seed: int = 0) -> Values:
    """Points in ``SQUARE``: its first pixel's centre is at 0."""
    return np.random.default_rng(seed).uniform(-1, side_um - 1, (n, 2))


def sums_of_simulations(
    window: Window, codes: tuple[int, ...], counts: tuple[int, ...], runs: int
) -> list[PairSums]:
    """Pairs of random points with so many in every part, by part."""
    covariance = set_covariance(window.mask, window.pixel_um, 70)
    side = cell_side(70 / window.pixel_um)
    samplers = [window.sampler(code) if code else window.sampler() for code in codes]
    marks = np.repeat(np.arange(len(codes), dtype=np.uint8), counts)

    def run(rng: np.random.Generator) -> PairSums:
        points = np.concatenate([s(n, rng) for s, n in zip(samplers, counts, strict=True)])
        return sum_pairs(sort_points(points, side), covariance, 70, marks, len(codes))

    return simulate(run, runs, seed=5)


# --- against other people's code


def test_k_is_that_of_astropy_in_a_rectangle() -> None:
    stats = pytest.importorskip("astropy.stats")
    points = random_points(300)
    other = stats.RipleysKEstimator(area=400.0**2, x_max=399, y_max=399, x_min=-1, y_min=-1)
    # astropy counts distances below r; there are no ties
    np.testing.assert_allclose(
        ripley_k_um2(points, SQUARE, RADII), other.evaluate(points, RADII, mode="translation"), rtol=2e-3
    )
    covariance = set_covariance(SQUARE.mask, 2.0, 70)
    distance = np.array([math.dist(p, q) for i, p in enumerate(points) for q in points[:i]])
    distance = distance[distance <= 60]
    ours = (400.0**4 / (300 * 299)) * 2 * (1 / covariance.isotropised_um2(distance)).sum()
    theirs = other.evaluate(points, np.array([60.0]), mode="ohser")[0]
    assert ours == pytest.approx(theirs, rel=0.02)


def test_k_far_from_the_edge_is_that_of_pointpats() -> None:
    pointpats = pytest.importorskip("pointpats")
    points = random_points(200)
    wide = Window.of(np.ones((4000, 4000), bool), 8.0)
    ours = ripley_k_um2(points + 15_800, wide, RADII)
    _, theirs = pointpats.k(points, support=(0.0, 60.0, 13))  # without correction, per area of the hull
    theirs = theirs[[1, 2, 4, 8, 12]]
    # neither corrects here, so the two differ only by their areas
    ratio = ours / theirs
    np.testing.assert_allclose(ratio, ratio[-1], rtol=0.01)


# --- against the definition


def test_k_is_its_definition_in_an_irregular_window() -> None:
    window = lobe()
    placed = window.sampler()(150, np.random.default_rng(1))
    covariance = set_covariance(window.mask, 2.0, 65)
    expected = np.zeros(len(RADII))
    for i, p in enumerate(placed * 2.0):
        for j, q in enumerate(placed * 2.0):
            if i != j:
                expected += (math.dist(p, q) <= RADII) / covariance.at_um2(*(p - q))
    expected *= window.area_um2**2 / (150 * 149)
    sums = sum_pairs(sort_points(placed, cell_side(65 / 2)), covariance, 65)
    np.testing.assert_allclose(sums.k_um2(RADII), expected, rtol=1e-12)


@pytest.mark.parametrize("cells", [1, 3, 5, 20, 400])
def test_the_grid_of_cells_does_not_show(cells: int) -> None:
    placed = SQUARE.place(random_points(500))
    covariance = set_covariance(SQUARE.mask, 2.0, 60)
    usual = sum_pairs(sort_points(placed, cell_side(30.0)), covariance, 60).k_um2(RADII)
    found = sum_pairs(sort_points(placed, 200 / cells), covariance, 60).k_um2(RADII)
    np.testing.assert_allclose(found, usual, rtol=1e-12)


def test_ties_on_a_lattice_count() -> None:
    y, x = np.mgrid[:20, :20].reshape(2, -1) * 20 + 9.0
    k = ripley_k_um2(np.stack([y, x], axis=1), SQUARE, [19.75, 20, 28, 28.5, 40])
    np.testing.assert_allclose(k, np.array([0, 4, 4, 8, 12]) * 400, rtol=0.01)


# --- the mean over random points is exact, whatever the window


def test_k_and_g_are_unbiased_in_an_irregular_window() -> None:
    sums = sums_of_simulations(lobe(), (0,), (1500,), 200)
    k = np.mean([s.k_um2(RADII) for s in sums], axis=0)
    np.testing.assert_allclose(k, math.pi * RADII**2, rtol=0.01)
    cored = np.mean([s.k_um2(RADII[1:], core_um=10) for s in sums], axis=0)
    np.testing.assert_allclose(cored, math.pi * RADII[1:] ** 2, rtol=0.01)
    g = np.mean([s.g(RADII, 5.0) for s in sums], axis=0)
    np.testing.assert_allclose(g, 1, atol=0.02)


def test_inhomogeneous_k_forgives_parts_of_different_density() -> None:
    window = lobe()
    sums = sums_of_simulations(window, (1, 2), (1500, 300), 100)
    areas = [float((window.parts == code).sum()) * 4 for code in (1, 2)]
    k = np.mean([s.k_inhomogeneous_um2(RADII, areas) for s in sums], axis=0)
    np.testing.assert_allclose(k, math.pi * RADII**2, rtol=0.015)
    mixed = sum(s.weights.sum(axis=(0, 1)) for s in sums) / len(sums)
    plain = PairSums(mixed[None, None], (1800,), window.area_um2).k_um2(RADII)
    assert (plain > 1.3 * math.pi * RADII**2).all()


def test_cross_k_of_independent_points() -> None:
    sums = sums_of_simulations(lobe(), (0, 0), (700, 500), 100)
    k = np.mean([s.k_um2(RADII, 0, 1) for s in sums], axis=0)
    np.testing.assert_allclose(k, math.pi * RADII**2, rtol=0.015)
    np.testing.assert_array_equal(sums[0].k_um2(RADII, 0, 1), sums[0].k_um2(RADII, 1, 0))


def test_cross_k_leaves_pairs_of_one_kind_out() -> None:
    first, second = [[200.0, 200.0], [200.0, 203.0]], [[200.0, 210.0]]
    covariance = set_covariance(SQUARE.mask, 2.0, 20)
    found = cross_k_um2(first, second, SQUARE, [5, 8, 10])
    once = 400.0**4 / 2
    np.testing.assert_allclose(
        found, [0, once / covariance.at_um2(0, 7), once * (1 / covariance.at_um2(0, [7, 10])).sum()], rtol=1e-12
    )


def test_g_of_clusters_is_known() -> None:
    """Thomas: g(r) = 1 + exp(−r² / 4σ²) / (4π κ σ²)."""
    sigma, parents, each = 8.0, 60, 10.0
    radii = np.array([5.0, 10.0, 20.0, 40.0])

    def clusters(rng: np.random.Generator) -> Values:
        around = rng.uniform(-61, 459, (rng.poisson(parents * (520 / 400) ** 2), 2))
        points = np.repeat(around, rng.poisson(each, len(around)), axis=0)
        return pair_correlation(points + rng.normal(0, sigma, points.shape), SQUARE, radii, 2.0)

    g = np.mean(simulate(clusters, 60, seed=3), axis=0)
    kappa = parents / 400**2
    expected = 1 + np.exp(-(radii**2) / (4 * sigma**2)) / (4 * math.pi * kappa * sigma**2)
    np.testing.assert_allclose(g, expected, rtol=0.06)


# --- few points, strange points


@pytest.mark.parametrize("n", [0, 1])
def test_too_few_points_have_no_k(n: int) -> None:
    points = random_points(n)
    assert np.isnan(ripley_k_um2(points, SQUARE, RADII)).all()
    assert np.isnan(pair_correlation(points, SQUARE, RADII)).all()
    assert math.isnan(clark_evans(points, SQUARE, simulations=3))
    assert np.isnan(cross_k_um2(points, random_points(0), SQUARE, RADII)).all()


def test_points_in_one_place() -> None:
    points = np.full((30, 2), 77.7)
    np.testing.assert_allclose(ripley_k_um2(points, SQUARE, RADII), 400**2, rtol=1e-12)
    assert clark_evans(points, SQUARE, simulations=9) == 0


def test_points_outside_are_left_out() -> None:
    points = random_points(80)
    more = np.concatenate([points, [[-30.0, 20.0], [9000.0, 9000.0]]])
    np.testing.assert_array_equal(ripley_k_um2(more, SQUARE, RADII), ripley_k_um2(points, SQUARE, RADII))
    nearest = nearest_neighbours_um(more, SQUARE)
    assert np.isnan(nearest[80:]).all()
    assert np.isfinite(nearest[:80]).all()


def test_two_far_apart_pixels() -> None:
    mask = np.zeros((50, 50), bool)
    mask[3, 3] = mask[40, 44] = True
    k = ripley_k_um2([[6.0, 6.0], [80.0, 88.0]], Window.of(mask, 2.0), [10.0, 120.0])
    assert k[0] == 0
    assert k[1] == pytest.approx(8**2 / 2 * 2 / 4)


# --- nearest neighbours


@pytest.mark.parametrize("n", [2, 17, 3000])
def test_nearest_neighbours_are_those_of_a_tree(n: int) -> None:
    points = random_points(n)
    points[::5] = points[::5] * 0.05 + 100  # some dense ones
    placed = SQUARE.place(points) * 2.0
    expected = KDTree(placed).query(placed, k=2)[0][:, 1]
    np.testing.assert_allclose(nearest_neighbours_um(points, SQUARE), expected, rtol=1e-12)


def test_clark_evans_of_a_triangular_lattice() -> None:
    """2.1491 without an edge; with one, E[r̄] is Donnelly's (1978): ½√(A/n) + (0.0514 + 0.041/√n) P/n."""
    row = np.arange(24)
    y, x = (row * 10 * math.sqrt(3) / 2)[:, None] + 0 * row, row * 10.0 + (row[:, None] % 2) * 5
    size = (round(24 * 10 * math.sqrt(3) / 2), 240)
    window = Window.of(np.ones(size, np.uint8), 1.0)
    points = np.stack([y.ravel() + 3.8, x.ravel() + 2.0], axis=1)
    n, area = 24 * 24, float(size[0] * size[1])
    inner = 0.5 * math.sqrt(area / n)
    donnelly = inner + (0.0514 + 0.041 / math.sqrt(n)) * 2 * sum(size) / n
    assert clark_evans(points, window) * donnelly / inner == pytest.approx(2.1491, rel=0.005)


def test_clark_evans_of_random_points_by_part() -> None:
    window = lobe()
    rng = np.random.default_rng(8)
    placed = np.concatenate([window.sampler(1)(900, rng), window.sampler(2)(100, rng)])
    points = window.to_image_um(placed)
    assert clark_evans(points, window, by_part=True, simulations=99) == pytest.approx(1, abs=0.04)
    assert clark_evans(points, window, simulations=99) < 0.9


# --- units, threads


def test_k_scales_with_the_unit() -> None:
    points = random_points(200)
    larger = Window.of(np.ones((200, 200), np.uint8), 4.0)
    np.testing.assert_allclose(
        ripley_k_um2(points * 2, larger, RADII * 2), 4 * ripley_k_um2(points, SQUARE, RADII), rtol=1e-6
    )
    assert besag_l_um(math.pi * 49.0) == pytest.approx(7)
    assert stoyan_bandwidth_um(10**6, 1e6) == 0.5  # no less than two bins


def test_the_pixels_of_the_window_hardly_matter() -> None:
    points = random_points(200)
    fine = Window.of(np.ones((400, 400), np.uint8), 1.0)
    np.testing.assert_allclose(
        ripley_k_um2(points + 0.5, fine, RADII), ripley_k_um2(points, SQUARE, RADII), rtol=1e-3
    )


def test_the_order_of_the_points_does_not_matter() -> None:
    points = random_points(400)
    shuffled = np.random.default_rng(1).permutation(points)
    one, two = sums_in(SQUARE, points, 60), sums_in(SQUARE, shuffled, 60)
    np.testing.assert_allclose(one.weights, two.weights, rtol=1e-12)

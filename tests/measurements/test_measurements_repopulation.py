from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special
from statsmodels.stats.rates import confint_poisson

from thymusimg.measurements.population.profile import junction_profile
from thymusimg.measurements.population.repopulation import density_per_mm2, garwood_interval, log_ratio
from thymusimg.measurements.population.spatial import (
    expected_gini,
    measure_evenness,
    saturated_share,
    weighted_gini,
)
from thymusimg.measurements.tiling import lay_tiles


def test_garwood_by_hand() -> None:
    # catalogue P2: 0 → 3.69, 37 → 26.1-51.0
    low, high = garwood_interval([0, 37])
    assert low == pytest.approx([0, 26.1], abs=0.06)
    assert high == pytest.approx([3.69, 51.0], abs=0.06)


@pytest.mark.parametrize("count", [1, 5, 37, 1000])
def test_garwood_agrees_with_statsmodels(count: int) -> None:
    wanted = confint_poisson(count, 1, method="exact-c")
    assert [float(v) for v in garwood_interval(count)] == pytest.approx(wanted, rel=1e-6)


def test_density_of_no_area_is_undefined() -> None:
    assert all(math.isnan(v) for v in density_per_mm2(0, 0.0))
    assert density_per_mm2(50, 2.0)[0] == 25


def test_log_ratio_by_hand() -> None:
    # (7 + ½) / 3 over (2 + ½) / 4 is 2.5 / 0.625 = 4
    assert log_ratio(7, 3.0, 2, 4.0) == pytest.approx(math.log(4))
    assert log_ratio(0, 1.0, 0, 1.0) == 0
    assert math.isnan(log_ratio(5, 0.0, 5, 1.0))
    assert math.isnan(log_ratio(5, 1.0, 5, 0.0))


def test_gini_by_hand() -> None:
    # equal → 0; all in one of four → ¾; {1, 3} → |1-3|·2 / (2·4·2) = ¼
    assert weighted_gini(np.full(4, 7.0), np.ones(4)) == 0
    assert weighted_gini(np.array([0.0, 0, 0, 8]), np.ones(4)) == pytest.approx(0.75)
    assert weighted_gini(np.array([1.0, 3.0]), np.ones(2)) == pytest.approx(0.25)


def test_a_tile_of_weight_two_is_two_tiles() -> None:
    one = weighted_gini(np.array([1.0, 5.0]), np.array([2.0, 1.0]))
    assert one == pytest.approx(weighted_gini(np.array([1.0, 1.0, 5.0]), np.ones(3)))


@pytest.mark.parametrize("mean", [0.1, 1, 20])
def test_expected_gini_of_equal_tiles_is_ramasubbans(mean: float) -> None:
    # e^(-2m) (I0(2m) + I1(2m)) between different tiles, (N-1)/N of the pairs
    wanted = (special.i0e(2 * mean) + special.i1e(2 * mean)) * 399 / 400
    assert expected_gini(mean, np.ones(400)) == pytest.approx(wanted, rel=1e-9)


def test_expected_gini_of_unequal_tiles_is_the_mean_of_simulated_ones() -> None:
    rng = np.random.default_rng(8)
    areas = rng.uniform(0.5, 1, 300)
    simulated = []
    for _ in range(300):
        counts = rng.multinomial(900, areas / areas.sum())
        simulated.append(weighted_gini(counts / areas, areas))
    assert expected_gini(900 / areas.sum(), areas) == pytest.approx(np.mean(simulated), abs=3e-3)


def test_random_points_have_no_excess_and_clustered_ones_do() -> None:
    rng = np.random.default_rng(9)
    assert abs(measure_evenness(rng.poisson(3, 2000), np.ones(2000)).excess_gini) < 0.02
    clustered = rng.poisson(3 * rng.gamma(0.5, 2, 2000))
    assert measure_evenness(clustered, np.ones(2000)).excess_gini > 0.2
    assert measure_evenness(np.full(100, 3), np.ones(100)).excess_gini < -0.2


def test_empty_tiles_are_weighed_by_tissue() -> None:
    assert measure_evenness([0, 4, 2], [1.0, 2.0, 1.0]).empty_tile_fraction == 0.25
    # random: e^-m
    counts = np.random.default_rng(10).poisson(0.7, 20000)
    assert measure_evenness(counts, np.ones(20000)).empty_tile_fraction == pytest.approx(math.exp(-0.7), abs=0.01)


def test_evenness_of_no_cells_and_of_no_tiles() -> None:
    nobody = measure_evenness([0, 0], [1.0, 1.0])
    assert math.isnan(nobody.excess_gini)
    assert nobody.empty_tile_fraction == 1
    nowhere = measure_evenness([], [])
    assert math.isnan(nowhere.empty_tile_fraction)
    assert nowhere.tiles == 0


def test_saturated_share_by_hand() -> None:
    # ten tiles, one of them covered by 0.8, nine by 0.2: 0.8 / (0.8 + 1.8)
    positive = np.full((50, 500), 0.2, np.float32)
    positive[:, :50] = 0.8
    tiles = lay_tiles(np.ones((50, 500), bool), 50.0)
    assert saturated_share(positive, tiles) == pytest.approx(0.8 / 2.6)
    assert saturated_share(positive * 0, tiles) == 0


def test_tiles_hold_every_pixel_and_every_point_once() -> None:
    rng = np.random.default_rng(11)
    mask = rng.random((91, 133)) > 0.4
    tiles = lay_tiles(mask, 12.8)
    assert tiles.area.sum() == pytest.approx(mask.sum())
    y, x = np.nonzero(mask)
    assert tiles.count(y, x).sum() == mask.sum()


@pytest.mark.parametrize("side", [7.0, 12.8, 25.0])
def test_tiles_turn_with_the_section(side: float) -> None:
    rng = np.random.default_rng(12)
    mask = rng.random((60, 83)) > 0.3
    points = rng.integers(0, [60, 83], (200, 2))
    tiles, turned = lay_tiles(mask, side), lay_tiles(np.rot90(mask), side)
    assert np.array_equal(np.rot90(tiles.area), turned.area)
    counts = tiles.count(points[:, 0], points[:, 1])
    assert np.array_equal(np.rot90(counts), turned.count(82 - points[:, 1], points[:, 0]))
    padded = lay_tiles(np.pad(mask, ((5, 9), (3, 0))), side)
    assert np.array_equal(tiles.area, padded.area)


def test_profile_divides_by_tissue() -> None:
    # cells as dense everywhere: counts follow the tissue, densities do not
    rng = np.random.default_rng(13)
    pixels = np.repeat(np.arange(-100, 50) + 0.5, 400)
    cells = rng.choice(pixels, 3000)
    profile = junction_profile(cells, pixels, 1e-5)
    assert profile["low_um"].tolist() == [-100, -75, -50, -25, 0, 25]
    assert profile["cell_count"].sum() == 3000
    assert profile["area_mm2"].sum() == pytest.approx(150 * 400 * 1e-5)
    expected = 3000 / 0.6
    assert (profile["density_per_mm2"] / expected).to_numpy() == pytest.approx(1, abs=0.2)
    assert (profile["density_low_per_mm2"] <= profile["density_per_mm2"]).all()


def test_profile_without_a_junction_is_empty() -> None:
    profile = junction_profile([1.0], np.full(5, np.nan), 1e-5)
    assert profile.empty
    assert "density_per_mm2" in profile


def test_garwood_covers() -> None:
    counts = np.random.default_rng(14).poisson(8, 4000)
    low, high = garwood_interval(counts)
    assert ((low <= 8) & (high >= 8)).mean() >= 0.95

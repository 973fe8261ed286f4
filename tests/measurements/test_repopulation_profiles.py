from __future__ import annotations

import numpy as np
import pytest

from thymusimg.measurements.population.profile import (
    border_distance_um,
    density_profile,
    mean_profile,
    quantile_among,
    quantile_in,
)
from thymusimg.measurements.population.spatial import lorenz_curve, weighted_gini


def test_the_profile_of_evenly_strewn_cells_is_flat_whatever_the_tissue() -> None:
    # a wedge: much more tissue at one end; a histogram of the cells would show a slope
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:400, :400]
    inside = y < x
    place = x * 2.0
    cells = rng.uniform(0, 400, (60000, 2))
    cells = cells[cells[:, 0] < cells[:, 1]]
    profile = density_profile(cells[:, 1] * 2.0, place[inside], 4e-6, 100.0)
    assert profile.area_mm2.sum() == pytest.approx(inside.sum() * 4e-6)
    assert profile.cells.sum() == len(cells)
    wanted = 60000 / (400 * 400 * 4e-6)
    assert profile.density[1:] / wanted == pytest.approx(1, abs=0.05)
    assert ((profile.density_low <= wanted) & (profile.density_high >= wanted)).mean() > 0.8


def test_a_gradient_is_found() -> None:
    rng = np.random.default_rng(1)
    pixels = np.repeat(np.arange(-200, 200) + 0.5, 200)
    cells = np.abs(rng.normal(0, 60, 20000)) * rng.choice([-1, 1], 20000)
    profile = density_profile(cells, pixels, 1e-5, 50.0)
    assert np.array_equal(profile.x, [-175, -125, -75, -25, 25, 75, 125, 175])
    assert (np.diff(profile.density[:4]) > 0).all()
    assert (np.diff(profile.density[4:]) < 0).all()


def test_nothing_to_profile_is_empty() -> None:
    assert density_profile([1.0], [np.nan, np.nan], 1e-5, 25.0).x.size == 0
    assert mean_profile([], [], 1e-5, 25.0)[0].size == 0


def test_mean_profile_by_hand() -> None:
    x, mean, area = mean_profile([2.0, 4.0, 9.0, 5.0], [-1.0, -20.0, 3.0, np.nan], 0.25, 25.0)
    assert (x.tolist(), mean.tolist(), area.tolist()) == ([-12.5, 12.5], [3.0, 9.0], [0.5, 0.25])


def test_distance_to_where_the_image_cuts_the_tissue() -> None:
    tissue = np.zeros((60, 80), bool)
    tissue[20:40, 10:] = True
    border = border_distance_um(tissue, 2.0)
    assert border[30, 79] == 0
    assert border[30, 69] == 20
    assert np.isinf(border_distance_um(np.pad(tissue, 1), 2.0)).all()


def test_quantiles_of_a_reference_among_itself_are_uniform() -> None:
    values = np.random.default_rng(2).normal(size=2001)
    ranks = quantile_in(values, values)
    assert np.sort(ranks) == pytest.approx((np.arange(2001) + 0.5) / 2001)
    assert quantile_in([-9.0, 9.0, np.nan], values)[:2].tolist() == [0.0, 1.0]
    assert np.isnan(quantile_in([1.0], [np.nan])).all()


def test_quantiles_with_ties_are_those_of_the_sorted_values() -> None:
    values = np.random.default_rng(4).integers(-20, 20, (30, 40)) / 4
    values[::7, ::3] = np.nan
    values[1, 1] = np.inf
    known = values[np.isfinite(values)]
    for one, rank in zip(values.ravel(), quantile_among(values).ravel(), strict=True):
        if np.isfinite(one):
            assert rank == ((known < one).sum() + (known == one).sum() / 2) / known.size
        else:
            assert np.isnan(rank)
    np.testing.assert_array_equal(quantile_among(values), quantile_in(values, values))
    assert np.isnan(quantile_among([np.nan, np.nan])).all()


def test_lorenz_encloses_the_gini() -> None:
    rng = np.random.default_rng(3)
    counts, areas = rng.poisson(4, 300), rng.uniform(0.5, 1, 300)
    at = np.linspace(0, 1, 20001)
    curve = lorenz_curve(counts, areas, at)
    area = float(np.sum((curve[1:] + curve[:-1]) / 2 * np.diff(at)))
    assert 1 - 2 * area == pytest.approx(weighted_gini(counts / areas, areas), abs=1e-4)
    assert (curve <= at + 1e-12).all()
    assert np.isnan(lorenz_curve([0, 0], [1, 1], at)).all()

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from thymusimg.measurements.columns import column
from thymusimg.measurements.population.repopulation import (
    density_per_mm2,
    dispersed_interval,
    dispersion,
    garwood_interval,
)
from thymusimg.measurements.schema import LogRatio
from thymusimg.study.summarise import pool_animals


def test_dispersion_of_equal_tiles_is_variance_over_mean() -> None:
    counts = np.random.default_rng(0).negative_binomial(3, 0.2, 400)
    assert dispersion(counts, np.ones(400)) == pytest.approx(counts.var(ddof=1) / counts.mean())


def test_dispersion_of_poisson_counts_is_one_whatever_the_tiles() -> None:
    rng = np.random.default_rng(1)
    areas = rng.uniform(0.05, 1, 5000)
    assert dispersion(rng.poisson(6 * areas), areas) == pytest.approx(1, abs=0.06)


def test_dispersion_of_whole_clusters_is_their_size() -> None:
    # every cluster of 5 falls into one tile: the variance of 5 n is 25 λ, the mean 5 λ
    counts = 5 * np.random.default_rng(2).poisson(2, 20000)
    assert dispersion(counts, np.ones(20000)) == pytest.approx(5, rel=0.05)


def test_undefined_without_cells_or_tiles() -> None:
    assert math.isnan(dispersion([0, 0, 0], [1, 1, 1]))
    assert math.isnan(dispersion([4], [1]))
    assert all(math.isnan(v) for v in dispersed_interval(5, 1.0, math.nan))
    assert all(math.isnan(v) for v in dispersed_interval(5, 0.0, 2.0))


def test_without_overdispersion_the_interval_is_garwoods() -> None:
    assert dispersed_interval(37, 2.0, 1.0) == pytest.approx(density_per_mm2(37, 2.0)[1:])
    assert dispersed_interval(37, 2.0, 0.4) == pytest.approx(density_per_mm2(37, 2.0)[1:])
    # fewer cells than one cluster holds still have a lower end, above 0
    low, high = dispersed_interval(3, 1.0, 8.0)
    assert 0 < low < 3 < high


def test_the_widened_interval_covers_clustered_cells_and_garwoods_does_not() -> None:
    rng = np.random.default_rng(3)
    covered, plain = 0, 0
    for _ in range(400):
        counts = rng.poisson(rng.gamma(1.5, 4 / 1.5, 120))
        low, high = dispersed_interval(counts.sum(), 1.0, dispersion(counts, np.ones(120)))
        covered += low <= 480 <= high
        low, high = garwood_interval(counts.sum())
        plain += low <= 480 <= high
    assert 0.92 <= covered / 400 <= 0.98
    assert plain / 400 < 0.8


def sections(**over: object) -> pd.DataFrame:
    table: dict[str, object] = {
        "section_id": ["s1", "s2"],
        "animal": ["m1", "m1"],
        "group": ["g", "g"],
        "cd45_count_cortex": [10, 90],
        "cd45_count_medulla": [5, 0],
        "cortex_area_mm2": [1.0, 3.0],
        "medulla_area_mm2": [0.5, 0.0],
        "cd45_log_ratio_cortex_medulla": [0.0, math.nan],
    }
    return pd.DataFrame(table | over)


P3 = column("sections", "cd45_log_ratio_cortex_medulla")


def test_the_animals_log_ratio_is_that_of_its_sums() -> None:
    assert isinstance(P3.pool, LogRatio)
    animal = pool_animals(sections(), [P3]).iloc[0]
    # a section without medulla still says how dense the cortex is
    wanted = math.log((100.5 / 4.0) / (5.5 / 0.5))
    assert animal["cd45_log_ratio_cortex_medulla"] == pytest.approx(wanted)


def test_the_animals_log_ratio_is_undefined_without_a_compartment() -> None:
    frame = sections(
        medulla_area_mm2=[0.0, 0.0],
        cd45_log_ratio_cortex_medulla=[math.nan] * 2,
        cd45_log_ratio_cortex_medulla_reason=["no medulla was found"] * 2,
    )
    animal = pool_animals(frame, [P3]).iloc[0]
    assert math.isnan(animal["cd45_log_ratio_cortex_medulla"])
    assert animal["cd45_log_ratio_cortex_medulla_reason"] == "no medulla was found"


def test_a_section_without_counts_takes_no_part() -> None:
    animal = pool_animals(sections(cd45_count_cortex=[10, math.nan]), [P3]).iloc[0]
    assert animal["cd45_log_ratio_cortex_medulla"] == pytest.approx(math.log((10.5 / 1.0) / (5.5 / 0.5)))

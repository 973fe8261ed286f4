"""Human cells on shapes whose answer is known (P1-P5, P8, P10-P12, Q)."""

from __future__ import annotations

import math

import numpy as np

from benchmarks.analytic.case import Case
from thymusimg.batch.false_cells import limit_of_detection
from thymusimg.compartments.model import Compartment
from thymusimg.measurements.population.axis import corticomedullary_axis, mean_distance_um
from thymusimg.measurements.population.clumps import measure_clumps
from thymusimg.measurements.population.epithelium import free_epithelium
from thymusimg.measurements.population.hexgrid import lay_hex_grid
from thymusimg.measurements.population.infiltration import Infiltration, classify_infiltration
from thymusimg.measurements.population.profile import density_profile, quantile_in
from thymusimg.measurements.population.repopulation import (
    density_per_mm2,
    dispersed_interval,
    dispersion,
    log_ratio,
)
from thymusimg.measurements.population.spatial import lorenz_curve, measure_evenness
from thymusimg.measurements.tiling import lay_tiles
from thymusimg.settings import MeasurementSettings
from thymusimg.study.stereology import Sampling, cavalieri_error, cavalieri_volume_mm3, organ_cells

SAMPLED = "scatter of the sample"


def _tile_counts(points: np.ndarray, side: float = 50.0, size: int = 1000) -> tuple[np.ndarray, np.ndarray]:
    tiles = lay_tiles(np.ones((size, size), bool), side)
    return tiles.count(points[:, 0], points[:, 1]), tiles.area


def _poisson(seed: int = 1, count: int = 4000) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.5, 999.5, (count, 2))


def _hexagonal() -> np.ndarray:
    """Return points 10 apart in rows, every other one shifted."""
    rows, cols = np.mgrid[:115, :100]
    y, x = (rows + 0.5) * 10 * math.sqrt(3) / 2 - 0.5, (cols + 0.25 + (rows % 2) / 2) * 10 - 0.5
    points = np.column_stack([y.ravel(), x.ravel()])
    return points[points[:, 0] < 999.5]


def _clusters(of: int = 8) -> np.ndarray:
    """Return parents scattered at random, each with ``of`` cells on one spot."""
    return np.repeat(_poisson(2, 2000), of, axis=0)


def _profile_of_a_wedge() -> float:
    """Tissue widens along x, cells are as dense everywhere: the profile's last bin over its mean."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:500, :500]
    cells = rng.uniform(0, 500, (200_000, 2))
    cells = cells[cells[:, 0] < cells[:, 1]]
    profile = density_profile(cells[:, 1], x[y < x].astype(float), 1e-6, 100.0)
    return float(profile.density[-1] / (profile.cells.sum() / profile.area_mm2.sum()))


def _ribbon_axis(at: int) -> float:
    """CMA₂ of a ribbon of cortex over medulla, at a row; capsule and medulla on a grid of 10 µm."""
    labels = np.zeros((260, 700), np.uint8)
    labels[10:130], labels[130:250] = Compartment.CORTEX, Compartment.MEDULLA
    rows = np.arange(260, dtype=np.float32)[:, None] * np.ones(700, np.float32)
    depth = np.where(labels > 0, (rows - 9.5) * 2, np.nan).astype(np.float32)
    axis = corticomedullary_axis(labels, depth, 2.0)
    return float(axis.grid.at(axis.cma2, [float(at)], [349.5])[0])


def _deep_inside(spacing_um: float) -> float:
    grid = lay_hex_grid(np.ones((200, 200), bool), 2.0, spacing_um)
    return float(mean_distance_um(grid, grid.valid)[grid.reach])


def _row_of_discs() -> float:
    y, x = np.mgrid[:100, :200]
    single, row = [(20, 20), (20, 60), (20, 100)], [(70, 40 + 7 * k) for k in range(6)]
    positive = np.zeros((100, 200), np.float32)
    for cy, cx in (*single, *row):
        positive = np.maximum(positive, (np.hypot(y - cy, x - cx) <= 3.6).astype(np.float32))
    found = np.array([*single, row[0], row[-1]], float)
    return measure_clumps(positive, found[:, 0], found[:, 1], 2.0).estimated


def _checkerboard() -> float:
    """Tiles dense in keratin and empty of cells: one in four."""
    y, x = np.mgrid[:200, :200] // 25
    keratin, cells = (y + x) % 2 == 0, np.where(y % 2 == 0, np.float32(0.3), np.float32(0))
    found = free_epithelium(keratin, cells, np.ones((200, 200), bool), 25.0)
    return found.free_px / found.tiled_px


def _margin() -> float:
    found = Infiltration(2000.0, 4.0, 0.3, 1800.0, 0.8, 0.1)
    return classify_infiltration(found, MeasurementSettings()).margin


def _ball_volume() -> float:
    z = np.arange(-0.95, 1, 0.1)
    return cavalieri_volume_mm3(math.pi * (1 - z**2), 100.0)


CASES: tuple[Case, ...] = (
    Case("P2 density", "cd45_density_per_mm2", "37 cells in 1 mm²: upper Garwood end", 51.0, 0.05, "1/mm²", lambda: density_per_mm2(37, 1.0)[2]),
    Case("P2 density", "cd45_density_per_mm2", "no cell in 2 mm²: upper Garwood end, 3.69 / 2", 1.844, 1e-3, "1/mm²", lambda: density_per_mm2(0, 2.0)[2]),
    Case("P2 dispersion", "cd45_dispersion", "points scattered at random (Poisson)", 1.0, 0.15, "ratio", lambda: dispersion(*_tile_counts(_poisson())), SAMPLED + ", SD √(2 / 399)"),
    Case("P2 dispersion", "cd45_dispersion", "clusters of 8 on one spot", 8.0, 1.2, "ratio", lambda: dispersion(*_tile_counts(_clusters())), SAMPLED),
    Case("P2 dispersion", "cd45_dispersion", "hexagonal points 10 apart, tiles of 100", 0.0, 0.25, "ratio", lambda: dispersion(*_tile_counts(_hexagonal(), 100.0)), "tiles hold 11 or 12 rows"),
    Case("P2 dispersion", "cd45_density_dispersed_high_per_mm2", "4,000 cells, variance four times the mean: width over Poisson's", 2.0, 0.01, "ratio", lambda: float(np.diff(dispersed_interval(4000, 1.0, 4.0))[0] / np.diff(density_per_mm2(4000, 1.0)[1:])[0]), "Garwood's interval is not quite symmetric"),
    Case("P3 log ratio", "cd45_log_ratio_cortex_medulla", "four times as dense in cortex", math.log(4), 1e-12, "natural log", lambda: log_ratio(19.5, 1.0, 4.5, 1.0)),
    Case("P3 log ratio", "cd45_log_ratio_cortex_medulla", "no medulla", math.nan, 0.0, "natural log", lambda: log_ratio(19, 1.0, 0, 0.0)),
    Case("P4 profile", "cd45_profile_cmj", "wedge of tissue, cells as dense everywhere: last bin / mean", 1.0, 0.02, "ratio", _profile_of_a_wedge, SAMPLED),
    Case("P4 CMA", "cma3", "deep inside a structure, 15 µm grid: mean distance to 10 neighbours", 16.794, 1e-3, "µm", lambda: _deep_inside(15.0)),
    Case("P4 CMA", "cma3", "the same on a 10 µm grid: the axis scales with its grid", 11.196, 1e-3, "µm", lambda: _deep_inside(10.0)),
    Case("P4 CMA", "cma2", "ribbon, as far from capsule as from medulla", 0.0, 0.1, "CMA", lambda: _ribbon_axis(75), "rows of the grid lie up to 8.7 µm off a border"),
    Case("P4 CMA", "cma2", "ribbon, deep in the medulla: (460 − 11.2) / (460 + 11.2)", 0.952, 0.02, "CMA", lambda: _ribbon_axis(245), "mean of ten neighbours, not distance"),
    Case("P4 CMA", "cd45_cma3_quantile", "cells spread like the tissue", 0.5, 1e-12, "fraction", lambda: float(quantile_in(np.arange(1000.0), np.arange(1000.0)).mean())),
    Case("P5 evenness", "cd45_excess_gini", "points scattered at random (Poisson)", 0.0, 0.02, "Gini", lambda: measure_evenness(*_tile_counts(_poisson())).excess_gini, SAMPLED),
    Case("P5 evenness", "cd45_excess_gini", "all cells in one of four tiles: Gini", 0.75, 1e-12, "Gini", lambda: measure_evenness([0, 0, 0, 8], [1, 1, 1, 1]).gini),
    Case("P5 evenness", "cd45_empty_tile_fraction", "Poisson, one cell a tile: 1/e", math.exp(-1), 0.03, "fraction", lambda: measure_evenness(*_tile_counts(_poisson(4, 1600), 25.0)).empty_tile_fraction, SAMPLED),
    Case("P5 evenness", "cd45_lorenz", "all cells in a quarter of the tissue: share of the emptiest 7/8", 0.5, 1e-12, "fraction", lambda: float(lorenz_curve([0, 0, 0, 8], [1, 1, 1, 1], [0.875])[0])),
    Case("P8 infiltration", "cd45_infiltration_margin", "full with 10 % empty tiles, cut at 20 %: odds 1/4 over 1/9", 2.25, 1e-9, "factor", _margin),
    Case("P10 clumps", "cd45_estimated_cells", "three discs and a row of six that touch, two of them found", 9.0, 0.3, "cells", _row_of_discs, "pixels where discs touch"),
    Case("P11 free epithelium", "cd45_free_epithelium_fraction", "checkerboard of keratin, every other row with cells", 0.25, 1e-12, "fraction", _checkerboard),
    Case("P12 organ", "tissue_volume_mm3", "ball of 1 mm radius, sections every 100 µm", 4 / 3 * math.pi, 0.02, "mm³", _ball_volume, "its coefficient of error"),
    Case("P12 organ", "tissue_volume_ce", "areas 1, 3, 4, 3, 1: √(5 / 240) / 12", math.sqrt(5 / 240) / 12, 1e-12, "fraction", lambda: cavalieri_error([1.0, 3.0, 4.0, 3.0, 1.0])),
    Case("P12 organ", "cd45_cells_per_organ", "120 profiles, 10 µm every 100 µm, cells of 6 µm", 750.0, 1e-9, "cells", lambda: organ_cells(120, Sampling(100.0, 10.0, 6.0, systematic=True))),
    Case("Q limit of detection", "cd45_lod_per_mm2", "controls with 1 and 3 cells per mm²: 2 + 1.645 √2", 2 + 1.645 * math.sqrt(2), 1e-12, "1/mm²", lambda: limit_of_detection([1.0, 3.0])[0]),
)  # fmt: skip

"""Point patterns (P5-P7, R8): lattices, clusters and random points, whose K, g and spacing are known."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.analytic.case import Case
from thymusimg.measurements.pattern.cells import PatternChoice, measure_pattern
from thymusimg.measurements.pattern.covariance import set_covariance
from thymusimg.measurements.pattern.cross import measure_cross_pattern
from thymusimg.measurements.pattern.empty import largest_empty_circle
from thymusimg.measurements.pattern.envelope import global_envelope
from thymusimg.measurements.pattern.functions import besag_l_um, pair_correlation, sum_pairs
from thymusimg.measurements.pattern.nearest import clark_evans
from thymusimg.measurements.pattern.nulls import simulate
from thymusimg.measurements.pattern.pairs import cell_side, sort_points
from thymusimg.measurements.pattern.window import Window

if TYPE_CHECKING:
    import numpy.typing as npt

Values = "npt.NDArray[np.float64]"

SQUARE = Window.of(np.ones((200, 200), np.uint8), 2.0)


def _holes() -> Window:
    """A disc of 400 µm with four holes, cut by a septum."""
    y, x = np.mgrid[:200, :200] - 99.5
    mask = (np.hypot(y, x) < 99) & (np.abs(x + 0.2 * y) > 3)
    for cy, cx in ((40, 30), (-50, 20), (0, -50), (-30, -60)):
        mask &= np.hypot(y - cy, x - cx) > 14
    return Window.of(mask, 2.0)


def _lattice(spacing: float, rows: int) -> npt.NDArray[np.float64]:
    step = np.arange(rows)
    y = (step * spacing * math.sqrt(3) / 2)[:, None] + 0 * step
    return np.stack([y.ravel(), (step * spacing + (step[:, None] % 2) * spacing / 2).ravel()], axis=1)


def _random_l(r: float) -> float:
    """Mean of K over 100 simulations, as L."""
    window = _holes()
    covariance = set_covariance(window.mask, 2.0, r)
    draw, side = window.sampler(), cell_side(r / 2)

    def one(rng: np.random.Generator) -> npt.NDArray[np.float64]:
        return sum_pairs(sort_points(draw(1000, rng), side), covariance, r).k_um2([r])

    return float(besag_l_um(np.mean(simulate(one, 100, 1), axis=0))[0])


def _random_g(r: float) -> float:
    rng = np.random.default_rng(2)
    return float(np.mean([pair_correlation(rng.uniform(-1, 399, (1000, 2)), SQUARE, [r])[0] for _ in range(30)]))


def _thomas_g(r: float) -> float:
    def one(rng: np.random.Generator) -> npt.NDArray[np.float64]:
        around = rng.uniform(-41, 439, (rng.poisson(60 * 1.44), 2))
        points = np.repeat(around, rng.poisson(10, len(around)), axis=0)
        return pair_correlation(points + rng.normal(0, 8, points.shape), SQUARE, [r], 2.0)

    return float(np.mean(simulate(one, 60, 3)))


def _lattice_spread() -> float:
    """Clark-Evans of a triangular lattice, the edge of its window taken off by Donnelly's formula."""
    rows, spacing = 24, 10.0
    size = (round(rows * spacing * math.sqrt(3) / 2), round(rows * spacing))
    window = Window.of(np.ones(size, np.uint8), 1.0)
    n = rows * rows
    inner = 0.5 * math.sqrt(size[0] * size[1] / n)
    donnelly = inner + (0.0514 + 0.041 / math.sqrt(n)) * 2 * sum(size) / n
    return clark_evans(_lattice(spacing, rows) + np.array([3.8, 2.0]), window, simulations=99) * donnelly / inner


def _square_lattice(spacing: float = 20.0) -> npt.NDArray[np.float64]:
    y, x = np.mgrid[:20, :20].reshape(2, -1)
    return np.stack([y, x], axis=1) * spacing + 9.0


def _neighbours(r: float) -> float:
    """Neighbours within r on a square lattice: K λ."""
    placed = SQUARE.place(_square_lattice())
    covariance = set_covariance(SQUARE.mask, 2.0, 40)
    sums = sum_pairs(sort_points(placed, cell_side(20)), covariance, 40)
    return float(sums.k_um2([r])[0] / 400)


def _chequered(r: float) -> float:
    at = _square_lattice()
    white = (np.rint((at - 9) / 20).sum(axis=1) % 2).astype(bool)
    found = measure_cross_pattern(at[~white], at[white], SQUARE, [r], simulations=19)
    return float(math.pi * (found.excess_um[0] + r) ** 2 * 200 / 400**2)


def _hard_core(core_um: float) -> float:
    """p of points no nearer than 7 µm, otherwise random."""
    kept = np.zeros((0, 2))
    for point in np.random.default_rng(4).uniform(-1, 399, (3000, 2)):
        if len(kept) < 600 and (np.hypot(*(kept - point).T) > 7).all():
            kept = np.vstack([kept, point])
    choice = PatternChoice(reach_um=60, core_um=core_um, simulations=39)
    return float(measure_pattern(kept, SQUARE, choice).verdict == "dispersed")


def _envelope_error() -> float:
    rng = np.random.default_rng(1)
    curves = rng.normal(size=(1000, 100, 10)).cumsum(axis=2)
    return float(np.mean([global_envelope(c[0], c[1:]).p <= 0.05 for c in curves]))


def _corner() -> float:
    return largest_empty_circle(np.ones((101, 101), bool), [[50, 50]]).radius


def _half_way() -> float:
    y, x = np.mgrid[:401, :401] - 200.0
    return largest_empty_circle(np.hypot(y, x) < 190, [[200, 200]], inside=True).radius


THOMAS_G = 1 + math.exp(-(10**2) / (4 * 8**2)) / (4 * math.pi * 60 / 400**2 * 8**2)

CASES = (
    Case("P5 largest empty circle", "cd45_largest_empty_circle_um", "one cell in the middle of a square of 101 px", 50 * math.sqrt(2), 1e-6, "px", _corner),
    Case("P5 largest empty circle", "cd45_largest_empty_circle_inside_um", "one cell in the middle of a disc of 190 px: half its radius", 95, 1, "px", _half_way, "pixels"),
    Case("P6 Ripley's L", "cd45_l", "random points in a disc with holes and a septum, mean of 100, at 40 µm", 40, 0.2, "µm", lambda: _random_l(40.0), "sampling: 0.5 %"),
    Case("P6 Ripley's K", "cd45_l", "neighbours within 20 µm on a square lattice of 20 µm", 4, 0.04, "cells", lambda: _neighbours(20.0), "translation correction of one pattern"),
    Case("P6 Ripley's K", "cd45_l", "neighbours within 28.5 µm on it", 8, 0.08, "cells", lambda: _neighbours(28.5), "as above"),
    Case("P6 pair correlation", "cd45_g", "random points, mean of 30, at 20 µm", 1, 0.03, "ratio", lambda: _random_g(20.0), "sampling"),
    Case("P6 pair correlation", "cd45_g", "Thomas clusters, σ 8 µm, 60 in 400² µm², mean of 60, at 10 µm", THOMAS_G, 0.1, "ratio", lambda: _thomas_g(10.0), "sampling"),
    Case("P6 global envelope", "cd45_pattern_p", "share of 1,000 random walks called unlike 99 others at 5 %", 0.05, 0.02, "fraction", _envelope_error, "3 standard errors"),
    Case("P6 hard core", "cd45_pattern_class", "random cells 7 µm wide called dispersed, pairs below 10 µm left out", 0, 0, "no/yes", lambda: _hard_core(10.0)),
    Case("P6 hard core", "cd45_pattern_class", "the same, all pairs counted", 1, 0, "no/yes", lambda: _hard_core(0.0)),
    Case("P7 Clark-Evans", "cd45_clark_evans", "triangular lattice", math.sqrt(2 / math.sqrt(3)) * 2, 0.012, "ratio", _lattice_spread, "Donnelly's formula is an approximation"),
    Case("R8 cross-K", "measure_cross_pattern", "neighbours of the other colour within 20 µm on a chequered lattice", 4, 0.05, "points", lambda: _chequered(20.0), "translation correction of one pattern"),
)  # fmt: skip

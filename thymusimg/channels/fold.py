"""Folding a profile at a period: what repeats from tile to tile is illumination, what does not is tissue."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Vector = npt.NDArray[np.float64]

BINS = 32
"""Places within a tile at which a profile is averaged."""

SMALLEST_PERIOD = 48.0
"""Shorter periods, in coarse pixels (about 100 µm), are texture and no camera's field."""

SMALLEST_CYCLES = 4
"""A pattern must repeat at least this often to count as one."""


_OUTLIER = 2.0


class Fold(NamedTuple):
    """A profile averaged cycle by cycle: ``mean`` and ``weight`` are (cycles, BINS)."""

    mean: Vector
    weight: Vector


def fold(profile: Vector, weight: Vector, period: float) -> Fold:
    """Average a profile at the same places of every cycle."""
    place = np.arange(profile.size) / period
    cycle = place.astype(np.intp)
    index = cycle * BINS + ((place - cycle) * BINS).astype(np.intp)
    count = (int(cycle[-1]) + 1) * BINS
    total: Vector = np.bincount(index, weight, count).astype(np.float64)
    summed: Vector = np.bincount(index, weight * profile, count).astype(np.float64)
    mean = np.divide(summed, total, out=np.zeros(count), where=total > 0)
    return Fold(mean.reshape(-1, BINS), total.reshape(-1, BINS))


def template(folded: Fold) -> Vector:
    """Return what repeats: the weighted mean over cycles at each place, less its own mean; (BINS,)."""
    weight = folded.weight.sum(axis=0)
    mean = (folded.mean * folded.weight).sum(axis=0) / np.maximum(weight, 1e-12)
    return np.asarray(mean - np.average(mean, weights=np.maximum(weight, 1e-12)))


def repeat_score(folded: Fold) -> float:
    """Variance of what repeats over the variance that chance would leave in it (an F ratio).

    About 1 for a profile that does not repeat; falls to half at twice the true period.
    """
    covered = folded.weight > 0
    cycles = covered.sum(axis=0)
    if cycles.min() < SMALLEST_CYCLES - 1:
        return 0.0
    pattern = template(folded)
    rest = (folded.mean - pattern) * covered
    # A cycle's own level is tissue, not pattern.
    rest -= covered * (rest.sum(axis=1) / np.maximum(covered.sum(axis=1), 1))[:, None]
    within = float((rest**2 * folded.weight).sum() / folded.weight.sum())
    effective = float(np.mean(folded.weight.sum(axis=0) ** 2 / np.maximum((folded.weight**2).sum(axis=0), 1e-12)))
    return float(np.mean(pattern**2)) * max(effective - 1, 0.0) / max(within, 1e-12)


def half_doubt(folded: Fold) -> float:
    """Return the standard error of what repeats, from the difference of its two halves."""
    first, second = _halves(folded)
    return float(np.sqrt(np.mean((first - second) ** 2))) / 2


def _halves(folded: Fold) -> list[Vector]:
    return [template(Fold(folded.mean[start::2], folded.weight[start::2])) for start in (0, 1)]


def find_period(profile: Vector, weight: Vector, between: tuple[float, float] | None = None) -> tuple[float, float]:
    """Find the period, in samples, at which a profile repeats best.

    Parameters
    ----------
    profile, weight : (N,) float64
        Values and how much each counts.
    between : (float, float), optional
        Shortest and longest period to try.

    Returns
    -------
    period, score
        NaN and 0 where the profile is too short for four cycles of any period.
    """
    low, high = between or (SMALLEST_PERIOD, math.inf)
    high = min(high, profile.size / SMALLEST_CYCLES)
    if not high > low:
        return math.nan, 0.0
    # A long profile is searched at a coarser step first; the period is refined on all of it.
    step = max(1, min(4, profile.size // 1500, int(low // 24)))
    thin, thin_weight = _thinned(profile, weight, step)
    best, _ = _best(thin, thin_weight, _ladder(low / step, high / step, 6 * thin.size))
    width = step * best**2 / (6 * thin.size)
    return _best(profile, weight, np.linspace(max(low, best * step - width), min(high, best * step + width), 21))


def without_trend(profile: Vector, weight: Vector, period: float) -> Vector:
    """Subtract the moving mean over one period, which leaves a pattern of that period; cut outliers."""
    from scipy.ndimage import uniform_filter1d

    size = max(3, round(period))
    level = uniform_filter1d(profile * weight, size, mode="constant")
    total = uniform_filter1d(weight, size, mode="constant")
    rest = np.where(weight > 0, profile - level / np.maximum(total, 1e-9), 0.0)
    # One glaring stretch (fat, a folded capsule) would drown every other cycle.
    limit = _OUTLIER * 1.4826 * float(np.median(np.abs(rest[weight > 0]))) if (weight > 0).any() else 0.0
    return np.asarray(np.clip(rest, -limit, limit))


def _ladder(low: float, high: float, steps: int) -> Vector:
    """Return periods between which the phase at the far end drifts by less than a sixth of a cycle."""
    return 1 / np.arange(1 / low, 1 / high, -1 / steps)


def _thinned(profile: Vector, weight: Vector, step: int) -> tuple[Vector, Vector]:
    starts = np.arange(0, profile.size, step)
    total = np.add.reduceat(weight, starts)
    return np.add.reduceat(profile * weight, starts) / np.maximum(total, 1e-12), total


def _best(profile: Vector, weight: Vector, periods: Vector) -> tuple[float, float]:
    scores = [repeat_score(fold(without_trend(profile, weight, p), weight, p)) for p in periods]
    best = int(np.argmax(scores))
    return float(periods[best]), float(scores[best])

"""How much of one keratin lies where the other is: Manders, Costes, Pearson, Li (R6).

Pixels that hold both stains show *co-expression within cells*, the point spread of the microscope and the
bleed-through between channels; whether the compartments mix is another question (R7, R8).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numba
import numpy as np

if TYPE_CHECKING:
    from thymusimg.section.model import FloatPlane, Mask

_LEVELS = 2048


class Colocalisation(NamedTuple):
    """How two stains go together over a set of pixels (R6).

    ``m1`` is the share of the first stain's signal that lies where the second is above its threshold, ``m2`` the
    reverse; both in [0, 1]. ``pearson`` is in [-1, 1], ``icq`` in [-0.5, 0.5].
    """

    m1: float
    m2: float
    pearson: float
    icq: float


class CostesThresholds(NamedTuple):
    """Thresholds of two stains below which they are not correlated; NaN where they do not exist."""

    first: float
    second: float


def colocalise(
    first: FloatPlane, second: FloatPlane, inside: Mask, first_threshold: float, second_threshold: float
) -> Colocalisation:
    """Measure co-localisation inside a mask (R6).

    M₁ = Σ a[b > t_b] / Σ a and M₂ = Σ b[a > t_a] / Σ b over the pixels (Manders 1993, J Microsc 169:375); what is
    negative after the background was subtracted is no stain and counts as 0. Pearson's r over all pixels. Li's
    intensity correlation quotient: the share of pixels with (a − ā)(b − b̄) > 0, less ½ (Li 2004, J Neurosci
    24:4070). A factor on a stain that moves its threshold along changes nothing.

    Parameters
    ----------
    first, second : (Y, X) float32
        Background-subtracted planes.
    inside : (Y, X) bool
    first_threshold, second_threshold : float
        May be NaN: then the coefficient that needs it is NaN.

    Returns
    -------
    Colocalisation
        NaN where a sum is 0 or a stain constant.

    Examples
    --------
    One column of each stain alone and one of both: half of each lies with the other.

    >>> import numpy as np
    >>> a = np.float32([[1, 1, 0, 0]] * 4)
    >>> b = np.float32([[0, 1, 1, 0]] * 4)
    >>> colocalise(a, b, np.ones((4, 4), bool), 0.5, 0.5)
    Colocalisation(m1=0.5, m2=0.5, pearson=0.0, icq=0.0)
    """
    n, mean_a, mean_b = _means(first, second, inside)
    if not n:
        return Colocalisation(math.nan, math.nan, math.nan, math.nan)
    sums = _products(first, second, inside, mean_a, mean_b, first_threshold, second_threshold)
    xx, yy, xy, same_side, aa, bb, pa, pb, pa_in_b, pb_in_a = sums
    spread = math.sqrt(xx * yy)
    varied = spread > 1e-12 * max(aa * bb, 1e-300) ** 0.5
    return Colocalisation(
        pa_in_b / pa if math.isfinite(second_threshold) and pa > 0 else math.nan,
        pb_in_a / pb if math.isfinite(first_threshold) and pb > 0 else math.nan,
        xy / spread if varied else math.nan,
        same_side / n - 0.5 if varied else math.nan,
    )


@numba.njit(cache=True, nogil=True)
def _means(first, second, inside):  # type: ignore[no-untyped-def]  # compiled
    """Return n and the means over the mask; sums are of differences to the first pixel: constants are exact."""
    n, at_a, at_b, sum_a, sum_b = 0, 0.0, 0.0, 0.0, 0.0
    for i in range(inside.shape[0]):
        for j in range(inside.shape[1]):
            if inside[i, j]:
                if n == 0:
                    at_a, at_b = np.float64(first[i, j]), np.float64(second[i, j])
                n += 1
                sum_a += first[i, j] - at_a
                sum_b += second[i, j] - at_b
    return n, (at_a + sum_a / n if n else 0.0), (at_b + sum_b / n if n else 0.0)


@numba.njit(cache=True, nogil=True)
def _products(first, second, inside, mean_a, mean_b, cut_a, cut_b):  # type: ignore[no-untyped-def]  # compiled
    """Return Σx², Σy², Σxy, how many xy > 0, Σa², Σb², Σa⁺, Σb⁺, Σa⁺[b > t] and Σb⁺[a > t] over the mask.

    x and y are a and b less their means.
    """
    xx, yy, xy, aa, bb, pa, pb, pa_in_b, pb_in_a = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    same_side = 0
    for i in range(inside.shape[0]):
        for j in range(inside.shape[1]):
            if inside[i, j]:
                a, b = np.float64(first[i, j]), np.float64(second[i, j])
                x, y = a - mean_a, b - mean_b
                xx += x * x
                yy += y * y
                xy += x * y
                same_side += x * y > 0
                aa += a * a
                bb += b * b
                above_a, above_b = max(a, 0.0), max(b, 0.0)
                pa += above_a
                pb += above_b
                pa_in_b += above_a if b > cut_b else 0.0
                pb_in_a += above_b if a > cut_a else 0.0
    return xx, yy, xy, same_side, aa, bb, pa, pb, pa_in_b, pb_in_a


def costes_thresholds(first: FloatPlane, second: FloatPlane, inside: Mask) -> CostesThresholds:
    """Find the thresholds below which two stains are not correlated (Costes 2004, Biophys J 86:3993).

    Both thresholds move down together along the regression line of the stains, from the brightest pixels on, until
    Pearson's r of the pixels in which *either* stain lies below its threshold is 0 or less. The regression is the
    orthogonal one of the stains in units of their own SD, so that the gain of a stain does not bend the line:
    t_a = ā + t s_a and t_b = b̄ + t s_b. A pixel lies above both at t where min[(a − ā)/s_a, (b − b̄)/s_b] ≥ t: one
    pass that sums up moments by that minimum gives r at each of 2,048 levels.

    Returns
    -------
    CostesThresholds
        NaN if the stains are not positively correlated: there is no common signal to find then, and sections whose
        keratins are well sorted are of this kind.

    Examples
    --------
    Two stains with noise of their own (SD 1), and 100 of both in a quarter of the pixels.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> common = 100 * (np.arange(200) < 50) * np.ones((200, 1))
    >>> a, b = (np.float32(common + rng.normal(size=(200, 200))) for _ in range(2))
    >>> found = costes_thresholds(a, b, np.ones((200, 200), bool))
    >>> bool(1 < found.first < 99), bool(1 < found.second < 99)
    (True, True)
    """
    undefined = CostesThresholds(math.nan, math.nan)
    n, mean_a, mean_b = _means(first, second, inside)
    if n < 3:
        return undefined
    xx, yy, xy, *_ = _products(first, second, inside, mean_a, mean_b, math.nan, math.nan)
    spread_a, spread_b = math.sqrt(xx / n), math.sqrt(yy / n)
    if not (spread_a > 1e-9 * abs(mean_a) and spread_b > 1e-9 * abs(mean_b) and xy > 0):
        return undefined
    scale = mean_a, mean_b, spread_a, spread_b
    low, high = _lower_range(first, second, inside, *scale)
    if not high > low:
        return undefined
    step = (high - low) / _LEVELS
    n, sx, sy, sxx, syy, sxy = np.cumsum(_by_level(first, second, inside, *scale, low, step), axis=1)
    # entry i: the pixels below level i + 1; only the sign of the covariance decides where r reaches 0
    covariance = sxy - sx * sy / np.maximum(n, 1)
    uncorrelated = np.flatnonzero((covariance <= 0) | (n < 3) | (sxx * syy <= 0))
    t = low + (int(uncorrelated[-1]) + 1) * step if uncorrelated.size else low
    return CostesThresholds(float(mean_a + t * spread_a), float(mean_b + t * spread_b))


@numba.njit(cache=True, nogil=True)
def _lower_range(first, second, inside, mean_a, mean_b, spread_a, spread_b):  # type: ignore[no-untyped-def]  # compiled
    """Return the least and the largest of the pixels' lower value, in SD."""
    low, high = np.inf, -np.inf
    for i in range(inside.shape[0]):
        for j in range(inside.shape[1]):
            if inside[i, j]:
                lower = min((first[i, j] - mean_a) / spread_a, (second[i, j] - mean_b) / spread_b)
                low, high = min(low, lower), max(high, lower)
    return low, high


@numba.njit(cache=True, nogil=True)
def _by_level(first, second, inside, mean_a, mean_b, spread_a, spread_b, low, step):  # type: ignore[no-untyped-def]  # compiled
    """Return n, Σx, Σy, Σx², Σy² and Σxy of the pixels on every level of their lower value."""
    sums = np.zeros((_LEVELS, 6))
    for i in range(inside.shape[0]):
        for j in range(inside.shape[1]):
            if inside[i, j]:
                x, y = (first[i, j] - mean_a) / spread_a, (second[i, j] - mean_b) / spread_b
                row = sums[min(int((min(x, y) - low) / step), _LEVELS - 1)]
                row[0] += 1.0
                row[1] += x
                row[2] += y
                row[3] += x * x
                row[4] += y * y
                row[5] += x * y
    return sums.T

"""How much of one keratin lies where the other is: Manders, Costes, Pearson, Li (R6).

Pixels that hold both stains show *co-expression within cells*, the point spread of the microscope and the
bleed-through between channels; whether the compartments mix is another question (R7, R8).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from thymusimg.section.model import FloatPlane, Mask

Values = npt.NDArray[np.float64]

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
    a, b = first[inside].astype(np.float64), second[inside].astype(np.float64)
    if not a.size:
        return Colocalisation(math.nan, math.nan, math.nan, math.nan)
    x, y = a - a.mean(), b - b.mean()
    spread = math.sqrt(float((x * x).sum()) * float((y * y).sum()))
    varied = spread > 1e-12 * max(float((a * a).sum()) * float((b * b).sum()), 1e-300) ** 0.5
    product = x * y
    return Colocalisation(
        _share(a, b, second_threshold),
        _share(b, a, first_threshold),
        float(product.sum()) / spread if varied else math.nan,
        float(np.count_nonzero(product > 0)) / a.size - 0.5 if varied else math.nan,
    )


def _share(signal: Values, other: Values, threshold: float) -> float:
    """Return the share of a signal that lies where the other stain is above its threshold."""
    if not math.isfinite(threshold):
        return math.nan
    positive = np.maximum(signal, 0)
    total = float(positive.sum())
    return float(positive[other > threshold].sum()) / total if total > 0 else math.nan


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
    a, b = first[inside].astype(np.float64), second[inside].astype(np.float64)
    undefined = CostesThresholds(math.nan, math.nan)
    if a.size < 3:
        return undefined
    mean_a, mean_b, spread_a, spread_b = a.mean(), b.mean(), a.std(), b.std()
    if not (spread_a > 1e-9 * abs(mean_a) and spread_b > 1e-9 * abs(mean_b)):
        return undefined
    x, y = (a - mean_a) / spread_a, (b - mean_b) / spread_b
    if not float((x * y).mean()) > 0:
        return undefined
    lower = np.minimum(x, y)
    low, high = float(lower.min()), float(lower.max())
    if not high > low:
        return undefined
    step = (high - low) / _LEVELS
    level = np.minimum(((lower - low) / step).astype(np.intp), _LEVELS - 1)
    n, sx, sy, sxx, syy, sxy = (
        np.cumsum(np.bincount(level, weights, _LEVELS)) for weights in (None, x, y, x * x, y * y, x * y)
    )
    # entry i: the pixels below level i + 1; only the sign of the covariance decides where r reaches 0
    covariance = sxy - sx * sy / np.maximum(n, 1)
    uncorrelated = np.flatnonzero((covariance <= 0) | (n < 3) | (sxx * syy <= 0))
    t = low + (int(uncorrelated[-1]) + 1) * step if uncorrelated.size else low
    return CostesThresholds(float(mean_a + t * spread_a), float(mean_b + t * spread_b))

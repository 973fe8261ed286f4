"""Whether two methods, or two people, give the same number for the same section."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

Values = npt.NDArray[np.float64]

FEWEST = 3
"""Fewer sections say nothing about agreement."""


@dataclass(frozen=True)
class Interval:
    """An estimate and its confidence interval; NaN with a ``reason`` where undefined."""

    estimate: float = math.nan
    low: float = math.nan
    high: float = math.nan
    reason: str = ""


@dataclass(frozen=True)
class BlandAltman:
    """Bias and limits of agreement, each with its confidence interval."""

    bias: Interval
    lower: Interval
    upper: Interval


def concordance(x: Values, y: Values, confidence: float = 0.95) -> Interval:
    """Return Lin's concordance correlation coefficient with its interval.

    ρ_c = 2 s_xy / (s_x² + s_y² + (x̄ − ȳ)²) with moments over n; the interval is Lin's on Fisher's z, with the
    variance as corrected in 2000.

    References
    ----------
    Lin 1989, Biometrics 45:255; correction Lin 2000, Biometrics 56:324.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(1.0, 11.0)
    >>> round(concordance(x, x + 1).estimate, 4)  # 2·8.25 / (8.25 + 8.25 + 1)
    0.9429
    """
    n = len(x)
    if n < FEWEST:
        return Interval(reason=f"needs {FEWEST} sections or more, found {n}")
    sx, sy, shift = float(x.var()), float(y.var()), float(x.mean() - y.mean())
    spread = sx + sy + shift**2
    if spread == 0:
        return Interval(reason="every value is the same on both sides")
    c = 2 * float(((x - x.mean()) * (y - y.mean())).mean()) / spread
    if sx == 0 or sy == 0:
        return Interval(c, reason="no interval: one side does not vary")
    r = float(np.clip(c * spread / (2 * math.sqrt(sx * sy)), -1, 1))
    if abs(c) >= 1 - 1e-12:
        return Interval(c, c, c)
    if abs(r) < 1e-12:
        return Interval(c, reason="no interval: the two sides are not correlated")
    u2 = shift**2 / math.sqrt(sx * sy)
    variance = (
        (1 - r**2) * c**2 / ((1 - c**2) * r**2)
        + 2 * c**3 * (1 - c) * u2 / (r * (1 - c**2) ** 2)
        - c**4 * u2**2 / (2 * r**2 * (1 - c**2) ** 2)
    ) / (n - 2)
    half = float(stats.norm.ppf((1 + confidence) / 2)) * math.sqrt(max(variance, 0.0))
    return Interval(c, math.tanh(math.atanh(c) - half), math.tanh(math.atanh(c) + half))


def bland_altman(x: Values, y: Values, confidence: float = 0.95) -> BlandAltman:
    """Return the bias of ``x`` against ``y`` and the limits between which 95 % of the differences are expected.

    Limits are d̄ ± 1.96 s; the intervals are Bland and Altman's, with t of n − 1 degrees of freedom: SE s/√n for the
    bias and s √(1/n + 1.96² / (2 (n − 1))) for a limit.

    References
    ----------
    Bland & Altman 1986, Lancet 327:307; 1999, Stat Methods Med Res 8:135.

    Examples
    --------
    >>> import numpy as np
    >>> found = bland_altman(np.array([1.0, 2.0, 3.0]), np.array([0.0, 2.0, 4.0]))
    >>> found.bias.estimate, round(found.upper.estimate, 2)  # differences 1, 0, −1: s = 1
    (0.0, 1.96)
    """
    n = len(x)
    if n < FEWEST:
        none = Interval(reason=f"needs {FEWEST} sections or more, found {n}")
        return BlandAltman(none, none, none)
    d = x - y
    bias, s = float(d.mean()), float(d.std(ddof=1))
    z = float(stats.norm.ppf(0.975))
    t = float(stats.t.ppf((1 + confidence) / 2, n - 1))
    se, limit_se = s / math.sqrt(n), s * math.sqrt(1 / n + z**2 / (2 * (n - 1)))

    def around(centre: float, error: float) -> Interval:
        return Interval(centre, centre - t * error, centre + t * error)

    return BlandAltman(around(bias, se), around(bias - z * s, limit_se), around(bias + z * s, limit_se))


def icc_2_1(x: Values, y: Values, confidence: float = 0.95) -> Interval:
    """Return the intraclass correlation ICC(2,1): two-way random effects, absolute agreement, a single rater.

    (MS_rows − MS_error) / (MS_rows + (k − 1) MS_error + k (MS_raters − MS_error) / n) with k = 2 raters; the
    interval is the F interval with Satterthwaite's degrees of freedom.

    References
    ----------
    Shrout & Fleiss 1979, Psychol Bull 86:420; McGraw & Wong 1996, Psychol Methods 1:30.

    Examples
    --------
    >>> import numpy as np
    >>> round(icc_2_1(np.array([1.0, 2.0, 3.0]), np.array([2.0, 3.0, 4.0])).estimate, 3)  # 2 / (2 + 0 + 2·1.5/3)
    0.667
    """
    n, k = len(x), 2
    if n < FEWEST:
        return Interval(reason=f"needs {FEWEST} sections or more, found {n}")
    both = np.stack([x, y], axis=1)
    grand, rows, raters = both.mean(), both.mean(1), both.mean(0)
    ms_rows = k * float(((rows - grand) ** 2).sum()) / (n - 1)
    ms_raters = n * float(((raters - grand) ** 2).sum()) / (k - 1)
    residual = both - rows[:, None] - raters[None, :] + grand
    ms_error = float((residual**2).sum()) / ((n - 1) * (k - 1))
    below = ms_rows + (k - 1) * ms_error + k * (ms_raters - ms_error) / n
    if below <= 0:
        return Interval(reason="every value is the same on both sides")
    icc = (ms_rows - ms_error) / below
    if ms_error <= 1e-15 * ms_rows:
        return Interval(icc, reason="no interval: the raters differ by a constant only" if icc < 1 else "")
    # Shrout & Fleiss 1979, eq. 7 and the interval after it
    fj = ms_raters / ms_error
    a = k * icc * fj + n * (1 + (k - 1) * icc) - k * icc
    b = n * (1 + (k - 1) * icc) - k * icc
    freedom = (k - 1) * (n - 1) * a**2 / ((n - 1) * (k * icc * fj) ** 2 + b**2)
    share = (1 + confidence) / 2
    f_low, f_high = (float(v) for v in (stats.f.ppf(share, n - 1, freedom), stats.f.ppf(share, freedom, n - 1)))
    rest = k * ms_raters + (k * n - k - n) * ms_error
    low = n * (ms_rows - f_low * ms_error) / (f_low * rest + n * ms_rows)
    high = n * (f_high * ms_rows - ms_error) / (rest + n * f_high * ms_rows)
    return Interval(icc, low, high)

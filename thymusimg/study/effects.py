"""Two groups of animals: difference, interval and effect sizes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import special

if TYPE_CHECKING:
    import numpy.typing as npt

    Values = npt.NDArray[np.float64]


class Interval(NamedTuple):
    """An estimate with its lower and upper limit."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True)
class Welch:
    """Welch's t: difference of means with its interval, and the two-sided p.

    ``difference`` is group minus reference, ``df`` the Welch–Satterthwaite degrees of freedom.
    """

    difference: Interval
    t: float
    df: float
    p: float


def welch(reference: Values, group: Values, confidence: float = 0.95) -> Welch:
    r"""Compare two means without assuming equal variances.

    .. math:: t = (\bar x_g - \bar x_r) / \sqrt{s_g^2/n_g + s_r^2/n_r}

    with Welch–Satterthwaite degrees of freedom (Welch 1947). A group whose animals are all equal adds neither
    variance nor degrees of freedom.

    Parameters
    ----------
    reference, group : (n,) arrays
        One finite value an animal, at least two a group.
    confidence
        Coverage of the interval.

    Raises
    ------
    ValueError
        If a group has fewer than two values, or neither varies.

    Examples
    --------
    >>> import numpy as np
    >>> welch(np.array([1.0, 2.0, 3.0]), np.array([3.0, 4.0, 5.0])).difference.estimate
    2.0
    """
    if min(reference.size, group.size) < 2:
        raise ValueError("at least two animals per group are needed")
    parts = np.array([reference.var(ddof=1) / reference.size, group.var(ddof=1) / group.size])
    if is_constant(reference) and is_constant(group):
        raise ValueError("the animals do not differ within either group")
    difference = float(group.mean() - reference.mean())
    error = math.sqrt(parts.sum())
    # parts relative to the larger, because tiny variances squared would underflow
    shares = parts / parts.max()
    df = float(shares.sum() ** 2 / (shares**2 / np.array([reference.size - 1, group.size - 1])).sum())
    reach = float(special.stdtrit(df, 0.5 + confidence / 2)) * error
    t = difference / error
    p = float(2 * special.stdtr(df, -abs(t)))
    return Welch(Interval(difference, difference - reach, difference + reach), t, df, min(p, 1.0))


def hedges_g(reference: Values, group: Values, confidence: float = 0.95) -> Interval:
    r"""Standardised difference with its noncentral-t interval.

    .. math:: g = J (\bar x_g - \bar x_r) / s_p, \quad J = 1 - 3 / (4\nu - 1), \quad \nu = n_g + n_r - 2

    The limits are the noncentralities under which the observed t lies at the tails, times
    :math:`J \sqrt{1/n_g + 1/n_r}` (Hedges 1981; Cumming and Finch 2001).

    Raises
    ------
    ValueError
        If a group has fewer than two values, or neither varies.
    """
    if min(reference.size, group.size) < 2:
        raise ValueError("at least two animals per group are needed")
    if is_constant(reference) and is_constant(group):
        raise ValueError("the animals do not differ within either group")
    df = reference.size + group.size - 2
    squares = ((reference - reference.mean()) ** 2).sum() + ((group - group.mean()) ** 2).sum()
    d = float(group.mean() - reference.mean()) / math.sqrt(squares / df)
    correction = 1 - 3 / (4 * df - 1)
    scale = math.sqrt(1 / reference.size + 1 / group.size)
    tail = (1 - confidence) / 2
    low, high = (float(special.nctdtrinc(df, quantile, d / scale)) for quantile in (1 - tail, tail))
    return Interval(correction * d, correction * scale * low, correction * scale * high)


def cliffs_delta(reference: Values, group: Values) -> float:
    """Return P(group > reference) − P(group < reference) over all pairs of animals, in [-1, 1].

    Examples
    --------
    >>> import numpy as np
    >>> cliffs_delta(np.array([1.0, 2.0]), np.array([2.0, 3.0]))
    0.75
    """
    return float(np.sign(group[:, None] - reference[None, :]).mean())


def is_constant(values: Values) -> bool:
    """Tell whether all values are equal up to rounding: a variance of 1e-33 is no variance."""
    return bool(np.ptp(values) <= 1e-12 * np.abs(values).max(initial=0.0))

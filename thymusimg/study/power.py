"""What a study of this size could have seen."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from scipy import special


@lru_cache(maxsize=256)
def detectable_d(n_reference: int, n_group: int, power: float = 0.8, alpha: float = 0.05) -> float:
    """Return the smallest standardised difference that a two-sided t-test would find with this power.

    Parameters
    ----------
    n_reference, n_group
        Animals, at least two each.
    power
        Probability of finding it.
    alpha
        Two-sided level of the test.

    Returns
    -------
    float
        Difference of means in units of the standard deviation between animals (Cohen's d, equal variances).

    Raises
    ------
    ValueError
        If a group has fewer than two animals.

    Examples
    --------
    >>> round(detectable_d(3, 3), 2)
    3.07
    """
    if min(n_reference, n_group) < 2:
        raise ValueError("power needs at least two animals per group")

    def shortfall(d: float) -> float:
        return power_of(d, n_reference, n_group, alpha) - power

    high = 1.0
    while shortfall(high) < 0:
        high *= 2
    from scipy.optimize import brentq  # slow to import, and rarely asked for

    return float(brentq(shortfall, 0.0, high, xtol=1e-6))


def power_of(d: float, n_reference: int, n_group: int, alpha: float = 0.05) -> float:
    """Return the power of a two-sided t-test, from the noncentral t.

    Parameters
    ----------
    d
        True difference of means in units of the standard deviation between animals.
    n_reference, n_group
        Animals, at least two each.
    alpha
        Two-sided level.

    Examples
    --------
    >>> round(power_of(2.02, 5, 5), 2)
    0.8
    """
    df = n_reference + n_group - 2
    critical = float(special.stdtrit(df, 1 - alpha / 2))
    shift = d * math.sqrt(n_reference * n_group / (n_reference + n_group))
    wrong_side = special.nctdtr(df, shift, -critical)  # NaN where it is too small to be computed
    return float(1 - special.nctdtr(df, shift, critical) + (0.0 if np.isnan(wrong_side) else wrong_side))


def power_sentence(n_reference: int, n_group: int, tests: int = 1) -> str:
    """Say in a sentence what a comparison of this size can find.

    ``tests`` is the number of primary tests; the level is divided by it, as Holm's first step does.

    Examples
    --------
    >>> power_sentence(3, 3)
    'With 3 and 3 animals a difference is found with 80 % power only from 3.07 standard deviations between animals.'
    """
    if min(n_reference, n_group) < 2:
        return f"With {n_reference} and {n_group} animals no difference can be tested."
    d = detectable_d(n_reference, n_group, alpha=0.05 / tests)
    family = f" (at 0.05 / {tests}, for {tests} primary tests)" if tests > 1 else ""
    return (
        f"With {n_reference} and {n_group} animals a difference is found with 80 % power only from {d:.2f} "
        f"standard deviations between animals{family}."
    )

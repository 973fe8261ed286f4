"""A mixed model of the sections, as a check on the comparison of animals and never in its place.

Animals hold a few sections each, so the model is written in what the sections say of their animal: the mean, and
the scatter around it. That is the exact restricted likelihood of

    y = group (+ batch) + donor + animal + section,

and takes matrices of the size of the animals only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import special

from thymusimg.study.effects import Interval
from thymusimg.study.summarise import JOINED

if TYPE_CHECKING:
    import numpy.typing as npt

    Values = npt.NDArray[np.float64]

LARGEST = 0.999999
"""Largest share of a variance in its sum with the sections' that is looked at."""
NEAR_ZERO = 1e-4
"""A variance below this share of the total is called 0: the restricted likelihood is flat there."""

UNKNOWN = Interval(math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class MixedFit:
    """What the model says of group against reference, on the scale of ``y``; NaN and a note if nothing."""

    estimate: Interval = UNKNOWN
    p: float = math.nan
    df: float = math.nan
    converged: bool | None = None
    note: str = ""


@dataclass(frozen=True)
class Nested:
    """Sections summed up by animal: mean and number of sections, and the squares around the means."""

    mean: Values
    size: Values
    within: float
    fixed: Values
    donors: Values | None
    words: str


def fit_mixed(sections: pd.DataFrame, reference: str, confidence: float = 0.95) -> MixedFit:
    r"""Fit group (+ batch) with random intercepts of animal (and donor) by restricted maximum likelihood.

    With :math:`\bar y` the animals' means, :math:`k` their sections and
    :math:`W = diag(1/k) + \lambda_a I + \lambda_d Z Z^T`, minus twice the restricted log likelihood profiled over
    :math:`\sigma^2 = (S_w + r^T W^{-1} r) / (N - p)` is

    .. math:: (N - p) \ln \sigma^2 + \ln |W| + \ln |X^T W^{-1} X|

    up to a constant (Patterson and Thompson 1971); :math:`\lambda` are variances over :math:`\sigma^2`. Degrees of
    freedom are by containment: the animals less the fixed effects (less the donors where these hold both groups),
    or the donors less the fixed effects where each donor has one group. In a balanced study without donors this is
    exactly the t test of animal means with a common variance.

    Parameters
    ----------
    sections : DataFrame
        One row a section of the two groups: ``animal, group, batch, donor`` and ``y``, all finite.
    reference : str
        The reference group.
    confidence : float
        Coverage of the interval.

    Returns
    -------
    MixedFit

    Examples
    --------
    >>> table = pd.DataFrame({"animal": list("aabbccdd"), "group": ["r"] * 4 + ["g"] * 4,
    ...                       "batch": "", "donor": "", "y": [1.0, 2.0, 3.0, 3.0, 5.0, 6.0, 4.0, 4.0]})
    >>> fit = fit_mixed(table, "r")
    >>> round(fit.estimate.estimate, 9), fit.df, fit.converged
    (2.5, 2.0, True)
    """
    if refused := _refusal(sections):
        return MixedFit(note=refused)
    nested = _nested(sections, reference)
    df, donors = _degrees(nested)
    if df < 1:
        return MixedFit(note="mixed model: more fixed effects than animals can tell apart")
    if not donors:
        nested = replace(nested, donors=None)
    lambdas, converged = _maximise(nested)
    variance, beta, errors = _solve(nested, lambdas)[1:]
    error = math.sqrt(errors[1, 1] * variance)
    if not (math.isfinite(error) and error > 0):
        return MixedFit(note="mixed model: singular, no standard error", converged=False)
    reach = float(special.stdtrit(df, 0.5 + confidence / 2)) * error
    middle = float(beta[1])
    p = float(2 * special.stdtr(df, -abs(middle) / error))
    note = _words(nested, sections, lambdas, df, converged)
    return MixedFit(Interval(middle, middle - reach, middle + reach), p, df, converged, note)


def _refusal(sections: pd.DataFrame) -> str:
    animals = sections.groupby("animal", sort=False)["group"].first()
    if animals.value_counts().reindex(animals.unique()).min() < 2 or animals.nunique() < 2:
        return "mixed model: at least 2 animals per group are needed"
    if len(sections) == len(animals):
        return "mixed model: one section an animal, so there is nothing that the animals' comparison leaves out"
    spread = sections["y"] - sections.groupby("animal")["y"].transform("mean")
    if float((spread**2).sum()) <= 1e-20 * float((sections["y"] ** 2).sum()):
        return "mixed model: the sections of an animal do not differ"
    return ""


def _nested(sections: pd.DataFrame, reference: str) -> Nested:
    grouped = sections.groupby("animal", sort=False)
    mean = grouped["y"].mean().to_numpy(dtype=np.float64)
    size = np.asarray(grouped.size(), dtype=np.float64)
    within = float(((sections["y"] - grouped["y"].transform("mean")) ** 2).sum())
    first = grouped.first()
    columns = [np.ones(mean.size), (first["group"] != reference).to_numpy(dtype=np.float64)]
    fixed: Values = np.stack(columns, axis=1)
    words = "group"
    batches, why = _levels(sections, first, "batch")
    if batches is not None:
        wider = np.concatenate([fixed, batches[:, 1:]], axis=1)
        if np.linalg.matrix_rank(wider) == wider.shape[1]:
            fixed, words = wider, "group + batch"
        else:
            why = "batch left out, because it goes with group"
    donors, donor_why = _levels(sections, first, "donor")
    if donors is not None and not 3 <= donors.shape[1] < mean.size:
        donor_why = f"no donor variance: {donors.shape[1]} donors for {mean.size} animals"
        donors = None
    return Nested(mean, size, within, fixed, donors, JOINED.join(part for part in (words, why, donor_why) if part))


def _levels(sections: pd.DataFrame, first: pd.DataFrame, name: str) -> tuple[Values | None, str]:
    """Return animals × levels of 0 and 1, or None and (where the table has levels) why not."""
    if name not in sections or sections[name].nunique() < 2:
        return None, ""
    if (sections[name] == "").any():
        return None, f"{name} left out, because it is not known for every section"
    if (sections.groupby("animal")[name].nunique() > 1).any():
        return None, f"{name} left out, because it changes within an animal"
    codes, levels = pd.factorize(first[name], sort=True)
    return np.asarray(codes[:, None] == np.arange(len(levels)), dtype=np.float64), ""


def _degrees(nested: Nested) -> tuple[float, bool]:
    """Return the degrees of freedom by containment, and whether the donors' variance can be told."""
    animals, fixed = nested.fixed.shape
    if nested.donors is None:
        return float(animals - fixed), False
    together = int(np.linalg.matrix_rank(np.concatenate([nested.fixed, nested.donors], axis=1)))
    donors = nested.donors.shape[1]
    within_donor = nested.donors.T @ nested.fixed[:, 1]
    both = (within_donor > 0) & (within_donor < nested.donors.sum(axis=0))
    df = animals - together if both.any() else donors - fixed
    if df < 1 or animals <= together:  # then the donors' variance cannot be parted from the animals'
        return float(animals - fixed), False
    return float(df), True


def _solve(nested: Nested, lambdas: Values) -> tuple[float, float, Values, Values]:
    """Return the profiled deviance, the section variance, the fixed effects and their covariance over it."""
    own = 1 / nested.size + lambdas[0]
    x, y = nested.fixed, nested.mean
    if nested.donors is None:
        root = np.sqrt(own)
        x_white, y_white, log_det = x / root[:, None], y / root, float(np.log(own).sum())
    else:
        factor = np.linalg.cholesky(np.diag(own) + lambdas[1] * (nested.donors @ nested.donors.T))
        x_white, y_white = np.linalg.solve(factor, x), np.linalg.solve(factor, y)
        log_det = 2 * float(np.log(np.diag(factor)).sum())
    information = x_white.T @ x_white
    covariance = np.linalg.inv(information)
    beta = covariance @ (x_white.T @ y_white)
    left = y_white - x_white @ beta
    free = float(nested.size.sum()) - x.shape[1]
    variance = (nested.within + float(left @ left)) / free
    deviance = free * math.log(variance) + log_det + float(np.linalg.slogdet(information)[1])
    return deviance, variance, beta, covariance


def _maximise(nested: Nested) -> tuple[Values, bool]:
    """Find the variances over the section variance; they are looked for as shares λ / (1 + λ) in [0, 1)."""
    from scipy.optimize import minimize, minimize_scalar  # slow to import

    size = 1 if nested.donors is None else 2

    def deviance(shares: Values) -> float:
        return _solve(nested, shares / (1 - shares))[0]

    steps = np.linspace(0.0, 0.98, 15 if size == 1 else 9)
    grid = np.stack(np.meshgrid(*[steps] * size, indexing="ij"), axis=-1).reshape(-1, size)
    at = int(np.argmin([deviance(point) for point in grid]))
    start, lowest = grid[at], deviance(grid[at])
    if size == 1:
        low, high = (
            (float(steps[at - 1]) if at else 0.0),
            (float(steps[at + 1]) if at + 1 < steps.size else LARGEST),
        )
        one = minimize_scalar(
            lambda share: deviance(np.array([share])), bounds=(low, high), method="bounded", options={"xatol": 1e-7}
        )
        best, converged = np.array([float(one.x)]), bool(one.success)
    else:
        both = minimize(
            deviance,
            start,
            method="L-BFGS-B",
            bounds=[(0.0, LARGEST)] * size,
            options={"ftol": 1e-13, "gtol": 1e-7},
        )
        # "abnormal" is how the search ends when it starts in the flat bottom: nothing lower can be found
        best, converged = both.x, bool(both.success or abs(float(both.fun) - lowest) < 1e-6)
    if deviance(best) > lowest:  # the lowest is the boundary itself, which a search inside it only comes near
        best = start
    return best / (1 - best), converged


def _words(nested: Nested, sections: pd.DataFrame, lambdas: Values, df: float, converged: bool) -> str:
    random = "(1 | animal)" if nested.donors is None else "(1 | animal) + (1 | donor)"
    words, *left_out = nested.words.split(JOINED)
    parts = [
        f"mixed model y ~ {words} + {random} by REML on {len(sections)} sections of {nested.mean.size} animals, "
        f"t with {df:g} df by containment",
        *left_out,
    ]
    names = ("animals", "donors")
    zero = [name for name, share in zip(names, lambdas / (1 + lambdas.sum()), strict=False) if share < NEAR_ZERO]
    if "animals" in zero:
        parts.append(
            "on the boundary: the variance between animals is estimated as 0, so that sections count as "
            "independent and the interval is too narrow"
        )
    if "donors" in zero:
        parts.append("on the boundary: the variance between donors is estimated as 0")
    if not converged:
        parts.append("the search for the variances did not converge")
    return JOINED.join(parts)

"""Counts per area over the sections: a negative binomial regression, as a check on the comparison of animals."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from thymusimg.study.effects import Interval
from thymusimg.study.mixed import MixedFit
from thymusimg.study.summarise import JOINED

if TYPE_CHECKING:
    import pandas as pd

FEW_CLUSTERS = 30


def fit_counts(sections: pd.DataFrame, reference: str, confidence: float = 0.95) -> MixedFit:
    r"""Fit ``count ~ group`` with the offset ln area, and errors that know which sections are of one animal.

    .. math:: \ln E[n] = \beta_0 + \beta_1 group + \ln A, \quad Var[n] = \mu + \alpha \mu^2

    (NB2, Lawless 1987) by maximum likelihood, with the sandwich covariance clustered by animal (Liang and Zeger
    1986) and a t of animals less 2 degrees of freedom. Sections without a cell take part, which no logarithm of a
    density would allow.

    Parameters
    ----------
    sections : DataFrame
        One row a section of the two groups: ``animal, group, count`` and ``area`` (> 0), all finite.
    reference : str
        The reference group.
    confidence : float
        Coverage of the interval.

    Returns
    -------
    MixedFit
        ``estimate`` is the natural logarithm of the ratio of densities.
    """
    animals = sections.groupby("animal", sort=False)["group"].first()
    if animals.nunique() < 2 or animals.value_counts().min() < 2:
        return MixedFit(note="negative binomial: at least 2 animals per group are needed")
    by_group = sections.groupby("group")["count"].sum()
    if (by_group == 0).any():
        return MixedFit(note=f"negative binomial: no cell at all in '{by_group.index[by_group == 0][0]}', no ratio")
    return _fit(sections, reference, len(animals), confidence)


def _fit(sections: pd.DataFrame, reference: str, animals: int, confidence: float) -> MixedFit:
    from statsmodels.discrete.discrete_model import NegativeBinomial  # slow to import

    group = (sections["group"] != reference).to_numpy(dtype=np.float64)
    design = np.stack([np.ones(group.size), group], axis=1)
    codes = sections["animal"].astype("category").cat.codes.to_numpy()
    with warnings.catch_warnings(record=True) as raised, np.errstate(all="ignore"):
        warnings.simplefilter("always")
        try:
            model = NegativeBinomial(
                sections["count"].to_numpy(dtype=np.float64),
                design,
                offset=np.log(sections["area"].to_numpy(dtype=np.float64)),
            )
            fit = model.fit(disp=0, maxiter=200, cov_type="cluster", cov_kwds={"groups": codes})
            middle, error = float(fit.params[1]), float(fit.bse[1])
            alpha, converged = float(fit.params[2]), bool(fit.mle_retvals["converged"])
        except (np.linalg.LinAlgError, ValueError) as fault:
            return MixedFit(note=f"negative binomial: could not be fitted ({fault})", converged=False)
    if not (math.isfinite(middle) and math.isfinite(error) and error > 0):
        return MixedFit(note="negative binomial: singular, no standard error", converged=False)
    df = animals - 2
    reach = float(special.stdtrit(df, 0.5 + confidence / 2)) * error
    note = [
        f"negative binomial with the offset ln area on {len(sections)} sections of {animals} animals, errors "
        f"clustered by animal, t with {df} df (animals less groups)"
    ]
    if animals < FEW_CLUSTERS:
        note.append("clustered errors from so few animals are too small by some tenths")
    if alpha < 1e-6:
        note.append("on the boundary: no overdispersion was found, the counts are taken as Poisson")
    if not converged:
        note.append("the likelihood did not converge")
    note += sorted({_plain(one.message) for one in raised if "onverge" not in str(one.message)})
    p = float(2 * special.stdtr(df, -abs(middle) / error))
    return MixedFit(Interval(middle, middle - reach, middle + reach), p, float(df), converged, JOINED.join(note))


def _plain(message: Warning | str) -> str:
    return f"statsmodels: {' '.join(str(message).split())}".rstrip(".")

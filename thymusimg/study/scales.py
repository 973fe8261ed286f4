"""The scale on which two groups are compared, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from thymusimg.study.effects import Interval

if TYPE_CHECKING:
    import numpy.typing as npt

    from thymusimg.measurements.schema import Scale

    Values = npt.NDArray[np.float64]

EFFECT_LABELS: dict[Scale, str] = {"identity": "difference", "log": "ratio", "logit": "odds ratio"}


@dataclass(frozen=True)
class Chosen:
    """A scale, and why it is not the column's own (empty if it is)."""

    scale: Scale
    note: str = ""


def choose_scale(values: Values, declared: Scale) -> Chosen:
    """Keep a column's scale where every animal of a contrast has a place on it, else take the column as it is.

    A log has no zero and a logit neither 0 nor 1. An added constant would decide the ratio by itself, and leaving
    such animals out would leave out the effect; so the contrast becomes a difference in the column's own unit.
    """
    if declared == "log" and not (values > 0).all():
        return Chosen("identity", "some animals are at or below 0, which has no log: compared as a difference")
    if declared == "logit" and not ((values > 0) & (values < 1)).all():
        return Chosen("identity", "some animals are at 0 or 1, which have no logit: compared as a difference")
    return Chosen(declared)


def onto(values: Values, scale: Scale) -> Values:
    """Put values on a scale."""
    if scale == "log":
        return np.log(values)
    return special.logit(values) if scale == "logit" else values


def effect(difference: Interval, scale: Scale) -> Interval:
    """Turn a difference on a scale into what a reader can use: itself, a ratio, or an odds ratio."""
    if scale == "identity":
        return difference
    with np.errstate(over="ignore"):  # a limit beyond any number is infinite
        return Interval(*(float(np.exp(limit)) for limit in difference))

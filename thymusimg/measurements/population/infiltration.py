"""Which pattern of infiltration a section shows, and how far it is from showing another one (P8)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thymusimg.settings import MeasurementSettings

CLASSES = ("absent", "peripheral", "cortical-restricted", "medulla-restricted", "full", "partial")
STRICT = ("inner_density", "empty")
"""Values that must lie below their cut; the others may lie on it."""


@dataclass(frozen=True)
class Infiltration:
    """What the class rests on; all continuous, all in ``sections.csv``.

    Attributes
    ----------
    density : float
        Cells per mm² of parenchyma.
    limit : float
        Limit of detection from the negative controls, 1/mm².
    peripheral : float
        Share of the cells near the capsule or a septum.
    inner_density : float
        Cells per mm² of the parenchyma farther in; NaN where there is none.
    cortical : float
        D_C / (D_C + D_M) of the densities in cortex and medulla; NaN without either.
    empty : float
        Share of the parenchyma in empty tiles.
    """

    density: float
    limit: float
    peripheral: float
    inner_density: float
    cortical: float
    empty: float


class Verdict(NamedTuple):
    """A class, and the cut that it is nearest to.

    ``margin`` is the factor (≥ 1) by which the nearest single density, or the odds of the nearest single share,
    would have to change for another class; 1 lies on the cut, infinite is beyond any. ``cut`` names that value and
    ``other`` the class behind it.
    """

    name: str
    margin: float
    cut: str
    other: str


def classify_infiltration(found: Infiltration, settings: MeasurementSettings) -> Verdict:
    """Classify the infiltration of a section by human cells (P8), with its margin.

    In this order: *absent*, density at or below the limit of detection; *peripheral*, most cells near capsule or
    septa and the density farther in low; *cortical-* or *medulla-restricted*, the other compartment's density is a
    small share of both; *full*, few empty tiles; else *partial*. The cuts are settings. Agreement between observers
    on such classes is about 0.7 in tumours: read the values, not the class alone.

    Examples
    --------
    >>> from thymusimg.settings import MeasurementSettings
    >>> found = Infiltration(2000.0, 4.0, 0.3, 1800.0, 0.8, 0.1)
    >>> verdict = classify_infiltration(found, MeasurementSettings())
    >>> verdict.name, verdict.cut, verdict.other, round(verdict.margin, 2)
    ('full', 'empty', 'partial', 2.25)
    """
    distance = _distances(found, settings)
    answers = {
        name: value > 0 or (value == 0 and name not in STRICT)
        for name, value in distance.items()
        if not math.isnan(value)
    }
    own = _decide(answers)
    nearest, cut, other = math.inf, "", ""
    for name in answers:
        beyond = _decide(answers | {name: not answers[name]})
        if beyond != own and abs(distance[name]) < nearest:
            nearest, cut, other = abs(distance[name]), name, beyond
    return Verdict(own, math.exp(nearest), cut, other)


def _distances(found: Infiltration, settings: MeasurementSettings) -> dict[str, float]:
    """Return ln(value / cut) of densities and the difference in log odds of shares; above 0: the rule holds."""
    share = settings.restricted_share
    return {
        "density": _log(found.limit) - _log(found.density) if found.density > 0 else math.inf,
        "peripheral": _logit(found.peripheral) - _logit(settings.peripheral_share),
        "inner_density": _log(settings.infiltrated_per_mm2) - _log(found.inner_density),
        "cortical": _logit(found.cortical) - _logit(share),
        "medullary": _logit(1 - found.cortical) - _logit(share),
        "empty": _logit(settings.full_empty_share) - _logit(found.empty),
    }


def _decide(holds: Mapping[str, bool]) -> str:
    # a rule whose value is undefined does not hold
    if holds.get("density"):
        return "absent"
    if holds.get("peripheral") and holds.get("inner_density", True):
        return "peripheral"
    if holds.get("cortical"):
        return "cortical-restricted"
    if holds.get("medullary"):
        return "medulla-restricted"
    return "full" if holds.get("empty") else "partial"


def _log(value: float) -> float:
    return math.nan if math.isnan(value) else math.log(value) if value > 0 else -math.inf


def _logit(share: float) -> float:
    if math.isnan(share):
        return math.nan
    if share <= 0:
        return -math.inf
    return math.inf if share >= 1 else math.log(share) - math.log1p(-share)

"""Studies without any difference, simulated as tables and sent through the real statistics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import special, stats

from thymusimg.measurements.columns import columns
from thymusimg.measurements.schema import Ratio, WeightedMean
from thymusimg.settings import StudySettings
from thymusimg.study.compare import compare_groups
from thymusimg.study.summarise import pool_animals

if TYPE_CHECKING:
    import numpy.typing as npt

    from thymusimg.measurements.schema import Column
    from thymusimg.validate.case import Case

PRIMARY = ("cd45_area_fraction", "segregation_index_50um", "cortical_coverage")
"""The primary endpoints of the protocol."""
CENTRE = {"cd45_area_fraction": 0.15, "segregation_index_50um": 0.35, "cortical_coverage": 0.7}
"""Where the simulated sections lie; scenarios, not results."""
ANIMAL_SD, DONOR_SD, BATCH_SD, SECTION_SD = 0.5, 0.25, 0.2, 0.4
"""Standard deviations on the scale of the comparison."""
STUDIES_A_CASE = 50
ALPHA = 0.05


@dataclass(frozen=True)
class Design:
    """Animals in either group, sections an animal, and how animals scatter: ``normal`` or ``skewed``."""

    animals: tuple[int, int]
    sections: int
    scatter: str


DESIGNS = {
    "5 + 5 animals, 2 sections": Design((5, 5), 2, "normal"),
    "3 + 3 animals, 2 sections": Design((3, 3), 2, "normal"),
    "4 + 8 animals, 1-3 sections, skewed": Design((4, 8), 3, "skewed"),
}


def simulate_study(design: Design, rng: np.random.Generator) -> pd.DataFrame:
    """Return the ``sections.csv`` of a study whose groups do not differ.

    Animals of one donor share a part, and so do those of one batch; donors and batches run across the groups.
    Sections have areas of their own, over which the real pooling weighs them.
    """
    known = {c.name: c for c in columns("sections")}
    donors, batches = (rng.normal(0, sd, (2, len(PRIMARY))) for sd in (DONOR_SD, BATCH_SD))
    rows = []
    for group, n in zip(("reference", "treated"), design.animals, strict=True):
        for a in range(n):
            own = _scatter(design.scatter, rng, len(PRIMARY)) * ANIMAL_SD + donors[a % 2] + batches[a // 2 % 2]
            many = design.sections if design.scatter == "normal" else int(rng.integers(1, design.sections + 1))
            for s in range(many):
                row: dict[str, Any] = {
                    "section_id": f"{group}{a}s{s}", "animal": f"{group}{a}", "group": group, "donor": f"D{a % 2}",
                    "batch": f"B{a // 2 % 2}",
                }  # fmt: skip
                for k, name in enumerate(PRIMARY):
                    latent = float(own[k] + rng.normal(0, SECTION_SD))
                    row |= _values(known[name], special.logit(CENTRE[name]) + latent, rng)
                rows.append(row)
    return pd.DataFrame(rows)


def _scatter(kind: str, rng: np.random.Generator, size: int) -> npt.NDArray[np.float64]:
    return rng.normal(size=size) if kind == "normal" else rng.exponential(size=size) - 1


def _values(column: Column, latent: float, rng: np.random.Generator) -> dict[str, float]:
    """Return a section's value and what it is pooled with, so that the two agree."""
    value = float(special.expit(latent))
    size = float(rng.lognormal(0, 0.5))
    match column.pool:
        case Ratio(numerator, denominator, factor):
            below = (denominator,) if isinstance(denominator, str) else denominator
            above = (numerator,) if isinstance(numerator, str) else numerator
            parts = {name: size / len(below) for name in below}
            return {column.name: value, **parts} | {name: value * size / factor / len(above) for name in above}
        case WeightedMean(weight):
            return {column.name: value, weight: size}
        case _:
            return {column.name: value}


def run_null_tables(case: Case) -> dict[str, Any]:
    """Count the false positives of a batch of null studies: unadjusted, permuted, and after Holm."""
    rng = np.random.default_rng([20, case.seed])
    chosen = [c for c in columns("sections") if c.name in PRIMARY]
    settings = StudySettings(reference="reference", primary=PRIMARY)
    counts: dict[str, int] = {f"{name} {p}": 0 for name in PRIMARY for p in ("p_welch", "p_permutation")}
    family = 0
    for _ in range(STUDIES_A_CASE):
        sections = simulate_study(DESIGNS[case.label], rng)
        found = compare_groups(pool_animals(sections, chosen), settings, chosen)
        found = found[found["role"] == "primary"].set_index("endpoint")
        hits = {p: found[p].astype(float) <= ALPHA for p in ("p_welch", "p_permutation", "p_adjusted")}
        for name in PRIMARY:
            for p in ("p_welch", "p_permutation"):
                counts[f"{name} {p}"] += int(bool(hits[p].get(name, False)))
        family += int(bool(hits["p_adjusted"].any()))
    return {"studies": STUDIES_A_CASE, "false": counts, "family": family}


def clopper_pearson(k: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the exact interval of a proportion (Clopper & Pearson 1934, Biometrika 26:404).

    >>> low, high = clopper_pearson(0, 20)
    >>> round(low, 3), round(high, 3)  # 1 − 0.025^(1/20)
    (0.0, 0.168)
    """
    tail = (1 - confidence) / 2
    low = float(stats.beta.ppf(tail, k, n - k + 1)) if k else 0.0
    high = float(stats.beta.ppf(1 - tail, k + 1, n - k)) if k < n else 1.0
    return low, high

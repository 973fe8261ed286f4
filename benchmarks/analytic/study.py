"""The statistics of a study on numbers whose answer can be written down."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pandas as pd
from scipy import stats

from benchmarks.analytic.case import Case
from thymusimg.measurements.schema import Column, Ratio
from thymusimg.settings.study import Anchor, OrganisationReference
from thymusimg.study.adjust import false_discovery, holm
from thymusimg.study.counts import fit_counts
from thymusimg.study.curves import group_curves, pool_curves
from thymusimg.study.effects import cliffs_delta, hedges_g, welch
from thymusimg.study.hierarchy import nesting
from thymusimg.study.mixed import fit_mixed
from thymusimg.study.organisation_index import with_organisation_index
from thymusimg.study.permutation import permute
from thymusimg.study.power import detectable_d
from thymusimg.study.summarise import pool_animals

LOW, HIGH = np.array([1.0, 2.0, 3.0]), np.array([3.0, 4.0, 5.0])
DENSITY = Column("density", "sections", "1/mm²", "n / a", pool=Ratio("n", "a"))
ANCHOR = Anchor(wild_type=0.3, sd=0.1)


def pooled_density() -> float:
    sections = {"section_id": ["s1", "s2"], "animal": "m", "group": "g", "n": [10, 30], "a": [1.0, 9.0]}
    table = pd.DataFrame(sections | {"density": [10.0, 30 / 9]})
    return float(pool_animals(table, [DENSITY])["density"].iloc[0])


def nested(spread: float, between: float) -> pd.DataFrame:
    """Four animals a group, two sections ``spread`` to either side of an animal, animals ``between`` apart."""
    steps = np.repeat(np.tile([-1.5, -0.5, 0.5, 1.5], 2), 2) * between
    y = steps + np.tile([-spread, spread], 8) + np.repeat([0.0, 5.0], 8)
    animals = np.repeat([f"m{i}" for i in range(8)], 2)
    return pd.DataFrame({"animal": animals, "group": ["r"] * 8 + ["g"] * 8, "batch": "", "donor": "", "y": y})


def icc(spread: float, between: float, what: str) -> float:
    table = nested(spread, between)
    found = nesting(table["y"].to_numpy(), table["animal"].to_numpy(object), table["group"].to_numpy(object))
    return float(getattr(found, what))


def mixed_reach() -> float:
    estimate = fit_mixed(nested(0.5, 2.0), "r").estimate
    return estimate.high - estimate.estimate


def count_ratio() -> float:
    area = np.tile([1.0, 2.0], 8)
    count = area * np.repeat([10, 30], 8) + np.tile([1, -1, -1, 1], 4)
    table = pd.DataFrame({"animal": np.repeat([f"m{i}" for i in range(8)], 2), "group": ["r"] * 8 + ["g"] * 8})
    return math.exp(fit_counts(table.assign(count=count, area=area), "r").estimate.estimate)


def curve(what: str) -> float:
    table = pd.DataFrame(
        {
            "section_id": ["s1", "s2", "s3"],
            "animal": ["m1", "m1", "m2"],
            "group": "g",
            "curve": "c",
            "compartment": "",
            "x": 5.0,
            "value": [10.0, 40.0, 30.0],
            "weight": [2.0, 1.0, 7.0],
            "reason": "",
        }
    )
    animals = pool_curves(table)
    return float(animals["value"].iloc[0] if what == "value" else group_curves(animals)[what].iloc[0])


def index() -> float:
    width = Anchor(wild_type=math.log(40.0), sd=0.5)
    reference = OrganisationReference(
        medulla_fraction=ANCHOR, sharpness=width, segregation=ANCHOR, coverage=ANCHOR, burden=ANCHOR
    )
    animal = pd.DataFrame(
        {
            "animal": ["m"],
            "medulla_fraction": [0.5],  # 2 SD from the wild type's 0.3: -2
            "cmj_width_um": [40.0 * math.e],  # 1 / 0.5 wider: -2
            "segregation_index_50um": [0.2],  # -1
            "cortical_coverage": [0.3],  # 0
            "cyst_share": [0.2],
            "indeterminate_share": [0.1],  # 0
        }
    )
    return float(with_organisation_index(animal, reference)["organisation_index"].iloc[0])


def smallest(n: int) -> float:
    return permute(np.arange(2.0 * n), np.arange(2 * n) >= n).smallest


def hedges_by_hand() -> float:
    return (1 - 3 / (4 * 4 - 1)) * 2.0  # the SD of either group is 1


CASES: tuple[Case, ...] = (
    Case("G pooling", "Ratio", "10 cells on 1 mm² and 30 on 9 mm²: Σn / ΣA", 4.0, 1e-12, "1/mm²", pooled_density),
    Case(
        "G Welch interval",
        "ci_high",
        "1 2 3 against 3 4 5: 2 + t(0.975, 4) √(2/3)",
        2 + stats.t.ppf(0.975, 4) * math.sqrt(2 / 3),
        1e-9,
        "SD",
        lambda: welch(LOW, HIGH).difference.high,
    ),
    Case(
        "G Hedges g",
        "hedges_g",
        "1 2 3 against 3 4 5: J(4) · 2",
        hedges_by_hand(),
        1e-12,
        "SD",
        lambda: hedges_g(LOW, HIGH).estimate,
    ),
    Case(
        "G Cliff δ",
        "cliffs_delta",
        "1 2 3 against 3 4 5: 8 pairs up, 1 equal of 9",
        8 / 9,
        1e-12,
        "",
        lambda: cliffs_delta(LOW, HIGH),
    ),
    *(
        Case(
            "G permutation",
            "min_possible_p",
            f"{n} and {n} animals: 2 / C({2 * n}, {n})",
            2 / math.comb(2 * n, n),
            1e-12,
            "p",
            partial(smallest, n),
        )
        for n in (3, 4, 5)
    ),
    Case(
        "G Holm",
        "p_adjusted",
        "0.01 of 3: 3 · 0.01",
        0.03,
        1e-12,
        "p",
        lambda: float(holm(np.array([0.01, 0.04, 0.03]))[0]),
    ),
    Case(
        "G Benjamini-Hochberg",
        "p_adjusted",
        "0.01 0.02 0.09 of 3: q of the second, 3/2 · 0.02",
        0.03,
        1e-12,
        "q",
        lambda: float(false_discovery(np.array([0.01, 0.02, 0.09]))[1]),
    ),
    Case(
        "G detectable difference",
        "detectable_sd",
        "5 and 5 animals, 80 % power",
        2.024,
        5e-4,
        "SD",
        lambda: detectable_d(5, 5),
    ),
    Case(
        "G intraclass correlation",
        "icc",
        "the two sections of an animal are equal",
        1.0,
        1e-12,
        "",
        lambda: icc(0.0, 1.0, "icc"),
    ),
    Case(
        "G intraclass correlation",
        "icc",
        "sections ±½, animals 1 apart: (MSa - MSs) / (MSa + MSs), 10/3 and ½",
        (10 / 3 - 0.5) / (10 / 3 + 0.5),
        1e-12,
        "",
        lambda: icc(0.5, 1.0, "icc"),
    ),
    Case(
        "G design effect",
        "design_effect",
        "the two sections of an animal are equal: 1 + (2 - 1) · 1",
        2.0,
        1e-12,
        "",
        lambda: icc(0.0, 1.0, "design_effect"),
    ),
    Case(
        "G mixed model",
        "mixed_high",
        "balanced: the t interval of animal means, t(0.975, 6) √(2 s²/4) with s² = 20/3",
        stats.t.ppf(0.975, 6) * math.sqrt(2 * (20 / 3) / 4),
        1e-4,
        "SD",
        mixed_reach,
        "the variance is searched for",
    ),
    Case(
        "G counts",
        "mixed_estimate",
        "10 and 30 cells per mm², ± 1",
        3.0,
        0.02,
        "ratio",
        count_ratio,
        "the counts are not exactly in ratio",
    ),
    Case(
        "G curves", "animal_curves", "10 on weight 2 and 40 on weight 1", 20.0, 1e-12, "", partial(curve, "value")
    ),
    Case(
        "G curves",
        "group_curves",
        "animals at 20 and 30: SD 10/√2",
        10 / math.sqrt(2),
        1e-12,
        "",
        partial(curve, "sd"),
    ),
    Case(
        "R15 Organisation Index",
        "organisation_index",
        "components at -2, -2, -1, 0 and 0 SD",
        -1.0,
        1e-9,
        "SD",
        index,
    ),
)

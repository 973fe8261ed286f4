"""Whether a conclusion holds under other thresholds: the same comparison over values measured in other ways."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from thymusimg.measurements.columns import columns as declared
from thymusimg.study.compare import compare_groups
from thymusimg.study.summarise import pool_animals

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from thymusimg.measurements.schema import Column
    from thymusimg.settings import StudySettings

    Record = dict[str, object]

NAMES = tuple(column.name for column in declared("sensitivity"))
SHOWN = (
    *("endpoint", "reference", "group", "n_reference", "n_group", "ci_low", "ci_high", "effect_label"),
    *("p_welch", "p_adjusted"),
)
"""What is taken over from the comparison as it is."""
NO_EFFECT = {"difference": 0.0, "ratio": 1.0, "odds ratio": 1.0}


class Measured(NamedTuple):
    """The sections' values under one setting; ``values`` by section and column, ``fault`` why there are none."""

    setting: str
    value: str
    values: Mapping[str, Mapping[str, float]]
    fault: str = ""


def compare_variants(
    variants: Sequence[Measured], sections: pd.DataFrame, settings: StudySettings, endpoints: Iterable[Column]
) -> pd.DataFrame:
    """Pool and compare under every setting as the run did under its own.

    Parameters
    ----------
    variants : sequence of Measured
        The first is the run's own settings.
    sections : DataFrame
        Rows of ``sections.csv`` of the run: who the sections are of.
    settings : StudySettings
    endpoints : iterable of Column
        The primary endpoints.

    Returns
    -------
    DataFrame
        The table ``sensitivity``: a row a setting, endpoint and contrast.
    """
    endpoints = list(endpoints)
    own = _compared(variants[0], sections, settings, endpoints)
    by_key = {(row["endpoint"], row["group"]): row for row in own}
    rows: list[Record] = []
    for position, variant in enumerate(variants):
        for found in own if position == 0 else _compared(variant, sections, settings, endpoints):
            base = by_key[(found["endpoint"], found["group"])]
            changed = 0 if variant.fault else _changed(variants[0].values, variant.values, str(found["endpoint"]))
            judged = _judged(found, base, 1 - settings.confidence)
            shown = {name: found[name] for name in SHOWN} | {"estimate": found["difference"]}
            setting = {"setting": variant.setting, "value": variant.value, "is_default": position == 0}
            why = f"not varied: {variant.fault}" if variant.fault else found["reason"]
            rows.append(shown | setting | judged | {"sections_changed": changed, "reason": why})
    return _framed(rows)


def not_varied(reasons: Mapping[str, str], settings: StudySettings) -> pd.DataFrame:
    """Return one row a setting that is not varied, with why."""
    empty: Record = {"reference": settings.reference, "is_default": False, "endpoint": "", "group": "", "value": ""}
    return _framed([empty | {"setting": name, "reason": f"not varied: {why}"} for name, why in reasons.items()])


def summary_lines(table: pd.DataFrame) -> list[str]:
    """Say in a line a primary endpoint and contrast how often the conclusion held.

    Settings that changed no section's value are not counted: they cannot fail. Examples: "the sign held in 22 of 22
    settings, significance in 19".
    """
    lines = []
    tried = table[~table["is_default"] & (table["endpoint"] != "")]
    for (endpoint, group), part in tried.groupby(["endpoint", "group"], sort=False):
        judged = part[part["sign_holds"].notna() & (part["sections_changed"] > 0)]
        idle = int((part["sign_holds"].notna() & (part["sections_changed"] == 0)).sum())
        broken = int(part["sign_holds"].isna().sum())
        reference = part["reference"].iloc[0]
        if len(judged):
            sign, kept = int(judged["sign_holds"].sum()), int(judged["significance_holds"].sum())
            own = _own(table, str(endpoint), str(group))
            said = f"the sign held in {sign} of {len(judged)} settings, {own} in {kept}"
        else:
            said = "no setting that was tried changes it"
        more = [f"{idle} more change nothing"] * (idle > 0 and len(judged) > 0)
        more += [f"{broken} could not be tried"] * (broken > 0)
        lines.append(f"{endpoint}, {group} against {reference}: {'; '.join([said, *more])}.")
    return lines


def _own(table: pd.DataFrame, endpoint: str, group: str) -> str:
    """Name the run's own verdict, which is what may hold."""
    own = table[table["is_default"] & (table["endpoint"] == endpoint) & (table["group"] == group)]
    return "significance" if len(own) and own["significant"].fillna(False).iloc[0] else "the lack of significance"


def _compared(
    variant: Measured, sections: pd.DataFrame, settings: StudySettings, endpoints: list[Column]
) -> list[Record]:
    changed = sections.copy()
    names = sorted({name for row in variant.values.values() for name in row} | {c.name for c in endpoints})
    for name in names:
        changed[name] = [
            variant.values.get(one, {}).get(name, math.nan) for one in changed["section_id"].astype(str)
        ]
    only = settings.model_copy(update={"primary": tuple(endpoint.name for endpoint in endpoints)})
    records = compare_groups(pool_animals(changed, endpoints), only, endpoints).to_dict("records")
    return [{str(name): value for name, value in record.items()} for record in records]


def _judged(found: Record, base: Record, alpha: float) -> Record:
    """Say on which side of no effect and of the level a contrast lies, against the run's own."""
    side, own = _side(found), _side(base)
    p, base_p = float(str(found["p_adjusted"])), float(str(base["p_adjusted"]))
    tested = math.isfinite(p) and math.isfinite(base_p)
    return {
        "significant": p < alpha if math.isfinite(p) else None,
        "sign_holds": side == own if math.isfinite(side) and math.isfinite(own) else None,
        "significance_holds": (p < alpha) == (base_p < alpha) if tested else None,
    }


def _side(row: Record) -> float:
    estimate = float(str(row["difference"]))
    return float(np.sign(estimate - NO_EFFECT.get(str(row["effect_label"]), math.nan)))


def _changed(
    own: Mapping[str, Mapping[str, float]], other: Mapping[str, Mapping[str, float]], endpoint: str
) -> int:
    """Count the sections whose value of the endpoint is another."""
    pairs = [
        (row.get(endpoint, math.nan), other.get(name, {}).get(endpoint, math.nan)) for name, row in own.items()
    ]
    return sum(not (a == b or (math.isnan(a) and math.isnan(b))) for a, b in pairs)


def _framed(rows: list[Record]) -> pd.DataFrame:
    types = {"str": "str", "int": "int64", "float": "float64", "bool": "boolean"}
    table = pd.DataFrame(rows, columns=list(NAMES))
    for column in declared("sensitivity"):
        if column.dtype == "int":
            table[column.name] = table[column.name].fillna(0)
    return table.astype({column.name: types[column.dtype] for column in declared("sensitivity")})

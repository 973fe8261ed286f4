"""Whether the answer holds when looked at otherwise: a model of the sections, other thresholds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from thymusimg.report.finished_run import truth
from thymusimg.report.words import label, number
from thymusimg.study.robustness import summary_lines

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thymusimg.report.finished_run import FinishedRun

HOW = "thymusimg compare DIR --sensitivity"


@dataclass(frozen=True)
class Check:
    """A primary contrast beside its mixed model of the sections.

    ``agreement`` is the intraclass correlation of an animal's sections with the design effect; ``note`` says how
    the model was fitted, or why there is none.
    """

    title: str
    contrast: str
    own: str
    mixed: str
    agreement: str
    note: str


def read_checks(run: FinishedRun) -> list[Check]:
    """Return the primary contrasts that carry a mixed model, in the table's order."""
    frame = run.tables["comparisons"]
    if "mixed_note" not in frame:
        return []
    return [_check(row) for row in frame.to_dict("records") if row.get("role") == "primary" and row.get("endpoint")]


def sensitivity_lines(run: FinishedRun) -> list[str]:
    """Say a line a primary contrast how often its conclusion held under other thresholds; empty if not tried."""
    table = run.tables["sensitivity"]
    if "is_default" not in table:
        return []
    typed = table.copy()
    for name in ("is_default", "sign_holds", "significance_holds", "significant"):
        typed[name] = pd.array([truth(v) if str(v) else None for v in table[name]], dtype="boolean")
    typed["sections_changed"] = pd.to_numeric(table["sections_changed"], errors="coerce").fillna(0).astype(int)
    return [f"{label(name)}, {rest}" for name, _, rest in (line.partition(", ") for line in summary_lines(typed))]


def _check(row: Mapping[Any, Any]) -> Check:
    ratio = row.get("scale") in {"log", "logit"}
    icc, effect = _value(row, "icc"), _value(row, "design_effect")
    return Check(
        title=str(row["endpoint"]),
        contrast=f"{row.get('group', '')} – {row.get('reference', '')}",
        own=_interval(row, "difference", "ci_low", "ci_high", ratio),
        mixed=_interval(row, "mixed_estimate", "mixed_low", "mixed_high", ratio),
        agreement=f"{number(icc)} (× {number(effect)})" if math.isfinite(icc) else "",
        note=str(row.get("mixed_note", "")),
    )


def _interval(row: Mapping[Any, Any], estimate: str, low: str, high: str, ratio: bool) -> str:
    values = [_value(row, name) for name in (estimate, low, high)]
    if not all(math.isfinite(v) for v in values):
        return ""
    middle, start, end = (number(v, signed=not ratio) for v in values)
    return f"{'× ' if ratio else ''}{middle} ({start} to {end})"


def _value(row: Mapping[Any, Any], name: str) -> float:
    try:
        return float(row.get(name, ""))
    except ValueError:
        return math.nan

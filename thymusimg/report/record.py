"""The record of a run, ``run.json``, in rows of text."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from thymusimg.report.words import counted, number

if TYPE_CHECKING:
    from thymusimg.report.finished_run import FinishedRun

NOT_RECORDED = "not recorded"


def settings_table(run: FinishedRun) -> list[tuple[str, str]]:
    """Return every recorded setting as ``stage.name`` and its value."""
    settings = run.record.get("settings")
    return list(_flat(settings, "")) if isinstance(settings, dict) else []


def provenance(run: FinishedRun) -> list[tuple[str, str]]:
    """Return the record of the run, "not recorded" where a fact is missing."""
    record = run.record
    inputs = record.get("inputs")
    size = sum(int(i.get("bytes") or 0) for i in inputs if isinstance(i, dict)) if isinstance(inputs, list) else 0
    files = f"{counted(len(inputs), 'file')}, {size / 1e6:,.1f} MB" if isinstance(inputs, list) else NOT_RECORDED
    models = record.get("models")
    named = "; ".join(plain_text(model) for model in models) if isinstance(models, list) and models else "none used"
    times = record.get("times_s")
    return [
        ("thymusimg", plain_text(record.get("thymusimg"))),
        ("Created", plain_text(record.get("created"))),
        ("Command", plain_text(record.get("command"))),
        ("Device", plain_text(record.get("device"))),
        ("Models", named if "models" in record else NOT_RECORDED),
        ("Inputs", files),
        ("Time", _times(times)),
    ]


def _times(times: object) -> str:
    """Say how long the run took, and where: seconds of single stages, or of every section's stages added up."""
    if not isinstance(times, dict):
        return NOT_RECORDED
    spent: dict[str, float] = {}
    for name, value in times.items():
        for stage, seconds in (value if isinstance(value, dict) else {name: value}).items():
            if isinstance(seconds, int | float) and math.isfinite(seconds):
                spent[str(stage)] = spent.get(str(stage), 0.0) + float(seconds)
    total = spent.pop("total", None)
    stages = ", ".join(f"{name} {number(seconds)} s" for name, seconds in spent.items())
    if total is None:
        return stages or NOT_RECORDED
    return f"{number(total)} s in all{f' (stages, summed over the sections: {stages})' if stages else ''}"


def plain_text(value: Any) -> str:
    """Return a value of ``run.json`` as text, "not recorded" where it is missing."""
    if value is None or value in ("", []):
        return NOT_RECORDED
    if isinstance(value, dict):
        return ", ".join(f"{k} {v}" for k, v in value.items())
    return " ".join(str(v) for v in value) if isinstance(value, list | tuple) else str(value)


def _flat(values: dict[str, Any], prefix: str) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for name, value in values.items():
        if isinstance(value, dict) and value:
            rows += _flat(value, f"{prefix}{name}.")
        else:
            rows.append(
                (f"{prefix}{name}", "none" if value is None or value in ("", [], {}) else plain_text(value))
            )
    return rows

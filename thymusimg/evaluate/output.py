"""An evaluation for a terminal, as JSON, and as a folder of tables and pictures."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from thymusimg.errors import OutputError
from thymusimg.section.store import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    import pandas as pd

    from thymusimg.evaluate.model import Evaluation

TABLES = ("classes", "cells", "agreement")
_WIDEST = 24
"""More sections than this are summed up on a terminal; the tables hold them all."""


def as_json(found: Evaluation) -> str:
    """Return everything as JSON; what is undefined is null, with its reason beside it."""
    record: dict[str, Any] = {"annotators": found.annotators, "notes": list(found.notes)}
    for name in TABLES:
        record[name] = _worded(found, name).to_dict("records")
    return json.dumps(plain(record), indent=1, ensure_ascii=False)


def write_evaluation(found: Evaluation, out: Path) -> list[Path]:
    """Write ``classes.csv, cells.csv, agreement.csv`` and ``evaluation.json`` into ``out``.

    Raises
    ------
    OutputError
        If the folder cannot be written.
    """
    written = []
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name in TABLES:
            table = _worded(found, name)
            if len(table):
                written.append(out / f"{name}.csv")
                table.to_csv(written[-1], index=False)
        written.append(out / "evaluation.json")
        written[-1].write_text(as_json(found) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{out}: cannot be written ({error.strerror or error})") from None
    return written


def _worded(found: Evaluation, name: str) -> pd.DataFrame:
    """Return a table; of two annotators neither is called result or truth."""
    table: pd.DataFrame = getattr(found, name)
    if not found.annotators:
        return table
    renamed = table.rename(
        columns=lambda c: c.replace("result", "a").replace("truth", "b").replace("bias", "difference")
    )
    return renamed.assign(reason=[_said(found, r) for r in renamed["reason"]])


def _said(found: Evaluation, reason: str) -> str:
    if not found.annotators:
        return reason
    return (
        reason.replace("in result", "in annotator A")
        .replace("in truth", "in annotator B")
        .replace("a truth of 0", "0 cells of annotator B")
    )


def as_text(found: Evaluation) -> str:
    """Return what a person wants to read on a terminal."""
    one, other = ("annotator A", "annotator B") if found.annotators else ("result", "truth")
    parts = []
    sections = list(dict.fromkeys(found.cells["section_id"]))
    many = len(sections) > _WIDEST
    if len(found.classes):
        parts.append("Compartments" + (f", mean of {len(sections)} sections" if many else ""))
        parts.append(_classes(found.classes, one, other, many))
    if np.isfinite(found.cells["count_result"].astype(float)).any():
        parts.append("Human CD45+ cells" + (f", mean of {len(sections)} sections" if many else ""))
        parts.append(_cells(found, many, one, other))
    kappas = found.cells["kappa_classes"].dropna()
    if len(kappas):
        parts.append(f"Cohen's kappa of the classes over tissue: {_span(kappas)}")
    if len(found.agreement):
        parts.append(
            "Agreement over the sections" + (" (bias: A − B)" if found.annotators else " (bias: result − truth)")
        )
        parts.append(_agreement(found.agreement))
    reasons = _reasons(found)
    return "\n".join([*parts, *reasons, *(f"Note: {n}" for n in found.notes)])


def _classes(classes: pd.DataFrame, one: str, other: str, many: bool) -> str:
    table = classes
    if many:
        numbers = classes.drop(columns=["section_id", "reason"])
        table = numbers.groupby("class", sort=False).mean().reset_index()
        table.insert(0, "section_id", "mean")
    header = ("section", "class", "Dice", "mean µm", "95 % µm", f"area {one}", f"area {other}", "fraction error")
    columns = ("dice", "boundary_mean_um", "boundary_p95_um", "area_result_mm2", "area_truth_mm2", "fraction_error")
    rows = [
        [str(row["section_id"]), str(row["class"]), *(_digits(row[c], sign=c.endswith("error")) for c in columns)]
        for row in table.to_dict("records")
    ]
    return _grid(header, rows)


def _cells(found: Evaluation, many: bool, one: str, other: str) -> str:
    names = [c for c in found.cells.columns if c.startswith(("f1_", "detection"))]
    header = ("section", one, other, "count bias", "density bias", *(_score_name(n) for n in names))
    table = found.cells
    if many:
        table = table.drop(columns=["section_id", "reason"]).mean().to_frame().T
        table.insert(0, "section_id", "mean")
    rows = [
        [
            str(row["section_id"]), _digits(row["count_result"], whole=True),
            _digits(row["count_truth"], whole=True), _percent(row["count_bias"]), _percent(row["density_bias"]),
            *(_digits(row[n]) for n in names),
        ]
        for row in table.to_dict("records")
    ]  # fmt: skip
    return _grid(header, rows)


def _score_name(name: str) -> str:
    return f"F1 IoU .{name[-2]}" if name.startswith("f1") else "F1 4 µm"


def _agreement(table: pd.DataFrame) -> str:
    header = ("column", "n", "CCC", "95 %", "ICC(2,1)", "bias", "95 %", "limits of agreement")
    rows = [
        [
            str(r["column"]), str(r["n"]), _digits(r["ccc"]), _pair(r["ccc_low"], r["ccc_high"]),
            _digits(r["icc_2_1"]), _digits(r["bias"], sign=True), _pair(r["bias_low"], r["bias_high"]),
            _pair(r["lower_limit"], r["upper_limit"]),
        ]
        for r in table.to_dict("records")
    ]  # fmt: skip
    return _grid(header, rows)


def _reasons(found: Evaluation) -> list[str]:
    lines: dict[str, None] = {}
    for row in found.classes.to_dict("records"):
        if row["reason"]:
            lines[f"Undefined: {row['class']}: {_said(found, row['reason'])}"] = None
    for row in found.cells.to_dict("records"):
        if row["reason"]:
            lines[f"Undefined: cells: {_said(found, row['reason'])}"] = None
    return list(lines)


def _grid(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [list(header), *(list(r) for r in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    text = [[c > 0 and not _is_name(lines, c) for c in range(len(header))] for _ in lines]
    return "\n".join(
        "  "
        + "  ".join(v.rjust(w) if right else v.ljust(w) for v, w, right in zip(line, widths, rights, strict=True))
        for line, rights in zip(lines, text, strict=True)
    )


def _is_name(lines: Sequence[Sequence[str]], column: int) -> bool:
    return lines[0][column] in ("section", "class", "column")


def _digits(value: object, *, sign: bool = False, whole: bool = False) -> str:
    number = _number(value)
    if math.isnan(number):
        return "-"
    if whole:
        return f"{number:,.0f}"
    return f"{number:+.3g}" if sign else f"{number:.3f}" if abs(number) < 10 else f"{number:,.1f}"


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float, np.integer, np.floating)) else math.nan


def _percent(value: object) -> str:
    number = _number(value)
    return "-" if math.isnan(number) else f"{100 * number:+.1f} %"


def _pair(low: object, high: object) -> str:
    return "-" if math.isnan(_number(low)) else f"{_number(low):.3g} to {_number(high):.3g}"


def _span(values: pd.Series[float]) -> str:
    if len(values) == 1:
        return f"{values.iloc[0]:.3f}"
    return f"mean {values.mean():.3f}, {values.min():.3f} to {values.max():.3f} over {len(values)} sections"

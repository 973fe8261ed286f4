"""What the study's CD45 gate finds where no human cell can be, and what that makes of every section.

The sections marked ``negative_control`` are known only when the whole study is: false cells, the limit of detection
and the class of infiltration are filled in here. Nothing is read from a group's name.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from thymusimg.measurements.columns import REASON, columns
from thymusimg.measurements.families.infiltration import FINISHED
from thymusimg.measurements.population.infiltration import Infiltration, classify_infiltration
from thymusimg.settings import MeasurementSettings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from thymusimg.section.store import Bundle

    Numbers = Mapping[str, Any]

COLUMN = "cd45_false_cells_per_mm2"
LIMIT_PER_MM2 = 5.0
"""Above this, cells in a sparse section may be false (catalogue Q)."""
ONE_SIDED_95 = 1.645
_TYPES: dict[str, Any] = {"float": "float64", "int": "Int64", "bool": "boolean", "str": "object"}
_CUTS = {
    "density": "cd45_density_per_mm2 against the limit of detection",
    "peripheral": "cd45_peripheral_share",
    "inner_density": "cd45_inner_density_per_mm2",
    "cortical": "cd45_log_ratio_cortex_medulla",
    "medullary": "cd45_log_ratio_cortex_medulla",
    "empty": "cd45_empty_tile_fraction",
}


def false_density(bundle: Bundle, measured: Mapping[str, Numbers]) -> tuple[float, str]:
    """Return Σ cells / Σ parenchyma (1/mm²) over the controls behind a section's gate, and why it is undefined.

    The controls are counted as they were measured: with the same rule and the same controls as the section.

    Parameters
    ----------
    bundle : Bundle
    measured : mapping of str to mapping
        Row of ``sections.csv`` of every measured section.
    """
    rows, why = _controls(bundle, measured)
    if not rows:
        return math.nan, why
    area = math.fsum(row["parenchyma_area_mm2"] for row in rows)
    return sum(row["cd45_count"] for row in rows) / area, ""


def limit_of_detection(densities: Sequence[float]) -> tuple[float, str]:
    """Return mean + 1.645 SD of the controls' densities, and why it is undefined (Q; Currie 1968).

    The density that 95 % of sections without human cells stay below, if their densities are normal. Two controls
    make a poor SD: more are better.

    Examples
    --------
    >>> round(limit_of_detection([1.0, 3.0])[0], 3)  # 2 + 1.645 √2
    4.326
    >>> limit_of_detection([1.0])[1]
    '1 negative control was measured; a limit of detection needs at least 2'
    """
    if len(densities) < 2:
        count = "1 negative control was" if len(densities) == 1 else f"{len(densities)} negative controls were"
        return math.nan, f"{count} measured; a limit of detection needs at least 2"
    return float(np.mean(densities) + ONE_SIDED_95 * np.std(densities, ddof=1)), ""


def finish_sections(
    sections: pd.DataFrame, bundles: Sequence[Bundle]
) -> tuple[pd.DataFrame, dict[str, tuple[float, str]]]:
    """Fill in what the negative controls decide, and return the false cells per mm² of every section beside it.

    Parameters
    ----------
    sections : DataFrame
        ``sections.csv``, a row a bundle.
    bundles : sequence of Bundle
        In the order of the rows.
    """
    measured = {b.attributes["section"]["section_id"]: b.attributes["section"] for b in bundles}
    found = {name: false_density(b, measured) for name, b in zip(measured, bundles, strict=True)}
    rows = [_finished(bundle, measured) for bundle in bundles]
    table = {COLUMN: list(found.values())} | {name: [row[name] for row in rows] for name in FINISHED}
    dtypes = {column.name: _TYPES[column.dtype] for column in columns("sections")}
    for name, values in table.items():
        sections[name] = pd.Series([value for value, _ in values], sections.index, dtype=dtypes[name])
        _put_reasons(sections, name, [why for _, why in values])
    return sections, found


def _put_reasons(sections: pd.DataFrame, name: str, reasons: list[str]) -> None:
    if any(reasons):
        if name + REASON in sections:
            sections[name + REASON] = reasons
        else:
            sections.insert(int(sections.columns.get_loc(name)) + 1, name + REASON, reasons)  # type: ignore[arg-type]
    elif name + REASON in sections:
        del sections[name + REASON]


def _controls(bundle: Bundle, measured: Mapping[str, Numbers]) -> tuple[list[Numbers], str]:
    """Return the rows of the controls behind a section's gate, and why there are none."""
    gate = bundle.attributes.get("gate")
    if gate is None:
        return [], str(bundle.attributes.get("cells_reason", "cells were not looked for"))
    rows = [measured[name] for name in gate["controls"] if name in measured]
    rows = [row for row in rows if row.get("cd45_count") is not None and row.get("parenchyma_area_mm2")]
    return rows, "" if rows else gate["false_reason"] or "no negative control was measured"


def _finished(bundle: Bundle, measured: Mapping[str, Numbers]) -> dict[str, tuple[object, str]]:
    """Return the value and the reason of every column of ``FINISHED``."""
    rows, why = _controls(bundle, measured)
    limit = math.nan
    if rows:
        limit, why = limit_of_detection([row["cd45_count"] / row["parenchyma_area_mm2"] for row in rows])
    own = bundle.attributes["section"]
    density = _number(own, "cd45_density_per_mm2")
    if not why and math.isnan(density):
        why = str(bundle.attributes["reasons"].get("cd45_density_per_mm2", "the density is undefined"))
    out: dict[str, tuple[object, str]] = dict.fromkeys(FINISHED, (None, why))
    out["cd45_lod_per_mm2"] = (limit, "" if math.isfinite(limit) else why)
    if why:
        return out
    out["cd45_below_lod"] = (density <= limit, "")
    settings = MeasurementSettings(**bundle.attributes["settings"]["measurements"])
    verdict = classify_infiltration(_evidence(own, limit), settings)
    out["cd45_infiltration"] = (verdict.name, "")
    if math.isfinite(verdict.margin):
        out["cd45_infiltration_margin"] = (verdict.margin, "")
        out["cd45_infiltration_cut"] = (f"{_CUTS[verdict.cut]}: {verdict.other}", "")
    else:
        never = "no change of a single value would change the class"
        out["cd45_infiltration_margin"] = out["cd45_infiltration_cut"] = (None, never)
    return out


def _evidence(row: Numbers, limit: float) -> Infiltration:
    """Return what the class rests on; shares of counts as (n + ½) / (N + 1), so that their odds are finite."""
    near, inner = _number(row, "cd45_count_peripheral"), _number(row, "cd45_count_inner")
    tiles = _number(row, "parenchyma_area_mm2") * 100  # of 100 µm
    empty = _number(row, "cd45_empty_tile_fraction")
    return Infiltration(
        _number(row, "cd45_density_per_mm2"),
        limit,
        (near + 0.5) / (near + inner + 1),
        _number(row, "cd45_inner_density_per_mm2"),
        1 / (1 + math.exp(-_number(row, "cd45_log_ratio_cortex_medulla"))),
        (empty * tiles + 0.5) / (tiles + 1),
    )


def _number(row: Numbers, name: str) -> float:
    value = row.get(name)
    return math.nan if value is None else float(value)


def quality_rows(bundles: Sequence[Bundle], found: Mapping[str, tuple[float, str]]) -> list[dict[str, Any]]:
    """Return one row of ``quality.csv`` a section whose gate has controls."""
    rows = []
    for bundle in bundles:
        name = bundle.attributes["section"]["section_id"]
        density, _ = found[name]
        if math.isfinite(density):
            few = density <= LIMIT_PER_MM2
            rows.append(
                {
                    "section_id": name,
                    "channel": "cd45",
                    "check": "false_cells",
                    "value": density,
                    "unit": "1/mm²",
                    "status": "pass" if few else "warn",
                    "reason": f"the same gate finds {density:.3g} cells per mm² in the negative controls"
                    + ("" if few else ": densities of that order mean nothing"),
                    "where": "",
                }
            )
    return rows

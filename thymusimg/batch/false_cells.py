"""How many cells the study's CD45 gate finds where no human cell can be: in the negative controls."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from thymusimg.section.store import Bundle

COLUMN = "cd45_false_cells_per_mm2"
LIMIT_PER_MM2 = 5.0
"""Above this, cells in a sparse section may be false (catalogue Q)."""


def false_density(bundle: Bundle, measured: Mapping[str, Mapping[str, Any]]) -> tuple[float, str]:
    """Return Σ cells / Σ parenchyma (1/mm²) over the controls behind a section's gate, and why it is undefined.

    The controls are counted as they were measured: with the same rule and the same controls as the section.

    Parameters
    ----------
    bundle : Bundle
    measured : mapping of str to mapping
        Row of ``sections.csv`` of every measured section.
    """
    gate = bundle.attributes.get("gate")
    if gate is None:
        return math.nan, str(bundle.attributes.get("cells_reason", "cells were not looked for"))
    rows = [measured[name] for name in gate["controls"] if name in measured]
    rows = [row for row in rows if row.get("cd45_count") is not None and row.get("parenchyma_area_mm2")]
    if not rows:
        return math.nan, gate["false_reason"] or "no negative control was measured"
    area = math.fsum(row["parenchyma_area_mm2"] for row in rows)
    return sum(row["cd45_count"] for row in rows) / area, ""


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

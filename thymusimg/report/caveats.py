"""What no report of this kind can show, whatever its numbers; and what this one cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from thymusimg.report.finished_run import FinishedRun

CAVEATS = (
    (
        "One time point shows kinetics, not potency.",
        "Progenitors of different stages act at different times: in NSG mice CD34⁺ cells give T cells in "
        "blood only from "
        "about 13 weeks, so their thymi can be near empty at 10 weeks. A difference at one time point is a "
        "difference "
        "in course; it does not show that one cell product is better.",
    ),
    (
        "Counts are profiles per mm² of section, not cells per organ.",
        "A section shows cut cells. Where they are packed they overlap within the section's thickness, so counts "
        "saturate and read too low, whatever the method; sections where this happens are marked and their area "
        "fraction is the number to read.",
    ),
    (
        "Medullary islets are counted in two dimensions.",
        "One branched medulla can be cut into many islets and many islets can be missed. More islets can mean "
        "better "
        "order (wild type has about 200 per organ, Rag2⁻/⁻ about 20), so their number is read together with the "
        "largest islet's share, never alone.",
    ),
    (
        "CD45 is on every human leukocyte.",
        "It is not specific for T cells or thymocytes. Cells in the medulla, capsule or vessels only may be mature "
        "cells that came from the blood.",
    ),
    (
        "The border of cortex and medulla is fuzzy.",
        "No membrane separates them; tissue with evidence for neither is called indeterminate, and values "
        "that need a "
        "compartment that is not there are undefined, never 0.",
    ),
)
"""A head and a text each."""


def control_caveats(run: FinishedRun) -> tuple[tuple[str, str], ...]:
    """Return what to know of CD45 where no section of the study was a negative control."""
    controlled = bool((run.study or {}).get("negative_controls"))
    if controlled or not run.grouped or run.setting("cells", "method") == "none":
        return ()
    return (
        (
            "No section is a negative control.",
            "The CD45 gate is every section's own background plus a number of its standard deviations. What glows "
            "by itself, as capsule and macrophages do, passes it too, and with few human cells that can be most of "
            "what passes. Small CD45⁺ area fractions may be glow; sections marked as negative_control tell.",
        ),
    )

"""Measure one section: every declared column, and the reason of every undefined one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from thymusimg.measurements.columns import check_curves, columns
from thymusimg.measurements.compartment_rows import compartment_rows
from thymusimg.measurements.row import Row
from thymusimg.measurements.together import measure_families
from thymusimg.measurements.view import SectionView
from thymusimg.progress import silent
from thymusimg.settings.compute import ComputeSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from thymusimg.cells.model import Cells
    from thymusimg.channels.correct import Correction
    from thymusimg.compartments.model import Compartments
    from thymusimg.progress import Progress
    from thymusimg.section.model import FloatPlane, Section
    from thymusimg.settings import MeasurementSettings


@dataclass(frozen=True)
class Measured:
    """The numbers of a section.

    Attributes
    ----------
    section : dict
        One value for every declared column of ``sections.csv``; NaN where undefined.
    reasons : dict of str to str
        Why, for every column that is NaN.
    compartments : DataFrame
        The section's rows of ``compartments.csv``.
    curves : DataFrame
        The section's rows of ``curves.csv``.
    """

    section: dict[str, object]
    reasons: dict[str, str]
    compartments: pd.DataFrame
    curves: pd.DataFrame


def measure_section(
    section: Section,
    compartments: Compartments,
    planes: Mapping[str, FloatPlane],
    cells: Cells | None,
    settings: MeasurementSettings,
    *,
    cells_reason: str = "",
    correction: Correction | None = None,
    compute: ComputeSettings | None = None,
    progress: Progress = silent,
) -> Measured:
    """Measure a section: reorganisation (R) and repopulation (P).

    Parameters
    ----------
    section : Section
    compartments : Compartments
    planes : mapping of str to (Y, X) float32
        Corrected planes by role on the compartments' grid. K8 and K14 may be missing: what needs them is undefined.
    cells : Cells or None
        Assigned cells; None when they were not looked for.
    settings : MeasurementSettings
    cells_reason : str
        Why ``cells`` is None.
    correction : Correction, optional
        Corrects full-resolution windows; without it, what needs full resolution is undefined.
    compute : ComputeSettings, optional
        Threads and tile size.
    progress : callable
        Called as ``progress("measurements", fraction)``; raise :class:`CancelledError` from it to stop.

    Returns
    -------
    Measured
    """
    view = SectionView(section, compartments, planes, settings, cells, correction, compute or ComputeSettings())
    row = Row.joined(measure_families(view, progress))
    why = cells_reason or "cells were not looked for"
    for column in columns("sections") if cells is None else ():
        if column.name not in row.values:
            row.put(column.name, math.nan, why)
    ordered = {column.name: row.values[column.name] for column in columns("sections")}
    return Measured(
        ordered,
        row.reasons,
        compartment_rows(section.subject, compartments, planes, cells, cells_reason),
        _curves(section, row),
    )


def _curves(section: Section, row: Row) -> pd.DataFrame:
    curves = row.curves
    check_curves(curves["curve"])
    for i, name in enumerate(("section_id", "animal", "group")):
        curves.insert(i, name, getattr(section.subject, name))
    return curves

"""A section measured as it stands in the window, and its numbers as rows for people. No Qt."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from thymusimg.measurements.columns import columns
from thymusimg.measurements.shapes.islet_table import MEANINGS, islet_table
from thymusimg.pipeline import Counted, measure_counted, place_cells

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    import numpy.typing as npt

    from thymusimg.measurements.measure import Measured
    from thymusimg.measurements.schema import Column
    from thymusimg.pipeline import Prepared, SectionResult
    from thymusimg.progress import Progress
    from thymusimg.settings import Settings

NOT_LOOKED_FOR = "cells were not looked for yet: find them in the Cells widget"
UNDEFINED = "—"
_WHOLE_FROM, _POWERS_FROM = 1e4, 1e9


@dataclass(frozen=True)
class Numbers:
    """A section's numbers, its islets, and what they were measured on."""

    prepared: Prepared
    counted: Counted | None
    result: SectionResult
    islets: pd.DataFrame
    islet_labels: npt.NDArray[np.int32]


class Meaning(NamedTuple):
    """Unit and definition of a column."""

    unit: str
    definition: str
    source: str = ""

    @property
    def tip(self) -> str:
        """What is shown on hover."""
        source = f" ({self.source})" if self.source else ""
        return f"{self.definition}{source}. Unit: {self.unit}"


def measure_now(prepared: Prepared, counted: Counted | None, settings: Settings) -> Callable[[Progress], Numbers]:
    """Return the work that measures a section with its compartments and cells as they are, edited or not.

    Cells are placed in the compartments first: those may have been edited since the cells were found.
    """
    used = {"measurements": settings.measurements, "compute": settings.compute}
    now = replace(prepared, settings=prepared.settings.model_copy(update=used))

    def work(progress: Progress) -> Numbers:
        if counted is None or counted.cells is None:
            reason = NOT_LOOKED_FOR if counted is None else counted.cells_reason
            given = Counted(now, None, reason, dict(now.seconds))
        else:
            cells = place_cells(counted.cells, now.compartments, now.settings.measurements)
            given = Counted(now, cells, "", counted.seconds)
        result = measure_counted(given, progress=progress)
        progress("islets", 0.0)
        islets, labels = islet_table(now.compartments, now.settings.measurements, given.cells)
        return Numbers(prepared, counted, result, islets, labels)

    return work


def number_rows(measured: Measured) -> tuple[pd.DataFrame, list[str]]:
    """Return ``measurement, value, unit`` of every column of a section, and what is said of each on hover.

    What a study's table would say of the section, and does not, is left out.
    """
    rows, tips = [], []
    for column in columns("sections"):
        value = measured.section[column.name]
        if column.unit == "text" and not value:
            continue
        rows.append((column.name, shown(value), "" if column.unit in ("text", "yes or no") else column.unit))
        reason = measured.reasons.get(column.name, "")
        tips.append(meaning_of(column).tip + (f"\nUndefined: {reason}" if reason else ""))
    return pd.DataFrame(rows, columns=["measurement", "value", "unit"]), tips


def shown(value: object) -> str:
    """Return a value as people read it.

    Examples
    --------
    >>> shown(0.123456), shown(float("nan")), shown(True), shown(1234), shown(1351234.5)
    ('0.1235', '—', 'yes', '1,234', '1,351,234')
    """
    if value is None:
        return UNDEFINED
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        if math.isnan(value):
            return UNDEFINED
        return f"{value:,.0f}" if _WHOLE_FROM <= abs(value) < _POWERS_FROM else f"{value:.4g}"
    return str(value)


def meaning_of(column: Column) -> Meaning:
    """Return what the dictionary says of a column."""
    return Meaning(column.unit, column.definition, column.source)


def cell_meanings() -> Mapping[str, Meaning]:
    """Return the meanings of the cells' columns."""
    return {column.name: meaning_of(column) for column in columns("cells")}


def islet_meanings() -> Mapping[str, Meaning]:
    """Return the meanings of the islets' columns."""
    return {name: Meaning(unit, definition, "R2") for name, (unit, definition) in MEANINGS.items()}

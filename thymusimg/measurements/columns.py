"""The data dictionary: every column of every table, and the check that nothing else is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import pandas as pd

from thymusimg.errors import CallError
from thymusimg.measurements.schema import Column, Curve, Table
from thymusimg.measurements.study_columns import (
    ANIMAL_COLUMNS,
    ANIMAL_CURVE_COLUMNS,
    COMPARISON_COLUMNS,
    EXCLUSION_COLUMNS,
    GROUP_CURVE_COLUMNS,
    LOBE_COLUMNS,
    POWER_COLUMNS,
    SENSITIVITY_COLUMNS,
)
from thymusimg.measurements.table_columns import (
    CELL_COLUMNS,
    COMPARTMENT_COLUMNS,
    CURVE_COLUMNS,
    FAILURE_COLUMNS,
    QUALITY_COLUMNS,
    SECTION_COLUMNS,
    SECTION_CURVES,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_TABLES: Mapping[Table, tuple[Column, ...]] = {
    "sections": SECTION_COLUMNS,
    "compartments": COMPARTMENT_COLUMNS,
    "cells": CELL_COLUMNS,
    "curves": CURVE_COLUMNS,
    "lobes": LOBE_COLUMNS,
    "animals": ANIMAL_COLUMNS,
    "comparisons": COMPARISON_COLUMNS,
    "power": POWER_COLUMNS,
    "sensitivity": SENSITIVITY_COLUMNS,
    "animal_curves": ANIMAL_CURVE_COLUMNS,
    "group_curves": GROUP_CURVE_COLUMNS,
    "exclusions": EXCLUSION_COLUMNS,
    "quality": QUALITY_COLUMNS,
    "failures": FAILURE_COLUMNS,
}
TABLES: tuple[Table, ...] = get_args(Table)
"""Names of the tables of a run."""
REASON = "_reason"
"""``COLUMN_reason`` says why ``COLUMN`` is undefined; it is declared with the column."""


def columns(table: Table) -> tuple[Column, ...]:
    """Return the declared columns of a table, in their order.

    Examples
    --------
    >>> [c.name for c in columns("failures")]
    ['section_id', 'path', 'stage', 'error', 'message']
    """
    return _TABLES[table]


def column(table: Table, name: str) -> Column:
    """Return one declared column.

    Raises
    ------
    CallError
        If the table has no such column.
    """
    for candidate in columns(table):
        if candidate.name == name:
            return candidate
    raise CallError(f"table '{table}' has no column '{name}'; see tables/dictionary.csv for those it has")


def dictionary() -> pd.DataFrame:
    """Return the data dictionary: one row a column of a table, and one a curve (``NAME(x)``).

    Returns
    -------
    DataFrame
        ``table, column, unit, definition, source, dtype, range, pooling, scale``.
    """
    rows = [
        {
            "table": c.table,
            "column": c.name,
            "unit": c.unit,
            "definition": c.definition,
            "source": c.source,
            "dtype": c.dtype,
            "range": c.interval,
            "pooling": "" if c.pool is None else str(c.pool),
            "scale": c.scale if c.pool is not None else "",
        }
        for table in TABLES
        for c in columns(table)
    ]
    return pd.DataFrame(rows + [_curve_row(curve) for curve in SECTION_CURVES])


def _curve_row(curve: Curve) -> dict[str, str]:
    return {
        "table": "curves",
        "column": f"{curve.name}({curve.x_name})",
        "unit": curve.unit,
        "definition": f"{curve.definition}. x: {curve.x_name} in {curve.x_unit}",
        "source": curve.source,
        "dtype": "float",
        "range": "",
        "pooling": "Σ weight × value / Σ weight at every x",
        "scale": "",
    }


def check_curves(names: Iterable[str]) -> None:
    """Refuse a curve that is not declared.

    Raises
    ------
    CallError
        If one is not; every one is named.
    """
    if unknown := sorted(set(names) - {curve.name for curve in SECTION_CURVES}):
        raise CallError(
            f"curves that are not declared: {', '.join(unknown)}. "
            "Declare them, with unit and definition, in thymusimg/measurements/families"
        )


def check_columns(table: Table, frame: pd.DataFrame) -> None:
    """Refuse a table with a column that the dictionary does not declare.

    ``COLUMN_reason`` is declared with ``COLUMN``.

    Raises
    ------
    CallError
        If a column is not declared; every one is named.
    """
    names = {c.name for c in columns(table)}
    unknown = [str(name) for name in frame.columns if str(name) not in names and _about(str(name)) not in names]
    if unknown:
        raise CallError(
            f"table '{table}' has columns that are not declared: {', '.join(unknown)}. "
            "Declare them, with unit and definition, in thymusimg/measurements"
        )


def _about(name: str) -> str:
    return name.removesuffix(REASON) if name.endswith(REASON) else ""

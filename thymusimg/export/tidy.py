"""Every number of a run in one long table: one value a row, with its unit and its reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from thymusimg.errors import UnreadableError
from thymusimg.measurements.columns import REASON, columns
from thymusimg.measurements.table_columns import SECTION_CURVES

if TYPE_CHECKING:
    from pathlib import Path

    from thymusimg.measurements.schema import Table

NAMES = ("level", "section_id", "animal", "group", "compartment", "column", "x", "unit", "value", "text", "reason")
_KEYS = {"sections": "section", "compartments": "compartment", "animals": "animal"}
_SUBJECT = ("section_id", "animal", "group", "compartment")


def tidy_table(tables: Path) -> pd.DataFrame:
    """Return sections, compartments, animals and curves of a run as one long table.

    Parameters
    ----------
    tables : Path
        Folder of the tables that a run left.

    Returns
    -------
    DataFrame
        ``level`` (section, compartment, animal or curve), ``section_id, animal, group, compartment, column, x``
        (of a curve), ``unit, value`` (numbers; true is 1), ``text`` (what is no number), ``reason`` (why a value is
        undefined). A row for every declared column of the run, the undefined ones too.

    Raises
    ------
    UnreadableError
        If the folder holds no tables of a run.
    """
    parts = [tidy_rows(name, read_table(tables, name), level) for name, level in _KEYS.items()]
    if (tables / "curves.parquet").exists():
        parts.append(_curves(read_table(tables, "curves")))
    return pd.concat(parts, ignore_index=True)[list(NAMES)]


def read_table(tables: Path, name: str) -> pd.DataFrame:
    """Read one table of a run.

    Raises
    ------
    UnreadableError
        If it is not there.
    """
    path = tables / f"{name}.parquet"
    try:
        return pd.read_parquet(path)
    except OSError as error:
        raise UnreadableError(
            f"{path}: cannot be read ({error.strerror or error}); expected the folder that 'thymusimg run' or "
            "'thymusimg section' left. Give that folder"
        ) from None


def tidy_rows(table: Table | str, frame: pd.DataFrame, level: str) -> pd.DataFrame:
    """Return one row a value of a wide table.

    Examples
    --------
    >>> wide = pd.DataFrame({"animal": ["m1"], "group": ["g"], "cd45_count": [3.0]})
    >>> tidy_rows("animals", wide, "animal")[["animal", "column", "unit", "value"]].values.tolist()
    [['m1', 'cd45_count', 'count', 3.0]]
    """
    parts = []
    for column in columns(table):  # type: ignore[arg-type]  # one of the tables, by name
        if column.name in _SUBJECT or column.name == "reason" or column.name not in frame:
            continue
        values = frame[column.name]
        text = column.dtype == "str"
        reason: Any = frame.get(column.name + REASON, "")
        if "reason" in frame:
            reason = frame["reason"].where(values.isna(), "")
        parts.append(
            pd.DataFrame(
                {
                    "level": level,
                    **{name: frame[name] if name in frame else "" for name in _SUBJECT},
                    "column": column.name,
                    "x": float("nan"),
                    "unit": column.unit,
                    "value": float("nan") if text else values.astype("Float64").astype("float64"),
                    "text": values.fillna("").astype(str) if text else "",
                    "reason": reason,
                }
            )
        )
    if not parts:
        return pd.DataFrame(columns=list(NAMES))
    return pd.concat(parts, ignore_index=True).fillna({"reason": ""})


def _curves(frame: pd.DataFrame) -> pd.DataFrame:
    units = {curve.name: curve.unit for curve in SECTION_CURVES}
    rows = frame.rename(columns={"curve": "column"}).assign(
        level="curve", unit=frame["curve"].map(units).fillna(""), text=""
    )
    return rows[list(NAMES)]

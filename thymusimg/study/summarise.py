"""Sections to animals: pooled, never a mean of ratios."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from thymusimg.measurements.columns import columns as declared
from thymusimg.measurements.schema import LogRatio, Ratio, Sum, WeightedMean
from thymusimg.study.entries import truth

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import numpy.typing as npt

    from thymusimg.measurements.schema import Column

    Values = npt.NDArray[np.float64]

SUBJECT_TEXT = ("section_id", "animal", "group", "donor", "batch", "timepoint", "level", "lobe", "notes")
"""Columns of ``sections.csv`` that are text even where they look like numbers (animal ``007``)."""

SUBJECT_FLAGS = ("negative_control", "exclude")
ANIMAL_TEXT = ("group", "donor", "batch", "timepoint")
JOINED = "; "


def read_sections(path: Path) -> pd.DataFrame:
    """Read ``sections.csv``: names stay text (``007``, ``NA``), empty numbers are NaN, flags are booleans."""
    header = pd.read_csv(path, nrows=0).columns
    text = {name: str for name in header if name in SUBJECT_TEXT or name.endswith("_reason")}
    sections = pd.read_csv(
        path,
        dtype=text,
        keep_default_na=False,
        na_values={n: [""] for n in header if n not in text},
        float_precision="round_trip",  # to the last bit what was written, whatever the library's default
    )
    return with_subject(sections)


def pool_animals(sections: pd.DataFrame, columns: Iterable[Column] | None = None) -> pd.DataFrame:
    """Pool the sections of every animal.

    A ratio is Σ numerator / Σ denominator over the sections where it is defined (so each section counts by its
    area), a weighted mean is Σ wx / Σ w, a sum is the sum, undefined if it is undefined in any section. Sections
    marked ``exclude`` are left out. Sections marked ``negative_control`` stay in: untreated mice are a group as
    well as the control of the CD45 gate.

    Parameters
    ----------
    sections
        Rows of ``sections.csv``, one a section.
    columns
        The columns to pool; those without a ``pool`` and those absent from ``sections`` are passed over. By default
        every column that the measurements know.

    Returns
    -------
    DataFrame
        One row an animal in order of appearance: ``animal, group, donor, batch, timepoint, negative_control,
        section_ids, n_sections`` and the pooled columns in their units, NaN where undefined, with
        ``COLUMN_reason`` beside each column that is undefined for some animal.
    """
    kept = kept_sections(sections)
    parts = {name: kept[kept["animal"] == name] for name in dict.fromkeys(kept["animal"])}
    return _pooled({"animal": list(parts)}, list(parts.values()), kept, columns, ANIMAL_TEXT)


def pool_lobes(sections: pd.DataFrame, columns: Iterable[Column] | None = None) -> pd.DataFrame:
    """Pool the sections of every named lobe of every animal, as :func:`pool_animals` does.

    A description only: lobes of an animal are not independent, and no test counts them.

    Returns
    -------
    DataFrame
        One row a lobe: ``animal, lobe, group, donor, batch, timepoint, negative_control, section_ids,
        n_sections`` and the pooled columns.
    """
    kept = kept_sections(sections)
    kept = kept[kept["lobe"] != ""]
    keys = list(dict.fromkeys(zip(kept["animal"], kept["lobe"], strict=True)))
    parts = [kept[(kept["animal"] == animal) & (kept["lobe"] == lobe)] for animal, lobe in keys]
    names = {"animal": [animal for animal, _ in keys], "lobe": [lobe for _, lobe in keys]}
    return _pooled(names, parts, kept, columns, ANIMAL_TEXT)


def _pooled(
    names: dict[str, list[str]],
    parts: list[pd.DataFrame],
    kept: pd.DataFrame,
    columns: Iterable[Column] | None,
    text: Iterable[str],
) -> pd.DataFrame:
    """Pool each part to a row."""
    table: dict[str, list[object]] = {name: list(values) for name, values in names.items()}
    for name in text:
        table[name] = [_distinct(part[name]) for part in parts]
    table["negative_control"] = [bool(part["negative_control"].all()) for part in parts]
    table["section_ids"] = [JOINED.join(part["section_id"]) for part in parts]
    table["n_sections"] = [len(part) for part in parts]
    for column in declared("sections") if columns is None else columns:
        if column.pool is None or column.name not in kept:
            continue
        pooled = [_pool(part, column) for part in parts]
        table[column.name] = [value for value, _ in pooled]
        if any(reason for _, reason in pooled):
            table[f"{column.name}_reason"] = [reason for _, reason in pooled]
    return pd.DataFrame(table)


def kept_sections(sections: pd.DataFrame) -> pd.DataFrame:
    """Leave out the sections marked ``exclude``, and give the columns of the study table their types."""
    typed = with_subject(sections)
    return typed[~typed["exclude"].to_numpy(dtype=bool)]


def with_subject(sections: pd.DataFrame) -> pd.DataFrame:
    """Give the columns of the study table their types; those that are absent are empty."""
    subject: dict[str, object] = {}
    for name in SUBJECT_TEXT:
        subject[name] = sections[name].fillna("").astype(str) if name in sections else ""
    for name in SUBJECT_FLAGS:
        subject[name] = [_flag(value) for value in sections[name]] if name in sections else False
    order = list(dict.fromkeys([*sections.columns, *subject]))
    rest = sections.drop(columns=[name for name in subject if name in sections])
    # put together at once: a table of so many columns is slow to add to one by one
    return pd.concat([rest, pd.DataFrame(subject, index=sections.index)], axis=1)[order]


def _flag(value: object) -> bool:
    return truth("" if pd.isna(value) else str(value).removesuffix(".0"))  # type: ignore[call-overload]


def _distinct(values: pd.Series[str]) -> str:
    return JOINED.join(dict.fromkeys(value for value in values if value))


def _pool(part: pd.DataFrame, column: Column) -> tuple[float, str]:
    """Pool one column over an animal's sections: value, and the reason where it is undefined."""
    if absent := [name for name in _parts(column) if name not in part]:
        return np.nan, f"needs column '{absent[0]}', which is not there"
    own = _numbers(part, column.name)
    match column.pool:
        case Sum():
            if np.isfinite(own).all():
                return float(own.sum()), ""
            return np.nan, _reasons(part, column.name, ~np.isfinite(own))
        case Ratio(numerator, denominator, factor):
            above, below = _added(part, numerator), _added(part, denominator)
            used = np.isfinite(own) & np.isfinite(above) & np.isfinite(below)
            total = float(below[used].sum())
            if total > 0:
                return float(factor * above[used].sum() / total), ""
            if used.any():
                return np.nan, "the areas or lengths it is per sum to 0"
        case WeightedMean(weight):
            weights = _numbers(part, weight)
            used = np.isfinite(own) & np.isfinite(weights) & (weights > 0)
            if used.any():
                return float((weights[used] * own[used]).sum() / weights[used].sum()), ""
        case LogRatio():
            sides = np.stack([_numbers(part, name) for name in column.pool.names])
            count, area, other_count, other_area = sides[:, np.isfinite(sides).all(axis=0)].sum(axis=1)
            if area > 0 and other_area > 0:
                return float(np.log((count + 0.5) / area) - np.log((other_count + 0.5) / other_area)), ""
        case None:
            pass
    return np.nan, _reasons(part, column.name, np.ones(len(part), dtype=np.bool_))


def _added(part: pd.DataFrame, names: str | tuple[str, ...]) -> Values:
    added: Values = np.zeros(len(part))
    for name in (names,) if isinstance(names, str) else names:
        added = added + _numbers(part, name)
    return added


def _numbers(part: pd.DataFrame, name: str) -> Values:
    return pd.to_numeric(part[name], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)


def _parts(column: Column) -> tuple[str, ...]:
    """Name the columns that a pooled value is made of."""
    match column.pool:
        case Ratio(numerator, denominator):
            return tuple(
                name for side in (numerator, denominator) for name in ([side] if isinstance(side, str) else side)
            )
        case WeightedMean(weight):
            return (weight,)
        case LogRatio() as pool:
            return pool.names
        case _:
            return ()


def _reasons(part: pd.DataFrame, name: str, undefined: npt.NDArray[np.bool_]) -> str:
    """Say why, once a reason; with the sections where they differ: ``no cortex (s1, s2); no medulla (s3)``."""
    given = part[f"{name}_reason"].fillna("").astype(str) if f"{name}_reason" in part else pd.Series("", part.index)
    by_reason: dict[str, list[str]] = {}
    for reason, section_id in zip(given[undefined], part["section_id"][undefined], strict=True):
        by_reason.setdefault(reason or "undefined in the section", []).append(section_id)
    if len(by_reason) == 1 and undefined.all():
        return next(iter(by_reason))
    return JOINED.join(f"{reason} ({', '.join(ids)})" for reason, ids in by_reason.items())

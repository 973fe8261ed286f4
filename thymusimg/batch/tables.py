"""The tables of a run, put together from its bundles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from thymusimg.batch.false_cells import finish_sections, quality_rows
from thymusimg.measurements.columns import REASON, check_columns, columns, dictionary
from thymusimg.section.store import Bundle
from thymusimg.study.compare import compare_groups
from thymusimg.study.curves import excluded_sections, group_curves, pool_curves
from thymusimg.study.next_study import power_table
from thymusimg.study.organisation_index import with_organisation_index
from thymusimg.study.overview import left_out
from thymusimg.study.stereology import with_organ_totals
from thymusimg.study.summarise import pool_animals, pool_lobes

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from thymusimg.batch.folder import RunFolder
    from thymusimg.measurements.schema import Table
    from thymusimg.section.model import Subject
    from thymusimg.settings import StudySettings

_TYPES: dict[str, Any] = {"float": "float64", "int": "Int64", "bool": "boolean", "str": "object"}


def write_tables(
    folder: RunFolder, section_ids: Sequence[str], failures: list[dict[str, Any]], study: StudySettings
) -> None:
    """Write every table of a run from the bundles of ``section_ids``.

    Raises
    ------
    OutputError
        If a table cannot be written.
    """
    bundles = [Bundle.open(folder.bundle(name)) for name in section_ids]
    sections, found = finish_sections(sections_table(bundles), bundles)
    _write(folder, "failures", framed("failures", failures))
    _write(folder, "sections", sections)
    _write(folder, "compartments", _stacked("compartments", bundles))
    _write(folder, "quality", _stacked("quality", bundles, quality_rows(bundles, found)))
    _write(folder, "cells", _stacked("cells", bundles))
    curves = _stacked("curves", bundles)
    _write(folder, "curves", curves)
    folder.write_table("dictionary", dictionary())
    write_study_tables(folder, sections, study, curves)


def write_study_tables(
    folder: RunFolder, sections: pd.DataFrame, study: StudySettings, curves: pd.DataFrame | None = None
) -> None:
    """Pool sections and curves to animals (and lobes), compare the groups, and write these tables."""
    animals = with_organisation_index(pool_animals(sections), study.organisation)
    _write(folder, "animals", with_organ_totals(animals, sections, study))
    _write(folder, "lobes", pool_lobes(sections))
    _write(folder, "comparisons", compare_groups(animals, study, sections=sections))
    _write(folder, "power", power_table(animals, study))
    if curves is not None:
        by_animal = pool_curves(curves, excluded_sections(sections))
        _write(folder, "animal_curves", by_animal)
        _write(folder, "group_curves", group_curves(by_animal, study.confidence))


def write_exclusions(folder: RunFolder, subjects: Iterable[Subject], measured: Collection[str]) -> None:
    """List the sections that are in no animal's value, and why."""
    rows = [
        {"section_id": one.section_id, "animal": one.animal, "group": one.group, "reason": one.why}
        for one in left_out(subjects, measured)
    ]
    _write(folder, "exclusions", framed("exclusions", rows))


def _write(folder: RunFolder, table: Table, frame: pd.DataFrame) -> None:
    check_columns(table, frame)  # nothing leaves without a unit and a definition
    folder.write_table(table, frame, csv=table != "cells")


def sections_table(bundles: Iterable[Bundle]) -> pd.DataFrame:
    """Return ``sections.csv``: one row a bundle, and a column of reasons where anything is undefined."""
    rows = [
        bundle.attributes["section"] | {f"{k}{REASON}": v for k, v in bundle.attributes["reasons"].items()}
        for bundle in bundles
    ]
    return framed("sections", rows)


def framed(table: Table, rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Return rows as a table with the declared columns, in their order, with their types.

    A column of reasons stands behind its column, where there is any reason.
    """
    frame = pd.DataFrame(rows)
    ordered: dict[str, pd.Series[Any]] = {}
    for column in columns(table):
        values = frame.get(column.name, pd.Series([None] * len(frame), index=frame.index))
        ordered[column.name] = values.astype(_TYPES[column.dtype])
        reason = column.name + REASON
        if reason in frame:
            ordered[reason] = frame[reason].fillna("")
    return pd.DataFrame(ordered)


def _stacked(table: Table, bundles: Iterable[Bundle], more: Sequence[dict[str, Any]] = ()) -> pd.DataFrame:
    parts = []
    for bundle in bundles:
        if table in bundle.attributes["tables"]:
            part = bundle.table(table)
            if "section_id" not in part:
                part.insert(0, "section_id", bundle.attributes["section"]["section_id"])
            parts.append(part)
    if more:
        parts.append(pd.DataFrame(more))
    if not parts:
        return framed(table, [])
    present = {name for part in parts for name in part.columns}
    names = [c.name for c in columns(table) if c.name in present]
    return pd.concat(parts, ignore_index=True)[names]

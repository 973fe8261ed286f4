"""The study: which section is of which animal and group, and what is compared with what."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

from thymusimg.errors import SettingsError, StudyTableError
from thymusimg.settings import Settings
from thymusimg.study.check import check_rows
from thymusimg.study.model import TABLE_COLUMNS, SectionRow, Study
from thymusimg.study.sheet import read_sheet, read_text

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

__all__ = ["SectionRow", "Study", "load_study"]


def load_study(path: Path, *, endpoints: Collection[str] | None = None) -> Study:
    """Read a study and check all of it before any work.

    Parameters
    ----------
    path
        The study table (CSV), or a ``study.toml`` whose ``[study] table`` names one.
    endpoints
        Columns of ``sections.csv`` that may be declared ``primary``; by default those that pool to an animal.

    Returns
    -------
    Study
        Rows in the table's order. Paths are resolved against the table's folder.

    Raises
    ------
    StudyTableError
        If anything in the table is wrong: every fault in one error, with row and column.
    SettingsError
        If the TOML is not one, or a setting is unknown or out of range.
    """
    settings, table = _settings_and_table(path)
    sheet = read_sheet(table, TABLE_COLUMNS)
    if endpoints is None and settings.study.primary:
        from thymusimg.measurements.columns import columns  # pandas: not for a command that only reads a table

        endpoints = [column.name for column in columns("sections") if column.pool is not None]
    rows, warnings = check_rows(sheet, settings.study, endpoints or ())
    return Study(_with_reference(settings, path, rows), rows, table.parent, (*sheet.warnings, *warnings), table)


def _with_reference(settings: Settings, path: Path, rows: Collection[SectionRow]) -> Settings:
    """Turn the reference of the Organisation Index into numbers, so that a run does not need the file any more."""
    study = settings.study
    if not study.organisation_reference:
        return settings
    from thymusimg.study.organisation_index import read_reference  # pandas

    own = {(row.subject.animal, row.subject.group) for row in rows}
    file = path.parent / study.organisation_reference
    numbers = read_reference(file, study.wild_type, study.untreated, own)
    return settings.model_copy(update={"study": study.model_copy(update={"organisation": numbers})})


def _settings_and_table(path: Path) -> tuple[Settings, Path]:
    if path.suffix.lower() != ".toml":
        return Settings(), path
    text, _ = read_text(path)
    try:
        values = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise SettingsError(f"{path}: not a TOML file ({error})") from None
    settings = Settings.from_mapping(values, where=str(path))
    if not settings.study.table:
        raise StudyTableError(f'{path}: names no table; write  table = "study.csv"  under [study]')
    return settings, path.parent / settings.study.table

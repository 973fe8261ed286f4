"""From the table's text to checked rows; no fault stops the search for the next."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, TypeVar

from thymusimg.section.model import ROLES, Subject
from thymusimg.study import entries
from thymusimg.study.faults import Faults, nearest, ranges
from thymusimg.study.model import PATH_COLUMNS, REQUIRED_COLUMNS, TABLE_COLUMNS, SectionRow

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from pathlib import Path

    from thymusimg.settings import StudySettings
    from thymusimg.study.sheet import Row, Sheet

T = TypeVar("T")
_WORDS = ("donor", "batch", "timepoint", "level", "lobe", "notes")

_ASK = "?"
_CHANNEL = "type the number (from 0) or name of its channel, none if there is none (see 'thymusimg inspect SLIDE')"
_WANTED = {
    **dict.fromkeys(ROLES, _CHANNEL),
    "pixel_size_um": "type µm per pixel, like 0.325",
    "projection": "type max or mean",
}
"""What a person must say where a template left ``?``."""


def check_rows(
    sheet: Sheet, settings: StudySettings, endpoints: Collection[str]
) -> tuple[tuple[SectionRow, ...], tuple[str, ...]]:
    """Turn a sheet into section rows and warnings.

    Parameters
    ----------
    sheet
        The table as text.
    settings
        The declared reference group and primary endpoints.
    endpoints
        Columns that may be declared primary.

    Raises
    ------
    StudyTableError
        If anything is wrong; every fault is named.
    """
    faults = Faults(sheet.path)
    _check_header(sheet, faults)
    rows = tuple(_Reader(sheet, row, faults).section() for row in sheet.rows)
    _check_ids(rows, faults)
    _check_animals(rows, faults)
    _check_settings(rows, settings, endpoints, faults)
    if not any(not row.subject.exclude for row in rows):
        faults.add("every section is excluded" if rows else "no sections below the header")
    faults.raise_any()
    return rows, (*_no_reference(rows, settings), *_double_uses(rows), *_odd_names(rows), *_mixed_controls(rows))


def _check_header(sheet: Sheet, faults: Faults) -> None:
    named = [name for name in sheet.columns if name]
    for name in sorted({name for name in named if named.count(name) > 1}):
        faults.add("stands twice in the header", name, 1)
    for name in dict.fromkeys(named):
        if name not in TABLE_COLUMNS:
            hint = nearest(name, TABLE_COLUMNS) or "; put other information in 'notes'"
            faults.add(f"unknown column{hint}", name, 1)
    by_stain = any(name in PATH_COLUMNS for name in named)
    for name in REQUIRED_COLUMNS:
        if name not in named and not (name == "path" and by_stain):
            faults.add("missing from the header", name, 1)


class _Reader:
    """One row: reads a cell at a time and notes what is wrong."""

    def __init__(self, sheet: Sheet, row: Row, faults: Faults) -> None:
        self.sheet = sheet
        self.row = row
        self.faults = faults

    def text(self, column: str) -> str:
        found = self.row.cells.get(column, "")
        return "" if found == _ASK and column != "notes" else found

    def asked(self) -> None:
        """Name the cells in which ``thymusimg init`` left a question."""
        for column, cell in self.row.cells.items():
            if cell == _ASK and column in TABLE_COLUMNS and column not in (*REQUIRED_COLUMNS, "notes"):
                what = _WANTED.get(column, "fill it in, or leave it empty if it is not known")
                self.faults.add(f"still '?': {what}", column, self.row.number)

    def read(self, column: str, parse: Callable[[str], T], otherwise: T) -> T:
        try:
            return parse(self.text(column))
        except ValueError as error:
            self.faults.add(str(error), column, self.row.number)
            return otherwise

    def required(self, column: str) -> str:
        text = self.text(column)
        if not text and column in self.sheet.columns:
            self.faults.add(f"empty; every section needs its {column}", column, self.row.number)
        return text

    def file(self, column: str, required: bool) -> Path | None:
        """Find a file; that of an excluded section may be gone."""
        if not self.text(column):
            return None
        folder = self.sheet.path.parent
        is_slide = column == "path" or column in PATH_COLUMNS
        if not required:
            return self.read(column, lambda text: entries.any_path(text, folder), None)
        find = entries.slide if is_slide else entries.existing_path
        return self.read(column, lambda text: find(text, folder), None)

    def section(self) -> SectionRow:
        if self.row.surplus:
            self.faults.add(
                f"{self.row.surplus[0]!r} stands under no header; put text that holds the separator in quotes",
                row=self.row.number,
            )
        subject = self.subject()
        needed = not subject.exclude
        if needed:
            self.asked()
        path, paths = self.file("path", needed), self.paths(needed)
        decimal_comma = self.sheet.separator != ","
        return SectionRow(
            subject=subject,
            path=path,
            paths=paths,
            channels=self.channels(single_file=not paths),
            scene=self.text("scene") or None,
            projection=self.text("projection") or None,
            roi=self.file("roi", needed),
            pixel_size_um=self.read("pixel_size_um", lambda text: entries.pixel_size_um(text, decimal_comma), None),
            annotation=self.file("annotation", needed),
            number=self.row.number,
        )

    def subject(self) -> Subject:
        if "section_id" in self.sheet.columns:
            self.read("section_id", entries.check_id, None)
        for column in ("section_id", "animal", "group", *_WORDS):
            self.read(column, entries.check_no_formula, None)
        return Subject(
            section_id=self.text("section_id"),
            animal=self.required("animal"),
            group=self.required("group"),
            negative_control=self.read("negative_control", entries.truth, False),
            exclude=self.read("exclude", entries.truth, False),
            **{name: self.text(name) for name in _WORDS},
        )

    def paths(self, needed: bool) -> dict[str, Path]:
        named = [role for role in ROLES if self.text(f"path_{role}")]
        if self.text("path") and named:
            beside = ", ".join(f"'path_{role}'" for role in named)
            message = f"beside {beside}; give one file of all stains or one file a stain"
            self.faults.add(message, "path", self.row.number)
        has_column = any(name in self.sheet.columns for name in ("path", *PATH_COLUMNS))
        if has_column and needed and not self.text("path") and not named:
            self.faults.add("empty; every section needs its file", "path", self.row.number)
        found = {role: self.file(f"path_{role}", needed) for role in named}
        return {role: path for role, path in found.items() if path is not None}

    def channels(self, single_file: bool) -> dict[str, str | int]:
        found = {role: entries.channel(self.text(role)) for role in ROLES if self.text(role)}
        if single_file:
            for channel in dict.fromkeys(found.values()):
                sharing = [role for role in found if found[role] == channel]
                if len(sharing) > 1:
                    self.faults.add(f"the same channel {channel!r} as '{sharing[0]}'", sharing[1], self.row.number)
        return found


def _check_ids(rows: Iterable[SectionRow], faults: Faults) -> None:
    for same in _grouped(rows, lambda row: entries.folded(row.section_id)).values():
        names = dict.fromkeys(row.section_id for row in same)
        if len(same) > 1 and same[0].section_id:
            shown = f"'{next(iter(names))}' stands in {len(same)} rows"
            if len(names) > 1:
                shown = f"{' and '.join(map(repr, names))} are one folder on Windows and macOS"
            faults.add(f"{shown}; ids must differ", "section_id", [row.number for row in same])


def _check_animals(rows: Iterable[SectionRow], faults: Faults) -> None:
    for animal, same in _grouped(rows, lambda row: row.subject.animal).items():
        groups = dict.fromkeys(row.subject.group for row in same if row.subject.group)
        if animal and len(groups) > 1:
            faults.add(
                f"animal '{animal}' is in {len(groups)} groups ({', '.join(groups)}); an animal has one",
                "group",
                [row.number for row in same],
            )


def _check_settings(
    rows: Iterable[SectionRow], settings: StudySettings, endpoints: Collection[str], faults: Faults
) -> None:
    groups = list(dict.fromkeys(row.subject.group for row in rows if not row.subject.exclude and row.subject.group))
    if settings.reference and settings.reference not in groups:
        hint = nearest(settings.reference, groups) or f"; the groups are: {', '.join(groups) or 'none'}"
        faults.add(f"[study] reference = '{settings.reference}' is no group of the table{hint}")
    for name in settings.primary:
        if name not in endpoints:
            hint = nearest(name, endpoints) or "; see tables/dictionary.csv for the columns"
            faults.add(f"[study] primary: '{name}' is no column of sections.csv that can be compared{hint}")


def _no_reference(rows: Iterable[SectionRow], settings: StudySettings) -> Iterable[str]:
    groups = dict.fromkeys(row.subject.group for row in rows if not row.subject.exclude)
    if len(groups) > 1 and not settings.reference:
        yield (
            f"{len(groups)} groups ({', '.join(groups)}) and no reference: nothing will be compared. "
            'Write  reference = "GROUP"  under [study] in a study.toml'
        )


def _double_uses(rows: Iterable[SectionRow]) -> Iterable[str]:
    used = _grouped(
        (row for row in rows if not row.subject.exclude),
        lambda row: (tuple(map(str, row.files)), row.scene, str(row.roi)),
    )
    for same in used.values():
        if len(same) > 1:
            yield (
                f"rows {ranges(row.number for row in same)} are the same image ({same[0].files[0].name}), scene "
                "and roi; if that is meant, they count as separate sections"
            )


def _odd_names(rows: Iterable[SectionRow]) -> Iterable[str]:
    """Say where two spellings are probably one name."""
    rows = tuple(rows)
    for column in ("animal", "group", "donor", "batch"):
        names = {getattr(row.subject, column) for row in rows} - {""}
        for same in _grouped(sorted(names), lambda name: "".join(entries.folded(name).split())).values():
            if len(same) > 1:
                yield f"column '{column}': {' and '.join(map(repr, same))} are taken as different"
    for animal, same_animal in _grouped(rows, lambda row: row.subject.animal).items():
        donors = sorted({row.subject.donor for row in same_animal} - {""})
        if len(donors) > 1:
            yield f"animal '{animal}' has several donors ({', '.join(donors)})"


def _mixed_controls(rows: Iterable[SectionRow]) -> Iterable[str]:
    """Say where a stain control would be pooled with what it controls."""
    analysed = [row for row in rows if not row.subject.exclude]
    for group, same in _grouped(analysed, lambda row: row.subject.group).items():
        marked = [row.number for row in same if row.subject.negative_control]
        if 0 < len(marked) < len(same):
            rows_marked = f"row {marked[0]} alone is" if len(marked) == 1 else f"rows {ranges(marked)} alone are"
            yield (
                f"group '{group}': {rows_marked} marked negative_control, but pooled and compared "
                "like the others. Give stain controls (secondary only) an animal and a group of their own"
            )


def _grouped(items: Iterable[T], key: Callable[[T], object]) -> dict[object, list[T]]:
    found: dict[object, list[T]] = defaultdict(list)
    for item in items:
        found[key(item)].append(item)
    return found

"""Which sections of a folder somebody annotated, and where the annotation of each lies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thymusimg.errors import CallError, UnreadableError
from thymusimg.evaluate.load import label_names
from thymusimg.section.model import Subject
from thymusimg.section.store import Bundle
from thymusimg.settings import Settings
from thymusimg.study.design import load_study
from thymusimg.study.model import SectionRow

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from thymusimg.models.card import Task

PLACES = ("", "annotations", "truth/sections")
"""Folders in which annotations are looked for, relative to the study table."""

RULES = (
    "An annotation is named by the column 'annotation' of the study table, or lies beside the table or in "
    "annotations/ as ID.geojson, ID_{task}.tif, ID_labels.tif, or ID.zarr (ID.ome.zarr) with labels/{task}"
)


@dataclass(frozen=True)
class Annotation:
    """A section, and the file or folder that holds what was drawn on it.

    ``region`` is a GeoJSON file that says what was looked at, where it is a file of its own.
    """

    row: SectionRow
    path: Path
    region: Path | None = None


@dataclass(frozen=True)
class AnnotatedFolder:
    """The annotated sections of a folder, in the table's order, and the settings they are read with."""

    annotations: tuple[Annotation, ...]
    settings: Settings
    notes: tuple[str, ...] = ()


def find_annotations(folder: Path, task: Task) -> AnnotatedFolder:
    """Find the annotated sections of a folder.

    Parameters
    ----------
    folder : Path
        A folder with a study table (``study.toml``, ``study.csv``, or its only CSV), the table itself, what
        ``thymusimg phantom`` wrote, or a run's folder with corrected bundles.
    task : str
        ``cells`` or ``compartments``.

    Raises
    ------
    CallError
        If no section is annotated, or a section in two ways.
    StudyTableError
        If the table is wrong.
    """
    if not folder.exists():
        raise CallError(f"{folder}: there is no such folder of annotated sections.")
    table = folder if folder.is_file() else _table(folder)
    if table is None:
        return _corrected(folder, task)
    study = load_study(table)
    found: list[Annotation] = []
    bare: list[str] = []
    for row in study.analysed:
        path = row.annotation or _by_name(table.parent, row, task)
        if path is None:
            bare.append(row.section_id)
        else:
            found.append(Annotation(row, path, _region(table.parent, row.section_id)))
    if not found:
        raise CallError(
            f"{table}: none of its {len(bare)} sections has annotated {task}. {RULES.format(task=task)}."
        )
    notes = (f"not annotated, left out: {', '.join(bare)}",) if bare else ()
    return AnnotatedFolder(tuple(found), study.settings, notes)


def _table(folder: Path) -> Path | None:
    for name in ("study.toml", "study.csv"):
        if (folder / name).is_file():
            return folder / name
    tables = sorted(p for p in folder.glob("*.csv") if not p.name.startswith("."))
    if len(tables) == 1:
        return tables[0]
    if tables:
        raise CallError(
            f"{folder}: holds {len(tables)} tables ({', '.join(p.name for p in tables)}); give the path of the "
            "study table."
        )
    return None


def _by_name(base: Path, row: SectionRow, task: Task) -> Path | None:
    found = [path for path in _candidates(base, row.section_id, task) if path != row.roi]
    if len(found) > 1:
        names = " and ".join(str(path.relative_to(base)) for path in found)
        raise CallError(
            f"{row.section_id}: its {task} are annotated in {names}; name one of them in the study table, in the "
            "column 'annotation'."
        )
    return found[0] if found else None


def _candidates(base: Path, section_id: str, task: Task) -> Iterator[Path]:
    files = [f"{section_id}.geojson"]
    files += [f"{section_id}_{what}{end}" for what in (task, "labels") for end in (".ome.tif", ".tif", ".tiff")]
    for place in PLACES:
        folder = base / place
        yield from (folder / name for name in files if (folder / name).is_file())
        for name in (f"{section_id}.ome.zarr", f"{section_id}.zarr"):
            if (folder / name).is_dir() and task in label_names(folder / name):
                yield folder / name


def _region(base: Path, section_id: str) -> Path | None:
    files = (base / place / f"{section_id}_region.geojson" for place in PLACES)
    return next((path for path in files if path.is_file()), None)


def _corrected(folder: Path, task: Task) -> AnnotatedFolder:
    """Take the bundles of a run that somebody corrected; a result that nobody looked at is no annotation."""
    bundles = sorted((folder / "sections").glob("*.zarr"))
    if not bundles:
        raise CallError(
            f"{folder}: has no study table. Training needs one: it says which section is of which animal. "
            f"'thymusimg init {folder}' writes it. {RULES.format(task=task)}."
        )
    found: list[Annotation] = []
    untouched: list[str] = []
    settings = Settings()
    for path in bundles:
        record = Bundle.open(path).attributes
        edited = any(edit.get("target") == task for edit in record.get("edits") or ())
        if not edited or task not in label_names(path):
            untouched.append(path.stem)
            continue
        settings = Settings.from_mapping(record["settings"], where=str(path))
        found.append(Annotation(_row_of(path, record), path, _region(folder, path.stem)))
    if not found:
        raise CallError(
            f"{folder}: holds results whose {task} nobody has corrected: a model trained on them would learn the "
            "method's own mistakes. Correct some in the viewer, or name those that were checked in the column "
            "'annotation' of a study table."
        )
    notes = (f"{task} not corrected by hand, left out: {', '.join(untouched)}",) if untouched else ()
    return AnnotatedFolder(tuple(found), settings, notes)


def _row_of(path: Path, record: Mapping[str, Any]) -> SectionRow:
    opened = record.get("opened") or {}
    paths = {role: Path(file) for role, file in (opened.get("paths") or {}).items()}
    slide = opened.get("path")
    missing = [file for file in ([Path(slide)] if slide else list(paths.values())) if not file.exists()]
    if missing or not (slide or paths):
        raise UnreadableError(
            f"{path}: its slide {missing[0] if missing else '(not recorded)'} is gone; training needs its pixels. "
            "Put it back, or write a study table with its new path."
        )
    return SectionRow(
        Subject(**record["subject"]), Path(slide) if slide else None, paths, opened["channels"], opened["scene"],
        opened["projection"], Path(opened["roi"]) if opened["roi"] else None, opened["pixel_size_um"],
    )  # fmt: skip

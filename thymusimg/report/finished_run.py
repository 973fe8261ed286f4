"""A run folder as the report reads it: its tables, its record and its pictures, any of which may be missing."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from thymusimg.errors import CallError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TABLES = ("sections", "compartments", "animals", "comparisons", "quality", "failures", "dictionary")
OPTIONAL = ("group_curves", "sensitivity")
"""Tables that a run may lawfully not have."""
PICTURES = ("composite", "compartments", "cells")


@dataclass(frozen=True)
class Meaning:
    """What the dictionary says of a column."""

    unit: str = ""
    definition: str = ""
    source: str = ""
    scale: str = ""


@dataclass(frozen=True)
class FinishedRun:
    """Everything the report is made of.

    Attributes
    ----------
    path : Path
    record : mapping
        ``run.json``; empty where it is missing.
    tables : mapping of str to DataFrame
        Every cell a string, as written: ids like ``007`` or ``NA`` stay what they are. A missing table is empty.
    missing : tuple of str
        Names of the files that were looked for and not found.
    """

    path: Path
    record: Mapping[str, Any]
    tables: Mapping[str, pd.DataFrame]
    missing: tuple[str, ...] = ()
    meanings: Mapping[str, Meaning] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> FinishedRun:
        """Read a run folder.

        Raises
        ------
        CallError
            If there is no ``tables/sections.csv`` or a file is not what its name says.
        """
        if not (path / "tables" / "sections.csv").is_file() and not (path / "tables" / "failures.csv").is_file():
            raise CallError(
                f"{path}: no tables/sections.csv found; expected the folder that 'thymusimg run' or "
                "'thymusimg section' wrote with --out"
            )
        files = {name: path / "tables" / f"{name}.csv" for name in (*TABLES, *OPTIONAL)}
        tables = {name: _read_table(file) for name, file in files.items()}
        missing = [f"tables/{name}.csv" for name, file in files.items() if name in TABLES and not file.is_file()]
        if not (path / "run.json").is_file():
            missing.append("run.json")
        return cls(path, _read_record(path / "run.json"), tables, tuple(missing), _meanings(tables["dictionary"]))

    @property
    def study(self) -> Mapping[str, Any] | None:
        """What ``run.json`` says of the study; None where a single section was analysed."""
        found = self.record.get("study")
        return found if isinstance(found, dict) and found else None

    @property
    def groups(self) -> tuple[str, ...]:
        """Groups in the order of the study, the reference first where none is recorded."""
        listed = (self.study or {}).get("groups") or ()
        named = list(listed) if not isinstance(listed, str) else [listed]
        for table in ("animals", "sections"):
            frame = self.tables[table]
            named += list(frame["group"]) if "group" in frame else []
        return tuple(dict.fromkeys(str(name) for name in named if str(name)))

    @property
    def reference(self) -> str:
        """The reference group, "" where there is none."""
        return str((self.study or {}).get("reference") or self.setting("study", "reference", ""))

    @property
    def primary(self) -> tuple[str, ...]:
        """The declared primary endpoints."""
        declared = (self.study or {}).get("primary") or self.setting("study", "primary", ())
        return (declared,) if isinstance(declared, str) else tuple(str(name) for name in declared)

    def setting(self, stage: str, name: str, default: Any = None) -> Any:
        """Return one setting that was used, ``default`` where it was not recorded."""
        stages = self.record.get("settings")
        values = stages.get(stage) if isinstance(stages, dict) else None
        return values.get(name, default) if isinstance(values, dict) else default

    @property
    def grouped(self) -> bool:
        """Whether there are groups at all: a single section has none."""
        return bool(self.groups) and (self.study is not None or len(self.tables["comparisons"]) > 0)

    @property
    def section_ids(self) -> tuple[str, ...]:
        """The measured sections, in their order."""
        return tuple(str(name) for name in self.tables["sections"].get("section_id", ()))

    def picture(self, section_id: str, name: str) -> bytes | None:
        """Return a section's JPEG, None where there is none."""
        file = self._bundle(section_id) / "pictures" / f"{name}.jpg"
        return file.read_bytes() if self._holds(file) else None

    def layer(self, section_id: str, name: str) -> bytes | None:
        """Return one file of a section's layers, None where there is none: bundles of old have no layers."""
        file = self._bundle(section_id) / "pictures" / name
        return file.read_bytes() if self._holds(file) else None

    def attributes(self, section_id: str) -> Mapping[str, Any]:
        """Return what a section's bundle says of itself (gate, slide, notes); empty where there is no bundle."""
        file = self._bundle(section_id) / "zarr.json"
        root = _read_record(file) if self._holds(file) else {}
        return as_mapping(as_mapping(root.get("attributes")).get("thymusimg"))

    def _bundle(self, section_id: str) -> Path:
        return self.path / "sections" / f"{section_id}.zarr"

    def _holds(self, file: Path) -> bool:
        # The id comes from a table that anybody may have edited: it may not lead out of the run folder.
        return file.resolve().is_relative_to((self.path / "sections").resolve()) and file.is_file()


def numbers(frame: pd.DataFrame, column: str) -> pd.Series[float]:
    """Return a column as floats; NaN where it is empty, not a number, or missing."""
    if column not in frame:
        return pd.Series(float("nan"), index=frame.index, dtype=float)
    return pd.to_numeric(frame[column], errors="coerce").astype(float)


def truth(text: object) -> bool:
    """Read a boolean as tables and JSON write it."""
    return str(text).strip().casefold() in {"true", "1", "yes", "1.0"}


def as_mapping(value: object) -> Mapping[str, Any]:
    """Return ``value`` if it is a mapping, an empty one otherwise: records may hold anything."""
    return value if isinstance(value, dict) else {}


def _read_table(file: Path) -> pd.DataFrame:
    if not file.is_file():
        return pd.DataFrame()
    try:
        return pd.read_csv(file, dtype=str, keep_default_na=False, encoding="utf-8")
    except pd.errors.EmptyDataError:
        return pd.DataFrame()
    except (pd.errors.ParserError, UnicodeDecodeError) as error:
        raise CallError(f"{file}: not a CSV table that thymusimg wrote ({error})") from None


def _read_record(file: Path) -> Mapping[str, Any]:
    if not file.is_file():
        return {}
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise CallError(f"{file}: not JSON ({error})") from None
    return found if isinstance(found, dict) else {}


def _meanings(dictionary: pd.DataFrame) -> dict[str, Meaning]:
    name = next((c for c in ("column", "name") if c in dictionary), None)
    if name is None:
        return {}
    rows = dictionary.to_dict("records")
    # A column of the same name stands in several tables; what it means for a section comes first.
    rows.sort(key=lambda row: row.get("table") != "sections")
    found: dict[str, Meaning] = {}
    for row in rows:
        parts = {key: str(row.get(key, "")) for key in ("unit", "definition", "source", "scale")}
        found.setdefault(str(row[name]), Meaning(**parts))
    return found

"""The folder that a run leaves: its lock, its tables, its record."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from thymusimg.batch.hold import held
from thymusimg.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pandas as pd


@dataclass(frozen=True)
class RunFolder:
    """Where everything of a run lies."""

    path: Path

    @property
    def tables(self) -> Path:
        """Folder of the tables."""
        return self.path / "tables"

    @property
    def cache(self) -> Path:
        """Folder of intermediates that a second run need not make again."""
        return self.path / "cache"

    def bundle(self, section_id: str) -> Path:
        """Where the bundle of a section lies."""
        return self.path / "sections" / f"{section_id}.zarr"

    def make(self) -> None:
        """Make the folder and prove that it can be written.

        Raises
        ------
        OutputError
        """
        try:
            for folder in (self.path, self.tables, self.path / "sections"):
                folder.mkdir(parents=True, exist_ok=True)
            probe = self.path / f".probe-{os.getpid()}"
            probe.write_bytes(b"thymusimg")
            probe.unlink()
        except OSError as error:
            raise OutputError(
                f"{self.path}: the output folder cannot be written ({error.strerror or error}). "
                "Choose another with --out."
            ) from None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for one run.

        Raises
        ------
        OutputError
            If another run holds it.
        """
        with held(self.path):
            self._sweep()
            yield

    def _sweep(self) -> None:
        """Remove what a killed run left half-written.

        Somebody who saves a corrected section may write its bundle while a run begins: that of a living process of
        this machine stays.
        """
        sections = self.path / "sections"
        for old in sections.glob(".*.old-*"):  # killed between two renames: the old bundle is the only one
            place = sections / old.name[1:].rpartition(".old-")[0]
            if place.exists():
                shutil.rmtree(old, ignore_errors=True)
            else:
                old.rename(place)
        rests = [
            *(p for p in sections.glob(".*.partial*") if not _lives(p)),
            *sections.glob(".probe-*"), *self.path.glob(".*.partial"),
            *self.path.glob(".probe-*"), *self.path.glob(".report-*.html"), *self.tables.glob(".*.partial"),
            *self.cache.rglob(".*.partial"), *self.cache.rglob("*.part"),
        ]  # fmt: skip
        for rest in rests:
            if rest.is_dir():
                shutil.rmtree(rest, ignore_errors=True)
            else:
                rest.unlink(missing_ok=True)

    def write_table(self, name: str, table: pd.DataFrame, *, csv: bool = True) -> None:
        """Write a table as CSV (UTF-8) and Parquet; undefined values are empty.

        Raises
        ------
        OutputError
        """
        with writing(self.tables / f"{name}.parquet") as partial:
            table.to_parquet(partial, index=False)
        if csv:
            with writing(self.tables / f"{name}.csv") as partial:
                table.to_csv(partial, index=False)

    def write_json(self, name: str, record: dict[str, Any]) -> None:
        """Write a record as JSON.

        Raises
        ------
        OutputError
        """
        from thymusimg.section.store import plain  # pandas and zarr: not before they are needed

        with writing(self.path / name) as partial:
            partial.write_text(json.dumps(plain(record), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _lives(partial: Path) -> bool:
    """Whether the process that a half-written bundle is named after is there, on this machine."""
    number = partial.name.rpartition(".partial-")[2]
    if not number.isdecimal():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # there, and somebody else's
        return True
    return True


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Write a file beside its place and rename it when it is whole.

    Raises
    ------
    OutputError
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        yield partial
        partial.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror or error})") from None
    finally:
        partial.unlink(missing_ok=True)

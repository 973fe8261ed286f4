"""The sections of a run that a figure shows, read from their bundles."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from thymusimg.batch.folder import RunFolder
from thymusimg.errors import CallError, UnreadableError
from thymusimg.report.finished_run import FinishedRun, truth
from thymusimg.section.store import Bundle
from thymusimg.study.faults import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from thymusimg.section.model import FloatPlane, Grid, LabelPlane, Mask

_LISTED = 12


@dataclass(frozen=True)
class Shown:
    """One section as its bundle keeps it."""

    section_id: str
    bundle: Bundle

    @cached_property
    def planes(self) -> Mapping[str, FloatPlane]:
        """Background-subtracted coarse planes by role."""
        return self.bundle.planes

    @cached_property
    def labels(self) -> LabelPlane:
        """Codes of the compartments on the coarse grid."""
        return np.asarray(self.bundle.label("compartments"), np.uint8)

    @cached_property
    def tissue(self) -> Mask:
        """Where there is tissue, on the coarse grid."""
        return np.asarray(self.bundle.label("tissue")) > 0

    @property
    def slide(self) -> Mapping[str, Any]:
        """What the bundle says of the slide."""
        found: Mapping[str, Any] = self.bundle.attributes["slide"]
        return found

    @property
    def pixel_um(self) -> float:
        """Side of a full-resolution pixel in µm."""
        return float(self.slide["pixel_size_um"])

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the slide in pixels."""
        height, width = self.slide["shape"]
        return int(height), int(width)

    @property
    def grid(self) -> Grid:
        """The coarse grid; of a big slide it covers only the frame in which the section lies."""
        return self.bundle.grid

    @property
    def markers(self) -> Mapping[str, str]:
        """What really stands in each role."""
        return dict(self.slide["markers"])

    @property
    def animal(self) -> str:
        """The animal, "" where a single section was analysed."""
        return str(self.bundle.attributes["subject"]["animal"])

    @property
    def group(self) -> str:
        """The animal's group."""
        return str(self.bundle.attributes["subject"]["group"])

    @property
    def gate(self) -> Mapping[str, Any] | None:
        """The CD45 gate, None where cells were not looked for."""
        found: Mapping[str, Any] | None = self.bundle.attributes["gate"]
        return found

    @cached_property
    def junction_um(self) -> list[npt.NDArray[np.float64]]:
        """Lines (y, x) in µm of the corticomedullary junction."""
        table = self.bundle.table("junction")
        return [part[["y_um", "x_um"]].to_numpy(np.float64) for _, part in table.groupby("piece", sort=True)]

    @cached_property
    def cells_um(self) -> npt.NDArray[np.float64]:
        """Places (y, x) in µm of the CD45+ cells; empty where they were not looked for."""
        if "cells" not in self.bundle.attributes["tables"]:
            return np.zeros((0, 2))
        return self.bundle.table("cells")[["y_um", "x_um"]].to_numpy(np.float64)


def find_sections(folder: Path, ids: Sequence[str]) -> list[Shown]:
    """Open the bundles of some sections of a run.

    An id is looked up among the bundles that are there and never becomes a path: a hostile one finds nothing.

    Raises
    ------
    UnreadableError
        If the folder is not one that a run left.
    CallError
        If there is no such section, or one is named twice; near names are said.
    """
    found = {path.stem: path for path in sorted(RunFolder(folder).bundle("x").parent.glob("*.zarr"))}
    if not found:
        raise UnreadableError(f"{folder}: no sections/ID.zarr in it; give a folder that 'thymusimg run' left")
    for section_id in ids:
        if section_id not in found:
            raise CallError(_no_section(folder, section_id, list(found)))
    if len(set(ids)) < len(ids):
        twice = next(name for name in ids if list(ids).count(name) > 1)
        raise CallError(f"the section '{twice}' is named twice")
    return [Shown(section_id, Bundle.open(found[section_id])) for section_id in ids]


def _no_section(folder: Path, section_id: str, known: list[str]) -> str:
    for name in ("failures", "exclusions"):
        file = folder / "tables" / f"{name}.csv"
        if file.is_file():
            table = pd.read_csv(file, dtype=str, keep_default_na=False)
            if section_id in set(table.get("section_id", ())):
                why = "could not be measured" if name == "failures" else "was excluded"
                return f"section '{section_id}' {why} (see {file}), so there is nothing to draw"
    listed = ", ".join(known[:_LISTED]) + (f" … ({len(known)} in all)" if len(known) > _LISTED else "")
    hint = nearest(section_id, known) or "."
    return f"there is no section '{section_id}' in {folder}{hint} Sections: {listed}"


def is_synthetic(folder: Path) -> bool:
    """Tell whether a run measured drawn sections, from its record."""
    run = FinishedRun.read(folder)
    return truth(run.record.get("synthetic", "")) or truth(run.setting("study", "synthetic", ""))

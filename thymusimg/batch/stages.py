"""What a section's stages gave, kept in its bundle: a changed setting redoes what depends on it, and nothing else.

Everything that comes back is what the stage gave, to the last bit: the tables of a run that went on from here are
those of a run from the beginning.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from thymusimg.batch.archive import pack, unpack, write_archive
from thymusimg.batch.folder import writing
from thymusimg.batch.record import POSITIVE, positive_fraction
from thymusimg.cells.model import Cells
from thymusimg.channels.quality import assess_quality
from thymusimg.compartments.frame import with_distances
from thymusimg.compartments.methods import find_division
from thymusimg.compartments.model import Compartment, Compartments
from thymusimg.errors import UnreadableError
from thymusimg.measurements.measure import Measured
from thymusimg.pipeline import Clock, Counted, Prepared, SectionResult, place_cells, prepare_section
from thymusimg.progress import Progress, silent
from thymusimg.provenance import result_key
from thymusimg.section.survey import Survey, survey_framed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from thymusimg.section.model import FloatPlane, Grid, Section
    from thymusimg.section.store import Bundle, BundleContent
    from thymusimg.settings import Settings

PREPARED = "prepared.zip"
CELLS = "cells.zip"
FOLDER = "stages"
"""Where in the run's cache half-analysed sections wait."""
BEFORE_CELLS = ("tissue", "quality", "compartments")
FOLLOWING = ("junction", "axis", "depth")
"""Reasons that are found again from the labels."""


def parts_of(prepared: Prepared, *, planes: bool = False) -> dict[str, Any]:
    """Return what an archive keeps of a prepared section; ``planes``: also those that a bundle has anyway."""
    drawn = prepared.compartments
    return {
        "limits": prepared.survey.limits,
        "warnings": prepared.survey.warnings,
        "valid": prepared.survey.valid,
        "tissue": prepared.tissue,
        "correction": prepared.correction,
        "quality": prepared.quality,
        "labels": drawn.labels,
        "confidence": drawn.confidence,
        "method": drawn.method,
        "reasons": drawn.reasons,
        "cuts": drawn.cuts,
        "planes": prepared.planes if planes else {},
    }


def parts_of_cells(counted: Counted) -> dict[str, Any]:
    """Return what an archive keeps of the cells that were found, less what a bundle has anyway."""
    cells = counted.cells
    if cells is None:
        return {"reason": counted.cells_reason, "masks": None}
    return {
        "reason": counted.cells_reason,
        "masks": cells.masks,
        "gate": cells.gate,
        "method": cells.method,
        "notes": cells.notes,
        "reasons": cells.reasons,
    }


def with_stages(
    content: BundleContent, keys: Mapping[str, str], prepared: Prepared, counted: Counted | None
) -> BundleContent:
    """Return a bundle's content with what a later run goes on from.

    Parameters
    ----------
    keys : mapping of str to str
        Hash of every stage.
    prepared : Prepared
        As the methods drew it.
    counted : Counted or None
        None where people corrected the section: its cells and numbers are then no longer the methods' own.
    """
    archives = {PREPARED: pack(parts_of(prepared))}
    known = dict(keys)
    if counted is None:
        for name in ("cells", "measurements"):
            known.pop(name, None)
    else:
        archives[CELLS] = pack(parts_of_cells(counted))
    return replace(content, stages=archives, attributes={**content.attributes, "stages": known})


@dataclass(frozen=True)
class Kept:
    """What an earlier run left of a section.

    Attributes
    ----------
    keys : mapping of str to str
        Hash of every stage that is kept.
    archive : Path
        Holds the prepared section, with its planes where there is no bundle.
    bundle : Bundle or None
    """

    keys: Mapping[str, str]
    archive: Path
    bundle: Bundle | None = None

    @classmethod
    def of(cls, bundle: Bundle) -> Kept:
        """Take what a bundle holds."""
        return cls(dict(bundle.attributes.get("stages") or {}), bundle.path / "stages" / PREPARED, bundle)

    def prepared(self) -> tuple[dict[str, Any], Mapping[str, FloatPlane]]:
        """Return the archive of the prepared section, and its planes.

        Raises
        ------
        UnreadableError
        """
        known = unpack(self.archive)
        return known, known["planes"] if self.bundle is None else self.bundle.planes


class HalfWay:
    """Where a section waits, prepared, for its cells: kept in the run's cache until its bundle is there."""

    def __init__(self, cache: Path, keys: Mapping[str, str]) -> None:
        self._keys = {name: keys[name] for name in BEFORE_CELLS}
        self._file = cache / FOLDER / f"{result_key(self._keys.values(), {})[:32]}.zip"

    @staticmethod
    def any_in(cache: Path) -> bool:
        """Say whether any section waits: if none does, no section's hash need be waited for."""
        folder = cache / FOLDER
        return folder.is_dir() and any(folder.iterdir())

    def load(self) -> Kept | None:
        """Return what is kept, or None."""
        return Kept(self._keys, self._file) if self._file.is_file() else None

    def save(self, prepared: Prepared) -> None:
        """Keep a prepared section, whole or not at all.

        Raises
        ------
        OutputError
        """
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with writing(self._file) as partial, partial.open("wb") as handle:
            write_archive(handle, parts_of(prepared, planes=True))

    def drop(self) -> None:
        """Forget it: the bundle holds everything."""
        self._file.unlink(missing_ok=True)


def prepare_again(
    section: Section,
    settings: Settings,
    kept: Kept | None,
    keys: Mapping[str, str],
    *,
    progress: Progress = silent,
    cache: Path | None = None,
) -> tuple[Prepared, frozenset[str]]:
    """Prepare a section as :func:`thymusimg.pipeline.prepare_section`, from what is kept as far as the keys agree.

    Returns
    -------
    Prepared
    frozenset of str
        The stages that were not run.
    """
    if kept is not None and kept.keys.get("tissue") == keys["tissue"]:
        try:
            known, planes = kept.prepared()
        except (UnreadableError, OSError, KeyError, ValueError):  # damaged: as if nothing were kept
            pass
        else:
            same = {name for name in BEFORE_CELLS if kept.keys.get(name) == keys[name]}
            return _resume(section, settings, known, planes, same, progress, cache), frozenset(same)
    return prepare_section(section, settings, progress=progress, cache=cache), frozenset()


def _resume(
    section: Section,
    settings: Settings,
    known: dict[str, Any],
    planes: Mapping[str, FloatPlane],
    same: set[str],
    progress: Progress,
    cache: Path | None,
) -> Prepared:
    clock = Clock()
    tissue, correction, quality = known["tissue"], known["correction"], known["quality"]
    section = replace(section, frame=correction.grid.frame)  # of a big slide, what was analysed
    survey = Survey(section.grid, {}, known["valid"], pd.DataFrame(), known["limits"], known["warnings"])
    if "quality" not in same:
        with clock.stage("survey"):
            _, survey = survey_framed(section, threads=settings.compute.threads, progress=progress, cache=cache)
        with clock.stage("quality"):
            quality = assess_quality(section, survey, tissue.mask, correction, settings.quality)
    with clock.stage("compartments"):
        progress("compartments", 0.0)
        if "compartments" in same:
            compartments = _drawn(known, section.grid, settings)
        else:
            divide = find_division(settings.compartments.method, compute=settings.compute)
            compartments = divide(planes, tissue, section.grid, settings.compartments)
    return Prepared(section, settings, survey, tissue, correction, planes, quality, compartments, clock.seconds)


def _drawn(known: Mapping[str, Any], grid: Grid, settings: Settings) -> Compartments:
    """Return the compartments whose labels are kept: everything else follows from these."""
    labels = known["labels"]
    notes = {name: why for name, why in known["reasons"].items() if name not in FOLLOWING}
    return with_distances(
        labels, known["confidence"], labels != Compartment.BACKGROUND, grid, settings.compartments, known["method"],
        notes, dict(known["cuts"]),
    )  # fmt: skip


def found_again(prepared: Prepared, kept: Kept | None, keys: Mapping[str, str]) -> Counted | None:
    """Return a section with the cells that are kept of it; None where they are others, or nothing is kept.

    A section whose cells people corrected keeps theirs, not the method's: nothing is taken from there.
    """
    if kept is None or kept.bundle is None or kept.keys.get("cells") != keys["cells"]:
        return None
    try:
        known = unpack(kept.bundle.path / "stages" / CELLS)
        if known["masks"] is None:
            return Counted(prepared, None, known["reason"], prepared.seconds)
        fraction = positive_fraction(np.asarray(kept.bundle.label(POSITIVE)), prepared.compartments.grid)
        cells = Cells(
            kept.bundle.table("cells"), known["masks"], fraction, known["gate"], known["method"], known["notes"],
            known["reasons"],
        )  # fmt: skip
    except (UnreadableError, OSError, KeyError, ValueError):
        return None
    placed = place_cells(cells, prepared.compartments, prepared.settings.measurements)
    return Counted(prepared, placed, known["reason"], prepared.seconds)


def measured_again(kept: Kept | None, keys: Mapping[str, str]) -> Measured | None:
    """Return the numbers that are kept of a section; None where they are others."""
    if kept is None or kept.bundle is None or kept.keys.get("measurements") != keys["measurements"]:
        return None
    record = kept.bundle.attributes
    return Measured(
        dict(record["section"]), dict(record["reasons"]), kept.bundle.table("compartments"),
        kept.bundle.table("curves"),
    )  # fmt: skip


def as_result(counted: Counted, measured: Measured) -> SectionResult:
    """Return the result of a section whose numbers are known."""
    return SectionResult(counted.prepared, counted.cells, counted.cells_reason, measured, counted.seconds)

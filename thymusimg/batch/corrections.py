"""What people corrected on a section: kept in its bundle beside the method's own, and measured in its place."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from thymusimg.cells.edited import cells_of_labels
from thymusimg.cells.light import CellLight
from thymusimg.compartments.edited import carry_over
from thymusimg.pipeline import count_cells, place_cells
from thymusimg.progress import Progress, silent
from thymusimg.report.edited import mask_edits
from thymusimg.section.model import Window
from thymusimg.section.store import LabelImage, plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt
    import pandas as pd

    from thymusimg.cells.gate import ControlEvidence
    from thymusimg.cells.model import CellMasks, Cells
    from thymusimg.compartments.model import Compartments
    from thymusimg.pipeline import Counted, Prepared
    from thymusimg.section.model import FloatPlane, Grid, LabelPlane
    from thymusimg.section.store import Bundle, BundleContent

ORIGINAL = "_original"
"""Stands after the name of a label image or table that holds what the method gave."""


@dataclass(frozen=True)
class PaintedLabels:
    """Masks of cells, read as a label image of the slide is."""

    masks: CellMasks

    def __getitem__(self, part: tuple[slice, slice]) -> npt.NDArray[np.uint32]:
        """Return the labels of a window."""
        rows, cols = part
        return self.masks.paint(Window(rows.start, rows.stop, cols.start, cols.stop))


@dataclass(frozen=True)
class CorrectedCells:
    """Cells as people left them: a label image of the slide, the score of every label, the method's name."""

    labels: Any
    scores: FloatPlane
    method: str

    @classmethod
    def of(cls, cells: Cells) -> CorrectedCells:
        """Take cells that people changed."""
        return cls(PaintedLabels(cells.masks), _scores(cells.table), cells.method)


@dataclass(frozen=True)
class Corrections:
    """What people changed on a section.

    Attributes
    ----------
    edits : tuple of mapping
        One record an edit: number, when, who, what, target, why, details.
    labels, original : (Y, X) uint8 or None
        The compartments as they left them and as the method had drawn them; None where nobody changed them.
    cells : CorrectedCells or None
        None where nobody changed them.
    blinded : bool or None
        Whether groups were hidden from who edited; None: not known.
    """

    edits: tuple[Mapping[str, Any], ...]
    labels: LabelPlane | None = None
    original: LabelPlane | None = None
    cells: CorrectedCells | None = None
    blinded: bool | None = None

    @classmethod
    def of(cls, bundle: Bundle) -> Corrections | None:
        """Return what people corrected in a bundle, or None where nobody did."""
        record = bundle.attributes
        if not mask_edits(record):
            return None
        edits = tuple(record["edits"])
        labels = original = cells = None
        if (bundle.path / "labels" / f"compartments{ORIGINAL}").is_dir():
            labels = np.asarray(bundle.label("compartments"), np.uint8)
            original = np.asarray(bundle.label(f"compartments{ORIGINAL}"), np.uint8)
        if f"cells{ORIGINAL}" in record["tables"] and "cells" in record["tables"]:
            method = str(record["section"]["cells_method"])
            cells = CorrectedCells(bundle.label("cells"), _scores(bundle.table("cells")), method)
        return cls(edits, labels, original, cells, (record.get("edited") or {}).get("blinded"))


@dataclass(frozen=True)
class Corrected:
    """A section with its corrections in place, and what the methods gave before them.

    Attributes
    ----------
    counted : Counted
        With the corrected compartments and cells.
    compartments : Compartments or None
        As the method draws them; None where nobody changed them.
    cells : Cells or None
        As the method finds them in the corrected compartments; None where nobody changed them.
    """

    counted: Counted
    compartments: Compartments | None = None
    cells: Cells | None = None


def correct_compartments(prepared: Prepared, corrections: Corrections | None) -> Prepared:
    """Return a section as the methods drew it with what people changed put in.

    Pixels that people changed stand; where the settings are others than theirs, all other pixels follow them.

    Raises
    ------
    CallError
        If the section's grid is another than that of the corrections: it is another slide, or another pixel size.
    """
    if corrections is None or corrections.labels is None or corrections.original is None:
        return prepared
    drawn, settings = prepared.compartments, prepared.settings.compartments
    return replace(prepared, compartments=carry_over(drawn, corrections.labels, corrections.original, settings))


def correct_cells(counted: Counted, corrections: Corrections | None) -> Counted:
    """Return a counted section with the cells that people left in place of those that were found.

    The gate and the positive pixels are those of ``counted``; where no cells could be counted, there are none.
    """
    cells, prepared = counted.cells, counted.prepared
    if corrections is None or corrections.cells is None or cells is None:
        return counted
    known = corrections.cells
    light = CellLight(prepared.section, prepared.correction, prepared.compartments.analysable, cells.gate)
    found = cells_of_labels(
        known.labels, light, cells.positive_fraction, method=known.method, scores=known.scores,
        tile_px=prepared.settings.compute.tile_px,
    )  # fmt: skip
    placed = place_cells(found, prepared.compartments, prepared.settings.measurements)
    return replace(counted, cells=replace(placed, notes=cells.notes))


def count_corrected(
    prepared: Prepared,
    corrections: Corrections | None,
    *,
    controls: Sequence[ControlEvidence] = (),
    refused: str = "",
    found: Counted | None = None,
    progress: Progress = silent,
) -> Corrected:
    """Count the cells of a section as :func:`thymusimg.pipeline.count_cells` does, with corrections in place.

    ``prepared`` is as the methods drew it. The gate is set in the corrected compartments: what people called an
    artefact takes no part in it. ``found``, if given, is the section counted as the methods drew it: where nobody
    changed the compartments, it is not counted again.
    """
    edited = correct_compartments(prepared, corrections)
    if found is None or edited is not prepared:
        found = count_cells(edited, controls=controls, refused=refused, progress=progress)
    counted = correct_cells(found, corrections)
    return Corrected(
        counted,
        prepared.compartments if edited is not prepared else None,
        found.cells if counted is not found else None,
    )


def with_corrections(content: BundleContent, corrected: Corrected, corrections: Corrections) -> BundleContent:
    """Return a bundle's content with what the methods gave beside it, and who changed what and how much."""
    labels, tables = dict(content.labels), dict(content.tables)
    amount: dict[str, Any] = {"blinded": corrections.blinded}
    compartments = corrected.counted.prepared.compartments
    if corrected.compartments is not None:
        drawn = corrected.compartments
        labels[f"compartments{ORIGINAL}"] = LabelImage.on_grid(drawn.labels, drawn.grid)
        amount |= _painted(compartments.labels, drawn.labels, drawn.grid, compartments)
    if corrected.cells is not None and corrected.counted.cells is not None:
        section, before = corrected.counted.prepared.section, corrected.cells
        labels[f"cells{ORIGINAL}"] = LabelImage.on_pixels(section, before.masks.paint)
        tables[f"cells{ORIGINAL}"] = before.table
        amount |= _moved(corrected.counted.cells, before)
    attributes = {**content.attributes, "edits": plain(list(corrections.edits)), "edited": plain(amount)}
    return replace(content, labels=labels, tables=tables, attributes=attributes)


def _painted(labels: LabelPlane, original: LabelPlane, grid: Grid, compartments: Compartments) -> dict[str, float]:
    changed, tissue = np.count_nonzero(labels != original), np.count_nonzero(compartments.tissue)
    area = changed * grid.pixel_um**2 / 1e6
    return {"compartments_mm2": area, "compartments_share": changed / tissue if tissue else float("nan")}


def _moved(cells: Cells, before: Cells) -> dict[str, int]:
    """Count the cells that are only on one side: by place and area, which no two cells share."""
    here, there = ({*map(tuple, c.table[["y_um", "x_um", "area_um2"]].to_numpy())} for c in (cells, before))
    return {"cells_added": len(here - there), "cells_removed": len(there - here), "cells_before": len(there)}


def _scores(table: pd.DataFrame) -> FloatPlane:
    scores = np.full(int(table["cell_id"].max() if len(table) else 0) + 1, np.nan, np.float32)
    if "score" in table:
        scores[table["cell_id"].to_numpy()] = table["score"].to_numpy(np.float32)
    return scores

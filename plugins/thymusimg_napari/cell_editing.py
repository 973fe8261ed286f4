"""Cells changed by a person: one change after another, each undone again, every one recorded. No Qt, no layers.

A change is made in two steps, so that pixels are read in a job and the session is changed in the window's thread:
:meth:`CellEditor.begin` gives work, :meth:`CellEditor.finish` takes its result.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from thymusimg.cells.edited import add_cell, cell_at, delete_cells, merge_cells, split_cell
from thymusimg.cells.light import CellLight
from thymusimg.cells.region import disc_region, polygon_region
from thymusimg.errors import CallError
from thymusimg.pipeline import place_cells

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from thymusimg.cells.model import Cells
    from thymusimg.pipeline import Prepared
    from thymusimg.progress import Progress
    from thymusimg_napari.session import Session

    Place = tuple[float, float]

MOST_UNDO_BYTES = 500_000_000
"""Cells before a change are kept for undoing, the latest at least and as many as this holds."""


@dataclass(frozen=True)
class Change:
    """What was asked for.

    Attributes
    ----------
    what : str
        ``add``, ``outline``, ``delete``, ``split``, ``cut`` or ``merge``.
    cell_id : int
        The cell that it is about; 0 for a new one.
    places : tuple of (y, x)
        Where, in µm: the new cell's centre or outline, the ends of the cut, the other cell.
    """

    what: str
    cell_id: int = 0
    places: tuple[Place, ...] = ()


@dataclass(frozen=True)
class Changed:
    """What a change gave: the cells before and after, and where to look now."""

    change: Change
    before: Cells
    after: Cells
    words: str
    details: dict[str, Any]


class CellEditor:
    """Changes the cells of a session's section."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.why = ""
        """What the person gives as the reason; recorded with every change."""
        self._before: list[tuple[Changed, Cells]] = []

    @property
    def cells(self) -> Cells | None:
        """The cells as they are now."""
        return None if self.session.counted is None else self.session.counted.cells

    @property
    def undoable(self) -> int:
        """How many changes can be undone."""
        return len(self._before)

    def forget(self) -> None:
        """Begin anew: other cells were found."""
        self._before.clear()

    def begin(self, change: Change) -> Callable[[Progress], Changed]:
        """Return the work of a change, for a job.

        Raises
        ------
        CallError
            If there are no cells to change.
        """
        cells, prepared = self.cells, self.session.prepared
        if cells is None or prepared is None:
            raise CallError("there are no cells yet: find them first")
        return lambda _progress: _changed(change, cells, prepared)

    def finish(self, changed: Changed) -> None:
        """Take the cells of a change and record it."""
        if self.cells is not changed.before:
            raise CallError("the cells changed meanwhile; nothing was edited")
        self._before.append((changed, changed.before))
        while len(self._before) > 1 and sum(_bytes(cells) for _, cells in self._before) > MOST_UNDO_BYTES:
            del self._before[0]
        self.session.set_cells(changed.after)
        self.session.record_edit(changed.words, target="cells", why=self.why, **changed.details)

    def undo(self) -> Changed | None:
        """Take back the last change and return it; None where there is none."""
        if not self._before or self.cells is None:
            return None
        changed, before = self._before.pop()
        prepared = self.session.prepared
        if prepared is not None:  # the compartments may have been edited since
            before = place_cells(before, prepared.compartments, prepared.settings.measurements)
        self.session.set_cells(before)
        self.session.record_edit(f"undid: {changed.words}", target="cells", cells=len(before.table))
        return changed


def light_of(prepared: Prepared, cells: Cells) -> CellLight:
    """Return the stains of a section as its cells are measured in them."""
    return CellLight(prepared.section, prepared.correction, prepared.compartments.analysable, cells.gate)


def typical_diameter_um(cells: Cells) -> float:
    """Return the diameter of a disc of the median cell's area; a thymocyte's, 7 µm, where there is none."""
    area = cells.table["area_um2"]
    return float(np.sqrt(area.median() * 4 / np.pi)) if len(area) else 7.0


def _changed(change: Change, cells: Cells, prepared: Prepared) -> Changed:
    section, least = prepared.section, prepared.settings.cells.minimum_area_um2
    light, px = light_of(prepared, cells), section.pixel_size_um
    details: dict[str, Any] = {"places_um": [[round(float(v), 2) for v in place] for place in change.places]}
    if change.cell_id:
        row = cells.table.iloc[change.cell_id - 1]
        details["cell_um"] = [round(float(row["y_um"]), 2), round(float(row["x_um"]), 2)]
    if change.what in ("add", "outline"):
        if change.what == "add":
            region = disc_region(change.places[0], typical_diameter_um(cells), px, section.slide_shape)
        else:
            region = polygon_region(np.array(change.places), px, section.slide_shape)
        after, words = add_cell(cells, region, light, least_um2=least), "added a cell"
    elif change.what == "delete":
        after, words = delete_cells(cells, [change.cell_id]), "deleted a cell"
    elif change.what in ("split", "cut"):
        line: npt.NDArray[np.float64] | None = np.array(change.places) if change.what == "cut" else None
        after = split_cell(cells, change.cell_id, light, line_um=line, least_um2=least)
        words = "split a cell"
    else:
        other = cell_at(cells, change.places[0], px)
        if other in (0, change.cell_id):
            raise CallError("merging: put the cursor on the other cell, beside the marked one")
        after, words = merge_cells(cells, [change.cell_id, other], light), "merged two cells"
    details["cells"] = len(after.table)
    after = place_cells(after, prepared.compartments, prepared.settings.measurements)
    return Changed(change, cells, after, words, details)


def _bytes(cells: Cells) -> int:
    masks = cells.masks
    return int(masks.bits.nbytes + masks.boxes.nbytes + masks.starts.nbytes + 100 * len(cells.table))

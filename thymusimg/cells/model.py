"""The human CD45+ cells of a section, as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from thymusimg.section.model import FloatPlane, Window


@dataclass(frozen=True)
class Gate:
    """Which CD45 intensity counts as human, and where that number comes from.

    Attributes
    ----------
    threshold : float
        CD45-positive at or above this, in background-subtracted units of the full-resolution image.
    background, background_sd : float
        Level of CD45-negative tissue (its autofluorescence) and the SD of its pixels, in the units of
        ``threshold``: the background off the tissue is subtracted, this one is not.
    source : str
        ``"section"`` (own background), ``"controls_sd"`` (negative controls, in units of background SD) or
        ``"controls_absolute"`` (negative controls of the same batch and exposure).
    controls : tuple of str
        ``section_id`` of the negative controls that were used.
    false_cells_per_mm2 : float
        Cells per mm² that the same threshold finds in the controls; NaN without controls.
    false_reason : str
        Why ``false_cells_per_mm2`` is undefined, or "".
    local_sd : float
        SD of the negative tissue over the size of a cell, without slow changes over the section; NaN: not measured.
    """

    threshold: float
    background: float
    background_sd: float
    source: str
    controls: tuple[str, ...] = ()
    false_cells_per_mm2: float = float("nan")
    false_reason: str = ""
    notes: tuple[str, ...] = ()
    local_sd: float = float("nan")


@dataclass(frozen=True)
class CellMasks:
    """The pixels of every cell at full resolution, disjoint, in the order of the cell table.

    Attributes
    ----------
    boxes : (N, 4) int32
        Bounding boxes ``y0, y1, x0, x1`` in full-resolution pixels.
    starts : (N + 1,) int64
        Where each cell's pixels begin in ``bits``.
    bits : (sum of box areas,) bool
        The boxes' masks, row by row, one cell after another.
    """

    boxes: npt.NDArray[np.int32]
    starts: npt.NDArray[np.int64]
    bits: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.boxes)

    def mask(self, index: int) -> npt.NDArray[np.bool_]:
        """Return the mask of one cell inside its box."""
        y0, y1, x0, x1 = self.boxes[index]
        return self.bits[self.starts[index] : self.starts[index + 1]].reshape(y1 - y0, x1 - x0)

    def paint(self, window: Window) -> npt.NDArray[np.uint32]:
        """Return the label image of ``window``: 0 off the cells, else ``cell_id`` (row of the table + 1)."""
        from thymusimg.cells.painting import paint_masks  # compiles on first use

        labels = np.zeros(window.shape, np.uint32)
        b = self.boxes
        inside = (b[:, 0] < window.y1) & (b[:, 1] > window.y0) & (b[:, 2] < window.x1) & (b[:, 3] > window.x0)
        which = np.flatnonzero(inside).astype(np.int64)
        paint_masks(labels, window.y0, window.x0, b, self.starts, self.bits, which)
        return labels


@dataclass(frozen=True)
class Cells:
    """The human CD45+ cells of a section.

    Attributes
    ----------
    table : DataFrame
        One row a cell, sorted by ``y_um, x_um``; ``cell_id`` = 1 … N = label in ``labels/cells``. Columns:
        ``cell_id, y_um, x_um, area_um2, mean_cd45, mean_k14, mean_k8`` (background-subtracted; the role's column is
        absent where the role is), ``score`` (confidence of the detection in [0, 1]), and, once assigned,
        ``compartment, distance_to_cmj_um, depth_from_capsule_um, axis``.
    masks : CellMasks
    positive_fraction : (Y, X) float32
        Share of each coarse pixel's full-resolution pixels at or above the gate, on the section's grid, inside the
        analysed tissue; the basis of the CD45+ area fraction and of the coverage behind ``cd45_count_reliable``.
    gate : Gate
    """

    table: pd.DataFrame
    masks: CellMasks
    positive_fraction: FloatPlane
    gate: Gate
    method: str = "classical"
    notes: tuple[str, ...] = ()
    reasons: Mapping[str, str] = field(default_factory=dict)

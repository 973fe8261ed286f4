"""Which compartment every cell lies in."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from thymusimg.compartments.model import PARENCHYMA, Compartment

if TYPE_CHECKING:
    from thymusimg.cells.model import Cells
    from thymusimg.compartments.model import Compartments
    from thymusimg.section.model import Mask


class CellPlaces(NamedTuple):
    """Where the cells of a section lie.

    Attributes
    ----------
    code : (N,) uint8
        :class:`Compartment` of every cell.
    y, x : (N,) float64
        Centroids as (fractional) indices of the coarse grid.
    """

    code: npt.NDArray[np.uint8]
    y: npt.NDArray[np.float64]
    x: npt.NDArray[np.float64]

    def count(self, *which: Compartment) -> int:
        """Return the number of cells in any of ``which``."""
        return int(np.isin(self.code, which).sum())

    @property
    def parenchyma(self) -> npt.NDArray[np.bool_]:
        """Which cells lie in the parenchyma."""
        return np.isin(self.code, PARENCHYMA)

    def on(self, mask: Mask) -> npt.NDArray[np.bool_]:
        """Return which cells lie on a pixel of a mask."""
        height, width = mask.shape
        rows = np.clip(np.floor(self.y + 0.5), 0, height - 1).astype(np.intp)
        return mask[rows, np.clip(np.floor(self.x + 0.5), 0, width - 1).astype(np.intp)]


def cell_places(cells: Cells, compartments: Compartments) -> CellPlaces:
    """Return where cells lie: the compartment they were assigned to, or the one under their centroid."""
    table, grid = cells.table, compartments.grid
    y, x = (grid.to_index(table[name].to_numpy(), axis) for axis, name in enumerate(("y_um", "x_um")))
    if "compartment" in table:
        codes = {c.name.lower(): int(c) for c in Compartment} | {int(c): int(c) for c in Compartment}
        code = np.array([codes[name] for name in table["compartment"].tolist()], np.uint8)
    else:
        height, width = compartments.labels.shape
        rows, cols = np.clip(np.rint(y), 0, height - 1), np.clip(np.rint(x), 0, width - 1)
        code = compartments.labels[rows.astype(np.intp), cols.astype(np.intp)]
    return CellPlaces(code, y, x)

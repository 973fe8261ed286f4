"""In which order cells are looked at: those of which detection is least sure come first. No Qt, no layers.

Numbers of cells change with every edit; a cell is known here by its place, which an edit of others leaves as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from thymusimg.cells.model import Cells

UNDECIDED = 0.5
"""The score of a cell that is as likely false as true."""


def uncertain_first(cells: Cells) -> list[int]:
    """Return the rows of the cells, the score nearest to 0.5 first; cells without a score last, in their order.

    Examples
    --------
    Scores of 0.9, 0.52 and 0.3 are looked at as 0.52, 0.3, 0.9.
    """
    score = cells.table["score"].to_numpy(np.float64)
    return [int(row) for row in np.argsort(np.abs(score - UNDECIDED), kind="stable")]


class Review:
    """Steps through the cells of a section, one after the other, whatever is edited meanwhile."""

    def __init__(self) -> None:
        self._queue: list[tuple[float, float]] = []
        self._at = -1
        self._seen: set[tuple[float, float]] = set()
        self._known: tuple[Cells, dict[tuple[float, float], int]] | None = None

    @property
    def total(self) -> int:
        """How many cells there were to look at."""
        return len(self._queue)

    @property
    def seen(self) -> int:
        """How many of them were looked at."""
        return len(self._seen)

    def start(self, cells: Cells) -> None:
        """Order the cells; what was looked at before stays so."""
        places = cells.table[["y_um", "x_um"]].to_numpy(np.float64)[uncertain_first(cells)]
        self._queue = [(float(y), float(x)) for y, x in places]
        self._seen &= set(self._queue)
        self._at = -1

    def forget(self) -> None:
        """Nothing is looked at, and nothing was."""
        self._queue, self._seen, self._at, self._known = [], set(), -1, None

    def step(self, cells: Cells, by: int = 1) -> int:
        """Return the number of the next cell that is still there and was not looked at, 0 at the end.

        ``by = -1`` goes back over all that are still there.
        """
        if self._known is None or self._known[0] is not cells:
            self._known = cells, _rows(cells)
        rows, at = self._known[1], self._at
        while 0 <= at + by < len(self._queue):
            at += by
            place = self._queue[at]
            if place in rows and (by < 0 or place not in self._seen):
                self._at = at
                self._seen.add(place)
                return rows[place]
        self._at = at if by < 0 else len(self._queue)
        return 0


def place_of_cell(cells: Cells, cell_id: int) -> tuple[float, float]:
    """Return the centroid (y, x in µm) of a cell."""
    row = cells.table.iloc[cell_id - 1]
    return float(row["y_um"]), float(row["x_um"])


def _rows(cells: Cells) -> dict[tuple[float, float], int]:
    y, x = (cells.table[name].to_numpy(np.float64).tolist() for name in ("y_um", "x_um"))
    return {place: number for number, place in enumerate(zip(y, x, strict=True), start=1)}

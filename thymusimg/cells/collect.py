"""Join the cells of the tiles to one table and one set of masks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numba
import numpy as np
import numpy.typing as npt
import pandas as pd

from thymusimg.cells.model import CellMasks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thymusimg.section.model import FloatPlane


@dataclass(frozen=True)
class Found:
    """The cells of one tile; ``sums`` as :func:`thymusimg.cells.overlap.paint` returns them."""

    boxes: npt.NDArray[np.int32]
    starts: npt.NDArray[np.int64]
    bits: npt.NDArray[np.bool_]
    sums: npt.NDArray[np.float64]
    scores: FloatPlane

    def select(self, chosen: npt.NDArray[np.bool_]) -> Found:
        """Return the chosen cells, in tight boxes."""
        return _packed(self, np.flatnonzero(chosen))


def empty(stains: int) -> Found:
    """Return no cells."""
    return Found(
        np.zeros((0, 4), np.int32),
        np.zeros(1, np.int64),
        np.zeros(0, np.bool_),
        np.zeros((0, 4 + stains)),
        np.zeros(0, np.float32),
    )


def concatenate(tiles: Sequence[Found], stains: int) -> Found:
    """Return the cells of several tiles as those of one, tile by tile."""
    parts = [tile for tile in tiles if len(tile.boxes)] or [empty(stains)]
    starts = np.concatenate([[0], np.cumsum(np.concatenate([np.diff(part.starts) for part in parts]))])
    return Found(
        np.concatenate([part.boxes for part in parts]),
        starts.astype(np.int64),
        np.concatenate([part.bits for part in parts]),
        np.concatenate([part.sums for part in parts]),
        np.concatenate([part.scores for part in parts]),
    )


def join(
    tiles: Sequence[Found], stains: Sequence[str], pixel_um: float, origin: tuple[int, int] = (0, 0)
) -> tuple[pd.DataFrame, CellMasks]:
    """Join tiles to the cell table, sorted by ``y_um, x_um``, and the masks in its order.

    Tiles count from the section's corner, the pixel ``origin`` of the slide; table and masks from the slide's.
    """
    together = concatenate(tiles, len(stains))
    pixels = together.sums[:, 0]
    y_um = (together.sums[:, 2] / pixels + origin[0]) * pixel_um
    x_um = (together.sums[:, 3] / pixels + origin[1]) * pixel_um
    order = np.lexsort((x_um, y_um))
    ordered = _packed(together, order)
    columns = {
        "cell_id": np.arange(1, len(order) + 1, dtype=np.int64),
        "y_um": y_um[order],
        "x_um": x_um[order],
        "area_um2": pixels[order] * pixel_um**2,
    }
    columns |= {f"mean_{stain}": (together.sums[:, 4 + i] / pixels)[order] for i, stain in enumerate(stains)}
    table = pd.DataFrame(columns | {"score": ordered.scores.astype(np.float64)})
    boxes = ordered.boxes + np.repeat(np.array(origin, np.int32), 2)
    return table, CellMasks(boxes, ordered.starts, ordered.bits)


def arrange(masks: CellMasks, order: npt.NDArray[np.intp]) -> CellMasks:
    """Return the masks of the cells ``order`` names, in that order and in tight boxes."""
    return CellMasks(*_pack(masks.boxes, masks.starts, masks.bits, order))


def _packed(found: Found, order: npt.NDArray[np.intp]) -> Found:
    boxes, starts, bits = _pack(found.boxes, found.starts, found.bits, order)
    return Found(boxes, starts, bits, found.sums[order], found.scores[order])


@numba.njit(cache=True, nogil=True)
def _pack(boxes, starts, bits, order):  # type: ignore[no-untyped-def]  # compiled
    tight = np.empty((len(order), 4), np.int32)
    begins = np.zeros(len(order) + 1, np.int64)
    for m in range(len(order)):
        i = order[m]
        height, width = boxes[i, 1] - boxes[i, 0], boxes[i, 3] - boxes[i, 2]
        y0, y1, x0, x1 = height, 0, width, 0
        at = starts[i]
        for y in range(height):
            for x in range(width):
                if bits[at]:
                    # plain comparisons: min and max take long to compile
                    if y < y0:
                        y0 = y
                    y1 = y + 1
                    if x < x0:
                        x0 = x
                    if x >= x1:
                        x1 = x + 1
                at += 1
        if y1 == 0:
            y0, x0 = 0, 0
        tight[m, 0], tight[m, 1] = boxes[i, 0] + y0, boxes[i, 0] + y1
        tight[m, 2], tight[m, 3] = boxes[i, 2] + x0, boxes[i, 2] + x1
        begins[m + 1] = begins[m] + (y1 - y0) * (x1 - x0)
    packed = np.empty(begins[-1], np.bool_)
    for m in range(len(order)):
        i = order[m]
        width = boxes[i, 3] - boxes[i, 2]
        to = begins[m]
        for y in range(tight[m, 0] - boxes[i, 0], tight[m, 1] - boxes[i, 0]):
            at = starts[i] + y * width + tight[m, 2] - boxes[i, 2]
            for _ in range(tight[m, 3] - tight[m, 2]):
                packed[to] = bits[at]
                to += 1
                at += 1
    return tight, begins, packed

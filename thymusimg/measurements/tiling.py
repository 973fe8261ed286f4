"""Square tiles over a mask: areas, sums and counts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numba
import numpy as np
import numpy.typing as npt

from thymusimg.measurements.smoothing import bounding_box

if TYPE_CHECKING:
    from thymusimg.section.model import FloatPlane, Mask

Edges = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Tiles:
    """Square tiles that cover a mask, laid symmetrically around the middle of its bounding box.

    A tile's edge may cut a pixel: each part then counts in its own tile. So nothing changes when the section is
    flipped, turned by 90° or padded.

    Attributes
    ----------
    y_edges, x_edges : (N + 1,) float64
        Edges in pixels; pixel ``i`` reaches from ``i`` to ``i + 1``.
    area : (NY, NX) float64
        Area of the mask in every tile, in pixels.
    side_px : float
    """

    y_edges: Edges
    x_edges: Edges
    area: npt.NDArray[np.float64]
    side_px: float

    def covered(self, share: float) -> npt.NDArray[np.bool_]:
        """Return which tiles hold at least ``share`` of their area of mask, as (NY, NX) bool."""
        return self.area >= share * self.side_px**2 - 1e-6

    def sum(self, plane: Mask | FloatPlane, where: Mask | None = None) -> npt.NDArray[np.float64]:
        """Sum a plane over every tile, as (NY, NX) float64; only the pixels of ``where``, if given."""
        return _tile_sums(plane, self.y_edges, self.x_edges, where)

    def count(self, y: npt.ArrayLike, x: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Count points in every tile (pixel indices, the centre of pixel 0 is 0); one on an edge is shared."""
        counts = np.zeros(self.area.shape)
        rows, cols = _tile_pair(y, self.y_edges), _tile_pair(x, self.x_edges)
        height, width = len(self.y_edges) - 1, len(self.x_edges) - 1
        for row in rows:
            for col in cols:
                inside = (row >= 0) & (row < height) & (col >= 0) & (col < width)
                np.add.at(counts, (row[inside], col[inside]), 0.25)
        return counts


def lay_tiles(mask: Mask, side_px: float) -> Tiles:
    """Lay tiles of ``side_px`` pixels over a non-empty mask.

    Examples
    --------
    >>> import numpy as np
    >>> lay_tiles(np.ones((4, 6), bool), 2.0).area
    array([[4., 4., 4.],
           [4., 4., 4.]])
    """
    rows, cols = bounding_box(mask)
    y_edges, x_edges = _edges(rows, side_px), _edges(cols, side_px)
    return Tiles(y_edges, x_edges, _tile_sums(mask, y_edges, x_edges), side_px)


def _edges(span: slice, side_px: float) -> Edges:
    count = max(1, math.ceil((span.stop - span.start) / side_px - 1e-9))
    offsets = (np.arange(count + 1) - count / 2) * side_px
    # thousandths of a pixel (a power of two): sums of masks then are exact, in whatever order they are taken
    return np.asarray(np.round(offsets * 1024) / 1024 + (span.start + span.stop) / 2)


def _tile_sums(
    plane: Mask | FloatPlane, y_edges: Edges, x_edges: Edges, where: Mask | None = None
) -> npt.NDArray[np.float64]:
    values = np.ascontiguousarray(plane)
    values = values.view(np.uint8) if values.dtype == np.bool_ else values
    mask = np.zeros((0, 0), np.bool_) if where is None else np.ascontiguousarray(where)
    return np.asarray(_sum_tiles(values, mask, y_edges, x_edges))


@numba.njit(cache=True, nogil=True)
def _sum_tiles(plane, mask, y_edges, x_edges):  # type: ignore[no-untyped-def]  # compiled
    height, width = plane.shape
    rows, cols = len(y_edges) - 1, len(x_edges) - 1
    sums = np.zeros((rows, cols), np.float64)
    begin, end = max(0, int(np.floor(x_edges[0]))), min(width, int(np.ceil(x_edges[cols])))
    # the columns of every tile, and how much of its first and of its last one it has
    left, right = np.zeros(cols, np.int64), np.zeros(cols, np.int64)
    first_share, last_share = np.zeros(cols, np.float64), np.zeros(cols, np.float64)
    for j in range(cols):
        left[j], right[j] = max(0, int(np.floor(x_edges[j]))), min(width, int(np.ceil(x_edges[j + 1])))
        first_share[j] = min(left[j] + 1.0, x_edges[j + 1]) - max(float(left[j]), x_edges[j])
        last_share[j] = min(float(right[j]), x_edges[j + 1]) - max(right[j] - 1.0, x_edges[j])
    line = np.empty(end - begin, np.float64)
    zero = plane.dtype.type(0)
    for i in range(rows):
        first, last = max(0, int(np.floor(y_edges[i]))), min(height, int(np.ceil(y_edges[i + 1])))
        if first >= last:
            continue
        line[:] = 0.0
        for y in range(first, last):
            overlap = min(y + 1.0, y_edges[i + 1]) - max(float(y), y_edges[i])
            # slices from 0 on: the compiler then needs no test for negative indices, and takes many pixels at once
            values = plane[y, begin:end]
            if len(mask):
                inside = mask[y, begin:end]
                for x in range(len(values)):
                    line[x] += overlap * (values[x] if inside[x] else zero)
            else:
                for x in range(len(values)):
                    line[x] += overlap * values[x]
        for j in range(cols):
            if left[j] >= right[j]:
                continue
            start, stop = left[j] - begin, right[j] - begin
            total = first_share[j] * line[start]
            for x in range(start + 1, stop - 1):
                total += line[x]
            if stop - start > 1:
                total += last_share[j] * line[stop - 1]
            sums[i, j] = total
    return sums


def _tile_pair(index: npt.ArrayLike, edges: Edges) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return the tile of every point twice; the two differ for a point on an edge."""
    place = np.asarray(index, np.float64) + 0.5
    return np.searchsorted(edges, place, side="right") - 1, np.searchsorted(edges, place, side="left") - 1

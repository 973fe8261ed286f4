"""Masks as polygons: closed rings along the middle between inside and outside pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cc3d
import numpy as np
import numpy.typing as npt

from thymusimg.measurements.smoothing import bounding_box

if TYPE_CHECKING:
    from thymusimg.section.model import Mask

Ring = npt.NDArray[np.float64]
"""(N, 2) points (y, x), the last one the first."""
Polygon = list[Ring]
"""The outer ring, then its holes."""


def outline_mask(mask: Mask) -> list[Polygon]:
    """Return the polygons of a mask, in indices of its pixels (the centre of the first pixel is 0, 0).

    A polygon is a 4-connected piece. Its rings run half-way between neighbouring pixels inside and outside, cutting
    corners: an outer ring encloses half a pixel less than the pixels it goes around, a hole half a pixel less, too.
    Rings neither cross nor touch. Outer rings and holes run in opposite directions.

    Parameters
    ----------
    mask : (Y, X) bool

    Examples
    --------
    >>> import numpy as np
    >>> mask = np.zeros((9, 9), bool)
    >>> mask[2:7, 2:7] = True
    >>> mask[4, 4] = False
    >>> (polygon,) = outline_mask(mask)
    >>> len(polygon), polygon_area(polygon)  # 24 pixels: one ring and one hole
    (2, 24.0)
    """
    from skimage.measure import find_contours

    if not mask.any():
        return []
    rows, cols = bounding_box(mask)
    inside = np.pad(mask[rows, cols], 1)
    pieces = np.asarray(cc3d.connected_components(inside.astype(np.uint8), connectivity=4))
    rings: dict[int, Polygon] = {}
    corner = np.array([rows.start - 1, cols.start - 1])
    for line in find_contours(inside.astype(np.float32), 0.5, fully_connected="low"):
        # a point lies between a pixel inside and one outside
        low, high = np.floor(line[0]).astype(int), np.ceil(line[0]).astype(int)
        piece = int(pieces[tuple(low)] or pieces[tuple(high)])
        rings.setdefault(piece, []).append(_straightened(line) + corner)
    return [sorted(rings[piece], key=_by_area) for piece in sorted(rings)]


def ring_area(ring: Ring) -> float:
    """Return the signed area that a closed ring encloses."""
    y, x = ring.T
    return float(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]) / 2)


def polygon_area(polygon: Polygon) -> float:
    """Return the area of the outer ring less that of the holes."""
    return abs(ring_area(polygon[0])) - sum(abs(ring_area(hole)) for hole in polygon[1:])


def _by_area(ring: Ring) -> tuple[float, float, float]:
    return -abs(ring_area(ring)), float(ring[0, 0]), float(ring[0, 1])


def _straightened(ring: Ring) -> Ring:
    """Leave out the points on straight stretches."""
    points = ring[:-1]
    before, after = points - np.roll(points, 1, axis=0), np.roll(points, -1, axis=0) - points
    turns = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
    corners = np.flatnonzero(turns)
    closed: Ring = points[[*corners, corners[0]]]
    return closed

"""The area of a mask that discs of a radius can reach: an opening, in time that does not grow with the radius."""

from __future__ import annotations

from math import isqrt
from typing import TYPE_CHECKING

import numba
import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from thymusimg.section.model import FloatPlane, Mask

STEPS = 4
"""Radii are given in this part of a pixel: discs are then decided in whole numbers, without rounding."""


def opened_area(depth: FloatPlane, radius: int) -> int:
    """Count the pixels of a mask that lie in some disc of ``radius`` inside the mask.

    Parameters
    ----------
    depth : (Y, X) float32
        Distance of every pixel of the mask to the nearest pixel outside it, in pixels; 0 off the mask.
    radius : int
        In quarters of a pixel, > 0. Discs reach up to, and not at, the first pixel outside.

    Examples
    --------
    >>> opened_area(np.array([[0, 1, 2, 1, 0]], np.float32), 8)
    3
    """
    nearest = (radius * radius - 1) // STEPS**2  # largest squared distance that is still inside
    reach = [isqrt(nearest - dy * dy) for dy in range(isqrt(nearest) + 1)]
    centres = np.ascontiguousarray(depth >= np.float32(radius / STEPS))
    return int(_count_reached(centres, np.array(reach, np.int32)))


@numba.njit(cache=True, nogil=True)
def _count_reached(centres: Mask, reach: npt.NDArray[np.int32]) -> int:
    """Count the pixels within a disc around any centre, which reaches ``reach[dy]`` columns in row ``dy``."""
    height, width = centres.shape
    far = len(reach)
    above = np.empty((height, width), np.int32)  # rows to the nearest centre at or above
    rows = np.full(width, far, np.int32)
    for y in range(height):
        for x in range(width):
            rows[x] = 0 if centres[y, x] else min(rows[x] + 1, far)
            above[y, x] = rows[x]
    rows[:] = far
    ends = np.empty(width, np.int32)  # by the column at which a reached span begins: where it ends
    count = 0
    for y in range(height - 1, -1, -1):
        ends[:] = -1
        for x in range(width):
            rows[x] = 0 if centres[y, x] else min(rows[x] + 1, far)
            dy = min(rows[x], above[y, x])
            if dy < far:
                begin = max(0, x - reach[dy])
                ends[begin] = max(ends[begin], x + reach[dy])
        end = -1
        for x in range(width):
            end = max(end, ends[x])
            count += end >= x
    return count

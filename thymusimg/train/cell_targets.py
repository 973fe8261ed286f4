"""From labels to what a cell network learns: foreground, centres, and the way from pixel to centre."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numba import njit

if TYPE_CHECKING:
    import numpy.typing as npt

CLASSES = ("foreground", "centre", "offset_y", "offset_x")
"""Outputs of the network, in order."""
OFFSET_PX = 8.0
"""Offsets are learnt in units of so many pixels: about a cell's radius at 0.5 µm."""
CENTRE_SD_PX = 1.5
"""SD of the bump at a cell's centre."""
SMALLEST_PX = 10
"""Smaller remains of a cell under others (2.5 µm²) are neither cell nor background: nothing is learnt there."""
BORDER_WEIGHT = 3.0
"""Weight of pixels beside another cell, or at a cell's edge against a gap: there cells are parted or merged."""


def cell_targets(labels: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return targets and weight of a label image.

    Parameters
    ----------
    labels : (Y, X) integer array
        Disjoint cells; 0 is no cell.

    Returns
    -------
    (5, Y, X) float32
        Foreground (0 or 1); centre: a Gaussian bump of height 1 at the centroid of every cell, of overlapping bumps
        the higher; offset y and x to the centroid in units of 8 px, 0 off the cells; weight of the pixel, 0 where
        nothing is known.

    Examples
    --------
    >>> import numpy as np
    >>> labels = np.zeros((9, 9), np.int32)
    >>> labels[3:6, 2:7] = 4
    >>> targets = cell_targets(labels)
    >>> float(targets[1, 4, 4]), float(targets[3, 4, 2])
    (1.0, 0.25)
    """
    made = np.zeros((5, *labels.shape), np.float32)
    most = int(labels.max(initial=0))
    named = np.ascontiguousarray(labels).astype(np.int64)
    _fill(named, _between_cells(named), most, made)
    return made


@njit(cache=True, nogil=True)
def _fill(labels, border, most, made):  # type: ignore[no-untyped-def]  # compiled
    height, width = labels.shape
    count = np.zeros(most + 1, np.int64)
    sums = np.zeros((most + 1, 2))
    for i in range(height):
        for j in range(width):
            name = labels[i, j]
            if name > 0:
                count[name] += 1
                sums[name, 0] += i
                sums[name, 1] += j
    reach = int(np.ceil(3 * CENTRE_SD_PX))
    for name in range(1, most + 1):
        if count[name] < SMALLEST_PX:
            continue
        y, x = sums[name, 0] / count[name], sums[name, 1] / count[name]
        for i in range(max(0, int(y) - reach), min(height, int(y) + reach + 2)):
            for j in range(max(0, int(x) - reach), min(width, int(x) + reach + 2)):
                squared = (i - y) ** 2 + (j - x) ** 2
                bump = np.float32(np.exp(-0.5 * squared / CENTRE_SD_PX**2))
                made[1, i, j] = max(made[1, i, j], bump)
    for i in range(height):
        for j in range(width):
            name = labels[i, j]
            made[4, i, j] = 1.0
            if name > 0:
                if count[name] < SMALLEST_PX:
                    made[4, i, j] = 0.0
                    continue
                made[0, i, j] = 1.0
                made[2, i, j] = (sums[name, 0] / count[name] - i) / OFFSET_PX
                made[3, i, j] = (sums[name, 1] / count[name] - j) / OFFSET_PX
            if border[i, j]:
                made[4, i, j] = BORDER_WEIGHT


def _between_cells(labels: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Return which pixels of a cell are within 1 px of another, and which off the cells within 2 px of two."""
    named = labels.astype(np.float32)
    last = np.where(labels > 0, named, np.float32(np.inf))
    found = np.zeros(labels.shape, np.bool_)
    for side, here in ((3, labels > 0), (5, labels <= 0)):
        kernel = np.ones((side, side), np.uint8)
        found |= here & (cv2.dilate(named, kernel) > cv2.erode(last, kernel))
    return found

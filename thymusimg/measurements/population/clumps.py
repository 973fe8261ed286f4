"""Clumps of CD45+ cells: how many cells their area would hold (P10)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import cc3d
import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from thymusimg.section.model import FloatPlane

POSITIVE_SHARE = 0.5


class Clumps(NamedTuple):
    """Single cells and clumps of a section.

    Attributes
    ----------
    singles : int
        Cells that lie alone in a patch of CD45+ tissue, or in none.
    clumped : int
        Cells that share their patch with others.
    single_area_um2 : float
        Median CD45+ area of the patches that hold one cell; NaN without any.
    clump_area_um2 : float
        CD45+ area of the patches that hold several.
    """

    singles: int
    clumped: int
    single_area_um2: float
    clump_area_um2: float

    @property
    def estimated(self) -> float:
        """Singles + clump area / median single area: an estimate, no count; NaN without a single cell's area."""
        if not self.clumped:
            return float(self.singles)
        return self.singles + self.clump_area_um2 / self.single_area_um2


def measure_clumps(positive: FloatPlane, y: npt.ArrayLike, x: npt.ArrayLike, pixel_um: float) -> Clumps:
    """Compare the CD45+ area of clumps with that of single cells (P10).

    A patch is an 8-connected set of pixels that are CD45+ in half or more of their area; a cell belongs to the
    patch at its centroid, or to one that touches that pixel. Where cells lie over each other they share their area:
    the estimate is too low there as the count is, though less.

    Parameters
    ----------
    positive : (Y, X) float32
        CD45+ share of every pixel, 0 where cells are not counted.
    y, x : (N,) array
        Centroids of the cells, as fractional pixel indices.
    pixel_um : float

    Examples
    --------
    Two single cells of 3 x 3 pixels, and a clump of 3 x 12 in which two were found.

    >>> import numpy as np
    >>> positive = np.zeros((20, 40), np.float32)
    >>> positive[2:5, 2:5] = positive[2:5, 10:13] = positive[10:13, 10:22] = 1
    >>> measure_clumps(positive, [3, 3, 11, 11], [3, 11, 11, 20], 2.0).estimated
    6.0
    """
    labels = np.asarray(cc3d.connected_components((positive >= POSITIVE_SHARE).astype(np.uint8), connectivity=8))
    patch = _patch_of(labels, np.asarray(y, np.float64), np.asarray(x, np.float64))
    size = int(labels.max()) + 1
    held = np.bincount(patch[patch > 0], minlength=size)
    area = np.bincount(labels.ravel(), weights=positive.ravel().astype(np.float64), minlength=size) * pixel_um**2
    alone, several = held == 1, held > 1
    return Clumps(
        int(alone.sum()) + int(np.count_nonzero(patch == 0)),
        int(held[several].sum()),
        float(np.median(area[alone])) if alone.any() else math.nan,
        float(area[several].sum()),
    )


def _patch_of(
    labels: npt.NDArray[np.integer], y: npt.NDArray[np.float64], x: npt.NDArray[np.float64]
) -> npt.NDArray[np.int64]:
    """Return the patch under each cell, else the largest label around it: hollow rings leave the middle empty."""
    height, width = labels.shape
    rows = np.clip(np.floor(y + 0.5), 0, height - 1).astype(np.intp)
    cols = np.clip(np.floor(x + 0.5), 0, width - 1).astype(np.intp)
    patch = labels[rows, cols].astype(np.int64)
    around = np.zeros_like(patch)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            near = labels[np.clip(rows + dy, 0, height - 1), np.clip(cols + dx, 0, width - 1)]
            around = np.maximum(around, near)
    return np.where(patch > 0, patch, around)

"""Bright spots of a keratin, and whether unlike spots lie beside each other (R8)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from thymusimg.measurements.smoothing import bounding_box, smooth_to
from thymusimg.measurements.tiling import lay_tiles

if TYPE_CHECKING:
    from thymusimg.measurements.pattern.cross import CrossPattern
    from thymusimg.measurements.pattern.window import Window
    from thymusimg.section.model import FloatPlane, Mask

Points = npt.NDArray[np.float64]

BLOB_SIGMA_UM = 5.0
BLOB_SPACING_UM = 10.0
CROSS_RADII_UM = tuple(float(r) for r in range(10, 105, 5))
CROSS_RADIUS_UM = 50.0
_BIN_UM = 2.0
_LEAST_BEND = 1e-3  # of the height, bin to bin; a body of σ = 10 µm bends by forty times that


def find_blobs(plane: FloatPlane, parenchyma: Mask, threshold: float, pixel_um: float) -> Points:
    """Find the bright spots of a stain: the size of an epithelial cell's body (R8).

    Maxima of the plane, smoothed at σ = 5 µm on bins of 2 µm, over a disc of 10 µm around them, above ``threshold``
    (of the stain's own co-expression measurement), inside the parenchyma; a parabola through the neighbours places
    them between bins.

    Returns
    -------
    (N, 2) float64
        (y, x) in pixel indices.

    Examples
    --------
    >>> import numpy as np
    >>> plane = np.zeros((50, 80), np.float32)
    >>> plane[20, 20] = plane[30, 60] = 100
    >>> find_blobs(plane, np.ones((50, 80), bool), 0.1, 2.0).tolist()
    [[20.0, 20.0], [30.0, 60.0]]
    """
    if not parenchyma.any() or not math.isfinite(threshold):
        return np.zeros((0, 2))
    # everything in the parenchyma's box is looked at: spots just outside hide those beside them
    window = np.zeros_like(parenchyma)
    window[bounding_box(parenchyma)] = True
    tiles = lay_tiles(window, _BIN_UM / pixel_um)
    level = tiles.sum(plane)
    level /= tiles.side_px**2
    smooth = smooth_to(level.astype(np.float32), BLOB_SIGMA_UM, _BIN_UM)
    del level
    reach = math.floor(BLOB_SPACING_UM / _BIN_UM)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = (np.hypot(y, x) * _BIN_UM <= BLOB_SPACING_UM).astype(np.uint8)
    peak = (smooth >= cv2.dilate(smooth, disc)) & (smooth > threshold)
    peak &= tiles.sum(parenchyma) >= 0.5 * tiles.side_px**2
    at = np.argwhere(peak)
    around = np.pad(smooth, 1, mode="edge")
    found = at.astype(np.float64)
    curved = np.ones(len(at), bool)
    for axis in (0, 1):
        step = np.eye(2, dtype=np.intp)[axis]
        before, here, after = (around[tuple((at + 1 + d * step).T)].astype(np.float64) for d in (-1, 0, 1))
        bend = before - 2 * here + after
        curved &= bend < -_LEAST_BEND * np.abs(here)
        moved = np.divide(before - after, 2 * bend, out=np.zeros(len(at)), where=bend < 0)
        edges = (tiles.y_edges, tiles.x_edges)[axis]
        found[:, axis] = edges[0] - 0.5 + (at[:, axis] + 0.5 + np.clip(moved, -0.5, 0.5)) * tiles.side_px
    # where a stain is cut off at the camera's limit all is flat, and nothing a spot
    return found[curved]


def in_window_order(points_um: Points, window: Window) -> Points:
    """Return points in an order that does not depend on how the section lies, so that chance draws the same."""
    placed = window.place(points_um)
    return points_um[np.lexsort((placed[:, 1], placed[:, 0]))]


def cross_ratio(pattern: CrossPattern, radius_um: float) -> float:
    """Return how often unlike spots are neighbours, over what random labels give: K₁₂(r) / mean K₁₂(r) (R8).

    1 is a random mixture of the kinds on the places that there are, below 1 they keep apart, above 1 they take
    turns. At radii below a spot's own size, spots that show both keratins count as unlike neighbours.

    Parameters
    ----------
    pattern : CrossPattern
        Of :func:`thymusimg.measurements.pattern.cross.measure_cross_pattern` with ``null="labels"``.
    radius_um : float
        One of its radii.

    Examples
    --------
    Two kinds in two halves: 20 µm around, unlike pairs are found along the seam only.

    >>> import numpy as np
    >>> from thymusimg.measurements.pattern.cross import measure_cross_pattern
    >>> from thymusimg.measurements.pattern.window import Window
    >>> at = np.argwhere(np.ones((20, 20))) * 10 + 4.5
    >>> left, window = at[:, 1] < 100, Window.of(np.ones((200, 200), np.uint8), 1.0)
    >>> bool(cross_ratio(measure_cross_pattern(at[left], at[~left], window, [20], simulations=39), 20) < 0.2)
    True
    """
    i = int(np.flatnonzero(pattern.radii_um == radius_um)[0])
    mean = float(pattern.null.mean[i]) + radius_um
    return ((float(pattern.excess_um[i]) + radius_um) / mean) ** 2 if mean > 0 else math.nan

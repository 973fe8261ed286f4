"""Bright spots of a keratin, and whether unlike spots lie beside each other (R8)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from thymusimg.measurements.smoothing import bounding_box, smooth_to

if TYPE_CHECKING:
    from thymusimg.measurements.pattern.cross import CrossPattern
    from thymusimg.section.model import FloatPlane, Mask

Points = npt.NDArray[np.float64]

BLOB_SIGMA_UM = 5.0
BLOB_SPACING_UM = 10.0
CROSS_RADII_UM = tuple(float(r) for r in range(10, 105, 5))
CROSS_RADIUS_UM = 50.0


def find_blobs(plane: FloatPlane, parenchyma: Mask, threshold: float, pixel_um: float) -> Points:
    """Find the bright spots of a stain: the size of an epithelial cell's body (R8).

    Maxima of the plane smoothed at σ = 5 µm over a disc of 10 µm around them, above ``threshold`` (of the stain's
    own co-expression measurement), inside the parenchyma; a parabola through the neighbours places them between
    pixels.

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
    reach = max(1, math.floor(BLOB_SPACING_UM / pixel_um + 1e-6))
    rows, cols = bounding_box(parenchyma)
    # spots just outside hide those beside them: look a little further than the parenchyma
    margin = 2 * reach
    top, left = max(0, rows.start - margin), max(0, cols.start - margin)
    box = slice(top, rows.stop + margin), slice(left, cols.stop + margin)
    smooth = smooth_to(plane[box], BLOB_SIGMA_UM, pixel_um)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = (np.hypot(y, x) * pixel_um <= BLOB_SPACING_UM + 1e-6).astype(np.uint8)
    peak = (smooth >= cv2.dilate(smooth, disc)) & (smooth > threshold) & parenchyma[box]
    peak[[0, -1]] = False
    peak[:, [0, -1]] = False
    at = np.argwhere(peak)
    found = at.astype(np.float64)
    for axis in (0, 1):
        step = np.eye(2, dtype=np.intp)[axis]
        before, here, after = (smooth[tuple((at + d * step).T)].astype(np.float64) for d in (-1, 0, 1))
        bend = before - 2 * here + after
        found[:, axis] += np.clip(
            np.divide(before - after, 2 * bend, out=np.zeros(len(at)), where=bend < 0), -0.5, 0.5
        )
    return np.asarray(found + np.array([top, left], np.float64))


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

"""Cut the profile of what are two cells in two: along a line, or where shape and membrane say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.segmentation import watershed

if TYPE_CHECKING:
    from thymusimg.section.model import FloatPlane, Mask

BLUR_UM = 0.5
"""SD of the blur of CD45 before the watershed: below the width of two membranes that touch."""
LEAST_SHARE = 0.2
"""A watershed's part of less is a dent of the outline or one cell's rim."""
LEAST_APART_UM = 3.0
"""Centres of two cells lie at least so far apart; a thymocyte's profile is 5-8 µm wide."""


def cut_along(mask: Mask, start: npt.ArrayLike, end: npt.ArrayLike) -> npt.NDArray[np.uint8]:
    """Return 1 and 2 on the two sides of a line that goes on beyond its ends, 0 off the mask.

    Parameters
    ----------
    mask : (Y, X) bool
    start, end : (y, x)
        Two places of the line, in pixels of the mask.

    Examples
    --------
    >>> import numpy as np
    >>> cut_along(np.ones((2, 4), bool), (0, 1.5), (1, 1.5)).tolist()
    [[1, 1, 2, 2], [1, 1, 2, 2]]
    """
    (y0, x0), (y1, x1) = np.asarray(start, np.float64), np.asarray(end, np.float64)
    y, x = np.mgrid[: mask.shape[0], : mask.shape[1]]
    side = (x1 - x0) * (y - y0) - (y1 - y0) * (x - x0)
    return np.where(mask, np.where(side >= 0, 1, 2), 0).astype(np.uint8)


def cut_in_two(mask: Mask, cd45: FloatPlane, pixel_um: float) -> npt.NDArray[np.uint8]:
    """Return 1 and 2 on the two cells that a mask seems to hold, 0 off it.

    The centres are the deepest place of the mask, and the deepest one at least 3 µm away from it. From them a
    watershed floods CD45 (its membranes are ridges) less the depth in the mask, both scaled to 0-1. Without a
    second centre, or one part would be less than a fifth, the mask is parted across its longer axis: a person who
    splits a cell sees two.

    Parameters
    ----------
    mask : (Y, X) bool
        One connected profile.
    cd45 : (Y, X) float32
    pixel_um : float
    """
    depth = np.asarray(ndimage.distance_transform_edt(np.pad(mask, 1)), np.float64)[1:-1, 1:-1]
    depth = np.asarray(cv2.GaussianBlur(depth, (0, 0), max(BLUR_UM / pixel_um, 0.5)), np.float64)
    light = cv2.GaussianBlur(np.asarray(cd45, np.float32), (0, 0), max(BLUR_UM / pixel_um, 0.5))
    inside = light[mask]
    low, high = float(inside.min()), float(inside.max())
    ridge = (light - low) / (high - low) if high > low else np.zeros_like(light)
    height = ridge - depth / max(float(depth.max()), 1e-9)
    centres = _centres(mask, depth, pixel_um)
    if centres is not None:
        markers = np.zeros(mask.shape, np.int32)
        for number, (y, x) in enumerate(centres, start=1):
            markers[y, x] = number
        parts = np.asarray(watershed(height, markers, mask=mask, connectivity=2), np.uint8)
        if np.bincount(parts[mask], minlength=3)[1:].min() >= LEAST_SHARE * np.count_nonzero(mask):
            return parts
    return _across(mask)


def _centres(mask: Mask, depth: npt.NDArray[np.float64], pixel_um: float) -> list[tuple[int, int]] | None:
    """Return the places of the two cells, the upper one first; None where there is but one."""
    peak = (depth == ndimage.maximum_filter(depth, 3)) & mask
    places = np.argwhere(peak)
    first = places[np.argmax(depth[tuple(places.T)])]
    apart = np.hypot(*(places - first).T) * pixel_um >= LEAST_APART_UM
    if not apart.any():
        return None
    others = places[apart]
    second = others[np.argmax(depth[tuple(others.T)])]
    return sorted([(int(first[0]), int(first[1])), (int(second[0]), int(second[1]))])


def _across(mask: Mask) -> npt.NDArray[np.uint8]:
    """Part a mask at its centroid, across its longer axis."""
    pixels = np.argwhere(mask)
    middle = pixels.mean(axis=0)
    _, axes = np.linalg.eigh((pixels - middle).T @ (pixels - middle))
    return cut_along(mask, middle, middle + axes[:, 0])

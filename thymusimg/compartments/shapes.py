"""Operations on masks with sizes in pixels: by true distances, so that they turn with the image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numba
import numpy as np
import numpy.typing as npt

from thymusimg.compartments.distance import distance_px, within

if TYPE_CHECKING:
    from thymusimg.section.model import FloatPlane, Mask


def depth_px(mask: Mask) -> FloatPlane:
    """Return the distance of every pixel of ``mask`` to the nearest pixel off it; the image border is no edge.

    A mask without any pixel off it is infinitely deep.
    """
    # not OpenCV's: its last bit depends on the number of threads
    return distance_px(mask)


def dilate(mask: Mask, radius_px: float) -> Mask:
    """Return the pixels within ``radius_px`` of ``mask``."""
    rows, cols = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if len(rows) == 0:
        return mask.copy()
    reach = int(radius_px) + 1
    window = (
        slice(max(0, int(rows[0]) - reach), int(rows[-1]) + reach + 1),
        slice(max(0, int(cols[0]) - reach), int(cols[-1]) + reach + 1),
    )
    out = np.zeros_like(mask)
    out[window] = within(mask[window], radius_px)
    return out


def erode(mask: Mask, radius_px: float) -> Mask:
    """Return the pixels of ``mask`` farther than ``radius_px`` from anything else."""
    return ~dilate(~mask, radius_px)


def disc(radius_px: float) -> npt.NDArray[np.uint8]:
    """Return the pixels within ``radius_px`` of the middle, as a kernel."""
    reach = int(radius_px)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    return np.asarray(y * y + x * x <= radius_px**2, np.uint8)


def opened(mask: Mask, radius_px: float) -> Mask:
    """Return the parts of ``mask`` into which a disc of ``radius_px`` fits."""
    # The eroded set is one pixel short of the disc's centre line: distances run between pixel centres.
    return mask & dilate(erode(mask, radius_px), radius_px)


def closed(mask: Mask, radius_px: float) -> Mask:
    """Return ``mask`` without the gaps into which no disc of ``radius_px`` fits."""
    return mask | ~dilate(erode(~mask, radius_px), radius_px)


def components(mask: Mask, connectivity: int = 8) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
    """Return the connected parts of ``mask``, numbered from 1, and the area in pixels of every number (0: rest)."""
    pixels = np.ascontiguousarray(mask).view(np.uint8)
    count, labels = cv2.connectedComponents(pixels, connectivity=connectivity, ltype=cv2.CV_32S)
    return labels.view(np.uint32), areas(labels.view(np.uint32), count - 1)


def areas(labels: npt.NDArray[np.uint32], count: int) -> npt.NDArray[np.int64]:
    """Return how many pixels every number up to ``count`` has."""
    out = np.zeros(count + 1, np.int64)
    _count(np.ascontiguousarray(labels).ravel(), out)
    return out


@numba.njit(cache=True, nogil=True)
def _count(labels, out):  # type: ignore[no-untyped-def]  # compiled
    for label in labels:
        out[label] += 1


def drop_small(mask: Mask, min_px: float) -> Mask:
    """Return ``mask`` without its parts below ``min_px`` pixels."""
    if not mask.any():
        return mask.copy()
    labels, area = components(mask)
    keep = area >= min_px
    keep[0] = False
    return np.asarray(keep[labels], bool)


def touches_border(labels: npt.NDArray[np.uint32], count: int) -> npt.NDArray[np.bool_]:
    """Return, for every number up to ``count``, whether it occurs on the border of the image."""
    out = np.zeros(count + 1, bool)
    for line in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        out[line] = True
    out[0] = False
    return out


def holes(mask: Mask) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
    """Return the holes of ``mask`` (numbered) and their areas; what reaches the image border is no hole."""
    labels, area = components(~mask, connectivity=4)
    open_ = touches_border(labels, len(area) - 1)
    number = np.where(open_, 0, np.arange(len(area))).astype(np.uint32)
    area = np.where(open_, 0, area)
    return number[labels], area


def fill_small_holes(mask: Mask, max_px: float) -> Mask:
    """Return ``mask`` with the holes of at most ``max_px`` pixels filled."""
    labels, area = holes(mask)
    fill = area <= max_px
    fill[0] = False
    return np.asarray(mask | fill[labels], bool)


def fill_holes(mask: Mask) -> Mask:
    """Return ``mask`` with every hole filled."""
    labels, area = components(~mask, connectivity=4)
    closed_in = ~touches_border(labels, len(area) - 1)
    closed_in[0] = True  # the mask itself
    return np.asarray(closed_in[labels], bool)

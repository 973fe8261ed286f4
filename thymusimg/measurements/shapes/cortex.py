"""How thick the cortex is and how much of the capsule it lines (R12)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import cc3d
import cv2
import fill_voids
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from thymusimg.measurements.shapes.opening import STEPS, opened_area
from thymusimg.measurements.smoothing import bounding_box, depth_px, distance_px, smooth_to

if TYPE_CHECKING:
    from thymusimg.section.model import Mask

COARSE_PIXELS = 100_000
HALF_PIXEL = 0.25
"""Depth runs to the centre of the first pixel outside: half a pixel too far where the strip's middle line lies on a
pixel (odd widths), and just right where it lies between two (even widths). On average this much is too much."""


def local_thickness_um(mask: Mask, pixel_um: float, *, hole_um2: float = 1500.0) -> float:
    """Return the median over a mask of the local thickness (R12; Hildebrand & Rüegsegger 1997).

    The local thickness of a place is the diameter of the largest disc that lies inside the mask and covers it. The
    places of thickness 2r or more are the opening of the mask by a disc of radius r, so the median is the largest r
    at which the opening keeps half of the area; it is searched for, without the thickness of every place.

    Parameters
    ----------
    mask : (Y, X) bool
        Usually the cortex.
    pixel_um : float
    hole_um2 : float
        Holes smaller than this (a vessel, a speck) are no boundary.

    Returns
    -------
    float
        µm, > 0; to half a pixel. NaN if the mask is empty.

    Examples
    --------
    A ribbon 40 pixels of 2 µm wide.

    >>> import numpy as np
    >>> ribbon = np.zeros((60, 1000), bool)
    >>> ribbon[10:50] = True
    >>> abs(local_thickness_um(ribbon, 2.0) - 80) <= 1
    True
    """
    if not mask.any():
        return math.nan
    solid = fill_small(mask[bounding_box(mask)], hole_um2 / pixel_um**2)
    return 2 * (_median_radius(solid) - HALF_PIXEL) * pixel_um


def _median_radius(solid: Mask) -> float:
    """Return the largest radius in pixels, in steps of a quarter, whose opening keeps half of a non-empty mask.

    Every step is tried on the mask itself; half the resolution only says where to begin, so the answer does not
    depend on it.
    """
    depth, half = depth_px(solid), np.count_nonzero(solid) / 2

    def keeps_half(step: int) -> bool:
        return bool(opened_area(depth, step) >= half)

    # the opening by one pixel keeps everything, that by more than the largest disc nothing
    low, high = STEPS, math.floor(float(depth.max()) * STEPS) + 1
    stride = max(1, (high - low) // 2)
    first = low + stride
    if solid.size > COARSE_PIXELS and solid[::2, ::2].any():
        first, stride = round(2 * STEPS * _median_radius(solid[::2, ::2])), STEPS
    step = min(max(first, low + 1), high - 1) if high - low > 1 else low
    while high - low > 1:
        if keeps_half(step):
            low = step
            step = min(step + stride, (step + high + 1) // 2)
        else:
            high = step
            step = max(step - stride, (low + step) // 2)
        # once both ends are near, halve
        if high - low <= 2 * stride:
            stride = max(1, stride // 2)
        step = min(max(step, low + 1), high - 1)
    return low / STEPS


def fill_small(mask: Mask, area_px: float) -> Mask:
    """Fill holes of at most ``area_px`` that do not touch the edge of the window."""
    holes = np.asarray(cc3d.connected_components(~mask, connectivity=4))
    areas = np.bincount(holes.ravel())
    small = areas <= area_px
    small[0] = False
    small[np.unique(np.concatenate([holes[0], holes[-1], holes[:, 0], holes[:, -1]]))] = False
    return np.asarray(mask | small[holes])


class Capsule(NamedTuple):
    """The outer outline of the tissue, and how much of it cortex lines (R12)."""

    length_mm: float
    covered_mm: float

    @property
    def cortical_coverage(self) -> float:
        """Covered / whole length in [0, 1]; NaN without an outline."""
        return self.covered_mm / self.length_mm if self.length_mm > 0 else math.nan


def measure_capsule(
    tissue: Mask, cortex: Mask, parenchyma: Mask, pixel_um: float, *, depth_um: float = 60.0, sigma_um: float = 10.0
) -> Capsule:
    """Measure the capsule and the part of it with cortex under it (R12).

    The capsule is the outer outline of the tissue (holes are none of it), smoothed at ``sigma_um``; where the
    border of the image cuts the tissue there is no capsule. A place on it is covered if the nearest parenchyma is
    cortex and lies within ``depth_um``: capsule and septa in between are passed over, indeterminate tissue and
    medulla are not.

    Parameters
    ----------
    tissue, cortex, parenchyma : (Y, X) bool
    pixel_um, depth_um, sigma_um : float
        µm.

    Examples
    --------
    >>> import numpy as np
    >>> tissue = np.zeros((300, 300), bool)
    >>> tissue[50:250, 50:250] = True
    >>> measure_capsule(tissue, tissue, tissue, 2.0).cortical_coverage
    1.0
    """
    if not tissue.any():
        return Capsule(0.0, 0.0)
    # room around the tissue for the smoothing, where the image has it
    room = math.ceil(5 * sigma_um / pixel_um)
    box = tuple(slice(max(0, s.start - room), s.stop + room) for s in bounding_box(tissue))
    tissue, cortex, parenchyma = tissue[box], cortex[box], parenchyma[box]
    points, lengths = _outline(tissue, sigma_um, pixel_um)
    length_mm = float(lengths.sum()) * pixel_um * 1e-3
    if not cortex.any() or not len(points):
        return Capsule(length_mm, 0.0)
    to_cortex = _distance_at(points, cortex)
    covered = to_cortex <= depth_um / pixel_um
    rest = parenchyma & ~cortex
    if rest.any():
        covered &= to_cortex <= _distance_at(points, rest) + 1e-3
    return Capsule(length_mm, float(lengths[covered].sum()) * pixel_um * 1e-3)


def _outline(
    tissue: Mask, sigma_um: float, pixel_um: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the points (y, x) of the outline in pixels, and the length that each stands for."""
    from skimage.measure import find_contours

    filled = np.asarray(fill_voids.fill(tissue), np.float32)
    # replicated, so that no outline runs along the image's border
    field = smooth_to(filled, sigma_um, pixel_um, border=cv2.BORDER_REPLICATE)
    points, lengths = [np.zeros((0, 2))], [np.zeros(0)]
    for contour in find_contours(field, 0.5):
        steps = np.hypot(*np.diff(contour, axis=0).T)
        weight = np.zeros(len(contour))
        weight[:-1] += steps / 2
        weight[1:] += steps / 2
        points.append(contour)
        lengths.append(weight)
    return np.concatenate(points), np.concatenate(lengths)


def _distance_at(points: npt.NDArray[np.float64], mask: Mask) -> npt.NDArray[np.float64]:
    far = distance_px(mask)
    return np.asarray(ndimage.map_coordinates(far, points.T, order=1, mode="nearest", output=np.float64))

"""Cysts: empty lumens with a bright keratin lining. The lining is no medulla, however much K14 it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from thymusimg.compartments.distance import distance_px, within
from thymusimg.compartments.shapes import components, dilate, disc, drop_small, opened
from thymusimg.compartments.smooth import blur, shrinking, shrunken, shrunken_density
from thymusimg.section.quantile import mean_above_zero, quantiles

if TYPE_CHECKING:
    from thymusimg.section.model import FloatPlane, Mask

_FINE_UM = 3.0  # keeps a lining of 5 µm apart from the lumen
_DARK = 0.14  # a lumen's brightness, as a share of the mean tissue; tissue poor in epithelium has more
_MIN_RADIUS_UM = 6.0  # wider than the meshes of a network
_REACH_UM = 6.0  # the lining lies so near the lumen
_PEAK_UM = 12.0
_UNEVEN_UM = 4.0
_LINING_UM = 40.0  # and ends so far from it at most
_LINING_GAIN = 1.4  # and so many times brighter than the upper quartile of the tissue's local densities
_OVER_TISSUE = 2.0  # and so many times brighter than the tissue beyond it, as a median all round
_DENSITY_UM = 20.0
_AROUND_UM = 30.0  # beyond a cyst
MAX_FREE = 0.25  # share of a cyst's surroundings off the tissue; fat cells that cling to it have more
_MIN_UM2 = 100.0  # less than the smallest lumen; what is left of a lining off it


def fine_blur(plane: FloatPlane, px: float) -> FloatPlane:
    """Return a stain smoothed by 3 µm, in which a thin lining stands out from the noise."""
    return blur(plane, _FINE_UM / px)


def find_cysts(
    k14: FloatPlane,
    k8: FloatPlane,
    mask: Mask,
    px: float,
    *,
    fine: tuple[FloatPlane, FloatPlane] | None = None,
    where: Mask | None = None,
) -> Mask:
    """Return the cysts of a section, lumen and lining.

    A lumen is a dark gap in which a disc of 6 µm fits and whose outline runs, for the most part, along keratin 1.4
    times brighter than the upper quartile of the tissue's densities, and twice as bright as the tissue beyond it.
    Vessels and tears have no such lining. It ends half-way down to that tissue.

    Parameters
    ----------
    k14, k8 : (Y, X) float32
        Background-subtracted planes.
    mask : (Y, X) bool
        The tissue with its holes filled; typical brightness is measured on it.
    px : float
        Pixel size in µm.
    fine : pair of (Y, X) float32, optional
        Both planes after :func:`fine_blur`, where the caller has them.
    where : (Y, X) bool, optional
        Where cysts are looked for; in ``mask`` where left out.
    """
    out = np.zeros_like(mask)
    if not mask.any():
        return out
    if fine is None:
        fine = fine_blur(k14, px), fine_blur(k8, px)
    where = mask if where is None else where
    total = np.zeros(mask.shape, np.float32)
    for plane in fine:
        total += plane / np.float32(max(mean_above_zero(plane, mask), 1e-6))
    dark = opened(where & (total < 2 * _DARK), _MIN_RADIUS_UM / px)
    labels, area = components(dark, 4)
    if len(area) == 1:
        return out
    upper = [np.float32(_upper_density(plane, mask, px)) for plane in fine]
    reach = int(np.ceil(_LINING_UM / px)) + 2
    ring = disc(_REACH_UM / px)
    for number, window in enumerate(windows(labels, len(area), reach), start=1):
        lumen = labels[window] == number
        outline = within(lumen, _REACH_UM / px) & ~within(lumen, _REACH_UM / px - 1) & where[window]
        if not outline.any():
            continue
        # The margin holds all that the outline reaches.
        bright = np.maximum(*(plane[window] / level for plane, level in zip(fine, upper, strict=True)))
        height = float(np.median(cv2.dilate(bright, ring)[outline]))
        if height > _LINING_GAIN:
            sharp = np.maximum(*(plane[window] / level for plane, level in zip((k14, k8), upper, strict=True)))
            out[window] |= _with_lining(lumen, sharp, where[window], px)
    return drop_small(out & where, _MIN_UM2 / px**2)


def _with_lining(lumen: Mask, bright: FloatPlane, where: Mask, px: float) -> Mask:
    """Return the lumen and what lies as near to it as its lining; nothing if the lining is no brighter than tissue.

    The lining ends where the median brightness at equal distance from the lumen, all round, has fallen half-way
    from its peak to the tissue beyond it: strands and bright tissue on one side do not widen it.
    """
    distance = distance_px(~lumen)
    profile = _ring_medians(bright[where], distance[where], int(_LINING_UM / px))
    peak = int(profile[: int(np.ceil(_PEAK_UM / px))].argmax())
    beyond = profile[peak:].min()
    if profile[peak] < _OVER_TISSUE * beyond:
        return np.zeros_like(lumen)
    half = (profile[peak] + beyond) / 2
    end = peak + int(np.flatnonzero(profile[peak:] <= half)[0])
    # Where the lumen narrows, no disc fits and the lining lies farther from it.
    return np.asarray((distance <= end) | ((distance <= end + _UNEVEN_UM / px) & (bright > half)), bool)


def _ring_medians(values: FloatPlane, distance: FloatPlane, count: int) -> npt.NDArray[np.float64]:
    """Return the median of the values in each of ``count`` rings, one pixel wide, from distance 0; 0 where none."""
    near = (distance > 0) & (distance <= count)
    ring = np.ceil(distance[near]).astype(np.uint16) - 1
    ordered = values[near][np.argsort(ring, kind="stable")]
    ends = np.cumsum(np.bincount(ring, minlength=count))
    profile = np.zeros(count)
    for n, part in enumerate(np.split(ordered, ends[:-1])):
        if len(part):
            part.sort()
            profile[n] = (part[(len(part) - 1) // 2] + part[len(part) // 2]) / np.float32(2)
    return profile


def embedded(cyst: Mask, tissue: Mask, px: float) -> Mask:
    """Return the cysts that lie in the tissue for the most part of their outline.

    Fat cells that cling to the tissue do not.
    """
    out = cyst.copy()
    labels, area = components(cyst)
    for number, window in enumerate(windows(labels, len(area), int(_AROUND_UM / px) + 2), start=1):
        own = labels[window] == number
        if free_share(own, tissue[window] | cyst[window], px) > MAX_FREE:
            out[window] &= ~own
    return out


def free_share(own: Mask, tissue: Mask, px: float) -> float:
    """Return how much of the surroundings of a cyst is no tissue, 0 to 1."""
    ring = dilate(own, _AROUND_UM / px) & ~own
    return float(np.count_nonzero(ring & ~tissue) / max(int(np.count_nonzero(ring)), 1))


def _upper_density(plane: FloatPlane, mask: Mask, px: float) -> float:
    """Return the upper quartile of the densities, on a grid as coarse as they allow."""
    sigma = _DENSITY_UM / px
    factor = shrinking(sigma)
    values = shrunken_density(plane, mask, sigma, factor)
    return max(quantiles(values, (0.75,), shrunken(mask, factor) > 0.5)[0], 1e-6)


def windows(labels: npt.NDArray[np.uint32], count: int, margin: int) -> list[tuple[slice, slice]]:
    """Return the bounding box of every number from 1, grown by ``margin``."""
    rows, cols = np.nonzero(labels)
    numbers = labels[rows, cols]
    box: list[npt.NDArray[np.int64]] = []
    for where in (rows, cols):
        low, high = np.full(count, labels.size), np.full(count, -1)
        np.minimum.at(low, numbers, where)
        np.maximum.at(high, numbers, where)
        box += [np.maximum(low - margin, 0), high + margin + 1]
    return [(slice(box[0][n], box[1][n]), slice(box[2][n], box[3][n])) for n in range(1, count)]

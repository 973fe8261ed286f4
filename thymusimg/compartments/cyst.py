"""Cysts: empty lumens with a bright keratin lining. The lining is no medulla, however much K14 it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from thymusimg.compartments.distance import within
from thymusimg.compartments.quantile import mean_above_zero, quantiles
from thymusimg.compartments.shapes import components, disc, opened
from thymusimg.compartments.smooth import blur, shrinking, shrunken, shrunken_density

if TYPE_CHECKING:
    from thymusimg.section.model import FloatPlane, Mask

_FINE_UM = 3.0  # keeps a lining of 5 µm apart from the lumen
_DARK = 0.14  # a lumen's brightness, as a share of the mean tissue; tissue poor in epithelium has more
_MIN_RADIUS_UM = 6.0  # wider than the meshes of a network
_REACH_UM = 6.0  # the lining lies so near the lumen
_LINING_UM = 12.0  # and is at most so thick
_LINING_GAIN = 1.4  # and so many times brighter than the upper quartile of the tissue's local densities
_DENSITY_UM = 20.0


def fine_blur(plane: FloatPlane, px: float) -> FloatPlane:
    """Return a stain smoothed by 3 µm, in which a thin lining stands out from the noise."""
    return blur(plane, _FINE_UM / px)


def find_cysts(
    k14: FloatPlane, k8: FloatPlane, mask: Mask, px: float, *, fine: tuple[FloatPlane, FloatPlane] | None = None
) -> Mask:
    """Return the cysts of a section, lumen and lining.

    A lumen is a dark gap in which a disc of 6 µm fits and whose outline runs, for the most part, along keratin 1.4
    times brighter than the upper quartile of the tissue's densities. Vessels and tears have no such lining.

    Parameters
    ----------
    k14, k8 : (Y, X) float32
        Background-subtracted planes.
    mask : (Y, X) bool
        The tissue with its holes filled.
    px : float
        Pixel size in µm.
    fine : pair of (Y, X) float32, optional
        Both planes after :func:`fine_blur`, where the caller has them.
    """
    out = np.zeros_like(mask)
    if not mask.any():
        return out
    if fine is None:
        fine = fine_blur(k14, px), fine_blur(k8, px)
    total = np.zeros(mask.shape, np.float32)
    for plane in fine:
        total += plane / np.float32(max(mean_above_zero(plane, mask), 1e-6))
    dark = opened(mask & (total < 2 * _DARK), _MIN_RADIUS_UM / px)
    labels, area = components(dark, 4)
    if len(area) == 1:
        return out
    upper = [np.float32(_upper_density(plane, mask, px)) for plane in fine]
    reach = int(np.ceil(_LINING_UM / px)) + 2
    ring = disc(_REACH_UM / px)
    for number, window in enumerate(_windows(labels, len(area), reach), start=1):
        lumen = labels[window] == number
        near = within(lumen, _REACH_UM / px)
        outline = near & ~within(lumen, _REACH_UM / px - 1) & mask[window]
        if not outline.any():
            continue
        # The margin holds all that the outline reaches.
        bright = np.maximum(*(plane[window] / level for plane, level in zip(fine, upper, strict=True)))
        if float(np.median(cv2.dilate(bright, ring)[outline])) > _LINING_GAIN:
            out[window] |= near | (within(lumen, _LINING_UM / px) & (bright > 1))
    return out & mask


def _upper_density(plane: FloatPlane, mask: Mask, px: float) -> float:
    """Return the upper quartile of the densities, on a grid as coarse as they allow."""
    sigma = _DENSITY_UM / px
    factor = shrinking(sigma)
    values = shrunken_density(plane, mask, sigma, factor)
    return max(quantiles(values, (0.75,), shrunken(mask, factor) > 0.5)[0], 1e-6)


def _windows(labels: npt.NDArray[np.uint32], count: int, margin: int) -> list[tuple[slice, slice]]:
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

"""Cysts: empty lumens with a bright keratin lining. The lining is no medulla, however much K14 it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from thymusimg.compartments.shapes import components, dilate, disc, opened
from thymusimg.compartments.smooth import blur, masked_blur

if TYPE_CHECKING:
    from thymusimg.section.model import FloatPlane, Mask

_FINE_UM = 3.0  # keeps a lining of 5 µm apart from the lumen
_DARK = 0.14  # a lumen's brightness, as a share of the mean tissue; tissue poor in epithelium has more
_MIN_RADIUS_UM = 6.0  # wider than the meshes of a network
_REACH_UM = 6.0  # the lining lies so near the lumen
_LINING_UM = 12.0  # and is at most so thick
_LINING_GAIN = 1.4  # and so many times brighter than the upper quartile of the tissue's local densities
_DENSITY_UM = 20.0


def find_cysts(k14: FloatPlane, k8: FloatPlane, mask: Mask, px: float) -> Mask:
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
    """
    out = np.zeros_like(mask)
    if not mask.any():
        return out
    fine = [blur(plane, _FINE_UM / px) for plane in (k14, k8)]
    total = np.zeros(mask.shape, np.float32)
    for plane in fine:
        total += plane / np.float32(max(float(np.clip(plane[mask], 0, None).mean()), 1e-6))
    dark = opened(mask & (total < 2 * _DARK), _MIN_RADIUS_UM / px)
    labels, area = components(dark, 4)
    if len(area) == 1:
        return out
    bright = np.zeros(mask.shape, np.float32)
    for plane in fine:
        np.maximum(bright, plane / np.float32(_upper_density(plane, mask, px)), out=bright)
    crest = cv2.dilate(bright, disc(_REACH_UM / px))
    reach = int(np.ceil(_LINING_UM / px)) + 2
    for number, (rows, cols) in enumerate(_windows(labels, len(area), reach), start=1):
        lumen = labels[rows, cols] == number
        outline = dilate(lumen, _REACH_UM / px) & ~dilate(lumen, _REACH_UM / px - 1) & mask[rows, cols]
        if outline.any() and float(np.median(crest[rows, cols][outline])) > _LINING_GAIN:
            lining = dilate(lumen, _LINING_UM / px) & (bright[rows, cols] > 1)
            out[rows, cols] |= lining | dilate(lumen, _REACH_UM / px)
    return out & mask


def _upper_density(plane: FloatPlane, mask: Mask, px: float) -> float:
    return max(float(np.quantile(masked_blur(plane, mask, _DENSITY_UM / px)[mask], 0.75)), 1e-6)


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

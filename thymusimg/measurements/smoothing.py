"""Smoothing to a stated scale in µm, whatever the pixel size."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

from thymusimg.compartments import distance

if TYPE_CHECKING:
    from thymusimg.section.model import FloatPlane, Mask


def smooth_to(
    plane: FloatPlane, sigma_um: float, pixel_um: float, *, border: int = cv2.BORDER_CONSTANT
) -> FloatPlane:
    """Smooth a plane so that its scale is a Gaussian of ``sigma_um``, its pixels included.

    A pixel is the mean over a square, which has blurred with a variance of pixel² / 12 already; the kernel adds
    only what is missing. The result then hardly depends on the pixel size.

    Parameters
    ----------
    plane : (Y, X) float32
    sigma_um, pixel_um : float
        µm.
    border : int
        OpenCV's border mode; by default the plane is 0 outside.
    """
    sigma_px = math.sqrt(max(sigma_um**2 - pixel_um**2 / 12, 0.0)) / pixel_um
    if sigma_px < 0.1:
        return plane
    size = 2 * math.ceil(4 * sigma_px) + 1
    # a fixed odd size: OpenCV's own choice of size depends on the pixel type
    return np.asarray(cv2.GaussianBlur(plane, (size, size), sigma_px, borderType=border), np.float32)


def bounding_box(mask: Mask) -> tuple[slice, slice]:
    """Return the smallest window that holds a non-empty mask."""
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(cols[0]), int(cols[-1]) + 1)


def depth_px(mask: Mask) -> FloatPlane:
    """Distance of every pixel of ``mask`` to the nearest pixel outside it, in pixels; off the image is outside."""
    return distance_px(~np.pad(mask, 1))[1:-1, 1:-1]


def distance_px(mask: Mask) -> FloatPlane:
    """Distance of every pixel to the nearest pixel of a non-empty ``mask``, in pixels; 0 on the mask."""
    return distance.distance_px(~mask)

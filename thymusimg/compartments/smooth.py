"""Gaussian densities over an irregular mask.

The sums run in single precision: an image that is turned or flipped has the same densities up to the last digits,
so that one pixel in ten thousand, at a threshold, may change its class. Nothing depends on the number of threads.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from thymusimg.section.model import FloatPlane, Mask

_BOXES = 3
_LARGE_PX = 6.0
_LEAST_PX = 2.5  # sigma on the coarser grid; there, a window is smooth enough to be interpolated
_REACH = 3.25  # sigmas; 0.1 % of a Gaussian lies beyond


def blur(plane: npt.NDArray[Any], sigma_px: float) -> FloatPlane:
    """Return the Gaussian blur of a (Y, X) plane, with zeros beyond its border.

    From a sigma of 6 px, three boxes stand for the Gaussian (Wells 1986); what they add up to is summed on a
    coarser grid and interpolated, with the variance that both add accounted for.
    """
    single = np.asarray(plane, np.float32)
    factor = shrinking(sigma_px) if sigma_px >= _LARGE_PX else 1
    return magnified(shrunken_blur(single, sigma_px, factor), single.shape, factor)


def shrunken_blur(plane: npt.NDArray[Any], sigma_px: float, factor: int) -> FloatPlane:
    """Return the blur on a grid ``factor`` times coarser; ``sigma_px`` is what it has once magnified."""
    kernel = _boxes(sigma_px, factor) if sigma_px >= _LARGE_PX else _gaussian(sigma_px, factor)
    # Not cv2.GaussianBlur: some builds hand it to a library that may split the plane among threads.
    coarse = shrunken(plane, factor)
    return np.asarray(cv2.sepFilter2D(coarse, cv2.CV_32F, kernel, kernel, borderType=cv2.BORDER_CONSTANT))


def _gaussian(sigma_px: float, factor: int) -> FloatPlane:
    sigma = math.sqrt(_left_over(sigma_px**2, factor)) / factor
    reach = max(1, math.ceil(_REACH * sigma))
    return np.asarray(cv2.getGaussianKernel(2 * reach + 1, sigma, cv2.CV_32F))


def _boxes(sigma_px: float, factor: int) -> FloatPlane:
    """Return three boxes folded into one kernel, in pixels of the coarser grid."""
    fine = np.ones(1)
    variance = 0.0
    for width in _box_widths(sigma_px):
        fine = np.convolve(fine, np.full(width, 1 / width))
        variance += (width**2 - 1) / 12
    reach = len(fine) // 2
    step = factor * math.sqrt(variance / _left_over(variance, factor))
    at = np.arange(-int(reach / step) - 1, int(reach / step) + 2) * step
    kernel = np.interp(at, np.arange(-reach, reach + 1), fine, left=0, right=0)
    return np.asarray(kernel / kernel.sum(), np.float32)


def _left_over(variance: float, factor: int) -> float:
    """Return a window's variance less that of the blocks' means and of the interpolation."""
    if factor == 1:
        return variance
    return max(variance - (factor**2 - 1) / 12 - factor**2 / 6, 0.1)


def _box_widths(sigma_px: float) -> list[int]:
    """Return the odd widths of three boxes whose variances, (w² - 1) / 12 each, best add up to sigma²."""
    ideal = math.sqrt(12 * sigma_px**2 / _BOXES + 1)
    low = int(ideal) - (1 - int(ideal) % 2)
    narrow = round((12 * sigma_px**2 - _BOXES * (low * low + 4 * low + 3)) / (-4 * low - 4))
    return [low] * narrow + [low + 2] * (_BOXES - narrow)


def shrunken(plane: npt.NDArray[Any], factor: int) -> FloatPlane:
    """Return the means of blocks of ``factor`` px; zeros, as many on either side, fill up the outermost."""
    single = np.asarray(plane, np.float32)
    if factor == 1:
        return single
    (top, bottom), (left, right) = (_margins(n, factor) for n in single.shape)
    if top or bottom or left or right:
        single = cv2.copyMakeBorder(single, top, bottom, left, right, cv2.BORDER_CONSTANT, value=0.0)
    size = (single.shape[1] // factor, single.shape[0] // factor)
    return np.asarray(cv2.resize(single, size, interpolation=cv2.INTER_AREA))


def magnified(coarse: FloatPlane, shape: tuple[int, ...], factor: int) -> FloatPlane:
    """Return a plane of :func:`shrunken`, interpolated back to ``shape``."""
    if factor == 1:
        return coarse
    size = (coarse.shape[1] * factor, coarse.shape[0] * factor)
    fine = np.asarray(cv2.resize(coarse, size, interpolation=cv2.INTER_LINEAR))
    top, left = (_margins(n, factor)[0] for n in shape)
    return fine[top : top + shape[0], left : left + shape[1]]


def _margins(length: int, factor: int) -> tuple[int, int]:
    missing = -length % factor
    return missing // 2, missing - missing // 2


def density(plane: FloatPlane, mask: Mask, weight: FloatPlane, sigma_px: float) -> FloatPlane:
    """Return the mean of ``plane`` over the part of a Gaussian window that lies in ``mask``.

    Parameters
    ----------
    plane : (Y, X) float32
    mask : (Y, X) bool
    weight : (Y, X) float32
        ``blur(mask, sigma_px)``, handed in because several stains share it.
    sigma_px : float
        Gaussian sigma in pixels.
    """
    out = blur(plane * mask, sigma_px)
    return np.asarray(np.divide(out, np.maximum(weight, np.float32(1e-3)), out=out), np.float32)


def masked_blur(plane: FloatPlane, mask: Mask, sigma_px: float) -> FloatPlane:
    """Return :func:`density` where the weight is not needed again."""
    return density(plane, mask, blur(mask, sigma_px), sigma_px)


def shrunken_density(plane: FloatPlane, mask: Mask, sigma_px: float, factor: int) -> FloatPlane:
    """Return :func:`density` on a grid ``factor`` times coarser."""
    weight = shrunken_blur(mask, sigma_px, factor)
    return np.asarray(
        shrunken_blur(plane * mask, sigma_px, factor) / np.maximum(weight, np.float32(1e-3)), np.float32
    )


def shrunken_mean(plane: FloatPlane, mask: Mask, factor: int) -> FloatPlane:
    """Return the means of blocks of ``factor`` px over their part in ``mask``; 0 where they have none."""
    return np.asarray(
        shrunken(plane * mask, factor) / np.maximum(shrunken(mask, factor), np.float32(1e-3)), np.float32
    )


def shrinking(sigma_px: float, least_px: float = _LEAST_PX) -> int:
    """Return the power of two by which a grid may be coarser, so that ``sigma_px`` is ``least_px`` on it."""
    return 1 << max(0, int(math.log2(sigma_px / least_px + 1e-9)))

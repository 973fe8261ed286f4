"""Folds and debris: where every stain is brighter together, for no biological reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thymusimg.compartments.shapes import components, depth_px, dilate, drop_small, fill_holes
from thymusimg.compartments.smooth import blur, density, magnified, shrinking, shrunken, shrunken_mean
from thymusimg.section.quantile import mean_above_zero, quantiles

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from thymusimg.section.model import FloatPlane, Mask
    from thymusimg.settings.compartments import TissueSettings

_BAND_UM = 8.0  # sigma at which a fold is still a band
_LEAST_PX = 2.0  # that sigma, in pixels of the grid on which folds are looked for
_AROUND_UM = 70.0  # sigma of its surroundings
_OVER_TYPICAL = 1.35  # a strip of tissue between poorer tissue is no brighter than tissue elsewhere
_POOR = 0.5  # of the typical brightness, in both keratins
_TWO_LAYERS = 1.65  # times the light of one, less what blur and clipping take
_GLARING_SHARE = 0.7  # of the band
_RIM_UM = 40.0  # nearer to the edge of the tissue, the capsule is meant
_MIN_SLENDER = 3.0  # a fold is so many times longer than wide
_SPECK_UM = 3.0
_SPECK_GAIN = 6.0
_MIN_SPECK_UM2 = 80.0


def find_folds(planes: Mapping[str, FloatPlane], mask: Mask, px: float, settings: TissueSettings) -> Mask:
    """Return the folds of a section.

    A fold is a band at most ``fold_width_um`` wide and three times as long, inside the tissue, in which both
    keratins are ``fold_gain`` times brighter than around it, and one brighter than it is elsewhere. In a medulla
    one keratin rises and the other falls. Tissue poor in epithelium makes its neighbours look bright: against the
    rest of the surroundings, two layers still have nearly the light of two.

    Parameters
    ----------
    planes : mapping of str to (Y, X) float32
        Both keratins, background-subtracted; a section with one of them has no folds that can be told.
    mask : (Y, X) bool
        The tissue, without cysts.
    px : float
        Pixel size in µm.
    settings : TissueSettings
    """
    out = np.zeros_like(mask)
    if len(planes) < 2 or not mask.any():
        return out
    factor = shrinking(_BAND_UM / px, _LEAST_PX)
    inside = shrunken(mask, factor) > 0.5
    if not inside.any():
        return out
    found = _folds([shrunken_mean(plane, mask, factor) for plane in planes.values()], inside, px * factor, settings)
    if not found.any():
        return out
    near = magnified(found.astype(np.float32), mask.shape, factor) > 0.5
    return mask & dilate(near, _BAND_UM / 2 / px)


def _folds(planes: list[FloatPlane], mask: Mask, px: float, settings: TissueSettings) -> Mask:
    """Return the middle of the folds, on a grid on which a band still is one."""
    gain = np.full(mask.shape, np.inf, np.float32)
    glaring, rich = np.zeros_like(mask), np.zeros_like(mask)
    narrow, wide_open = blur(mask, _BAND_UM / px), blur(mask, _AROUND_UM / px)
    levels = []
    for plane in planes:
        flat = np.clip(plane, 0, quantiles(plane, (0.995,), mask)[0])
        band = density(flat, mask, narrow, _BAND_UM / px)
        glaring |= band > _OVER_TYPICAL * quantiles(band, (0.8,), mask)[0]
        # Logarithms: a medulla nearby must not raise the K14 that a fold in the cortex is compared with.
        level = np.log(np.maximum(band, np.float32(0.02 * max(mean_above_zero(flat, mask), 1e-6))))
        levels.append(level)
        rich |= mask & (band > _POOR * quantiles(band, (0.5,), mask)[0])
        np.minimum(gain, np.exp(level - density(level, mask, wide_open, _AROUND_UM / px)), out=gain)
    bright = mask & (gain > settings.fold_gain)
    if not bright.any():
        return bright
    bright &= ~dilate(~fill_holes(mask), _RIM_UM / px)
    labels, area = components(bright)
    wide = np.zeros(len(area), np.float32)
    np.maximum.at(wide, labels[bright], depth_px(bright)[bright])
    width = 2 * wide
    fold = (area > _MIN_SLENDER * width**2) & (area > 2_000.0 / px**2) & (width < settings.fold_width_um / px)
    fold &= np.bincount(labels[glaring & bright], minlength=len(area)) > _GLARING_SHARE * area
    fold[0] = False
    if fold.any():
        around = blur(rich, _AROUND_UM / px)
        for level in levels:
            rise = level - density(level, rich, around, _AROUND_UM / px)
            fold &= _means(rise, labels, area) > np.log(_TWO_LAYERS)
    return np.asarray(fold[labels], bool)


def _means(
    values: FloatPlane, labels: npt.NDArray[np.uint32], area: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    total = np.bincount(labels.ravel(), weights=values.ravel(), minlength=len(area))
    return np.asarray(total / np.maximum(area, 1), np.float64)


def find_specks(planes: Mapping[str, FloatPlane], fine: Mapping[str, FloatPlane], mask: Mask, px: float) -> Mask:
    """Return the debris on the tissue: flecks six times brighter than its mean in both keratins.

    ``fine`` holds the planes smoothed by 3 µm.
    """
    if len(planes) < 2 or not mask.any():
        return np.zeros_like(mask)
    bright = mask.copy()
    for role, plane in planes.items():
        bright &= fine[role] > np.float32(_SPECK_GAIN * mean_above_zero(plane, mask))
    if not bright.any():
        return bright
    return mask & dilate(drop_small(bright, _MIN_SPECK_UM2 / px**2), _SPECK_UM / px)

"""The capsule: a rim without epithelium, darker than the tissue under it or, where it glows, brighter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thymusimg.compartments.shapes import opened
from thymusimg.compartments.smooth import masked_blur
from thymusimg.section.quantile import mean_above_zero

if TYPE_CHECKING:
    from thymusimg.section.model import FloatPlane, Mask
    from thymusimg.settings.compartments import CompartmentSettings

_STRAND_UM = 40.0
_ALONG_UM = 20.0
_FINE_UM = 4.0
_MIN_BIN_PX = 30


def thin_parts(tissue: Mask, px: float) -> Mask:
    """Return the parts of the tissue into which no disc of 40 µm fits: strands, septa that stick out, fat walls."""
    return tissue & ~opened(tissue, _STRAND_UM / 2 / px)


def capsule_thickness_um(
    k14: FloatPlane, k8: FloatPlane, judged: Mask, depth_um: FloatPlane, px: float, settings: CompartmentSettings
) -> float:
    """Read the thickness of the capsule from the section's mean profile of keratin against depth.

    The profile is the sum of both keratins, each over its mean, averaged at equal depth all round the section. From
    the outside it rises to half of the tissue's level (the median at one to three ``capsule_um``), or falls from a
    glowing capsule half-way to it; there the capsule ends.
    """
    near = judged & (depth_um < 3 * settings.capsule_um)
    if settings.capsule_um == 0 or not near.any():
        return 0.0
    total = np.zeros(np.count_nonzero(near))
    for plane in (k14, k8):
        mean = max(mean_above_zero(plane, judged), 1e-6)
        total += np.clip(plane[near], 0, 4 * mean) / mean
    step = (depth_um[near] / px).astype(np.intp)
    count = np.bincount(step)
    profile = np.bincount(step, weights=total) / np.maximum(count, 1)
    profile = profile[count >= _MIN_BIN_PX]
    edge = round(settings.capsule_um / px)
    if len(profile) <= 2 * edge:
        return 0.0
    level = float(np.median(profile[edge : 3 * edge]))
    rim = profile[: edge + 1]
    peak = float(rim.max())
    if peak > settings.capsule_gain * level:
        above = np.flatnonzero(rim > (peak + level) / 2)
        return float((above[-1] + 1) * px)
    below = np.flatnonzero(rim >= 0.5 * level)
    return float(below[0] * px) if len(below) else 0.0


def bright_rim(
    plane: FloatPlane, judged: Mask, depth_um: FloatPlane, px: float, settings: CompartmentSettings
) -> Mask:
    """Return where the capsule outshines the tissue under it.

    The outer half of the outermost ``capsule_um`` is compared with the next ``2 × capsule_um``, both averaged along
    the edge; where it is ``capsule_gain`` times brighter, its pixels above the geometric mean of the two levels are
    capsule.
    """
    rim = judged & (depth_um <= settings.capsule_um)
    below = judged & (depth_um > settings.capsule_um) & (depth_um <= 3 * settings.capsule_um)
    if not rim.any() or not below.any():
        return np.zeros_like(rim)
    inner = np.maximum(masked_blur(plane, below, 2 * _ALONG_UM / px), np.float32(1e-6))
    outer = masked_blur(plane, rim & (depth_um <= settings.capsule_um / 2), _ALONG_UM / px)
    glows = rim & (outer > np.float32(settings.capsule_gain) * inner)
    if not glows.any():
        return glows
    fine = masked_blur(plane, rim, _FINE_UM / px)
    return np.asarray(glows & (fine > np.sqrt(np.maximum(outer, 0) * inner)), bool)

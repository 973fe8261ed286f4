"""What clings to parenchyma and is none: the capsule, loose strands, the walls of fat cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thymusimg.compartments.shapes import depth_px, fill_holes, opened
from thymusimg.compartments.smooth import blur, density, masked_blur

if TYPE_CHECKING:
    from thymusimg.section.model import FloatPlane, Mask
    from thymusimg.settings.compartments import CompartmentSettings

_STRAND_UM = 40.0
_ALONG_UM = 25.0
_FINE_UM = 3.0


def thin_parts(tissue: Mask, px: float) -> Mask:
    """Return the parts of the tissue into which no disc of 40 µm fits."""
    return tissue & ~opened(tissue, _STRAND_UM / 2 / px)


def bright_rim(
    k14: FloatPlane, k8: FloatPlane, judged: Mask, tissue: Mask, px: float, settings: CompartmentSettings
) -> Mask:
    """Return the bright capsule: the rim's pixels that outshine the tissue beneath them in K14.

    The rim is the outermost ``capsule_um``; it is compared with the next ``2 × capsule_um`` below, both averaged
    over 25 µm along the edge.
    """
    depth = depth_px(fill_holes(tissue)) * np.float32(px)
    rim = judged & (depth <= settings.capsule_um)
    below = judged & (depth > settings.capsule_um) & (depth <= 3 * settings.capsule_um)
    if not rim.any() or not below.any():
        return np.zeros_like(rim)
    sigma = _ALONG_UM / px
    weight = blur(below.astype(np.float32), 2 * sigma)
    out = np.zeros_like(rim)
    for plane in (k14,):
        inner = density(plane, below, weight, 2 * sigma)
        fine = masked_blur(plane, rim, _FINE_UM / px)
        out |= rim & (weight > 0.02) & (fine > settings.capsule_gain * np.maximum(inner, 0))
    return out

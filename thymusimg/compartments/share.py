"""How medullary every place is: the votes of the keratin strands around it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thymusimg.compartments.smooth import blur, density
from thymusimg.section.quantile import quantiles

if TYPE_CHECKING:
    from thymusimg.compartments.levels import Levels
    from thymusimg.section.model import FloatPlane, Mask
    from thymusimg.settings.compartments import CompartmentSettings

    Pair = tuple[FloatPlane, FloatPlane]

_CLIP_QUANTILE = 0.995  # single bright spots (debris, macrophages) must not make a density
_WIDE_CONTRAST = 3.0  # up to this factor between K14 / K8 of both compartments, density_um is needed in full


def local_densities(k14: FloatPlane, k8: FloatPlane, where: Mask, sigma_px: float) -> Pair:
    """Return the mean of both keratins over the part of a Gaussian window that lies in ``where``."""
    weight = blur(where.astype(np.float32), sigma_px)
    out = []
    for plane in (k14, k8):
        top = np.float32(quantiles(plane, (_CLIP_QUANTILE,), where)[0])
        out.append(density(np.minimum(plane, top), where, weight, sigma_px))
    return out[0], out[1]


def share_width_um(levels: Levels, settings: CompartmentSettings) -> float:
    """Return the sigma over which strands vote.

    The noise of a count of strands falls as 1 / sigma and the signal is the logarithm of the contrast, so the width
    that keeps the error is ``density_um`` x log 3 / log(contrast), between ``fine_um`` and ``density_um``.
    """
    wide = settings.density_um * np.log(_WIDE_CONTRAST) / np.log(max(levels.contrast, 1.01))
    return float(np.clip(wide, min(settings.fine_um, settings.density_um), settings.density_um))


def voted_share(
    planes: Pair, judged: Mask, densities: Pair, levels: Levels, px: float, settings: CompartmentSettings
) -> FloatPlane:
    """Return the medullary share by the votes of the strands.

    Every place says within ``strand_um`` which compartment its own K14 / K8 speaks for, 0 to 1, and counts as much
    as keratin lies there, up to the typical level. So no bright strand, macrophage or speck outvotes its
    neighbours, as it does in a ratio of mean intensities. Both compartments hold strands of the other's kind: the
    votes are scaled so that the typical cortex is 0 and the typical medulla 1.

    Parameters
    ----------
    planes : pair of (Y, X) float32
        K14 and K8, background-subtracted.
    judged : (Y, X) bool
    densities : pair of (Y, X) float32
        Their local densities over ``density_um``, from which the typical tissue is chosen.
    levels : Levels
    px : float
        Pixel size in µm.
    settings : CompartmentSettings
    """
    strand14, strand8 = local_densities(*planes, judged, settings.strand_um / px)
    vote = np.clip(levels.medullary_share(strand14, strand8), 0, 1)
    keratin = strand14 / np.float32(levels.k14_medulla) + strand8 / np.float32(levels.k8_cortex)
    weight = np.where(judged, np.clip(keratin, 0, 1), np.float32(0))
    width = share_width_um(levels, settings)
    sigma_px = max(float(np.sqrt(max(width**2 - settings.strand_um**2, 0))) / px, 0.5)
    share = np.asarray(
        blur(vote * weight, sigma_px) / np.maximum(blur(weight, sigma_px), np.float32(1e-3)), np.float32
    )
    coarse = levels.medullary_share(*densities)
    margin = np.float32(settings.mixed_share / 2)
    low = _typical(share, judged & (coarse < 0.5 - margin), 0.0)
    high = _typical(share, judged & (coarse > 0.5 + margin), 1.0)
    return np.asarray((share - np.float32(low)) / np.float32(max(high - low, 1e-3)), np.float32)


def _typical(share: FloatPlane, where: Mask, otherwise: float) -> float:
    return quantiles(share, (0.5,), where)[0] if where.any() else otherwise

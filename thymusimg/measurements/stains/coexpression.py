"""Which area is positive for K8, for K14 and for both (R6).

Arrays in, numbers out. What cannot be computed is NaN; the family of measurements says why.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from thymusimg.measurements.smoothing import smooth_to
from thymusimg.section.quantile import quantiles

if TYPE_CHECKING:
    from thymusimg.section.model import FloatPlane, Mask


class Coexpression(NamedTuple):
    """Where K8 and K14 are positive (R6)."""

    both_mm2: float
    either_mm2: float
    k8_threshold: float
    k14_threshold: float

    @property
    def double_positive_fraction(self) -> float:
        """A(K8⁺∧K14⁺) / A(K8⁺∪K14⁺) in [0, 1]; NaN if nothing is positive."""
        return self.both_mm2 / self.either_mm2 if self.either_mm2 > 0 else math.nan


def measure_coexpression(
    k8: FloatPlane, k14: FloatPlane, parenchyma: Mask, tissue: Mask, pixel_um: float, *, sigma_um: float = 2.0
) -> Coexpression:
    """Measure the area that is positive for K8, for K14 and for both (R6).

    Each stain has its own threshold: Otsu's over the parenchyma, on the plane at the scale of ``sigma_um``, but
    never below the median plus three robust SD of the pixels off the tissue: an empty stain has no positive area.
    Gain and offset of a stain move its threshold along and change nothing.

    Parameters
    ----------
    k8, k14 : (Y, X) float32
        Background-subtracted planes.
    parenchyma, tissue : (Y, X) bool
    pixel_um, sigma_um : float
        µm.
    """
    found = [_positive(plane, parenchyma, tissue, sigma_um, pixel_um) for plane in (k8, k14)]
    (k8_positive, k8_threshold), (k14_positive, k14_threshold) = found
    pixel_mm2 = pixel_um**2 * 1e-6
    both, either = np.count_nonzero(k8_positive & k14_positive), np.count_nonzero(k8_positive | k14_positive)
    return Coexpression(both * pixel_mm2, either * pixel_mm2, k8_threshold, k14_threshold)


def _positive(
    plane: FloatPlane, parenchyma: Mask, tissue: Mask, sigma_um: float, pixel_um: float
) -> tuple[npt.NDArray[np.bool_], float]:
    """Return which pixels of the parenchyma are positive (flat) and the threshold."""
    smooth = smooth_to(plane, sigma_um, pixel_um)
    inside = smooth[parenchyma]
    if not inside.size:
        return np.zeros(0, bool), math.nan
    threshold = otsu(inside)
    outside = smooth[~tissue]
    if outside.size:
        (middle,) = quantiles(outside, (0.5,))
        spread = 1.4826 * quantiles(np.abs(outside - np.float32(middle)), (0.5,))[0]
        threshold = max(threshold, middle + 3 * spread)
    return inside > threshold, threshold


def otsu(values: npt.NDArray[np.float32], bins: int = 512) -> float:
    """Return Otsu's threshold of ``values``, from a histogram between their 0.1 and 99.9 percentiles.

    The percentiles, unlike the extremes, do not follow a single bright speck. Constant values: that value.
    """
    low, high = quantiles(values, (0.001, 0.999))
    if not high > low:
        return high
    counts, edges = np.histogram(np.clip(values, low, high), bins=bins, range=(low, high))
    middles = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1].astype(np.float64)
    above = counts.sum() - below
    mass = np.cumsum(counts * middles)
    step = mass[-1] / np.maximum(above, 1) - mass[:-1] * (1 / np.maximum(above, 1) + 1 / np.maximum(below, 1))
    between = below * above * step**2
    best = np.flatnonzero(between >= between.max() * (1 - 1e-9))
    # between two clean peaks every cut is equally good: the middle one is the fair one
    return float(edges[1:-1][best].mean())

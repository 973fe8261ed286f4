"""Is the thymus reorganising: co-expression and segregation of the keratins (R6, R7).

Arrays in, numbers out. What cannot be computed is NaN; :mod:`thymusimg.measurements.measure` says why.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from thymusimg.measurements.smoothing import bounding_box, smooth_to
from thymusimg.measurements.tiling import lay_tiles

if TYPE_CHECKING:
    from thymusimg.section.model import FloatPlane, Mask

SEGREGATION_TILE_UM = 50.0
SEGREGATION_SIGMA_UM = 5.0


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
        middle = float(np.median(outside))
        spread = 1.4826 * float(np.median(np.abs(outside - np.float32(middle))))
        threshold = max(threshold, middle + 3 * spread)
    return inside > threshold, threshold


def otsu(values: npt.NDArray[np.float32], bins: int = 512) -> float:
    """Return Otsu's threshold of ``values``, from a histogram between their 0.1 and 99.9 percentiles.

    The percentiles, unlike the extremes, do not follow a single bright speck. Constant values: that value.
    """
    low, high = (float(v) for v in np.percentile(values, (0.1, 99.9)))
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


def segregation_index(
    k8: FloatPlane,
    k14: FloatPlane,
    parenchyma: Mask,
    pixel_um: float,
    *,
    tile_um: float = SEGREGATION_TILE_UM,
    min_coverage: float = 0.5,
) -> float:
    """Measure how far K14- and K8-dominated places are sorted: 1 − H_tile / H_global (R7).

    Each stain is divided by its 99th percentile over the parenchyma and smoothed at σ = 5 µm inside it; a pixel is
    K14-dominated where K14n / (K14n + K8n) > 0.5. With p the dominated share and H(p) = −p log₂ p − (1−p) log₂
    (1−p), H_tile is the mean of H over square tiles with at least ``min_coverage`` of parenchyma, weighted by its
    area, and H_global is H of all the parenchyma in those tiles. Both over the same tiles: the index then lies in
    [0, 1], for entropy is concave. The stains decide, never the compartments: smoothed labels look sorted by
    construction.

    Parameters
    ----------
    k8, k14 : (Y, X) float32
        Background-subtracted planes; a stain's gain changes nothing.
    parenchyma : (Y, X) bool
    pixel_um, tile_um : float
        µm.

    Returns
    -------
    float
        0 mixed like salt and pepper … 1 sorted. NaN if H_global = 0 (one stain dominates everywhere), if a stain is
        empty, or if no tile holds enough parenchyma.

    Examples
    --------
    Two halves, 200 µm wide each, on tiles of 50 µm: every tile is pure.

    >>> import numpy as np
    >>> k14 = np.zeros((200, 200), np.float32)
    >>> k14[:, 100:] = 1
    >>> segregation_index(1 - k14, k14, np.ones((200, 200), bool), 2.0)
    1.0
    """
    if not parenchyma.any():
        return math.nan
    box = bounding_box(parenchyma)
    inside = parenchyma[box]
    k14n, k8n = (_normalise(plane[box], inside, pixel_um) for plane in (k14, k8))
    if k14n is None or k8n is None:
        return math.nan
    tiles = lay_tiles(inside, tile_um / pixel_um)
    kept = tiles.covered(min_coverage)
    area = tiles.area[kept]
    if not area.size:
        return math.nan
    # K14n > K8n is K14n / (K14n + K8n) > 0.5, without a quotient of noise where both are near 0
    dominated = tiles.sum((k14n > k8n) & inside)[kept]
    whole = float(entropy(np.asarray(dominated.sum() / area.sum())))
    if whole <= 0:
        return math.nan
    return float(1 - (area * entropy(dominated / area)).sum() / area.sum() / whole)


def entropy(share: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the binary entropy −p log₂ p − (1−p) log₂ (1−p) in bits, 0 at p = 0 and p = 1."""
    p = np.clip(share, 0.0, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        bits = -(p * np.log2(p) + (1 - p) * np.log2(1 - p))
    return np.where((p <= 0) | (p >= 1), 0.0, bits)


def _normalise(plane: FloatPlane, inside: Mask, pixel_um: float) -> FloatPlane | None:
    """Return the plane over its 99th percentile, smoothed inside the mask; None if the stain is empty."""
    top = float(np.percentile(plane[inside], 99))
    if not top > 0:
        return None
    # both stains miss the same share of the kernel at the rim, so their comparison does not
    return smooth_to(np.where(inside, plane / np.float32(top), np.float32(0)), SEGREGATION_SIGMA_UM, pixel_um)

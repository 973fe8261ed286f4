"""Are K14- and K8-dominated places sorted, and at which scale (R7).

From the stains, never from the compartments: smoothed labels look sorted by construction.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from thymusimg.measurements.smoothing import bounding_box, smooth_to
from thymusimg.measurements.tiling import lay_tiles
from thymusimg.section.quantile import quantiles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thymusimg.section.model import FloatPlane, Mask

Values = npt.NDArray[np.float64]

SEGREGATION_TILE_UM = 50.0
SEGREGATION_TILES_UM = (25.0, 50.0, 100.0, 200.0)
SEGREGATION_SIGMA_UM = 5.0
STAIN_TOP = 99.0
"""Percentile over the parenchyma that stains are divided by."""


class Segregation(NamedTuple):
    """Entropy of the K14-dominated share in tiles of one size (R7).

    ``sorting`` is the index, 1 − ``entropy`` / ``whole_entropy``; entropies are in bits, over the same tiles, whose
    parenchyma is ``area_mm2``.
    """

    sorting: float
    entropy: float
    whole_entropy: float
    area_mm2: float


class Dominance(NamedTuple):
    """Which pixels of the parenchyma are K14-dominated, in the parenchyma's bounding box."""

    k14: Mask
    inside: Mask


def dominance(k8: FloatPlane, k14: FloatPlane, parenchyma: Mask, pixel_um: float) -> Dominance | None:
    """Find where K14 dominates K8 in the parenchyma (R7); None if a stain or the parenchyma is empty.

    Each stain is divided by its 99th percentile over the parenchyma and smoothed at σ = 5 µm inside it; a pixel is
    K14-dominated where K14n / (K14n + K8n) > 0.5.
    """
    if not parenchyma.any():
        return None
    box = bounding_box(parenchyma)
    inside = parenchyma[box]
    k14n, k8n = (_normalise(plane[box], inside, pixel_um) for plane in (k14, k8))
    if k14n is None or k8n is None:
        return None
    # K14n > K8n is K14n / (K14n + K8n) > 0.5, without a quotient of noise where both are near 0
    return Dominance((k14n > k8n) & inside, inside)


def segregation_at(
    found: Dominance | None, pixel_um: float, tile_um: float, *, min_coverage: float = 0.5
) -> Segregation:
    """Measure the sorting of K14- and K8-dominated places in tiles of one size (R7).

    With p the dominated share and H(p) = −p log₂ p − (1−p) log₂ (1−p), ``entropy`` is the mean of H over square
    tiles with at least ``min_coverage`` of parenchyma, weighted by its area, and ``whole_entropy`` is H of all the
    parenchyma in those tiles. Both over the same tiles: the index then lies in [0, 1], for entropy is concave.

    Returns
    -------
    Segregation
        Without a tile all is NaN; with ``whole_entropy`` 0 (one stain dominates everywhere) ``sorting`` is.
    """
    undefined = Segregation(math.nan, math.nan, math.nan, 0.0)
    if found is None:
        return undefined
    tiles = lay_tiles(found.inside, tile_um / pixel_um)
    kept = tiles.covered(min_coverage)
    area = tiles.area[kept]
    if not area.size:
        return undefined
    dominated = tiles.sum(found.k14)[kept]
    area_mm2 = float(area.sum()) * pixel_um**2 * 1e-6
    whole = float(entropy(np.asarray(dominated.sum() / area.sum())))
    within = float((area * entropy(dominated / area)).sum() / area.sum())
    if whole <= 0:
        return Segregation(math.nan, within, whole, area_mm2)
    return Segregation(1 - within / whole, within, whole, area_mm2)


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

    :func:`dominance` and :func:`segregation_at` in one.

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
    found = dominance(k8, k14, parenchyma, pixel_um)
    return segregation_at(found, pixel_um, tile_um, min_coverage=min_coverage).sorting


def segregation_curve(
    k8: FloatPlane,
    k14: FloatPlane,
    parenchyma: Mask,
    pixel_um: float,
    *,
    tiles_um: Sequence[float] = SEGREGATION_TILES_UM,
    min_coverage: float = 0.5,
) -> tuple[Segregation, ...]:
    """Measure segregation over tile sizes: at which scale the stains are sorted (R7).

    Examples
    --------
    Stripes of 50 µm: pure in tiles of 25 and 50 µm that fit into them, one of each in tiles of 100 and 200 µm.

    >>> import numpy as np
    >>> k14 = (np.arange(400) // 25 % 2 * np.ones((400, 1))).astype(np.float32)
    >>> found = segregation_curve(1 - k14, k14, np.ones((400, 400), bool), 2.0)
    >>> [round(s.sorting, 2) for s in found]
    [1.0, 1.0, 0.0, 0.0]
    """
    found = dominance(k8, k14, parenchyma, pixel_um)
    return tuple(segregation_at(found, pixel_um, tile_um, min_coverage=min_coverage) for tile_um in tiles_um)


def entropy(share: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the binary entropy −p log₂ p − (1−p) log₂ (1−p) in bits, 0 at p = 0 and p = 1."""
    p = np.clip(share, 0.0, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        bits = -(p * np.log2(p) + (1 - p) * np.log2(1 - p))
    return np.where((p <= 0) | (p >= 1), 0.0, bits)


def divergence(first: Values, second: Values) -> float:
    """Return the Jensen-Shannon divergence of two maps, over ln 2 (R7).

    Each map, made non-negative, is divided by its sum: P and Q. With M = (P + Q) / 2,
    ½ Σ P log₂(P/M) + ½ Σ Q log₂(Q/M) (Lin 1991, IEEE Trans Inf Theory 37:145). Their gains cancel.

    Parameters
    ----------
    first, second : (N,) float64
        Sums of two stains over the same tiles.

    Returns
    -------
    float
        0 the same map … 1 no tile holds both. NaN if a map is empty.

    Examples
    --------
    >>> import numpy as np
    >>> divergence(np.array([1.0, 0]), np.array([0, 3.0])), divergence(np.array([1.0, 2]), np.array([2.0, 4]))
    (1.0, 0.0)
    """
    p, q = np.maximum(first, 0), np.maximum(second, 0)
    if not (p.sum() > 0 and q.sum() > 0):
        return math.nan
    p, q = p / p.sum(), q / q.sum()
    both = (p + q) / 2
    parts = [float((v[v > 0] * np.log2(v[v > 0] / both[v > 0])).sum()) for v in (p, q)]
    return min(max(sum(parts) / 2, 0.0), 1.0)


def _normalise(plane: FloatPlane, inside: Mask, pixel_um: float) -> FloatPlane | None:
    """Return the plane over its 99th percentile, smoothed inside the mask; None if the stain is empty."""
    (top,) = quantiles(plane, (STAIN_TOP / 100,), inside)
    if not top > 0:
        return None
    # both stains miss the same share of the kernel at the rim, so their comparison does not
    return smooth_to(np.where(inside, plane / np.float32(top), np.float32(0)), SEGREGATION_SIGMA_UM, pixel_um)

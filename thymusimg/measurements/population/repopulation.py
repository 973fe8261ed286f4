"""Are human cells repopulating the thymus: densities, intervals, dispersion, cortex-medulla ratio (P2, P3)."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import special

Values = npt.NDArray[np.float64]


def garwood_interval(count: npt.ArrayLike, level: float = 0.95) -> tuple[Values, Values]:
    """Return the exact Poisson interval of a count (P2; Garwood 1936).

    ½ χ²(α/2; 2n) … ½ χ²(1−α/2; 2n+2). It describes one section and takes cells as independent: clustered cells
    vary more.

    Examples
    --------
    >>> low, high = garwood_interval(37)
    >>> round(float(low), 1), round(float(high), 1)
    (26.1, 51.0)
    """
    n, tail = np.asarray(count, np.float64), (1 - level) / 2
    # χ²(2n)/2 is a gamma variable of shape n. Shape 0 has no quantile: the lower end of no cells is 0
    low = np.where(n > 0, special.gammaincinv(np.where(n > 0, n, 1), tail), 0.0)
    return low, np.asarray(special.gammaincinv(n + 1, 1 - tail))


def density_per_mm2(count: float, area_mm2: float) -> tuple[float, float, float]:
    """Return cells per mm² with the ends of the Garwood 95 % interval; NaN where there is no area (P2).

    Examples
    --------
    No cell in 2 mm²: at most 3.69 / 2 per mm².

    >>> [round(v, 2) for v in density_per_mm2(0, 2.0)]
    [0.0, 0.0, 1.84]
    """
    if not area_mm2 > 0:
        return math.nan, math.nan, math.nan
    low, high = garwood_interval(count)
    return count / area_mm2, float(low) / area_mm2, float(high) / area_mm2


def dispersion(counts: npt.ArrayLike, areas: npt.ArrayLike) -> float:
    """Return the variance-to-mean ratio of counts on tiles, against the tissue area of each tile (P2).

    Σ (nᵢ − λAᵢ)² / (λAᵢ) / (N − 1) with λ = Σn / ΣA: Pearson's estimate of overdispersion. Over equal tiles it is
    the sample variance of the counts over their mean. 1: scattered like Poisson; above: clustered, or denser in one
    compartment than in another. Clusters wider than a tile raise it only in part.

    Parameters
    ----------
    counts, areas : (N,) array
        Cells and tissue area (> 0, any unit) of every tile.

    Returns
    -------
    float
        ≥ 0; NaN without cells or with fewer than two tiles.

    Examples
    --------
    >>> dispersion([0, 4, 0, 4], [1.0, 1.0, 1.0, 1.0])  # variance 16/3, mean 2
    2.6666666666666665
    """
    n, area = np.asarray(counts, np.float64).ravel(), np.asarray(areas, np.float64).ravel()
    if n.size < 2 or not n.sum() > 0:
        return math.nan
    expected = area * (n.sum() / area.sum())
    return float(((n - expected) ** 2 / expected).sum() / (n.size - 1))


def dispersed_interval(count: float, area_mm2: float, ratio: float) -> tuple[float, float]:
    """Return the Garwood 95 % interval of a density, widened by √(variance-to-mean ratio) (P2).

    The interval of n / φ independent clusters of φ cells: φ · Garwood(n / φ) / A. For many cells its half width is
    √φ times that of the Poisson interval, and it never goes below 0. φ below 1 counts as 1.

    Parameters
    ----------
    count, area_mm2 : float
    ratio : float
        φ, from :func:`dispersion`.

    Examples
    --------
    Four times the variance: twice as wide.

    >>> low, high = dispersed_interval(4000, 1.0, 4.0)
    >>> plain = density_per_mm2(4000, 1.0)
    >>> round((high - low) / (plain[2] - plain[1]), 2)
    2.01
    """
    if not area_mm2 > 0 or math.isnan(ratio):
        return math.nan, math.nan
    wide = max(ratio, 1.0)
    low, high = garwood_interval(count / wide)
    return float(low) * wide / area_mm2, float(high) * wide / area_mm2


def log_ratio(count_cortex: float, area_cortex: float, count_medulla: float, area_medulla: float) -> float:
    """Return ln{[(n_C + ½) / A_C] / [(n_M + ½) / A_M]}: above 0, cells are denser in the cortex (P3).

    Finite without cells; NaN if either compartment is missing. The areas share a unit.

    Examples
    --------
    >>> round(log_ratio(19.5, 1.0, 4.5, 1.0), 4)  # ln 4
    1.3863
    """
    if not (area_cortex > 0 and area_medulla > 0):
        return math.nan
    return math.log((count_cortex + 0.5) / area_cortex) - math.log((count_medulla + 0.5) / area_medulla)

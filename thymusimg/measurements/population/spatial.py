"""How evenly cells are spread (P5), and where they lie too dense to count."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

if TYPE_CHECKING:
    from thymusimg.measurements.tiling import Tiles
    from thymusimg.section.model import FloatPlane

Values = npt.NDArray[np.float64]

EVENNESS_TILE_UM = 100.0
EVENNESS_TILES_UM = (50.0, EVENNESS_TILE_UM, 200.0)


class Evenness(NamedTuple):
    """How evenly cells are spread over tiles (P5)."""

    gini: float
    expected_gini: float
    empty_tile_fraction: float
    tiles: int

    @property
    def excess_gini(self) -> float:
        """Gini less what randomly scattered cells would have: 0 random, above 0 clustered."""
        return self.gini - self.expected_gini


def measure_evenness(counts: npt.ArrayLike, areas: npt.ArrayLike) -> Evenness:
    """Measure how evenly cells are spread over tiles (P5).

    Parameters
    ----------
    counts, areas : (N,) array
        Cells and tissue area (any unit, > 0) of every tile.

    Returns
    -------
    Evenness
        ``gini`` is NaN without cells; ``empty_tile_fraction`` (by area) is NaN only without tiles.

    Examples
    --------
    >>> measure_evenness([0, 0, 0, 8], [1, 1, 1, 1])[::2]
    (0.75, 0.75)
    """
    n, area = np.asarray(counts, np.float64).ravel(), np.asarray(areas, np.float64).ravel()
    if not n.size:
        return Evenness(math.nan, math.nan, math.nan, 0)
    empty = float(area[n == 0].sum() / area.sum())
    if n.sum() == 0:
        return Evenness(math.nan, math.nan, empty, n.size)
    return Evenness(weighted_gini(n / area, area), expected_gini(n.sum() / area.sum(), area), empty, n.size)


def lorenz_curve(counts: npt.ArrayLike, areas: npt.ArrayLike, at: npt.ArrayLike) -> Values:
    """Return the share of the cells that the emptiest tissue holds (P5; Lorenz 1905).

    Parameters
    ----------
    counts, areas : (N,) array
        Cells and tissue area (> 0) of every tile.
    at : (K,) array
        Shares of the tissue in [0, 1], emptiest tiles first.

    Returns
    -------
    (K,) float64
        In [0, 1], at most ``at``; NaN without cells. One less twice the area under it is the Gini coefficient.

    Examples
    --------
    All cells in a quarter of the tissue.

    >>> lorenz_curve([0, 0, 0, 8], [1, 1, 1, 1], [0.5, 0.75, 1.0]).tolist()
    [0.0, 0.0, 1.0]
    """
    n, area, share = (np.asarray(a, np.float64).ravel() for a in (counts, areas, at))
    if not n.sum() > 0:
        return np.full(share.shape, np.nan)
    order = np.argsort(n / area, kind="stable")
    tissue = np.concatenate([[0.0], np.cumsum(area[order])]) / area.sum()
    cells = np.concatenate([[0.0], np.cumsum(n[order])]) / n.sum()
    return np.asarray(np.interp(share, tissue, cells))


def weighted_gini(values: Values, weights: Values) -> float:
    """Return the Gini coefficient ΣΣ wᵢwⱼ|xᵢ−xⱼ| / (2 W² x̄) in [0, 1): 0 is perfectly even (P5)."""
    order = np.argsort(values, kind="stable")
    return _mean_difference(values[order], weights[order]) / (2 * float(np.average(values, weights=weights)))


def _mean_difference(ordered: Values, weights: Values) -> float:
    """Return the mean |x − x'| over pairs drawn by weight: 2 ∫ F (1 − F) dx for sorted ``ordered``."""
    below = np.cumsum(weights)[:-1] / weights.sum()
    return float(2 * (below * (1 - below) * np.diff(ordered)).sum())


def expected_gini(density: float, areas: Values) -> float:
    """Return the weighted Gini that cells scattered at random (Poisson) over the same tiles have (P5).

    Gini goes to 1 when counts are sparse, clustered or not; only the excess over this tells. The expectation
    E|nᵢ/Aᵢ − nⱼ/Aⱼ| over tiles i ≠ j is computed from the Poisson laws, without simulation. For equal tiles of mean
    m and many of them it is e⁻²ᵐ [I₀(2m) + I₁(2m)] (Ramasubban 1958).

    Parameters
    ----------
    density : float
        Cells per unit of area, > 0.
    areas : (N,) float64
        Tissue area of every tile.

    Examples
    --------
    >>> import numpy as np
    >>> round(expected_gini(1.0, np.ones(1000)), 2)  # e^-2 (I0(2) + I1(2)) = 0.524, times 999/1000
    0.52
    """
    total = areas.sum()
    # tiles that hold the same tissue have the same law; full tiles, the most of them, are one
    size, which = np.unique(np.round(areas / areas.max(), 3), return_inverse=True)
    size, share = size * areas.max(), np.bincount(which, weights=areas) / total
    # a tile does not differ from itself: pairs i = i are taken out of the pairs of independent tiles
    own = np.bincount(which, weights=(areas / total) ** 2)
    places, masses, same = [], [], 0.0
    for part, weight, diagonal in zip(size, share, own, strict=True):
        mean = density * part
        # all counts but a share of 1e-12 at either end
        low, high = max(0.0, np.floor(special.pdtrik(1e-12, mean))), np.ceil(special.pdtrik(1 - 1e-12, mean))
        count = np.arange(low, high + 1)
        mass = np.exp(special.xlogy(count, mean) - mean - special.gammaln(count + 1))
        places.append(count / part)
        masses.append(weight * mass)
        same += diagonal * _mean_difference(count / part, mass)
    place, mass = np.concatenate(places), np.concatenate(masses)
    order = np.argsort(place, kind="stable")
    return float((_mean_difference(place[order], mass[order]) - same) / (2 * density))


def saturated_share(positive: FloatPlane, tiles: Tiles, *, limit: float = 0.6, min_coverage: float = 0.5) -> float:
    """Return the share of the CD45+ area that lies in tiles covered above ``limit``.

    Parameters
    ----------
    positive : (Y, X) float32
        CD45+ share of every pixel, 0 off the parenchyma.
    tiles : Tiles
        Over the parenchyma; those with less than ``min_coverage`` of it take no part.

    Returns
    -------
    float
        In [0, 1]; 0 where nothing is positive; NaN without tiles.
    """
    kept = tiles.covered(min_coverage)
    if not kept.any():
        return math.nan
    area, covered = tiles.area[kept], tiles.sum(positive)[kept]
    if covered.sum() == 0:
        return 0.0
    return float(covered[covered / area > limit].sum() / covered.sum())

"""Do neighbouring tiles resemble each other: Moran's I and Geary's c (R7)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from thymusimg.measurements.stains.segregation import STAIN_TOP, divergence
from thymusimg.measurements.tiling import lay_tiles
from thymusimg.section.quantile import quantiles

if TYPE_CHECKING:
    from thymusimg.section.model import FloatPlane, Mask

Values = npt.NDArray[np.float64]

MORAN_TILE_UM = 25.0
_FLOOR = 0.01  # of a stain's 99th percentile: a tile with neither keratin is neutral, and no logit is infinite


class TileAutocorrelation(NamedTuple):
    """Moran's I and Geary's c of a tile map, and how often chance reaches them (R7).

    ``moran_p`` and ``geary_p`` are one-sided, for neighbours that are more alike than chance; ``tiles`` took part.
    """

    moran_i: float
    moran_p: float
    geary_c: float
    geary_p: float
    tiles: int


class TileMaps(NamedTuple):
    """The stains on tiles: ``logit`` (NY, NX), NaN where a tile holds too little parenchyma, and ``divergence``."""

    logit: Values
    divergence: float


def tile_maps(
    k8: FloatPlane,
    k14: FloatPlane,
    parenchyma: Mask,
    pixel_um: float,
    *,
    tile_um: float = MORAN_TILE_UM,
    min_coverage: float = 0.5,
) -> TileMaps | None:
    """Measure the logit of the K14 share and the divergence of both stains on tiles (R7).

    With each stain's tile means a over its 99th percentile of the parenchyma and ε = 0.01, the logit is
    ln[(a₁₄ + ε) / (a₈ + ε)]: a tile without keratin is 0. The divergence is that of Jensen and Shannon, over ln 2,
    of the stains' sums over the tiles. None if the parenchyma or a stain is empty or no tile holds enough.
    """
    if not parenchyma.any():
        return None
    tiles = lay_tiles(parenchyma, tile_um / pixel_um)
    kept = tiles.covered(min_coverage)
    tops = [quantiles(plane, (STAIN_TOP / 100,), parenchyma)[0] for plane in (k14, k8)]
    if not kept.any() or min(tops) <= 0:
        return None
    sums = [tiles.sum(plane, parenchyma) for plane in (k14, k8)]
    area = np.where(kept, tiles.area, 1.0)
    a14, a8 = (np.maximum(total / area / top, 0) for total, top in zip(sums, tops, strict=True))
    logit = np.where(kept, np.log((a14 + _FLOOR) / (a8 + _FLOOR)), np.nan)
    return TileMaps(logit, divergence(sums[0][kept], sums[1][kept]))


def tile_autocorrelation(values: Values, *, permutations: int = 999, seed: int = 0) -> TileAutocorrelation:
    """Compute Moran's I and Geary's c of a tile map with queen weights (R7).

    With w = 1 between tiles that share an edge or a corner and 0 else, W = Σ w and z the values less their mean,
    I = (n / W) Σ w z z' / Σ z² (Moran 1950, Biometrika 37:17) and c = [(n − 1) / 2W] Σ w (z − z')² / Σ z² (Geary
    1954). Unsorted values give I = −1/(n − 1) and c = 1; a smooth map I → 1, c → 0. Tiles without any neighbour
    take no part. p is the share of random arrangements of the values, the observed one included, with neighbours
    at least as alike: descriptive, for tiles of one section are no independent replicates.

    Parameters
    ----------
    values : (NY, NX) float64
        NaN where there is no tile.
    permutations, seed : int

    Returns
    -------
    TileAutocorrelation
        NaN for fewer than 4 tiles or if all are equal.

    Examples
    --------
    A chessboard of 4 by 4: 24 pairs over an edge differ, 18 over a corner agree: (18 − 24) / 42.

    >>> import numpy as np
    >>> board = np.indices((4, 4)).sum(axis=0) % 2.0
    >>> found = tile_autocorrelation(board)
    >>> bool(np.isclose(found.moran_i, -6 / 42)), bool(np.isclose(found.geary_c, 15 * 24 / (42 * 8)))
    (True, True)
    """
    pairs, z = _neighbours(_turned_alike(values))
    n = len(z)
    squares = float((z * z).sum())
    if n < 4 or not squares > 1e-12 * n * max(float(np.nanmax(np.abs(values))), 1e-300) ** 2:
        return TileAutocorrelation(math.nan, math.nan, math.nan, math.nan, n)
    rng = np.random.default_rng(seed)
    sums = np.array([_pair_sums(z, pairs), *(_pair_sums(rng.permutation(z), pairs) for _ in range(permutations))])
    moran = n * sums[:, 0] / (len(pairs) * squares)
    geary = (n - 1) * sums[:, 1] / (2 * len(pairs) * squares)
    return TileAutocorrelation(
        float(moran[0]),
        float(np.count_nonzero(moran >= moran[0] - 1e-9)) / (1 + permutations),
        float(geary[0]),
        float(np.count_nonzero(geary <= geary[0] + 1e-9)) / (1 + permutations),
        n,
    )


def _turned_alike(values: Values) -> Values:
    """Return a map in the same one of its eight orientations, however it came: then chance draws the same."""
    turned = [np.ascontiguousarray(np.rot90(v, k)) for v in (values, values.T) for k in range(4)]
    return min(turned, key=lambda v: (v.shape, np.isfinite(v).tobytes(), np.round(v, 6).tobytes()))


def _neighbours(values: Values) -> tuple[npt.NDArray[np.intp], Values]:
    """Return the pairs (P, 2) of tiles that share an edge or a corner, and the values less their mean."""
    known = np.isfinite(values)
    index = np.cumsum(known).reshape(known.shape) - 1
    height, width = values.shape
    found = []
    for dy, dx in ((0, 1), (1, 0), (1, 1), (1, -1)):
        here = (slice(0, height - dy), slice(max(0, -dx), width - max(0, dx)))
        there = (slice(dy, height), slice(max(0, dx), width + min(0, dx)))
        both = known[here] & known[there]
        found.append(np.stack([index[here][both], index[there][both]], axis=1))
    pairs = np.concatenate(found)
    joined = np.unique(pairs)
    renumber = np.zeros(max(int(known.sum()), 1), np.intp)
    renumber[joined] = np.arange(len(joined))
    kept = values[known][joined]
    return renumber[pairs], kept - (kept.mean() if kept.size else 0)


@numba.njit(cache=True, nogil=True)
def _pair_sums(z, pairs):  # type: ignore[no-untyped-def]  # compiled
    """Return Σ z z' and Σ (z − z')² over the pairs."""
    products, differences = 0.0, 0.0
    for p in range(len(pairs)):
        one, two = z[pairs[p, 0]], z[pairs[p, 1]]
        products += one * two
        differences += (one - two) * (one - two)
    return products, differences

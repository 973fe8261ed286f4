"""Dense epithelium without thymocytes (P11)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from thymusimg.measurements.tiling import lay_tiles

if TYPE_CHECKING:
    from thymusimg.section.model import FloatPlane, Mask


class FreeEpithelium(NamedTuple):
    """Parenchyma in tiles of dense epithelium, and the part of it without human cells.

    Areas in pixels; NaN if no tile holds enough parenchyma.
    """

    dense_px: float
    free_px: float
    tiled_px: float


def free_epithelium(
    keratin: Mask,
    positive: FloatPlane,
    parenchyma: Mask,
    side_px: float,
    *,
    dense_share: float = 0.6,
    empty_fraction: float = 0.01,
    min_coverage: float = 0.5,
) -> FreeEpithelium:
    """Measure the parenchyma that is dense epithelium and holds no human cells (P11; Kousa et al. 2024).

    Parameters
    ----------
    keratin : (Y, X) bool
        K8+ or K14+.
    positive : (Y, X) float32
        CD45+ share of every pixel.
    parenchyma : (Y, X) bool
    side_px : float
        Side of the square tiles.
    dense_share : float
        A tile is dense from this keratin-positive share of its parenchyma on.
    empty_fraction : float
        A tile is free of human cells below this CD45+ share of its parenchyma.
    min_coverage : float
        Tiles with less parenchyma take no part.

    Examples
    --------
    Half of the tissue is dense epithelium, half of that without cells.

    >>> import numpy as np
    >>> keratin, positive = np.zeros((40, 80), bool), np.full((40, 80), 0.3, np.float32)
    >>> keratin[:, :40], positive[:20] = True, 0
    >>> free_epithelium(keratin, positive, np.ones((40, 80), bool), 20.0)
    FreeEpithelium(dense_px=1600.0, free_px=800.0, tiled_px=3200.0)
    """
    if not parenchyma.any():
        return FreeEpithelium(math.nan, math.nan, math.nan)
    tiles = lay_tiles(parenchyma, side_px)
    kept = tiles.covered(min_coverage)
    if not kept.any():
        return FreeEpithelium(math.nan, math.nan, math.nan)
    area = tiles.area[kept]
    dense = tiles.sum(keratin & parenchyma)[kept] >= dense_share * area - 1e-6
    empty = tiles.sum(np.where(parenchyma, positive, np.float32(0)))[kept] < empty_fraction * area
    return FreeEpithelium(float(area[dense].sum()), float(area[dense & empty].sum()), float(area.sum()))

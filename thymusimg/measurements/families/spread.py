"""How evenly human CD45+ cells are spread, and whether they can be counted (P2, P5)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from thymusimg.measurements.families.declare import BY_PARENCHYMA, declare
from thymusimg.measurements.schema import WeightedMean
from thymusimg.measurements.spatial import EVENNESS_TILE_UM, measure_evenness, saturated_share
from thymusimg.measurements.tiling import lay_tiles
from thymusimg.measurements.view import NO_CELLS, NO_PARENCHYMA

if TYPE_CHECKING:
    from thymusimg.measurements.row import Row
    from thymusimg.measurements.view import SectionView


COLUMNS = (
    declare(
        "cd45_excess_gini",
        "Gini",
        "Gini coefficient of the cell density on 100 µm tiles (weighted by tissue area) less its expectation for "
        "as many cells scattered at random: 0 is random, above 0 is clustered",
        "P5",
        BY_PARENCHYMA,
        "identity",
        "-1 to 1",
    ),
    declare(
        "cd45_empty_tile_fraction",
        "fraction",
        "Share of the 100 µm tiles' parenchyma that lies in tiles without a CD45+ cell",
        "P5",
        BY_PARENCHYMA,
        "logit",
        "0-1",
    ),
    declare(
        "cd45_saturated_share",
        "fraction",
        "Share of the CD45+ area that lies in 50 µm tiles whose CD45 coverage is above 0.6",
        "P2",
        WeightedMean("cd45_area_mm2"),
        "identity",
        "0-1",
    ),
    declare(
        "cd45_count_reliable",
        "true/false",
        "False when more than 5 % of the CD45+ area lies in 50 µm tiles covered above 0.6: cells overlap there "
        "and counts are too low; read the area fraction",
        "P2",
        interval="true or false",
        dtype="bool",
    ),
)


def measure(row: Row, view: SectionView) -> None:
    """Fill in the columns of this family."""
    cells, places = view.cells, view.places
    if cells is None or places is None:
        return
    settings, inside = view.settings, places.parenchyma
    names = ("cd45_excess_gini", "cd45_empty_tile_fraction", "cd45_saturated_share", "cd45_count_reliable")
    if view.parenchyma_mm2 == 0:
        row.put_all(dict.fromkeys(names, math.nan), NO_PARENCHYMA)
        return
    tiles = lay_tiles(view.parenchyma, EVENNESS_TILE_UM / view.pixel_um)
    kept = tiles.covered(settings.tile_min_coverage)
    evenness = measure_evenness(tiles.count(places.y[inside], places.x[inside])[kept], tiles.area[kept])
    no_tile = f"no tile of {EVENNESS_TILE_UM:g} µm holds enough parenchyma"
    row.put("cd45_excess_gini", evenness.excess_gini, NO_CELLS if evenness.tiles else no_tile)
    row.put("cd45_empty_tile_fraction", evenness.empty_tile_fraction, no_tile)
    small = lay_tiles(view.parenchyma, settings.coverage_tile_um / view.pixel_um)
    positive = np.where(view.parenchyma, cells.positive_fraction, np.float32(0))
    share = saturated_share(positive, small, limit=settings.coverage_limit, min_coverage=settings.tile_min_coverage)
    no_tile = f"no tile of {settings.coverage_tile_um:g} µm holds enough parenchyma"
    row.put("cd45_saturated_share", share, no_tile)
    reliable = math.nan if math.isnan(share) else share <= settings.coverage_share
    row.put("cd45_count_reliable", reliable, no_tile)

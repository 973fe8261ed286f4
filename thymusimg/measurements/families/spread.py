"""How evenly human CD45+ cells are spread, and whether they can be counted (P2, P5)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from thymusimg.measurements.families.declare import BY_PARENCHYMA, declare
from thymusimg.measurements.population.spatial import (
    EVENNESS_TILE_UM,
    EVENNESS_TILES_UM,
    lorenz_curve,
    measure_evenness,
    saturated_share,
)
from thymusimg.measurements.schema import Column, Curve, WeightedMean
from thymusimg.measurements.tiling import lay_tiles
from thymusimg.measurements.view import NO_CELLS, NO_PARENCHYMA

if TYPE_CHECKING:
    from thymusimg.measurements.row import Row
    from thymusimg.measurements.view import SectionView


LORENZ_AT = np.linspace(0, 1, 21)


def _suffix(tile_um: float) -> str:
    return "" if tile_um == EVENNESS_TILE_UM else f"_{tile_um:g}um"


def _evenness(tile_um: float) -> tuple[Column, ...]:
    return (
        declare(
            f"cd45_excess_gini{_suffix(tile_um)}",
            "Gini",
            f"Gini coefficient of the cell density on {tile_um:g} µm tiles (weighted by tissue area) less its "
            "expectation for as many cells scattered at random: 0 is random, above 0 is clustered",
            "P5",
            BY_PARENCHYMA,
            "identity",
            "-1 to 1",
        ),
        declare(
            f"cd45_empty_tile_fraction{_suffix(tile_um)}",
            "fraction",
            f"Share of the {tile_um:g} µm tiles' parenchyma that lies in tiles without a CD45+ cell",
            "P5",
            BY_PARENCHYMA,
            "logit",
            "0-1",
        ),
    )


CURVES = (
    Curve(
        "cd45_lorenz",
        "share of the parenchyma, emptiest 100 µm tiles first",
        "fraction",
        "fraction",
        "Share of the CD45+ cells that the emptiest tissue holds; on the diagonal all is equally dense. "
        "Weight: cells",
        "P5; Lorenz 1905",
    ),
)

COLUMNS = (
    *(column for tile_um in EVENNESS_TILES_UM for column in _evenness(tile_um)),
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
    if view.parenchyma_mm2 == 0:
        row.put_all({column.name: math.nan for column in COLUMNS}, NO_PARENCHYMA)
        row.no_curve("cd45_lorenz", NO_PARENCHYMA)
        return
    for tile_um in EVENNESS_TILES_UM:
        tiles = lay_tiles(view.parenchyma, tile_um / view.pixel_um)
        kept = tiles.covered(settings.tile_min_coverage)
        counts, areas = tiles.count(places.y[inside], places.x[inside])[kept], tiles.area[kept]
        evenness = measure_evenness(counts, areas)
        no_tile = f"no tile of {tile_um:g} µm holds enough parenchyma"
        outside = "every CD45+ cell lies in a tile with too little parenchyma"
        why = no_tile if not evenness.tiles else outside if inside.any() else NO_CELLS
        row.put(f"cd45_excess_gini{_suffix(tile_um)}", evenness.excess_gini, why)
        row.put(f"cd45_empty_tile_fraction{_suffix(tile_um)}", evenness.empty_tile_fraction, no_tile)
        if tile_um == EVENNESS_TILE_UM:
            curve = lorenz_curve(counts, areas, LORENZ_AT)
            row.curve("cd45_lorenz", LORENZ_AT, curve, weight=float(counts.sum()), why=why)
    small = lay_tiles(view.parenchyma, settings.coverage_tile_um / view.pixel_um)
    positive = np.where(view.parenchyma, cells.positive_fraction, np.float32(0))
    share = saturated_share(positive, small, limit=settings.coverage_limit, min_coverage=settings.tile_min_coverage)
    no_tile = f"no tile of {settings.coverage_tile_um:g} µm holds enough parenchyma"
    row.put("cd45_saturated_share", share, no_tile)
    reliable = math.nan if math.isnan(share) else share <= settings.coverage_share
    row.put("cd45_count_reliable", reliable, no_tile)

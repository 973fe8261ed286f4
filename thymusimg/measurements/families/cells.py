"""How many human CD45+ cells, per what area, and how sure (P1-P3)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from thymusimg.compartments.model import Compartment
from thymusimg.measurements.families.declare import PARENCHYMA_AREA, declare, declare_area
from thymusimg.measurements.population.repopulation import (
    density_per_mm2,
    dispersed_interval,
    dispersion,
    log_ratio,
)
from thymusimg.measurements.schema import Column, LogRatio, Ratio, Sum, WeightedMean
from thymusimg.measurements.tiling import Tiles, lay_tiles
from thymusimg.measurements.view import NO_CELLS, NO_CONTROLS, NO_CORTEX, NO_MEDULLA, NO_PARENCHYMA

if TYPE_CHECKING:
    import numpy.typing as npt

    from thymusimg.measurements.row import Row
    from thymusimg.measurements.view import SectionView
    from thymusimg.section.model import Mask

    Values = npt.NDArray[np.float64]

DISPERSION_TILE_UM = 100.0
NO_INDETERMINATE = "no indeterminate parenchyma was found"
_PLACES = {
    "": "the parenchyma (cortex, medulla and indeterminate)",
    "_cortex": "the cortex",
    "_medulla": "the medulla",
    "_indeterminate": "the indeterminate parenchyma",
}


def _count(where: str) -> Column:
    definition = f"Human CD45+ cell profiles in {_PLACES[where]}"
    return declare(f"cd45_count{where}", "count", definition, "P2", Sum(), "log", dtype="int")


def _density(where: str, area: str) -> tuple[Column, ...]:
    name, place = f"cd45_density{where}", _PLACES[where]
    bound = f"end of the exact Poisson (Garwood) 95 % interval of the section's density in {place}"
    wide = f"end of that interval of {place}, widened by the square root of the dispersion"
    return (
        declare(
            f"{name}_per_mm2",
            "1/mm²",
            f"Human CD45+ cell profiles per mm² of {place}",
            "P2",
            Ratio(f"cd45_count{where}", area),
            "log",
        ),
        declare(
            f"{name}_low_per_mm2",
            "1/mm²",
            f"Lower {bound}; it describes the section and ignores clustering",
            "P2; Garwood 1936",
        ),
        declare(
            f"{name}_high_per_mm2",
            "1/mm²",
            f"Upper {bound}; it describes the section and ignores clustering",
            "P2; Garwood 1936",
        ),
        declare(
            f"cd45_dispersion{where}",
            "ratio",
            f"Variance-to-mean ratio of the counts on 100 µm tiles of {place}, against each tile's tissue: 1 is "
            "scattered at random, above 1 clustered; tiles with at least 5 % of that tissue",
            "P2",
        ),
        declare(f"{name}_dispersed_low_per_mm2", "1/mm²", f"Lower {wide}; it describes the section", "P2"),
        declare(f"{name}_dispersed_high_per_mm2", "1/mm²", f"Upper {wide}; it describes the section", "P2"),
    )


def _area_fraction(where: str) -> Column:
    return declare(
        f"cd45_area_fraction{where}",
        "fraction",
        f"Share of the area of {_PLACES[where]} that is at or above the CD45 gate",
        "P1",
        WeightedMean(f"{where.removeprefix('_')}_area_mm2"),
        "logit",
        "0-1",
    )


COLUMNS = (
    *(_count(where) for where in _PLACES),
    declare(
        "cd45_count_outside",
        "count",
        "Human CD45+ cell profiles outside the parenchyma (capsule, septa, vessels, cysts); in no density",
        "P2",
        Sum(),
        "log",
        dtype="int",
    ),
    *_density("", PARENCHYMA_AREA),
    *(c for where in ("cortex", "medulla", "indeterminate") for c in _density(f"_{where}", f"{where}_area_mm2")),
    declare(
        "cd45_area_fraction",
        "fraction",
        "Share of the parenchyma's area that is at or above the CD45 gate",
        "P1",
        Ratio("cd45_area_mm2", PARENCHYMA_AREA),
        "logit",
        "0-1",
    ),
    *(_area_fraction(where) for where in ("_cortex", "_medulla", "_indeterminate")),
    declare_area("cd45_area_mm2", "Parenchyma at or above the CD45 gate", "P1"),
    declare(
        "cd45_log_ratio_cortex_medulla",
        "natural log",
        "ln{[(nC + ½) / AC] / [(nM + ½) / AM]}: above 0, cells are denser in the cortex",
        "P3",
        LogRatio("cd45_count_cortex", "cortex_area_mm2", "cd45_count_medulla", "medulla_area_mm2"),
        "identity",
        "any",
    ),
    declare(
        "cd45_median_distance_to_cmj_um",
        "µm",
        "Median signed distance of the parenchyma's CD45+ cells to the junction (cortex negative)",
        "P4",
        WeightedMean("cd45_count"),
        "identity",
        "any",
    ),
    declare(
        "cd45_median_depth_um",
        "µm",
        "Median depth of the parenchyma's CD45+ cells under the capsule",
        "P4",
        WeightedMean("cd45_count"),
        "log",
    ),
    declare(
        "cd45_false_cells_per_mm2",
        "1/mm²",
        "Cells per mm² of parenchyma that the same gate finds in the negative controls; densities of that order "
        "mean nothing",
        "Q",
    ),
)


def measure(row: Row, view: SectionView) -> None:
    """Fill in the columns of this family."""
    cells, places = view.cells, view.places
    if cells is None or places is None:
        return
    inside = places.parenchyma
    indeterminate = view.compartments.mask(Compartment.INDETERMINATE)
    parts = {
        "": (inside, view.parenchyma, NO_PARENCHYMA),
        "_cortex": (places.code == Compartment.CORTEX, view.cortex, NO_CORTEX),
        "_medulla": (places.code == Compartment.MEDULLA, view.medulla, NO_MEDULLA),
        "_indeterminate": (places.code == Compartment.INDETERMINATE, indeterminate, NO_INDETERMINATE),
    }
    side = DISPERSION_TILE_UM / view.pixel_um
    tiles = lay_tiles(view.parenchyma, side) if view.parenchyma_mm2 > 0 else None
    for where, (which, mask, why) in parts.items():
        count, area = int(which.sum()), float(np.count_nonzero(mask) * view.compartments.grid.pixel_area_mm2)
        row.put(f"cd45_count{where}", count)
        for end, value in zip(("", "_low", "_high"), density_per_mm2(count, area), strict=True):
            row.put(f"cd45_density{where}{end}_per_mm2", value, why)
        spread = math.nan if tiles is None else _dispersion(tiles, mask, places.y[which], places.x[which])
        few = why if area == 0 else NO_CELLS if count == 0 else "fewer than two 100 µm tiles hold enough of it"
        row.put(f"cd45_dispersion{where}", spread, few)
        for end, value in zip(("low", "high"), dispersed_interval(count, area, spread), strict=True):
            row.put(f"cd45_density{where}_dispersed_{end}_per_mm2", value, few)
        positive = cells.positive_fraction[mask]
        share = float(positive.mean(dtype=np.float64)) if positive.size else math.nan
        row.put(f"cd45_area_fraction{where}", share, why)
        if not where:
            row.put("cd45_area_mm2", share * area, why)
    row.put("cd45_count_outside", int((~inside).sum()))
    ratio = log_ratio(
        places.count(Compartment.CORTEX), view.cortex_mm2, places.count(Compartment.MEDULLA), view.medulla_mm2
    )
    row.put("cd45_log_ratio_cortex_medulla", ratio, NO_CORTEX if view.cortex_mm2 == 0 else NO_MEDULLA)
    for name, column in (
        ("distance_to_cmj_um", "cd45_median_distance_to_cmj_um"),
        ("depth_from_capsule_um", "cd45_median_depth_um"),
    ):
        values = cells.table[name].to_numpy(np.float64)[inside]
        known = values[np.isfinite(values)]
        why = view.compartments.reasons.get("junction", "the distance is undefined") if inside.any() else NO_CELLS
        row.put(column, float(np.median(known)) if known.size else math.nan, why)
    # known only when the whole study is: the batch fills it in
    row.put("cd45_false_cells_per_mm2", cells.gate.false_cells_per_mm2, cells.gate.false_reason or NO_CONTROLS)


def _dispersion(tiles: Tiles, mask: Mask, y: Values, x: Values) -> float:
    area, counts = tiles.sum(mask), tiles.count(y, x)
    # slivers expect so few cells that one by chance would outweigh all other tiles
    kept = area >= 0.05 * tiles.side_px**2
    return dispersion(counts[kept], area[kept])

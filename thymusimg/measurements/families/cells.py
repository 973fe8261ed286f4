"""How many human CD45+ cells, and where (P1-P4)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from thymusimg.compartments.model import Compartment
from thymusimg.measurements.families.declare import BY_PARENCHYMA, PARENCHYMA_AREA, declare, declare_area
from thymusimg.measurements.repopulation import density_per_mm2, log_ratio
from thymusimg.measurements.schema import Column, Ratio, Sum, WeightedMean
from thymusimg.measurements.view import NO_CELLS, NO_CONTROLS, NO_CORTEX, NO_MEDULLA, NO_PARENCHYMA

if TYPE_CHECKING:
    from thymusimg.measurements.row import Row
    from thymusimg.measurements.view import SectionView


def _density(where: str, count: str, area: str) -> tuple[Column, ...]:
    name = f"cd45_density{where}"
    place = where.removeprefix("_") or "parenchyma (cortex, medulla and indeterminate)"
    bound = "end of the exact Poisson (Garwood) 95 % interval of the section's density in"
    note = "it describes the section and ignores clustering"
    return (
        declare(
            f"{name}_per_mm2",
            "1/mm²",
            f"Human CD45+ cell profiles per mm² of {place}",
            "P2",
            Ratio(count, area),
            "log",
        ),
        declare(f"{name}_low_per_mm2", "1/mm²", f"Lower {bound} {place}; {note}", "P2; Garwood 1936"),
        declare(f"{name}_high_per_mm2", "1/mm²", f"Upper {bound} {place}; {note}", "P2; Garwood 1936"),
    )


COLUMNS = (
    declare("cd45_count", "count", "Human CD45+ cell profiles in the parenchyma", "P2", Sum(), "log", dtype="int"),
    declare(
        "cd45_count_cortex", "count", "Human CD45+ cell profiles in the cortex", "P2", Sum(), "log", dtype="int"
    ),
    declare(
        "cd45_count_medulla", "count", "Human CD45+ cell profiles in the medulla", "P2", Sum(), "log", dtype="int"
    ),
    declare(
        "cd45_count_outside",
        "count",
        "Human CD45+ cell profiles outside the parenchyma (capsule, septa, vessels, cysts); in no density",
        "P2",
        Sum(),
        "log",
        dtype="int",
    ),
    *_density("", "cd45_count", PARENCHYMA_AREA),
    *_density("_cortex", "cd45_count_cortex", "cortex_area_mm2"),
    *_density("_medulla", "cd45_count_medulla", "medulla_area_mm2"),
    declare(
        "cd45_area_fraction",
        "fraction",
        "Share of the parenchyma's area that is at or above the CD45 gate",
        "P1",
        Ratio("cd45_area_mm2", PARENCHYMA_AREA),
        "logit",
        "0-1",
    ),
    declare(
        "cd45_area_fraction_cortex",
        "fraction",
        "Share of the cortex' area that is at or above the CD45 gate",
        "P1",
        WeightedMean("cortex_area_mm2"),
        "logit",
        "0-1",
    ),
    declare(
        "cd45_area_fraction_medulla",
        "fraction",
        "Share of the medulla's area that is at or above the CD45 gate",
        "P1",
        WeightedMean("medulla_area_mm2"),
        "logit",
        "0-1",
    ),
    declare_area("cd45_area_mm2", "Parenchyma at or above the CD45 gate", "P1"),
    declare(
        "cd45_log_ratio_cortex_medulla",
        "natural log",
        "ln{[(nC + ½) / AC] / [(nM + ½) / AM]}: above 0, cells are denser in the cortex",
        "P3",
        BY_PARENCHYMA,
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
    counts = {
        "": (int(inside.sum()), view.parenchyma_mm2, NO_PARENCHYMA),
        "_cortex": (places.count(Compartment.CORTEX), view.cortex_mm2, NO_CORTEX),
        "_medulla": (places.count(Compartment.MEDULLA), view.medulla_mm2, NO_MEDULLA),
    }
    masks = {"": view.parenchyma, "_cortex": view.cortex, "_medulla": view.medulla}
    for where, (count, area, why) in counts.items():
        row.put(f"cd45_count{where}", count)
        for end, value in zip(("", "_low", "_high"), density_per_mm2(count, area), strict=True):
            row.put(f"cd45_density{where}{end}_per_mm2", value, why)
        positive = cells.positive_fraction[masks[where]]
        share = float(positive.mean(dtype=np.float64)) if positive.size else math.nan
        row.put(f"cd45_area_fraction{where}", share, why)
        if not where:
            row.put("cd45_area_mm2", share * area, why)
    row.put("cd45_count_outside", int((~inside).sum()))
    (in_cortex, cortex_mm2, _), (in_medulla, medulla_mm2, _) = counts["_cortex"], counts["_medulla"]
    ratio = log_ratio(in_cortex, cortex_mm2, in_medulla, medulla_mm2)
    row.put("cd45_log_ratio_cortex_medulla", ratio, NO_CORTEX if cortex_mm2 == 0 else NO_MEDULLA)
    for name in ("distance_to_cmj", "depth_from_capsule"):
        column = {"distance_to_cmj": "cd45_median_distance_to_cmj_um", "depth_from_capsule": "cd45_median_depth_um"}
        values = cells.table[f"{name}_um"].to_numpy(np.float64)[inside]
        known = values[np.isfinite(values)]
        why = view.compartments.reasons.get("junction", "the distance is undefined") if inside.any() else NO_CELLS
        row.put(column[name], float(np.median(known)) if known.size else math.nan, why)
    # known only when the whole study is: the batch fills it in
    row.put("cd45_false_cells_per_mm2", cells.gate.false_cells_per_mm2, cells.gate.false_reason or NO_CONTROLS)

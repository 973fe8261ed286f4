"""Where human cells stop: what the pattern of infiltration rests on, and its class (P8)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from thymusimg.compartments.model import Compartment
from thymusimg.measurements.families.declare import declare, declare_area
from thymusimg.measurements.population.axis import PLACED
from thymusimg.measurements.schema import Ratio, Sum
from thymusimg.measurements.smoothing import distance_px
from thymusimg.measurements.view import NO_CONTROLS, NO_PARENCHYMA, over

if TYPE_CHECKING:
    from thymusimg.measurements.row import Row
    from thymusimg.measurements.view import SectionView
    from thymusimg.section.model import Mask

_ZONE = "within 50 µm (a setting) of the capsule, a septum or a vessel"
FINISHED = (
    "cd45_lod_per_mm2",
    "cd45_below_lod",
    "cd45_infiltration",
    "cd45_infiltration_margin",
    "cd45_infiltration_cut",
)
"""What is known only when the study's negative controls are: the batch fills it in."""

COLUMNS = (
    declare(
        "cd45_count_peripheral", "count", f"Human CD45+ cell profiles {_ZONE}", "P8", Sum(), "log", dtype="int"
    ),
    declare(
        "cd45_count_inner",
        "count",
        "Human CD45+ cell profiles in the parenchyma farther in than cd45_count_peripheral",
        "P8",
        Sum(),
        "log",
        dtype="int",
    ),
    declare_area("inner_parenchyma_area_mm2", f"Parenchyma that is not {_ZONE}", "P8"),
    declare(
        "cd45_peripheral_share",
        "fraction",
        f"Share of the tissue's human CD45+ cells {_ZONE}; compare with peripheral_parenchyma_share",
        "P8",
        Ratio("cd45_count_peripheral", ("cd45_count_peripheral", "cd45_count_inner")),
        "logit",
        "0-1",
    ),
    declare("peripheral_parenchyma_share", "fraction", f"Share of the parenchyma {_ZONE}", "P8", interval="0-1"),
    declare(
        "cd45_inner_density_per_mm2",
        "1/mm²",
        "cd45_count_inner per mm² of inner_parenchyma_area_mm2",
        "P8",
        Ratio("cd45_count_inner", "inner_parenchyma_area_mm2"),
        "log",
    ),
    declare(
        "cd45_lod_per_mm2",
        "1/mm²",
        "Limit of detection: mean + 1.645 SD of the densities that the same gate finds in the negative controls "
        "(at least two)",
        "Q",
    ),
    declare(
        "cd45_below_lod",
        "true/false",
        "True when cd45_density_per_mm2 is not above the limit of detection: no human cells are shown",
        "Q",
        interval="true or false",
        dtype="bool",
    ),
    declare(
        "cd45_infiltration",
        "text",
        "absent (not above the limit of detection), peripheral, cortical-restricted, medulla-restricted, full or "
        "partial, by rules that are settings; never to be read without the values and the margin",
        "P8",
        interval="class",
        dtype="str",
    ),
    declare(
        "cd45_infiltration_margin",
        "factor",
        "Factor by which the nearest single density, or the odds of the nearest single share, would have to change "
        "for another class: 1 lies on the cut",
        "P8",
        interval="≥ 1",
    ),
    declare(
        "cd45_infiltration_cut",
        "text",
        "The value behind cd45_infiltration_margin, and the class beyond its cut",
        "P8",
        interval="text",
        dtype="str",
    ),
)


def measure(row: Row, view: SectionView) -> None:
    """Fill in the columns of this family."""
    cells, places, zone = view.cells, view.places, _peripheral(view)
    area = float(np.count_nonzero(view.parenchyma & ~zone) * view.compartments.grid.pixel_area_mm2)
    row.put("inner_parenchyma_area_mm2", area)
    row.put("peripheral_parenchyma_share", over(view.parenchyma_mm2 - area, view.parenchyma_mm2), NO_PARENCHYMA)
    if cells is None or places is None:
        return
    near = places.on(zone) & np.isin(places.code, PLACED)
    inner = places.parenchyma & ~near
    n_near, n_inner = int(near.sum()), int(inner.sum())
    row.put("cd45_count_peripheral", n_near)
    row.put("cd45_count_inner", n_inner)
    row.put("cd45_peripheral_share", over(n_near, n_near + n_inner), "no human CD45+ cell was found in the tissue")
    thin = f"no parenchyma lies farther in than {view.settings.peripheral_um:g} µm"
    row.put("cd45_inner_density_per_mm2", over(n_inner, area), thin if view.parenchyma_mm2 else NO_PARENCHYMA)
    row.put_all(dict.fromkeys(FINISHED, math.nan), cells.gate.false_reason or NO_CONTROLS)


def _peripheral(view: SectionView) -> Mask:
    """Return what lies near the capsule or other tissue that is no parenchyma."""
    compartments, reach = view.compartments, view.settings.peripheral_um
    near = np.asarray(compartments.depth_from_capsule_um <= reach)  # false where there is no capsule
    other = compartments.mask(Compartment.OTHER)
    if other.any():
        near = near | (distance_px(other) <= reach / view.pixel_um)
    return near

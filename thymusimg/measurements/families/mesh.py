"""Meshes, voids and lacunarity of the keratin network (R10); filled by :mod:`.network`, which traces the slide."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from thymusimg.measurements.families.declare import PARENCHYMA_AREA, declare
from thymusimg.measurements.network.mesh import BOXES_UM, find_voids, lacunarity, width_quantile_um
from thymusimg.measurements.schema import Column, Curve, Ratio, Sum, WeightedMean
from thymusimg.measurements.view import no_stain, over

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thymusimg.compartments.model import Compartment
    from thymusimg.measurements.network.trace import Network
    from thymusimg.measurements.row import Row
    from thymusimg.measurements.view import SectionView


def _columns(where: str) -> tuple[Column, ...]:
    by_area = WeightedMean(f"{where}_area_mm2")
    width = f"width of the meshes between keratin in the {where} (largest inscribed disc), by area"
    return (
        declare(
            f"keratin_positive_share_{where}", "fraction",
            f"Share of the {where} that is keratin: 1.5 times as bright as the local mean (25 µm) within "
            "section-wide limits, about half as bright as a strand", "R10", by_area, "logit", "0-1",
        ),
        declare(
            f"mesh_d50_{where}_um", "µm", f"Median {width}", "R10; Hildebrand & Rüegsegger 1997", by_area, "log"
        ),
        declare(
            f"mesh_d95_{where}_um", "µm", f"95 % quantile of the {width}; 48 µm and more count as 48", "R10",
            by_area, "log",
        ),
    )  # fmt: skip


COLUMNS = (
    *_columns("cortex"),
    *_columns("medulla"),
    declare(
        "keratin_void_count", "count",
        "Keratin-free places of the parenchyma larger than 1,000 µm² (after an opening by 20 µm)", "R10", Sum(),
        "log", dtype="int",
    ),
    declare("keratin_void_area_mm2", "mm²", "Area of the keratin-free places over 1,000 µm²", "R10", Sum(), "log"),
    declare(
        "keratin_void_fraction", "fraction", "keratin_void_area_mm2 per parenchyma", "R10",
        Ratio("keratin_void_area_mm2", PARENCHYMA_AREA), "logit", "0-1",
    ),
    declare(
        "epithelium_free_area_mm2", "mm²",
        "Area of those keratin-free places that nuclei fill: mean DAPI at least half the parenchyma's median; the "
        "others are empty, like cysts", "R10", Sum(), "log",
    ),
    declare(
        "epithelium_free_fraction", "fraction", "epithelium_free_area_mm2 per parenchyma", "R10",
        Ratio("epithelium_free_area_mm2", PARENCHYMA_AREA), "logit", "0-1",
    ),
)  # fmt: skip

CURVES = (
    Curve(
        "keratin_lacunarity", "box side", "µm", "ratio",
        "Gliding-box lacunarity of the keratin-positive area, E[m²] / E[m]², over boxes wholly in the compartment",
        "R10; Allain & Cloitre 1991",
    ),
)  # fmt: skip


def leave_out(row: Row, why: str) -> None:
    """Say why there are no curves."""
    row.no_curve("keratin_lacunarity", why)


def fill(
    row: Row, view: SectionView, network: Network, places: Mapping[str, Compartment], missing: Mapping[str, str]
) -> None:
    """Fill in the columns and the curve of the meshes."""
    for where, code in places.items():
        inside = view.cortex if where == "cortex" else view.medulla
        share = float(network.positive[inside].mean(dtype=np.float64)) if inside.any() else math.nan
        row.put(f"keratin_positive_share_{where}", share, missing[where])
        none = "keratin is everywhere" if inside.any() else missing[where]
        for name, part in (("d50", 0.5), ("d95", 0.95)):
            row.put(f"mesh_{name}_{where}_um", width_quantile_um(network.widths[code], part), none)
        if not inside.any():
            row.no_curve("keratin_lacunarity", missing[where], compartment=where)
            continue
        found = lacunarity(network.positive, inside, view.pixel_um, sides_um=BOXES_UM)
        row.curve(
            "keratin_lacunarity", found.side_um, found.value, weight=found.weight_mm2, compartment=where,
            why="no box of that side lies wholly in the compartment",
        )  # fmt: skip
    _voids(row, view, network)


def _voids(row: Row, view: SectionView, network: Network) -> None:
    dapi = view.planes.get("dapi")
    voids = find_voids(network.positive, view.parenchyma, dapi, view.pixel_um)
    row.put("keratin_void_count", voids.number)
    row.put("keratin_void_area_mm2", voids.area_mm2)
    row.put("keratin_void_fraction", over(voids.area_mm2, view.parenchyma_mm2))
    why = no_stain("dapi") + ": a place full of unstained cells looks like an empty one"
    row.put("epithelium_free_area_mm2", voids.filled_mm2, why)
    row.put("epithelium_free_fraction", over(voids.filled_mm2, view.parenchyma_mm2), why)

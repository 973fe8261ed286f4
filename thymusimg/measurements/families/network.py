"""The keratin network at full resolution: strands, meshes, and the cells at them (R9, R10, P9).

The slide is traced once; :mod:`.mesh` and :mod:`.contact` declare what else is read off it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from thymusimg.compartments.model import Compartment
from thymusimg.measurements.families import contact, mesh
from thymusimg.measurements.families.declare import declare
from thymusimg.measurements.network.plane import KERATINS, scale_keratin
from thymusimg.measurements.network.trace import COARSEST_UM, trace_network
from thymusimg.measurements.schema import Column, Ratio, Sum, WeightedMean
from thymusimg.measurements.view import NO_CORTEX, NO_MEDULLA, over

if TYPE_CHECKING:
    from thymusimg.measurements.network.trace import Network
    from thymusimg.measurements.row import Row
    from thymusimg.measurements.view import SectionView

PLACES = {"cortex": Compartment.CORTEX, "medulla": Compartment.MEDULLA}
"""The compartments whose network is reported apart."""
MISSING = {"cortex": NO_CORTEX, "medulla": NO_MEDULLA}


def _columns(where: str) -> tuple[Column, ...]:
    by_area = WeightedMean(f"{where}_area_mm2")
    return (
        declare(
            f"network_length_{where}_mm", "mm", f"Length of the keratin network in the {where}", "R9", Sum(), "log"
        ),
        declare(
            f"network_density_{where}_mm_per_mm2",
            "mm/mm²",
            f"Length of the keratin network (K8 and K14 together) per mm² of {where}; a square net of spacing "
            "d has 2 / d. Slides of at most 0.5 µm a pixel only",
            "R9",
            Ratio(f"network_length_{where}_mm", f"{where}_area_mm2"),
            "log",
        ),
        declare(
            f"network_junctions_{where}_per_mm2", "1/mm²", f"Places where strands meet, per mm² of {where}",
            "R9", by_area, "log",
        ),
        declare(
            f"network_ends_per_junction_{where}", "ratio", f"Free ends of strands per junction in the {where}",
            "R9", by_area, "log",
        ),
        declare(
            f"network_segment_{where}_um",
            "µm",
            f"Mean length of strand between junctions or ends in the {where}", "R9", by_area, "log",
        ),
        declare(
            f"network_loops_{where}_per_mm2", "1/mm²",
            f"Independent loops of the network (pieces − χ) per mm² of {where}", "R9", by_area,
            "log",
        ),
    )  # fmt: skip


NETWORK_COLUMNS = (*_columns("cortex"), *_columns("medulla"))
COLUMNS = (*NETWORK_COLUMNS, *mesh.COLUMNS, *contact.COLUMNS)
CURVES = mesh.CURVES


def measure(row: Row, view: SectionView) -> None:
    """Fill in the columns of this family."""
    found = _trace(view)
    if isinstance(found, str):
        columns = (*NETWORK_COLUMNS, *mesh.COLUMNS, *(contact.COLUMNS if view.cells is not None else ()))
        row.put_all({column.name: math.nan for column in columns}, found)
        mesh.leave_out(row, found)
        return
    for where, code in PLACES.items():
        _fill(row, where, found, code)
    mesh.fill(row, view, found, PLACES, MISSING)
    if view.cells is not None:
        contact.fill(row, view, found, PLACES, MISSING)


def _fill(row: Row, where: str, network: Network, code: int) -> None:
    graph, mm2, why = network.graphs[code], float(network.area_mm2[code]), MISSING[where]
    length_mm = graph.length_px * network.pixel_um * 1e-3 if mm2 > 0 else math.nan
    row.put(f"network_length_{where}_mm", length_mm, why)
    row.put(f"network_density_{where}_mm_per_mm2", over(length_mm, mm2), why)
    row.put(f"network_junctions_{where}_per_mm2", over(graph.forks, mm2), why)
    row.put(f"network_loops_{where}_per_mm2", over(graph.loops, mm2), why)
    none = "no strand of keratin was found" if mm2 > 0 else why
    row.put(f"network_segment_{where}_um", over(length_mm * 1e3, graph.segments), none)
    none = "the network has no junction" if mm2 > 0 else why
    row.put(f"network_ends_per_junction_{where}", over(graph.ends, graph.forks), none)


def _trace(view: SectionView) -> Network | str:
    """Return the network, or why there is none."""
    if not view.settings.network:
        return "the network was switched off (measurements.network)"
    if view.correction is None:
        return "the slide itself is not at hand: the network is traced at full resolution"
    if view.section.pixel_size_um > COARSEST_UM * (1 + 1e-6):
        return f"pixels of {view.section.pixel_size_um:.3g} µm are too coarse: at most {COARSEST_UM:g} µm is needed"
    keratins = {role: view.planes[role] for role in KERATINS if role in view.planes}
    if not keratins:
        return "no keratin channel was given"
    scale = scale_keratin(keratins, view.parenchyma, view.pixel_um)
    if scale is None:
        return "no keratin is above its background in the parenchyma"
    places = None
    if view.cells is not None:
        places = view.cells.table[["y_um", "x_um"]].to_numpy(np.float64)
    return trace_network(
        view.section, view.correction, view.compartments.labels, scale, points_um=places,
        tile_px=view.compute.tile_px, threads=view.threads, progress=view.progress,
    )  # fmt: skip

"""How cells and keratins lie between capsule and medulla: profiles per tissue area, and the CMA (P4)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from thymusimg.measurements.families.declare import declare
from thymusimg.measurements.population.axis import section_axis
from thymusimg.measurements.population.profile import (
    border_distance_um,
    density_profile,
    mean_profile,
    quantile_among,
    quantile_in,
)
from thymusimg.measurements.schema import Curve, WeightedMean
from thymusimg.measurements.view import NO_CELLS, NO_PARENCHYMA, no_stain

if TYPE_CHECKING:
    import numpy.typing as npt

    from thymusimg.cells.model import Cells
    from thymusimg.measurements.population.placing import CellPlaces
    from thymusimg.measurements.row import Row
    from thymusimg.measurements.view import SectionView
    from thymusimg.section.model import Grid, Mask

FRACTION_BIN = 0.1
_BY_AREA = "Weight: tissue area of the bin in mm²"
_CUT = "places nearer to where the image cuts the tissue than to {} are left out"
_DENSITY = "Human CD45+ cell profiles per mm² of parenchyma, with the Garwood 95 % interval"
_SIDED = _DENSITY.replace("parenchyma", "cortex and medulla")
_CORTICAL = _DENSITY.replace("parenchyma", "cortex")
_CMA = "P4; Yayon et al. 2024"
NO_CAPSULE = "the image holds no outer edge of the tissue"
CUT_AWAY = "the image cuts the tissue nearer than the junction or the capsule everywhere"

CURVES = (
    Curve(
        "cd45_profile_cmj",
        "signed distance to the corticomedullary junction (cortex negative)",
        "µm",
        "1/mm²",
        f"{_SIDED}, by signed distance to the junction; {_CUT.format('the junction')}. {_BY_AREA}",
        "P4",
    ),
    Curve(
        "cd45_profile_depth",
        "depth under the capsule",
        "µm",
        "1/mm²",
        f"{_DENSITY}, by depth under the capsule; {_CUT.format('the capsule')}. {_BY_AREA}",
        "P4",
    ),
    Curve(
        "cd45_profile_capsule_fraction",
        "depth / (depth + distance to the junction)",
        "fraction",
        "1/mm²",
        f"{_CORTICAL}, from capsule (0) to junction (1); {_CUT.format('capsule or junction')}. {_BY_AREA}",
        "P4",
    ),
    Curve(
        "cd45_profile_cma",
        "CMA3",
        "−1 to 1",
        "1/mm²",
        f"{_DENSITY}, along the three-point corticomedullary axis; no published bins; "
        f"{_CUT.format('capsule or junction')}. {_BY_AREA}",
        _CMA,
    ),
    Curve(
        "cd45_profile_cma_quantile",
        "share of the parenchyma with a lower CMA3",
        "fraction",
        "1/mm²",
        f"{_DENSITY}, in tenths of the section's own parenchyma ordered by CMA3. {_BY_AREA}",
        _CMA,
    ),
    *(
        Curve(
            f"{role}_profile_cmj",
            "signed distance to the corticomedullary junction (cortex negative)",
            "µm",
            "intensity",
            f"Mean {role.upper()} over background in cortex and medulla by signed distance to the junction; "
            f"{_CUT.format('the junction')}. {_BY_AREA}",
            "P4",
        )
        for role in ("k14", "k8")
    ),
)

COLUMNS = (
    declare(
        "cd45_median_cma3",
        "CMA",
        "Median over the parenchyma's CD45+ cells of CMA3 = 0.2 h(capsule, cortex) + 0.8 h(cortex, medulla), "
        "h(a, b) = (a - b) / (a + b) of the mean distances to the 10 nearest points of each on a hexagonal grid; "
        "negative is outside. It depends on the grid's spacing (a setting)",
        _CMA,
        WeightedMean("cd45_count"),
        "identity",
        "-1 to 1",
    ),
    declare(
        "cd45_median_cma2",
        "CMA",
        "Median over the parenchyma's CD45+ cells of CMA2 = h(capsule, medulla), as cd45_median_cma3",
        _CMA,
        WeightedMean("cd45_count"),
        "identity",
        "-1 to 1",
    ),
    declare(
        "cd45_cma3_quantile",
        "fraction",
        "Mean over the parenchyma's CD45+ cells of the share of the parenchyma that lies farther out on CMA3: "
        "0.5 when cells are spread like the tissue, below when they lie outer",
        _CMA,
        WeightedMean("cd45_count"),
        "identity",
        "0-1",
    ),
)


class _Known(NamedTuple):
    """Where a coordinate is known: not cut off by the image's border."""

    junction: Mask
    capsule: Mask


def measure(row: Row, view: SectionView) -> None:
    """Fill in the columns and curves of this family."""
    if view.parenchyma_mm2 == 0:
        for curve in CURVES:
            if view.cells is not None or not curve.name.startswith("cd45"):
                row.no_curve(curve.name, NO_PARENCHYMA)
        if view.cells is not None:
            row.put_all({column.name: math.nan for column in COLUMNS}, NO_PARENCHYMA)
        return
    known = _known(view)
    _keratins(row, view, known.junction)
    if view.cells is not None and view.places is not None:
        _along_distances(row, view, known, view.cells, view.places)
        _along_axis(row, view, known, view.places)


def _known(view: SectionView) -> _Known:
    compartments = view.compartments
    border = border_distance_um(compartments.tissue, view.pixel_um)
    distance, depth = np.abs(compartments.distance_to_cmj_um), compartments.depth_from_capsule_um
    # comparisons with NaN are false: unknown stays out. Indeterminate tissue lies on neither side of the junction
    sided = view.cortex | view.medulla
    return _Known(sided & (distance <= border), view.parenchyma & (depth <= border))


def _keratins(row: Row, view: SectionView, known: Mask) -> None:
    distance = view.compartments.distance_to_cmj_um
    for role in ("k14", "k8"):
        plane = view.planes.get(role)
        if plane is None or not known.any():
            row.no_curve(f"{role}_profile_cmj", no_stain(role) if plane is None else _no_junction(view))
            continue
        x, mean, area = mean_profile(
            plane[known], distance[known], view.compartments.grid.pixel_area_mm2, view.settings.distance_bin_um
        )
        row.curve(f"{role}_profile_cmj", x, mean, weight=area)


def _along_distances(row: Row, view: SectionView, known: _Known, cells: Cells, places: CellPlaces) -> None:
    compartments, settings = view.compartments, view.settings
    distance, depth = compartments.distance_to_cmj_um, compartments.depth_from_capsule_um
    cell_distance = cells.table["distance_to_cmj_um"].to_numpy(np.float64)
    cell_depth = cells.table["depth_from_capsule_um"].to_numpy(np.float64)
    at, no_junction = (compartments.grid, places), _no_junction(view)
    no_depth = CUT_AWAY if np.isfinite(depth).any() else NO_CAPSULE
    _density(
        row, at, "cd45_profile_cmj", known.junction, cell_distance, distance[known.junction],
        settings.distance_bin_um, no_junction,
    )  # fmt: skip
    _density(
        row, at, "cd45_profile_depth", known.capsule, cell_depth, depth[known.capsule], settings.depth_bin_um,
        no_depth,
    )  # fmt: skip
    outer = known.junction & known.capsule & view.cortex
    with np.errstate(invalid="ignore", divide="ignore"):
        fraction = depth[outer] / (depth[outer] + np.abs(distance[outer]))
        cell_fraction = cell_depth / (cell_depth + np.abs(cell_distance))
    # a cell's own distance may lie a hair beyond the junction; it stays in the outermost bin
    cell_fraction = np.clip(cell_fraction, 0, np.nextafter(1, 0))
    why = no_depth if known.junction.any() else no_junction
    _density(row, at, "cd45_profile_capsule_fraction", outer, cell_fraction, fraction, FRACTION_BIN, why)


def _along_axis(row: Row, view: SectionView, known: _Known, places: CellPlaces) -> None:
    compartments, inside = view.compartments, places.parenchyma
    axis = section_axis(compartments, view.settings)
    names, at = ("cd45_profile_cma", "cd45_profile_cma_quantile"), (compartments.grid, places)
    border = border_distance_um(compartments.tissue, view.pixel_um)
    cut = bool(np.isfinite(border).any())
    distance, depth = np.abs(compartments.distance_to_cmj_um), compartments.depth_from_capsule_um
    where = view.parenchyma & (np.fmax(distance, depth) <= border) if cut else view.parenchyma
    values = {
        n: axis.grid.at(v, places.y[inside], places.x[inside]) for n, v in (("2", axis.cma2), ("3", axis.cma3))
    }
    for name, reason in (("2", axis.reason2), ("3", axis.reason3)):
        median = math.nan if reason or not inside.any() else float(np.nanmedian(values[name]))
        row.put(f"cd45_median_cma{name}", median, reason or NO_CELLS)
    if axis.reason3 or not where.any():
        why = axis.reason3 or CUT_AWAY
        row.put("cd45_cma3_quantile", math.nan, why)
        for name in names:
            row.no_curve(name, why)
        return
    cma = axis.grid.over(axis.cma3, where)
    cell_cma = np.full(len(inside), np.nan)
    cell_cma[inside] = values["3"]
    _density(row, at, names[0], where, cell_cma, cma, view.settings.cma_bin, CUT_AWAY)
    cell_rank = quantile_in(cell_cma, cma)
    _density(row, at, names[1], where, cell_rank, quantile_among(cma), FRACTION_BIN, CUT_AWAY)
    counted = cell_rank[inside & places.on(where)]
    row.put("cd45_cma3_quantile", float(counted.mean()) if counted.size else math.nan, NO_CELLS)


def _density(
    row: Row,
    grid_and_places: tuple[Grid, CellPlaces],
    name: str,
    where: Mask,
    at_cell: npt.NDArray[np.float64],
    at_pixel: npt.NDArray[np.floating],
    width: float,
    why: str,
) -> None:
    """Write the cells per tissue area of a part of the parenchyma along a coordinate, given at cells and pixels."""
    grid, places = grid_and_places
    if not where.any():
        row.no_curve(name, why)
        return
    which = places.parenchyma & places.on(where)
    found = density_profile(at_cell[which], at_pixel, grid.pixel_area_mm2, width)
    row.curve(name, found.x, found.density, low=found.density_low, high=found.density_high, weight=found.area_mm2)


def _no_junction(view: SectionView) -> str:
    if np.isfinite(view.compartments.distance_to_cmj_um).any():
        return CUT_AWAY
    return view.compartments.reasons.get("junction", "there is no corticomedullary junction")

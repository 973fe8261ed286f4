"""Measure one section: every declared column, and the reason of every undefined one."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from thymusimg.compartments.model import Compartment
from thymusimg.measurements.columns import columns
from thymusimg.measurements.compartment_rows import compartment_rows
from thymusimg.measurements.cortex import local_thickness_um, measure_capsule
from thymusimg.measurements.organisation import find_islets, measure_coexpression, segregation_index
from thymusimg.measurements.placing import cell_places
from thymusimg.measurements.repopulation import density_per_mm2, log_ratio
from thymusimg.measurements.row import Row
from thymusimg.measurements.sharpness import junction_sharpness
from thymusimg.measurements.spatial import EVENNESS_TILE_UM, measure_evenness, saturated_share
from thymusimg.measurements.tiling import lay_tiles

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from thymusimg.cells.model import Cells
    from thymusimg.compartments.model import Compartments
    from thymusimg.section.model import FloatPlane, Section
    from thymusimg.settings import MeasurementSettings

Values = npt.NDArray[np.float64]

NO_PARENCHYMA = "no parenchyma (cortex, medulla or indeterminate) was found"
NO_CORTEX = "no cortex was found"
NO_MEDULLA = "no medulla was found"
NO_CONTROLS = "no section is marked negative_control"
NO_CELLS = "no human CD45+ cell was found in the parenchyma"


@dataclass(frozen=True)
class Measured:
    """The numbers of a section.

    Attributes
    ----------
    section : dict
        One value for every declared column of ``sections.csv``; NaN where undefined.
    reasons : dict of str to str
        Why, for every column that is NaN.
    compartments : DataFrame
        The section's rows of ``compartments.csv``.
    """

    section: dict[str, object]
    reasons: dict[str, str]
    compartments: pd.DataFrame


def measure_section(
    section: Section,
    compartments: Compartments,
    planes: Mapping[str, FloatPlane],
    cells: Cells | None,
    settings: MeasurementSettings,
    *,
    cells_reason: str = "",
) -> Measured:
    """Measure a section: reorganisation (R) and repopulation (P).

    Parameters
    ----------
    section : Section
    compartments : Compartments
    planes : mapping of str to (Y, X) float32
        Corrected planes by role on the compartments' grid. K8 and K14 may be missing: what needs them is undefined.
    cells : Cells or None
        Assigned cells; None when they were not looked for.
    settings : MeasurementSettings
    cells_reason : str
        Why ``cells`` is None.

    Returns
    -------
    Measured
    """
    work = _Work(compartments, planes, settings)
    row = Row()
    _describe(row, section, compartments, cells)
    _areas(row, work)
    _islets(row, work)
    _junction(row, work)
    _stains(row, work)
    _cortex(row, work)
    if cells is None:
        why = cells_reason or "cells were not looked for"
        for column in columns("sections"):
            if column.name not in row.values:
                row.put(column.name, math.nan, why)
    else:
        _cells(row, work, cells)
    ordered = {column.name: row.values[column.name] for column in columns("sections")}
    table = compartment_rows(section.subject, compartments, planes, cells, cells_reason)
    return Measured(ordered, row.reasons, table)


class _Work:
    """What the measurements share."""

    def __init__(
        self, compartments: Compartments, planes: Mapping[str, FloatPlane], settings: MeasurementSettings
    ) -> None:
        self.compartments, self.planes, self.settings = compartments, planes, settings
        self.pixel_um = compartments.grid.pixel_um
        self.cortex = compartments.mask(Compartment.CORTEX)
        self.medulla = compartments.mask(Compartment.MEDULLA)
        self.parenchyma = compartments.mask()
        to_mm2 = compartments.grid.pixel_area_mm2
        self.cortex_mm2 = np.count_nonzero(self.cortex) * to_mm2
        self.medulla_mm2 = np.count_nonzero(self.medulla) * to_mm2
        self.parenchyma_mm2 = np.count_nonzero(self.parenchyma) * to_mm2


def _describe(row: Row, section: Section, compartments: Compartments, cells: Cells | None) -> None:
    for name, value in asdict(section.subject).items():
        row.put(name, value)
    row.put("pixel_size_um", section.pixel_size_um)
    row.put("grid_pixel_um", compartments.grid.pixel_um)
    for role in ("k14", "k8", "cd45"):
        row.put(f"{role}_marker", section.markers.get(role, ""))
    row.put("compartments_method", compartments.method)
    row.put("cells_method", cells.method if cells is not None else "none")


def _areas(row: Row, work: _Work) -> None:
    compartments = work.compartments
    tissue_px = int(np.count_nonzero(compartments.analysable))
    other_px = max(tissue_px - int(np.count_nonzero(work.parenchyma)), 0)
    tissue = tissue_px * compartments.grid.pixel_area_mm2
    areas = {
        "cortex": work.cortex_mm2,
        "medulla": work.medulla_mm2,
        "indeterminate": compartments.area_mm2(Compartment.INDETERMINATE),
        "cyst": compartments.area_mm2(Compartment.CYST),
        # all that is analysable and no parenchyma, so that the shares sum to 1 whatever the labels leave out
        "other": other_px * compartments.grid.pixel_area_mm2,
    }
    row.put("tissue_area_mm2", tissue)
    row.put("parenchyma_area_mm2", work.parenchyma_mm2)
    row.put("artefact_area_mm2", compartments.area_mm2(Compartment.ARTEFACT))
    whole = tissue + areas["cyst"]
    for name, area in areas.items():
        row.put(f"{name}_area_mm2", area)
        row.put(f"{name}_share", _over(area, whole), "no analysable tissue was found")
    both = work.cortex_mm2 + work.medulla_mm2
    row.put("medulla_fraction", _over(work.medulla_mm2, both), "neither cortex nor medulla was found")


def _islets(row: Row, work: _Work) -> None:
    settings = work.settings
    islets = find_islets(
        work.medulla,
        work.pixel_um,
        min_area_um2=settings.islet_min_area_um2,
        closing_um=settings.islet_closing_um,
    )
    small = f"no medullary islet of at least {settings.islet_min_area_um2:,.0f} µm² was found"
    why = small if work.medulla_mm2 > 0 else NO_MEDULLA
    row.put("islet_count", islets.count)
    row.put("islets_per_mm2", _over(islets.count, work.parenchyma_mm2), NO_PARENCHYMA)
    row.put("islets_at_border", int(islets.at_border.sum()))
    row.put("largest_islet_share", islets.largest_share, why)
    row.put("islet_effective_number", islets.effective_number, why)
    cut = "every islet is cut by the border of the image"
    row.put("islet_median_area_um2", islets.median_area_um2, cut if islets.count else why)


def _junction(row: Row, work: _Work) -> None:
    compartments, settings = work.compartments, work.settings
    lines = [compartments.grid.to_index(line) for line in compartments.junction_um]
    length_mm = sum(float(np.hypot(*np.diff(line, axis=0).T).sum()) for line in lines) * work.pixel_um * 1e-3
    if not lines:
        length_mm = math.nan
    missing = NO_CORTEX if work.cortex_mm2 == 0 else NO_MEDULLA if work.medulla_mm2 == 0 else ""
    no_line = compartments.reasons.get("junction") or missing or "cortex and medulla do not touch"
    row.put("cmj_length_mm", length_mm, no_line)
    row.put("cmj_density_mm_per_mm2", _over(length_mm, work.parenchyma_mm2), no_line)
    k14 = work.planes.get("k14")
    names = ("cmj_width_um", "cmj_width_q25_um", "cmj_width_q75_um", "cmj_contrast", "cmj_fit_r2")
    if k14 is None or not lines:
        why = no_line if not lines else _no_stain("k14")
        row.put_all(dict.fromkeys((*names, "cmj_profiled_length_mm"), math.nan), why)
        return
    sharp = junction_sharpness(
        k14,
        work.medulla,
        work.cortex,
        lines,
        work.pixel_um,
        half_length_um=settings.profile_half_length_um,
        min_length_um=settings.profile_min_length_um,
        psf_sigma_um=settings.psf_sigma_um,
    )
    reach, least = settings.profile_half_length_um, settings.profile_min_length_um
    why = f"other boundaries lie within {reach:g} µm: {sharp.profiled_mm * 1e3:.0f} µm of junction have a profile"
    if math.isfinite(sharp.fitted_share):
        why = f"K14 does not step at the junction: an edge fits on {sharp.fitted_share:.0%} of the profiles"
    why += f"; at least {least:g} µm are needed"
    row.put_all(dict(zip(names, sharp[:5], strict=True)), why)
    row.put("cmj_profiled_length_mm", sharp.profiled_mm)


def _stains(row: Row, work: _Work) -> None:
    settings = work.settings
    names = ("double_positive_fraction", "double_positive_area_mm2", "keratin_positive_area_mm2")
    every = (*names, "segregation_index_50um")
    k8, k14 = work.planes.get("k8"), work.planes.get("k14")
    if k8 is None or k14 is None:
        why = _no_stain("k8" if k8 is None else "k14")
        row.put_all(dict.fromkeys(every, math.nan), why)
        return
    if work.parenchyma_mm2 == 0:
        row.put_all(dict.fromkeys(every, math.nan), NO_PARENCHYMA)
        return
    found = measure_coexpression(
        k8, k14, work.parenchyma, work.compartments.tissue, work.pixel_um, sigma_um=settings.coexpression_sigma_um
    )
    values = (found.double_positive_fraction, found.both_mm2, found.either_mm2)
    row.put_all(dict(zip(names, values, strict=True)), "neither K8 nor K14 is above background in the parenchyma")
    index = segregation_index(k8, k14, work.parenchyma, work.pixel_um, min_coverage=settings.tile_min_coverage)
    why = "one stain is empty or dominates everywhere, or no 50 µm tile holds enough parenchyma"
    row.put("segregation_index_50um", index, why)


def _cortex(row: Row, work: _Work) -> None:
    settings = work.settings
    thickness = local_thickness_um(work.cortex, work.pixel_um)
    row.put("cortical_thickness_um", thickness, NO_CORTEX)
    capsule = measure_capsule(
        work.compartments.tissue,
        work.cortex,
        work.parenchyma,
        work.pixel_um,
        depth_um=settings.capsule_depth_um,
        sigma_um=settings.contour_sigma_um,
    )
    row.put("capsule_length_mm", capsule.length_mm)
    row.put("covered_capsule_length_mm", capsule.covered_mm)
    coverage, why = capsule.cortical_coverage, "the image holds no outer edge of the tissue"
    if work.parenchyma_mm2 == 0:
        coverage, why = math.nan, NO_PARENCHYMA
    row.put("cortical_coverage", coverage, why)


def _cells(row: Row, work: _Work, cells: Cells) -> None:
    places = cell_places(cells, work.compartments)
    inside = places.parenchyma
    counts = {
        "": (int(inside.sum()), work.parenchyma_mm2, NO_PARENCHYMA),
        "_cortex": (places.count(Compartment.CORTEX), work.cortex_mm2, NO_CORTEX),
        "_medulla": (places.count(Compartment.MEDULLA), work.medulla_mm2, NO_MEDULLA),
    }
    masks = {"": work.parenchyma, "_cortex": work.cortex, "_medulla": work.medulla}
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
        why = work.compartments.reasons.get("junction", "the distance is undefined") if inside.any() else NO_CELLS
        row.put(column[name], float(np.median(known)) if known.size else math.nan, why)
    _spread(row, work, cells, places.y[inside], places.x[inside])
    # known only when the whole study is: the batch fills it in
    row.put("cd45_false_cells_per_mm2", cells.gate.false_cells_per_mm2, cells.gate.false_reason or NO_CONTROLS)


def _spread(row: Row, work: _Work, cells: Cells, y: Values, x: Values) -> None:
    settings = work.settings
    names = ("cd45_excess_gini", "cd45_empty_tile_fraction", "cd45_saturated_share", "cd45_count_reliable")
    if work.parenchyma_mm2 == 0:
        row.put_all(dict.fromkeys(names, math.nan), NO_PARENCHYMA)
        return
    tiles = lay_tiles(work.parenchyma, EVENNESS_TILE_UM / work.pixel_um)
    kept = tiles.covered(settings.tile_min_coverage)
    evenness = measure_evenness(tiles.count(y, x)[kept], tiles.area[kept])
    no_tile = f"no tile of {EVENNESS_TILE_UM:g} µm holds enough parenchyma"
    row.put("cd45_excess_gini", evenness.excess_gini, NO_CELLS if evenness.tiles else no_tile)
    row.put("cd45_empty_tile_fraction", evenness.empty_tile_fraction, no_tile)
    small = lay_tiles(work.parenchyma, settings.coverage_tile_um / work.pixel_um)
    positive = np.where(work.parenchyma, cells.positive_fraction, np.float32(0))
    share = saturated_share(positive, small, limit=settings.coverage_limit, min_coverage=settings.tile_min_coverage)
    no_tile = f"no tile of {settings.coverage_tile_um:g} µm holds enough parenchyma"
    row.put("cd45_saturated_share", share, no_tile)
    reliable = math.nan if math.isnan(share) else share <= settings.coverage_share
    row.put("cd45_count_reliable", reliable, no_tile)


def _over(above: float, below: float) -> float:
    return above / below if below > 0 else math.nan


def _no_stain(role: str) -> str:
    return f"no {role.upper()} channel was given"

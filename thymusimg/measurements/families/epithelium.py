"""How large and bright the cells are, the cells in clumps, and epithelium without thymocytes (P10, P11)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from thymusimg.measurements.families.declare import PARENCHYMA_AREA, declare, declare_area
from thymusimg.measurements.population.clumps import measure_clumps
from thymusimg.measurements.population.epithelium import free_epithelium
from thymusimg.measurements.schema import Column, Ratio, Sum, WeightedMean
from thymusimg.measurements.smoothing import smooth_to
from thymusimg.measurements.view import NO_CELLS, NO_PARENCHYMA, no_stain, over

if TYPE_CHECKING:
    from thymusimg.cells.model import Cells
    from thymusimg.measurements.population.placing import CellPlaces
    from thymusimg.measurements.row import Row
    from thymusimg.measurements.view import SectionView

_FREE = "P11; Kousa et al. 2024"
_QUARTILES = (("median", 0.5), ("q25", 0.25), ("q75", 0.75))
_OF_CELLS = (
    ("cd45_cell_area", "area_um2", "µm²", "Area"),
    ("cd45_cell_intensity", "mean_cd45", "intensity", "Mean CD45"),
)


def _quartiles(name: str, unit: str, what: str) -> tuple[Column, ...]:
    words = {"median": "Median", "q25": "Lower quartile", "q75": "Upper quartile"}
    end = "_um2" if unit == "µm²" else ""
    return tuple(
        declare(
            f"{name}_{part}{end}",
            unit,
            f"{words[part]} over the parenchyma's CD45+ cell profiles: {what.lower() if what == 'Area' else what}",
            "P10",
            WeightedMean("cd45_count") if part == "median" else None,
            "log",
        )
        for part, _ in _QUARTILES
    )


COLUMNS = (
    *(column for name, _, unit, what in _OF_CELLS for column in _quartiles(name, unit, what)),
    declare(
        "cd45_clumped_share",
        "fraction",
        "Share of the parenchyma's CD45+ cells that share a connected CD45+ patch with another cell",
        "P10",
        WeightedMean("cd45_count"),
        "logit",
        "0-1",
    ),
    declare(
        "cd45_single_area_um2",
        "µm²",
        "Median CD45+ area of patches that hold one cell",
        "P10",
        WeightedMean("cd45_count"),
        "log",
    ),
    declare(
        "cd45_estimated_cells",
        "cells",
        "Single cells + CD45+ area of clumps / cd45_single_area_um2: an estimate for the parenchyma, no count",
        "P10",
        Sum(),
        "log",
    ),
    declare(
        "cd45_estimated_density_per_mm2",
        "1/mm²",
        "cd45_estimated_cells per mm² of parenchyma: an estimate, no count",
        "P10",
        Ratio("cd45_estimated_cells", PARENCHYMA_AREA),
        "log",
    ),
    declare_area(
        "dense_epithelium_area_mm2", "Parenchyma in 50 µm tiles of which at least 0.6 is K8+ or K14+", "P11"
    ),
    declare_area(
        "cd45_free_epithelium_area_mm2",
        "dense_epithelium_area_mm2 in tiles with less than 1 % CD45+ area: epithelium without human thymocytes",
        _FREE,
    ),
    declare(
        "cd45_free_epithelium_fraction",
        "fraction",
        "cd45_free_epithelium_area_mm2 / parenchyma",
        _FREE,
        Ratio("cd45_free_epithelium_area_mm2", PARENCHYMA_AREA),
        "logit",
        "0-1",
    ),
)
_EPITHELIUM = ("dense_epithelium_area_mm2", "cd45_free_epithelium_area_mm2", "cd45_free_epithelium_fraction")


def measure(row: Row, view: SectionView) -> None:
    """Fill in the columns of this family."""
    _epithelium(row, view)
    if view.cells is not None and view.places is not None:
        _sizes(row, view.cells, view.places)
        _clumps(row, view, view.cells, view.places)


def _sizes(row: Row, cells: Cells, places: CellPlaces) -> None:
    for name, column, unit, what in _OF_CELLS:
        known = column in cells.table
        values = cells.table[column].to_numpy(np.float64)[places.parenchyma] if known else np.zeros(0)
        why = NO_CELLS if known else f"{what} of the cells was not measured"
        for part, level in _QUARTILES:
            value = float(np.quantile(values, level)) if values.size else math.nan
            row.put(f"{name}_{part}{'_um2' if unit == 'µm²' else ''}", value, why)


def _clumps(row: Row, view: SectionView, cells: Cells, places: CellPlaces) -> None:
    inside = places.parenchyma
    names = ("cd45_clumped_share", "cd45_single_area_um2", "cd45_estimated_cells", "cd45_estimated_density_per_mm2")
    if not inside.any():
        row.put_all(dict.fromkeys(names[:2], math.nan), NO_CELLS)
        row.put(names[2], 0.0)
        row.put(names[3], over(0.0, view.parenchyma_mm2), NO_PARENCHYMA)
        return
    positive = np.where(view.parenchyma, cells.positive_fraction, np.float32(0))
    found = measure_clumps(positive, places.y[inside], places.x[inside], view.pixel_um)
    least = view.settings.clump_min_singles
    enough = found.singles >= least
    why = f"{found.singles} single cells; {least} are needed to say how large one is"
    row.put("cd45_clumped_share", over(found.clumped, found.clumped + found.singles))
    row.put("cd45_single_area_um2", found.single_area_um2 if enough else math.nan, why)
    estimated = found.estimated if enough or not found.clumped else math.nan
    row.put("cd45_estimated_cells", estimated, why)
    row.put("cd45_estimated_density_per_mm2", over(estimated, view.parenchyma_mm2), why)


def _epithelium(row: Row, view: SectionView) -> None:
    k8, k14, settings = view.planes.get("k8"), view.planes.get("k14"), view.settings
    dense, *free = _EPITHELIUM
    columns = (dense, *(free if view.cells is not None else ()))
    if k8 is None or k14 is None or view.parenchyma_mm2 == 0:
        missing = no_stain("k8" if k8 is None else "k14")
        row.put_all(dict.fromkeys(columns, math.nan), missing if k8 is None or k14 is None else NO_PARENCHYMA)
        return
    sigma = settings.coexpression_sigma_um
    cuts = view.coexpression
    keratin = smooth_to(k8, sigma, view.pixel_um) > cuts.k8_threshold
    keratin |= smooth_to(k14, sigma, view.pixel_um) > cuts.k14_threshold
    found = free_epithelium(
        keratin,
        np.zeros(keratin.shape, np.float32) if view.cells is None else view.cells.positive_fraction,
        view.parenchyma,
        settings.epithelium_tile_um / view.pixel_um,
        dense_share=settings.epithelium_dense_share,
        empty_fraction=settings.epithelium_empty_fraction,
        min_coverage=settings.tile_min_coverage,
    )
    pixel_mm2 = view.compartments.grid.pixel_area_mm2
    free_mm2 = found.free_px * pixel_mm2
    values = (found.dense_px * pixel_mm2, free_mm2, free_mm2 / view.parenchyma_mm2)
    why = f"no tile of {settings.epithelium_tile_um:g} µm holds enough parenchyma"
    row.put_all(dict(zip(columns, values, strict=False)), why)

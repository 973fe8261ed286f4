"""How the medulla is divided into islets (R2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thymusimg.measurements.families.declare import PARENCHYMA_AREA, declare
from thymusimg.measurements.schema import Curve, Ratio, Sum, WeightedMean
from thymusimg.measurements.shapes.islets import find_islets
from thymusimg.measurements.view import NO_MEDULLA, NO_PARENCHYMA, over

if TYPE_CHECKING:
    from thymusimg.measurements.row import Row
    from thymusimg.measurements.view import SectionView


COLUMNS = (
    declare(
        "islet_count",
        "count",
        "Medullary islets of at least 1,500 µm² (8-connected after closing gaps up to 10 µm); those that the "
        "image's border cuts are counted",
        "R2",
        Sum(),
        "log",
        dtype="int",
    ),
    declare(
        "islets_per_mm2",
        "1/mm²",
        "islet_count per mm² of parenchyma",
        "R2",
        Ratio("islet_count", PARENCHYMA_AREA),
        "log",
    ),
    declare(
        "islets_at_border",
        "count",
        "Islets that the image's border cuts: their area counts, their size does not",
        "R2",
        Sum(),
        dtype="int",
    ),
    declare(
        "islet_median_area_um2",
        "µm²",
        "Median area of the islets that the image's border does not cut",
        "R2",
        WeightedMean("medulla_area_mm2"),
        "log",
    ),
    declare(
        "largest_islet_share",
        "fraction",
        "Area of the largest islet / area of all islets",
        "R2",
        WeightedMean("medulla_area_mm2"),
        "logit",
        "0-1",
    ),
    declare(
        "islet_effective_number",
        "islets",
        "(ΣA)² / ΣA² over the islets: their number if all were equally large",
        "R2",
        WeightedMean("medulla_area_mm2"),
        "log",
        "≥ 1",
    ),
    declare(
        "islet_isoperimetric_ratio",
        "ratio",
        "Median over the islets that the image's border does not cut of P² / (4πA) of their outer outline, "
        "smoothed at 5 µm; a disc has 1",
        "R4",
        WeightedMean("medulla_area_mm2"),
        "log",
        "≥ 1",
    ),
)

SWEEP_UM2 = (750.0, 1500.0, 3000.0)
"""Least areas at which the islets are counted again: no conclusion should hang on the cut."""


def _sweep(name: str, unit: str, what: str) -> Curve:
    return Curve(name, "least area", "µm²", unit, f"{what}, by the least area that counts as an islet", "R2")


CURVES = (
    _sweep("islets_per_mm2_by_area", "1/mm²", "Medullary islets per mm² of parenchyma"),
    _sweep("largest_islet_share_by_area", "fraction", "Area of the largest islet / area of all islets"),
    _sweep("islet_effective_number_by_area", "islets", "(ΣA)² / ΣA² over the islets"),
)


def measure(row: Row, view: SectionView) -> None:
    """Fill in the columns of this family."""
    settings = view.settings
    least = settings.islet_min_area_um2
    every = find_islets(
        view.medulla,
        view.pixel_um,
        min_area_um2=min(least, *SWEEP_UM2),
        closing_um=settings.islet_closing_um,
    )
    islets = every.at_least(least)
    small = f"no medullary islet of at least {least:,.0f} µm² was found"
    why = small if view.medulla_mm2 > 0 else NO_MEDULLA
    row.put("islet_count", islets.count)
    row.put("islets_per_mm2", over(islets.count, view.parenchyma_mm2), NO_PARENCHYMA)
    row.put("islets_at_border", int(islets.at_border.sum()))
    row.put("largest_islet_share", islets.largest_share, why)
    row.put("islet_effective_number", islets.effective_number, why)
    cut = "every islet is cut by the border of the image"
    row.put("islet_median_area_um2", islets.median_area_um2, cut if islets.count else why)
    row.put("islet_isoperimetric_ratio", islets.median_roundness, cut if islets.count else why)
    swept = [every.at_least(area) for area in SWEEP_UM2]
    per_mm2 = [over(found.count, view.parenchyma_mm2) for found in swept]
    row.curve("islets_per_mm2_by_area", SWEEP_UM2, per_mm2, weight=view.parenchyma_mm2, why=NO_PARENCHYMA)
    why = "no medullary islet of that area was found" if view.medulla_mm2 > 0 else NO_MEDULLA
    shares, numbers = [f.largest_share for f in swept], [f.effective_number for f in swept]
    row.curve("largest_islet_share_by_area", SWEEP_UM2, shares, weight=view.medulla_mm2, why=why)
    row.curve("islet_effective_number_by_area", SWEEP_UM2, numbers, weight=view.medulla_mm2, why=why)

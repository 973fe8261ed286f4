"""How the medulla is divided into islets (R2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thymusimg.measurements.families.declare import PARENCHYMA_AREA, declare
from thymusimg.measurements.organisation import find_islets
from thymusimg.measurements.schema import Ratio, Sum, WeightedMean
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
)


def measure(row: Row, view: SectionView) -> None:
    """Fill in the columns of this family."""
    settings = view.settings
    islets = find_islets(
        view.medulla,
        view.pixel_um,
        min_area_um2=settings.islet_min_area_um2,
        closing_um=settings.islet_closing_um,
    )
    small = f"no medullary islet of at least {settings.islet_min_area_um2:,.0f} µm² was found"
    why = small if view.medulla_mm2 > 0 else NO_MEDULLA
    row.put("islet_count", islets.count)
    row.put("islets_per_mm2", over(islets.count, view.parenchyma_mm2), NO_PARENCHYMA)
    row.put("islets_at_border", int(islets.at_border.sum()))
    row.put("largest_islet_share", islets.largest_share, why)
    row.put("islet_effective_number", islets.effective_number, why)
    cut = "every islet is cut by the border of the image"
    row.put("islet_median_area_um2", islets.median_area_um2, cut if islets.count else why)

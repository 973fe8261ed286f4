"""How Keratin 8 and Keratin 14 share the tissue (R6, R7)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from thymusimg.measurements.families.declare import BY_PARENCHYMA, declare, declare_area
from thymusimg.measurements.organisation import measure_coexpression, segregation_index
from thymusimg.measurements.schema import Ratio
from thymusimg.measurements.view import NO_PARENCHYMA, no_stain

if TYPE_CHECKING:
    from thymusimg.measurements.row import Row
    from thymusimg.measurements.view import SectionView


COLUMNS = (
    declare(
        "double_positive_fraction",
        "fraction",
        "Area(K8+ and K14+) / area(K8+ or K14+) in the parenchyma; positive is above Otsu's threshold of the stain "
        "over the parenchyma, and above three SD of the pixels off the tissue",
        "R6",
        Ratio("double_positive_area_mm2", "keratin_positive_area_mm2"),
        "logit",
        "0-1",
    ),
    declare_area("double_positive_area_mm2", "Parenchyma that is K8+ and K14+", "R6"),
    declare_area("keratin_positive_area_mm2", "Parenchyma that is K8+ or K14+", "R6"),
    declare(
        "segregation_index_50um",
        "fraction",
        "1 - H50 / Hglobal: how much of the mixture of K14- and K8-dominated places is sorted at 50 µm; from the "
        "stains, never from the compartments",
        "R7",
        BY_PARENCHYMA,
        "logit",
        "≤ 1; 0 is unsorted",
    ),
)


def measure(row: Row, view: SectionView) -> None:
    """Fill in the columns of this family."""
    settings = view.settings
    names = ("double_positive_fraction", "double_positive_area_mm2", "keratin_positive_area_mm2")
    every = (*names, "segregation_index_50um")
    k8, k14 = view.planes.get("k8"), view.planes.get("k14")
    if k8 is None or k14 is None:
        why = no_stain("k8" if k8 is None else "k14")
        row.put_all(dict.fromkeys(every, math.nan), why)
        return
    if view.parenchyma_mm2 == 0:
        row.put_all(dict.fromkeys(every, math.nan), NO_PARENCHYMA)
        return
    found = measure_coexpression(
        k8, k14, view.parenchyma, view.compartments.tissue, view.pixel_um, sigma_um=settings.coexpression_sigma_um
    )
    values = (found.double_positive_fraction, found.both_mm2, found.either_mm2)
    row.put_all(dict(zip(names, values, strict=True)), "neither K8 nor K14 is above background in the parenchyma")
    index = segregation_index(k8, k14, view.parenchyma, view.pixel_um, min_coverage=settings.tile_min_coverage)
    why = "one stain is empty or dominates everywhere, or no 50 µm tile holds enough parenchyma"
    row.put("segregation_index_50um", index, why)

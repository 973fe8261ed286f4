"""The areas of the compartments and their shares (R1, R13)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thymusimg.compartments.model import Compartment
from thymusimg.measurements.families.declare import PARENCHYMA_AREA, SECTION, declare, declare_area
from thymusimg.measurements.schema import Column, Ratio
from thymusimg.measurements.view import over

if TYPE_CHECKING:
    from thymusimg.measurements.row import Row
    from thymusimg.measurements.view import SectionView


def _share(name: str, of: str) -> Column:
    definition = f"{of}, as a share of tissue and cyst lumen together; the five shares sum to 1"
    return declare(
        name, "fraction", definition, "R1", Ratio(name.replace("_share", "_area_mm2"), SECTION), "logit", "0-1"
    )


COLUMNS = (
    declare_area("tissue_area_mm2", "Analysable tissue: all tissue without artefact and cyst lumen"),
    declare_area(
        PARENCHYMA_AREA, "Cortex, medulla and indeterminate together: what densities and area fractions are per"
    ),
    declare_area("cortex_area_mm2", "Cortex"),
    declare_area("medulla_area_mm2", "Medulla"),
    declare_area("indeterminate_area_mm2", "Parenchyma that is neither cortex nor medulla"),
    declare_area("cyst_area_mm2", "Cysts and voids", "R13"),
    declare_area("other_area_mm2", "Tissue that is no parenchyma: capsule, septa, vessels"),
    declare_area("artefact_area_mm2", "Folds, tears, debris: left out of every measurement"),
    declare(
        "medulla_fraction",
        "fraction",
        "Medulla / (cortex + medulla), by area",
        "R1",
        Ratio("medulla_area_mm2", ("cortex_area_mm2", "medulla_area_mm2")),
        "logit",
        "0-1",
    ),
    _share("cortex_share", "Cortex"),
    _share("medulla_share", "Medulla"),
    _share("indeterminate_share", "Indeterminate parenchyma"),
    _share("cyst_share", "Cysts and voids"),
    _share("other_share", "Capsule, septa and vessels"),
)


def measure(row: Row, view: SectionView) -> None:
    """Fill in the columns of this family."""
    compartments = view.compartments
    tissue_px = int(np.count_nonzero(compartments.analysable))
    other_px = max(tissue_px - int(np.count_nonzero(view.parenchyma)), 0)
    tissue = tissue_px * compartments.grid.pixel_area_mm2
    areas = {
        "cortex": view.cortex_mm2,
        "medulla": view.medulla_mm2,
        "indeterminate": compartments.area_mm2(Compartment.INDETERMINATE),
        "cyst": compartments.area_mm2(Compartment.CYST),
        # all that is analysable and no parenchyma, so that the shares sum to 1 whatever the labels leave out
        "other": other_px * compartments.grid.pixel_area_mm2,
    }
    row.put("tissue_area_mm2", tissue)
    row.put("parenchyma_area_mm2", view.parenchyma_mm2)
    row.put("artefact_area_mm2", compartments.area_mm2(Compartment.ARTEFACT))
    whole = tissue + areas["cyst"]
    for name, area in areas.items():
        row.put(f"{name}_area_mm2", area)
        row.put(f"{name}_share", over(area, whole), "no analysable tissue was found")
    both = view.cortex_mm2 + view.medulla_mm2
    row.put("medulla_fraction", over(view.medulla_mm2, both), "neither cortex nor medulla was found")

"""The cortex: thickness and coverage (R12)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from thymusimg.compartments.model import Compartment
from thymusimg.measurements.families.declare import declare
from thymusimg.measurements.schema import Ratio, Sum, WeightedMean
from thymusimg.measurements.shapes.cortex import local_thickness_um, measure_capsule
from thymusimg.measurements.shapes.streamline import streamline_thickness
from thymusimg.measurements.view import NO_CORTEX, NO_MEDULLA, NO_PARENCHYMA

if TYPE_CHECKING:
    from thymusimg.measurements.row import Row
    from thymusimg.measurements.view import SectionView


COLUMNS = (
    declare(
        "cortical_thickness_um",
        "µm",
        "Median over the cortex of the local thickness (diameter of the largest inscribed disc around a place)",
        "R12; Hildebrand & Rüegsegger 1997",
        WeightedMean("cortex_area_mm2"),
        "log",
    ),
    declare(
        "cortical_coverage",
        "fraction",
        "Share of the capsule's length under which, within 60 µm, the nearest parenchyma is cortex",
        "R12",
        Ratio("covered_capsule_length_mm", "capsule_length_mm"),
        "logit",
        "0-1",
    ),
    declare(
        "capsule_length_mm", "mm", "Length of the tissue's outer outline, smoothed at 10 µm", "R12", Sum(), "log"
    ),
    declare("covered_capsule_length_mm", "mm", "Length of the capsule with cortex under it", "R12", Sum(), "log"),
    declare(
        "cortical_streamline_thickness_um",
        "µm",
        "Median over the cortex of the length of the streamline through a place, from capsule or septum to medulla",
        "R12; Yezzi & Prince 2003",
        WeightedMean("cortex_area_mm2"),
        "log",
    ),
    declare(
        "cortical_streamline_iqr_um",
        "µm",
        "Interquartile range of the streamlines' length over the cortex",
        "R12",
        WeightedMean("cortex_area_mm2"),
        "log",
    ),
    declare(
        "cortical_streamline_share",
        "fraction",
        "Share of the cortex that lies between capsule and medulla: only there is a streamline",
        "R12",
        WeightedMean("cortex_area_mm2"),
        "logit",
        "0-1",
    ),
)


def measure(row: Row, view: SectionView) -> None:
    """Fill in the columns of this family."""
    settings = view.settings
    thickness = local_thickness_um(view.cortex, view.pixel_um)
    row.put("cortical_thickness_um", thickness, NO_CORTEX)
    capsule = measure_capsule(
        view.compartments.tissue,
        view.cortex,
        view.parenchyma,
        view.pixel_um,
        depth_um=settings.capsule_depth_um,
        sigma_um=settings.contour_sigma_um,
    )
    row.put("capsule_length_mm", capsule.length_mm)
    row.put("covered_capsule_length_mm", capsule.covered_mm)
    coverage, why = capsule.cortical_coverage, "the image holds no outer edge of the tissue"
    if view.parenchyma_mm2 == 0:
        coverage, why = math.nan, NO_PARENCHYMA
    row.put("cortical_coverage", coverage, why)
    lines = streamline_thickness(
        view.compartments.tissue,
        view.parenchyma,
        view.cortex,
        view.medulla,
        view.pixel_um,
        closed=view.compartments.mask(Compartment.CYST, Compartment.ARTEFACT),
    )
    missing = NO_CORTEX if view.cortex_mm2 == 0 else NO_MEDULLA if view.medulla_mm2 == 0 else ""
    why = missing or "no piece of cortex touches both capsule and medulla"
    row.put("cortical_streamline_thickness_um", lines.median_um, why)
    row.put("cortical_streamline_iqr_um", lines.q75_um - lines.q25_um, why)
    row.put("cortical_streamline_share", lines.share, NO_CORTEX)

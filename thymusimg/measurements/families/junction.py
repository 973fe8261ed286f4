"""The corticomedullary junction: length and sharpness (R3, R5)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from thymusimg.measurements.families.declare import PARENCHYMA_AREA, declare
from thymusimg.measurements.schema import Ratio, Sum, WeightedMean
from thymusimg.measurements.sharpness import junction_sharpness
from thymusimg.measurements.view import NO_CORTEX, NO_MEDULLA, no_stain, over

if TYPE_CHECKING:
    from thymusimg.measurements.row import Row
    from thymusimg.measurements.view import SectionView


COLUMNS = (
    declare(
        "cmj_length_mm",
        "mm",
        "Length of the corticomedullary junction (cortex-medulla border only)",
        "R3",
        Sum(),
        "log",
    ),
    declare(
        "cmj_density_mm_per_mm2",
        "mm/mm²",
        "cmj_length_mm per mm² of parenchyma",
        "R3",
        Ratio("cmj_length_mm", PARENCHYMA_AREA),
        "log",
    ),
    declare(
        "cmj_width_um",
        "µm",
        "10-90 % width of the junction, 2.563 s: median over places on the junction of the error function fitted "
        "to the K14 profile across it, corrected for sampling",
        "R5",
        WeightedMean("cmj_profiled_length_mm"),
        "log",
    ),
    declare("cmj_width_q25_um", "µm", "Lower quartile of cmj_width_um over the places", "R5"),
    declare("cmj_width_q75_um", "µm", "Upper quartile of cmj_width_um over the places", "R5"),
    declare(
        "cmj_contrast",
        "fraction",
        "Median over the places of h / (b + h): the step of K14 over its medullary plateau",
        "R5",
        WeightedMean("cmj_profiled_length_mm"),
        "identity",
        "≤ 1 when the cortical plateau is not negative",
    ),
    declare("cmj_fit_r2", "fraction", "Median R² of the fitted profiles", "R5", interval="0-1"),
    declare(
        "cmj_profiled_length_mm", "mm", "Length of junction whose K14 profile could be taken", "R5", Sum(), "log"
    ),
)


def measure(row: Row, view: SectionView) -> None:
    """Fill in the columns of this family."""
    compartments, settings = view.compartments, view.settings
    lines = [compartments.grid.to_index(line) for line in compartments.junction_um]
    length_mm = sum(float(np.hypot(*np.diff(line, axis=0).T).sum()) for line in lines) * view.pixel_um * 1e-3
    if not lines:
        length_mm = math.nan
    missing = NO_CORTEX if view.cortex_mm2 == 0 else NO_MEDULLA if view.medulla_mm2 == 0 else ""
    no_line = compartments.reasons.get("junction") or missing or "cortex and medulla do not touch"
    row.put("cmj_length_mm", length_mm, no_line)
    row.put("cmj_density_mm_per_mm2", over(length_mm, view.parenchyma_mm2), no_line)
    k14 = view.planes.get("k14")
    names = ("cmj_width_um", "cmj_width_q25_um", "cmj_width_q75_um", "cmj_contrast", "cmj_fit_r2")
    if k14 is None or not lines:
        why = no_line if not lines else no_stain("k14")
        row.put_all(dict.fromkeys((*names, "cmj_profiled_length_mm"), math.nan), why)
        return
    sharp = junction_sharpness(
        k14,
        view.medulla,
        view.cortex,
        lines,
        view.pixel_um,
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

"""The corticomedullary junction: length and sharpness (R3, R5)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from thymusimg.measurements.families.declare import PARENCHYMA_AREA, declare
from thymusimg.measurements.schema import Curve, Ratio, Sum, WeightedMean
from thymusimg.measurements.shapes.sharpness import junction_sharpness
from thymusimg.measurements.shapes.tortuosity import divider, tortuosity
from thymusimg.measurements.view import NO_CORTEX, NO_MEDULLA, no_stain, over

if TYPE_CHECKING:
    from thymusimg.measurements.row import Row
    from thymusimg.measurements.shapes.polyline import Line
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
    declare(
        "cmj_per_medulla_mm_per_mm2",
        "mm/mm²",
        "cmj_length_mm per mm² of medulla; 2 / radius for a round medulla wholly in cortex",
        "R3",
        Ratio("cmj_length_mm", "medulla_area_mm2"),
        "log",
    ),
    declare(
        "cmj_tortuosity",
        "ratio",
        "Length of the junction / its length smoothed along itself at 80 µm, over the pieces long enough for that; "
        "a straight line and a circle have 1",
        "R4",
        WeightedMean("cmj_length_mm"),
        "log",
        "about ≥ 1",
    ),
    declare(
        "cmj_fractal_dimension",
        "dimension",
        "1 − slope of ln(length walked) over ln(stride), strides of 10 to 160 µm; 1 for a smooth line. The "
        "junction itself is smoothed at 10 µm, which flattens the finest strides",
        "R3; Richardson 1961",
        WeightedMean("cmj_length_mm"),
        "identity",
        "about 1-2",
    ),
    declare("cmj_fractal_r2", "fraction", "R² of the line behind cmj_fractal_dimension", "R3", interval="0-1"),
)

CURVES = (
    Curve(
        "cmj_length_by_stride",
        "stride",
        "µm",
        "mm/mm²",
        "Length of the junction walked in strides (pieces of at least 480 µm only), per mm² of parenchyma",
        "R3; Richardson 1961",
    ),
)


def measure(row: Row, view: SectionView) -> None:
    """Fill in the columns of this family."""
    compartments = view.compartments
    lines = [compartments.grid.to_index(line) for line in compartments.junction_um]
    length_mm = sum(float(np.hypot(*np.diff(line, axis=0).T).sum()) for line in lines) * view.pixel_um * 1e-3
    if not lines:
        length_mm = math.nan
    missing = NO_CORTEX if view.cortex_mm2 == 0 else NO_MEDULLA if view.medulla_mm2 == 0 else ""
    no_line = compartments.reasons.get("junction") or missing or "cortex and medulla do not touch"
    row.put("cmj_length_mm", length_mm, no_line)
    row.put("cmj_density_mm_per_mm2", over(length_mm, view.parenchyma_mm2), no_line)
    row.put("cmj_per_medulla_mm_per_mm2", over(length_mm, view.medulla_mm2), no_line)
    _winding(row, view, no_line)
    _sharpness(row, view, lines, no_line)


def _winding(row: Row, view: SectionView, no_line: str) -> None:
    lines = view.compartments.junction_um
    winding = tortuosity(lines)
    short = no_line if not lines else "every piece of the junction is too short to be smoothed at 80 µm"
    row.put("cmj_tortuosity", winding.ratio, short)
    walked = divider(lines)
    short = f"{walked.used_um:.0f} µm of the junction lie in pieces of at least 480 µm; 1,000 µm are needed"
    short = short if lines else no_line
    row.put("cmj_fractal_dimension", walked.dimension, short)
    same = "the length does not change with the stride"
    row.put("cmj_fractal_r2", walked.r2, same if math.isfinite(walked.dimension) else short)
    per_mm2 = walked.length_um * over(1e-3, view.parenchyma_mm2)
    row.curve("cmj_length_by_stride", walked.stride_um, per_mm2, weight=view.parenchyma_mm2, why=short)


def _sharpness(row: Row, view: SectionView, lines: list[Line], no_line: str) -> None:
    settings, k14 = view.settings, view.planes.get("k14")
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

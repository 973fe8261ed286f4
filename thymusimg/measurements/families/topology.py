"""Pieces and holes of the K14 density and of the medulla, over thresholds and over distances (R14)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from thymusimg.measurements.families.declare import BY_PARENCHYMA, declare
from thymusimg.measurements.schema import Curve, Sum
from thymusimg.measurements.stains.euler import (
    DILATIONS_UM,
    EULER_LEVELS,
    density_euler_curve,
    dilation_euler_curve,
)
from thymusimg.measurements.view import NO_MEDULLA, NO_PARENCHYMA, no_stain

if TYPE_CHECKING:
    from thymusimg.measurements.row import Row
    from thymusimg.measurements.view import SectionView

_EULER = "R14; Adler 1981 (The Geometry of Random Fields)"
_SET = (
    "the Euler characteristic (pieces, 8-connected, less holes) per mm² of parenchyma of where the density of K14 "
    "(Gaussian of 20 µm inside the parenchyma) is at least a level; 0 and 1 are its 2nd and 98th percentiles"
)

COLUMNS = (
    declare(
        "k14_euler_peak_per_mm2",
        "1/mm²",
        f"Largest value, over levels of 0.1-0.9, of {_SET}: how many K14-dense islands stand apart at most",
        _EULER,
        BY_PARENCHYMA,
        "identity",
        "any",
    ),
    declare(
        "k14_euler_trough_per_mm2",
        "1/mm²",
        f"Smallest value, over levels of 0.1-0.9, of {_SET}: negative where K14-dense tissue encloses holes",
        _EULER,
        BY_PARENCHYMA,
        "identity",
        "any",
    ),
    declare(
        "medulla_euler_number",
        "count",
        "Pieces of medulla (8-connected) less the holes in them, as labelled",
        _EULER,
        Sum(),
        "identity",
        "any",
        dtype="int",
    ),
)

CURVES = (
    Curve(
        "k14_euler",
        "level",
        "fraction",
        "1/mm²",
        f"{_SET[0].upper()}{_SET[1:]}. Gain and offset change nothing",
        _EULER,
    ),
    Curve(
        "medulla_dilation_euler",
        "radius",
        "µm",
        "1/mm²",
        "Euler characteristic per mm² of parenchyma of the medulla grown by a radius: pieces merge when the gap "
        "between them is twice the radius",
        _EULER,
    ),
)


def measure(row: Row, view: SectionView) -> None:
    """Fill in the columns and curves of this family."""
    _density(row, view)
    if view.medulla_mm2 == 0:
        row.put("medulla_euler_number", math.nan, NO_MEDULLA)
        row.no_curve("medulla_dilation_euler", NO_MEDULLA)
        return
    grown = dilation_euler_curve(view.medulla, view.pixel_um)
    row.put("medulla_euler_number", int(grown[0]))
    mm2 = view.parenchyma_mm2
    row.curve("medulla_dilation_euler", DILATIONS_UM, grown / mm2, weight=mm2)


def _density(row: Row, view: SectionView) -> None:
    names = ("k14_euler_peak_per_mm2", "k14_euler_trough_per_mm2")
    k14, mm2 = view.planes.get("k14"), view.parenchyma_mm2
    why = no_stain("k14") if k14 is None else NO_PARENCHYMA
    if k14 is not None and mm2 > 0:
        numbers = density_euler_curve(k14, view.parenchyma, view.pixel_um) / mm2
        why = "K14 is the same everywhere in the parenchyma"
        if np.isfinite(numbers).all():
            row.put_all(dict(zip(names, (float(numbers.max()), float(numbers.min())), strict=True)), why)
            row.curve("k14_euler", EULER_LEVELS, numbers, weight=mm2)
            return
    row.put_all(dict.fromkeys(names, math.nan), why)
    row.no_curve("k14_euler", why)

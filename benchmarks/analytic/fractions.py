"""Areas and shares on a section of rectangles, whose answer is arithmetic (R1, R13, P1)."""

from __future__ import annotations

from typing import cast

import numpy as np
import pandas as pd

from benchmarks.analytic.case import Case
from thymusimg.cells.model import CellMasks, Cells, Gate
from thymusimg.compartments.model import Compartment, Compartments
from thymusimg.measurements.families import Family, areas, cells, stains
from thymusimg.measurements.row import Row
from thymusimg.measurements.view import SectionView
from thymusimg.section.model import Grid, Section
from thymusimg.settings import MeasurementSettings

SIDE, PIXEL = 200, 2.0
WIDTHS = {
    Compartment.CORTEX: 90,
    Compartment.MEDULLA: 30,
    Compartment.INDETERMINATE: 20,
    Compartment.CYST: 10,
    Compartment.OTHER: 8,
}
"""Columns of pixels of each compartment; the rest is glass."""


def _labels() -> np.ndarray:
    labels = np.zeros((SIDE, SIDE), np.uint8)
    start = 0
    for code, width in WIDTHS.items():
        labels[:, start : start + width] = code
        start += width
    return labels


def _view() -> SectionView:
    labels = _labels()
    nowhere = np.full(labels.shape, np.nan, np.float32)
    compartments = Compartments(
        Grid(labels.shape, PIXEL, 1),
        labels,
        labels > 0,
        np.ones(labels.shape, np.float32),
        nowhere,
        nowhere,
        nowhere,
        (),
    )
    # K8 everywhere in the parenchyma, K14 in every fifth row of it: each on two clear levels
    inside = np.isin(labels, (Compartment.CORTEX, Compartment.MEDULLA, Compartment.INDETERMINATE))
    upper = np.arange(SIDE)[:, None] < SIDE // 2
    k8 = np.where(inside, np.where(upper, 100, 2), 0).astype(np.float32)
    k14 = np.where(inside, np.where(np.arange(SIDE)[:, None] < SIDE // 4, 100, 2), 0).astype(np.float32)
    no_masks = CellMasks(np.zeros((0, 4), np.int32), np.zeros(1, np.int64), np.zeros(0, bool))
    table = pd.DataFrame(
        {name: np.zeros(0) for name in ("y_um", "x_um", "distance_to_cmj_um", "depth_from_capsule_um")}
    )
    positive = np.where((labels == Compartment.MEDULLA) & upper, 0.5, 0.0).astype(np.float32)
    found = Cells(table, no_masks, positive, Gate(3.0, 0.0, 1.0, "section"))
    # these families look at compartments, planes and cells alone
    return SectionView(cast("Section", None), compartments, {"k8": k8, "k14": k14}, _settings(), found)


def _settings() -> MeasurementSettings:
    return MeasurementSettings(coexpression_sigma_um=0.0, coexpression_scrambles=19)


def _value(family: Family, column: str) -> float:
    row = Row()
    family.measure(row, _view())
    return float(cast("float", row.values[column]))


def _case(metric: str, family: Family, column: str, case: str, expected: float, unit: str = "fraction") -> Case:
    return Case(metric, column, case, expected, 1e-9, unit, lambda: _value(family, column))


CASES = (
    _case("R1 fractions", areas, "medulla_fraction", "stripes: 30 of medulla, 90 of cortex", 30 / 120),
    _case("R1 fractions", areas, "cortex_share", "90 of 158 columns of tissue and cyst", 90 / 158),
    _case("R1 fractions", areas, "tissue_area_mm2", "148 columns of 400 µm, 2 µm wide", 148 * 2 * 400e-6, "mm²"),
    _case("R13 burden", areas, "cyst_share", "10 of 158 columns", 10 / 158),
    _case("R13 burden", areas, "indeterminate_share", "20 of 158 columns", 20 / 158),
    _case(
        "R13 burden", stains, "double_positive_share", "the upper quarter of 140 of 158 columns", 0.25 * 140 / 158
    ),
    _case(
        "R6 double positive",
        stains,
        "double_positive_fraction",
        "K8 in the upper half, K14 in the upper quarter",
        0.5,
    ),
    _case(
        "P1 area fraction", cells, "cd45_area_fraction", "half of each pixel of half the medulla", 0.25 * 30 / 140
    ),
    _case("P1 area fraction", cells, "cd45_area_fraction_medulla", "half of each pixel of half the medulla", 0.25),
)

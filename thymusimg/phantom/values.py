"""The true value of what the measurements of a section should find, under the names of ``sections.csv``.

The same functions measure the truth that measure a result, on the true labels, the clean stains and the true
cells: so the difference between the two is what segmentation and detection got wrong, and none of it is a
difference of definition. Errors of the functions themselves cannot show here; the analytic cases are for that.
Three columns are not measured:

* ``cmj_width_um`` follows from the fuzz of the border, 2.563 s: a profile fitted to the clean stain would repeat
  the measurement's own assumptions.
* ``order`` is the λ that the section was made with.
* ``double_positive_cells`` is the share of double-positive epithelial cells that it was made with;
  ``double_positive_fraction`` is measured on the clean stains with the thresholds of the measurement, hence it is
  circular in them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd

from thymusimg.cells.assign import assign_cells
from thymusimg.cells.model import CellMasks, Cells, Gate
from thymusimg.compartments.junction import (
    corticomedullary_axis,
    depth_from_capsule_um,
    junction_contours,
    signed_distance_um,
)
from thymusimg.compartments.model import Compartments
from thymusimg.measurements.families import areas, cells, cortex, islets, junction, segregation, spread, stains
from thymusimg.measurements.row import Row
from thymusimg.measurements.view import SectionView
from thymusimg.section.model import Grid, Section, Subject
from thymusimg.settings import CompartmentSettings, MeasurementSettings

if TYPE_CHECKING:
    import numpy.typing as npt

    from thymusimg.phantom.spec import PhantomSpec
    from thymusimg.section.model import FloatPlane, Image, LabelPlane, Mask

FAMILIES = (areas, islets, junction, stains, segregation, cortex, cells, spread)
"""What has a true value: families that need labels, clean stains and cells only."""
TEN_TO_NINETY = 2.563
"""10-90 % width of an error function over its SD."""
_UNKNOWN = (
    "cmj_width_q25_um",
    "cmj_width_q75_um",
    "cmj_contrast",
    "cmj_fit_r2",
    "cmj_profiled_length_mm",
    "cmj_fractal_r2",
    "coexpression_block_um",
    "cd45_false_cells_per_mm2",
)
_UNKNOWN_ENDS = ("_p", "_null", "_low_per_mm2", "_high_per_mm2")
"""Columns that describe a fit, a test, an interval or a gate: there is nothing true to compare them with."""


def measure_truth(
    grid: Grid,
    labels: LabelPlane,
    tissue: Mask,
    human: pd.DataFrame,
    covered: npt.NDArray[np.floating[Any]],
    clean: Mapping[str, FloatPlane],
    spec: PhantomSpec,
) -> dict[str, float]:
    """Return the columns of ``sections.csv`` that follow from the truth alone; NaN where undefined.

    Parameters
    ----------
    grid : Grid
    labels : (Y, X) uint8
    tissue : (Y, X) bool
    human : DataFrame
        The human cells: ``y_um, x_um, radius_um, visible_area_um2``.
    covered : (Y, X) float
        Share of each coarse pixel that human profiles cover.
    clean : mapping of str to (Y, X) float32
        Clean stains on the grid, by role.
    spec : PhantomSpec

    Returns
    -------
    dict
        A number for every column; areas count coarse pixels, densities the cells whose centre lies in the
        compartment.
    """
    # empty slide around the tissue costs memory and changes nothing
    rows, columns = _tissue_box(tissue, grid)
    box = (rows, columns)
    corner_um = np.array([rows.start, columns.start]) * grid.pixel_um
    shape = tuple(
        min(b.stop * grid.factor, n) - b.start * grid.factor for b, n in zip(box, grid.slide_shape, strict=True)
    )
    grid = Grid((shape[0], shape[1]), grid.slide_pixel_um, grid.factor)
    human = human.assign(y_um=human["y_um"] - corner_um[0], x_um=human["x_um"] - corner_um[1])
    compartments = true_compartments(grid, labels[box], tissue[box])
    found = true_cells(human, covered[box], compartments)
    keratins = {role: clean[role][box] for role in ("k14", "k8") if role in clean}
    # the families above never look at the slide itself
    slide = Section(Subject("truth"), cast("Image", None), {}, {}, grid.slide_pixel_um)
    # p-values and nulls are left out below: no need to scramble the stains often
    settings = MeasurementSettings(coexpression_scrambles=19)
    view = SectionView(slide, compartments, keratins, settings, found)
    row = Row()
    for family in FAMILIES:
        family.measure(row, view)
    values = {name: float(cast("float", value)) for name, value in row.values.items() if _has_truth(name)}
    joined = math.isfinite(values["cmj_length_mm"])
    values["cmj_width_um"] = TEN_TO_NINETY * spec.boundary_fuzz_um if joined else math.nan
    values["order"] = spec.order
    values["double_positive_cells"] = spec.double_positive
    return values


def _tissue_box(tissue: Mask, grid: Grid) -> tuple[slice, slice]:
    """Return the rows and columns of the tissue and of 60 µm around it."""
    margin = math.ceil(60 / grid.pixel_um)
    rows, columns = (np.flatnonzero(tissue.any(axis)) for axis in (1, 0))
    if not len(rows):
        return slice(0, tissue.shape[0]), slice(0, tissue.shape[1])
    ends = (
        (side[0] - margin, side[-1] + 1 + margin, n) for side, n in zip((rows, columns), tissue.shape, strict=True)
    )
    one, other = (slice(max(0, int(low)), min(n, int(high))) for low, high, n in ends)
    return one, other


def _has_truth(name: str) -> bool:
    return name not in _UNKNOWN and not name.endswith(_UNKNOWN_ENDS)


class TrueValues(Mapping[str, float]):
    """The true values of a section, measured when they are first asked for: that takes as long as drawing one."""

    def __init__(self, measure: Callable[[], dict[str, float]]) -> None:
        self._measure = measure

    @cached_property
    def _values(self) -> dict[str, float]:
        return self._measure()

    def __getitem__(self, name: str) -> float:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def true_compartments(grid: Grid, labels: LabelPlane, tissue: Mask) -> Compartments:
    """Return the true labels with the junction and distances that a result has."""
    lines = junction_contours(labels, grid, CompartmentSettings().junction_smoothing_um)
    depth = depth_from_capsule_um(tissue, grid)
    return Compartments(
        grid=grid,
        labels=labels,
        tissue=tissue,
        confidence=np.broadcast_to(np.float32(1), grid.shape),
        distance_to_cmj_um=signed_distance_um(labels, tissue, lines, grid),
        depth_from_capsule_um=depth,
        axis=corticomedullary_axis(labels, depth, grid),
        junction_um=lines,
        method="truth",
    )


def true_cells(human: pd.DataFrame, covered: npt.NDArray[np.floating[Any]], compartments: Compartments) -> Cells:
    """Return the human bodies as the cells of a result; without outlines, which no true value needs."""
    count = len(human)
    table = pd.DataFrame(
        {
            "cell_id": np.arange(1, count + 1),
            "y_um": human["y_um"].to_numpy(np.float64),
            "x_um": human["x_um"].to_numpy(np.float64),
            "area_um2": human["visible_area_um2"].to_numpy(np.float64),
            "score": 1.0,
        }
    )
    none = CellMasks(np.zeros((0, 4), np.int32), np.zeros(1, np.int64), np.zeros(0, bool))
    gate = Gate(math.nan, math.nan, math.nan, "truth", false_reason="the truth holds no false cell")
    return assign_cells(Cells(table, none, covered.astype(np.float32), gate, method="truth"), compartments)

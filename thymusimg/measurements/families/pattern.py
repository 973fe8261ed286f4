"""How human CD45+ cells lie to each other: clustered, dispersed or at random, and the largest gap (P5-P7)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from thymusimg.measurements.families.declare import BY_PARENCHYMA, declare
from thymusimg.measurements.pattern.cells import Pattern, PatternChoice, measure_pattern, radii_within
from thymusimg.measurements.pattern.empty import largest_empty_circle
from thymusimg.measurements.pattern.window import Window
from thymusimg.measurements.schema import Curve, Sum, WeightedMean
from thymusimg.measurements.view import NO_CELLS, NO_PARENCHYMA

if TYPE_CHECKING:
    from thymusimg.measurements.row import Row
    from thymusimg.measurements.view import SectionView
    from thymusimg.settings import MeasurementSettings

Values = npt.NDArray[np.float64]

_RADII_UM = (25, 50, 100)
_BY_CELLS = WeightedMean("cd45_pattern_cells")
_NULL = "as many cells drawn anew within every compartment (setting pattern_null)"
_K = "P6; Ripley 1976; Ohser & Stoyan 1981"

COLUMNS = (
    declare(
        "cd45_pattern_cells",
        "count",
        "Human CD45+ cells whose pattern was measured: those in the parenchyma",
        "P6",
        Sum(),
        "log",
        dtype="int",
    ),
    *(
        declare(
            f"cd45_l_excess_{radius}um",
            "µm",
            f"Besag's L at {radius} µm less its mean over {_NULL}: above 0, more cells lie within {radius} µm of "
            "each other than by chance. Translation-corrected; pairs within a cell diameter (10 µm) are left out",
            _K,
            _BY_CELLS,
            "identity",
            "any",
        )
        for radius in _RADII_UM
    ),
    declare(
        "cd45_neighbour_ratio_25um",
        "ratio",
        f"Neighbours of a cell 10-25 µm away, over those in {_NULL}: 1 random, above 1 clustered",
        "P6; Ripley 1976",
        _BY_CELLS,
        "log",
    ),
    declare(
        "cd45_cluster_scale_um",
        "µm",
        "Radius at which L exceeds the null's mean the most, between radius and diameter of round clusters; "
        "defined only where cells are clustered",
        "P6; Kiskowski et al. 2009",
        _BY_CELLS,
        "log",
    ),
    declare(
        "cd45_pattern_p",
        "probability",
        f"p value of L against {_NULL}, over all distances at once (extreme rank length). It describes the "
        "section; it is no test between animals",
        "P6; Myllymäki et al. 2017",
        interval="0-1",
    ),
    declare(
        "cd45_pattern_class",
        "text",
        "Where L leaves its 95 % global envelope: clustered, dispersed, clustered and dispersed (at different "
        "distances), or not distinguishable from random within compartments",
        "P6; Myllymäki et al. 2017",
        interval="words",
        dtype="str",
    ),
    declare(
        "cd45_clark_evans",
        "ratio",
        f"Mean distance to the nearest cell over that of {_NULL}: below 1 clustered, 1 random. Cells cannot "
        "overlap: packed ones exceed 1 without being dispersed",
        "P7; Clark & Evans 1954",
        _BY_CELLS,
        "log",
    ),
    declare(
        "cd45_largest_empty_circle_um",
        "µm",
        "Radius of the largest circle around a place in the parenchyma that holds no cell of the parenchyma",
        "P5",
        BY_PARENCHYMA,
        "log",
    ),
    declare(
        "cd45_largest_empty_circle_inside_um",
        "µm",
        "The same for circles that do not leave the parenchyma",
        "P5",
        BY_PARENCHYMA,
        "log",
    ),
)

CURVES = (
    Curve(
        "cd45_l",
        "distance",
        "µm",
        "µm",
        f"Besag's L less the distance, as cd45_l_excess; low and high: the 95 % global envelope of {_NULL}",
        _K,
    ),
    Curve(
        "cd45_g",
        "distance",
        "µm",
        "ratio",
        f"Pair correlation (Epanechnikov, half-width 0.15/√λ); low and high: the 95 % global envelope of {_NULL}. "
        "The dip below one cell diameter is that of cells that cannot overlap",
        "P6; Stoyan & Stoyan 1994",
    ),
)

_PATTERN = tuple(c.name for c in COLUMNS[1:9])  # what needs pairs of cells
_EMPTY = tuple(c.name for c in COLUMNS[9:])


def measure(row: Row, view: SectionView) -> None:
    """Fill in the columns of this family."""
    if view.places is None:
        return
    if not view.parenchyma.any():
        row.put("cd45_pattern_cells", 0)
        row.put_all(dict.fromkeys((*_PATTERN, *_EMPTY), math.nan), NO_PARENCHYMA)
        _no_curves(row, NO_PARENCHYMA)
        return
    inside = view.places.parenchyma
    points = np.stack([view.places.y[inside], view.places.x[inside]], axis=1)
    parts = np.where(view.parenchyma, view.compartments.labels, np.uint8(0))
    window = Window.of(parts, view.pixel_um)
    row.put("cd45_pattern_cells", len(points))
    _empty_circles(row, view, points)
    why = _undefined(len(points), window, view.settings)
    if why:
        row.put_all(dict.fromkeys(_PATTERN, math.nan), why)
        _no_curves(row, why)
        return
    choice = _choice(view.settings)
    pattern = measure_pattern(points * view.pixel_um, window, choice, threads=view.threads, progress=view.progress)
    _put_pattern(row, pattern, window, choice)


def _choice(settings: MeasurementSettings) -> PatternChoice:
    return PatternChoice(
        reach_um=settings.pattern_reach_um,
        core_um=settings.pattern_core_um,
        simulations=settings.pattern_simulations,
        seed=settings.pattern_seed,
        by_part=settings.pattern_null == "compartments",
    )


def _undefined(count: int, window: Window, settings: MeasurementSettings) -> str:
    """Say why there is no pattern, or nothing."""
    if count == 0:
        return NO_CELLS
    if count < settings.pattern_min_cells:
        return f"{count} cells in the parenchyma; a pattern needs {settings.pattern_min_cells} (pattern_min_cells)"
    if count > settings.pattern_max_cells:
        most = settings.pattern_max_cells
        return f"{count:,} cells: more than pattern_max_cells = {most:,}; cells are never thinned"
    if not len(radii_within(window, _choice(settings))):
        return _too_narrow(window)
    return ""


def _too_narrow(window: Window) -> str:
    width = window.width_um
    return f"the parenchyma is {width:.0f} µm wide: pairs are read up to a quarter of that, {width / 4:.0f} µm"


def _beyond(radius_um: float, window: Window, choice: PatternChoice) -> str:
    if radius_um > window.width_um / 4:
        return _too_narrow(window)
    return (
        f"pairs are looked at from {choice.core_um:g} to {choice.reach_um:g} µm (pattern_core_um, pattern_reach_um)"
    )


def _put_pattern(row: Row, pattern: Pattern, window: Window, choice: PatternChoice) -> None:
    reach = float(pattern.radii_um[-1])
    for radius in _RADII_UM:
        why = _beyond(radius, window, choice)
        row.put(f"cd45_l_excess_{radius}um", pattern.excess_over_null_um(radius), why)
    why = _beyond(25, window, choice) if reach < 25 else "drawn anew, no two cells come so near"
    row.put("cd45_neighbour_ratio_25um", pattern.neighbour_ratio_at(25), why)
    clustered = bool(pattern.l_null.above.any())
    growing = f"L still grows away from chance at {reach:g} µm, the largest distance looked at"
    row.put(
        "cd45_cluster_scale_um", pattern.clustering_scale_um, growing if clustered else "no cells are clustered"
    )
    row.put("cd45_pattern_p", pattern.l_null.p)
    row.put("cd45_pattern_class", pattern.verdict)
    row.put("cd45_clark_evans", pattern.clark_evans, "all cells lie in one place")
    for name, x, value, null in (
        ("cd45_l", pattern.radii_um, pattern.excess_um, pattern.l_null),
        ("cd45_g", pattern.g_radii_um, pattern.g, pattern.g_null),
    ):
        row.curve(name, x, value, low=null.low, high=null.high, weight=pattern.count)


def _empty_circles(row: Row, view: SectionView, points: Values) -> None:
    for name, inside in zip(_EMPTY, (False, True), strict=True):
        radius = math.nan
        if len(points):
            radius = largest_empty_circle(view.parenchyma, points, inside=inside).radius * view.pixel_um
        row.put(name, radius, NO_CELLS)


def _no_curves(row: Row, why: str) -> None:
    for curve in CURVES:
        row.no_curve(curve.name, why)

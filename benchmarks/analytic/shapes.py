"""Islets, junction and cortex on discs, ribbons and curves (R2-R5, R12)."""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import norm
from skimage.measure import find_contours

from benchmarks.analytic.case import Case
from thymusimg.compartments.junction import junction_contours
from thymusimg.compartments.model import Compartment
from thymusimg.measurements.shapes.cortex import local_thickness_um, measure_capsule
from thymusimg.measurements.shapes.islets import Islets, find_islets, isoperimetric_ratio
from thymusimg.measurements.shapes.polyline import length_of
from thymusimg.measurements.shapes.sharpness import WIDTH_10_90, junction_sharpness
from thymusimg.measurements.shapes.streamline import streamline_thickness
from thymusimg.measurements.shapes.tortuosity import divider, tortuosity
from thymusimg.section.model import Grid

PIXEL = 2.0


def _radius(size: int = 400) -> np.ndarray:
    y, x = (np.mgrid[:size, :size] - (size - 1) / 2) * PIXEL
    return np.asarray(np.hypot(y, x))


def _islets() -> Islets:
    medulla = np.zeros((120, 300), bool)
    for column, side in ((10, 60), (100, 30), (160, 20), (220, 14)):
        medulla[20 : 20 + side, column : column + side] = True
    return find_islets(medulla, PIXEL, min_area_um2=750.0)


def _ring_length_mm() -> float:
    r = _radius()
    labels = np.where(r < 200, Compartment.MEDULLA, np.where(r < 380, Compartment.CORTEX, 0)).astype(np.uint8)
    lines = junction_contours(labels, Grid(r.shape, PIXEL, 1), 10.0)
    return sum(length_of(line) for line in lines) * 1e-3


def _circle(radius: float, swing: float = 0.0, waves: int = 0) -> np.ndarray:
    t = np.linspace(0, 2 * np.pi, 4001)
    r = radius * (1 + swing * np.sin(waves * t))
    return np.stack([r * np.sin(t), r * np.cos(t)], 1)


def koch(depth: int, length: float) -> np.ndarray:
    """Return Koch's curve of some depth: dimension ln 4 / ln 3."""
    line = np.array([0, length], complex)
    for _ in range(depth):
        third, start = np.diff(line) / 3, line[:-1]
        peak = start + third + third * np.exp(1j * np.pi / 3)
        line = np.append(np.stack([start, start + third, peak, start + 2 * third], 1), line[-1])
    return np.stack([line.imag, line.real], 1)


def _edge_width_um(s: float) -> float:
    depth = 240 - _radius(480)
    k14 = (5 + 100 * norm.cdf(depth / s)).astype(np.float32)
    lines = find_contours(depth, 0.0)
    return junction_sharpness(k14, depth > 0, (depth <= 0) & (depth > -230), lines, PIXEL).width_um


def _ribbon_um(method: str) -> float:
    cortex, medulla = np.zeros((2, 300, 600), bool)
    cortex[50:110] = medulla[110:260] = True
    both = cortex | medulla
    if method == "disc":
        return local_thickness_um(cortex, PIXEL)
    return streamline_thickness(both, both, cortex, medulla, PIXEL).median_um


def _ring_thickness_um() -> float:
    r = _radius(480)
    tissue, medulla = r < 400, r < 280
    return streamline_thickness(tissue, tissue, tissue & ~medulla, medulla, PIXEL).median_um


def _half_covered() -> float:
    r = _radius()
    tissue = r < 300
    cortex = tissue.copy()
    cortex[: len(r) // 2] = False
    return measure_capsule(tissue, cortex, tissue, PIXEL).cortical_coverage


_SQUARES = "squares of 120, 60, 40 and 28 µm"
_PIXELS = "pixels of 2 µm"
CASES = (
    Case("R2 islets", "islets_per_mm2_by_area", f"{_SQUARES}, at least 750 µm²", 4, 0, "islets", lambda: _islets().count),
    Case(
        "R2 islets", "islets_per_mm2_by_area", f"{_SQUARES}, at least 3,000 µm²", 2, 0, "islets",
        lambda: _islets().at_least(3000).count,
    ),
    Case(
        "R2 islets", "largest_islet_share", f"{_SQUARES}, at least 1,500 µm²", 14400 / 19600, 1e-12, "fraction",
        lambda: _islets().at_least(1500).largest_share,
    ),
    Case(
        "R2 islets", "islet_effective_number", f"{_SQUARES}, at least 1,500 µm²",
        19600**2 / (14400**2 + 3600**2 + 1600**2), 1e-12, "islets", lambda: _islets().at_least(1500).effective_number,
    ),
    Case(
        "R3 junction length", "cmj_length_mm", "circle of radius 200 µm", 2 * math.pi * 0.2, 0.005, "mm",
        _ring_length_mm, "a blur of 10 µm moves the circle by 0.25 µm",
    ),
    Case(
        "R3 fractal dimension", "cmj_fractal_dimension", "Koch's curve of 3 mm", math.log(4) / math.log(3), 0.03, "",
        lambda: divider([koch(6, 3000.0)]).dimension, "five strides that are no powers of three",
    ),
    Case("R3 fractal dimension", "cmj_fractal_dimension", "straight line", 1.0, 1e-9, "",
         lambda: divider([np.array([[0.0, 0.0], [0.0, 3000.0]])]).dimension),
    Case("R4 tortuosity", "cmj_tortuosity", "circle of radius 100 µm", 1.0, 0.001, "ratio",
         lambda: tortuosity([_circle(100.0)]).ratio),
    Case(
        "R4 tortuosity", "cmj_tortuosity", "circle of radius 200 µm with 15 waves of ±20 µm",
        length_of(_circle(200.0, 0.1, 15)) / length_of(_circle(200.0)), 0.01, "ratio",
        lambda: tortuosity([_circle(200.0, 0.1, 15)]).ratio, "waves of 84 µm are smoothed away but for a trace",
    ),
    Case("R4 isoperimetric ratio", "islet_isoperimetric_ratio", "disc of radius 100 µm", 1.0, 0.005, "ratio",
         lambda: isoperimetric_ratio(_radius(200) < 100, PIXEL), _PIXELS),
    Case(
        "R4 isoperimetric ratio", "islet_isoperimetric_ratio", "rectangle of 800 × 200 µm", 2000**2 / (4 * math.pi * 160000),
        0.05, "ratio", lambda: isoperimetric_ratio(np.ones((100, 400), bool), PIXEL), "corners are rounded at 5 µm",
    ),
    Case("R5 width", "cmj_width_um", "erf edge of s = 12 µm on a circle", WIDTH_10_90 * 12, 0.6, "µm",
         lambda: _edge_width_um(12.0), "2 %: profiles of ±100 µm on a circle"),
    Case("R12 thickness, disc", "cortical_thickness_um", "ribbon of 120 µm", 120.0, 1.0, "µm",
         lambda: _ribbon_um("disc"), "half a pixel"),
    Case("R12 thickness, streamline", "cortical_streamline_thickness_um", "ribbon of 120 µm", 120.0, 0.01, "µm",
         lambda: _ribbon_um("streamline")),
    Case("R12 thickness, streamline", "cortical_streamline_thickness_um", "ring of radii 280 and 400 µm", 120.0, 1.5,
         "µm", _ring_thickness_um, "pixels of 2 µm"),
    Case("R12 coverage", "cortical_coverage", "disc, cortex in one half", 0.5, 0.005, "fraction", _half_covered,
         _PIXELS),
)  # fmt: skip

"""Tortuosity, divider and lengths of the junction."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.analytic.shapes import koch
from thymusimg.compartments.junction import junction_contours
from thymusimg.compartments.model import Compartment
from thymusimg.measurements.shapes.polyline import length_of, resample
from thymusimg.measurements.shapes.tortuosity import divider, tortuosity
from thymusimg.section.model import Grid


def circle(radius: float) -> np.ndarray:
    t = np.linspace(0, 2 * np.pi, 2001)
    return radius * np.stack([np.sin(t), np.cos(t)], 1)


@pytest.mark.parametrize("radius", [60, 100, 400])
def test_a_circle_is_not_winding(radius: float) -> None:
    assert tortuosity([circle(radius)]).ratio == pytest.approx(1, abs=1e-3)


def test_a_straight_line_is_not_winding() -> None:
    assert tortuosity([np.array([[0.0, 0.0], [300.0, 400.0]])]).ratio == pytest.approx(1, abs=1e-6)


def test_pieces_are_weighted_by_length() -> None:
    # a straight mm and a zigzag of √2
    zigzag = np.stack([np.abs(np.arange(-500.0, 501) % 20 - 10), np.arange(1001.0)], 1)
    one, both = tortuosity([zigzag]).ratio, tortuosity([zigzag, np.array([[0.0, 0.0], [0.0, 1000.0]])]).ratio
    assert one == pytest.approx(math.sqrt(2), rel=0.01)
    assert both == pytest.approx((1000 + 1000 * math.sqrt(2)) / 2000, rel=0.01)


def test_specks_have_no_tortuosity() -> None:
    found = tortuosity([circle(30), np.array([[0.0, 0.0], [0.0, 100.0]])])
    assert math.isnan(found.ratio)
    assert found.used_um == 0


@pytest.mark.parametrize("turn", [0.0, 0.4])
def test_kochs_curve_has_its_dimension(turn: float) -> None:
    turned = koch(7, 4000.0) @ np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    found = divider([turned])
    assert found.dimension == pytest.approx(math.log(4) / math.log(3), abs=0.03)
    assert found.r2 > 0.9


def test_the_divider_walks_chords() -> None:
    # a chord c of a circle of radius R spans 2 asin(c / 2R)
    found = divider([circle(400)])
    chords = 2 * math.pi / (2 * np.arcsin(found.stride_um / 800)) * found.stride_um
    assert found.length_um == pytest.approx(chords, rel=1e-3)


def test_short_junctions_have_no_dimension() -> None:
    found = divider([circle(70), circle(100)])
    assert math.isnan(found.dimension)
    assert found.used_um == pytest.approx(2 * math.pi * 100, rel=1e-3)


def test_resampling_keeps_the_ends_and_the_length() -> None:
    points = resample(circle(100), 2.0)
    assert points[0] == pytest.approx(points[-1])
    assert length_of(points) == pytest.approx(2 * math.pi * 100, rel=1e-3)


def crofton_um(labels: np.ndarray, pixel_um: float) -> float:
    """Return the length of the medulla's border from its crossings by lines in four directions (Crofton)."""
    m = labels == Compartment.MEDULLA
    rows, columns = np.count_nonzero(m[1:] ^ m[:-1]), np.count_nonzero(m[:, 1:] ^ m[:, :-1])
    down, up = np.count_nonzero(m[1:, 1:] ^ m[:-1, :-1]), np.count_nonzero(m[1:, :-1] ^ m[:-1, 1:])
    return math.pi / 8 * (rows + columns + (down + up) / math.sqrt(2)) * pixel_um


def test_the_length_of_the_junction_against_crofton() -> None:
    y, x = (np.mgrid[:500, :500] - 249.5) * 2.0
    r, angle = np.hypot(y, x), np.arctan2(y, x)
    border = 250 + 60 * np.sin(3 * angle) + 20 * np.cos(7 * angle)
    labels = np.where(r < border, Compartment.MEDULLA, np.where(r < 480, Compartment.CORTEX, 0)).astype(np.uint8)
    lines = junction_contours(labels, Grid(r.shape, 2.0, 1), 10.0)
    length = sum(length_of(line) for line in lines)
    # smoothing at 10 µm cuts the corners of the waves by about a percent
    assert length == pytest.approx(crofton_um(labels, 2.0), rel=0.02)
    area = np.count_nonzero(labels == Compartment.MEDULLA) * 4.0
    circle_labels = np.where(r < 250, Compartment.MEDULLA, labels).astype(np.uint8)
    circle_labels[(r >= 250) & (r < 480)] = Compartment.CORTEX
    lines = junction_contours(circle_labels, Grid(r.shape, 2.0, 1), 10.0)
    per_area = sum(length_of(line) for line in lines) / (np.count_nonzero(r < 250) * 4.0)
    assert per_area == pytest.approx(2 / 250, rel=0.005)
    assert length / area > per_area

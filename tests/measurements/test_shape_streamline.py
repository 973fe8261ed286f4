"""Streamlines against ribbons, rings, wedges and the disc method."""

from __future__ import annotations

import math

import numpy as np
import pytest

from thymusimg.measurements.shapes import streamline
from thymusimg.measurements.shapes.streamline import Streamlines, streamline_thickness

Bool = np.ndarray


def polar(size: int = 300, pixel_um: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    y, x = (np.mgrid[:size, :size] - (size - 1) / 2) * pixel_um
    return np.hypot(y, x), np.arctan2(y, x)


def measured(tissue: Bool, cortex: Bool, medulla: Bool, pixel_um: float = 2.0) -> Streamlines:
    return streamline_thickness(tissue, cortex | medulla, cortex, medulla, pixel_um)


@pytest.mark.parametrize("width_px", [10, 21, 60])
@pytest.mark.parametrize("pixel_um", [1.0, 2.0])
def test_a_ribbon_is_as_thick_as_it_is_wide(width_px: int, pixel_um: float) -> None:
    cortex, medulla = np.zeros((2, 200, 400), bool)
    cortex[40 : 40 + width_px] = medulla[40 + width_px : 150] = True
    found = measured(cortex | medulla, cortex, medulla, pixel_um)
    assert found.median_um == pytest.approx(width_px * pixel_um, rel=1e-3)
    assert found.share == 1


@pytest.mark.parametrize("degrees", [15, 30, 45])
def test_an_oblique_ribbon(degrees: float) -> None:
    y, x = (np.mgrid[:400, :400] - 199.5) * 2.0
    across = y * math.cos(math.radians(degrees)) + x * math.sin(math.radians(degrees))
    cortex, medulla = (across < 50) & (across >= -50), across >= 50
    assert measured(cortex | medulla, cortex, medulla).median_um == pytest.approx(100, rel=0.03)


def test_a_ring() -> None:
    r, _ = polar()
    cortex, medulla = (r < 250) & (r >= 150), r < 150
    found = measured(r < 250, cortex, medulla)
    assert found.median_um == pytest.approx(100, abs=1.5)
    assert found.q75_um - found.q25_um < 2


def test_missing_cortex_is_no_thin_cortex() -> None:
    r, angle = polar()
    band, medulla = (r < 250) & (r >= 150), r < 150
    cortex = band & (np.abs(angle) < 1)
    bare = band & ~cortex  # indeterminate: a wall, no boundary
    found = streamline_thickness(r < 250, r < 250, cortex, medulla, 2.0)
    assert bare.any()
    assert found.median_um == pytest.approx(100, abs=1.5)


def test_cortex_that_touches_one_side_only_has_no_thickness() -> None:
    r, _ = polar()
    medulla = r < 150
    cortex = (r < 250) & (r >= 200)  # indeterminate tissue between
    found = streamline_thickness(r < 250, r < 250, cortex, medulla, 2.0)
    assert math.isnan(found.median_um)
    assert found.share == 0


def test_a_vessel_in_the_cortex_is_no_capsule() -> None:
    cortex, medulla = np.zeros((2, 200, 600), bool)
    cortex[40:120] = medulla[120:180] = True
    tissue = cortex | medulla
    cortex[70:100, 200:240] = False  # 60 x 80 µm of other tissue, not linked to the outside
    found = streamline_thickness(tissue, cortex | medulla, cortex, medulla, 2.0)
    assert found.median_um == pytest.approx(160, rel=0.02)


def test_a_septum_is_capsule() -> None:
    cortex, medulla = np.zeros((2, 200, 600), bool)
    cortex[60:120] = medulla[120:180] = True
    tissue = cortex | medulla
    tissue[40:60] = True  # a septum above the cortex
    assert measured(tissue, cortex, medulla).median_um == pytest.approx(120, rel=1e-3)


def test_turning_flipping_and_padding() -> None:
    r, angle = polar()
    cortex = (r < 250 + 20 * np.sin(3 * angle)) & (r >= 150 + 30 * np.cos(4 * angle))
    medulla = r < 150 + 30 * np.cos(4 * angle)
    one = measured(cortex | medulla, cortex, medulla).median_um
    for change in (np.rot90, np.fliplr, lambda a: np.pad(a, ((3, 8), (5, 1)))):
        c, m = change(cortex), change(medulla)
        assert measured(c | m, c, m).median_um == pytest.approx(one, rel=1e-4)


def test_a_large_cortex_on_a_coarser_grid_is_as_thick(monkeypatch: pytest.MonkeyPatch) -> None:
    r, angle = polar(500, 1.0)
    medulla = r < 100 + 20 * np.cos(4 * angle)
    cortex = (r < 220) & ~medulla
    one = measured(r < 220, cortex, medulla, 1.0).median_um
    monkeypatch.setattr(streamline, "LARGE_PX", 1000)
    assert measured(r < 220, cortex, medulla, 1.0).median_um == pytest.approx(one, rel=0.02)


def test_nothing_gives_nothing() -> None:
    empty = np.zeros((20, 20), bool)
    found = measured(empty, empty, empty)
    assert math.isnan(found.median_um)
    assert math.isnan(found.share)

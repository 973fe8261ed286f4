from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import ndimage

from thymusimg.measurements.shapes.cortex import local_thickness_um, measure_capsule


@pytest.mark.parametrize("width_px", [20, 21, 50])
def test_a_ribbon_is_as_thick_as_it_is_wide(width_px: int) -> None:
    ribbon = np.zeros((80, 1500), bool)
    ribbon[10 : 10 + width_px] = True
    assert local_thickness_um(ribbon, 2.0) == pytest.approx(2 * width_px, abs=1.0)  # half a pixel


def test_a_ring_is_as_thick_as_its_band() -> None:
    # radii 100 and 60 pixels of 2 µm: 80 µm
    y, x = np.mgrid[-120:121, -120:121]
    r = np.hypot(y, x)
    assert local_thickness_um((r < 100) & (r >= 60), 2.0) == pytest.approx(80, abs=2.0)


def test_a_disc_is_as_thick_as_its_diameter() -> None:
    y, x = np.mgrid[-60:61, -60:61]
    assert local_thickness_um(np.hypot(y, x) < 50, 2.0) == pytest.approx(200, abs=3.0)


def test_half_of_the_area_decides() -> None:
    # 40 µm over 300 pixels and 80 µm over 100: areas 6000 and 4000 pixels, so the median is 40
    shape = np.zeros((80, 420), bool)
    shape[30:50, 10:310] = True
    shape[20:60, 310:410] = True
    assert local_thickness_um(shape, 2.0) == pytest.approx(40, abs=1.0)


def test_a_vessel_does_not_thin_the_cortex() -> None:
    ribbon = np.zeros((80, 600), bool)
    ribbon[10:60] = True
    whole = local_thickness_um(ribbon, 2.0)
    ribbon[33:37, ::40] = False
    assert local_thickness_um(ribbon, 2.0) == whole


def test_thickness_against_painted_discs() -> None:
    # the definition, one disc a pixel: slow, small
    noise = ndimage.gaussian_filter(np.random.default_rng(5).normal(size=(60, 60)), 5)
    mask = noise > 0
    mask[[0, -1]] = mask[:, [0, -1]] = False
    depth = ndimage.distance_transform_edt(mask)
    y, x = np.mgrid[:60, :60]
    painted = np.zeros((60, 60))
    for cy, cx in np.argwhere(mask):
        inside = np.hypot(y - cy, x - cx) < depth[cy, cx]
        painted[inside] = np.maximum(painted[inside], depth[cy, cx])
    wanted = np.sort(painted[mask])[::-1][math.ceil(mask.sum() / 2) - 1]
    assert local_thickness_um(mask, 1.0, hole_um2=0) == pytest.approx(2 * (math.floor(4 * wanted) / 4 - 0.25))


def test_thickness_hardly_follows_the_pixel_size() -> None:
    y, x = np.mgrid[-240:240, -240:240] + 0.5
    r = np.hypot(y, x)
    band = (r < 200) & (r >= 120)
    assert local_thickness_um(band[::2, ::2], 2.0) == pytest.approx(local_thickness_um(band, 1.0), rel=0.05)


def test_no_cortex_has_no_thickness() -> None:
    assert math.isnan(local_thickness_um(np.zeros((30, 30), bool), 2.0))


def disc(radius: float, size: int = 400) -> np.ndarray:
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    return np.hypot(y, x) < radius


def test_capsule_is_as_long_as_the_circle() -> None:
    tissue = disc(150)
    capsule = measure_capsule(tissue, tissue, tissue, 2.0)
    # 2π · 300 µm; smoothing at 10 µm shrinks the radius by σ²/2r, a sixth of a µm
    assert capsule.length_mm == pytest.approx(2 * math.pi * 0.3, rel=0.005)
    assert capsule.cortical_coverage == 1


def test_a_sector_of_cortex_covers_its_angle() -> None:
    tissue = disc(150)
    y, x = np.mgrid[:400, :400] - 199.5
    cortex = tissue & (y > 0) & (x > 0)
    assert measure_capsule(tissue, cortex, tissue, 2.0).cortical_coverage == pytest.approx(0.25, abs=0.003)


@pytest.mark.parametrize(("thick_um", "coverage"), [(40, 1.0), (80, 0.0)])
def test_cortex_counts_within_sixty_micrometres(thick_um: float, coverage: float) -> None:
    tissue = disc(150)
    cortex = disc(150 - thick_um / 2)
    assert measure_capsule(tissue, cortex, cortex, 2.0).cortical_coverage == pytest.approx(coverage, abs=1e-9)


def test_medulla_at_the_capsule_uncovers_it() -> None:
    tissue = disc(150)
    cortex = disc(140)
    assert measure_capsule(tissue, cortex, tissue, 2.0).cortical_coverage == 0


def test_holes_are_no_capsule() -> None:
    tissue = disc(150)
    holed = tissue & ~disc(40)
    assert measure_capsule(holed, holed, holed, 2.0) == measure_capsule(tissue, tissue, tissue, 2.0)


def test_the_border_of_the_image_is_no_capsule() -> None:
    # a half plane: the capsule is one straight line of 200 pixels of 2 µm, from first to last pixel centre
    tissue = np.zeros((200, 200), bool)
    tissue[100:] = True
    assert measure_capsule(tissue, tissue, tissue, 2.0).length_mm == pytest.approx(199 * 2e-3)
    everything = np.ones((50, 50), bool)
    assert math.isnan(measure_capsule(everything, everything, everything, 2.0).cortical_coverage)


def test_no_cortex_covers_nothing() -> None:
    tissue = disc(150)
    assert measure_capsule(tissue, tissue & False, tissue, 2.0).cortical_coverage == 0

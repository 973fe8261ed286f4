from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from scipy import ndimage
from scipy.stats import norm
from skimage.measure import euler_number

from thymusimg.measurements.stains.euler import density_euler_curve, dilation_euler_curve, euler_numbers


def disc(size: int, *circles: tuple[float, float, float]) -> np.ndarray:
    y, x = np.mgrid[:size, :size]
    return np.any([np.hypot(y - cy, x - cx) <= r for cy, cx, r in circles], axis=0)


@pytest.mark.parametrize("seed", range(4))
def test_euler_numbers_agree_with_scikit_image(seed: int) -> None:
    field = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(70, 90)), 0.7 * seed)
    levels = np.quantile(field, [0.9, 0.1, 0.5, 0.3, 0.7])  # in any order
    wanted = [euler_number(np.pad(field >= level, 1), connectivity=2) for level in levels]
    assert euler_numbers(field, levels).tolist() == wanted


def test_disc_annulus_two_discs_and_a_corner() -> None:
    one = disc(60, (30, 30, 20))
    ring = one & ~disc(60, (30, 30, 10))
    two = disc(60, (15, 15, 10), (45, 45, 10))
    corner = np.zeros((4, 4), bool)
    corner[0, 0] = corner[1, 1] = True  # 8-connected: one piece
    for mask, expected in ((one, 1), (ring, 0), (two, 2), (corner, 1), (two ^ corner_ring(), 1)):
        assert euler_numbers(mask.astype(float), [0.5]).tolist() == [expected]


def corner_ring() -> np.ndarray:
    """A hole in the first of two discs."""
    return disc(60, (15, 15, 4))


def test_nothing_is_below_every_level() -> None:
    field = np.full((5, 5), np.nan)
    assert euler_numbers(field, [0.0, -1e9]).tolist() == [0, 0]
    field[2, 2] = 1.0
    assert euler_numbers(field, [0.0, 1.0, 2.0]).tolist() == [1, 1, 0]


def test_a_gaussian_field_follows_adlers_formula() -> None:
    """The expected Euler characteristic of a Gaussian field's excursion sets, with its boundary terms."""
    sigma, size, pixel = 20.0, 400, 4.0
    z = np.array([-1.5, -1.0, 0.0, 1.0, 1.5])
    mask = np.ones((size, size), bool)
    found = []
    for seed in range(12):
        noise = np.random.default_rng(seed).normal(size=(size + 100, size + 100))
        field = ndimage.gaussian_filter(noise, sigma / pixel)[50:-50, 50:-50]
        found.append(euler_numbers(field / field.std(), z))
    assert mask.all()
    # smoothed white noise: mean squared slope along an axis over the variance is 1 / (2σ²)
    slope, side = 1 / (2 * sigma**2), size * pixel
    rho2 = slope * z * np.exp(-(z**2) / 2) / (2 * math.pi) ** 1.5
    rho1 = math.sqrt(slope) * np.exp(-(z**2) / 2) / (2 * math.pi)
    expected = side**2 * rho2 + 2 * side * rho1 + norm.sf(z)
    assert np.mean(found, axis=0) == pytest.approx(expected, rel=0.1, abs=8)


def test_one_medulla_is_one_at_every_level_and_noise_does_not_show() -> None:
    rng = np.random.default_rng(0)
    lobe, medulla = disc(400, (200, 200, 180)), disc(400, (200, 200, 80))
    k14 = (100.0 * medulla + rng.normal(0, 30, lobe.shape)).astype(np.float32)
    assert density_euler_curve(k14, lobe, 2.0).tolist()[1:-1] == [1.0] * 15
    assert density_euler_curve(k14 * 0.5 + 20, lobe, 2.0).tolist() == density_euler_curve(k14, lobe, 2.0).tolist()


def test_a_ring_of_medulla_has_a_hole() -> None:
    lobe, ring = disc(400, (200, 200, 180)), disc(400, (200, 200, 120)) & ~disc(400, (200, 200, 60))
    assert density_euler_curve(ring.astype(np.float32), lobe, 2.0, levels=[0.5]).tolist() == [0.0]


@pytest.mark.parametrize("turn", [np.rot90, np.fliplr, np.transpose, lambda v: np.pad(v, ((3, 8), (5, 0)))])
def test_the_curve_does_not_depend_on_how_the_section_lies(turn) -> None:
    lobe = disc(300, (150, 150, 140), (120, 40, 30))
    field = ndimage.gaussian_filter(np.random.default_rng(1).normal(size=lobe.shape), 8).astype(np.float32)
    plane = np.where(lobe, np.exp(field * 20), 0).astype(np.float32)
    turned = (np.ascontiguousarray(turn(v)) for v in (plane, lobe))
    assert density_euler_curve(*turned, 2.0).tolist() == density_euler_curve(plane, lobe, 2.0).tolist()


def test_the_curve_does_not_depend_on_the_pixel_size() -> None:
    lobe = disc(600, (300, 300, 280))
    field = ndimage.gaussian_filter(np.random.default_rng(1).normal(size=lobe.shape), 30)
    plane = np.exp(field / field.std()).astype(np.float32)
    fine = density_euler_curve(plane, lobe, 1.0)
    half = plane.reshape(300, 2, 300, 2).mean((1, 3)), lobe.reshape(300, 2, 300, 2).mean((1, 3)) >= 0.5
    np.testing.assert_allclose(density_euler_curve(*half, 2.0), fine, atol=1)


def test_constant_or_absent_stains_are_undefined() -> None:
    lobe = disc(100, (50, 50, 40))
    assert np.isnan(density_euler_curve(lobe.astype(np.float32), lobe, 2.0)).all()
    assert np.isnan(density_euler_curve(lobe.astype(np.float32), lobe & False, 2.0)).all()
    assert np.isnan(dilation_euler_curve(lobe & False, 2.0)).all()


def test_grown_discs_merge_at_half_their_gap() -> None:
    # centres 200 px apart, radius 50: a gap of 100 px, 200 µm
    mask = disc(400, (200, 100, 50), (200, 300, 50))
    grown = dilation_euler_curve(mask, 2.0, radii_um=[0, 96, 104])
    assert grown.tolist() == [2, 2, 1]
    # a ring's hole of 40 px radius fills at 80 µm
    ring = disc(400, (200, 200, 90)) & ~disc(400, (200, 200, 40))
    assert dilation_euler_curve(ring, 2.0, radii_um=[0, 76, 84]).tolist() == [0, 0, 1]


def test_dilations_agree_with_opencv() -> None:
    mask = ndimage.gaussian_filter(np.random.default_rng(3).normal(size=(200, 200)), 5) > 0.08
    y, x = np.mgrid[-9:10, -9:10]
    for radius in (0, 3, 6, 9):
        element = (np.hypot(y, x) <= radius + 0.5).astype(np.uint8)
        grown = cv2.dilate(np.pad(mask, 12).astype(np.uint8), element)
        wanted = euler_number(np.pad(grown, 1), connectivity=2)
        assert dilation_euler_curve(mask, 1.0, radii_um=[radius]).tolist() == [wanted]

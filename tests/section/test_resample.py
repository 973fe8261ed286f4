from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from thymusimg.section.model import Window
from thymusimg.section.resample import Resampling

SCALES = [0.25, 0.37, 0.5, 0.8, 1.0, 1.3, 2.0, 2.7, 5.0]


def noise(shape=(90, 121), seed=0):
    return np.random.default_rng(seed).normal(100, 20, shape).astype(np.float32)


def smooth(shape=(90, 121)):
    y, x = np.mgrid[: shape[0], : shape[1]]
    return (100 + 20 * np.sin(y / 9) * np.cos(x / 11)).astype(np.float32)


def whole(shape):
    return Window(0, shape[0], 0, shape[1])


def resampled(plane, scale, window=None):
    """Resample at a slide pixel of 0.5 µm; only what is needed is handed over, the rest is lost."""
    to = Resampling(plane.shape, 0.5, 0.5 * scale)
    window = window or whole(to.shape)
    place = to.needed(window)
    return to.sample(np.ascontiguousarray(plane[place.slices]), place, window)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("window", [(0, 7, 0, 5), (3, 17, 4, 20), (11, 12, 9, 10), (5, 18, 2, 24)])
def test_windows_are_parts_of_the_whole_to_the_last_bit(scale, window):
    plane = noise()
    part = resampled(plane, scale, Window(*window))
    np.testing.assert_array_equal(part, resampled(plane, scale)[Window(*window).slices])


@pytest.mark.parametrize("scale", SCALES)
def test_a_window_past_the_slide_goes_on_with_its_rim(scale):
    plane = noise((40, 50))
    height, width = Resampling(plane.shape, 0.5, 0.5 * scale).shape
    big = resampled(plane, scale, Window(-9, height + 9, -9, width + 9))
    assert np.isfinite(big).all()
    np.testing.assert_array_equal(big[9:-9, 9:-9], resampled(plane, scale))
    np.testing.assert_allclose(big[0], big[4], rtol=1e-5)  # the rim's own pixels, four rows and more away
    assert plane.min() - 1e-3 <= big.min() <= big.max() <= plane.max() + 1e-3
    beyond = resampled(plane, scale, Window(height + 5, height + 8, 0, width))
    assert np.isfinite(beyond).all()


def test_one_to_one_is_the_same_pixels():
    plane = noise()
    np.testing.assert_array_equal(resampled(plane, 1.0), plane)
    np.testing.assert_array_equal(resampled(plane, 1.0, Window(3, 50, 7, 60)), plane[3:50, 7:60])
    ahead = resampled(plane, 1.0, Window(-2, 4, -3, 4))
    np.testing.assert_array_equal(ahead, np.pad(plane, 3, mode="edge")[1:7, :7])


@pytest.mark.parametrize("scale", SCALES)
def test_a_constant_stays_constant(scale):
    np.testing.assert_allclose(resampled(np.full((33, 47), 1234.5, np.float32), scale), 1234.5, rtol=1e-6)


@pytest.mark.parametrize("scale", SCALES)
def test_the_mean_stays(scale):
    # the last pixels reach past the slide where the scale does not divide it: a smooth rim keeps that small
    plane = noise((400, 400), 3)
    plane[:20] = plane[-20:] = 100
    plane[:, :20] = plane[:, -20:] = 100
    assert resampled(plane, scale).mean() == pytest.approx(plane.mean(), rel=2e-3)


@pytest.mark.parametrize("scale", SCALES)
def test_places_stay(scale):
    # a blob's centre, in µm from the centre of the slide's first pixel
    y, x = np.mgrid[:120, :120]
    plane = np.exp(-((y - 50.3) ** 2 + (x - 71.9) ** 2) / (2 * 9.0**2)).astype(np.float32)
    found = np.array(ndimage.center_of_mass(resampled(plane, scale)))
    np.testing.assert_allclose((found + 0.5) * scale - 0.5, [50.3, 71.9], atol=0.06)


@pytest.mark.parametrize("scale", [0.25, 0.37, 0.5, 0.8])
def test_finer_is_linear_interpolation(scale):
    plane = noise()
    to = Resampling(plane.shape, 0.5, 0.5 * scale)
    places = [(np.arange(n) + 0.5) * scale - 0.5 for n in to.shape]
    truth = ndimage.map_coordinates(plane, np.meshgrid(*places, indexing="ij"), order=1, mode="nearest")
    np.testing.assert_allclose(resampled(plane, scale), truth, rtol=1e-4)


@pytest.mark.parametrize(("scale", "shape"), [(2.0, (80, 120)), (5.0, (80, 120)), (1 / 0.37, (100, 200))])
def test_coarser_is_the_triangle_of_pillow(scale, shape):
    plane = noise(shape)
    to = Resampling(shape, 0.5, 0.5 * scale)
    exact = (round(shape[1] / scale), round(shape[0] / scale))  # sides that the scale divides
    assert to.shape == exact[::-1]
    truth = np.asarray(Image.fromarray(plane).resize(exact, Image.Resampling.BILINEAR))
    rim = 2
    inside = np.s_[rim:-rim, rim:-rim]
    np.testing.assert_allclose(resampled(plane, scale)[inside], truth[inside], rtol=1e-5)


def test_coarser_is_free_of_moire():
    # stripes finer than the new pixels become their mean, not a coarse pattern
    plane = np.tile(np.float32([0, 200]), (90, 60))
    assert np.ptp(resampled(plane, 2.0)[:, 2:-2]) < 1e-3
    assert np.ptp(resampled(plane, 2.7)[:, 2:-2]) < 20


@pytest.mark.parametrize("scale", [0.37, 0.5, 2.0, 2.7])
def test_there_and_back_is_nearly_the_same(scale):
    plane = smooth()
    there = resampled(plane, scale)
    back = Resampling(there.shape, 0.5 * scale, 0.5)
    again = back.sample(there, back.needed(whole(plane.shape)), whole(plane.shape))
    assert np.abs(again - plane)[6:-6, 6:-6].max() < 1.5


def test_a_rounded_pixel_size_is_no_other_scale():
    to = Resampling((1000, 1000), 0.5, 0.50002)
    assert to.scale == 1.0
    assert Resampling((1000, 1000), 0.25, 0.50001).scale == 2.0
    assert Resampling((20000, 20000), 0.5, 0.501).scale == pytest.approx(1.002)
    assert Resampling((1000, 1000), 0.5, 0.25).scale == 0.5


@pytest.mark.parametrize("scale", SCALES)
def test_places_on_are_the_pixels_under_the_centres(scale):
    to = Resampling((57, 83), 0.5, 0.5 * scale)
    for axis, length in enumerate((57, 83)):
        places = to.places_on(0, length, axis)
        np.testing.assert_array_equal(places[10:30], to.places_on(10, 30, axis))
        assert 0 <= places.min() <= places.max() < to.shape[axis]
        distance = np.abs((places + 0.5) * scale - 0.5 - np.arange(length))
        assert distance.max() <= 0.5 * scale + 1e-9


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (7, 2)])
def test_small_slides(scale, shape):
    plane = noise(shape)
    out = resampled(plane, scale)
    assert out.shape == Resampling(shape, 0.5, 0.5 * scale).shape
    assert plane.min() - 1e-3 <= out.min() <= out.max() <= plane.max() + 1e-3

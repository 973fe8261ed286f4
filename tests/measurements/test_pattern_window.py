from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from scipy.spatial import KDTree

from thymusimg.measurements.pattern import covariance as covariances
from thymusimg.measurements.pattern.covariance import set_covariance
from thymusimg.measurements.pattern.empty import largest_empty_circle
from thymusimg.measurements.pattern.window import Window

Mask = npt.NDArray[np.bool_]


def lobe(size: int = 160, seed: int = 0) -> npt.NDArray[np.uint8]:
    """An irregular lobe with holes: 1 outside, 2 in the middle."""
    rng = np.random.default_rng(seed)
    y, x = (np.mgrid[:size, :size] - size / 2) / size
    angle, r = np.arctan2(y, x), np.hypot(y, x)
    parts = (r < 0.42 + 0.05 * np.sin(3 * angle + 1)).astype(np.uint8)
    parts[np.hypot(y + 0.05, x - 0.1) < 0.17] *= 2
    for cy, cx in rng.uniform(-0.3, 0.3, (4, 2)):
        parts[np.hypot(y - cy, x - cx) < 0.06] = 0
    return parts


# --- set covariance


def shifted(mask: Mask, dy: int, dx: int) -> int:
    padded = np.pad(mask, 20)
    return int((padded & np.roll(padded, (dy, dx), (0, 1))).sum())


def test_set_covariance_counts_the_overlap() -> None:
    mask = np.random.default_rng(0).random((31, 23)) < 0.6
    found = set_covariance(mask, 1.0, 7.0)
    for dy, dx in [(0, 0), (3, -5), (-7, 7), (1, 0), (0, -6)]:
        assert found.at_um2(dy, dx) == shifted(mask, dy, dx)


def test_set_covariance_between_pixels_is_exact() -> None:
    mask = np.random.default_rng(1).random((19, 22)) < 0.5
    coarse = set_covariance(mask, 2.0, 9.0)
    fine = np.kron(mask, np.ones((4, 4), bool))
    for dy, dx in [(1, 2), (-9, 5), (17, -3), (6, 11)]:  # in quarters of a pixel of 2 µm
        assert coarse.at_um2(dy / 2, dx / 2) == pytest.approx(shifted(fine, dy, dx) / 4, rel=1e-12)


def test_set_covariance_does_not_depend_on_its_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    mask = lobe() > 0
    whole = set_covariance(mask, 2.0, 40.0).table
    monkeypatch.setattr(covariances, "_BLOCK_PX", 33)
    np.testing.assert_array_equal(set_covariance(mask, 2.0, 40.0).table, whole)
    np.testing.assert_array_equal(whole, whole[::-1, ::-1])


def test_isotropised_covariance_of_a_disc() -> None:
    y, x = np.mgrid[:400, :400] - 199.5
    disc = set_covariance(np.hypot(y, x) < 180, 1.0, 90.0)
    r = np.array([10.0, 40.0, 90.0])
    lens = 2 * 180**2 * np.arccos(r / 360) - r / 2 * np.sqrt(4 * 180**2 - r**2)
    np.testing.assert_allclose(disc.isotropised_um2(r), lens, rtol=1e-3)


# --- the window


@pytest.mark.parametrize("which", range(8))
def test_one_orientation_whatever_the_image(which: int) -> None:
    parts = lobe()
    points = np.random.default_rng(2).uniform(30, 290, (200, 2))
    usual = Window.of(parts, 2.0)
    image, moved, last = parts, points, 159 * 2.0
    if which & 1:
        image, moved = image[::-1], np.stack([last - moved[:, 0], moved[:, 1]], axis=1)
    if which & 2:
        image, moved = image[:, ::-1], np.stack([moved[:, 0], last - moved[:, 1]], axis=1)
    if which & 4:
        image, moved = image.T, moved[:, ::-1]
    turned = Window.of(np.pad(image, ((3, 0), (8, 5))), 2.0)
    np.testing.assert_array_equal(turned.parts, usual.parts)
    np.testing.assert_array_equal(turned.place(moved + np.array([6.0, 16.0])), usual.place(points))


def test_parts_under_points() -> None:
    parts = np.array([[1, 2], [0, 3]], np.uint8)
    window = Window.of(parts, 2.0)
    # the centres of the pixels, one beyond, and the edge between two parts, where the higher code counts
    points = [[0, 0], [0, 2], [2, 0], [2, 2], [0, 4], [0, 1]]
    assert window.part(window.place(points)).tolist() == [1, 2, 0, 3, 0, 2]


@pytest.mark.parametrize("angle", [0.0, 0.4, 1.1])
def test_width_of_a_rectangle(angle: float) -> None:
    y, x = np.mgrid[:300, :300] - 150.0
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    mask = (np.abs(along) < 120) & (np.abs(across) < 40)
    mask[5:8, 5:8] = True  # a crumb elsewhere does not widen it
    assert Window.of(mask, 2.0).width_um == pytest.approx(160, abs=4)


def test_points_are_drawn_evenly_in_each_part() -> None:
    window = Window.of(lobe(), 2.0)
    drawn = window.sampler(2)(20_000, np.random.default_rng(3))
    assert (window.part(drawn) == 2).all()
    y, x = np.nonzero(window.parts == 2)
    np.testing.assert_allclose(drawn.mean(axis=0), [y.mean() + 0.5, x.mean() + 0.5], atol=0.4)
    np.testing.assert_allclose(drawn.std(axis=0), [y.std(), x.std()], rtol=0.02)


def test_a_scattered_part_is_drawn_evenly() -> None:
    parts = np.zeros((300, 300), np.uint8)
    parts[::30, ::20] = 1
    window = Window.of(parts, 2.0)
    drawn = window.sampler()(15_000, np.random.default_rng(3))
    assert (window.part(drawn) == 1).all()
    _, counts = np.unique(np.floor(drawn), axis=0, return_counts=True)
    assert len(counts) == 150
    assert abs(counts.var() / 100 - 1) < 0.5  # Poisson, mean 100
    np.testing.assert_allclose((drawn % 1).mean(axis=0), 0.5, atol=0.01)


def test_the_same_places_are_drawn_in_finer_pixels() -> None:
    parts = lobe()
    coarse, fine = Window.of(parts, 2.0), Window.of(np.kron(parts, np.ones((2, 2), np.uint8)), 1.0)
    one, two = (w.sampler(1)(500, np.random.default_rng(4)) * w.pixel_um for w in (coarse, fine))
    np.testing.assert_allclose(one, two, atol=0.003)


def test_an_empty_window_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        Window.of(np.zeros((5, 5), bool), 1.0)


# --- the largest empty circle


@pytest.mark.parametrize("seed", range(3))
def test_largest_empty_circle_against_every_pixel(seed: int) -> None:
    mask = lobe(seed=seed) > 0
    points = np.random.default_rng(seed).uniform(0, 160, (40, 2))
    centres = np.argwhere(mask)
    assert largest_empty_circle(mask, points).radius == KDTree(points).query(centres)[0].max()


def test_largest_empty_circle_inside() -> None:
    y, x = np.mgrid[:101, :101] - 50.0
    disc = np.hypot(y, x) < 45
    far = largest_empty_circle(disc, [[50, 50]])
    assert far.radius == pytest.approx(45, abs=1)
    # between the cell in the middle and the edge: half the radius
    assert largest_empty_circle(disc, [[50, 50]], inside=True).radius == pytest.approx(22.5, abs=0.7)
    assert math.isnan(largest_empty_circle(disc, np.zeros((0, 2))).radius)

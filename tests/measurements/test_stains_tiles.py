from __future__ import annotations

import math

import numpy as np
import pytest
from libpysal.weights import W, lat2W
from scipy import ndimage
from scipy.spatial.distance import jensenshannon

from thymusimg.measurements.stains.moran import tile_autocorrelation, tile_maps
from thymusimg.measurements.stains.segregation import divergence


def by_libpysal(values: np.ndarray) -> tuple[float, float]:
    """Moran's I and Geary's c from libpysal's queen weights, by their definitions."""
    grid = lat2W(*values.shape, rook=False)
    flat = values.ravel()
    known = {i for i in grid.neighbors if math.isfinite(flat[i])}
    near = {i: [j for j in grid.neighbors[i] if j in known] for i in known}
    weights = W({i: js for i, js in near.items() if js}, silence_warnings=True)
    at, matrix = weights.id_order, weights.full()[0]
    z = flat[at] - flat[at].mean()
    n, total = len(z), matrix.sum()
    geary = (n - 1) * (matrix * (z[:, None] - z[None]) ** 2).sum() / (2 * total * (z**2).sum())
    return n / total * float(z @ matrix @ z) / float((z**2).sum()), float(geary)


@pytest.mark.parametrize("seed", range(4))
def test_moran_and_geary_agree_with_libpysal_weights(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = ndimage.gaussian_filter(rng.normal(size=(12, 17)), seed / 2)
    values[rng.random(values.shape) < 0.3] = np.nan
    found = tile_autocorrelation(values, permutations=19)
    assert (found.moran_i, found.geary_c) == pytest.approx(by_libpysal(values))


def test_a_gradient_is_smooth_and_noise_is_not() -> None:
    gradient = tile_autocorrelation(np.arange(20.0)[:, None] * np.ones(20))
    assert gradient.moran_i > 0.9
    assert gradient.geary_c < 0.05
    assert gradient.moran_p == gradient.geary_p == 0.001
    found = [
        tile_autocorrelation(np.random.default_rng(s).normal(size=(20, 20)), permutations=99) for s in range(40)
    ]
    assert np.mean([f.moran_i for f in found]) == pytest.approx(-1 / 399, abs=0.01)
    assert np.mean([f.geary_c for f in found]) == pytest.approx(1, abs=0.02)
    assert np.mean([f.moran_p <= 0.05 for f in found]) <= 0.15
    assert 0.3 < np.mean([f.moran_p for f in found]) < 0.7


def test_p_does_not_depend_on_how_the_section_lies() -> None:
    values = np.random.default_rng(1).normal(size=(9, 14))
    values[:3, :4] = np.nan
    one = tile_autocorrelation(values)
    for turned in (values[::-1], values.T, np.rot90(values)):
        two = tile_autocorrelation(turned)
        assert two.moran_p == one.moran_p
        assert two.moran_i == pytest.approx(one.moran_i)


def test_tiles_without_neighbours_take_no_part() -> None:
    values = np.full((9, 9), np.nan)
    values[:4, :4] = np.indices((4, 4)).sum(axis=0) % 2
    alone = tile_autocorrelation(values)
    values[8, 8] = 100.0
    assert tile_autocorrelation(values) == alone
    assert alone.tiles == 16


def test_few_or_equal_tiles_are_undefined() -> None:
    assert math.isnan(tile_autocorrelation(np.ones((5, 5))).moran_i)
    assert math.isnan(tile_autocorrelation(np.array([[1.0, 2.0, 3.0]])).moran_i)
    assert tile_autocorrelation(np.full((3, 3), np.nan)).tiles == 0


def test_divergence_agrees_with_scipy() -> None:
    rng = np.random.default_rng(0)
    p, q = rng.random(200), rng.random(200) ** 4
    assert divergence(p, q) == pytest.approx(jensenshannon(p, q, base=2) ** 2)
    assert divergence(3 * p, q) == pytest.approx(divergence(p, q))
    assert math.isnan(divergence(p * 0, q))


def test_maps_of_two_halves() -> None:
    # 400 by 400 µm: the left half K8, the right half K14, eight tiles wide
    k14 = (np.arange(200) >= 100) * np.ones((200, 1), np.float32)
    maps = tile_maps(1 - k14, k14, np.ones((200, 200), bool), 2.0)
    assert maps is not None
    assert maps.divergence == pytest.approx(1)
    assert maps.logit[:, :8] == pytest.approx(-math.log(1.01 / 0.01))
    assert maps.logit[:, 8:] == pytest.approx(math.log(1.01 / 0.01))
    assert tile_maps(1 - k14, k14 * 0, np.ones((200, 200), bool), 2.0) is None
    assert tile_maps(1 - k14, k14, np.zeros((200, 200), bool), 2.0) is None


def test_salt_and_pepper_diverges_little_and_gains_cancel() -> None:
    rng = np.random.default_rng(0)
    k14 = (rng.random((400, 400)) < 0.5).astype(np.float32)
    mask = np.ones((400, 400), bool)
    one, two = tile_maps(1 - k14, k14, mask, 2.0), tile_maps(3 * (1 - k14), k14 / 2, mask, 2.0)
    assert one is not None
    assert two is not None
    assert one.divergence < 0.01
    np.testing.assert_allclose(two.logit, one.logit, atol=1e-5)
    assert abs(tile_autocorrelation(one.logit).moran_i) < 0.15

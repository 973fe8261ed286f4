from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from thymusimg.phantom import CameraSpec, OpticsSpec
from thymusimg.phantom.drawn.light import disc_kernel, illumination, moffat_kernel
from thymusimg.phantom.drawn.sensor import expose
from thymusimg.phantom.drawn.strands import gabriel_edges


def test_gabriel_edges_have_empty_circles() -> None:
    points = np.random.default_rng(1).random((80, 2))
    first, second = gabriel_edges(points)
    found = set(zip(first.tolist(), second.tolist(), strict=True))
    apart = cdist(points, points)
    expected = {
        (i, j)
        for i in range(80)
        for j in range(i + 1, 80)
        if all(apart[i, k] ** 2 + apart[j, k] ** 2 >= apart[i, j] ** 2 for k in range(80) if k not in (i, j))
    }
    assert found == expected


def test_points_on_a_line_have_no_edges() -> None:
    assert len(gabriel_edges(np.zeros((5, 2)))[0]) == 0
    assert len(gabriel_edges(np.zeros((2, 2)))[0]) == 0


def test_kernels_keep_the_light_and_have_their_width() -> None:
    core = moffat_kernel(0.35, 0.1)
    assert core.sum() == pytest.approx(1, abs=1e-5)
    middle = core[core.shape[0] // 2]
    half = np.interp(0.35 * 1.17741, np.arange(len(middle) // 2 + 1) * 0.1, middle[len(middle) // 2 :])
    assert half == pytest.approx(middle.max() / 2, rel=0.06)
    disc = disc_kernel(1.2, 0.1)
    at = (np.arange(len(disc)) - len(disc) // 2) * 0.1
    assert np.sqrt((disc.sum(0) * at**2).sum()) == pytest.approx(1.2, rel=0.02)


def test_a_camera_tile_loses_at_its_corner_what_was_asked() -> None:
    gain = illumination(OpticsSpec(vignetting=0.3, seam=0.0, tile_px=128), 1, 0, (256, 300))
    assert gain is not None
    assert gain.shape == (256, 300)
    assert gain.max() == pytest.approx(1, abs=0.01)
    assert gain.min() == pytest.approx(0.7, abs=0.1)
    assert np.array_equal(gain[:128, :128], gain[128:, 128:256])
    assert illumination(OpticsSpec.none(), 1, 0, (8, 8)) is None


@pytest.mark.parametrize(
    ("depth", "dtype", "most"), [(8, np.uint8, 255), (12, np.uint16, 4095), (16, np.uint16, 65535)]
)
def test_sensor_clips_at_its_bits(depth: int, dtype: type, most: int) -> None:
    camera = CameraSpec.model_validate({"bit_depth": depth, "gain_dn_per_e": 200})
    out = expose(np.full((8, 8), 50, np.float32), camera, 1, 0, 64)
    assert out.dtype == dtype
    assert out.max() == most


@pytest.mark.parametrize("electrons", [0.0, 3.0, 200.0])
def test_sensor_noise_is_poisson_on_a_fixed_pattern(electrons: float) -> None:
    camera = CameraSpec(peak_electrons=100, read_noise_e=2, gain_dn_per_e=4, offset_dn=100)
    light = np.full((600, 600), electrons / 100, np.float32)
    one, two = (expose(light, camera, 9, channel, 600).astype(float) for channel in (0, 1))
    assert one.mean() == pytest.approx(100 + 4 * electrons, abs=0.6)
    # the same sites in both exposures: the difference has the shot and read noise alone
    read = 4 * np.exp(0.35**2)
    assert (one - two).var() / 2 == pytest.approx(16 * (electrons + read), rel=0.04)
    pattern = np.cov(one.ravel(), two.ravel())[0, 1]
    assert pattern == pytest.approx(16 * (0.6**2 + (0.01 * electrons) ** 2), rel=0.25)


def test_jpeg_changes_little_and_keeps_the_shape() -> None:
    light = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (48, 1))
    plain = expose(light, CameraSpec(bit_depth=8), 1, 0, 64)
    lossy = expose(light, CameraSpec(bit_depth=8, jpeg_quality=80), 1, 0, 64)
    assert lossy.dtype == np.uint8
    assert lossy.shape == plain.shape
    assert 0 < np.abs(lossy.astype(float) - plain).mean() < 4

from __future__ import annotations

import numpy as np
import pytest

from thymusimg.phantom import OpticsSpec, PhantomSpec
from thymusimg.phantom.hashing import lattice_normals
from thymusimg.phantom.patch import Patch, coarse_patch, gauss, reach_px, upsample_patch
from thymusimg.phantom.slab import draw_block, draw_scene, windows
from thymusimg.phantom.streams import smooth_noise
from thymusimg.section.model import Grid, Window

SPEC = PhantomSpec(area_mm2=0.06, islets=2, cyst_fraction=0.06, cd45_cortex_per_mm2=9000.0, dapi=True)
HARD = SPEC.model_copy(update={"optics": OpticsSpec.hard().model_copy(update={"bubbles": 2, "tile_px": 200})})


@pytest.mark.parametrize("spec", [SPEC, HARD], ids=["nominal", "hard"])
@pytest.mark.parametrize("pixel", [0.65, 0.4, 1.0])
def test_no_byte_depends_on_the_block(spec: PhantomSpec, pixel: float) -> None:
    scene = draw_scene(spec, 4, pixel_size_um=pixel, size_mm=None)
    shape = scene.grid.slide_shape
    whole = draw_block(scene, Window(0, shape[0], 0, shape[1]))
    for side in (64, 200, 328):
        for window in windows(shape, side):
            block = draw_block(scene, window)
            assert np.array_equal(block.pixels, whole.pixels[:, *window.slices]), (side, window)
            assert np.array_equal(block.clean, whole.clean[:, *window.slices]), (side, window)
            assert np.array_equal(block.instances, whole.instances[window.slices]), (side, window)


def test_noise_belongs_to_its_place() -> None:
    grid = Grid.of((400, 601), 0.5)
    whole = smooth_noise(3, 4.0, Patch.slide(grid))
    window = Window(33, 377, 101, 500)
    assert np.array_equal(smooth_noise(3, 4.0, Patch.slide(grid, window)), whole[window.slices])
    # another pixel size samples the same field: every second pixel's centre is the same place
    assert np.array_equal(smooth_noise(3, 4.0, Patch.slide(Grid.of((200, 301), 1.0))), whole[::2, ::2])


def test_noise_is_standard_and_as_smooth_as_asked() -> None:
    field = smooth_noise(8, 6.0, Patch.slide(Grid.of((1500, 1500), 1.0))).astype(float)
    assert field.mean() == pytest.approx(0, abs=0.05)
    assert field.std() == pytest.approx(1, abs=0.03)
    for lag in (3, 6, 12):
        expected = np.exp(-((lag / 6) ** 2) / 4)
        assert np.mean(field[:, lag:] * field[:, :-lag]) == pytest.approx(expected, abs=0.05)
        assert np.mean(field[lag:] * field[:-lag]) == pytest.approx(expected, abs=0.05)
    assert lattice_normals(5, (-40, 7), (300, 300)).std() == pytest.approx(1, abs=0.01)


def test_upsampling_keeps_planes_and_means() -> None:
    grid = Grid.of((64, 96), 0.5)
    fine, coarse = Patch.slide(grid), Patch.coarse(grid)
    slope = (coarse.rows_um[:, None] + 2 * coarse.columns_um[None, :]).astype(np.float32)
    full = upsample_patch(slope, coarse, fine)
    inner = (slice(2, -2), slice(2, -2))
    assert np.allclose(full[inner], (fine.rows_um[:, None] + 2 * fine.columns_um[None, :])[inner], atol=1e-3)
    window = Patch.slide(grid, Window(13, 41, 6, 75))
    part = coarse_patch(grid, window)
    assert np.array_equal(upsample_patch(slope[part.window.slices], part, window), full[window.window.slices])


@pytest.mark.parametrize("sigma", [0.1, 0.7, 2.4])
def test_the_blur_keeps_light_and_moves_it_by_the_shift(sigma: float) -> None:
    point = np.zeros((61, 61), np.float32)
    point[30, 30] = 1
    seen = gauss(point, sigma, (0.4, -1.3)).astype(float)
    axis = np.arange(61)
    assert seen.sum() == pytest.approx(1, abs=1e-5)
    assert (seen.sum(1) * axis).sum() == pytest.approx(30.4, abs=2e-3)
    assert (seen.sum(0) * axis).sum() == pytest.approx(28.7, abs=2e-3)
    if sigma > 0.5:
        assert np.sqrt((seen.sum(1) * (axis - 30.4) ** 2).sum()) == pytest.approx(sigma, rel=0.02)
    assert np.count_nonzero(seen) <= (2 * reach_px(sigma, 1.3) + 1) ** 2

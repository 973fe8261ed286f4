from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy import ndimage
from skimage.filters import threshold_otsu

from thymusimg.measurements.organisation import (
    entropy,
    measure_coexpression,
    otsu,
    segregation_index,
)

if TYPE_CHECKING:
    import numpy.typing as npt

Plane = "npt.NDArray[np.float32]"


def discs(shape: tuple[int, int], *circles: tuple[float, float, float]) -> npt.NDArray[np.bool_]:
    y, x = np.mgrid[: shape[0], : shape[1]]
    mask = np.zeros(shape, bool)
    for cy, cx, r in circles:
        mask |= np.hypot(y - cy, x - cx) <= r
    return mask


def checkerboard(size: int, block: int) -> npt.NDArray[np.float32]:
    y, x = np.mgrid[:size, :size]
    return ((y // block + x // block) % 2).astype(np.float32)


# --- co-expression (R6)


def stripes(positive_k8: slice, positive_k14: slice) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    rng = np.random.default_rng(2)
    k8, k14 = (rng.normal(0, 1, (200, 300)).astype(np.float32) for _ in range(2))
    k8[50:150, positive_k8] += 100
    k14[50:150, positive_k14] += 40
    return k8, k14


TISSUE = np.zeros((200, 300), bool)
TISSUE[50:150, 50:250] = True


def test_double_positive_area_is_the_overlap_over_the_union() -> None:
    # K8 on columns 50-149, K14 on 120-249: both on 30, either on 200 columns of 100 pixels of 1 µm²
    k8, k14 = stripes(slice(50, 150), slice(120, 250))
    found = measure_coexpression(k8, k14, TISSUE, TISSUE, 1.0, sigma_um=0)
    assert found.both_mm2 == pytest.approx(30 * 100e-6)
    assert found.either_mm2 == pytest.approx(200 * 100e-6)
    assert found.double_positive_fraction == pytest.approx(0.15)


def test_coexpression_does_not_follow_gain_and_offset() -> None:
    k8, k14 = stripes(slice(50, 150), slice(120, 250))
    one = measure_coexpression(k8, k14, TISSUE, TISSUE, 1.0)
    # with an offset the smoothing must not see a border of 0: it lies far from the tissue here
    two = measure_coexpression(k8 * 0.5, k14 * 2 + 10, TISSUE, TISSUE, 1.0)
    assert two.double_positive_fraction == pytest.approx(one.double_positive_fraction, abs=1e-3)


def test_an_empty_stain_is_positive_hardly_anywhere() -> None:
    k8, k14 = stripes(slice(50, 150), slice(0, 0))
    found = measure_coexpression(k8, k14, TISSUE, TISSUE, 1.0)
    assert found.double_positive_fraction < 0.01


def test_nothing_positive_is_undefined() -> None:
    flat = np.zeros((200, 300), np.float32)
    assert math.isnan(measure_coexpression(flat, flat, TISSUE, TISSUE, 1.0).double_positive_fraction)


def test_otsu_agrees_with_scikit_image() -> None:
    rng = np.random.default_rng(3)
    values = np.concatenate([rng.normal(10, 2, 5000), rng.normal(30, 4, 3000)]).astype(np.float32)
    assert otsu(values) == pytest.approx(threshold_otsu(values), abs=0.3)
    assert otsu(np.full(10, 4, np.float32)) == 4


# --- segregation (R7)

FULL = np.ones((400, 400), bool)


def test_entropy_by_hand() -> None:
    # H(¼) = ¼·2 + ¾·log₂(4/3) = 0.8113
    assert entropy(np.array([0.0, 0.25, 0.5, 1.0])) == pytest.approx([0, 0.8112781, 1, 0])


def test_a_checkerboard_of_large_blocks_is_sorted() -> None:
    # blocks of 100 µm on tiles of 50 µm that fit into them: every tile is pure
    k14 = checkerboard(400, 50)
    assert segregation_index(1 - k14, k14, FULL, 2.0) == pytest.approx(1, abs=1e-6)


def test_a_checkerboard_of_small_blocks_is_not_sorted() -> None:
    # blocks of 25 µm: every tile of 50 µm holds two of each, p = ½ everywhere, H = H_global = 1
    k14 = checkerboard(400, 25)
    assert segregation_index(1 - k14, k14, FULL, 1.0) == pytest.approx(0, abs=1e-3)


def test_blocks_that_the_tiles_cut_by_hand() -> None:
    # stripes of 100 µm against tiles of 50 µm, shifted by half a tile (400 = 8 tiles, first stripe of 25 µm):
    # every second tile is half and half, the others are pure: 1 - ½·1 = ½
    k14 = ((np.arange(400) + 75) // 100 % 2).astype(np.float32) * np.ones((400, 1), np.float32)
    assert segregation_index(1 - k14, k14, FULL, 1.0) == pytest.approx(0.5, abs=0.01)


def test_segregation_does_not_follow_either_gain() -> None:
    rng = np.random.default_rng(4)
    field = ndimage.gaussian_filter(rng.normal(size=(400, 400)), 15)
    k14 = np.clip(field / field.std() + 1, 0, None).astype(np.float32)
    k8 = np.clip(1 - field / field.std(), 0, None).astype(np.float32)
    one = segregation_index(k8, k14, FULL, 1.0)
    assert 0.1 < one < 0.95
    assert segregation_index(k8 * 0.5, k14 * 2, FULL, 1.0) == pytest.approx(one, rel=1e-6)


def test_one_stain_everywhere_is_undefined() -> None:
    k14 = np.full((400, 400), 0.5, np.float32)
    bump = k14.copy()
    bump[:50, :50] = 5  # the other stain's 99th percentile
    assert math.isnan(segregation_index(np.where(FULL, 1e-3, bump).astype(np.float32), k14 * 0, FULL, 1.0))
    assert math.isnan(segregation_index(k14, k14, np.zeros_like(FULL), 1.0))


def test_crumbs_of_tissue_are_undefined() -> None:
    crumbs = np.zeros((400, 400), bool)
    crumbs[::100, ::100] = True
    k14 = checkerboard(400, 25)
    assert math.isnan(segregation_index(1 - k14, k14, crumbs, 1.0))

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy import ndimage

from thymusimg.measurements.stains.segregation import (
    entropy,
    segregation_index,
)

if TYPE_CHECKING:
    import numpy.typing as npt


def checkerboard(size: int, block: int) -> npt.NDArray[np.float32]:
    y, x = np.mgrid[:size, :size]
    return ((y // block + x // block) % 2).astype(np.float32)


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

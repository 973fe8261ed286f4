from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from skimage.filters import threshold_otsu

from thymusimg.measurements.stains.coexpression import (
    measure_coexpression,
    otsu,
)

if TYPE_CHECKING:
    import numpy.typing as npt

Plane = "npt.NDArray[np.float32]"


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

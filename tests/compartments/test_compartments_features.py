from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from thymusimg.compartments.features import FEATURES, WITHOUT_PLACE, FeatureTable, check_names, measure_features
from thymusimg.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable

PX = 2.0
SHAPE = (240, 260)


def lobe(radius: float = 100.0) -> np.ndarray:
    y, x = np.indices(SHAPE)
    return np.hypot(y - 119.5, x - 129.5) < radius


def keratins(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y, x = np.indices(SHAPE)
    medulla = np.hypot(y - 110, x - 140) < 45
    mesh = rng.gamma(2.0, 0.5, (2, *SHAPE))
    k14 = mesh[0] * np.where(medulla, 900, 120)
    k8 = mesh[1] * np.where(medulla, 400, 800)
    return k14.astype(np.float32), k8.astype(np.float32)


def table(k14: np.ndarray, k8: np.ndarray, mask: np.ndarray, px: float = PX) -> FeatureTable:
    return measure_features(k14, k8, mask, px)


def as_planes(found: FeatureTable, shape: tuple[int, ...]) -> np.ndarray:
    """Return all features on the coarse grid, without interpolation, NaN outside."""
    ys, xs = np.indices(shape)
    rows = found.at(ys.ravel(), xs.ravel())
    out = np.full((rows.size, len(found.names)), np.nan, np.float32)
    out[rows >= 0] = found.values[rows[rows >= 0]]
    return out.reshape(*shape, -1)


def test_every_feature_is_a_number_everywhere() -> None:
    found = table(*keratins(), lobe())
    assert found.names == FEATURES
    assert np.isfinite(found.values).all()
    assert found.pixel_um <= 4


def test_exposure_does_not_count() -> None:
    k14, k8 = keratins()
    first, second = table(k14, k8, lobe()), table(k14 * np.float32(37.0), k8 * np.float32(0.02), lobe())
    np.testing.assert_allclose(first.values, second.values, atol=2e-3)


def test_what_lies_off_the_tissue_does_not_count() -> None:
    k14, k8 = keratins()
    bright = [np.where(lobe(), plane, np.float32(50_000)) for plane in (k14, k8)]
    np.testing.assert_array_equal(table(k14, k8, lobe()).values, table(*bright, lobe()).values)


def test_the_edge_of_the_tissue_does_not_leak() -> None:
    flat = np.full(SHAPE, 500, np.float32)
    found = table(flat, flat, lobe())
    for name in ("k14 64", "k8 8", "ratio 128", "gradient 32", "step ratio 32-256"):
        assert np.abs(found.values[:, FEATURES.index(name)]).max() < 1e-3, name


@pytest.mark.parametrize("turn", [lambda a: np.rot90(a), lambda a: a[::-1], lambda a: a[:, ::-1], lambda a: a.T])
def test_turning_the_image_turns_the_features(turn: Callable[[np.ndarray], np.ndarray]) -> None:
    k14, k8 = keratins()
    there = as_planes(table(k14, k8, lobe()), SHAPE)
    turned = [np.ascontiguousarray(turn(plane)) for plane in (k14, k8)]
    mask = np.ascontiguousarray(turn(lobe()))
    here = as_planes(table(*turned, mask), mask.shape)
    expected = np.stack([turn(there[..., i]) for i in range(there.shape[-1])], -1)
    np.testing.assert_allclose(here, expected, atol=5e-3)


@pytest.mark.parametrize("pad", [(3, 0, 5, 1), (16, 8, 0, 32)])
def test_padding_changes_nothing(pad: tuple[int, int, int, int]) -> None:
    k14, k8 = keratins()
    widths = ((pad[0], pad[1]), (pad[2], pad[3]))
    wide = [np.pad(plane, widths, constant_values=123) for plane in (k14, k8)]
    first, second = table(k14, k8, lobe()), table(*wide, np.pad(lobe(), widths))
    np.testing.assert_array_equal(first.values, second.values)


def test_tissue_cut_by_the_image_is_as_tissue_that_ends_there() -> None:
    k14, k8 = keratins()
    mask = lobe()
    mask[:, :128] = False
    names = WITHOUT_PLACE
    first = measure_features(k14, k8, mask, PX, names)
    second = measure_features(k14[:, 128:], k8[:, 128:], mask[:, 128:], PX, names)
    np.testing.assert_array_equal(first.values, second.values)


def test_pixel_size_does_not_count() -> None:
    rng = np.random.default_rng(3)
    y, x = np.indices((480, 520))
    medulla = np.hypot(y - 220, x - 280) < 90
    blobs = [np.kron(rng.gamma(2.0, 0.5, (60, 65)), np.ones((8, 8))) for _ in range(2)]
    fine = [
        (b * np.where(medulla, m, c)).astype(np.float32)
        for b, m, c in zip(blobs, (900, 400), (120, 800), strict=True)
    ]
    mask = np.hypot(y - 239.5, x - 259.5) < 200
    coarse = [plane.reshape(240, 2, 260, 2).mean((1, 3)) for plane in fine]
    inside = mask.reshape(240, 2, 260, 2).all((1, 3))
    one = as_planes(table(*fine, mask, 1.0), mask.shape)[::2, ::2]
    two = as_planes(table(*coarse, inside, 2.0), inside.shape)
    deep = np.hypot(y - 239.5, x - 259.5)[::2, ::2] < 180
    for i, name in enumerate(FEATURES):
        a, b = one[deep][:, i], two[deep][:, i]
        assert np.abs(a - b).mean() <= 0.08 * max(float(np.ptp(a)), 0.2), name


def test_a_feature_says_what_its_name_says() -> None:
    k14, k8 = keratins()
    found = as_planes(table(k14, k8, lobe()), SHAPE)
    medulla, cortex = found[110, 140], found[119, 45]
    for name in ("k14 16", "ratio 24", "vote 24", "step ratio 24-128"):
        at = FEATURES.index(name)
        assert medulla[at] > cortex[at] + 0.3, name
    assert cortex[FEATURES.index("depth")] == pytest.approx(2 * (100 - 84.5), abs=6)
    border, inner = found[110, 185], found[110, 140]
    assert border[FEATURES.index("gradient 16")] > 3 * inner[FEATURES.index("gradient 16")]


def test_some_features_only() -> None:
    some = measure_features(*keratins(), lobe(), PX, ("vote 24", "k8 16"))
    every = table(*keratins(), lobe())
    np.testing.assert_array_equal(some.values[:, 0], every.values[:, FEATURES.index("vote 24")])
    np.testing.assert_array_equal(some.values[:, 1], every.values[:, FEATURES.index("k8 16")])


def test_unknown_features_are_refused() -> None:
    with pytest.raises(ModelError, match="cd45 16"):
        check_names(("k14 8", "cd45 16"), "forest.npz")

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from thymusimg.measurements.population.clumps import measure_clumps
from thymusimg.measurements.population.epithelium import free_epithelium
from thymusimg.measurements.population.infiltration import CLASSES, Infiltration, classify_infiltration
from thymusimg.settings import MeasurementSettings

SETTINGS = MeasurementSettings()
HEALTHY = Infiltration(density=8000.0, limit=5.0, peripheral=0.2, inner_density=7000.0, cortical=0.8, empty=0.05)


@pytest.mark.parametrize(
    ("wanted", "change"),
    [
        ("full", {}),
        ("partial", {"empty": 0.5}),
        ("absent", {"density": 4.0}),
        ("absent", {"density": 5.0}),
        ("absent", {"density": 0.0, "limit": 0.0}),
        ("peripheral", {"peripheral": 0.8, "inner_density": 100.0}),
        ("full", {"peripheral": 0.8}),
        ("cortical-restricted", {"cortical": 0.97}),
        ("medulla-restricted", {"cortical": 0.02}),
        ("peripheral", {"peripheral": 0.8, "inner_density": math.nan}),
        ("full", {"cortical": math.nan}),
    ],
)
def test_classes(wanted: str, change: dict[str, float]) -> None:
    verdict = classify_infiltration(replace(HEALTHY, **change), SETTINGS)
    assert verdict.name == wanted
    assert verdict.name in CLASSES
    assert verdict.margin >= 1


def test_the_margin_is_how_far_the_nearest_deciding_value_may_go() -> None:
    for change in (
        {},
        {"empty": 0.5},
        {"density": 9.0},
        {"cortical": 0.97},
        {"peripheral": 0.7, "inner_density": 300},
    ):
        found = replace(HEALTHY, **change)
        verdict = classify_infiltration(found, SETTINGS)
        for factor, same in ((verdict.margin / 1.01, True), (verdict.margin * 1.01, False)):
            moved = {classify_infiltration(m, SETTINGS).name for m in nearby(found, factor)}
            assert (moved == {verdict.name}) is same


def nearby(found: Infiltration, factor: float) -> list[Infiltration]:
    """Every density and every odds, one at a time, multiplied and divided by a factor."""
    out = []
    for name in ("density", "inner_density", "peripheral", "cortical", "empty"):
        value = getattr(found, name)
        for f in (factor, 1 / factor):
            share = name not in ("density", "inner_density")
            odds = value / (1 - value) * f if share else 0
            out.append(replace(found, **{name: odds / (1 + odds) if share else value * f}))
    return out


def test_settings_move_the_cuts() -> None:
    partial = replace(HEALTHY, empty=0.3)
    assert classify_infiltration(partial, SETTINGS).name == "partial"
    assert classify_infiltration(partial, MeasurementSettings(full_empty_share=0.4)).name == "full"


def discs(places: np.ndarray, shape: tuple[int, int] = (400, 400), radius: float = 3.0) -> np.ndarray:
    y, x = np.mgrid[: shape[0], : shape[1]]
    plane = np.zeros(shape, np.float32)
    for cy, cx in places:
        window = (slice(max(0, int(cy) - 8), int(cy) + 9), slice(max(0, int(cx) - 8), int(cx) + 9))
        near = np.hypot(y[window] - cy, x[window] - cx)
        plane[window] = np.maximum(plane[window], np.clip(radius + 0.5 - near, 0, 1))
    return plane


def test_clumps_of_touching_cells_are_counted_by_their_area() -> None:
    alone = np.array([(y, x) for y in range(20, 380, 40) for x in range(20, 200, 30)], float)
    rows = np.array([(y, 250 + 6 * k) for y in range(20, 380, 40) for k in range(5)], float)
    positive = discs(np.concatenate([alone, rows]))
    # of each row of five, two were found
    found = np.concatenate([alone, rows[1::5], rows[3::5]])
    clumps = measure_clumps(positive, found[:, 0], found[:, 1], 2.0)
    assert (clumps.singles, clumps.clumped) == (len(alone), 2 * 9)
    # the pixels of the rim that are CD45+ in less than half of their area are left out
    assert clumps.single_area_um2 == pytest.approx(math.pi * 9 * 4, rel=0.1)
    assert clumps.estimated == pytest.approx(len(alone) + 45, rel=0.04)


def test_single_cells_are_no_clumps_and_hollow_ones_belong_to_their_ring() -> None:
    places = np.array([(20.0, 20.0), (60.0, 60.0)])
    plane = discs(places, (100, 100))
    plane[60, 60] = 0
    clumps = measure_clumps(plane, places[:, 0], places[:, 1], 2.0)
    assert (clumps.singles, clumps.clumped, clumps.estimated) == (2, 0, 2.0)
    nowhere = measure_clumps(np.zeros((9, 9), np.float32), [4.0], [4.0], 2.0)
    assert (nowhere.estimated, math.isnan(nowhere.single_area_um2)) == (1.0, True)


def test_free_epithelium_needs_both_dense_keratin_and_no_cells() -> None:
    keratin = np.zeros((100, 100), bool)
    keratin[:, :50] = True
    keratin[::2, 50:] = True  # half dense: not dense enough
    positive = np.zeros((100, 100), np.float32)
    positive[:25] = 0.2
    found = free_epithelium(keratin, positive, np.ones((100, 100), bool), 25.0)
    assert found == (5000.0, 3750.0, 10000.0)
    nothing = free_epithelium(keratin, positive, np.zeros((100, 100), bool), 25.0)
    assert all(math.isnan(v) for v in nothing)

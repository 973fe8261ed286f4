"""The keratins' families on sections where little or nothing can be measured: NaN with a reason, never a crash."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from thymusimg.compartments.model import Compartment, Compartments
from thymusimg.measurements.columns import check_curves
from thymusimg.measurements.families import segregation, spectrum, stains, topology
from thymusimg.measurements.row import Row
from thymusimg.measurements.view import SectionView
from thymusimg.section.model import Grid
from thymusimg.settings import MeasurementSettings

FAMILIES = (stains, segregation, topology, spectrum)
SHAPE = (200, 240)
Y, X = np.mgrid[: SHAPE[0], : SHAPE[1]]


def measure(labels: np.ndarray, k14: np.ndarray | None, k8: np.ndarray | None) -> Row:
    tissue = labels > 0
    unknown = np.full(labels.shape, np.nan, np.float32)
    compartments = Compartments(
        Grid(labels.shape, 2.0, 1),
        labels.astype(np.uint8),
        tissue,
        tissue.astype(np.float32),
        unknown,
        unknown,
        unknown,
        (),
    )
    planes = {name: v.astype(np.float32) for name, v in (("k14", k14), ("k8", k8)) if v is not None}
    section: Any = SimpleNamespace()
    view = SectionView(
        section, compartments, planes, MeasurementSettings(spot_relabellings=39, tile_permutations=19)
    )
    row = Row()
    for family in FAMILIES:
        family.measure(row, view)
    assert set(row.values) == {c.name for family in FAMILIES for c in family.COLUMNS}
    undefined = {name for name, v in row.values.items() if isinstance(v, float) and math.isnan(v)}
    assert undefined == set(row.reasons)
    assert all(row.reasons.values())
    check_curves(row.curves["curve"])
    declared = {c.name for family in FAMILIES for c in getattr(family, "CURVES", ())}
    assert set(row.curves["curve"]) == declared
    without = row.curves["value"].isna()
    assert (row.curves.loc[without, "reason"] != "").all()
    assert (row.curves.loc[~without, "weight"] > 0).all()
    return row


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(10, 2, SHAPE)


LOBE = np.where(np.hypot(Y - 100, X - 120) < 90, int(Compartment.CORTEX), 0)
HALVES = np.where((LOBE > 0) & (X > 120), int(Compartment.MEDULLA), LOBE)


def test_everything_is_measured_in_two_halves() -> None:
    k14, k8 = ((LOBE > 0) * np.where((X > 120) == inner, 8, 1) * noise(s) for s, inner in ((0, True), (1, False)))
    row = measure(HALVES, k14, k8)
    found: dict[str, Any] = row.values
    assert "keratin_cross_ratio_50um" not in row.reasons, row.reasons["keratin_cross_ratio_50um"]
    assert found["segregation_index_25um"] > 0.9
    assert found["k14_share_moran_i"] > 0.8
    assert found["keratin_cross_ratio_50um"] < 0.5
    assert found["medulla_euler_number"] == 1
    assert found["keratin_pearson"] < -0.9
    assert found["manders_k8_in_k14"] < 0.2


@pytest.mark.parametrize("missing", ["k14", "k8"])
def test_a_missing_stain_is_named(missing: str) -> None:
    stain = {"k14": noise(0), "k8": noise(1)}
    row = measure(HALVES, *(None if role == missing else stain[role] for role in ("k14", "k8")))
    assert (
        row.reasons["keratin_pearson"]
        == row.reasons["segregation_index_50um"]
        == f"no {missing.upper()} channel was given"
    )
    assert row.reasons[f"{missing}_coarse_share"] == f"no {missing.upper()} channel was given"


def test_no_parenchyma() -> None:
    row = measure(np.zeros(SHAPE), noise(0), noise(1))
    assert set(row.reasons) == set(row.values)


def test_specks_and_slivers_of_parenchyma() -> None:
    for place in ((slice(50, 51), slice(50, 51)), (slice(50, 53), slice(20, 220)), (slice(0, 200), slice(0, 2))):
        labels = np.zeros(SHAPE, int)
        labels[place] = Compartment.MEDULLA
        row = measure(labels, noise(0), noise(1))
        assert {"k14_dominant_wavelength_um", "k14_anisotropy_medulla", "k14_coarse_share"} <= set(row.reasons)


def test_the_whole_image_is_parenchyma() -> None:
    row = measure(np.full(SHAPE, int(Compartment.CORTEX)), noise(0), noise(1))
    assert "k8_anisotropy_cortex" not in row.reasons


@pytest.mark.parametrize("value", [0.0, 7.0, -3.0])
def test_stains_without_any_signal(value: float) -> None:
    row = measure(HALVES, np.full(SHAPE, value), noise(1))
    assert {"keratin_pearson", "k14_euler_peak_per_mm2", "k14_anisotropy_medulla"} - set(row.reasons) <= {
        "k14_anisotropy_medulla"
    }


def test_saturated_stains_have_no_spots_but_edges() -> None:
    full = np.where(LOBE > 0, 4095.0, 0.0)
    row = measure(HALVES, full, full)
    assert isinstance(row.values["k14_blob_count"], int)
    assert row.values["k14_blob_count"] < 100


def test_depths_that_are_unknown_leave_the_alignment_undefined() -> None:
    row = measure(HALVES, noise(0), noise(1))
    assert row.reasons["k8_radial_alignment_cortex"] == "the distance to the capsule is not known in the cortex"

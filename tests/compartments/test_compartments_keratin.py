from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from thymusimg.compartments.keratin import segment_compartments
from thymusimg.compartments.model import Compartment
from thymusimg.compartments.tissue import find_tissue
from thymusimg.errors import RoleError
from thymusimg.section.model import Grid
from thymusimg.section.survey import Survey
from thymusimg.settings import CompartmentSettings, TissueSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from thymusimg.compartments.model import Compartments, Tissue

PX = 2.0
C, M, I = Compartment.CORTEX, Compartment.MEDULLA, Compartment.INDETERMINATE  # noqa: E741
Planes = dict[str, np.ndarray]


def analyse(planes: Planes, valid: np.ndarray | None = None) -> tuple[Tissue, Compartments]:
    shape = planes["k14"].shape
    grid = Grid(shape, PX, 1)
    survey = Survey(grid, planes, np.ones(shape, bool) if valid is None else valid, pd.DataFrame(), {})
    tissue = find_tissue(survey, TissueSettings())
    lit = {role: plane - np.float32(tissue.background[role]) for role, plane in planes.items()}
    return tissue, segment_compartments(lit, tissue, grid, CompartmentSettings())


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * np.count_nonzero(a & b) / max(1, np.count_nonzero(a) + np.count_nonzero(b))


def disc(shape: tuple[int, int], radius_px: float, at: tuple[float, float] | None = None) -> np.ndarray:
    y, x = np.indices(shape)
    cy, cx = at or ((shape[0] - 1) / 2, (shape[1] - 1) / 2)
    return np.hypot(y - cy, x - cx) <= radius_px


def paint(
    cortex: np.ndarray,
    medulla: np.ndarray,
    poor: np.ndarray | None = None,
    *,
    seed: int = 0,
    k8_in_medulla: float = 0.45,
) -> Planes:
    """Draw textured keratins on a slide of offset 100 with autofluorescent tissue."""
    rng = np.random.default_rng(seed)
    poor = np.zeros_like(cortex) if poor is None else poor
    mesh = rng.gamma(2.0, 0.5, (2, *cortex.shape))
    glow = 40.0 * (cortex | medulla | poor)
    k8 = 100 + 800 * mesh[0] * (cortex + k8_in_medulla * medulla) + glow
    k14 = 100 + 1000 * mesh[1] * medulla + glow
    noise = rng.normal(0, 5, (2, *cortex.shape))
    return {"k14": (k14 + noise[0]).astype(np.float32), "k8": (k8 + noise[1]).astype(np.float32)}


SHAPE = (420, 440)
LOBE = disc(SHAPE, 180)
CORE = disc(SHAPE, 85, (190, 200)) | disc(SHAPE, 40, (300, 260))


@pytest.fixture(scope="module")
def lobe() -> tuple[Tissue, Compartments]:
    return analyse(paint(LOBE & ~CORE, CORE))


def test_compartments_of_a_textured_lobe(lobe: tuple[Tissue, Compartments]) -> None:
    tissue, found = lobe
    assert dice(tissue.mask, LOBE) > 0.98
    assert dice(found.labels == M, CORE) > 0.97
    assert dice(found.labels == C, LOBE & ~CORE) > 0.97
    assert found.cuts["k14_k8_contrast"] > 3
    assert found.confidence[found.labels == M].mean() > 0.6
    assert not found.confidence[~tissue.mask].any()


def test_stripes_of_different_width() -> None:
    shape = (400, 500)
    lobe = np.zeros(shape, bool)
    lobe[40:360, 40:460] = True
    x = np.arange(500)
    stripes = lobe & (((x > 100) & (x < 160)) | ((x > 250) & (x < 370)))[None, :]
    _, found = analyse(paint(lobe & ~stripes, stripes))
    assert dice(found.labels == M, stripes) > 0.96
    assert dice(found.labels == C, lobe & ~stripes) > 0.96


def test_tissue_with_neither_keratin_is_indeterminate() -> None:
    poor = disc(SHAPE, 60, (300, 130)) & ~CORE
    _, found = analyse(paint(LOBE & ~CORE & ~poor, CORE, poor))
    assert dice(found.labels == I, poor) > 0.9
    assert dice(found.labels == M, CORE) > 0.96


@pytest.mark.parametrize("turn", [lambda a: np.rot90(a), lambda a: a[::-1], lambda a: a[:, ::-1], lambda a: a.T])
def test_turning_the_image_turns_the_labels(
    lobe: tuple[Tissue, Compartments], turn: Callable[[np.ndarray], np.ndarray]
) -> None:
    planes = {role: np.ascontiguousarray(turn(plane)) for role, plane in paint(LOBE & ~CORE, CORE).items()}
    _, turned = analyse(planes)
    np.testing.assert_array_equal(turned.labels, turn(lobe[1].labels))
    length = sum(np.hypot(*np.diff(line, axis=0).T).sum() for line in lobe[1].junction_um)
    again = sum(np.hypot(*np.diff(line, axis=0).T).sum() for line in turned.junction_um)
    assert again == pytest.approx(length, rel=1e-6)


def test_padding_with_mosaic_filling_changes_nothing(lobe: tuple[Tissue, Compartments]) -> None:
    pad = ((16, 48), (32, 8))
    planes = {role: np.pad(plane, pad) for role, plane in paint(LOBE & ~CORE, CORE).items()}
    tissue, found = analyse(planes, np.pad(np.ones(SHAPE, bool), pad))
    inside = (slice(16, 16 + SHAPE[0]), slice(32, 32 + SHAPE[1]))
    np.testing.assert_array_equal(found.labels[inside], lobe[1].labels)
    assert np.count_nonzero(found.labels) == np.count_nonzero(lobe[1].labels)
    assert tissue.background == lobe[0].background


@pytest.mark.parametrize(("gain14", "gain8", "offset"), [(0.5, 1, 0), (2, 0.5, 300), (1, 2, 50), (0.5, 2, -60)])
def test_gain_and_offset_leave_the_areas(
    lobe: tuple[Tissue, Compartments], gain14: float, gain8: float, offset: float
) -> None:
    planes = paint(LOBE & ~CORE, CORE)
    changed = {
        "k14": (planes["k14"] * gain14 + offset).astype(np.float32),
        "k8": (planes["k8"] * gain8 + offset).astype(np.float32),
    }
    _, found = analyse(changed)
    for code in (C, M):
        assert found.area_mm2(code) == pytest.approx(lobe[1].area_mm2(code), rel=0.02)


def test_tile_corners_at_sixty_percent_leave_the_compartments() -> None:
    planes = paint(LOBE & ~CORE, CORE)
    y, x = np.indices(SHAPE)
    tile = 110
    off = np.hypot(y % tile - tile / 2, x % tile - tile / 2) / (tile / np.sqrt(2))
    shade = 1 - 0.4 * off**2
    shaded = {role: (100 + (plane - 100) * shade).astype(np.float32) for role, plane in planes.items()}
    _, found = analyse(shaded)
    assert dice(found.labels == M, CORE) > 0.95
    assert dice(found.labels == C, LOBE & ~CORE) > 0.95


def test_cd45_takes_no_part(lobe: tuple[Tissue, Compartments]) -> None:
    rng = np.random.default_rng(5)
    for cd45 in (rng.gamma(1, 900, SHAPE), np.where(CORE, 3000.0, 100.0)):
        _, found = analyse(paint(LOBE & ~CORE, CORE) | {"cd45": cd45.astype(np.float32)})
        np.testing.assert_array_equal(found.labels, lobe[1].labels)


def test_section_without_medulla_is_not_forced_into_two() -> None:
    _, found = analyse(paint(LOBE, np.zeros_like(LOBE)))
    assert found.area_mm2(M) == 0
    assert dice(found.labels == C, LOBE) > 0.95
    assert "no medulla" in found.reasons["compartments"]
    assert "medulla" in found.reasons["junction"]
    assert np.isnan(found.distance_to_cmj_um).all()
    assert np.isnan(found.axis).all()


def test_section_without_cortex_is_not_forced_into_two() -> None:
    _, found = analyse(paint(np.zeros_like(LOBE), LOBE, k8_in_medulla=0.05))
    assert found.area_mm2(C) == 0
    assert dice(found.labels == M, LOBE) > 0.95
    assert "no cortex" in found.reasons["compartments"]


def test_evenly_mixed_keratins_are_indeterminate() -> None:
    _, found = analyse(paint(np.zeros_like(LOBE), LOBE, k8_in_medulla=1.0))
    assert found.area_mm2(C) == found.area_mm2(M) == 0
    assert dice(found.labels == I, LOBE) > 0.95
    assert "neither" in found.reasons["compartments"]


def test_islets_below_the_least_area_are_absorbed() -> None:
    speck = disc(SHAPE, 9, (320, 330))  # 1,000 µm²
    _, found = analyse(paint(LOBE & ~CORE & ~speck, CORE | speck))
    assert not (found.labels[speck] == M).any()
    islet = disc(SHAPE, 25, (320, 330))
    _, found = analyse(paint(LOBE & ~CORE & ~islet, CORE | islet))
    assert (found.labels[islet] == M).mean() > 0.7


def test_missing_keratin_is_named(lobe: tuple[Tissue, Compartments]) -> None:
    tissue, found = lobe
    with pytest.raises(RoleError, match="k8"):
        segment_compartments({"k14": np.zeros(SHAPE, np.float32)}, tissue, found.grid, CompartmentSettings())


def mosaic(contrast: float, *, halves: bool) -> Planes:
    """Draw cells of 16 µm, each of one kind or the other: at random, or a kind a half."""
    rng = np.random.default_rng(3)
    kind = rng.random((50, 50)) < 0.5
    if halves:
        kind = np.where(np.arange(50) < 25, rng.random((50, 50)) < 0.05, rng.random((50, 50)) < 0.95)
    kind = np.kron(kind, np.ones((8, 8), bool))
    lobe = disc((400, 400), 170)
    k8 = 100 + 800 * lobe * np.where(kind, contrast**-0.5, 1)
    k14 = 100 + 800 * lobe * np.where(kind, 1, contrast**-0.5)
    return {"k14": k14.astype(np.float32), "k8": k8.astype(np.float32)}


def test_a_random_mosaic_of_cells_has_no_compartments() -> None:
    _, found = analyse(mosaic(5, halves=False))
    assert not found.mask(M).any()
    assert not found.mask(C).any()


def test_the_same_cells_in_order_have() -> None:
    _, found = analyse(mosaic(5, halves=True))
    assert (found.labels[60:340, 80:180] == C).mean() > 0.9
    assert (found.labels[60:340, 220:320] == M).mean() > 0.9

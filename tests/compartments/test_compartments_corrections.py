"""Corrections by a person, on shapes whose answer can be read off; previews and looks against the whole method."""

from __future__ import annotations

import numpy as np
import pytest

from thymusimg.compartments.corrections import (
    fill_patch,
    give_class,
    inside_outlines,
    mark_artefact,
    merge_patch,
    patch_at,
    smooth_borders,
)
from thymusimg.compartments.forest import segment_by_forest
from thymusimg.compartments.keratin import segment_compartments
from thymusimg.compartments.looked import only_painted, segment_looked
from thymusimg.compartments.model import Compartment, Tissue
from thymusimg.compartments.preview import sketch_section
from thymusimg.compartments.scribbles import Scribbled, fit_from_sections, look_at
from thymusimg.errors import CallError
from thymusimg.section.model import Grid
from thymusimg.settings import CompartmentSettings

B, C, M, K, A = (
    Compartment.BACKGROUND, Compartment.CORTEX, Compartment.MEDULLA, Compartment.CYST, Compartment.ARTEFACT,
)  # fmt: skip
SHAPE = (120, 140)
Y, X = np.indices(SHAPE)
GRID = Grid(SHAPE, 2.0, 1)
LOBE = np.hypot(Y - 60, X - 70) < 55


def disc(y: float, x: float, radius: float) -> np.ndarray:
    return np.hypot(Y - y, X - x) < radius


def lobe() -> np.ndarray:
    """Cortex with two islets of medulla, the first with a cyst in it."""
    labels = np.where(LOBE, C, B).astype(np.uint8)
    labels[disc(60, 50, 15) | disc(60, 95, 8)] = M
    labels[disc(60, 50, 4)] = K
    return labels


def test_a_patch_is_what_hangs_together() -> None:
    labels = lobe()
    np.testing.assert_array_equal(patch_at(labels, 60, 60), disc(60, 50, 15) & ~disc(60, 50, 4))
    np.testing.assert_array_equal(patch_at(labels, 60, 95), disc(60, 95, 8))
    assert patch_at(labels, 0, 0) is None
    assert patch_at(labels, -1, 5) is None
    assert patch_at(labels, 5, 140) is None


def test_filling_a_patch_fills_what_it_encloses_and_no_more() -> None:
    labels = lobe()
    filled = fill_patch(labels, patch_at(labels, 60, 60))
    expected = labels.copy()
    expected[disc(60, 50, 4)] = M
    np.testing.assert_array_equal(filled, expected)


def test_merging_gives_a_patch_to_its_surroundings() -> None:
    labels = lobe()
    merged = merge_patch(labels, patch_at(labels, 60, 95))
    assert not (merged[disc(60, 95, 8)] != C).any()
    np.testing.assert_array_equal(merged[~disc(60, 95, 8)], labels[~disc(60, 95, 8)])
    alone = np.where(LOBE, C, B).astype(np.uint8)
    np.testing.assert_array_equal(merge_patch(alone, LOBE), alone)


def test_an_artefact_is_tissue_and_glass_stays_glass() -> None:
    labels = lobe()
    corner = (Y < 60) & (X < 70)
    marked = mark_artefact(labels, corner)
    np.testing.assert_array_equal(marked != B, labels != B)
    assert set(np.unique(marked[corner])) == {B, A}
    np.testing.assert_array_equal(marked[~corner], labels[~corner])


def test_smoothing_takes_bumps_off_and_leaves_the_tissue_and_what_is_outside() -> None:
    labels = lobe()
    labels[59:62, 103:112] = M  # a whisker on the second islet
    labels[20:24, 60:64] = A
    where = X > 75
    smooth = smooth_borders(labels, where, 3.0)
    assert (smooth[59:62, 108:112] == C).all()
    assert (smooth[disc(60, 95, 6)] == M).all()
    np.testing.assert_array_equal(smooth != B, labels != B)
    np.testing.assert_array_equal(smooth[~where], labels[~where])
    np.testing.assert_array_equal(smooth == A, labels == A)
    turned = smooth_borders(np.rot90(labels), np.rot90(where), 3.0)
    assert np.mean(turned != np.rot90(smooth)) < 1e-3


def test_outlines_in_um_take_the_pixels_whose_centres_lie_inside() -> None:
    grid = Grid((40, 40), 0.5, 4)  # 2 µm pixels on a grid of 10 x 10, the first centre at 0.75 µm
    ring = [[0.5, 0.5], [0.5, 7.0], [5.0, 7.0], [5.0, 0.5]]
    mask = inside_outlines([ring], grid)
    assert mask[:3, :4].all()
    assert mask.sum() == 12
    assert not inside_outlines([], grid).any()


def test_an_unknown_class_is_refused() -> None:
    with pytest.raises(CallError, match="no compartment 77"):
        give_class(lobe(), LOBE, 77)


BIG = (300, 320)
BY, BX = np.indices(BIG)
CORE = np.hypot(BY - 150, BX - 170) < 60
TISSUE = Tissue(np.hypot(BY - 149.5, BX - 159.5) < 130, np.zeros(BIG, bool), {}, {})
BIG_GRID = Grid(BIG, 2.0, 1)


@pytest.fixture(scope="module")
def planes() -> dict[str, np.ndarray]:
    mesh = np.random.default_rng(0).gamma(2.0, 0.5, (2, *BIG)) * TISSUE.mask
    k14, k8 = mesh[0] * np.where(CORE, 700, 150), mesh[1] * np.where(CORE, 500, 800)
    return {"k14": k14.astype(np.float32), "k8": k8.astype(np.float32)}


def test_a_preview_on_the_own_grid_is_the_method(planes) -> None:
    sketch = sketch_section(planes, TISSUE, BIG_GRID)
    for cut in (0.3, 0.5, 0.8):
        settings = CompartmentSettings(medulla_cut=cut)
        whole, tried = segment_compartments(planes, TISSUE, BIG_GRID, settings), sketch.attempt(settings)
        np.testing.assert_array_equal(tried.labels, whole.labels)
        assert len(tried.junction_um) == len(whole.junction_um)
        medulla, cortex = whole.area_mm2(M), whole.area_mm2(C)
        assert tried.medulla_share == pytest.approx(medulla / (medulla + cortex))


def test_a_preview_on_blocks_is_near_the_method(planes) -> None:
    sketch = sketch_section(planes, TISSUE, BIG_GRID, most_pixels=30_000)
    assert sketch.grid.pixel_um == 4.0
    assert sketch.k14.shape == sketch.grid.shape == (150, 160)
    tried = sketch.attempt(CompartmentSettings())
    whole = segment_compartments(planes, TISSUE, BIG_GRID, CompartmentSettings())
    near = np.kron(tried.labels, np.ones((2, 2), np.uint8))
    assert np.mean(near[CORE] == whole.labels[CORE]) > 0.9


def test_a_look_gives_the_forest_s_own_answer_and_painted_places_the_same_forest(planes) -> None:
    settings = CompartmentSettings()
    look = look_at(planes, TISSUE, BIG_GRID, settings)
    painted = np.zeros(BIG, np.uint8)
    painted[145:155, 140:200] = M
    painted[45:52, 130:190] = C
    section = Scribbled(look, painted, "one")
    forest = fit_from_sections([section], trees=8)
    kept = only_painted(section)
    assert len(kept.look.table.values) < len(look.table.values) / 10
    again = fit_from_sections([kept], trees=8)
    np.testing.assert_array_equal(again.threshold, forest.threshold)
    np.testing.assert_array_equal(again.value, forest.value)
    ours = segment_looked(look, forest, BIG_GRID, settings)
    theirs = segment_by_forest(planes, TISSUE, BIG_GRID, settings, forest=forest)
    np.testing.assert_array_equal(ours.labels, theirs.labels)
    np.testing.assert_array_equal(ours.confidence, theirs.confidence)
    assert ours.cuts == theirs.cuts

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import pytest

from thymusimg.compartments.features import FEATURES
from thymusimg.compartments.forest import Forest, fit_forest, segment_by_forest
from thymusimg.compartments.forest_file import WEIGHTS, load_forest, save_forest
from thymusimg.compartments.methods import find_division
from thymusimg.compartments.model import Compartment, Tissue
from thymusimg.compartments.scribbles import (
    Scribbled,
    fit_from_sections,
    gather_places,
    left_out_accuracy,
    look_at,
)
from thymusimg.errors import CallError, ModelError, RoleError
from thymusimg.models.find import InstalledModel, find_model
from thymusimg.section.model import Grid
from thymusimg.settings import CompartmentSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

C, M, I = Compartment.CORTEX, Compartment.MEDULLA, Compartment.INDETERMINATE  # noqa: E741
SHAPE = (300, 320)
GRID = Grid(SHAPE, 2.0, 1)
Y, X = np.indices(SHAPE)
LOBE = np.hypot(Y - 149.5, X - 159.5) < 130
CORE = np.hypot(Y - 150, X - 170) < 60
TISSUE = Tissue(LOBE, np.zeros(SHAPE, bool), {}, {})
SETTINGS = CompartmentSettings()


def planes(seed: int = 0, gain: float = 1.0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    mesh = rng.gamma(2.0, 0.5, (2, *SHAPE)) * LOBE
    k14 = mesh[0] * np.where(CORE, 700, 150) * gain
    k8 = mesh[1] * np.where(CORE, 500, 800)
    return {"k14": k14.astype(np.float32), "k8": k8.astype(np.float32)}


def strokes() -> np.ndarray:
    out = np.zeros(SHAPE, np.uint8)
    out[145:155, 140:200] = M
    out[45:52, 130:190] = C
    out[240:250, 140:180] = C
    return out


def scribbled(seed: int = 0, painted: np.ndarray | None = None, name: str = "one", **more: float) -> Scribbled:
    look = look_at(planes(seed, **more), TISSUE, GRID, SETTINGS)
    assert look is not None
    return Scribbled(look, strokes() if painted is None else painted, name)


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


@pytest.fixture(scope="module")
def forest() -> Forest:
    return fit_from_sections([scribbled()], seed=1, trees=40)


def random_places(seed: int = 0, count: int = 3000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(count, 5)).astype(np.float32)
    classes = np.where(values[:, 0] + values[:, 1] ** 2 > 1, 2, np.where(values[:, 2] > 0.5, 3, 1))
    return values, classes.astype(np.uint8)


def test_probabilities_are_those_of_scikit_learn() -> None:
    from sklearn.ensemble import ExtraTreesClassifier

    values, classes = random_places()
    weights = np.random.default_rng(1).uniform(0.2, 2, len(classes))
    names = FEATURES[:5]
    ours = fit_forest(values, classes, names, seed=7, trees=12, depth=9, least_leaf=3, weights=weights)
    theirs = ExtraTreesClassifier(
        n_estimators=12, max_depth=9, min_samples_leaf=3, max_features="sqrt", random_state=7
    ).fit(values, classes, sample_weight=weights)
    fresh = np.concatenate([random_places(5, 10_000)[0], values])  # the second half lies on the thresholds' sides
    np.testing.assert_allclose(ours.probabilities(fresh), theirs.predict_proba(fresh), atol=1e-6)
    assert ours.classes == (1, 2, 3)


def test_values_on_a_threshold_fall_on_the_same_side() -> None:
    from sklearn.ensemble import ExtraTreesClassifier

    values, classes = random_places()
    values = np.round(values * 4) / 4  # most thresholds now lie half-way, and many are hit
    ours = fit_forest(values, classes, FEATURES[:5], seed=0, trees=5, depth=8)
    theirs = ExtraTreesClassifier(n_estimators=5, max_depth=8, min_samples_leaf=5, random_state=0).fit(
        values, classes
    )
    half = (values + 0.125).astype(np.float32)
    np.testing.assert_allclose(ours.probabilities(half), theirs.predict_proba(half), atol=1e-6)


def test_scribbles_find_the_whole_compartment(forest: Forest) -> None:
    found = segment_by_forest(planes(), TISSUE, GRID, SETTINGS, forest=forest)
    assert found.method == "forest"
    assert dice(found.labels == M, CORE) > 0.95
    assert not np.isin(found.labels[~LOBE], (C, M, I)).any()
    assert found.confidence[CORE & (found.labels == M)].mean() > 0.6
    assert found.confidence.min() >= 0
    assert found.confidence.max() <= 1
    assert len(found.junction_um) >= 1
    assert found.cuts["least_probability"] == forest.least_probability


def test_strokes_of_one_section_hold_on_another_of_other_exposure(forest: Forest) -> None:
    found = segment_by_forest(planes(9, gain=40.0), TISSUE, GRID, SETTINGS, forest=forest)
    assert dice(found.labels == M, CORE) > 0.93


def test_same_strokes_and_seed_same_forest() -> None:
    first, second = (fit_from_sections([scribbled()], seed=3, trees=4) for _ in range(2))
    for one, two in zip(dataclasses.astuple(first), dataclasses.astuple(second), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("turn", [lambda a: np.rot90(a), lambda a: a[::-1], lambda a: a.T])
def test_turning_the_image_turns_the_labels(forest: Forest, turn: Callable[[np.ndarray], np.ndarray]) -> None:
    there = segment_by_forest(planes(), TISSUE, GRID, SETTINGS, forest=forest)
    turned = {role: np.ascontiguousarray(turn(plane)) for role, plane in planes().items()}
    mask = np.ascontiguousarray(turn(LOBE))
    here = segment_by_forest(
        turned, Tissue(mask, np.zeros_like(mask), {}, {}), Grid(mask.shape, 2.0, 1), SETTINGS, forest=forest
    )
    assert np.mean(here.labels != turn(there.labels)) < 1e-3


def test_an_unsure_place_is_indeterminate(forest: Forest) -> None:
    strict = dataclasses.replace(forest, least_probability=0.999)
    found = segment_by_forest(planes(), TISSUE, GRID, SETTINGS, forest=strict)
    lax = segment_by_forest(planes(), TISSUE, GRID, SETTINGS, forest=forest)
    assert np.count_nonzero(found.labels == I) > np.count_nonzero(lax.labels == I)


def test_cd45_takes_no_part(forest: Forest) -> None:
    with_cells = planes() | {"cd45": np.full(SHAPE, 1e4, np.float32)}
    first = segment_by_forest(planes(), TISSUE, GRID, SETTINGS, forest=forest)
    second = segment_by_forest(with_cells, TISSUE, GRID, SETTINGS, forest=forest)
    np.testing.assert_array_equal(first.labels, second.labels)
    with pytest.raises(RoleError, match="k8"):
        segment_by_forest({"k14": planes()["k14"]}, TISSUE, GRID, SETTINGS, forest=forest)


def test_one_class_is_refused_with_the_way_out() -> None:
    only = np.where(strokes() == M, strokes(), 0).astype(np.uint8)
    with pytest.raises(CallError, match="only medulla was painted; paint at least one other"):
        fit_from_sections([scribbled(painted=only)])


def test_two_sections_of_one_class_each_are_enough() -> None:
    only = [np.where(strokes() == code, strokes(), 0).astype(np.uint8) for code in (C, M)]
    forest = fit_from_sections([scribbled(0, only[0]), scribbled(1, only[1], "two")], trees=4)
    assert forest.classes == (C, M)


def test_hardly_anything_painted_is_refused() -> None:
    few = np.where(strokes() == C, strokes(), 0).astype(np.uint8)
    few[150, 150:154] = M
    with pytest.raises(CallError, match="medulla was painted on 2 places"):
        fit_from_sections([scribbled(painted=few)])
    with pytest.raises(CallError, match="nothing was painted"):
        fit_from_sections([scribbled(painted=np.zeros(SHAPE, np.uint8))])


def test_strokes_off_the_tissue_do_not_count() -> None:
    off = strokes()
    off[0:20, 0:20] = I
    places = gather_places([scribbled(painted=off)])
    assert set(places.classes) == {int(C), int(M)}


def test_impossible_strokes_are_refused() -> None:
    with pytest.raises(CallError, match="code 77"):
        gather_places([scribbled(painted=np.full(SHAPE, 77, np.uint8))])
    with pytest.raises(CallError, match="coarse grid is 300 x 320"):
        gather_places([scribbled(painted=np.zeros((30, 32), np.uint8))])


def test_accuracy_comes_from_sections_that_were_left_out() -> None:
    one, two = scribbled(0), scribbled(1, name="two")
    found = left_out_accuracy(gather_places([one, two]), trees=6)
    assert set(found) == {0, 1}
    assert min(found.values()) > 0.9
    assert left_out_accuracy(gather_places([one]), trees=6) == {}
    same_animal = [dataclasses.replace(section, group="mouse 1") for section in (one, two)]
    assert left_out_accuracy(gather_places(same_animal), trees=6) == {}


def test_a_saved_forest_is_the_same(forest: Forest, tmp_path: Path) -> None:
    model = save_forest(forest, tmp_path / "mine", summary="a test")
    again = save_forest(forest, tmp_path / "again", name="mine")
    assert model.card.sha256 == again.card.sha256
    assert model.card.classes == ("cortex", "medulla")
    found = load_forest(find_model(str(tmp_path / "mine"), "compartments"))
    values = scribbled().look.table.values
    np.testing.assert_array_equal(found.probabilities(values), forest.probabilities(values))
    assert (found.least_probability, found.smoothing_um) == (forest.least_probability, forest.smoothing_um)


def test_a_model_folder_is_a_method(forest: Forest, tmp_path: Path) -> None:
    save_forest(forest, tmp_path / "mine")
    found = find_division(str(tmp_path / "mine"))(planes(), TISSUE, GRID, SETTINGS)
    assert found.method == "mine"
    np.testing.assert_array_equal(
        found.labels, segment_by_forest(planes(), TISSUE, GRID, SETTINGS, forest=forest).labels
    )
    with pytest.raises(ModelError, match="no such method or model"):
        find_division("guesswork")


def spoil(model: InstalledModel, **arrays: np.ndarray) -> InstalledModel:
    with np.load(model.weights, allow_pickle=False) as file:
        stored = dict(file)
    np.savez(model.weights, **(stored | arrays))
    return InstalledModel(model.folder, model.card.model_copy(update={"sha256": "0" * 64}))


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"left": "loop"}, "point back"),
        ({"feature": "many"}, "more features"),
        ({"value": "short"}, "hold nothing"),
        ({"names": np.array(["cd45 8"] * len(FEATURES))}, "does not know"),
        ({"names": np.array([object()], dtype=object)}, "cannot be read"),
        ({"format": np.int64(99)}, "format 99"),
        ({"threshold": np.zeros(3, np.float32)}, "differ in length"),
    ],
)
def test_a_file_that_cannot_be_walked_through_is_refused(
    forest: Forest, tmp_path: Path, fault: dict[str, object], said: str
) -> None:
    made = {
        "loop": np.zeros_like(forest.left),
        "many": np.full_like(forest.feature, 99),
        "short": forest.value[:1],
    }
    arrays = {key: made.get(value, value) if isinstance(value, str) else value for key, value in fault.items()}
    model = spoil(save_forest(forest, tmp_path / "mine"), **arrays)
    with pytest.raises(ModelError, match=said):
        load_forest(model)


def test_a_truncated_file_is_refused(forest: Forest, tmp_path: Path) -> None:
    model = save_forest(forest, tmp_path / "mine")
    content = (tmp_path / "mine" / WEIGHTS).read_bytes()
    (tmp_path / "mine" / WEIGHTS).write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError, match="truncated"):
        find_model(str(tmp_path / "mine"), "compartments")
    with pytest.raises(ModelError, match="cannot be read as a forest"):
        load_forest(model)

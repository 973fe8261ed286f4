"""What the Compartments widget stands on, without a window: undo, distance lines, outlines, a kept forest."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from thymusimg.compartments.corrections import inside_outlines
from thymusimg.compartments.features import WITHOUT_PLACE
from thymusimg.compartments.forest_file import load_forest
from thymusimg.compartments.model import Compartment, Tissue
from thymusimg.compartments.scribbles import Scribbled, look_at
from thymusimg.errors import CallError
from thymusimg.models.find import find_model
from thymusimg.section.model import Grid
from thymusimg.settings import CompartmentSettings

C, M = int(Compartment.CORTEX), int(Compartment.MEDULLA)


def edited(labels: np.ndarray) -> Any:
    from thymusimg_napari.painting import EditedMap, Source

    return EditedMap(Source(SimpleNamespace(labels=labels.copy()), SimpleNamespace()), labels.copy())


def test_every_step_is_undone_and_redone_in_order() -> None:
    start = np.full((40, 50), C, np.uint8)
    found = edited(start)
    assert not found.edited
    assert found.took("nothing") is None
    states = [start]
    for step in range(3):
        found.labels[5 * step : 5 * step + 8, 10:20] = M if step % 2 == 0 else 0
        change = found.took(f"step {step}", (slice(0, 40), slice(5, 30)))
        assert change.pixels == np.count_nonzero(found.labels != states[-1])
        states.append(found.labels.copy())
    assert found.edited
    for state in states[-2::-1]:
        found.undo()
        np.testing.assert_array_equal(found.labels, state)
    assert found.undo() is None
    assert not found.edited
    for state in states[1:]:
        found.redo()
        np.testing.assert_array_equal(found.labels, state)
    assert found.redo() is None


def test_a_new_step_forgets_what_was_undone() -> None:
    found = edited(np.full((10, 10), C, np.uint8))
    found.labels[2, 2] = M
    found.took("one")
    found.undo()
    found.labels[3, 3] = M
    found.took("two")
    assert found.redo() is None
    assert found.can_undo == "two"


def test_another_method_s_map_is_a_step_too_and_keeps_whose_it_is() -> None:
    from thymusimg_napari.painting import Source

    start = np.full((10, 10), C, np.uint8)
    found = edited(start)
    before, other = found.source, np.full((10, 10), M, np.uint8)
    new = Source(SimpleNamespace(labels=other), SimpleNamespace())
    found.put("ran another", other, new)
    assert found.source is new
    assert not found.edited
    found.undo()
    assert found.source is before
    np.testing.assert_array_equal(found.labels, start)


def test_distance_lines_lie_every_50_um_and_neither_on_the_junction_nor_on_the_edge() -> None:
    from thymusimg_napari.contours import distance_bands, distance_lines

    distance = np.broadcast_to(np.arange(-130.0, 131.0, 2.0), (20, 131)).astype(np.float32).copy()
    distance[:, :3] = np.nan
    lines = distance_lines(distance_bands(distance))
    marked = distance[0][(lines > 0).any(0)]
    np.testing.assert_allclose(sorted(marked), [-102, -100, -52, -50, 48, 50, 98, 100])


def test_outlines_of_a_region_give_the_region_again() -> None:
    from thymusimg_napari.selecting import outlines_of

    grid = Grid((60, 80), 1.3, 1)
    y, x = np.indices(grid.shape)
    disc = np.hypot(y - 30, x - 40) < 20
    np.testing.assert_array_equal(inside_outlines(outlines_of(disc, grid), grid), disc)
    assert outlines_of(np.zeros(grid.shape, bool), grid) == []


@pytest.fixture(scope="module")
def scribbled() -> tuple[Scribbled, ...]:
    shape = (300, 320)
    y, x = np.indices(shape)
    lobe, core = np.hypot(y - 149.5, x - 159.5) < 130, np.hypot(y - 150, x - 170) < 60
    painted = np.zeros(shape, np.uint8)
    painted[145:155, 140:200] = M
    painted[45:52, 130:190] = C
    made = []
    for seed in (0, 1):
        mesh = np.random.default_rng(seed).gamma(2.0, 0.5, (2, *shape)) * lobe
        planes = {"k14": mesh[0] * np.where(core, 700, 150), "k8": mesh[1] * np.where(core, 500, 800)}
        look = look_at(
            {role: plane.astype(np.float32) for role, plane in planes.items()},
            Tissue(lobe, np.zeros(shape, bool), {}, {}), Grid(shape, 2.0, 1), CompartmentSettings(), WITHOUT_PLACE,
        )  # fmt: skip
        made.append(Scribbled(look, painted, f"s{seed}", f"animal {seed}"))
    return tuple(made)


def test_a_forest_is_kept_with_its_card_and_words(scribbled, tmp_path, monkeypatch) -> None:
    from thymusimg_napari.scribbling import Strokes, keep_draft, save_model, train

    monkeypatch.setenv("THYMUSIMG_EDITS", str(tmp_path / "edits"))
    strokes = Strokes()
    for section in scribbled:
        strokes.opened(section.name, section.look)
        strokes.put(section.name, section.scribbles, section.group)
        strokes.left()
    assert list(strokes.places()) == ["s0", "s1"]
    trained = train(strokes.sections)
    assert set(trained.accuracy) == {"animal 0", "animal 1"}
    assert min(trained.accuracy.values()) > 0.9
    folder = tmp_path / "my-forest"
    save_model(trained, folder, who="tester", sections=strokes.sections)
    model = find_model(str(folder), "compartments")
    assert model.card.training.train_animals == ("animal 0", "animal 1")
    assert "tester" in (folder / "README.md").read_text()
    np.testing.assert_array_equal(load_forest(model).value, trained.forest.value)
    draft = keep_draft(trained, who="tester", sections=strokes.sections)
    assert draft.folder == keep_draft(trained, who="tester", sections=strokes.sections).folder
    assert draft.card.name.startswith("strokes-")


def test_strokes_of_one_class_are_refused_and_forgotten_ones_are_gone(scribbled) -> None:
    from thymusimg_napari.scribbling import Strokes, train

    strokes, only = Strokes(), scribbled[0]
    strokes.opened("s0", only.look)
    strokes.put("s0", np.where(only.scribbles == M, only.scribbles, 0).astype(np.uint8))
    with pytest.raises(CallError, match="only medulla was painted"):
        train(strokes.sections)
    strokes.forget("s0")
    assert strokes.sections == ()


def test_the_same_method_run_again_is_a_step_although_no_pixel_changes() -> None:
    from thymusimg_napari.painting import Source

    found = edited(np.full((40, 50), C, np.uint8))
    # as real compartments do, these refuse to be compared
    source = Source(found.source.drawn, np.zeros(2))
    assert found.put("ran keratin", found.labels.copy(), source) is not None
    assert found.source is source
    assert found.put("ran keratin", found.labels.copy(), Source(found.source.drawn, np.ones(2))) is not None
    assert found.put("ran keratin", found.labels.copy(), found.source) is None

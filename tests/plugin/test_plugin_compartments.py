"""The Compartments widget in a real window: run, try, paint, correct, undo, keep, find again, scribble, train."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from thymusimg.compartments.keratin import segment_compartments
from thymusimg.compartments.model import Compartment
from thymusimg.evaluate.load import load
from thymusimg.phantom import make_phantom, write_ome_tiff

if TYPE_CHECKING:
    from pathlib import Path

C, M, A = (int(c) for c in (Compartment.CORTEX, Compartment.MEDULLA, Compartment.ARTEFACT))


def calm(window: Any, widget: Any) -> None:
    """Wait until previews, jobs and the junction are through."""
    window.settle(0.1)
    window.wait(lambda: not widget.finding.trying and not widget.desk.busy, 90)
    window.idle()


def canvas(window: Any) -> Any:
    return window.viewer.window._qt_viewer.canvas.native


def at(window: Any, um: Any) -> Any:
    """Return where a place in µm lies on the canvas, in pixels of the window."""
    from qtpy.QtCore import QPoint

    viewer, native = window.viewer, canvas(window)
    centre, zoom = np.asarray(viewer.camera.center[-2:]), viewer.camera.zoom
    y, x = (np.asarray(um) - centre) * zoom
    return QPoint(round(native.width() / 2 + x), round(native.height() / 2 + y))


def drag(window: Any, places_um: Any) -> None:
    """Draw a line with the left button pressed, as a hand does."""
    from qtpy.QtCore import Qt
    from qtpy.QtTest import QTest

    native, left, none = canvas(window), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    points = [at(window, um) for um in places_um]
    QTest.mouseMove(native, points[0])
    window.settle(0.05)
    QTest.mousePress(native, left, none, points[0])
    for point in points[1:]:
        QTest.mouseMove(native, point)
        window.settle(0.03)
    QTest.mouseRelease(native, left, none, points[-1])
    window.settle(0.05)


def click(window: Any, um: Any) -> None:
    from qtpy.QtCore import Qt
    from qtpy.QtTest import QTest

    QTest.mouseMove(canvas(window), at(window, um))
    window.settle(0.1)
    QTest.mouseClick(canvas(window), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, at(window, um))
    window.settle(0.1)


def press(window: Any, key: str, control: bool = False) -> None:
    from qtpy.QtCore import Qt
    from qtpy.QtTest import QTest

    canvas(window).setFocus()
    window.settle(0.05)
    modifier = Qt.KeyboardModifier.ControlModifier if control else Qt.KeyboardModifier.NoModifier
    QTest.keyClick(canvas(window), getattr(Qt.Key, f"Key_{key}"), modifier)
    window.settle(0.05)


def middle_of(grid: Any, mask: np.ndarray) -> np.ndarray:
    """Return the place in µm of the pixel that lies deepest in a region."""
    from thymusimg.compartments.shapes import depth_px

    return grid.to_um(np.unravel_index(np.argmax(depth_px(np.pad(mask, 1))[1:-1, 1:-1]), mask.shape))


def around(spot: np.ndarray, *steps_um: tuple[float, float]) -> list[np.ndarray]:
    return [spot + np.array(step) for step in steps_um]


def opened(window: Any, slide: Path) -> Any:
    """Open a section and the Compartments widget beside it."""
    window.open_section(slide)
    widget = window.dock("Compartments")
    calm(window, widget)
    return widget


def test_settings_are_tried_before_they_are_run(window, slide):
    widget = opened(window, slide)
    session, page = widget.session, widget.finding
    before = session.prepared.compartments
    layer = widget.desk.layer
    np.testing.assert_array_equal(layer.data, before.labels)
    assert "medulla" in widget.status.text()
    window.picture("compartments_found")
    slider = page.sliders["medulla_cut"].slider
    slider.setValue(slider.value() + 35)
    window.wait(lambda: page.tried is not None, 60)
    calm(window, widget)
    preview = window.viewer.layers["preview"]
    assert np.count_nonzero(preview.data == M) < np.count_nonzero(before.labels == M)
    assert not layer.visible
    assert "Preview" in page.says.text()
    assert session.prepared.compartments is before
    window.picture("compartments_preview")
    chosen = page.chosen_settings()
    window.click(page.run)
    calm(window, widget)
    prepared = session.prepared
    expected = segment_compartments(prepared.planes, prepared.tissue, before.grid, chosen.compartments)
    np.testing.assert_array_equal(widget.desk.layer.data, expected.labels)
    assert session.settings.compartments.medulla_cut == pytest.approx(0.85)
    assert prepared.settings == session.settings
    assert "preview" not in window.viewer.layers
    assert layer.visible
    window.click(widget.editing.undo)
    calm(window, widget)
    np.testing.assert_array_equal(session.prepared.compartments.labels, before.labels)
    assert session.settings.compartments.medulla_cut == pytest.approx(0.5)
    assert not window.said


def test_an_islet_is_brushed_undone_corrected_kept_and_found_again(window, slide, tmp_path):
    from thymusimg_napari.keeping import keeper_of

    widget = opened(window, slide)
    session, page, desk = widget.session, widget.editing, widget.desk
    before = session.prepared.compartments
    grid, drawn = before.grid, before.labels.copy()
    widget.pages.setCurrentWidget(page)
    window.click(page.tools["paint"])
    window.click(page.classes.buttons[Compartment.MEDULLA])
    page.why.setText("K14 net visible")
    spot = middle_of(grid, drawn == C)
    drag(window, around(spot, (0, 0), (0, 10), (10, 10)))
    calm(window, widget)
    painted = desk.layer.data.copy()
    changed = painted != drawn
    assert changed.any()
    assert set(np.unique(painted[changed])) == {M}
    assert painted[tuple(np.rint(grid.to_index(spot)).astype(int))] == M
    edit = session.edits.of("compartments")[-1]
    assert (edit.who, edit.what, edit.why) == ("tester", "painted medulla", "K14 net visible")
    assert edit.details["pixels"] == np.count_nonzero(changed)
    found = session.prepared.compartments
    assert found.method == "keratin, edited"
    np.testing.assert_array_equal(found.labels, painted)
    assert session.original is before
    lines = window.viewer.layers["corticomedullary junction"]
    assert len(lines.data) == len(found.junction_um)
    window.picture("compartments_brushed")

    press(window, "Z", control=True)
    calm(window, widget)
    np.testing.assert_array_equal(session.prepared.compartments.labels, drawn)
    assert session.prepared.compartments.method == "keratin"
    window.click(page.redo)
    calm(window, widget)
    np.testing.assert_array_equal(desk.layer.data, painted)

    press(window, "V")
    click(window, spot)
    assert page.selection.region(grid)[tuple(np.rint(grid.to_index(spot)).astype(int))]
    window.picture("compartments_selected")
    press(window, "J")
    calm(window, widget)
    np.testing.assert_array_equal(desk.layer.data, drawn)
    press(window, "Z", control=True)
    calm(window, widget)

    press(window, "N")
    drag(window, around(spot, (-30, -30), (-30, 30), (30, 30), (30, -30), (-28, -30)))
    press(window, "X")
    calm(window, widget)
    marked = desk.layer.data.copy()
    assert np.count_nonzero(marked == A) * grid.pixel_um**2 == pytest.approx(60 * 60, rel=0.2)
    assert "artefact" in session.edits.of("compartments")[-1].what
    press(window, "D")
    assert window.viewer.layers["every 50 µm from the junction"].visible
    window.picture("compartments_artefact")

    saved = tmp_path / "edited.zarr"
    assert desk.layer.save(str(saved), plugin="thymusimg") == [str(saved)]
    np.testing.assert_array_equal(load(saved)[0].compartments.pixels[:], marked)

    keeper_of(session).flush()
    before_kill = [edit.what for edit in session.edits.entries]
    section = window.docked[0]
    window.click(section.open)  # the section is opened again, as after a kill: the journal is there
    window.idle()
    calm(window, widget)
    np.testing.assert_array_equal(desk.layer.data, marked)
    np.testing.assert_array_equal(session.prepared.compartments.labels, marked)
    np.testing.assert_array_equal(session.original.labels, drawn)
    assert [edit.what for edit in session.edits.entries] == before_kill
    assert "put back" in window.said[-1]
    window.picture("compartments_put_back")
    window.click(widget.throw)
    calm(window, widget)
    np.testing.assert_array_equal(desk.layer.data, drawn)


@pytest.fixture(scope="module")
def three(lobe_spec: Any, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Path, np.ndarray]]:
    """Three synthetic lobes and their true compartments on the coarse grid."""
    folder, spec = tmp_path_factory.mktemp("three"), lobe_spec.model_copy(update={"area_mm2": 0.25})
    made = []
    for seed in (11, 12, 13):
        phantom = make_phantom(spec, seed, pixel_size_um=1.3)
        path = folder / f"lobe_{seed}.ome.tif"
        write_ome_tiff(phantom, path)
        made.append((path, phantom.truth.labels))
    return made


def another(window: Any, path: Path) -> None:
    """Open another slide in the Section widget that is there."""
    section = window.docked[0]
    window.type(section.slide.line, str(path))
    window.idle()
    section.open.click()  # its tab may lie below
    window.idle()


def stroke(window: Any, widget: Any, code: Compartment, mask: np.ndarray, reach_um: float = 40.0) -> None:
    """Scribble through the deepest place of a region."""
    window.click(widget.strokes.classes.buttons[code])
    spot = middle_of(widget.session.prepared.survey.grid, mask)
    drag(window, around(spot, (0, -reach_um), (0, 0), (0, reach_um)))


def dice(labels: np.ndarray, truth: np.ndarray, code: int) -> float:
    ours, true = labels == code, truth == code
    return 2 * np.count_nonzero(ours & true) / (np.count_nonzero(ours) + np.count_nonzero(true))


def test_strokes_on_two_sections_divide_a_third(window, three, tmp_path):
    from thymusimg.compartments.methods import find_division

    widget = opened(window, three[0][0])
    page, session = widget.strokes, widget.session
    widget.pages.setCurrentWidget(page)
    assert not page.train.isEnabled()
    for place, (path, truth) in enumerate(three[:2]):
        if place:
            another(window, path)
            calm(window, widget)
        window.click(page.start)
        calm(window, widget)
        judged = page.strokes.look_of(session.section_id).around.judged
        for code in (Compartment.MEDULLA, Compartment.CORTEX):
            stroke(window, widget, code, (truth == code) & judged)
        assert set(page.strokes.places()[session.section_id]) == {"cortex", "medulla"}
    window.picture("compartments_scribbled")
    window.click(page.train)
    calm(window, widget)
    assert session.prepared.compartments.method.startswith("strokes-")
    assert set(page.trained.accuracy) == {"lobe_11", "lobe_12"}
    assert window.viewer.layers["confidence"].visible
    window.picture("compartments_trained")
    first = session.prepared.compartments

    another(window, three[2][0])
    calm(window, widget)
    window.click(page.apply)
    calm(window, widget)
    truth = three[2][1]
    before = {code: dice(session.prepared.compartments.labels, truth, code) for code in (C, M)}
    window.picture("compartments_applied")

    another(window, three[1][0])
    calm(window, widget)
    window.click(page.start)
    calm(window, widget)
    judged = page.strokes.look_of(session.section_id).around.judged
    wrong = judged & (first.labels != three[1][1])
    grid = session.prepared.survey.grid
    worst = three[1][1][tuple(np.rint(grid.to_index(middle_of(grid, wrong))).astype(int))]
    stroke(window, widget, Compartment(worst), wrong & (three[1][1] == worst), reach_um=12)
    window.click(page.train)
    calm(window, widget)
    another(window, three[2][0])
    calm(window, widget)
    window.click(page.apply)
    calm(window, widget)
    applied = session.prepared.compartments
    after = {code: dice(applied.labels, truth, code) for code in (C, M)}
    print(f"cortex {before[C]:.3f} -> {after[C]:.3f}, medulla {before[M]:.3f} -> {after[M]:.3f}")
    assert min(before[M], after[M]) > 0.6
    assert min(before[C], after[C]) > 0.7
    assert after[M] > before[M] - 0.1

    folder = tmp_path / "my-thymus"
    window.type(page.name, str(folder))
    window.click(page.save)
    calm(window, widget)
    assert widget.finding.method.currentData()[0] == str(folder)
    assert "my-thymus" in (folder / "README.md").read_text()
    prepared = session.prepared
    for method in (str(folder), prepared.settings.compartments.method):
        again = find_division(method)(
            prepared.planes, prepared.tissue, applied.grid, prepared.settings.compartments
        )
        np.testing.assert_array_equal(again.labels, applied.labels)
    assert not [text for text in window.said if "put back" not in text]

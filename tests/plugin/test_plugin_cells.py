"""The Cells widget, driven as people do: find, gate, review, correct, measure again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from pathlib import Path


def keys(window: Any, text: str) -> None:
    """Press keys in the picture, one after the other, and wait for what they do."""
    from qtpy.QtTest import QTest

    native = window.viewer.window._qt_viewer.canvas.native
    for sign in text:
        QTest.keyClick(native, sign)
        window.settle(0.05)
        window.idle()


def on_canvas(window: Any, place_um: tuple[float, float]) -> Any:
    """Return where a place lies on the canvas."""
    from qtpy.QtCore import QPoint

    camera = window.viewer.camera
    native = window.viewer.window._qt_viewer.canvas.native
    away = (np.asarray(place_um) - np.asarray(camera.center[-2:])) * camera.zoom
    return QPoint(round(native.width() / 2 + away[1]), round(native.height() / 2 + away[0]))


def drag(window: Any, places: list[tuple[float, float]], modifier: str = "") -> None:
    """Press at the first place, move over the others, let go."""
    from qtpy.QtCore import Qt
    from qtpy.QtTest import QTest

    native = window.viewer.window._qt_viewer.canvas.native
    held = getattr(Qt.KeyboardModifier, f"{modifier}Modifier") if modifier else Qt.KeyboardModifier.NoModifier
    points = [on_canvas(window, place) for place in places]
    QTest.mouseMove(native, points[0])
    window.settle(0.05)
    QTest.mousePress(native, Qt.MouseButton.LeftButton, held, points[0])
    for point in points[1:]:
        move(native, point, held)
        window.settle(0.02)
    QTest.mouseRelease(native, Qt.MouseButton.LeftButton, held, points[-1])
    window.settle(0.1)
    window.idle()


def move(native: Any, point: Any, held: Any) -> None:
    from qtpy.QtCore import QEvent, QPointF, Qt
    from qtpy.QtGui import QMouseEvent
    from qtpy.QtWidgets import QApplication

    there = QPointF(point)
    event = QMouseEvent(
        QEvent.Type.MouseMove, there, native.mapToGlobal(there), Qt.MouseButton.NoButton,
        Qt.MouseButton.LeftButton, held,
    )  # fmt: skip
    QApplication.sendEvent(native, event)


def hover(window: Any, place_um: tuple[float, float]) -> None:
    from qtpy.QtTest import QTest

    QTest.mouseMove(window.viewer.window._qt_viewer.canvas.native, on_canvas(window, place_um))
    window.settle(0.1)


def place(cells: Any, number: int) -> tuple[float, float]:
    row = cells.table.iloc[number - 1]
    return float(row["y_um"]), float(row["x_um"])


@pytest.fixture
def found(window: Any, slide: Path) -> Any:
    """The Cells widget with the lobe's cells found."""
    window.open_section(slide)
    widget = window.dock("Cells")
    window.idle()
    window.click(widget.find)
    window.idle()
    return widget


def test_cells_are_found_gated_and_tried_in_the_view(window: Any, slide: Path) -> None:
    from thymusimg_napari.layers import Purpose, find

    widget = window.dock("Cells")
    assert not widget.find.isEnabled()
    window.open_section(slide)
    window.idle()
    gate = widget.gate
    window.wait(lambda: gate.sample is not None)
    window.picture("cells_1_opened")
    assert "SD above the background" in gate.says.text()
    before = gate.threshold
    gate.slider.setFocus()
    from qtpy.QtCore import Qt
    from qtpy.QtTest import QTest

    for _ in range(40):
        QTest.keyClick(gate.slider, Qt.Key.Key_Right)
    assert gate.threshold > before
    share = gate.sample.positive_share(gate.threshold)
    assert f"{100 * share:.3g} %" in gate.says.text()
    window.click(gate.live)
    window.idle()
    layer = find(window.viewer.layers, Purpose.POSITIVE)
    few = int(layer.data.sum())
    QTest.mouseClick(gate.histogram, Qt.MouseButton.LeftButton, pos=gate.histogram.rect().center())
    window.idle()
    assert find(window.viewer.layers, Purpose.POSITIVE).data.sum() != few
    window.picture("cells_2_gate")
    window.type(gate.deviations.lineEdit(), "3.5")
    window.idle()
    assert gate.threshold == gate.sample.threshold(3.5)
    window.click(gate.live)
    window.viewer.camera.zoom *= 3
    window.settle(0.3)
    window.click(widget.find_view)
    window.idle()
    assert "Trial:" in widget.state.text()
    assert window_session(window).counted is None
    window.picture("cells_3_trial")
    window.click(widget.find)
    window.idle()
    session = window_session(window)
    assert session.counted.cells.gate.threshold == gate.threshold
    assert session.settings.gate.deviations == 3.5
    assert find(window.viewer.layers, Purpose.CELL_TRIAL) is None
    window.picture("cells_4_found")
    assert widget.counts.rowCount() >= 3


def window_session(window: Any) -> Any:
    from thymusimg_napari.session import session_of

    return session_of(window.viewer)


def test_one_key_each_adds_deletes_splits_merges_and_undoes(window: Any, found: Any) -> None:
    session, review, shown = window_session(window), found.review, found.shown
    first = session.counted.cells
    total = len(first.table)
    window.click(review.start)
    score = first.table["score"].to_numpy()
    assert shown.current == 1 + int(np.argmin(np.abs(score - 0.5)))
    window.picture("cells_5_review")
    keys(window, "N")
    second = shown.current
    assert second == 1 + int(np.argsort(np.abs(score - 0.5), kind="stable")[1])
    keys(window, "B")
    assert shown.current != second
    keys(window, "D")
    assert len(session.counted.cells.table) == total - 1
    assert session.edits.entries[-1].what == "deleted a cell"
    assert session.edits.entries[-1].who == "tester"
    window.type(review.why, "two nuclei")
    big = 1 + int(session.counted.cells.table["area_um2"].idxmax())
    shown.go_to(big)
    middle = place(session.counted.cells, big)
    window.settle(0.3)
    window.viewer.window._qt_viewer.canvas.native.setFocus()
    keys(window, "S")
    assert len(session.counted.cells.table) == total
    assert session.edits.entries[-1].why == "two nuclei"
    window.picture("cells_6_split")
    halves = np.hypot(*(session.counted.cells.table[["y_um", "x_um"]].to_numpy() - middle).T).argsort()[:2] + 1
    shown.mark(int(halves[0]))
    hover(window, place(session.counted.cells, int(halves[1])))
    keys(window, "M")
    assert len(session.counted.cells.table) == total - 1
    free = free_place(session.counted.cells, middle, session.section)
    hover(window, free)
    keys(window, "A")
    assert len(session.counted.cells.table) == total
    assert shown.at(free) == shown.current > 0
    window.picture("cells_7_added")
    rows = {
        found.counts.item(r, 0).text(): int(found.counts.item(r, 1).text()) for r in range(found.counts.rowCount())
    }
    inside = session.counted.cells.table["compartment"].isin(["cortex", "medulla", "indeterminate"]).sum()
    assert rows["parenchyma"] == inside
    keys(window, "UUUU")
    assert session.original_cells is None
    last = session.counted.cells
    assert last.method == first.method
    assert np.array_equal(last.masks.bits, first.masks.bits)
    assert len(session.edits.of("cells")) == 8  # four changes, four undone
    keys(window, "DD")
    assert len(session.counted.cells.table) == total - 2


def free_place(cells: Any, near: tuple[float, float], section: Any) -> tuple[float, float]:
    """Return the nearest place where a cell of 8 µm fits."""
    import cv2

    from thymusimg.section.model import Window

    px = section.pixel_size_um
    taken = cells.masks.paint(Window(0, section.shape[0], 0, section.shape[1])) > 0
    room = cv2.distanceTransform((~taken).astype(np.uint8), cv2.DIST_L2, 5) * px
    places = np.argwhere(room > 5.0) * px
    y, x = places[np.hypot(*(places - near).T).argmin()]
    return float(y), float(x)


def test_an_outline_is_drawn_and_a_cell_is_cut_with_the_mouse(window: Any, found: Any) -> None:
    session, review, shown = window_session(window), found.review, found.shown
    total = len(session.counted.cells.table)
    window.click(review.start)
    free = free_place(session.counted.cells, place(session.counted.cells, shown.current), session.section)
    window.viewer.camera.center = (0.0, *free)
    window.settle(0.3)
    turns = np.linspace(0, 2 * np.pi, 16)
    drag(window, [(free[0] + 4.5 * np.sin(t), free[1] + 4.5 * np.cos(t)) for t in turns], "Alt")
    cells = session.counted.cells
    assert len(cells.table) == total + 1
    number = shown.at(free)
    assert cells.table["area_um2"].iloc[number - 1] == pytest.approx(np.pi * 4.5**2, rel=0.1)
    window.picture("cells_8_outlined")
    y, x = free
    drag(window, [(y - 7, x), (y - 2, x), (y + 2, x), (y + 7, x)], "Shift")
    cells = session.counted.cells
    assert len(cells.table) == total + 2
    left, right = shown.at((y, x - 2.0)), shown.at((y, x + 2.0))
    assert left != right
    assert min(left, right) > 0
    drag(window, [(y, x + 2.0), (y, x + 2.0)])
    assert shown.current == right
    window.picture("cells_9_cut")
    assert session.edits.entries[-1].details["places_um"][0] == pytest.approx([y - 7, x], abs=0.5)


def test_the_controls_of_a_study_set_the_gate(
    window: Any, slide: Path, untreated_slide: Path, tmp_path: Path
) -> None:
    table = tmp_path / "study.csv"
    rows = [
        "section_id,path,animal,group,negative_control",
        f"lobe,{slide},m1,treated,false",
        f"bare,{untreated_slide},m2,untreated,true",
    ]
    table.write_text("\n".join(rows) + "\n", encoding="utf-8")
    section = window.dock("Section")
    cells = window.dock("Cells")
    assert not cells.measure_controls.isVisible()
    section.parent().raise_()
    window.type(section.study.line, str(table))
    window.idle()
    window.choose(section.pick, "lobe")
    section.pick.activated.emit(section.pick.currentIndex())
    window.idle()
    window.click(section.open)
    window.idle()
    cells.parent().raise_()
    window.settle(0.2)
    gate = cells.gate
    own = gate.threshold
    window.click(cells.measure_controls)
    window.idle()
    assert gate.by_controls
    assert gate.histogram.controls == gate.threshold != own
    assert "controls (bare)" in gate.says.text()
    window.picture("cells_10_controls")
    window.click(cells.find)
    window.idle()
    found = window_session(window).counted.cells.gate
    assert found.controls == ("bare",)
    assert found.threshold == gate.threshold
    gate.slider.setValue(gate.slider.value() + 20)
    assert not gate.by_controls
    assert "find them again" in gate.says.text()


def test_edited_cells_of_a_killed_window_are_back(window: Any, found: Any) -> None:
    from thymusimg_napari.keeping import keeper_of

    session, keeper = window_session(window), keeper_of(window_session(window))
    window.click(found.review.start)
    keys(window, "DD")
    edited = session.counted.cells
    window.wait(lambda: session.journal.pending and not keeper.dirty, 10)
    section = window.docked[0]
    session.close_section()
    section.parent().raise_()
    window.click(section.open)
    window.idle()
    assert "not saved are back" in window.said[-1]
    assert session.counted.cells.table.equals(edited.table)
    assert len(session.original_cells.table) == len(edited.table) + 2
    assert [edit.what for edit in session.edits.entries][-2:] == ["deleted a cell"] * 2
    # a window without the Cells widget leaves them where they are
    session.close_section()
    window.viewer.window.remove_dock_widget(found)
    window.docked.remove(found)
    found.deleteLater()
    window.settle(0.1)
    window.click(section.open)
    window.idle()
    session.record_edit("painted medulla", target="compartments")
    keeper.flush()
    assert keeper.restored().values["cells"]["edited"]["count"] == len(edited.table)


def test_finding_cells_can_be_cancelled(window: Any, slide: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    from thymusimg_napari.widgets import cells as module

    def slow(prepared: Any, *, controls: Any, progress: Any) -> None:
        for part in range(600):
            progress("cells", part / 600)
            time.sleep(0.1)

    monkeypatch.setattr(module, "count_cells", slow)
    window.open_section(slide)
    widget = window.dock("Cells")
    window.idle()
    window.click(widget.find)
    window.wait(lambda: widget.job_bar.bar.value() > 0, 20)
    window.picture("cells_11_finding")
    window.click(widget.job_bar.cancel)
    window.idle(10)
    assert window_session(window).counted is None
    assert widget.find.isEnabled()

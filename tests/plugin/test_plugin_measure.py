"""The Measure widget, driven as people do; and the promise behind it: edited cells measure as any others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

if TYPE_CHECKING:
    from pathlib import Path


def session_of(window: Any) -> Any:
    from thymusimg_napari.session import session_of as of

    return of(window.viewer)


def click_row(window: Any, table: Any, place: int) -> None:
    """Click a row that stands at a place of a table."""
    from qtpy.QtCore import Qt
    from qtpy.QtTest import QTest

    index = table.frame_model.index(place, 0)
    table.scrollTo(index)
    window.settle(0.1)
    QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=table.visualRect(index).center())
    window.settle(0.1)


def click_header(window: Any, table: Any, name: str) -> None:
    from qtpy.QtCore import QPoint, Qt
    from qtpy.QtTest import QTest

    header, column = table.horizontalHeader(), list(table.frame_model.frame).index(name)
    table.horizontalScrollBar().setValue(column)
    window.settle(0.05)
    at = QPoint(header.sectionViewportPosition(column) + header.sectionSize(column) // 2, header.height() // 2)
    QTest.mouseClick(header.viewport(), Qt.MouseButton.LeftButton, pos=at)
    window.settle(0.05)


def click_canvas(window: Any, place_um: tuple[float, float]) -> None:
    from qtpy.QtCore import QPoint, Qt
    from qtpy.QtTest import QTest

    camera, native = window.viewer.camera, window.viewer.window._qt_viewer.canvas.native
    away = (np.asarray(place_um) - np.asarray(camera.center[-2:])) * camera.zoom
    point = QPoint(round(native.width() / 2 + away[1]), round(native.height() / 2 + away[0]))
    QTest.mouseClick(native, Qt.MouseButton.LeftButton, pos=point)
    window.settle(0.1)


def test_numbers_tables_and_curves_of_a_section(window: Any, slide: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from thymusimg_napari.layers import Purpose, find

    window.open_section(slide)
    measure = window.dock("Measure")
    window.click(measure.measure)
    window.idle()
    names = measure.table.frame_model.frame.set_index("measurement")["value"]
    assert names["cd45_count"] == "—"
    assert "not looked for" in measure.table.frame_model.tips[list(names.index).index("cd45_count")]
    cells = window.dock("Cells")
    window.idle()
    window.click(cells.find)
    measure.parent().raise_()
    window.idle()
    assert "Not measured" in measure.state.text()
    window.click(measure.measure)
    window.idle()
    session = session_of(window)
    names = measure.table.frame_model.frame.set_index("measurement")["value"]
    assert names["cd45_count"] == f"{session.result.measurements['cd45_count']:,}"
    assert measure.state.text().startswith(f"{session.section_id}: ")
    assert "changed" not in measure.state.text()
    before = session.settings
    session.set_settings(before.model_copy(update={"gate": before.gate.model_copy(update={"deviations": 4.5})}))
    assert "Settings were changed since" in measure.state.text()
    session.set_settings(before)
    assert "changed" not in measure.state.text()
    window.type(measure.filter, "medulla fraction")
    shown = [r for r in range(len(names)) if not measure.table.isRowHidden(r)]
    assert 0 < len(shown) < 5
    click_row(window, measure.table, shown[0])
    assert "Unit: fraction" in measure.meaning.text()
    window.picture("measure_1_numbers")

    measure.tabs.setCurrentIndex(1)
    window.settle(0.1)
    table = measure.cells
    click_header(window, table, "area_um2")
    click_header(window, table, "area_um2")  # the largest first
    click_row(window, table, 0)
    largest = int(session.counted.cells.table["area_um2"].idxmax())
    assert cells.shown.current == largest + 1
    centre = session.counted.cells.table.iloc[largest][["y_um", "x_um"]].to_numpy(float)
    assert np.allclose(window.viewer.camera.center[-2:], centre)
    others = session.counted.cells.table[["y_um", "x_um"]].to_numpy()
    near = int(np.hypot(*(others - centre).T).argsort()[1])
    click_canvas(window, tuple(others[near]))
    assert table.row == near
    assert cells.shown.current == near + 1
    window.choose(measure.colour, "distance_to_cmj_um")
    measure.colour.activated.emit(measure.colour.currentIndex())
    window.picture("measure_2_cells_near")
    monkeypatch.setattr("thymusimg_napari.cells_shown.OUTLINED_PX", 400)  # else the whole lobe counts as near
    window.viewer.reset_view()
    window.settle(0.3)
    points = find(window.viewer.layers, Purpose.CELL_POINTS)
    assert points.visible
    assert len(np.unique(points.face_color, axis=0)) > 20
    window.picture("measure_3_cells_far")

    measure.tabs.setCurrentIndex(2)
    window.settle(0.1)
    assert len(measure.islets.frame_model.frame) == session.result.measurements["islet_count"]
    click_row(window, measure.islets, 0)
    assert find(window.viewer.layers, Purpose.ISLETS) is not None
    window.picture("measure_4_islet")
    inside = np.argwhere(measure.numbers.islet_labels == 1).mean(axis=0)
    labels, grid = measure.numbers.islet_labels, session.prepared.compartments.grid
    rows = np.argwhere(labels == 1)
    middle = rows[np.hypot(*(rows - inside).T).argmin()]
    measure.islets.select(-1)
    click_canvas(window, tuple(grid.to_um(middle)))
    assert measure.islets.row == 0

    measure.tabs.setCurrentIndex(3)
    window.settle(0.3)
    assert measure.plot.pick.currentText().startswith("CD45⁺ density along the axis")
    window.picture("measure_5_axis")
    window.choose(measure.plot.pick, "L(r)")
    window.picture("measure_6_clustering")


@pytest.fixture
def counted(slide: Path) -> Any:
    import thymusimg as ti
    from thymusimg.pipeline import count_cells, prepare_section
    from thymusimg.settings import Settings

    quick = {
        "pattern_simulations": 19,
        "coexpression_scrambles": 19,
        "tile_permutations": 19,
        "spot_relabellings": 39,
    }
    settings = Settings()
    settings = settings.model_copy(update={"measurements": settings.measurements.model_copy(update=quick)})
    section = ti.open_section(slide)
    yield count_cells(prepare_section(section, settings))
    section.image.close()


def test_edited_cells_measure_as_the_headless_engine_measures_their_labels(counted: Any) -> None:
    """Count → edit as the widget does → measure: to the last digit what the labels alone give."""
    from dataclasses import replace

    from thymusimg_napari.cell_editing import CellEditor, Change, light_of
    from thymusimg_napari.measuring import measure_now
    from thymusimg_napari.session import Session

    from thymusimg.cells.edited import cells_of_labels
    from thymusimg.pipeline import measure_counted, place_cells
    from thymusimg.section.model import Window

    session = Session()
    session.section = counted.prepared.section
    session.set_counted(counted)
    editor = CellEditor(session)
    table = counted.cells.table
    first, big = 1 + int(table["score"].argmin()), 1 + int(table["area_um2"].argmax())
    middle = tuple(table.iloc[big - 1][["y_um", "x_um"]])
    changes = [
        Change("split", big),
        Change("delete", first if first < big else first + 1),
        Change("add", 0, ((float(table["y_um"].median()) + 9.0, float(table["x_um"].median())),)),
    ]
    for change in changes:
        editor.finish(editor.begin(change)(lambda _stage, _part: None))
    y, x = table.iloc[first - 1][["y_um", "x_um"]]
    ring = tuple((y + 4 * np.sin(t), x + 4 * np.cos(t)) for t in np.linspace(0, 2 * np.pi, 20))
    editor.finish(editor.begin(Change("outline", 0, ring))(lambda _stage, _part: None))
    session.section = None
    edited = session.counted.cells
    assert len(edited.table) == len(table) + 2
    assert session.original_cells is counted.cells
    assert len(session.edits) == 4
    assert middle not in set(zip(edited.table["y_um"], edited.table["x_um"], strict=True))

    prepared, silent = counted.prepared, (lambda _stage, _part: None)
    measured = measure_now(prepared, session.counted, prepared.settings)(silent).result
    height, width = prepared.section.shape
    labels = edited.masks.paint(Window(0, height, 0, width)).astype(np.int32)
    scores = np.concatenate([[0.0], edited.table["score"]]).astype(np.float32)
    alone = cells_of_labels(
        labels, light_of(prepared, edited), edited.positive_fraction, method=edited.method, scores=scores
    )
    alone = place_cells(alone, prepared.compartments, prepared.settings.measurements)
    pd.testing.assert_frame_equal(edited.table[list(alone.table)], alone.table, check_exact=True)
    again = measure_counted(replace(counted, cells=alone))
    pd.testing.assert_series_equal(
        pd.Series(measured.measurements, dtype=object),
        pd.Series(again.measurements, dtype=object),
        check_exact=True,
    )
    pd.testing.assert_frame_equal(measured.measured.curves, again.measured.curves, check_exact=True)
    pd.testing.assert_frame_equal(measured.measured.compartments, again.measured.compartments, check_exact=True)

    for _ in range(4):
        editor.undo()
    assert session.counted.cells.method == counted.cells.method
    assert session.original_cells is None
    pd.testing.assert_frame_equal(session.counted.cells.table, counted.cells.table, check_exact=True)


def test_cells_come_back_from_the_journal_to_the_last_bit(counted: Any, tmp_path: Path) -> None:
    from thymusimg_napari.autosave import Journal, Snapshot
    from thymusimg_napari.cell_editing import CellEditor, Change
    from thymusimg_napari.cell_journal import kept, packed, unpacked
    from thymusimg_napari.session import Session

    from thymusimg.cells.edited import delete_cells
    from thymusimg.pipeline import place_cells

    session = Session()
    session.section = counted.prepared.section
    session.set_counted(counted)
    assert kept(session) == ({}, {})
    editor = CellEditor(session)
    editor.finish(editor.begin(Change("delete", 3))(lambda _stage, _part: None))
    arrays, values = kept(session)
    journal = Journal(tmp_path / "journal")
    journal.write(Snapshot(arrays, {"cells": values}, session.edits.as_records()))
    left = journal.read()
    assert left is not None
    settings = counted.prepared.settings.measurements
    for name, key, cells in (("cells", "edited", session.counted.cells), ("cells_found", "found", counted.cells)):
        back = unpacked(left.arrays, left.values["cells"][key], name)
        back = place_cells(back, counted.prepared.compartments, settings)
        pd.testing.assert_frame_equal(back.table, cells.table, check_exact=True)
        assert np.array_equal(back.masks.bits, cells.masks.bits)
        assert np.array_equal(back.masks.starts, cells.masks.starts)
        assert np.array_equal(back.positive_fraction, cells.positive_fraction)
        assert repr(back.gate) == repr(cells.gate)
    session.section = None
    none = delete_cells(counted.cells, range(1, len(counted.cells.table) + 1))
    arrays, values = packed(none, "cells")
    assert len(unpacked(arrays, values, "cells").table) == 0

"""The Study widget in a window: states, one section after the other, save, reopen, blinded, second reader."""

from __future__ import annotations

import json

import numpy as np
import pytest

from thymusimg.compartments.edited import redraw
from thymusimg.compartments.model import Compartment
from thymusimg.progress import silent
from thymusimg.section.store import Bundle


@pytest.fixture
def table(slide, untreated_slide, tmp_path):
    path = tmp_path / "study.csv"
    path.write_text(
        f"section_id,path,animal,group\nt1,{slide},m1,treated\nu1,{untreated_slide},m2,untreated\n",
        encoding="utf-8",
    )
    return path


def paint(session, *, record=True):
    """Paint an islet as the Compartments widget leaves it."""
    drawn = session.prepared.compartments
    labels = drawn.labels.copy()
    y, x = np.argwhere(labels == Compartment.CORTEX)[len(labels)]
    rows, cols = np.indices(labels.shape)
    labels[(np.hypot(rows - y, cols - x) < 9) & (labels == Compartment.CORTEX)] = Compartment.MEDULLA
    session.set_compartments(redraw(drawn, labels, session.prepared.settings.compartments))
    if record:
        session.record_edit("painted medulla", target="compartments", why="K14 net")
    return labels


def shown(widget):
    table = widget.table
    return {table.item(r, 1).text(): table.item(r, 0).text() for r in range(table.rowCount())}


def opened_as_stored(session, monkeypatch):
    """What is stored is opened, whatever settings the window has; the rule, and a word, where its model is gone."""
    from thymusimg_napari import openings

    stored = session.prepared.compartments
    bundle = session.out / "sections" / "u1.zarr"
    np.testing.assert_array_equal(Bundle.open(bundle).label("compartments")[:], stored.labels)
    other = session.settings.compartments.model_copy(update={"medulla_cut": 0.9})
    settings = session.settings.model_copy(update={"compartments": other})

    def drawn():
        return openings.check(session.section, settings, silent, bundle)

    assert drawn().prepared.settings.compartments.medulla_cut == 0.5
    np.testing.assert_array_equal(drawn().prepared.compartments.labels, stored.labels)
    with monkeypatch.context() as patch:
        gone = other.model_copy(update={"method": "no-such-model"})
        patch.setattr(openings, "stored_compartments", lambda _bundle: gone)
        found = drawn()
    assert found.prepared.compartments.method == "keratin"
    assert "no-such-model" in found.note


def test_a_study_is_gone_through_edited_saved_run_and_reopened(window, table, monkeypatch):
    widget = window.dock("Study")
    session = widget.session
    window.type(widget.study.line, str(table))
    window.idle()
    assert shown(widget) == {"t1": "to do", "u1": "to do"}
    assert not widget.keep.isEnabled()
    window.click(widget.forward)
    window.idle()
    assert session.section_id == "t1"
    labels = paint(session)
    assert "(1 edit)" in widget.keep.text()
    window.click(widget.keep)
    window.idle()
    assert "is saved with 1 edit" in window.said[-1]
    assert shown(widget)["t1"] == "edited"
    assert not session.journal.pending
    window.click(widget.rest)
    window.wait(lambda: widget.job_bar.isVisible())
    window.idle(300)
    assert "1 measured" in window.said[-1]
    assert "1 edited" in window.said[-1]
    assert shown(widget)["u1"] in ("done", "flagged")
    assert widget.report.isEnabled()
    window.picture("study_run")

    window.click(widget.forward)
    window.idle()
    assert session.section_id == "u1"
    opened_as_stored(session, monkeypatch)
    window.click(widget.back)
    window.idle()
    window.wait(lambda: len(session.edits) == 1)
    assert "1 saved edit put back" in window.said[-1]
    np.testing.assert_array_equal(session.prepared.compartments.labels, labels)
    assert (session.original.labels != labels).any()

    bundle = session.out / "sections" / "t1.zarr"
    window.type(widget.second.other.line, str(bundle))
    window.idle()
    rows = widget.second.table
    said = {rows.item(r, 0).text(): rows.item(r, 1).text() for r in range(rows.rowCount())}
    assert said["medulla, Dice"] == "1"
    assert said["cells, F1 within 4 µm"] == "1"
    window.picture("study_second_reader")


def test_nothing_on_the_screen_tells_a_blinded_reader_the_group(window, table, monkeypatch):
    from qtpy.QtWidgets import QInputDialog, QLabel, QTableWidget

    widget = window.dock("Study")
    section = window.dock("Section")
    session = widget.session
    window.type(widget.study.line, str(table))
    window.idle()
    window.click(widget.blind.toggle)
    window.idle()
    assert sorted(shown(widget)) == ["blind-01", "blind-02"]
    assert not widget.report.isEnabled()
    window.click(widget.forward)
    window.idle()
    assert session.section_id.startswith("blind-")
    paint(session)
    window.click(widget.keep)
    window.idle()
    texts = [window.viewer.title, *(layer.name for layer in window.viewer.layers), *window.said]
    for part in (widget, section):
        texts += [label.text() for label in part.findChildren(QLabel)]
        texts += [box.itemText(i) for box in (section.pick,) for i in range(box.count())]
        for cells in part.findChildren(QTableWidget):
            texts += [
                cells.item(r, c).text() + cells.item(r, c).toolTip()
                for r in range(cells.rowCount())
                for c in range(cells.columnCount())
                if cells.item(r, c) and not cells.isColumnHidden(c)
            ]
    for word in ("treated", "t1", "u1", "m1", "m2"):
        assert not [text for text in texts if word in text.replace("untreated.ome.tif", "")], word
    window.picture("study_blinded")

    monkeypatch.setattr(QInputDialog, "getText", lambda *_args: ("all read", True))
    window.click(widget.blind.toggle)
    window.idle()
    assert sorted(shown(widget)) == ["t1", "u1"]
    assert "edited" in shown(widget).values()
    log = json.loads((session.out / "blinding.json").read_text())["log"]
    assert [(e["what"], e["who"]) for e in log] == [("blinded", "tester"), ("unblinded", "tester")]

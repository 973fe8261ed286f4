"""What stands behind the Study widget without a window: codes, states, saving and putting back, running beside."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("psygnal", reason="the plugin is NOT tested: pip install 'thymusimg[gui]'")

from thymusimg_napari import blinding, running, saving
from thymusimg_napari.openings import check, open_now
from thymusimg_napari.session import Session
from thymusimg_napari.states import Status, next_to_look_at, section_states

from thymusimg.compartments.edited import redraw
from thymusimg.compartments.model import Compartment
from thymusimg.errors import CallError, CancelledError, OutputError, UnreadableError
from thymusimg.pipeline import count_cells, measure_counted
from thymusimg.progress import silent
from thymusimg.section.store import Bundle
from thymusimg.study.design import load_study


@pytest.fixture
def edits(tmp_path, monkeypatch):
    monkeypatch.setenv("THYMUSIMG_EDITS", str(tmp_path / "edits"))
    monkeypatch.setenv("THYMUSIMG_READER", "tester")


@pytest.fixture
def study(slide, untreated_slide, tmp_path, edits):
    table = tmp_path / "study.csv"
    table.write_text(
        "section_id,path,animal,group,exclude,notes\n"
        f"t1,{slide},m1,treated,,\nu1,{untreated_slide},m2,untreated,,\n"
        f"u2,{tmp_path / 'gone.tif'},m3,untreated,yes,torn\n",
        encoding="utf-8",
    )
    return load_study(table)


@pytest.fixture
def opened(study):
    """A session with the first section open and checked, as the widgets leave it."""
    session = Session()
    session.set_study(study)
    row = study.rows[0]
    section = open_now(row)
    session.open_section(row, section)
    session.set_prepared(check(section, study.settings, silent).prepared)
    yield session
    session.close_section()


def paint(session):
    """Make the largest part of the indeterminate and a disc of the cortex medulla."""
    drawn = session.prepared.compartments
    labels = drawn.labels.copy()
    y, x = np.argwhere(labels == Compartment.CORTEX)[len(labels)]
    rows, cols = np.indices(labels.shape)
    labels[(np.hypot(rows - y, cols - x) < 9) & (labels == Compartment.CORTEX)] = Compartment.MEDULLA
    session.set_compartments(redraw(drawn, labels, session.prepared.settings.compartments))
    session.record_edit("painted medulla", target="compartments", why="K14 net", pixels=250)
    return labels


def equal(a, b):
    return [k for k in a if not (a[k] == b[k] or (a[k] != a[k] and b[k] != b[k]))] == []


def test_annotate_save_reopen_measure_is_the_headless_engine_on_the_same_labels(opened, study, tmp_path):
    out = tmp_path / "out"
    labels = paint(opened)
    original = opened.original.labels
    done = saving.save(saving.unsaved(opened), out, silent)
    bundle = Bundle.open(out / "sections" / "t1.zarr")
    np.testing.assert_array_equal(bundle.label("compartments")[:], labels)
    np.testing.assert_array_equal(bundle.label("compartments_original")[:], original)
    assert [(e["who"], e["why"]) for e in bundle.attributes["edits"]] == [("tester", "K14 net")]
    assert bundle.attributes["edited"]["blinded"] is False

    again = Session()
    section = open_now(study.rows[0])
    again.open_section(study.rows[0], section)
    again.set_prepared(check(section, study.settings, silent).prepared)
    saving.take(again, saving.reopen(again.prepared, study.rows[0], out, silent))
    np.testing.assert_array_equal(again.prepared.compartments.labels, labels)
    np.testing.assert_array_equal(again.original.labels, original)
    assert len(again.edits) == 1
    in_window = measure_counted(again.counted)

    headless = check(section, study.settings, silent).prepared
    drawn = redraw(headless.compartments, labels, study.settings.compartments)
    by_engine = measure_counted(count_cells(replace(headless, compartments=drawn)))
    again.close_section()
    assert equal(dict(by_engine.measurements), dict(done.result.measurements))
    assert equal(dict(by_engine.measurements), dict(in_window.measurements))
    table = pd.read_parquet(out / "tables" / "sections.parquet").iloc[0]
    assert table["medulla_fraction"] == by_engine.measurements["medulla_fraction"]


def test_edits_that_the_window_does_not_show_are_not_written_over(opened, study, tmp_path):
    out = tmp_path / "out"
    paint(opened)
    saving.save(saving.unsaved(opened), out, silent)
    opened.record_edit("painted cortex", target="compartments")
    saving.save(saving.unsaved(opened), out, silent)
    log, edited = opened.edits, opened.prepared.compartments
    opened.edits = type(opened.edits)()
    with pytest.raises(CallError, match="holds 2 edit"):
        saving.save(saving.unsaved(opened), out, silent)
    opened.edits = log
    opened.set_compartments(opened.original)  # the map was not put back, and nobody says that it was undone
    opened.record_edit("deleted a cell", target="cells")
    with pytest.raises(CallError, match="does not show"):
        saving.save(saving.unsaved(opened), out, silent)
    saving.take_compartments(opened, saving.reopen(opened.prepared, study.rows[0], out, silent))
    np.testing.assert_array_equal(opened.prepared.compartments.labels, edited.labels)
    saving.save(saving.unsaved(opened), out, silent)
    opened.set_compartments(opened.original)
    opened.record_edit("undid: painted medulla", target="compartments")
    saving.save(saving.unsaved(opened), out, silent)
    assert saving.corrections_of(out, study.rows[0]).labels is None


def test_codes_hide_everything_and_are_the_same_tomorrow(study, tmp_path):
    hidden = blinding.hide(study, tmp_path, who="reader one")
    text = repr(hidden.study)
    for word in ("t1", "u1", "m1", "treated", "torn"):
        assert f"'{word}'" not in text
    assert len(hidden.study.rows) == 2
    assert blinding.hide(study, tmp_path).blinding.codes == hidden.blinding.codes
    row = hidden.study.rows[0]
    assert hidden.true_row(row).subject == next(r for r in study.rows if r.files == row.files).subject
    whole = blinding.lift(hidden, tmp_path, who="reader two", why="all read")
    assert whole is study
    log = json.loads((tmp_path / "blinding.json").read_text())["log"]
    assert [(e["what"], e["who"]) for e in log] == [("blinded", "reader one"), ("unblinded", "reader two")]
    assert (log[1]["why"], log[1]["when"][:2]) == ("all read", "20")
    assert not blinding.Blinding.read(tmp_path).on
    (tmp_path / "blinding.json").write_text("{}")
    with pytest.raises(UnreadableError, match="blinding"):
        blinding.Blinding.read(tmp_path)


def test_a_section_added_to_the_table_gets_a_code_and_no_other_changes():
    first = blinding.Blinding.draw(["a", "b", "c"], seed=1)
    more = first.with_all(["a", "b", "c", "d"])
    assert {k: more.codes[k] for k in first.codes} == first.codes
    assert more.codes["d"] == "blind-04"


def test_a_blinded_section_is_saved_under_its_own_name(opened, study, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    hidden = blinding.hide(study, out)
    opened.blinding = hidden
    opened.set_study(hidden.study)
    coded = next(row for row in hidden.study.rows if row.files == study.rows[0].files)
    section = open_now(coded)
    opened.open_section(coded, section)
    opened.set_prepared(check(section, study.settings, silent).prepared)
    paint(opened)
    saving.save(saving.unsaved(opened), out, silent)
    record = Bundle.open(out / "sections" / "t1.zarr").attributes
    assert (record["section"]["section_id"], record["section"]["group"]) == ("t1", "treated")
    assert record["edited"]["blinded"] is True
    states = section_states(hidden.study, out, hidden)
    assert {s.row.section_id: s.status for s in states}[coded.section_id] == Status.EDITED


def test_the_rest_is_run_beside_and_corrections_stand(opened, study, tmp_path):
    out = tmp_path / "out"
    states = section_states(study, out)
    assert [s.status for s in states] == [Status.TO_DO, Status.TO_DO, Status.EXCLUDED]
    labels = paint(opened)
    saving.save(saving.unsaved(opened), out, silent)
    assert [s.status for s in section_states(study, out)][:2] == [Status.EDITED, Status.TO_DO]
    heard = []
    tally = running.run_beside(study, out, lambda stage, part: heard.append((stage, part)), workers=1)
    assert (tally.measured, tally.edited, tally.failed) == (1, 1, 0)
    assert any("2 of 2 sections" in stage for stage, _ in heard)
    np.testing.assert_array_equal(Bundle.open(out / "sections" / "t1.zarr").label("compartments")[:], labels)
    assert (out / "report.html").is_file()
    assert section_states(study, out)[1].status in (Status.DONE, Status.FLAGGED)


def test_a_run_beside_says_what_ended_it_and_stops_when_told(study, tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OutputError, match="cannot be written"):
        running.run_beside(study, tmp_path / "file", silent)

    def stop(stage, part):
        del part
        if "sections" in stage:
            raise CancelledError("cancelled")

    with pytest.raises(CancelledError):
        running.run_beside(study, tmp_path / "out", stop, workers=1)
    assert len(section_states(study, tmp_path / "out")) == 3


def test_next_and_previous_pass_the_excluded(study, tmp_path):
    states = section_states(study, tmp_path)
    assert next_to_look_at(states, "") == 0
    assert next_to_look_at(states, "t1") == 1
    assert next_to_look_at(states, "u1") == -1
    assert next_to_look_at(states, "u1", -1) == 0
    assert next_to_look_at(states, "", -1) == 1

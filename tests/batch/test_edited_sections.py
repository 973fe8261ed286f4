"""A section that people corrected: saved, opened again, measured again, run again; nothing of theirs is lost."""

from __future__ import annotations

import math
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from thymusimg.batch.corrections import CorrectedCells, Corrections, count_corrected
from thymusimg.batch.edited import save_edited_section
from thymusimg.batch.job import Job
from thymusimg.batch.remeasure import Stored
from thymusimg.batch.task import analyse_row
from thymusimg.cells.edited import add_cell, delete_cells
from thymusimg.cells.light import CellLight
from thymusimg.cells.region import disc_region
from thymusimg.channels.open import open_section
from thymusimg.compartments.edited import redraw
from thymusimg.compartments.model import Compartment
from thymusimg.errors import OutputError
from thymusimg.pipeline import count_cells, measure_counted, place_cells, prepare_section
from thymusimg.section.model import Subject
from thymusimg.section.store import Bundle
from thymusimg.settings import Settings
from thymusimg.study.model import SectionRow, Study
from thymusimg.train.folder import find_annotations


def same(a, b):
    """Whether two rows are equal to the last digit, undefined where the other is."""
    assert a.keys() == b.keys()
    nothing = [(a[k] is None or a[k] != a[k]) and (b[k] is None or b[k] != b[k]) for k in a]
    return [k for k, none in zip(a, nothing, strict=True) if not none and a[k] != b[k]] == []


@pytest.fixture(scope="module")
def drawn(slide):
    """The lobe as the methods give it, and a row of a study for it."""
    row = SectionRow(Subject("s1", "m1", "A"), slide.resolve())
    section = open_section(slide, subject=row.subject)
    prepared = prepare_section(section, Settings())
    yield row, prepared, count_cells(prepared)
    section.image.close()


@pytest.fixture(scope="module")
def painted(drawn):
    """A medullary islet painted into the cortex."""
    _, prepared, _ = drawn
    labels = prepared.compartments.labels.copy()
    depth = np.where(labels == Compartment.CORTEX, prepared.compartments.distance_to_cmj_um, 0)
    row, col = np.argwhere(depth == depth.min())[0]
    y, x = np.indices(labels.shape)
    labels[(np.hypot(y - row, x - col) < 12) & (labels == Compartment.CORTEX)] = Compartment.MEDULLA
    return labels


def an_edit(target, number=1):
    return {
        "number": number, "when": "2026-01-01T10:00:00+00:00", "who": "reader one", "what": "painted medulla",
        "target": target, "why": "K14 net visible", "details": {"pixels": 400},
    }  # fmt: skip


@pytest.fixture(scope="module")
def saved(drawn, painted, tmp_path_factory):
    """The lobe saved with the islet and with one cell drawn and one deleted."""
    row, prepared, counted = drawn
    out = tmp_path_factory.mktemp("edited") / "out"
    original = prepared.compartments.labels
    light = CellLight(prepared.section, prepared.correction, prepared.compartments.analysable, counted.cells.gate)
    fewer = delete_cells(counted.cells, [3])
    gap = disc_region((4.0, 4.0), 7.0, prepared.section.pixel_size_um, prepared.section.shape)
    cells = CorrectedCells.of(add_cell(fewer, gap, light))
    corrections = Corrections(
        (an_edit("compartments"), an_edit("cells", 2)), painted, original, cells, blinded=True
    )
    return out, corrections, save_edited_section(out, row, prepared, corrections, counted=counted)


def test_what_was_saved_is_measured_as_the_engine_measures_the_same_labels(drawn, painted, saved):
    row, _, _ = drawn
    out, _, done = saved
    bundle = Bundle.open(out / "sections" / "s1.zarr")
    np.testing.assert_array_equal(bundle.label("compartments")[:], painted)
    section = open_section(row.path, subject=row.subject)
    try:
        fresh = prepare_section(section, Settings())
        np.testing.assert_array_equal(bundle.label("compartments_original")[:], fresh.compartments.labels)
        edited = replace(fresh, compartments=redraw(fresh.compartments, painted, fresh.settings.compartments))
        found = count_cells(edited)
        light = CellLight(section, fresh.correction, edited.compartments.analysable, found.cells.gate)
        gap = disc_region((4.0, 4.0), 7.0, section.pixel_size_um, section.shape)
        cells = add_cell(delete_cells(found.cells, [3]), gap, light)
        cells = place_cells(cells, edited.compartments, fresh.settings.measurements)
        by_hand = measure_counted(replace(found, cells=cells))
        reopened = measure_counted(count_corrected(fresh, Corrections.of(bundle)).counted)
    finally:
        section.image.close()
    assert same(by_hand.measurements, done.result.measurements)
    assert same(reopened.measurements, done.result.measurements)
    kept = bundle.attributes["section"]
    assert all(same({k: v}, {k: by_hand.measurements[k]}) for k, v in kept.items())
    pd.testing.assert_frame_equal(bundle.table("cells"), by_hand.cells.table, check_exact=True)
    assert len(bundle.table("cells_original")) == len(found.cells.table)


def test_originals_amounts_and_edits_are_kept_and_the_report_says_so(saved, drawn):
    out, corrections, _ = saved
    record = Bundle.open(out / "sections" / "s1.zarr").attributes
    assert record["edits"] == list(corrections.edits)
    amount = record["edited"]
    grid = drawn[1].compartments.grid
    changed = np.count_nonzero(corrections.labels != corrections.original)
    assert math.isclose(amount["compartments_mm2"], changed * grid.pixel_um**2 / 1e6)
    assert (amount["cells_added"], amount["cells_removed"], amount["blinded"]) == (1, 1, True)
    row = pd.read_csv(out / "tables" / "sections.csv").iloc[0]
    assert (row["compartments_method"], row["cells_method"]) == ("keratin, edited", "classical, edited")
    page = (out / "report.html").read_text(encoding="utf-8")
    for words in ("1 section of 1 edited by hand.", "by reader one, 2 edits", "1 cells drawn and 1 taken away",
                  "Groups were hidden"):  # fmt: skip
        assert words in page


def test_a_run_keeps_the_corrections_and_says_so(saved, drawn, painted, tmp_path):
    row, _, _ = drawn
    out = tmp_path / "out"
    shutil.copytree(saved[0], out)
    outcome = analyse_row(Job(row, Settings(), out))
    assert (outcome.status, outcome.seconds) == ("edited", {})  # nothing was measured: the key is the same
    outcome = analyse_row(Job(row, Settings(), out, restart=True))
    assert outcome.status == "edited"
    assert outcome.seconds
    again = Bundle.open(out / "sections" / "s1.zarr")
    np.testing.assert_array_equal(again.label("compartments")[:], painted)
    assert again.attributes["edits"] == list(saved[1].edits)
    before = Bundle.open(saved[0] / "sections" / "s1.zarr")
    assert same(dict(again.attributes["section"]), dict(before.attributes["section"]))


def test_with_other_settings_the_rest_follows_and_the_corrections_stand(saved, drawn, tmp_path):
    row, _, _ = drawn
    out = tmp_path / "out"
    shutil.copytree(saved[0], out)
    settings = Settings.from_mapping({"compartments": {"medulla_cut": 0.65}}, where="test")
    assert analyse_row(Job(row, settings, out)).status == "edited"
    bundle, corrections = Bundle.open(out / "sections" / "s1.zarr"), saved[1]
    now, then = bundle.label("compartments")[:], bundle.label("compartments_original")[:]
    touched = corrections.labels != corrections.original
    np.testing.assert_array_equal(now[touched], corrections.labels[touched])
    np.testing.assert_array_equal(now[~touched], then[~touched])
    assert (then != corrections.original).any()


def test_the_bundle_alone_gives_the_corrected_numbers(saved, painted):
    stored = Stored.of(Bundle.open(saved[0] / "sections" / "s1.zarr"))
    again = stored.draw(stored.settings)
    np.testing.assert_array_equal(again.compartments.labels, painted)
    names = ["medulla_fraction", "cmj_length_mm", "cd45_count"]
    found = stored.measure(again, stored.settings, names)
    assert found == {name: saved[2].result.measurements[name] for name in names}


@pytest.mark.parametrize("task", ["compartments", "cells"])
def test_training_finds_the_corrected_bundles(saved, task):
    (found,) = find_annotations(saved[0], task).annotations
    assert (found.row.section_id, found.path.name) == ("s1", "s1.zarr")


def test_what_changes_no_mask_makes_no_correction(drawn, tmp_path):
    from thymusimg.errors import CallError

    row, prepared, counted = drawn
    out = tmp_path / "out"
    log = ({**an_edit("run"), "what": "found cells by classical"},)
    save_edited_section(out, row, prepared, Corrections(log), counted=counted)
    assert Corrections.of(Bundle.open(out / "sections" / "s1.zarr")) is None
    assert analyse_row(Job(row, Settings(), out)).status == "reused"
    assert "edited by hand" not in (out / "report.html").read_text(encoding="utf-8")
    with pytest.raises(CallError, match="nobody has corrected"):
        find_annotations(out, "cells")


def test_saved_while_a_run_holds_the_folder(drawn, painted, tmp_path):
    from thymusimg.batch.folder import RunFolder

    row, prepared, counted = drawn
    out = tmp_path / "out"
    RunFolder(out).make()
    corrections = Corrections((an_edit("compartments"),), painted, prepared.compartments.labels)
    study = Study(Settings(), (row,), out)
    with RunFolder(out).locked():
        done = save_edited_section(out, row, prepared, corrections, counted=counted, study=study)
    assert "another run" in done.tables_wait
    assert done.bundle.is_dir()
    assert not (out / "run.json").exists()
    blocked = tmp_path / "blocked"
    blocked.write_text("no folder")
    with pytest.raises(OutputError, match="cannot be written"):
        save_edited_section(blocked, row, prepared, corrections, counted=counted, study=study)


def test_a_section_saved_during_its_measuring_is_not_written_over(saved, drawn, painted, tmp_path, monkeypatch):
    from thymusimg.batch import task

    row, prepared, counted = drawn
    out = tmp_path / "out"
    corrections = Corrections((an_edit("compartments"),), painted, prepared.compartments.labels)
    measured = task.measure_counted

    def meanwhile(*args, **options):
        save_edited_section(out, row, prepared, corrections, counted=counted)
        return measured(*args, **options)

    monkeypatch.setattr(task, "measure_counted", meanwhile)
    assert analyse_row(Job(row, Settings(), out)).status == "edited"
    np.testing.assert_array_equal(Bundle.open(out / "sections" / "s1.zarr").label("compartments")[:], painted)


def test_the_folder_is_held_while_a_corrected_section_is_written(drawn, painted, tmp_path, monkeypatch):
    from thymusimg.batch import edited
    from thymusimg.batch.folder import RunFolder

    row, prepared, counted = drawn
    out = tmp_path / "out"
    write = edited.write_bundle

    def a_run_begins(*args, **options):
        with pytest.raises(OutputError, match="another run"), RunFolder(out).locked():
            pass
        write(*args, **options)

    monkeypatch.setattr(edited, "write_bundle", a_run_begins)
    corrections = Corrections((an_edit("compartments"),), painted, prepared.compartments.labels)
    done = save_edited_section(out, row, prepared, corrections, counted=counted)
    assert done.tables_wait == ""
    assert (out / "run.json").exists()


def test_a_damaged_bundle_with_corrections_is_refused_and_stays(saved, drawn, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(saved[0], out)
    hurt = out / "sections" / "s1.zarr" / "stages" / "prepared.zip"
    hurt.write_bytes(hurt.read_bytes()[:-40])
    left = hurt.read_bytes()
    outcome = analyse_row(Job(drawn[0], Settings(), out))
    assert outcome.status == "failed"
    for words in ("damaged (", "corrections by people", "Put it back from a copy, or move it away"):
        assert words in outcome.failure.message
    assert hurt.read_bytes() == left

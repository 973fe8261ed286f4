"""Edits and their journal: nothing older than the last write is lost, whatever the moment of a kill."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from thymusimg.section.model import Subject
from thymusimg.study.model import SectionRow

autosave = pytest.importorskip("thymusimg_napari.autosave")
from thymusimg_napari.edits import EditLog  # noqa: E402

LABELS = np.arange(12, dtype=np.uint8).reshape(3, 4)


def snapshot(value: int, edits: int = 1) -> autosave.Snapshot:
    log = EditLog(who="reader one")
    for number in range(edits):
        log.record("painted medulla", target="compartments", why="net visible", pixels=np.int64(number))
    return autosave.Snapshot({"compartments": LABELS + value}, {"value": value}, log.as_records())


def test_what_was_written_is_read(tmp_path):
    journal = autosave.Journal(tmp_path / "a")
    assert not journal.pending
    assert journal.read() is None
    journal.write(snapshot(1, 3))
    again = autosave.Journal(tmp_path / "a").read()
    np.testing.assert_array_equal(again.arrays["compartments"], LABELS + 1)
    assert again.values == {"value": 1}
    assert [e.details["pixels"] for e in again.log.entries] == [0, 1, 2]
    assert again.log.entries[0].who == "reader one"
    assert len(list((tmp_path / "a").iterdir())) == 2
    journal.clear()
    assert not journal.pending


@pytest.mark.parametrize("fatal", ["array", "state"])
def test_a_kill_while_writing_leaves_the_journal_before(tmp_path, monkeypatch, fatal):
    journal = autosave.Journal(tmp_path / "a")
    journal.write(snapshot(1))

    class Killed(BaseException):
        pass

    def killed(*_values, **_options):
        raise Killed

    with monkeypatch.context() as patch:
        if fatal == "array":
            patch.setattr(autosave.tifffile, "imwrite", killed)
        else:
            patch.setattr(Path, "replace", killed)
        with pytest.raises(Killed):
            journal.write(snapshot(2))
    again = autosave.Journal(tmp_path / "a").read()
    np.testing.assert_array_equal(again.arrays["compartments"], LABELS + 1)
    journal.write(snapshot(3))
    assert autosave.Journal(tmp_path / "a").read().values == {"value": 3}


def test_a_broken_journal_is_none(tmp_path):
    journal = autosave.Journal(tmp_path / "a")
    journal.write(snapshot(1))
    file = json.loads(journal.state.read_text())["arrays"]["compartments"]
    (journal.folder / file).write_bytes(b"II*")
    assert journal.read() is None


def test_a_section_has_one_journal_whatever_study_names_it(tmp_path, monkeypatch):
    monkeypatch.setenv(autosave.FOLDER_VARIABLE, str(tmp_path))
    row = SectionRow(Subject("a", "m1", "g"), Path("slide.tif"))
    again = SectionRow(Subject("a", "m2", "h"), Path("slide.tif").resolve(), number=7)
    other = SectionRow(Subject("a"), Path("slide.tif"), scene="2")
    assert autosave.journal_folder(row) == autosave.journal_folder(again)
    assert autosave.journal_folder(row) != autosave.journal_folder(other)


def test_a_full_disk_is_said(tmp_path):
    from thymusimg.errors import OutputError

    blocked = tmp_path / "a"
    blocked.write_text("a file where the folder should be")
    with pytest.raises(OutputError, match="cannot be kept"):
        autosave.Journal(blocked).write(snapshot(1))


def test_what_is_given_again_is_not_written_again_and_the_writer_calls_functions(tmp_path):
    journal = autosave.Journal(tmp_path / "a")
    original, calls = LABELS.copy(), []

    def later() -> np.ndarray:
        calls.append(1)
        return original

    for value in (1, 2):
        journal.write(autosave.Snapshot({"compartments": LABELS + value, "drawn": original, "later": later}))
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == ["compartments.2.tif", "drawn.1.tif", "later.1.tif", "state.json"]
    again = autosave.Journal(tmp_path / "a").read()
    np.testing.assert_array_equal(again.arrays["later"], original)
    np.testing.assert_array_equal(again.arrays["compartments"], LABELS + 2)
    assert len(calls) == 2
    journal.clear()
    journal.write(autosave.Snapshot({"drawn": original}))
    np.testing.assert_array_equal(journal.read().arrays["drawn"], original)

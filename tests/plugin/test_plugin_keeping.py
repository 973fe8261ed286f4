"""Autosave in a window: an edit is on the disk within seconds, and found again when the section is opened."""

from __future__ import annotations

import numpy as np


def test_an_edit_is_kept_within_seconds_and_found_again(window, slide):
    from thymusimg_napari.keeping import keeper_of

    widget = window.open_section(slide)
    session = widget.session
    keeper = keeper_of(session)
    labels = session.prepared.compartments.labels.copy()
    keeper.keep("compartments", lambda: ({"compartments": labels.copy()}, {"brush": 4}))
    labels[:3] = 2
    session.record_edit("painted medulla", target="compartments", why="net visible", pixels=3)
    window.wait(lambda: session.journal.pending and not keeper.dirty, 10)
    session.close_section()
    keeper.drop("compartments")

    window.click(widget.open)
    window.idle()
    found = keeper.restored()
    np.testing.assert_array_equal(found.arrays["compartments"], labels)
    assert found.values == {"compartments": {"brush": 4}}
    assert [(e.who, e.what, e.why) for e in found.log.entries] == [("tester", "painted medulla", "net visible")]
    keeper.saved()
    assert keeper.restored() is None


def test_a_disk_that_refuses_is_said_once(window, slide, tmp_path, monkeypatch):
    from thymusimg_napari.keeping import keeper_of

    widget = window.open_section(slide)
    keeper = keeper_of(widget.session)
    blocked = tmp_path / "blocked"
    blocked.write_text("no folder")
    widget.session.journal.folder = blocked / "a"
    widget.session.record_edit("painted", target="compartments")
    keeper.flush()
    window.settle(0.3)
    assert "cannot be kept" in window.said[-1]
    assert keeper.dirty
    widget.session.journal.folder = tmp_path / "free"
    keeper.flush()
    assert not keeper.dirty

"""napari is killed while somebody paints; opened again, nothing older than a few seconds is missing."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
A_FEW_SECONDS = 6.0
"""An edit is written within 2 s of it; the rest is for a machine that is busy."""


def test_nothing_older_than_a_few_seconds_is_missing_after_a_kill(window, slide, tmp_path):
    said: queue.Queue[dict] = queue.Queue()
    strokes = []
    with subprocess.Popen(
        [sys.executable, str(HERE / "painting_until_killed.py"), str(slide), str(tmp_path)],
        stdout=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": str(HERE), "PYTHONWARNINGS": "ignore"}, stderr=subprocess.PIPE,
    ) as painter:  # fmt: skip
        out = threading.Thread(
            target=lambda: [said.put(json.loads(line)) for line in painter.stdout if line[0] == "{"]
        )
        errors = []
        err = threading.Thread(target=lambda: errors.extend(painter.stderr))
        out.start()
        err.start()
        end = time.monotonic() + 240
        while len(strokes) < 4 or strokes[-1]["when"] - strokes[0]["when"] < A_FEW_SECONDS + 3:
            assert painter.poll() is None, "".join(errors)
            assert time.monotonic() < end, "".join(errors)
            try:
                strokes.append(said.get(timeout=1))
            except queue.Empty:
                continue
        os.kill(painter.pid, signal.SIGKILL)
        killed = time.time()
        painter.wait()
        out.join()
        err.join()
    while not said.empty():
        strokes.append(said.get())

    section = window.open_section(slide)
    session = section.session
    drawn = session.prepared.compartments.labels.copy()
    widget = window.dock("Compartments")
    window.wait(lambda: len(session.edits) and not widget.desk.busy, 60)
    kept = len(session.edits)
    old = [stroke for stroke in strokes if stroke["when"] < killed - A_FEW_SECONDS]
    assert old, "nothing was painted long enough before the kill"
    assert kept >= old[-1]["edits"]
    told = {stroke["edits"]: stroke for stroke in strokes}
    if kept in told:  # a stroke that was under way may be there in part, before it was an edit
        map_then, map_now = np.load(tmp_path / f"{kept}.npy"), widget.desk.layer.data
        assert (map_then != drawn).any()
        assert (map_now[map_now != map_then] == told[kept]["next"]).all()
    np.testing.assert_array_equal(session.prepared.compartments.labels, widget.desk.layer.data)
    assert {edit.who for edit in session.edits.entries} == {"tester"}
    assert any("put back" in text for text in window.said)
    window.picture("killed_and_reopened")

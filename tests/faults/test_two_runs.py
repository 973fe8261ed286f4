"""Two runs on one folder, and what a run that was killed leaves there."""

from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
import sys
import threading
import time

import pytest

from thymusimg.batch import hold
from thymusimg.batch.folder import RunFolder
from thymusimg.batch.hold import held
from thymusimg.errors import OutputError

ELSEWHERE = {"host": "another-machine", "pid": 1, "token": "t", "beat": 4}


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    monkeypatch.setattr(hold, "BEAT_S", 0.05)
    monkeypatch.setattr(hold, "WATCH_S", 0.6)


@pytest.fixture
def no_locks(monkeypatch):
    """A disk that knows no locks, as some network file systems are mounted."""

    def flock(*args):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", flock)


def test_the_second_run_is_refused_and_told_who_the_first_is(tmp_path):
    with held(tmp_path), pytest.raises(OutputError) as found, held(tmp_path):
        pass
    assert f"another run is writing here (process {os.getpid()} on {socket.gethostname()})" in str(found.value)
    assert "--out" in str(found.value)
    with held(tmp_path):
        pass


def test_the_second_run_is_refused_where_the_disk_has_no_locks(tmp_path, no_locks):
    with held(tmp_path), pytest.raises(OutputError, match="another run is writing here"), held(tmp_path):
        pass
    with held(tmp_path):
        pass


HOLD = """
import pathlib, sys, time
from thymusimg.batch.hold import held
with held(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_run_that_was_killed_holds_nothing(tmp_path):
    with subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(OutputError, match=f"process {other.pid}"), held(tmp_path):
            pass
        other.kill()
    assert json.loads((tmp_path / ".lock").read_text())["pid"] == other.pid  # it could not tidy up
    with held(tmp_path):
        pass


def test_a_killed_run_holds_nothing_where_the_disk_has_no_locks(tmp_path, no_locks):
    with subprocess.Popen([sys.executable, "-c", "pass"]) as other:
        pass
    left = {**ELSEWHERE, "host": socket.gethostname(), "pid": other.pid}
    (tmp_path / ".lock").write_text(json.dumps(left))
    with held(tmp_path):
        pass


def test_a_run_on_another_machine_that_lives_is_not_disturbed(tmp_path):
    lives = threading.Event()

    def count():
        beat = 0
        while not lives.wait(0.05):
            beat += 1
            (tmp_path / ".lock").write_text(json.dumps({**ELSEWHERE, "beat": beat}))

    (tmp_path / ".lock").write_text(json.dumps(ELSEWHERE))
    thread = threading.Thread(target=count)
    thread.start()
    try:
        with pytest.raises(OutputError, match="process 1 on another-machine"), held(tmp_path):
            pass
    finally:
        lives.set()
        thread.join()


@pytest.mark.parametrize("left", [json.dumps(ELSEWHERE), '{"host": "an', "", "12345\n"])
def test_what_a_dead_run_of_another_machine_left_is_taken_over(tmp_path, left):
    (tmp_path / ".lock").write_text(left)
    with held(tmp_path):
        pass
    assert (tmp_path / ".lock").read_text() == ""


@pytest.mark.parametrize("shift", [-1e6, 1e6])
def test_clocks_that_jump_change_nothing(tmp_path, monkeypatch, shift):
    (tmp_path / ".lock").write_text(json.dumps(ELSEWHERE))
    os.utime(tmp_path / ".lock", (time.time() + shift, time.time() + shift))
    monkeypatch.setattr("time.time", lambda: shift)
    with held(tmp_path):
        pass


def test_what_a_killed_run_left_half_written_is_swept_away(tmp_path):
    folder = RunFolder(tmp_path)
    folder.make()
    (folder.cache / "controls").mkdir(parents=True)
    rests = [
        tmp_path / ".run.json.partial", tmp_path / ".report-x.html", tmp_path / ".probe-3",
        folder.tables / ".cells.parquet.partial", folder.cache / "survey-1.7.part",
        folder.cache / "controls" / ".a.json.partial",
    ]  # fmt: skip
    for rest in rests:
        rest.write_text("half")
    (tmp_path / "sections" / ".s1.zarr.partial-99999999").mkdir()
    with folder.locked():
        pass
    assert not [rest for rest in rests if rest.exists()]
    assert not list((tmp_path / "sections").iterdir())


def test_a_bundle_that_was_being_replaced_is_put_back(tmp_path):
    folder = RunFolder(tmp_path)
    folder.make()
    for name in (".s1.zarr.old-99999999", ".s1.zarr.partial-99999999", "s2.zarr", ".s2.zarr.old-99999999"):
        (tmp_path / "sections" / name).mkdir()
    (tmp_path / "sections" / ".s1.zarr.old-99999999" / "corrections").write_text("of a person")
    with folder.locked():
        pass
    assert {p.name for p in (tmp_path / "sections").iterdir()} == {"s1.zarr", "s2.zarr"}
    assert (folder.bundle("s1") / "corrections").read_text() == "of a person"


def test_what_a_living_process_is_just_writing_stays(tmp_path):
    """Somebody saves a corrected section in the moment in which a run begins."""
    folder = RunFolder(tmp_path)
    folder.make()
    half = tmp_path / "sections" / f".s1.zarr.partial-{os.getpid()}"
    half.mkdir()
    with folder.locked():
        assert half.is_dir()

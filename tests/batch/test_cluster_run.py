"""Whole runs with workers elsewhere, or interrupted: the tables are those of a serial run."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from thymusimg.batch.cluster import Placement
from thymusimg.batch.local import HTTP
from thymusimg.batch.run import run_study
from thymusimg.study.design import load_study

distributed = pytest.importorskip("distributed")

ROWS = [f"s{i},slides/s{i}.ome.tif,m{i},{'A' if i < 2 else 'B'}" for i in range(4)]


class Silent:
    def __init__(self):
        self.said, self.heard = [], []

    def progress(self, section_id, stage, fraction):
        self.heard.append((section_id, stage))

    def start(self, phase, total):
        pass

    def done(self, outcome, position):
        pass

    def say(self, text):
        self.said.append(text)


@pytest.fixture(scope="module")
def folder(slide, tmp_path_factory):
    """A folder with a study of four sections."""
    folder = tmp_path_factory.mktemp("study")
    (folder / "slides").mkdir()
    for i in range(4):
        shutil.copy(slide, folder / "slides" / f"s{i}.ome.tif")
    (folder / "study.csv").write_text("\n".join(["section_id,path,animal,group", *ROWS]) + "\n")
    return folder


@pytest.fixture
def address():
    """Somebody else's scheduler and worker, in another working folder than the run's."""
    cluster = distributed.SpecCluster(
        workers={"w": {"cls": distributed.Nanny, "options": {"nthreads": 1, "host": "127.0.0.1"}}},
        scheduler={
            "cls": distributed.Scheduler,
            "options": {"host": "127.0.0.1", "dashboard": False, "dashboard_address": HTTP},
        },
        silence_logs=50,
    )
    with cluster:
        yield cluster.scheduler_address


def csvs(out):
    return {p.name: p.read_bytes() for p in sorted((out / "tables").glob("*.csv"))}


def test_somebody_elses_workers_leave_the_same_tables(folder, address, monkeypatch):
    monkeypatch.setattr("thymusimg.batch.needs.source_digest", lambda: "")
    monkeypatch.chdir(folder)  # where paths are relative, and the worker is not
    study = load_study(Path("study.csv"))
    watcher = Silent()
    run_study(study, Path("serial"), watcher=watcher, workers=1)
    assert {(f"s{i}", stage) for i in range(4) for stage in ("survey", "cells")} <= set(watcher.heard)
    watcher.heard.clear()
    record = run_study(study, Path("elsewhere"), watcher=watcher, placement=Placement(scheduler=address))
    assert record.device == "cpu"
    assert not record.failures
    assert {name for name, _ in watcher.heard} == {"s0", "s1", "s2", "s3"}  # from the other process, on its way
    assert any("1 worker on" in line for line in watcher.said)
    assert csvs(folder / "elsewhere") == csvs(folder / "serial")
    assert not (folder / "elsewhere" / ".running").exists()


def test_local_workers_stop_without_a_word_of_their_own(folder):
    said = ""
    command = [sys.executable, "-m", "thymusimg", "run", "study.csv", "--out", "stopped", "--workers", "2"]
    with subprocess.Popen(
        command, cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, start_new_session=True
    ) as run:
        for line in run.stderr:
            said += line
            if " 1/4 " in line:
                os.killpg(run.pid, signal.SIGINT)  # Ctrl-C: a terminal tells everybody
    assert run.returncode == 130, said
    assert "Traceback" not in said
    assert said.strip().splitlines()[-1].startswith("Stopped.")
    assert not alive(run.pid)
    assert 1 <= len(pd.read_csv(folder / "stopped" / "tables" / "sections.csv")) < 4
    assert not (folder / "stopped" / ".running").exists()


def alive(group):
    """Whether a process of that group is left, after a moment."""
    for _ in range(100):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return False
        time.sleep(0.1)
    return True

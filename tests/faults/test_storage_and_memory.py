"""Slides that break off or vanish while they are read, and memory that is short: one section fails, plainly."""

from __future__ import annotations

import errno
import shutil

import pytest

from thymusimg.batch import executor
from thymusimg.batch.executor import default_workers
from thymusimg.batch.job import Job
from thymusimg.batch.local import _started
from thymusimg.batch.task import analyse_row
from thymusimg.errors import CallError
from thymusimg.section.model import Subject
from thymusimg.settings import Settings
from thymusimg.study.design import SectionRow


def failure(slide, out):
    outcome = analyse_row(Job(SectionRow(Subject("s1"), slide), Settings(), out))
    assert outcome.status == "failed"
    assert not list((out / "sections").glob("s1.zarr"))
    assert "\n" not in outcome.failure.message
    return outcome.failure


def test_a_slide_that_ends_in_the_middle(slide, tmp_path):
    short = tmp_path / slide.name
    short.write_bytes(slide.read_bytes()[: slide.stat().st_size // 2])
    found = failure(short, tmp_path)
    assert short.name in found.message
    assert found.error == "UnreadableError"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.EIO, "Input/output error", "/net/slide.tif"), "/net/slide.tif: Input/output error"),
        (OSError(errno.ESTALE, "Stale file handle", "/net/slide.tif"), "/net/slide.tif: Stale file handle"),
        (MemoryError(), "not enough memory for this section; use fewer workers or a smaller [compute] tile_px"),
    ],
)
def test_storage_or_memory_that_goes_away_in_the_middle(slide, tmp_path, monkeypatch, error, words):
    def gone(*args, **kwargs):
        raise error

    monkeypatch.setattr("thymusimg.batch.task.count_corrected", gone)
    found = failure(slide, tmp_path)
    assert found.message == words
    monkeypatch.undo()
    assert analyse_row(Job(SectionRow(Subject("s1"), slide), Settings(), tmp_path)).status == "measured"


def test_a_slide_that_is_gone_when_its_turn_comes(slide, tmp_path):
    gone = tmp_path / "gone.ome.tif"
    shutil.copy(slide, gone)
    gone.unlink()
    assert "gone.ome.tif" in failure(gone, tmp_path).message


def test_big_sections_get_fewer_workers(monkeypatch):
    monkeypatch.setattr(executor, "free_bytes", lambda: 16e9)
    monkeypatch.setattr(executor.os, "sched_getaffinity", lambda pid: set(range(8)))
    assert default_workers(20) == 8
    assert default_workers(20, 10**9) == 2  # 6.5 GB each
    assert default_workers(20, 10**11) == 1
    assert default_workers(3) == 3


def test_workers_that_die_while_they_start_are_started_again():
    tries = []

    def start(deaths):
        tries.append(1)
        if len(tries) <= deaths:
            raise RuntimeError("Nanny failed to start.")
        return "cluster"

    assert _started(lambda: start(2)) == "cluster"
    tries.clear()
    with pytest.raises(CallError, match="the workers do not start"):
        _started(lambda: start(9))

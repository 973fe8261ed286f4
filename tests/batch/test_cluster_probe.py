"""What a worker must have before it is given a section."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from thymusimg.batch import probe
from thymusimg.batch.cluster import Placement
from thymusimg.batch.lease import Lease, leased
from thymusimg.batch.needs import models_of
from thymusimg.batch.probe import Requirement, find_fault, sizes
from thymusimg.batch.profile import SlurmProfile
from thymusimg.batch.stop import stopped_by_signals
from thymusimg.errors import CallError, CancelledError, DeviceError, MissingExtraError
from thymusimg.settings import Settings


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    monkeypatch.setattr(probe, "LATE_S", 0.0)


@pytest.fixture
def out(tmp_path):
    (tmp_path / "sections").mkdir()
    return tmp_path


def test_the_same_machine_is_fit(out):
    slide = out / "slide.tif"
    slide.write_bytes(b"x" * 10)
    with leased(out) as lease:
        assert find_fault(Requirement(sizes([slide]), str(out), lease.token)) == ""
    assert [p.name for p in out.iterdir()] in (
        ["sections", "slide.tif"],
        ["slide.tif", "sections"],
    )  # nothing is left


@pytest.mark.parametrize(
    ("needed", "words"),
    [
        (Requirement(version="9.9"), "this run is of 9.9"),
        (Requirement(source="abc"), "other code"),
        (Requirement(python="2.7"), "Python 2.7"),
        (Requirement(files={"/nowhere/s.tif": 3}), "cannot see /nowhere/s.tif"),
        (Requirement(files={__file__: 1}), "another file"),
        (Requirement({}, "/nowhere", "t"), "--out /nowhere is not there"),
        (Requirement(models={"cells": ("no-such-model", "0")}), "no-such-model"),
    ],
)
def test_what_is_missing_is_said(needed, words):
    assert words in find_fault(needed)


def test_a_folder_of_the_same_name_is_not_the_same_folder(out):
    with leased(out):
        assert "another folder" in find_fault(Requirement({}, str(out), "that of another machine"))


@pytest.mark.skipif(os.geteuid() == 0, reason="the administrator may write everywhere")
def test_a_folder_that_cannot_be_written(out):
    with leased(out) as lease:
        (out / "sections").chmod(0o500)
        assert "cannot write" in find_fault(Requirement(out=str(out), token=lease.token))


def test_a_missing_slide_is_left_to_its_section(tmp_path):
    assert sizes([tmp_path / "gone.tif"]) == {}


def test_classical_methods_need_no_network():
    assert models_of(Settings()) == ({}, False)
    assert models_of(Settings.from_mapping({"cells": {"method": "none"}})) == ({}, False)


def test_an_unknown_method_may_need_one():
    assert models_of(Settings.from_mapping({"cells": {"method": "somebody-elses"}})) == ({}, True)


def test_who_outlives_its_run_stops(out, monkeypatch):
    monkeypatch.setattr("thymusimg.batch.lease.EVERY_S", 0.0)
    with leased(out) as lease:
        kept = Lease(lease.out, lease.token)
        for _ in range(5):
            kept("cells", 0.5)
    with leased(out):  # the next run
        kept("cells", 0.6)
        kept("cells", 0.7)
        with pytest.raises(CancelledError):
            kept("cells", 0.8)


def test_a_hiccup_of_the_network_stops_nobody(out, monkeypatch):
    monkeypatch.setattr("thymusimg.batch.lease.EVERY_S", 0.0)
    with leased(out) as lease:
        kept = Lease(lease.out, lease.token)
        file = Path(out / probe.RUNNING)
        for _ in range(4):
            file.rename(out / "away")
            kept("cells", 0.5)
            (out / "away").rename(file)
            kept("cells", 0.5)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_run_that_is_told_to_end_clears_up(number):
    before = signal.getsignal(number)
    cleared = []

    def work():
        with stopped_by_signals():
            try:
                os.kill(os.getpid(), number)
            finally:
                os.kill(os.getpid(), number)  # impatience does not disturb
                cleared.append(True)

    with pytest.raises(KeyboardInterrupt):
        work()
    assert cleared
    assert signal.getsignal(number) is before


def test_calls_that_cannot_be(monkeypatch):
    monkeypatch.setattr("thymusimg.batch.slurm.check_slurm", lambda: None)
    with pytest.raises(CallError, match="choose one"):
        Placement(scheduler="tcp://a:1", slurm=SlurmProfile()).check("cpu")
    with pytest.raises(CallError, match="leave --workers out"):
        Placement(3, "tcp://a:1").check("cpu")
    with pytest.raises(CallError, match="use --device cuda"):
        Placement(scheduler="tcp://a:1").check("cuda:1")
    with pytest.raises(DeviceError, match="gpus_per_worker"):
        Placement(slurm=SlurmProfile()).check("cuda")
    Placement(slurm=SlurmProfile(gpus_per_worker=1)).check("cuda")
    monkeypatch.setattr("thymusimg.device.count_devices", lambda: 0)
    with pytest.raises(DeviceError):
        Placement(2).check("cuda")
    monkeypatch.setattr("thymusimg.batch.cluster.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="pip install"):
        Placement(2, dashboard=True).check("cpu")

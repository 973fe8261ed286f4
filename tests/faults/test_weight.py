"""How much memory sections take, from what is stored of them: files, folders, addresses; and what is said of it."""

from __future__ import annotations

import re
from types import SimpleNamespace

import numpy as np
import pytest
import zarr

from thymusimg.batch import weight
from thymusimg.batch.cluster import Placement, workforce
from thymusimg.batch.crew import Crew
from thymusimg.batch.dispatch import Distributed
from thymusimg.batch.probe import Member, Requirement, find_fault, sizes
from thymusimg.batch.weight import folder_bytes, memory_words
from thymusimg.remote.address import Address


@pytest.fixture
def store(tmp_path):
    """An OME-Zarr of 16 pieces of noise and 48 that are not there."""
    folder = tmp_path / "a.zarr"
    group = zarr.open_group(str(folder), mode="w")
    array = group.create_array("0", shape=(512, 512), chunks=(64, 64), dtype="u2", compressors=None, fill_value=0)
    array[:128] = np.random.default_rng(0).integers(1, 60_000, (128, 512))
    entry = {"axes": [{"name": "y"}, {"name": "x"}], "datasets": [{"path": "0"}]}
    group.attrs["ome"] = {"version": "0.5", "multiscales": [entry]}
    return folder


STORED = 128 * 512 * 2


def test_a_folder_weighs_what_its_files_do(store, monkeypatch):
    assert STORED < folder_bytes(store) < STORED * 1.1
    monkeypatch.setattr(weight, "MOST_ASKED", 4)
    assert STORED * 0.7 < folder_bytes(store) < STORED * 1.4
    assert folder_bytes(store / "none") == 0


def test_folders_and_addresses_are_among_what_a_run_needs(store):
    address = Address("https://example.org/a.zarr")
    found = sizes([store, address, store / "none"])
    assert found == {str(store.resolve()): 0, "https://example.org/a.zarr": 0}
    assert find_fault(Requirement(found)) == ""  # what a server holds is seen section by section


def test_a_big_folder_gets_fewer_workers(store, monkeypatch):
    monkeypatch.setattr("thymusimg.batch.executor.free_bytes", lambda: 12e9)
    monkeypatch.setattr("thymusimg.batch.executor.os.sched_getaffinity", lambda pid: set(range(8)))
    monkeypatch.setattr(weight, "folder_bytes", lambda folder: 10**9)
    said = []
    with workforce(
        Placement(), Requirement(sizes([store])), store.parent, sections=8, device="cpu", threads=1, say=said.append
    ) as hands:
        assert type(hands).__name__ == "Serial"
    assert said == ["Note: 1 worker: the largest section takes about 6 GB of memory"]


def test_a_death_is_told_with_what_the_section_takes_and_what_was_free(store):
    row = SimpleNamespace(files=(store / "zarr.json",))
    words = memory_words(SimpleNamespace(row=row), {str((store / "zarr.json").resolve()): 10**9}, [3.1e9, 4e9, 0])
    assert words == "; the section takes about 6.5 GB, 3.1 GB of memory were free to it"
    assert memory_words("other work", {}, [0]) == ""


def test_the_message_of_a_section_that_kills_its_workers_holds_both(tmp_path):
    crew = Crew(None, Requirement({str(tmp_path / "s.tif"): 10**9}), None, device="cpu", say=print)
    crew.members["tcp://1"] = Member("node7", 1, memory=2.5e9)
    job = SimpleNamespace(row=SimpleNamespace(files=(tmp_path / "s.tif",)))
    assert re.fullmatch(
        "; the section takes about 6.5 GB, 2.5 GB of memory .*", crew.memory_words(job, ["tcp://1"])
    )
    assert Distributed(crew).threads == 1

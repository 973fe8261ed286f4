"""Changed settings redo the stages that depend on them, and give what a run from the beginning gives."""

from __future__ import annotations

import io
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from thymusimg.batch.archive import pack, unpack
from thymusimg.batch.job import Job
from thymusimg.batch.keys import keys_of
from thymusimg.batch.run import run_study
from thymusimg.batch.task import analyse_row, open_row
from thymusimg.errors import UnreadableError
from thymusimg.section.model import Subject
from thymusimg.section.store import Bundle
from thymusimg.settings import Settings
from thymusimg.study.design import SectionRow, Study

CHANGES = {
    "quality": ({"quality": {"focus_pass": 0.8}}, {"tissue", "compartments", "cells", "measurements"}),
    "measurements": ({"measurements": {"cma_spacing_um": 20.0}}, {"tissue", "quality", "compartments", "cells"}),
    "cells": ({"cells": {"minimum_area_um2": 14.0}}, {"tissue", "quality", "compartments"}),
    "gate": ({"gate": {"deviations": 3.5}}, {"tissue", "quality", "compartments"}),
    "compartments": ({"compartments": {"medulla_cut": 0.45}}, {"tissue", "quality"}),
    "tissue": ({"tissue": {"threshold": 0.15}}, set()),
}


class Listening:
    def __init__(self):
        self.outcomes = {}

    def start(self, phase, total):
        pass

    def done(self, outcome, position):
        if hasattr(outcome, "status"):
            self.outcomes[outcome.section_id] = outcome

    def say(self, text):
        pass


def run(folder, out, settings, table):
    watcher = Listening()
    run_study(Study(settings, table, folder), out, watcher=watcher, workers=1)
    return watcher.outcomes


def csvs(out):
    return {p.name: p.read_bytes() for p in sorted((out / "tables").glob("*.csv"))}


@pytest.fixture(scope="module")
def row(slide):
    return SectionRow(Subject("s1", "m1", "B"), slide)


@pytest.fixture(scope="module")
def before(row, tmp_path_factory):
    """The folder of a section that was analysed."""
    out = tmp_path_factory.mktemp("stages") / "before"
    assert analyse_row(Job(row, Settings(), out)).status == "measured"
    return out


def numbers(out):
    """Return everything of a bundle that goes into tables, and its labels."""
    bundle = Bundle.open(out / "sections" / "s1.zarr")
    known = {
        name: bundle.attributes[name] for name in ("key", "section", "reasons", "stages", "gate", "correction")
    }
    labels = {name: bundle.label(name)[:] for name in ("tissue", "compartments", "confidence", "cells")}
    return known, {name: bundle.table(name) for name in bundle.attributes["tables"]}, labels, bundle.planes


def assert_same(one, other):
    for mine, theirs in zip(numbers(one), numbers(other), strict=True):
        assert mine.keys() == theirs.keys()
        for name, value in mine.items():
            if isinstance(value, pd.DataFrame):
                pd.testing.assert_frame_equal(value, theirs[name], check_exact=True)
            else:
                np.testing.assert_equal(value, theirs[name])


@pytest.mark.parametrize("what", CHANGES)
def test_a_changed_setting_redoes_its_stages_and_no_other(row, before, tmp_path, what):
    changes, reused = CHANGES[what]
    settings = Settings.from_mapping(changes)
    out, fresh = tmp_path / "again", tmp_path / "fresh"
    shutil.copytree(before, out)
    outcome = analyse_row(Job(row, settings, out))
    assert (outcome.status, outcome.reused) == ("measured", reused), outcome.failure
    assert not analyse_row(Job(row, settings, fresh)).reused
    assert_same(out, fresh)
    assert analyse_row(Job(row, settings, out)).status == "reused"


def test_another_animal_takes_the_cells_as_they_are(row, before, tmp_path):
    out, fresh = tmp_path / "again", tmp_path / "fresh"
    shutil.copytree(before, out)
    moved = replace(row, subject=replace(row.subject, animal="m9", group="A"))
    assert analyse_row(Job(moved, Settings(), out)).reused == {"tissue", "quality", "compartments", "cells"}
    analyse_row(Job(moved, Settings(), fresh))
    assert_same(out, fresh)


def test_a_changed_gate_with_negative_controls(row, untreated_slide, tmp_path):
    table = (SectionRow(Subject("c1", "m0", "A", negative_control=True), untreated_slide), row)
    out, fresh = tmp_path / "out", tmp_path / "fresh"
    first = run(tmp_path, out, Settings(), table)
    assert first["c1"].reused == {"tissue", "quality", "compartments"}  # the gate's work was not done twice
    assert not list((out / "cache" / "stages").iterdir())
    settings = Settings.from_mapping({"gate": {"control_quantile": 0.99}, "study": {"confidence": 0.9}})
    again = run(tmp_path, out, settings, table)
    assert {o.status for o in again.values()} == {"measured"}
    assert {o.reused for o in again.values()} == {frozenset({"tissue", "quality", "compartments"})}
    run(tmp_path, fresh, settings, table)
    assert csvs(out) == csvs(fresh)
    again = run(tmp_path, out, settings.model_copy(update={"study": Settings().study}), table)
    assert {o.status for o in again.values()} == {"reused"}  # pooled and compared again, and no more


@pytest.mark.parametrize(
    "file", ["stages/prepared.zip", "stages/cells.zip", "labels/cells/0/c/0/0", "manifest.json"]
)
def test_a_damaged_bundle_is_measured_again(row, before, tmp_path, file):
    out = tmp_path / "out"
    shutil.copytree(before, out)
    hurt = out / "sections" / "s1.zarr" / file
    hurt.write_bytes(hurt.read_bytes()[:-40])  # as a disk leaves it that lost its power
    outcome = analyse_row(Job(row, Settings(), out))
    assert (outcome.status, outcome.reused) == ("measured", frozenset())
    assert_same(out, before)


def test_an_archive_that_was_altered_is_not_believed(row, before, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(before, out)
    hurt = out / "sections" / "s1.zarr" / "stages" / "prepared.zip"
    data = bytearray(hurt.read_bytes())
    data[len(data) // 2] ^= 0xFF
    hurt.write_bytes(data)
    settings = Settings.from_mapping({"gate": {"deviations": 3.5}})
    assert analyse_row(Job(row, settings, out)).reused == frozenset()


def test_a_section_that_waits_for_its_cells_goes_on_from_there(row, before, tmp_path, monkeypatch):
    monkeypatch.setattr("thymusimg.batch.task.KEPT_FROM_PX", 1)

    def killed(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("thymusimg.batch.task.count_corrected", killed)
        with pytest.raises(KeyboardInterrupt):
            analyse_row(Job(row, Settings(), tmp_path))
    assert analyse_row(Job(row, Settings(), tmp_path)).reused == {"tissue", "quality", "compartments"}
    assert not list((tmp_path / "cache" / "stages").iterdir())
    assert_same(tmp_path, before)


def test_the_kind_of_device_is_part_of_the_key_where_a_network_runs(row, monkeypatch):
    section = open_row(row)
    monkeypatch.setattr("thymusimg.batch.keys.needs_network", lambda method, task: task == "cells")
    monkeypatch.setattr("thymusimg.device.count_devices", lambda: 2)

    def keys(device):
        settings = Settings.from_mapping({"compute": {"device": device}})
        return keys_of(Job(row, settings, row.path), section, {"a": "b"})

    assert keys("cuda:0") == keys("cuda:1") == keys("auto")  # which of them does not matter
    assert keys("cpu").result != keys("cuda").result
    assert keys("cpu").stages["compartments"] == keys("cuda").stages["compartments"]
    assert keys("cpu").stages["cells"] != keys("cuda").stages["cells"]
    monkeypatch.setattr("thymusimg.batch.keys.needs_network", lambda method, task: False)
    assert keys("cpu") == keys("cuda")
    section.image.close()


VALUES = {
    "number": 0.1, "nothing": float("nan"), "single": np.float32(0.1), "many": (1, "two", None, True),
    "map": {"a": {"b": 2}}, "none": np.zeros((0, 4), np.int32), "bits": np.arange(10).reshape(2, 5) % 2 == 0,
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)), "table": pd.DataFrame({"x": [1.5, np.nan]}),
}  # fmt: skip


def test_an_archive_gives_back_what_it_was_given(monkeypatch):
    monkeypatch.setattr("thymusimg.batch.archive._BLOCK", 16)
    found = unpack(io.BytesIO(pack(VALUES)))
    for name, value in VALUES.items():
        if isinstance(value, pd.DataFrame):
            pd.testing.assert_frame_equal(found[name], value)
        else:
            np.testing.assert_equal(found[name], value)
        assert (
            getattr(found[name], "dtype", type(found[name])) == getattr(value, "dtype", type(value))
            or name == "table"
        )


def test_an_archive_holds_no_code():
    with pytest.raises(TypeError, match="holds no PosixPath"):
        pack({"file": Path()})
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("record.json", '{"a": {"class": "system", "fields": {}}}')
    with pytest.raises(UnreadableError):
        unpack(data)


def test_an_archive_that_declares_more_than_there_can_be():
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("record.json", '{"a": {"array": [], "dtype": "<f8", "shape": [1000000, 1000000]}}')
    with pytest.raises(UnreadableError, match="not possible"):
        unpack(data)

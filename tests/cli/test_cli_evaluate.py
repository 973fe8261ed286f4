"""``thymusimg evaluate`` and ``validate``: what they print, write and refuse."""

from __future__ import annotations

import json

import pytest
from cli_runner import plain_refusal, thymusimg

from thymusimg.phantom.truth_bundle import write_truth


@pytest.fixture(scope="module")
def bundle(phantom, tmp_path_factory):
    path = tmp_path_factory.mktemp("truth") / "s1.zarr"
    write_truth(phantom, path, "s1")
    return path


def test_evaluate_prints_a_table_and_writes_everything(bundle, tmp_path):
    said = thymusimg("evaluate", bundle, bundle, "--out", tmp_path / "out")
    assert said.status == 0, said.err
    assert "cortex-medulla border" in said.out
    assert "F1 IoU .5" in said.out
    names = {p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert names == {"classes.csv", "cells.csv", "evaluation.json", "pictures/s1.png"}


def test_evaluate_json_is_json(bundle):
    said = thymusimg("evaluate", bundle, bundle, "--json", "--annotators", "--artefact", "score")
    record = json.loads(said.out)
    assert record["annotators"] is True
    assert record["cells"][0]["kappa_classes"] == 1


def test_refusals_are_plain(bundle, tmp_path):
    plain_refusal(thymusimg("evaluate", bundle, tmp_path / "no.zarr"), "no such file")
    plain_refusal(thymusimg("evaluate", tmp_path, bundle), "none of what can be compared")
    plain_refusal(thymusimg("evaluate", bundle, bundle, "--artefact", "perhaps"), "leave-out or score")
    (tmp_path / "x.geojson").write_text("[]", encoding="utf-8")
    plain_refusal(thymusimg("evaluate", tmp_path / "x.geojson", bundle), "no polygon")
    (tmp_path / "taken").write_text("x", encoding="utf-8")
    plain_refusal(thymusimg("validate", "--out", tmp_path / "taken"), "cannot be written")

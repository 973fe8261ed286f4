"""``thymusimg train``: a judged model folder, the same after a stop; every wrong call in a plain line."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import tifffile
from cli_runner import plain_refusal, thymusimg
from model_folders import small_model

from thymusimg.cli.training_console import TrainingConsole
from thymusimg.models.card import read_card
from thymusimg.models.find import find_model
from thymusimg.section.store import Bundle
from thymusimg.train import flow
from thymusimg.train.cell_fitting import CellFit
from thymusimg.train.loop import Schedule

QUICK = ("--batch", "1", "--epochs", "2", "--device", "cpu")


class ShortFit:
    """The recipe with a few small steps an epoch."""

    def __call__(self):
        return CellFit(Schedule(epochs=15, steps=3, rate=5e-4, patience=5), batch=8, side_px=64)

    gentle = __call__


@pytest.fixture(autouse=True, scope="module")
def quick():
    """Fit in small steps, and read the shared sections once."""
    read, kept = flow.read_annotated_cells, {}

    def once(folder, *, progress):
        progress("reading annotated sections", 1.0)
        key = tuple(annotation.path for annotation in folder.annotations)
        if key not in kept:
            kept[key] = read(folder)
        return kept[key]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(flow, "CellFit", ShortFit())
        patched.setattr(flow, "read_annotated_cells", once)
        yield


def train(folder, out, beginner, *options):
    return thymusimg("train", "cells", folder, "--out", out, "--from", beginner, *QUICK, *options)


@pytest.fixture(scope="module")
def trained(annotated, beginner, tmp_path_factory):
    out = tmp_path_factory.mktemp("trained") / "mine"
    said = train(annotated, out, beginner, "--licence", "CC-BY-4.0")
    assert said.status == 0, said
    return out, said


def test_the_model_folder(trained):
    out, said = trained
    names = {p.name for p in out.iterdir()} - {".lock"}
    assert names == {
        "model.toml", "weights.pt", "README.md", "history.csv", "history.png", "metrics.csv", "before_after.png",
        "training.json",
    }  # fmt: skip
    card = find_model(str(out), "cells").card  # its hash is verified
    assert card.licence == "CC-BY-4.0"
    assert not set(card.training.train_animals) & set(card.training.held_out_animals)
    table = pd.read_csv(out / "metrics.csv")
    assert set(table["measure"]) == {"F1 at IoU 0.5", "precision", "recall", "count bias"}
    assert set(table["animal"]) == set(card.training.held_out_animals)
    metric = next(m for m in card.metrics if m.name == "F1 at IoU 0.5")
    row = table.set_index("measure").loc["F1 at IoU 0.5"]
    assert (metric.value, metric.before) == (row["after"], row["before"])
    assert len(pd.read_csv(out / "history.csv")) == 2
    assert "F1 at IoU 0.5" in (out / "README.md").read_text(encoding="utf-8")
    assert "epoch 2/2" in said.err
    assert "F1 at IoU 0.5" in said.out
    assert f"--cells {out}" in said.out


def test_a_finished_training_is_not_done_again(trained, annotated, beginner):
    out, _ = trained
    before = (out / "weights.pt").stat().st_mtime_ns
    said = train(annotated, out, beginner, "--licence", "CC-BY-4.0")
    assert said.status == 0
    assert "is finished" in said.err
    assert (out / "weights.pt").stat().st_mtime_ns == before


def test_stopped_in_the_middle_it_goes_on_to_the_same_weights(trained, annotated, beginner, tmp_path, monkeypatch):
    out = tmp_path / "mine"
    tell = TrainingConsole.epoch

    def stop(self, row):
        tell(self, row)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(TrainingConsole, "epoch", stop)
        said = train(annotated, out, beginner)
    assert said.status == 130
    assert "1 epoch is kept; the same command goes on" in said.err
    assert (out / "checkpoint.pt").exists()
    plain_refusal(train(annotated, out, beginner, "--seed", "2"), "seed: 1 then, 2 now", "--restart")
    said = train(annotated, out, beginner)
    assert said.status == 0, said
    assert "Going on after epoch 1" in said.err
    assert not (out / "checkpoint.pt").exists()
    assert read_card(out).sha256 == read_card(trained[0]).sha256


def test_stopped_while_judging_nothing_is_fitted_again(trained, annotated, beginner, tmp_path):
    out = tmp_path / "mine"
    shutil.copytree(trained[0], out)
    for name in ("README.md", "metrics.csv"):
        (out / name).unlink()
    said = train(annotated, out, beginner, "--licence", "CC-BY-4.0")
    assert said.status == 0
    assert "Fitting" not in said.err
    pd.testing.assert_frame_equal(pd.read_csv(out / "metrics.csv"), pd.read_csv(trained[0] / "metrics.csv"))


def test_a_checkpoint_that_is_none(annotated, beginner, tmp_path):
    out = tmp_path / "mine"
    request = json.loads((_begun(annotated, beginner, out) / "training.json").read_text(encoding="utf-8"))
    assert request["seed"] == 1
    (out / "checkpoint.pt").write_bytes(b"half a checkpoint")
    plain_refusal(train(annotated, out, beginner), "checkpoint.pt", "--restart")


def _begun(annotated, beginner, out):
    """Leave a training that was stopped before its first epoch."""
    said = thymusimg("train", "cells", annotated, "--out", out, "--from", beginner, *QUICK, "--hold-out", "nobody")
    assert said.status == 2
    request = json.loads((out / "training.json").read_text(encoding="utf-8")) | {"hold-out": []}
    (out / "training.json").write_text(json.dumps(request), encoding="utf-8")
    return out


def test_worse_is_said_aloud_and_kept_in_the_card(annotated, tmp_path):
    # a network that begins at random finds nothing after an epoch; the classical method finds most
    out = tmp_path / "mine"
    said = thymusimg("train", "cells", annotated, "--out", out, "--from", "none", "--batch", "1", "--epochs", "1",
                     "--device", "cpu")  # fmt: skip
    assert said.status == 0, said
    assert "!!! WORSE than --cells classical" in said.out
    card = read_card(out)
    assert card.summary.startswith("WORSE")
    metric = next(m for m in card.metrics if m.name == "F1 at IoU 0.5")
    assert metric.before > 0.5 > metric.value


def test_a_forest_from_compartments(annotated, tmp_path):
    out = tmp_path / "woods"
    said = thymusimg("train", "compartments", annotated, "--out", out, "--name", "our-forest")
    assert said.status == 0, said
    card = find_model(str(out), "compartments").card
    assert card.name == "our-forest"
    assert card.kind == "forest"
    assert "Dice cortex" in {m.name for m in card.metrics}
    assert "Dice cortex" in said.out
    assert (out / "before_after.png").stat().st_size > 5000


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--hold-out", "nobody"), ("--hold-out nobody", "progenitor_10wk_m1")),
        (("--phantoms", "3"), ("either a folder", "--phantoms")),
        (("--nuclei", "."), ("--nuclei",)),
        (("--name", "a/b"), ("--name a/b",)),
        (("--from", "nowhere"), ("nowhere",)),
        (("--device", "cuda:7"), ("cuda:7",)),
    ],
)
def test_wrong_calls(annotated, beginner, tmp_path, options, words):
    plain_refusal(train(annotated, tmp_path / "mine", beginner, *options), *words)


def test_a_forest_has_no_epochs(annotated, tmp_path):
    said = thymusimg("train", "compartments", annotated, "--out", tmp_path / "x", "--epochs", "3")
    plain_refusal(said, "--epochs", "forest")
    said = thymusimg("train", "compartments", annotated, "--out", tmp_path / "x", "--method", "tree")
    plain_refusal(said, "--method tree")


def test_a_folder_that_is_not_ours(annotated, beginner, tmp_path):
    out = tmp_path / "mine"
    out.mkdir()
    (out / "thesis.txt").write_text("all of it", encoding="utf-8")
    plain_refusal(train(annotated, out, beginner), "thesis.txt", "not empty")
    plain_refusal(train(annotated, out, beginner, "--restart"), "thesis.txt")
    assert (out / "thesis.txt").exists()
    plain_refusal(train(annotated, out / "thesis.txt", beginner), "is a file")
    plain_refusal(train(annotated, out / "thesis.txt" / "mine", beginner), "cannot be written")
    plain_refusal(train(annotated, tmp_path / "my model", beginner), "name")
    plain_refusal(train(annotated, beginner, beginner), "not empty")  # somebody's model is not overwritten


def test_one_animal_only(annotated, beginner, tmp_path):
    table = pd.read_csv(annotated / "study.csv")
    folder = tmp_path / "t"
    folder.mkdir()
    table = table[table["animal"] == table["animal"].iloc[0]]
    table["annotation"] = [str(annotated / "truth" / "sections" / f"{i}.zarr") for i in table["section_id"]]
    table["path"] = [str(annotated / path) for path in table["path"]]
    table.to_csv(folder / "study.csv", index=False)
    plain_refusal(train(folder, tmp_path / "mine", beginner), "one animal", "at least two animals")


def test_a_class_that_only_the_held_out_animal_has(annotated, tmp_path):
    table = pd.read_csv(annotated / "study.csv")
    folder = tmp_path / "t"
    folder.mkdir()
    table["path"] = [str(annotated / path) for path in table["path"]]
    table.to_csv(folder / "study.csv", index=False)
    for row in table.to_dict("records"):
        codes = np.asarray(
            Bundle.open(annotated / "truth" / "sections" / f"{row['section_id']}.zarr").label("compartments")
        )
        if row["animal"].endswith("m1"):
            codes = np.where(codes == 1, codes, 0).astype(np.uint8)
        tifffile.imwrite(folder / f"{row['section_id']}_compartments.tif", codes)
    said = thymusimg("train", "compartments", folder, "--out", tmp_path / "x", "--hold-out", "progenitor_10wk_m2")
    assert said.status == 2
    assert "show cortex only" in said.err
    assert "--hold-out" in said.err


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"optional_channels": ()}, ("has no dapi", "--from")),
        ({"coarsest_pixel_um": 0.3, "pixel_size_um": 0.25}, ("0.5 µm", "0.05 to 0.3 µm")),
        ({"task": "compartments"}, ("for compartments, not for cells",)),
        ({"sha256": "0" * 64}, ("sha256",)),
        ({"size_bytes": 3}, ("truncated",)),
        ({"kind": "forest"}, ("forest", "--from")),
    ],
)
def test_a_model_that_cannot_be_begun_with(annotated, tmp_path, changes, words):
    small_model(tmp_path / "start", **changes)
    plain_refusal(train(annotated, tmp_path / "mine", tmp_path / "start"), *words)

"""Weights are tensors; no file is believed, and none runs code."""

from __future__ import annotations

import os
import pickle
import zipfile

import pytest
import torch

from thymusimg.errors import ModelError
from thymusimg.networks.unet import UNet
from thymusimg.networks.weights import fill, read_weights, save_weights


class Bomb:
    def __reduce__(self):
        return (os.mkdir, (os.environ["BOMB"],))


def saved(path, content):
    torch.save(content, path)
    return path


def test_weights_come_back_in_half_precision(tmp_path):
    state = {"a": torch.linspace(-1, 1, 7), "n": torch.tensor(3)}
    digest, size = save_weights(tmp_path / "w.pt", state)
    assert len(digest) == 64
    assert size == (tmp_path / "w.pt").stat().st_size
    back = read_weights(tmp_path / "w.pt")
    assert back["a"].dtype == torch.float32
    assert torch.equal(back["a"], state["a"].half().float())
    assert back["n"] == 3


@pytest.mark.parametrize("legacy", [False, True])
def test_code_in_a_file_never_runs(tmp_path, monkeypatch, legacy):
    monkeypatch.setenv("BOMB", str(tmp_path / "gone off"))
    path = tmp_path / "w.pt"
    if legacy:
        path.write_bytes(pickle.dumps({"a": Bomb()}))
    else:
        saved(path, {"a": Bomb()})
    with pytest.raises(ModelError, match="weights"):
        read_weights(path)
    assert not (tmp_path / "gone off").exists()


def test_a_whole_module_is_refused(tmp_path):
    path = saved(tmp_path / "w.pt", torch.nn.Linear(2, 2))
    with pytest.raises(ModelError, match=r"state_dict"):
        read_weights(path)


@pytest.mark.parametrize("part", [0.0, 0.3, 0.9])
def test_a_truncated_file_is_refused(tmp_path, part):
    path = tmp_path / "w.pt"
    save_weights(path, {"a": torch.zeros(1000)})
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    with pytest.raises(ModelError, match="cut off"):
        read_weights(path)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "w.pt"
    path.write_text("these are no weights")
    with pytest.raises(ModelError, match="no file of weights"):
        read_weights(path)
    with pytest.raises(ModelError, match="cannot be read"):
        read_weights(tmp_path / "nowhere.pt")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "nor are these")
    with pytest.raises(ModelError, match="cannot be read as weights"):
        read_weights(path)
    with pytest.raises(ModelError, match="mapping of names"):
        read_weights(saved(path, [torch.zeros(2)]))


def test_what_unpacks_to_more_than_the_file_is_refused(tmp_path):
    stored, packed = saved(tmp_path / "stored.pt", {"a": torch.zeros(100_000)}), tmp_path / "packed.pt"
    with zipfile.ZipFile(stored) as source, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    with pytest.raises(ModelError, match="compressed"):
        read_weights(packed)
    with pytest.raises(ModelError, match="larger than the file"):
        read_weights(saved(stored, {"a": torch.zeros(1).expand(10**9)}))


def test_values_that_are_no_numbers_are_refused(tmp_path):
    with pytest.raises(ModelError, match="no numbers"):
        read_weights(saved(tmp_path / "w.pt", {"a": torch.tensor([1.0, float("nan")])}))


def test_weights_of_another_network_are_refused(tmp_path):
    path = tmp_path / "w.pt"
    save_weights(path, UNet(2, 4, (4, 6)).state_dict())
    fill(UNet(2, 4, (4, 6)), read_weights(path), path)
    for other in (UNet(2, 4, (4, 8)), UNet(2, 4, (4, 6, 8)), UNet(1, 4, (4, 6))):
        with pytest.raises(ModelError, match="another network"):
            fill(other, read_weights(path), path)

"""Which model a name means, and that its weights are those of its card."""

from __future__ import annotations

import pickle

import pytest
import torch
from model_folders import small_model, with_right_hash

from thymusimg.cli.models import load
from thymusimg.errors import ModelError
from thymusimg.models.card import CARD, read_card
from thymusimg.models.find import VARIABLE, InstalledModel, find_model, list_models, verify
from thymusimg.networks.unet import UNet


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "models"))
    return tmp_path / "models"


def refused(model, *words):
    def verify_and_load():
        verify(model)
        load(model)

    with pytest.raises(ModelError) as caught:
        verify_and_load()
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert len(str(caught.value).splitlines()) <= 2


def test_a_model_is_found_by_name_and_by_path(place):
    card = small_model(place / "mine")
    assert find_model("mine", "cells").card == card
    assert find_model(str(place / "mine"), "cells").card == card
    assert find_model(str(place / "mine" / CARD), "cells").card == card
    load(find_model("mine", "cells"))


def test_the_users_own_model_comes_before_a_shipped_one_of_its_name(place, tmp_path, monkeypatch):
    small_model(place / "twice", summary="first")
    small_model(tmp_path / "later" / "twice", summary="second")
    monkeypatch.setenv(VARIABLE, f"{place}:{tmp_path / 'later'}")
    assert find_model("twice", "cells").card.summary == "first"


def test_a_broken_folder_is_named_and_the_others_are_listed(place):
    small_model(place / "good")
    (place / "bad").mkdir()
    (place / "bad" / CARD).write_text("name = ", encoding="utf-8")
    found, faults = list_models()
    assert "good" in [model.card.name for model in found]
    assert len(faults) == 1
    assert "bad" in faults[0]


def test_a_model_for_another_task_is_refused(place):
    small_model(place / "mine")
    with pytest.raises(ModelError, match="is a model for cells, not for compartments"):
        find_model("mine", "compartments")


def test_an_unknown_name_lists_what_there_is(place):
    small_model(place / "mine")
    with pytest.raises(ModelError, match=r"found: .*mine"):
        find_model("yours", "cells")


def test_truncated_weights(place):
    card = small_model(place / "mine")
    path = place / "mine" / "weights.pt"
    path.write_bytes(path.read_bytes()[:-100])
    refused(InstalledModel(place / "mine", card), "truncated", "bytes")


def test_other_weights_of_the_same_size(place):
    card = small_model(place / "mine")
    path = place / "mine" / "weights.pt"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    refused(InstalledModel(place / "mine", card), "sha256")


def test_missing_weights(place):
    card = small_model(place / "mine")
    (place / "mine" / "weights.pt").unlink()
    refused(InstalledModel(place / "mine", card), "missing")


class Code:
    """What unpickling would run."""

    def __reduce__(self):
        return (exec, ("raise SystemExit('code of the file was run')",))


def test_weights_that_need_code_are_not_run(place, tmp_path):
    small_model(place / "mine")
    for content in (pickle.dumps(Code()), _saved(Code(), tmp_path / "x.pt")):
        with_right_hash(place / "mine", content)
        refused(InstalledModel(place / "mine", read_card(place / "mine")), "weights.pt")


def test_weights_of_another_network(place, tmp_path):
    small_model(place / "mine")
    state = UNet(2, 4, widths=[8, 8]).state_dict()
    with_right_hash(place / "mine", _saved(state, tmp_path / "x.pt"))
    refused(InstalledModel(place / "mine", read_card(place / "mine")), "another network")


def test_a_file_that_is_no_weights(place):
    small_model(place / "mine")
    with_right_hash(place / "mine", b"not at all")
    refused(InstalledModel(place / "mine", read_card(place / "mine")), "weights.pt")


def _saved(content, path):
    torch.save(content, path)
    return path.read_bytes()


def test_an_installed_wheel_carries_its_models_inside(tmp_path, monkeypatch):
    monkeypatch.setattr("thymusimg.models.find.__file__", str(tmp_path / "thymusimg" / "models" / "find.py"))
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    small_model(tmp_path / "thymusimg" / "_models" / "shipped")
    small_model(tmp_path / "models" / "cloned")
    assert [model.card.name for model in list_models()[0]] == ["cloned", "shipped"]

"""Which method a name means; what is missing is said before any work, and other weights are another result."""

from __future__ import annotations

from importlib import util

import network_fakes
import pytest
import torch

import thymusimg.cells.methods as methods
from thymusimg.cells.methods import find_detector, identity_of, model_of
from thymusimg.errors import CellsError, DeviceError, MissingExtraError, ModelError
from thymusimg.models.card import ModelCard, write_card
from thymusimg.networks.unet import UNet
from thymusimg.networks.weights import save_weights
from thymusimg.pipeline import check_methods, models_of
from thymusimg.settings import Settings
from thymusimg.settings.compute import ComputeSettings


def installed(folder, seed=0, **changes):
    folder.mkdir(exist_ok=True)
    torch.manual_seed(seed)
    digest, size = save_weights(folder / "weights.pt", UNet(2, 4, (4, 6)).state_dict())
    card = network_fakes.model().card.model_copy(
        update={"sha256": digest, "size_bytes": size, "architecture": {"widths": [4, 6]}} | changes
    )
    write_card(folder, ModelCard.model_validate(card.model_dump()))
    return str(folder)


def settings(method, **compute):
    return Settings.from_mapping({"cells": {"method": method}, "compute": compute})


def test_methods_without_a_model():
    for method in ("classical", "none"):
        assert callable(find_detector(method))
        assert model_of(method) is None
        assert identity_of(method) == ""
    with pytest.raises(CellsError, match="not asked for"):
        find_detector("none")(None, None, None, None, None, planes={}, progress=print)


def test_a_folder_is_a_model(tmp_path):
    method = installed(tmp_path / "mine")
    assert callable(find_detector(method))
    assert model_of(method).card.name == "pretended"
    check_methods(settings(method), here=True)


def test_unknown_names_are_refused():
    for method in ("nonsense", "keratin"):
        with pytest.raises(ModelError, match=f"--cells {method}"):
            check_methods(settings(method))


def test_models_for_something_else_are_refused(tmp_path):
    with pytest.raises(ModelError, match="takes cd45, dapi and gives cell"):
        find_detector(installed(tmp_path / "a", classes=("cell",)))
    with pytest.raises(ModelError, match="a model for compartments"):
        find_detector(installed(tmp_path / "b", task="compartments"))
    with pytest.raises(ModelError, match="kind forest"):
        find_detector(installed(tmp_path / "c", kind="forest"))


def test_weights_that_are_not_those_of_the_card(tmp_path):
    method = installed(tmp_path / "mine")
    weights = tmp_path / "mine" / "weights.pt"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    with pytest.raises(ModelError, match="other weights"):
        check_methods(settings(method))
    weights.write_bytes(content[:-10])
    with pytest.raises(ModelError, match="truncated"):
        check_methods(settings(method))


def test_a_device_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    method = installed(tmp_path / "mine")
    with pytest.raises(DeviceError, match="cuda:0"):
        check_methods(settings(method, device="cuda:0"), here=True)
    # the workers of a run elsewhere may have one
    check_methods(settings(method, device="cuda:0"))
    assert callable(find_detector(method, compute=ComputeSettings(device="auto")))


def test_without_torch_the_line_to_type_is_given(tmp_path, monkeypatch):
    method = installed(tmp_path / "mine")
    monkeypatch.setattr(methods, "find_spec", lambda name: None if name == "torch" else util.find_spec(name))
    with pytest.raises(MissingExtraError, match=r"pip install 'thymusimg\[torch\]'"):
        find_detector(method)
    assert callable(find_detector("classical"))


def test_other_weights_are_another_result(tmp_path):
    one = installed(tmp_path / "mine")
    before = models_of(settings(one))
    assert before == {"cells": identity_of(one)}
    assert "sha256:" in before["cells"]
    installed(tmp_path / "mine", seed=1)
    assert models_of(settings(one)) != before
    assert models_of(Settings()) == {}

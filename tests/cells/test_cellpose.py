"""Cellpose with weights of one's own: the real classes, at a tiny size or with flows that are made from truth."""

from __future__ import annotations

import os
import socket
import sys
from functools import partial

import numpy as np
import pytest
from cell_fakes import matched, scattered, scene, surroundings
from scipy import ndimage

pytest.importorskip("torch")
pytest.importorskip("cellpose", reason="the [cellpose] extra is not installed")

import torch

from thymusimg.cells import cellpose as adapter
from thymusimg.cells.cellpose import (
    find_cellpose,
    segmenter_of_model,
    segmenter_of_weights,
    write_cellpose_card,
)
from thymusimg.cells.methods import find_detector, identity_of
from thymusimg.cells.model import Gate
from thymusimg.cells.segmenters import detect_with_segmenter, load_segmenter
from thymusimg.errors import DeviceError, MissingExtraError, ModelError
from thymusimg.models.card import write_card
from thymusimg.models.find import VARIABLE, InstalledModel
from thymusimg.networks import cellpose_sam
from thymusimg.networks.cellpose_sam import CellposeSAM, libraries, load_cellpose
from thymusimg.section.model import Window
from thymusimg.settings import CellSettings
from thymusimg.settings.compute import ComputeSettings

GATE = Gate(threshold=160.0, background=40.0, background_sd=12.0, source="section")
SETTINGS = {"flow_threshold": 0.4, "cellprob_threshold": 0.0, "min_size_px": 15}


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    def refuse(*_args, **_more):
        raise AssertionError("something asked for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    torch.set_num_threads(1)


def tiny_sam(_checkpoint):
    """SAM's own image encoder with two blocks of 32 features instead of 24 of 1024."""
    from segment_anything.modeling import ImageEncoderViT

    encoder = ImageEncoderViT(
        depth=2,
        embed_dim=32,
        num_heads=2,
        mlp_ratio=2,
        img_size=1024,
        patch_size=16,
        out_chans=16,
        qkv_bias=True,
        use_rel_pos=True,
        global_attn_indexes=(0, 1),
        window_size=14,
        norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
    )
    return type("Sam", (), {"image_encoder": encoder})()


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setitem(libraries().vit.sam_model_registry, "vit_l", tiny_sam)


@pytest.fixture
def net(tiny):
    torch.manual_seed(0)
    net = libraries().vit.CPSAM().eval()
    for value in net.parameters():
        if value.requires_grad and not value.any():  # SAM begins its relative positions at 0
            torch.nn.init.normal_(value, std=0.1)
    return net


@pytest.fixture
def weights(net, tmp_path):
    folder = tmp_path / "my-cpsam"
    folder.mkdir()
    path = folder / "cpsam"
    net.save_model(path)
    return path


def segment(path, device="cpu"):
    return load_segmenter(segmenter_of_weights(path), device)


def test_outputs_are_those_of_the_real_class(net, weights):
    given = np.zeros((1, 3, 256, 256), np.float32)
    given[0, :2] = np.random.default_rng(0).random((2, 256, 256), np.float32)
    with torch.no_grad():
        truth = net(torch.from_numpy(given))[0].numpy()
    np.testing.assert_allclose(load_cellpose(weights, "cpu")(given), truth, atol=1e-5)
    assert np.ptp(truth) > 0


def test_bigger_tiles_are_cellposes_own_joining(net, weights):
    given = np.random.default_rng(0).random((1, 400, 400), np.float32)
    flows, _ = segment(weights).flows(given)
    image = np.zeros((1, 400, 400, 3), np.float32)
    image[0, ..., 0] = given[0]
    truth, _ = libraries().core.run_net(net, image, batch_size=1, bsize=256)
    np.testing.assert_allclose(flows, truth[0, ..., :2].transpose(2, 0, 1), atol=1e-5)


def test_a_tile_of_ours_is_sixteen_of_cellposes():
    class Counting(Oracle):
        count = 0

        def __call__(self, batch):
            self.count += len(batch)
            return np.zeros((len(batch), 3, 256, 256), np.float32)

    network = Counting()
    assert not CellposeSAM(network, **SETTINGS)(np.ones((1, adapter.TILE_PX, adapter.TILE_PX), np.float32)).any()
    assert network.count == 16


def test_it_is_loaded_once(weights):
    assert segment(weights) is segment(weights)
    assert segmenter_of_weights(weights) == segmenter_of_weights(weights)


def test_import_changes_nothing_for_other_networks():
    assert "cellpose.models" not in sys.modules  # the part that downloads
    assert torch.backends.cuda.matmul.allow_tf32 is False


class Oracle:
    """Our network's face; the flows that Cellpose's own training would want, from rings in the picture."""

    device = "cpu"

    def batch_size(self, shape):
        assert shape == (3, 256, 256)
        return 4

    def __call__(self, batch):
        return np.stack([self.flows(planes[0]) for planes in batch])

    @staticmethod
    def flows(plane):
        labels = ndimage.label(ndimage.binary_opening(ndimage.binary_fill_holes(plane > 0.25), iterations=2))[0]
        flows, _ = libraries().dynamics.masks_to_flows_gpu(labels, device=torch.device("cpu"))
        return np.concatenate([5 * flows, np.where(labels, 6.0, -6.0)[None]]).astype(np.float32)


def test_true_flows_give_the_true_cells(monkeypatch, weights):
    monkeypatch.setattr(cellpose_sam, "load_cellpose", lambda path, device: Oracle())
    cells = scene(*scattered(30, 110.0), size_um=110.0, pixel_um=0.5)
    section = cells.expose()
    correction, compartments = surroundings(section)
    by = segmenter_of_weights(weights)
    found = detect_with_segmenter(
        section, correction, compartments, GATE, CellSettings(), segmenter=by, device="cpu"
    )
    painted = found.masks.paint(Window(0, *section.shape[:1], 0, section.shape[1]))
    hits, truth, count = matched(cells.labels, painted)
    assert (hits, count) == (truth, truth)
    both, either = (painted > 0) & (cells.labels > 0), (painted > 0) | (cells.labels > 0)
    assert both.sum() / either.sum() > 0.85
    assert found.method == "cellpose"
    assert "sha256:" in found.notes[0]


def test_flows_that_make_no_sense_are_thrown_out():
    class Swirl(Oracle):
        @staticmethod
        def flows(plane):
            flows = Oracle.flows(plane)
            flows[:2] = -flows[:2]
            return flows

    plane = np.zeros((1, 256, 256), np.float32)
    y, x = np.mgrid[:256, :256]
    plane[0][np.hypot(y - 100, x - 100) < 15] = 1
    assert CellposeSAM(Oracle(), **SETTINGS)(plane).max() == 1
    assert CellposeSAM(Swirl(), **SETTINGS)(plane).max() == 0
    assert not CellposeSAM(Oracle(), **SETTINGS)(np.zeros((1, 256, 256), np.float32)).any()


def test_a_registered_folder_is_found_and_verified(weights, monkeypatch, tmp_path):
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    card = write_cellpose_card(weights, licence="CC-BY-NC-4.0", channels=("cd45",), optional_channels=())
    assert (card.name, card.kind) == ("my-cpsam", "cellpose")
    found = find_cellpose()
    assert found == find_cellpose("my-cpsam")
    assert found.channels == ("cd45",)
    assert card.sha256 in found.identity
    content = bytearray(weights.read_bytes())
    content[-50] ^= 1
    weights.write_bytes(content)
    with pytest.raises(ModelError, match="these are other weights"):
        find_cellpose()
    weights.write_bytes(content[:-5])
    with pytest.raises(ModelError, match="truncated"):
        find_cellpose()


def test_several_need_a_name(weights, monkeypatch, tmp_path):
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    write_cellpose_card(weights, licence="CC-BY-NC-4.0")
    other = tmp_path / "other"
    other.mkdir()
    (other / "w").write_bytes(weights.read_bytes())
    write_cellpose_card(other / "w", licence="CC-BY-NC-4.0")
    with pytest.raises(ModelError, match=r"several .* \(my-cpsam, other\)"):
        find_cellpose()
    assert find_cellpose("other").name == "other"


@pytest.mark.parametrize("wanted", ["cellpose", "cpsam", "cpsam_v2", "nuclei"])
def test_without_weights_it_says_where_to_put_them(wanted, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(
        ModelError, match=r"no Cellpose weights are registered.*~/.thymusimg/models.*Nothing is fetched"
    ):
        find_cellpose(wanted)
    assert not list(tmp_path.iterdir())


def test_a_missing_file_is_an_error_and_never_another_model(tmp_path):
    with pytest.raises(ModelError, match="no such file"):
        find_cellpose(str(tmp_path / "cpsam"))
    with pytest.raises(ModelError, match="no such file"):
        load_cellpose(tmp_path / "cpsam", "cpu")
    with pytest.raises(ModelError, match="no such file"):
        write_cellpose_card(tmp_path / "cpsam", licence="MIT")


def changed(weights, change):
    state = torch.load(weights, weights_only=True)
    change(state)
    torch.save(state, weights)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: s.pop("out.bias"), "it lacks out.bias"),
        (
            lambda s: [s.pop(k) for k in list(s) if ".blocks.1." in k],
            "it lacks encoder.blocks.1.attn.proj.bias and 1",
        ),
        (lambda s: s.update({"encoder.blocks.2.norm1.bias": torch.ones(3)}), "has besides encoder.blocks.2"),
        (lambda s: s.update({"out.bias": torch.ones(3)}), "has in another size out.bias"),
        (lambda s: s.pop("W2"), "no weights of Cellpose 4"),
        (lambda s: s.update({"encoder.cls_token": torch.ones(3)}), "Cellpose-DINO"),
    ],
)
def test_foreign_weights_are_refused(weights, change, said):
    changed(weights, change)
    with pytest.raises(ModelError, match=said):
        load_cellpose(weights, "cpu")


def test_what_is_saved_from_several_gpus_and_without_unused_entries_is_taken(weights):
    def change(state):
        for name in list(state):
            value = state.pop(name)
            if not name.startswith("diam"):
                state["module." + name] = value

    changed(weights, change)
    assert load_cellpose(weights, "cpu").device == "cpu"


def test_weights_that_hold_code_are_not_run(tmp_path):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "run"),)

    torch.save({"W2": Bomb()}, tmp_path / "cpsam")
    with pytest.raises(ModelError, match="run code"):
        load_cellpose(tmp_path / "cpsam", "cpu")
    assert not (tmp_path / "run").exists()
    (tmp_path / "cpsam").write_bytes(b"no weights")
    with pytest.raises(ModelError, match="cpsam: "):
        load_cellpose(tmp_path / "cpsam", "cpu")


def test_cards_that_cannot_be(weights, tmp_path):
    with pytest.raises(ModelError, match="three channels at most"):
        write_cellpose_card(weights, licence="MIT", channels=("cd45", "k14", "k8", "dapi"))
    card = write_cellpose_card(weights, licence="MIT")
    bad = card.model_copy(update={"inference": {"diameter": 30}})
    write_card(weights.parent, bad)
    with pytest.raises(ModelError, match="inference has diameter; known are flow_threshold"):
        segmenter_of_model(InstalledModel(weights.parent, bad))
    with pytest.raises(ModelError, match="kind 'unet'"):
        segmenter_of_model(InstalledModel(weights.parent, card.model_copy(update={"kind": "unet"})))


def test_a_missing_extra_names_the_line_to_type(weights, monkeypatch):
    monkeypatch.setattr(adapter, "find_spec", lambda name: None if name == "cellpose" else object())
    loader = segmenter_of_weights(weights).load
    with pytest.raises(MissingExtraError, match=r"pip install 'thymusimg\[cellpose\]'"):
        loader("cpu")


def test_the_command_lines_method_finds_it(weights, monkeypatch, tmp_path):
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    card = write_cellpose_card(weights, licence="CC-BY-NC-4.0")
    for method in ("cellpose", "my-cpsam", str(weights.parent), str(weights)):
        assert card.sha256 in identity_of(method)
        find_detector(method, compute=ComputeSettings(device="cpu"))
    monkeypatch.setattr(adapter, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="--cells cellpose needs torch and cellpose"):
        find_detector("my-cpsam", compute=ComputeSettings(device="cpu"))


def test_out_of_memory_is_said(weights):
    class Full(Oracle):
        def __call__(self, batch):
            raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(DeviceError, match="does not hold a tile of 256 × 256 px for Cellpose"):
        CellposeSAM(Full(), **SETTINGS)(np.ones((1, 256, 256), np.float32))


@pytest.mark.skipif("THYMUSIMG_SLOW" not in os.environ, reason="305 M random weights, a minute: set THYMUSIMG_SLOW")
def test_the_real_size_runs(tmp_path):
    torch.manual_seed(0)
    libraries().vit.CPSAM().save_model(tmp_path / "cpsam")
    labels = segment(tmp_path / "cpsam")(np.random.default_rng(0).random((2, 256, 256), np.float32))
    assert labels.shape == (256, 256)

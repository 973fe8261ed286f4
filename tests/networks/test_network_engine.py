"""A network on a device: what fits runs at once, what does not is halved, and nothing changes by it."""

from __future__ import annotations

import hashlib
import threading

import numpy as np
import pytest
import torch

from thymusimg.device import resolve_device
from thymusimg.errors import DeviceError, ModelError
from thymusimg.models.card import ModelCard, write_card
from thymusimg.models.find import InstalledModel
from thymusimg.networks.engine import Network, build, fused, load_network, torch_threads
from thymusimg.networks.unet import UNet
from thymusimg.networks.weights import save_weights


def small_unet(seed=0):
    torch.manual_seed(seed)
    module = UNet(2, 3, (4, 6))
    for layer in module.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):  # as after training: not the identity
            layer.running_mean.normal_(0, 0.2)
            layer.running_var.uniform_(0.5, 2)
    return module.eval()


def network(module=None):
    module = module or small_unet()
    return Network(module, "cpu", stride=module.stride, reach_px=module.reach_px)


def given(count=3, side=24, seed=1):
    return np.random.default_rng(seed).normal(size=(count, 2, side, side)).astype(np.float32)


class PretendedDevice(Network):
    """A device whose memory holds ``holds`` inputs; it computes on the CPU."""

    def __init__(self, holds, free=8, sign="CUDA out of memory"):
        module = small_unet()
        super().__init__(module, "cpu", stride=module.stride, reach_px=module.reach_px)
        self.device, self.holds, self.free, self.sign, self.batches = "cuda:0", holds, free, sign, []

    def _run(self, batch):
        self.batches.append(len(batch))
        if len(batch) > self.holds:
            raise torch.OutOfMemoryError(self.sign) if "CUDA" in self.sign else RuntimeError(self.sign)
        with torch.inference_mode():
            return self._module(torch.from_numpy(batch)).numpy()

    def _measure(self, shape):
        return self.free


def test_normalisation_is_folded_into_the_convolutions():
    module, x = small_unet(), torch.from_numpy(given())
    with torch.inference_mode():
        before = module(x)
        after = fused(module)(x)
    assert not any(isinstance(layer, torch.nn.BatchNorm2d) for layer in module.modules())
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-5)


def test_a_batch_gives_what_its_parts_give():
    net, batch = network(), given(4)
    np.testing.assert_allclose(net(batch), np.concatenate([net(x[None]) for x in batch]), rtol=1e-4, atol=1e-5)


def test_an_output_depends_on_no_more_than_the_reach():
    net = network()
    side = 2 * net.reach_px + 5 * net.stride
    side += -side % net.stride
    x = given(1, side)
    changed = x.copy()
    changed[:, :, 0, 0] += 10
    different = np.argwhere(np.any(net(changed) != net(x), axis=(0, 1)))
    assert 0 < different.max() <= net.reach_px


def test_a_shift_by_a_stride_shifts_the_outputs():
    net = network()
    margin = -(-net.reach_px // net.stride) * net.stride
    x = given(1, 2 * margin + 4 * net.stride)
    y, shifted = net(x), net(np.roll(x, net.stride, axis=3))
    inner = slice(margin, -margin)
    np.testing.assert_allclose(
        shifted[..., inner, margin + net.stride : -margin], y[..., inner, margin : -margin - net.stride], atol=1e-5
    )


def test_sizes_that_do_not_halve_are_refused():
    with pytest.raises(ValueError, match="multiples of 4"):
        network()(given(1, 22))


def test_on_a_cpu_inputs_go_one_by_one():
    assert network().batch_size((2, 64, 64)) == 1


@pytest.mark.parametrize("sign", ["CUDA out of memory", "cuDNN error: CUDNN_STATUS_ALLOC_FAILED"])
def test_a_batch_that_does_not_fit_is_halved(sign):
    net, batch = PretendedDevice(holds=2, sign=sign), given(7)
    np.testing.assert_allclose(net(batch), network()(batch), rtol=1e-4, atol=1e-5)
    assert net.batches[0] == 7
    assert sum(n for n in net.batches if n <= 2) == 7
    # and the next ones are asked for in the size that fits
    assert net.batch_size(batch.shape[1:]) <= 2


def test_not_one_input_fits():
    net = PretendedDevice(holds=0)
    with pytest.raises(DeviceError, match=r"cuda:0: its memory does not hold one tile of 24 × 24 px"):
        net(given(3))


def test_other_faults_are_not_taken_for_memory():
    net = PretendedDevice(holds=1, sign="an illegal memory access was encountered")
    with pytest.raises(RuntimeError, match="illegal"):
        net(given(2))


def test_batches_have_a_bound():
    net = PretendedDevice(holds=99, free=10_000)
    assert net.batch_size((2, 64, 64)) == 32
    assert net.batch_size((2, 2048, 2048)) == 4
    assert net.batch_size((2, 8192, 8192)) == 1
    assert PretendedDevice(holds=1, free=0).batch_size((2, 64, 64)) == 1


def test_too_little_memory_on_the_cpu_is_said_so(monkeypatch):
    net = network()

    def fail(_):
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried 8 GB")

    monkeypatch.setattr(net, "_run", fail)
    with pytest.raises(MemoryError, match="24 × 24"):
        net(given(1))


def test_threads_are_given_back():
    before = torch.get_num_threads()
    with torch_threads(1):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


def test_a_missing_device_is_an_error(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError, match=r"--device cuda:3: not available \(0 CUDA devices\)"):
        resolve_device("cuda:3")
    assert resolve_device("auto") == "cpu"


def installed(folder, **changes):
    folder.mkdir()
    digest, size = save_weights(folder / "weights.pt", small_unet().state_dict())
    card = {
        "name": "small", "task": "cells", "kind": "unet", "channels": ("cd45", "dapi"), "classes": ("a", "b", "c"),
        "pixel_size_um": 0.5, "architecture": {"widths": [4, 6]}, "weights": "weights.pt", "sha256": digest,
        "size_bytes": size, "licence": "CC0-1.0",
    }  # fmt: skip
    write_card(folder, ModelCard(**(card | changes)))
    return InstalledModel(folder, ModelCard(**(card | changes)))


def test_a_model_is_loaded_once(tmp_path):
    model = installed(tmp_path / "small")
    found = []
    threads = [threading.Thread(target=lambda: found.append(load_network(model, "cpu"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(net) for net in found}) == 1
    assert found[0].stride == 4


def test_other_weights_under_the_same_name_are_loaded_anew(tmp_path):
    model = installed(tmp_path / "small")
    digest, size = save_weights(tmp_path / "small" / "weights.pt", small_unet(seed=7).state_dict())
    other = InstalledModel(model.folder, model.card.model_copy(update={"sha256": digest, "size_bytes": size}))
    assert hashlib.sha256(model.weights.read_bytes()).hexdigest() == digest
    assert load_network(other, "cpu") is not load_network(model, "cpu")


def test_cards_that_are_not_understood(tmp_path):
    with pytest.raises(ModelError, match="architecture is not understood"):
        build(installed(tmp_path / "a", architecture={"depth": 3}))
    with pytest.raises(ModelError, match="no network of thymusimg"):
        build(installed(tmp_path / "b", kind="cellpose"))
    with pytest.raises(ModelError, match="another network"):
        load_network(installed(tmp_path / "c", architecture={"widths": [4, 8]}), "cpu")

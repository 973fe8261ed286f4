"""A trained network on a device: loaded once a process, run in batches that fit into its memory."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from thymusimg.device import resolve_device
from thymusimg.errors import DeviceError, ModelError
from thymusimg.networks.unet import UNet
from thymusimg.networks.weights import fill, read_weights

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from thymusimg.models.find import InstalledModel

LARGEST_BATCH = 32
LARGEST_BATCH_PX = 2**24
"""A batch has no more pixels: a device is busy with fewer, and twice as many wait in memory to be next."""
_FREE_SHARE = 0.6  # of the device's free memory: other jobs may share it
_MEMORY_SIGNS = ("out of memory", "ALLOC_FAILED", "can't allocate memory", "not enough memory")

_LOADED: dict[tuple[str, str, str], Network] = {}
_LOADING = threading.Lock()


class Network:
    """A network that is ready to run; safe to call from several threads.

    On the CPU it computes in single precision; on CUDA in bfloat16 where the device has it (else float16), with
    channels last.
    """

    def __init__(self, module: nn.Module, device: str, *, stride: int, reach_px: int, half: bool = True) -> None:
        self.device = device
        self.stride = stride
        """Height and width of what it is given must be multiples of this."""
        self.reach_px = reach_px
        """Pixels around an output pixel on which it depends."""
        self._dtype = _half_of(device) if half else torch.float32
        self._module = module.eval().to(device=torch.device(device), memory_format=torch.channels_last)
        self._one_at_a_time = threading.RLock()
        self._fits: dict[tuple[int, ...], int] = {}

    @property
    def on_cpu(self) -> bool:
        """Whether it runs on the CPU."""
        return self.device == "cpu"

    def batch_size(self, shape: tuple[int, int, int]) -> int:
        """Return how many inputs of ``(C, Y, X)`` fit into the device's free memory at once; 1 on the CPU."""
        if self.on_cpu:
            return 1
        with self._one_at_a_time:
            if shape not in self._fits:
                most = min(LARGEST_BATCH, max(1, LARGEST_BATCH_PX // (shape[1] * shape[2])))
                self._fits[shape] = max(1, min(most, self._measure(shape)))
            return self._fits[shape]

    def __call__(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the raw outputs ``(N, K, Y, X)`` for inputs ``(N, C, Y, X)``.

        A batch that does not fit into the device's memory is halved until it does; so are those of that shape that
        follow.

        Raises
        ------
        ValueError
            If height or width are no multiples of the stride.
        DeviceError
            If not even one input fits.
        """
        if batch.shape[2] % self.stride or batch.shape[3] % self.stride:
            raise ValueError(
                f"inputs of {batch.shape[2]} × {batch.shape[3]} px are no multiples of {self.stride} px"
            )
        if self.on_cpu:
            return self._run_on_cpu(batch)
        with self._one_at_a_time:
            return self._run_in_parts(batch)

    def _run_in_parts(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        try:
            return self._run(batch)
        except RuntimeError as error:
            if not _is_out_of_memory(error):
                raise
        # only here, where nothing holds the tensors of the attempt any more
        torch.cuda.empty_cache()
        count = len(batch)
        if count == 1:
            raise DeviceError(
                f"{self.device}: its memory does not hold one tile of {batch.shape[2]} × {batch.shape[3]} px. "
                "Free the device, or use --device cpu."
            )
        self._fits[batch.shape[1:]] = max(1, count // 2)
        parts = [self._run_in_parts(part) for part in np.array_split(batch, 2)]
        return np.concatenate(parts)

    def _run_on_cpu(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        try:
            return self._run(batch)
        except RuntimeError as error:
            if not _is_out_of_memory(error):
                raise
        raise MemoryError(f"the network does not find memory for a tile of {batch.shape[2]} × {batch.shape[3]} px")

    def _run(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        given = torch.from_numpy(np.ascontiguousarray(batch))
        with torch.inference_mode():
            if not self.on_cpu:
                given = given.pin_memory().to(self.device, non_blocking=True)
            given = given.contiguous(memory_format=torch.channels_last)
            with torch.autocast(self.device.partition(":")[0], self._dtype, enabled=self._dtype != torch.float32):
                out = self._module(given)
            found: npt.NDArray[np.float32] = out.float().contiguous().cpu().numpy()
        return found

    def _measure(self, shape: tuple[int, int, int]) -> int:
        device = torch.device(self.device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        self._run_in_parts(np.zeros((1, *shape), np.float32))
        one = max(1, torch.cuda.max_memory_allocated(device) - before)
        free, _ = torch.cuda.mem_get_info(device)
        return int(_FREE_SHARE * free // one)


def load_network(model: InstalledModel, device: str) -> Network:
    """Return a model's network on ``cpu``, ``cuda``, ``cuda:N`` or ``auto``; loaded once a process and device.

    Raises
    ------
    ModelError
        If the weights cannot be read, or are those of another network.
    DeviceError
        If the device is not there.
    """
    device = resolve_device(device)
    key = (str(model.weights), model.card.sha256, device)
    with _LOADING:
        if key not in _LOADED:
            module = build(model)
            fill(module, read_weights(model.weights), model.weights)
            stride, reach = module.stride, module.reach_px
            _LOADED[key] = Network(fused(module), device, stride=stride, reach_px=reach)
        return _LOADED[key]


def build(model: InstalledModel) -> UNet:
    """Return the network of a card, with weights that mean nothing yet.

    Raises
    ------
    ModelError
        If the card's architecture is none of ours.
    """
    card = model.card
    if card.kind != "unet":
        raise ModelError(f"{model.folder}: a model of kind '{card.kind}' is no network of thymusimg.")
    try:
        return UNet(len(card.channels), len(card.classes), **card.architecture)
    except (TypeError, ValueError) as error:
        raise ModelError(f"{model.folder}: the card's architecture is not understood ({error}).") from None


def fused(module: nn.Module) -> nn.Module:
    """Fold every batch normalisation into the convolution before it; the same outputs with fewer passes."""
    module = module.eval()
    for parent in list(module.modules()):
        if isinstance(parent, nn.Sequential):
            _fuse(parent)
    return module


def _fuse(layers: nn.Sequential) -> None:
    names = list(layers._modules)  # noqa: SLF001  torch gives no other way to replace a layer in place
    for name, after in pairwise(names):
        first, second = layers.get_submodule(name), layers.get_submodule(after)
        if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
            setattr(layers, name, fuse_conv_bn_eval(first, second))
            setattr(layers, after, nn.Identity())


def limit_torch_threads(threads: int) -> None:
    """Hold torch to ``threads`` threads in the calling thread, and in those it starts later."""
    torch.set_num_threads(max(1, threads))


@contextmanager
def torch_threads(threads: int) -> Iterator[None]:
    """Hold torch to ``threads`` threads inside, and give back what it had before."""
    before = torch.get_num_threads()
    limit_torch_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _is_out_of_memory(error: RuntimeError) -> bool:
    """Tell whether an error means too little memory; cuDNN and the CPU's allocator say so in words only."""
    text = str(error)
    return isinstance(error, torch.OutOfMemoryError) or any(sign in text for sign in _MEMORY_SIGNS)


def _half_of(device: str) -> torch.dtype:
    if device == "cpu":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16

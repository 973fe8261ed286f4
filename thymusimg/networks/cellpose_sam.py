"""Cellpose-SAM: its network with given weights, and labels from its flows.

Pachitariu, Rariden & Stringer 2025 (bioRxiv 2025.04.28.651001). Only the network's class, its tapered joining of
sub-tiles and its flow dynamics are Cellpose's; its loader, which fetches another model when a file is missing and
accepts weights that fit in part, is never called.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import nn

from thymusimg.errors import DeviceError, ModelError
from thymusimg.networks.engine import Network
from thymusimg.networks.weights import read_weights

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

    import numpy.typing as npt

SUB_TILE_PX = 256
"""Cellpose-SAM takes this size only: its position embeddings are fixed."""
ITERATIONS = 200
"""Steps of the dynamics, Cellpose's own number."""
UNUSED = ("diam_labels", "diam_mean")
"""Entries that Cellpose 4 writes and does not read; files may lack them."""


class _Libraries(NamedTuple):
    vit: ModuleType
    core: ModuleType
    dynamics: ModuleType


@cache
def libraries() -> _Libraries:
    """Import the parts of Cellpose that are used."""
    _declare_torchvision_operators()
    precision = torch.backends.cuda.matmul.allow_tf32
    from cellpose import core, dynamics, vit

    # Cellpose lowers the precision of every network of the process on import
    torch.backends.cuda.matmul.allow_tf32 = precision
    return _Libraries(vit, core, dynamics)


_OPERATORS: list[Any] = []
"""Keeps the declared operators alive."""


def _declare_torchvision_operators() -> None:
    """Declare the operators that torchvision registers on, where its compiled library does not fit this torch.

    The segment-anything package imports torchvision; nothing that is used here calls these operators.
    """
    spec = find_spec("torchvision")
    if spec is None or spec.origin is None or _OPERATORS:
        return
    for library in Path(spec.origin).parent.glob("_C*"):
        try:
            torch.ops.load_library(str(library))
        except (OSError, RuntimeError):
            continue
        return
    declared = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        declared.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _OPERATORS.append(declared)


class _Flows(nn.Module):
    """The network without the empty style vector that it gives beside the flows."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        flows: torch.Tensor = self.net(x)[0]
        return flows


def load_cellpose(weights: Path, device: str) -> Network:
    """Return Cellpose-SAM's network with the weights of a file, every one of which must be there and fit.

    Raises
    ------
    ModelError
        If the file is missing, holds code, or the weights of another network.
    DeviceError
        If they do not fit into the device's memory.
    """
    if not weights.is_file():
        raise ModelError(f"{weights}: there is no such file. Nothing is fetched; copy the weights there.")
    network = libraries().vit.CPSAM
    try:
        state = {name.removeprefix("module."): value for name, value in read_weights(weights).items()}
        with torch.device("meta"):  # no gigabyte of random numbers that are overwritten at once
            net = network(dtype=torch.float32)
        _check_keys(state, net.state_dict(), weights)
        for name in UNUSED:
            state.setdefault(name, torch.tensor([30.0]))
        net.load_state_dict(state, strict=True, assign=True)
        return Network(_Flows(net), device, stride=SUB_TILE_PX, reach_px=SUB_TILE_PX)
    except (torch.OutOfMemoryError, MemoryError):
        raise DeviceError(
            f"{device}: its memory does not hold the weights of {weights.name} "
            f"({weights.stat().st_size / 1e9:.1f} GB). Free it, or use another --device."
        ) from None


def _check_keys(state: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor], weights: Path) -> None:
    if "encoder.cls_token" in state:
        raise ModelError(f"{weights}: are weights of Cellpose-DINO; only those of Cellpose-SAM can be used.")
    if "W2" not in state or not any(name.startswith("encoder.") for name in state):
        raise ModelError(f"{weights}: are no weights of Cellpose 4 (those of Cellpose 1-3 do not fit its network).")
    missing = sorted(set(wanted) - set(state) - set(UNUSED))
    foreign = sorted(set(state) - set(wanted))
    other = sorted(
        name for name in set(wanted) & set(state) if tuple(wanted[name].shape) != tuple(state[name].shape)
    )
    for names, said in ((missing, "lacks"), (foreign, "has besides"), (other, "has in another size")):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise ModelError(f"{weights}: are the weights of another network (it {said} {names[0]}{more}).")


class CellposeSAM:
    """Cellpose-SAM on a tile: flows and cell probability from the network, labels from the dynamics."""

    def __init__(
        self, network: Network, *, flow_threshold: float, cellprob_threshold: float, min_size_px: int
    ) -> None:
        self.network = network
        self.settings = {
            "flow_threshold": flow_threshold, "cellprob_threshold": cellprob_threshold, "min_size": min_size_px,
        }  # fmt: skip

    def __call__(self, planes: npt.NDArray[np.float32]) -> npt.NDArray[np.int32]:
        """Return the labels of a tile ``(C, Y, X)``; channels up to Cellpose's third are zeros.

        Raises
        ------
        DeviceError
            If the device's memory does not hold it.
        """
        device = self.network.device
        try:
            flows, probability = self.flows(planes)
            # said aloud, or torch warns that it does not check
            with torch.sparse.check_sparse_tensor_invariants(enable=False):
                masks = libraries().dynamics.resize_and_compute_masks(
                    flows, probability, niter=ITERATIONS, device=torch.device(device), **self.settings
                )
        except (torch.OutOfMemoryError, MemoryError):
            raise DeviceError(
                f"{device}: its memory does not hold a tile of {planes.shape[1]} × {planes.shape[2]} px for "
                "Cellpose. Free it, or use another --device."
            ) from None
        return np.asarray(masks, np.int32)

    def flows(self, planes: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Return the flows ``(2, Y, X)``, 5 for a unit step, and the logit of being a cell ``(Y, X)``."""
        image = np.zeros((1, *planes.shape[1:], 3), np.float32)
        image[0, ..., : len(planes)] = planes.transpose(1, 2, 0)
        batch = self.network.batch_size((3, SUB_TILE_PX, SUB_TILE_PX))
        out, _ = libraries().core.run_net(_ForRunNet(self.network), image, batch_size=batch, bsize=SUB_TILE_PX)
        found = np.ascontiguousarray(out[0].transpose(2, 0, 1), np.float32)
        return found[-3:-1], found[-1]


class _ForRunNet:
    """What Cellpose's tiling expects of a network, on ours."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.device = torch.device("cpu")  # our network takes and gives arrays
        self.dtype = torch.float32

    def eval(self) -> None:
        """Do nothing: it is in evaluation mode."""

    def __call__(self, batch: Any) -> tuple[Any, Any]:
        """Return the flows, and the style vector that Cellpose 4 leaves empty."""
        return torch.from_numpy(self.network(batch.numpy())), torch.zeros((len(batch), 256))

"""Fitting a network: epochs of fixed length, early stopping, and a checkpoint that a killed run goes on from.

A batch is a function of the epoch and the step alone, so a resumed run sees what an unbroken one would have seen.
"""

from __future__ import annotations

import math
import os
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from thymusimg.errors import DeviceError, ModelError
from thymusimg.networks.weights import fill
from thymusimg.progress import silent

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from thymusimg.progress import Progress

    Batch = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class Schedule:
    """How long and how fast is fitted.

    Attributes
    ----------
    epochs, steps : int
        At most so many epochs, of so many batches each.
    rate : float
        Highest learning rate (AdamW; Loshchilov and Hutter 2019); it rises over the first epoch and falls as a
        cosine to its hundredth.
    patience : int
        Epochs without a better validation score after which fitting stops.
    """

    epochs: int
    steps: int
    rate: float = 2e-3
    weight_decay: float = 1e-4
    patience: int = 10

    def rate_at(self, step: int) -> float:
        """Return the learning rate of the ``step``-th batch, counted over all epochs."""
        if step < self.steps:
            return self.rate * (step + 1) / self.steps
        part = min(1.0, (step - self.steps) / max(1, (self.epochs - 1) * self.steps))
        return self.rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * part)))


@dataclass
class Fit:
    """Where fitting stands: the basis of ``history.csv`` and of the model card."""

    history: list[dict[str, float]] = field(default_factory=list)
    best_score: float = -math.inf
    best_epoch: int = -1
    best: dict[str, torch.Tensor] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def epoch(self) -> int:
        """Epochs that are done."""
        return len(self.history)


def fit(
    module: torch.nn.Module,
    batch: Callable[[int, int], Batch],
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    validate: Callable[[torch.nn.Module], dict[str, float]],
    schedule: Schedule,
    *,
    checkpoint: Path,
    request: str,
    device: str = "cpu",
    progress: Progress = silent,
    told: Callable[[dict[str, float]], None] | None = None,
) -> Fit:
    """Fit a network until it is at its best on data that it does not see.

    Parameters
    ----------
    module : Module
        Fitted in place; at the end it holds the best weights.
    batch : callable
        ``batch(epoch, step)`` gives inputs ``(N, C, Y, X)`` and targets; the same every time it is asked.
    loss : callable
        ``loss(outputs, targets)`` gives a scalar.
    validate : callable
        Gives figures of the network in evaluation mode; ``"score"`` decides, the higher the better.
    schedule : Schedule
    checkpoint : Path
        File that keeps the state after every epoch; if it is there, fitting goes on from it.
    request : str
        Hash of everything the fit depends on; a checkpoint of another request is refused.
    told : callable, optional
        Called with the row of every epoch that ends.

    Raises
    ------
    ModelError
        If the checkpoint is of another request, or the loss is no number any more.
    DeviceError
        If the device's memory does not hold a batch.
    """
    module.to(device=torch.device(device), memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(module.parameters(), lr=schedule.rate, weight_decay=schedule.weight_decay)
    state = _resume(checkpoint, request, module, optimiser) if checkpoint.exists() else Fit()
    while state.epoch < schedule.epochs and state.epoch - state.best_epoch <= schedule.patience:
        start = time.perf_counter()
        try:
            row = _epoch(module, batch, loss, optimiser, schedule, state.epoch, device, progress)
        except torch.OutOfMemoryError:
            raise DeviceError(f"{device}: its memory does not hold one batch. Make --batch smaller.") from None
        module.eval()
        with torch.inference_mode():
            row |= validate(module)
        state.seconds += time.perf_counter() - start
        state.history.append(row | {"seconds": state.seconds})
        if row["score"] > state.best_score:
            state.best_score, state.best_epoch = row["score"], state.epoch - 1
            state.best = {name: value.detach().cpu().clone() for name, value in module.state_dict().items()}
        _keep(checkpoint, request, module, optimiser, state)
        if told is not None:
            told(state.history[-1])
    module.load_state_dict(state.best)
    return state


def _epoch(
    module: torch.nn.Module,
    batch: Callable[[int, int], Batch],
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    optimiser: torch.optim.Optimizer,
    schedule: Schedule,
    epoch: int,
    device: str,
    progress: Progress,
) -> dict[str, float]:
    module.train()
    total = 0.0
    for step in range(schedule.steps):
        for group in optimiser.param_groups:
            group["lr"] = schedule.rate_at(epoch * schedule.steps + step)
        given, wanted = (part.to(device) for part in batch(epoch, step))
        with torch.autocast(device.partition(":")[0], torch.bfloat16, enabled=_has_bfloat16(device)):
            out = module(given.contiguous(memory_format=torch.channels_last))
        value = loss(out.float(), wanted)
        if not torch.isfinite(value):
            raise ModelError(f"training: the loss is no number in epoch {epoch + 1}; lower --rate and start again.")
        optimiser.zero_grad(set_to_none=True)
        value.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), 5.0)
        optimiser.step()
        total += float(value.detach())
        progress(f"epoch {epoch + 1} of at most {schedule.epochs}", (step + 1) / schedule.steps)
    return {"epoch": float(epoch + 1), "loss": total / schedule.steps}


def _has_bfloat16(device: str) -> bool:
    if device != "cpu":
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported())  # noqa: SLF001


def _keep(path: Path, request: str, module: torch.nn.Module, optimiser: torch.optim.Optimizer, state: Fit) -> None:
    """Write the state in one step: a kill in between leaves the former one."""
    content = {"request": request, "module": module.state_dict(), "optimiser": optimiser.state_dict()} | asdict(
        state
    )
    part = path.with_suffix(".part")
    torch.save(content, part)
    with part.open("rb") as stream:
        os.fsync(stream.fileno())
    part.replace(path)


def _resume(path: Path, request: str, module: torch.nn.Module, optimiser: torch.optim.Optimizer) -> Fit:
    content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    if content["request"] != request:
        raise ModelError(
            f"{path}: is the checkpoint of a training with other data or settings. Use --restart to begin anew, or "
            "another --out."
        )
    fill(module, content["module"], path)
    optimiser.load_state_dict(content["optimiser"])
    return Fit(
        content["history"], content["best_score"], content["best_epoch"], content["best"], content["seconds"]
    )

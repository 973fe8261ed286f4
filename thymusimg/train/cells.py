"""A cell network from phantoms, or from cells that somebody annotated, to a model folder."""

from __future__ import annotations

import csv
import hashlib
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from thymusimg.cells.decode import Decoding
from thymusimg.cells.normalise import DAPI_PERCENTILES, SOFT_SD
from thymusimg.device import resolve_device
from thymusimg.models.card import Metric, ModelCard, Training, write_card
from thymusimg.networks.unet import UNet
from thymusimg.networks.weights import fill, read_weights, save_weights
from thymusimg.progress import silent
from thymusimg.provenance import now, versions
from thymusimg.train.cell_examples import draw_examples, example_of_annotation
from thymusimg.train.cell_fitting import ARCHITECTURE, PIXEL_UM, CellFit, PhantomCells
from thymusimg.train.cell_loss import cell_loss
from thymusimg.train.cell_patches import Ahead, Crops
from thymusimg.train.cell_scores import score_examples
from thymusimg.train.cell_targets import CLASSES, OFFSET_PX
from thymusimg.train.loop import fit
from thymusimg.train.nuclei import nuclei_examples
from thymusimg.train.split import split_animals

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from thymusimg.models.find import InstalledModel
    from thymusimg.progress import Progress
    from thymusimg.train.annotated import AnnotatedCells
    from thymusimg.train.cell_examples import CellExample
    from thymusimg.train.loop import Fit

CHECKPOINT, WEIGHTS, HISTORY = "checkpoint.pt", "weights.pt", "history.csv"
CHANNELS = ("cd45", "dapi")
SEEDS_A_RUN, VALIDATION_SEED = 10_000, 490_000
"""Phantoms to fit to begin at 10,000 times the seed of the training; those that choose the epoch lie 490,000 above.
Tests and validation use seeds below 10,000."""
OUR_LICENCE = "BSD-3-Clause"
_DECODING = Decoding()


@dataclass(frozen=True)
class _Data:
    train: list[CellExample]
    shares: list[float]
    stop: list[CellExample]
    held_out: list[CellExample]
    words: str
    note: str = ""
    train_animals: tuple[str, ...] = ()
    held_out_animals: tuple[str, ...] = ()


def train_cells(
    source: PhantomCells | Sequence[AnnotatedCells],
    out: Path,
    *,
    start: InstalledModel | None = None,
    settings: CellFit | None = None,
    architecture: dict[str, Any] | None = None,
    hold_out: Sequence[str] = (),
    seed: int = 1,
    device: str = "cpu",
    command: str = "",
    licence: str = "",
    progress: Progress = silent,
    told: Callable[[dict[str, float]], None] | None = None,
) -> Path:
    """Fit a cell network and write its model folder.

    A run that was killed goes on from its last epoch when it is called again with the same arguments.

    Parameters
    ----------
    source : PhantomCells or sequence of AnnotatedCells
        Annotated sections are split by animal.
    out : Path
        The model folder; its name becomes the model's.
    start : InstalledModel, optional
        Cell network whose weights are fine-tuned; without it they begin at random.
    settings : CellFit, optional
        Schedule and crops; a gentler schedule is the default where ``start`` is given.
    architecture : mapping, optional
        Arguments of the network; that of ``start``, or :data:`ARCHITECTURE`, where left out.
    hold_out : sequence of str
        Animals that are only looked at in the end; a quarter of them is drawn where left out.
    seed : int
    device : str
    command : str
        What the card says the model was made with.
    licence : str
        SPDX name of the weights' licence.
    progress, told : callable, optional
        ``told`` gets the row of every epoch.

    Returns
    -------
    Path
        The model folder, with ``model.toml``, ``weights.pt`` and ``history.csv``.

    Raises
    ------
    CallError
        If all sections are of one animal, or the nuclei are not where they should be.
    ModelError
        If ``start`` is another kind of network, or the checkpoint in ``out`` is of another training.
    DeviceError
        If the device is not there.
    """
    device = resolve_device(device)
    settings = settings or (CellFit.gentle() if start else CellFit())
    data = _gather(source, seed, hold_out, progress)
    torch.manual_seed(seed)
    if architecture is None:
        architecture = dict(start.card.architecture if start else ARCHITECTURE)
    module = UNet(len(CHANNELS), len(CLASSES), **architecture)
    stride = module.stride
    if start is not None:
        fill(module, read_weights(start.weights), start.weights)
    before = _figures(module, data.held_out, device) if start is not None else {}
    crops = Crops(data.train, data.shares, settings.side_px, settings.batch, seed)
    batches = Ahead(crops.batch, settings.schedule.steps)

    def judged(module: torch.nn.Module) -> dict[str, float]:
        return score_examples(module, data.stop, stride, _DECODING, device=device)

    out.mkdir(parents=True, exist_ok=True)
    try:
        state = fit(
            module, batches, cell_loss, judged, settings.schedule, checkpoint=out / CHECKPOINT,
            request=_request(data, settings, architecture, start, seed), device=device, progress=progress,
            told=told,
        )  # fmt: skip
    finally:
        batches.close()
    sha256, size = save_weights(out / WEIGHTS, state.best)
    _write_history(out / HISTORY, state)
    fill(module, read_weights(out / WEIGHTS), out / WEIGHTS)  # what is judged is what is kept: half precision
    module.eval()
    card = ModelCard(
        name=out.name, task="cells", kind="unet",
        summary="Human CD45+ cells from rings (or blobs) of CD45, with DAPI where there is one.",
        channels=CHANNELS, optional_channels=("dapi",), classes=CLASSES, pixel_size_um=PIXEL_UM,
        finest_pixel_um=0.1, coarsest_pixel_um=0.75, architecture=architecture, inference=inference(),
        weights=WEIGHTS, sha256=sha256, size_bytes=size,
        licence=licence or (start.card.licence if start else OUR_LICENCE), made=now(),
        training=Training(
            command=command, seed=seed, data=data.words, train_animals=data.train_animals,
            held_out_animals=data.held_out_animals, epochs=state.epoch, settings=settings.as_table(),
            versions=versions() | {"torch": torch.__version__}, minutes=round(state.seconds / 60, 1), device=device,
        ),
        metrics=_metrics(state, data, _figures(module, data.held_out, device), before),
    )  # fmt: skip
    write_card(out, card)
    (out / CHECKPOINT).unlink(missing_ok=True)
    return out


def inference() -> dict[str, Any]:
    """Return how the network's input was scaled and how its outputs are read, for the card."""
    return {
        "soft_sd": SOFT_SD, "dapi_percentiles": list(DAPI_PERCENTILES), "offset_px": OFFSET_PX,
        "foreground_threshold": _DECODING.foreground_threshold, "centre_threshold": _DECODING.centre_threshold,
        "join_px": _DECODING.join_px,
    }  # fmt: skip


def _gather(
    source: PhantomCells | Sequence[AnnotatedCells], seed: int, hold_out: Sequence[str], progress: Progress
) -> _Data:
    if isinstance(source, PhantomCells):
        return _phantoms(source, seed, progress)
    split = split_animals((s.animal for s in source), seed=seed, hold_out=hold_out)
    examples = [example_of_annotation(s, PIXEL_UM) for s in source]

    def of(animals: Sequence[str]) -> list[CellExample]:
        return [e for e in examples if e.animal in animals]

    train = of(split.train)
    cells = sum(s.cells for s in source if s.animal in split.train)
    words = f"{cells} annotated cells on {len(train)} sections of {len(split.train)} animals"
    # a bigger field has more to teach
    shares = [float(np.sqrt(e.labels.size)) for e in train]
    return _Data(train, shares, of(split.stop), of(split.held_out), words, split.note, split.train, split.held_out)


def _phantoms(source: PhantomCells, seed: int, progress: Progress) -> _Data:
    first = SEEDS_A_RUN * seed
    with tempfile.TemporaryDirectory() as temporary:
        cache = source.cache or Path(temporary)
        train, stop = (
            draw_examples(range(a, a + n), cache, PIXEL_UM, processes=source.workers, progress=progress)
            for a, n in ((first, source.count), (first + VALIDATION_SEED, source.stop_by))
        )
    words = f"{len(train)} synthetic sections of thymusimg's own two generators ({OUR_LICENCE})"
    shares = [1.0] * len(train)
    if source.nuclei is not None and source.nuclei_share > 0:
        nuclei = nuclei_examples(source.nuclei, seed)
        words += (
            f"; {len(nuclei) // 2} images of real nuclei of the Data Science Bowl 2018 (BBBC038, CC0), as filled "
            "cells and with synthetic membranes"
        )
        share = source.nuclei_share * len(train) / (1 - source.nuclei_share) / len(nuclei)
        train, shares = train + nuclei, shares + [share] * len(nuclei)
    return _Data(train, shares, stop, [], words, f"{len(stop)} other phantoms, which also chose the best epoch")


def _request(
    data: _Data, settings: CellFit, architecture: dict[str, Any], start: InstalledModel | None, seed: int
) -> str:
    values = settings.as_table() | {"seed": seed, "architecture": architecture, "shares": data.shares}
    values["start"] = start.card.sha256 if start else ""
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode())
    for example in (*data.train, *data.stop):
        digest.update(example.name.encode())
        for plane in (example.cd45, example.dapi, example.labels):
            digest.update(b"" if plane is None else np.ascontiguousarray(plane).tobytes())
    return digest.hexdigest()


def _figures(module: UNet, examples: Sequence[CellExample], device: str) -> dict[str, float]:
    if not examples:
        return {}
    module.eval()
    return score_examples(module, examples, module.stride, _DECODING, device=device)


def _metrics(state: Fit, data: _Data, after: dict[str, float], before: dict[str, float]) -> tuple[Metric, ...]:
    """Return the figures of the card: on the held-out animals, or, of phantoms, on those that chose the epoch."""
    row = after or state.history[state.best_epoch]
    where = f"held-out animals {', '.join(data.held_out_animals)}" if after else ""
    on = "; ".join(part for part in (where, data.note) if part)
    names = {"f1": "F1 at IoU 0.5", "count_error": "mean relative error of the count"}
    return tuple(
        Metric(
            name=words, value=round(row[name], 4), on=on,
            before=round(before[name], 4) if np.isfinite(before.get(name, np.nan)) else None,
        )
        for name, words in names.items()
        if np.isfinite(row[name])
    )  # fmt: skip


def _write_history(path: Path, state: Fit) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(state.history[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: f"{value:.6g}" for name, value in row.items()} for row in state.history)

"""A compartment network from phantoms, or from sections that somebody annotated, to a model folder."""

from __future__ import annotations

import csv
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from thymusimg.compartments.network import CHANNELS, CLASSES, PIXEL_UM
from thymusimg.device import resolve_device
from thymusimg.models.card import Metric, ModelCard, Training, write_card
from thymusimg.networks.unet import UNet
from thymusimg.networks.weights import fill, read_weights, save_weights
from thymusimg.progress import silent
from thymusimg.provenance import now, versions
from thymusimg.settings.compartments import CompartmentSettings
from thymusimg.train.compartment_fitting import ARCHITECTURE, CompartmentFit, segmentation_loss, validation
from thymusimg.train.compartment_patches import draw_batch
from thymusimg.train.compartment_phantoms import draw_sections
from thymusimg.train.compartment_sections import TrainingSection, as_training_section
from thymusimg.train.loop import Fit, fit
from thymusimg.train.split import split_animals

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from thymusimg.models.find import InstalledModel
    from thymusimg.progress import Progress
    from thymusimg.train.annotated import AnnotatedCompartments

CHECKPOINT = "checkpoint.pt"
WEIGHTS = "weights.pt"
HISTORY = "history.csv"
OUR_LICENCE = "BSD-3-Clause"
_VALIDATION_SEED = 1  # added to the seed of a training: other phantoms


@dataclass(frozen=True)
class PhantomSections:
    """Phantoms to fit to, drawn from the seed of the training.

    Attributes
    ----------
    count, stop_by : int
        Sections that the weights are fitted to, and others that choose the best epoch.
    cache : Path, optional
        Folder that keeps drawn sections.
    workers : int
        Processes that draw.
    """

    count: int = 140
    stop_by: int = 14
    cache: Path | None = None
    workers: int = 1


@dataclass(frozen=True)
class _Data:
    train: list[TrainingSection]
    stop: list[TrainingSection]
    words: str
    note: str
    train_animals: tuple[str, ...] = ()
    held_out_animals: tuple[str, ...] = ()


def train_compartments(
    source: PhantomSections | Sequence[AnnotatedCompartments],
    out: Path,
    *,
    start: InstalledModel | None = None,
    settings: CompartmentFit | None = None,
    hold_out: Sequence[str] = (),
    seed: int = 1,
    device: str = "cpu",
    command: str = "",
    licence: str = "",
    progress: Progress = silent,
    told: Callable[[dict[str, float]], None] | None = None,
) -> Path:
    """Fit a compartment network and write its model folder.

    A run that was killed goes on from its last epoch when it is called again with the same arguments.

    Parameters
    ----------
    source : PhantomSections or sequence of AnnotatedCompartments
        Annotated sections are split by animal.
    out : Path
        The model folder; its name becomes the model's.
    start : InstalledModel, optional
        Compartment network whose weights are fine-tuned; without it they begin at random.
    settings : CompartmentFit, optional
        Schedule, patches and architecture; a gentler schedule is the default where ``start`` is given.
    hold_out : sequence of str
        Animals that are only looked at in the end; a quarter of them is drawn where left out.
    seed : int
    device : str
    command : str
        What the card says the model was made with.
    licence : str
        SPDX name of the weights' licence; where left out, that of ``start``, or of the phantoms.
    progress, told : callable, optional
        ``told`` gets the row of every epoch.

    Returns
    -------
    Path
        The model folder, with ``model.toml``, ``weights.pt`` and ``history.csv``.

    Raises
    ------
    CallError
        If all sections are of one animal.
    ModelError
        If ``start`` is another kind of network, or the checkpoint in ``out`` is of another training.
    DeviceError
        If the device is not there.
    """
    device = resolve_device(device)
    settings = settings or (CompartmentFit.gentle() if start else CompartmentFit())
    data = _gather(source, seed, hold_out, progress)
    torch.manual_seed(seed)
    architecture = dict(start.card.architecture) if start else dict(ARCHITECTURE)
    module = UNet(len(CHANNELS), len(CLASSES), **architecture)
    if start is not None:
        fill(module, read_weights(start.weights), start.weights)

    def batch(epoch: int, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        given, wanted = draw_batch(data.train, settings.batch, settings.side_px, seed, epoch, step)
        return torch.from_numpy(given), torch.from_numpy(wanted)

    out.mkdir(parents=True, exist_ok=True)
    state = fit(
        module, batch, segmentation_loss, validation(data.stop, device), settings.schedule,
        checkpoint=out / CHECKPOINT, request=_request(data, settings, architecture, start, seed), device=device,
        progress=progress, told=told,
    )  # fmt: skip
    sha256, size = save_weights(out / WEIGHTS, state.best)
    _write_history(out / HISTORY, state)
    card = ModelCard(
        name=out.name, task="compartments", kind="unet",
        summary="Cortex, medulla and indeterminate tissue from K14 and K8.",
        channels=CHANNELS, classes=tuple(code.name.lower() for code in CLASSES), pixel_size_um=PIXEL_UM,
        finest_pixel_um=0.9, coarsest_pixel_um=2.5, architecture=architecture, weights=WEIGHTS, sha256=sha256,
        size_bytes=size, licence=licence or _licence(source, start), made=now(),
        training=Training(
            command=command, seed=seed, data=data.words, train_animals=data.train_animals,
            held_out_animals=data.held_out_animals, epochs=state.epoch, settings=settings.as_table(),
            versions=versions() | {"torch": torch.__version__}, minutes=round(state.seconds / 60, 1), device=device,
        ),
        metrics=_validation_metrics(state, data),
    )  # fmt: skip
    write_card(out, card)
    (out / CHECKPOINT).unlink(missing_ok=True)
    return out


def _gather(
    source: PhantomSections | Sequence[AnnotatedCompartments],
    seed: int,
    hold_out: Sequence[str],
    progress: Progress,
) -> _Data:
    if isinstance(source, PhantomSections):
        train, stop = (
            draw_sections(count, number, cache=source.cache, workers=source.workers, progress=progress)
            for count, number in ((source.count, seed), (source.stop_by, seed + _VALIDATION_SEED))
        )
        words = f"{len(train)} synthetic sections of thymusimg's own two generators (BSD-3-Clause)"
        return _Data(train, stop, words, f"{len(stop)} other phantoms, which also chose the best epoch")
    split = split_animals((s.animal for s in source), seed=seed, hold_out=hold_out)
    sections = {s.section_id: _prepared(s) for s in source}

    def of(animals: Sequence[str]) -> list[TrainingSection]:
        return [sections[s.section_id] for s in source if s.animal in animals]

    train = of(split.train)
    words = f"{len(train)} annotated sections of {len(split.train)} animals"
    return _Data(train, of(split.stop), words, split.note, split.train, split.held_out)


def _prepared(section: AnnotatedCompartments) -> TrainingSection:
    return as_training_section(
        section.section_id, section.animal, section.planes, section.tissue, section.grid, section.labels,
        CompartmentSettings(),
    )  # fmt: skip


def _request(
    data: _Data, settings: CompartmentFit, architecture: dict[str, Any], start: InstalledModel | None, seed: int
) -> str:
    digest = hashlib.sha256()
    values = settings.as_table() | {"seed": seed, "architecture": architecture}
    values["start"] = start.card.sha256 if start else ""
    digest.update(json.dumps(values, sort_keys=True).encode())
    for section in (*data.train, *data.stop):
        digest.update(section.name.encode())
        for plane in (section.k14, section.k8, section.where, section.wanted):
            digest.update(np.ascontiguousarray(plane).tobytes())
    return digest.hexdigest()


def _write_history(path: Path, state: Fit) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(state.history[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: f"{value:.6g}" for name, value in row.items()} for row in state.history)


def _validation_metrics(state: Fit, data: _Data) -> tuple[Metric, ...]:
    row = state.history[state.best_epoch]
    on = data.note or f"{len(data.stop)} sections of other animals, which chose the best epoch"
    return tuple(
        Metric(name=f"Dice {name.removeprefix('dice_')}", value=round(value, 4), on=on)
        for name, value in row.items()
        if name.startswith("dice_") and np.isfinite(value)
    )


def _licence(source: PhantomSections | Sequence[AnnotatedCompartments], start: InstalledModel | None) -> str:
    if start is not None:
        return start.card.licence
    return OUR_LICENCE if isinstance(source, PhantomSections) else "LicenseRef-annotations"

"""A training from the call to the model folder: read, split, fit, judge, write."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from thymusimg.device import resolve_device
from thymusimg.errors import CallError, ModelError
from thymusimg.models.card import read_card
from thymusimg.models.find import DEFAULTS, InstalledModel, find_model, list_models
from thymusimg.train.annotated_forest import train_forest
from thymusimg.train.cell_fitting import CellFit, PhantomCells
from thymusimg.train.cells import train_cells
from thymusimg.train.claim import claimed
from thymusimg.train.compartment_fitting import CompartmentFit
from thymusimg.train.compartments import PhantomSections, train_compartments
from thymusimg.train.finders import CLASSICAL, KERATIN, cell_finder, compartment_finder
from thymusimg.train.finish import finish_cells, finish_compartments, read_history, write_beside
from thymusimg.train.folder import find_annotations
from thymusimg.train.phantom_forest import train_phantom_forest
from thymusimg.train.reading import read_annotated_cells, read_annotated_compartments
from thymusimg.train.split import split_animals
from thymusimg.train.suitable import refuse_unsuitable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from thymusimg.models.card import Task
    from thymusimg.train.annotated import AnnotatedCells, AnnotatedCompartments
    from thymusimg.train.claim import Claim
    from thymusimg.train.finish import Finished
    from thymusimg.train.split import Split

PHANTOMS_NOTE = "Synthetic sections prove code, not biology: look at what it finds on your own slides."


class Listener(Protocol):
    """Told what a training does, as it does it."""

    def say(self, text: str) -> None:
        """Hear one plain line."""

    def progress(self, stage: str, fraction: float) -> None:
        """Hear how far a stage is."""

    def begin(self, epochs: int, kept: Sequence[dict[str, float]]) -> None:
        """Hear that fitting begins, for at most so many epochs, after those that are kept."""

    def epoch(self, row: dict[str, float]) -> None:
        """Hear that an epoch is done."""


@dataclass(frozen=True)
class TrainingCall:
    """What was asked for.

    Attributes
    ----------
    folder : Path or None
        Annotated sections; None to train on ``phantoms`` synthetic sections.
    start : str
        Model to begin with: a name or folder, ``none`` to begin at random, or ``""``: the shipped one for annotated
        sections if it is installed, else none.
    epochs, rate, batch, patience
        In place of the recipe's own, where given.
    """

    task: Task
    out: Path
    folder: Path | None = None
    phantoms: int | None = None
    nuclei: Path | None = None
    method: str = "network"
    start: str = ""
    epochs: int | None = None
    rate: float | None = None
    batch: int | None = None
    patience: int | None = None
    seed: int = 1
    device: str = "auto"
    hold_out: tuple[str, ...] = ()
    licence: str = ""
    name: str = ""
    restart: bool = False
    command: str = ""

    def request(self, start: InstalledModel | None, device: str) -> dict[str, Any]:
        """Return what a second call must ask for too, to go on with the first."""
        plain = {
            "task": self.task, "method": self.method, "phantoms": self.phantoms, "epochs": self.epochs,
            "rate": self.rate, "batch": self.batch, "patience": self.patience, "seed": self.seed,
            "hold-out": sorted(self.hold_out),
        }  # fmt: skip
        paths = {"folder": self.folder, "nuclei": self.nuclei}
        plain |= {key: None if path is None else str(path.resolve()) for key, path in paths.items()}
        return plain | {"from": None if start is None else start.card.sha256, "device": device.partition(":")[0]}


def run_training(call: TrainingCall, listener: Listener) -> Finished | InstalledModel:
    """Train a model, or go on with a training that was stopped.

    Returns
    -------
    Finished or InstalledModel
        The latter after phantoms, and where the same training was finished before.

    Raises
    ------
    CallError
        If the call contradicts itself, or the annotations do not suffice.
    ModelError
        If the model to begin with does not fit, or a checkpoint is another training's.
    SectionError
        If a section cannot be read.
    OutputError
        If the folder cannot be used.
    """
    _check(call)
    device = resolve_device(call.device)
    start = _start(call, listener)
    found = None if call.folder is None else find_annotations(call.folder, call.task)
    with claimed(call.out, call.request(start, device), restart=call.restart) as claim:
        if claim.finished:
            listener.say(f"{call.out}: this training is finished. --restart does it again.")
            return InstalledModel(call.out, read_card(call.out))
        if found is None:
            return _on_phantoms(call, claim, device, start, listener)
        for note in found.notes:
            listener.say(f"Note: {note}")
        work = _Work(call, claim, device, start, listener)
        if call.task == "cells":
            return work.cells(read_annotated_cells(found, progress=listener.progress))
        return work.compartments(read_annotated_compartments(found, progress=listener.progress))


@dataclass(frozen=True)
class _Work:
    """A training on annotated sections."""

    call: TrainingCall
    claim: Claim
    device: str
    start: InstalledModel | None
    listener: Listener

    def cells(self, sections: tuple[AnnotatedCells, ...]) -> Finished:
        amount = f"{sum(s.cells for s in sections):,} cells on {sum(s.area_mm2 for s in sections):.3g} mm²"
        split = self.introduce(sections, amount)
        if not any(s.cells for s in sections if s.animal in split.train):
            raise CallError(
                f"no cell was drawn on the animals to train on ({', '.join(split.train)}); choose others to hold "
                "out with --hold-out ANIMAL."
            )
        if not self.claim.trained:
            settings = _settings(self.call, CellFit.gentle() if self.start else CellFit())
            self.fit(train_cells, sections, settings)
        return finish_cells(
            self.call.out, [s for s in sections if s.animal in split.held_out],
            cell_finder(self.start, self.device), cell_finder(self.model, self.device),
            began_with=self.began_with(CLASSICAL), name=self.call.name, notes=self.notes(sections, split),
            progress=self.listener.progress,
        )  # fmt: skip

    def compartments(self, sections: tuple[AnnotatedCompartments, ...]) -> Finished:
        split = self.introduce(sections, f"{sum(s.area_mm2 for s in sections):.3g} mm² of compartments")
        own = {code for s in sections if s.animal not in split.held_out for code in s.classes}
        if len(own) < 2:
            raise CallError(
                f"the animals to train on show {', '.join(c.name.lower() for c in own) or 'no compartment'} only; "
                "draw another compartment on them too, or choose others to hold out with --hold-out ANIMAL."
            )
        if not self.claim.trained and self.call.method == "forest":
            train_forest(
                sections, self.call.out, hold_out=split.held_out, seed=self.call.seed, command=self.call.command,
                licence=self.call.licence or "LicenseRef-annotations", progress=self.listener.progress,
            )  # fmt: skip
        elif not self.claim.trained:
            settings = _settings(self.call, CompartmentFit.gentle() if self.start else CompartmentFit())
            self.fit(train_compartments, sections, settings)
        return finish_compartments(
            self.call.out, [s for s in sections if s.animal in split.held_out],
            compartment_finder(self.start, self.device), compartment_finder(self.model, self.device),
            began_with=self.began_with(KERATIN), name=self.call.name, notes=self.notes(sections, split),
            progress=self.listener.progress,
        )  # fmt: skip

    def introduce(self, sections: Sequence[AnnotatedCells] | Sequence[AnnotatedCompartments], amount: str) -> Split:
        """Say what is trained on; refuse what the model to begin with was not made for."""
        if self.start is not None:
            refuse_unsuitable(self.start.card, sections)
        split = split_animals((s.animal for s in sections), seed=self.call.seed, hold_out=self.call.hold_out)
        say = self.listener.say
        animals = len({s.animal for s in sections})
        say(f"{len(sections)} annotated sections of {animals} animals: {amount}.")
        for section in sections:
            for note in section.notes:
                say(f"Note: {note}.")
        fitted = split.train
        if self.call.method == "forest":  # it has no epochs to choose
            fitted = tuple(sorted({s.animal for s in sections} - set(split.held_out)))
        say(f"Trained on: {', '.join(fitted)}. Held out: {', '.join(split.held_out)}.")
        if self.call.method != "forest":
            say(f"Best epoch chosen by: {', '.join(split.stop)}." + (f" Note: {split.note}." if split.note else ""))
        return split

    def fit(self, train: Any, sections: Sequence[Any], settings: Any) -> None:
        fit_network(self.call, self.claim, self.device, self.start, self.listener, train, sections, settings)

    @property
    def model(self) -> InstalledModel:
        """What came out."""
        return InstalledModel(self.call.out, read_card(self.call.out))

    def began_with(self, method: str) -> str:
        return method if self.start is None else f"'{self.start.card.name}'"

    def notes(
        self, sections: Sequence[AnnotatedCells] | Sequence[AnnotatedCompartments], split: Split
    ) -> list[str]:
        own = [split.note] if split.note and self.call.method != "forest" else []
        return [*own, *(note for section in sections for note in section.notes)]


def fit_network(
    call: TrainingCall,
    claim: Claim,
    device: str,
    start: InstalledModel | None,
    listener: Listener,
    train: Any,
    source: Any,
    settings: Any,
) -> None:
    """Fit with a recipe, tell every epoch, and say why it ended."""
    listener.begin(settings.schedule.epochs, claim.kept)
    train(
        source, call.out, start=start, settings=settings, hold_out=call.hold_out, seed=call.seed, device=device,
        command=call.command, licence=call.licence, progress=listener.progress, told=listener.epoch,
    )  # fmt: skip
    rows = read_history(call.out / "history.csv")
    best = max(rows, key=lambda row: row["score"])
    if len(rows) < settings.schedule.epochs:
        listener.say(
            f"Stopped early after {len(rows)} epochs: no better validation score in {settings.schedule.patience}."
        )
    listener.say(f"The weights of epoch {best['epoch']:.0f} are kept (validation score {best['score']:.3f}).")


def _on_phantoms(
    call: TrainingCall, claim: Claim, device: str, start: InstalledModel | None, listener: Listener
) -> InstalledModel:
    count = call.phantoms or 1
    stop_by = max(4, min(30, count // 10))
    kept = call.out.with_name(f".{call.out.name}-sections")  # a second call need not draw them again
    if call.method == "forest" and call.task == "compartments":
        train_phantom_forest(
            call.out, count=count, judged_on=max(4, count // 4), seed=call.seed, command=call.command,
            progress=listener.progress,
        )  # fmt: skip
    elif call.task == "cells":
        cells = PhantomCells(count, min(16, stop_by), call.nuclei, cache=kept)
        settings: Any = _settings(call, CellFit.gentle() if start else CellFit())
        if not claim.trained:
            fit_network(call, claim, device, start, listener, train_cells, cells, settings)
    else:
        sections = PhantomSections(count, stop_by, cache=kept)
        settings = _settings(call, CompartmentFit.gentle() if start else CompartmentFit())
        if not claim.trained:
            fit_network(call, claim, device, start, listener, train_compartments, sections, settings)
    shutil.rmtree(kept, ignore_errors=True)
    card = read_card(call.out)
    card = card.model_copy(update={"name": call.name or card.name})
    write_beside(call.out, card, [PHANTOMS_NOTE])
    return InstalledModel(call.out, card)


def _check(call: TrainingCall) -> None:
    if (call.folder is None) == (call.phantoms is None):
        raise CallError("train: give either a folder of annotated sections or --phantoms COUNT.")
    if call.nuclei is not None and (call.phantoms is None or call.task != "cells"):
        raise CallError("--nuclei goes with 'train cells --phantoms COUNT' only.")
    if call.hold_out and call.phantoms is not None:
        raise CallError("--hold-out names animals; synthetic sections have none.")
    if call.method == "forest":
        given = [name for name in ("start", "epochs", "rate", "batch", "patience") if getattr(call, name)]
        if given:
            option = "from" if given[0] == "start" else given[0]
            raise CallError(f"--{option}: a forest is fitted at once; it has no epochs and begins with no model.")


def _start(call: TrainingCall, listener: Listener) -> InstalledModel | None:
    if call.method == "forest" or call.start == "none" or (not call.start and call.phantoms is not None):
        return None
    if not call.start:
        shipped = DEFAULTS[call.task]["network"]
        if not any(model.card.name == shipped for model in list_models()[0]):
            listener.say(f"Note: '{shipped}' is not installed; the network begins at random.")
            return None
    model = find_model(call.start or "network", call.task)
    if model.card.kind != "unet":
        raise ModelError(f"--from {call.start}: a model of kind '{model.card.kind}' cannot be trained further.")
    return model


def _settings(call: TrainingCall, settings: Any) -> Any:
    """Return a recipe's settings with what the call gave in their place."""
    given = {"epochs": call.epochs, "rate": call.rate, "patience": call.patience}
    schedule = replace(settings.schedule, **{key: value for key, value in given.items() if value is not None})
    changed = replace(settings, schedule=schedule)
    return changed if call.batch is None else replace(changed, batch=call.batch)

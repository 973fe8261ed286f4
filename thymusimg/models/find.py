"""Where trained models are kept, and which of them a name means. Nothing is ever fetched."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from thymusimg.errors import ModelError
from thymusimg.models.card import CARD, ModelCard, Task, read_card
from thymusimg.provenance import sha256_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

VARIABLE = "THYMUSIMG_MODELS"
"""Environment variable with further folders of models, separated as in PATH."""

DEFAULTS: dict[Task, dict[str, str]] = {
    "cells": {"network": "cells-rings"},
    "compartments": {"network": "compartments-net", "forest": "compartments-forest"},
}
"""The shipped model that each general name of a method stands for."""


@dataclass(frozen=True)
class InstalledModel:
    """A model folder and its card."""

    folder: Path
    card: ModelCard

    @property
    def weights(self) -> Path:
        """Path of the weights."""
        return self.folder / self.card.weights

    @property
    def identity(self) -> str:
        """Name and hash, as provenance records them."""
        return f"{self.card.name} {self.card.version} sha256:{self.card.sha256}"


def model_folders() -> list[Path]:
    """Return the folders that are searched: the user's own first, then what ships with thymusimg."""
    own = [Path(part).expanduser() for part in os.environ.get(VARIABLE, "").split(os.pathsep) if part]
    package = Path(__file__).resolve().parents[1]
    # a wheel carries the models inside the package, a clone beside it
    return [*own, Path("~/.thymusimg/models").expanduser(), package / "_models", package.parent / "models"]


def list_models() -> tuple[list[InstalledModel], list[str]]:
    """Return every model that is installed, the first of each name, and what is wrong with the others."""
    found: dict[str, InstalledModel] = {}
    faults: list[str] = []
    for folder in _candidates():
        try:
            card = read_card(folder)
        except ModelError as error:
            faults.append(str(error))
            continue
        found.setdefault(card.name, InstalledModel(folder, card))
    return sorted(found.values(), key=lambda model: (model.card.task, model.card.name)), faults


def find_model(wanted: str, task: Task, methods: Iterable[str] = ()) -> InstalledModel:
    """Return the model that a method name, a model's name or a model folder means, its weights verified.

    Parameters
    ----------
    wanted : str
        ``network`` or ``forest`` (the shipped model), a model's name as ``thymusimg models`` lists it, or the path
        of a model folder.
    task : str
        ``cells`` or ``compartments``.
    methods : iterable of str
        What else the caller would have understood, for the message.

    Raises
    ------
    ModelError
        If there is no such model, it is made for another task, or its weights are not those of its card.
    """
    name = DEFAULTS[task].get(wanted, wanted)
    model = _by_path(name) if _is_path(name) else _by_name(name, task, methods)
    if model.card.task != task:
        raise ModelError(
            f"--{task} {wanted}: '{model.card.name}' is a model for {model.card.task}, not for {task}."
        )
    verify(model)
    return model


def verify(model: InstalledModel) -> None:
    """Check that the weights are those of the card.

    Raises
    ------
    ModelError
        If the file is missing, truncated or another one.
    """
    path, card = model.weights, model.card
    if not path.is_file():
        raise ModelError(f"{path}: the weights of '{card.name}' are missing. Copy the model folder again.")
    status = path.stat()
    if status.st_size != card.size_bytes:
        raise ModelError(
            f"{path}: has {status.st_size:,} bytes where the card says {card.size_bytes:,}; the file "
            "is truncated or another one. Copy the model folder again."
        )
    if (found := _hash(path, status.st_mtime_ns, status.st_size)) != card.sha256:
        raise ModelError(
            f"{path}: its sha256 is {found[:12]}…, the card of '{card.name}' says {card.sha256[:12]}…; these are "
            "other weights. Copy the model folder again."
        )


@cache
def _hash(path: Path, changed: int, size: int) -> str:
    del changed, size  # a changed file is hashed again
    return sha256_of(path)


def _candidates() -> Iterator[Path]:
    for parent in model_folders():
        if parent.is_dir():
            yield from sorted(child for child in parent.iterdir() if (child / CARD).is_file())


def _is_path(wanted: str) -> bool:
    return os.sep in wanted or "/" in wanted or (Path(wanted) / CARD).is_file()


def _by_path(wanted: str) -> InstalledModel:
    folder = Path(wanted).expanduser()
    folder = folder.parent if folder.name == CARD else folder
    if not folder.is_dir():
        raise ModelError(f"{wanted}: there is no such model folder.")
    return InstalledModel(folder, read_card(folder))


def _by_name(name: str, task: Task, methods: Iterable[str]) -> InstalledModel:
    models, _ = list_models()
    for model in models:
        if model.card.name == name:
            return model
    names = [*methods, *(m.card.name for m in models if m.card.task == task)]
    raise ModelError(
        f"--{task} {name}: no such method or model is installed (found: {', '.join(names) or 'none'}). "
        "'thymusimg models' lists what there is; a model folder can be given by its path."
    )

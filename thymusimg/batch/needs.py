"""What a study needs of its workers: files, models, and whether a network runs at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thymusimg.batch.probe import Requirement, sizes, source_digest
from thymusimg.errors import ModelError
from thymusimg.models.find import find_model

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from thymusimg.models.card import ModelCard, Task
    from thymusimg.settings import Settings
    from thymusimg.study.design import SectionRow

WITHOUT_MODEL = ("keratin", "classical", "none")
"""Methods that need no trained model."""
ALWAYS_THERE: Mapping[Task, tuple[str, ...]] = {"compartments": ("keratin",), "cells": ("classical", "none")}
"""Those of each task, which need no look whether they are installed."""
ON_CPU = ("forest",)
"""Kinds of models that use no device."""


def requirement(
    settings: Settings, rows: Sequence[SectionRow], out: Path, token: str, *, elsewhere: bool
) -> Requirement:
    """Return what every worker of a study must have; ``elsewhere``: it may run on another machine."""
    files = [file for row in rows for file in (*row.files, *((row.roi,) if row.roi else ()))]
    models, network = models_of(settings)
    source = source_digest() if elsewhere else ""
    return Requirement(sizes(files), str(out.resolve()), token, models, network, source=source)


def check(settings: Settings) -> None:
    """Refuse a method that is not installed; see :func:`thymusimg.pipeline.check_methods`.

    Methods without a model are always there: to know that, nothing is loaded.
    """
    wanted: dict[Task, str] = {"compartments": settings.compartments.method, "cells": settings.cells.method}
    if all(method in ALWAYS_THERE[task] for task, method in wanted.items()):
        return
    from thymusimg.pipeline import check_methods

    check_methods(settings)


def models_of(settings: Settings) -> tuple[dict[Task, tuple[str, str]], bool]:
    """Return method and SHA-256 of every model that the settings name, and whether one of them is a network.

    A method that is no model of ours (one that another package registered) is taken for a network: whether it uses
    the device is not known, and a device that was asked for must not stay unused in silence.
    """
    wanted: dict[Task, str] = {"compartments": settings.compartments.method, "cells": settings.cells.method}
    models: dict[Task, tuple[str, str]] = {}
    for task, method in wanted.items():
        card = None if method in WITHOUT_MODEL else _card(method, task)
        if card is not None:
            models[task] = (method, card.sha256)
    return models, any(needs_network(method, task) for task, method in wanted.items())


def needs_network(method: str, task: Task) -> bool:
    """Whether a method runs a network, so that it matters on which device."""
    if method in WITHOUT_MODEL:
        return False
    card = _card(method, task)
    return card is None or card.kind not in ON_CPU


def _card(method: str, task: Task) -> ModelCard | None:
    try:
        return find_model(method, task).card
    except ModelError:
        return None

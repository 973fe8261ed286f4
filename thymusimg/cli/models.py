"""The command that says which trained models are there, what they are for, and whether they are whole."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from thymusimg.errors import ModelError, ThymusimgError
from thymusimg.models.find import DEFAULTS, list_models, verify

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thymusimg.models.card import Metric, ModelCard
    from thymusimg.models.find import InstalledModel

HEADER = ("name", "task", "kind", "channels", "µm/px", "size", "sha256", "licence")
SHOWN_METRICS = 3
"""So many figures of a model stand in the list; the card has all."""


def models(
    name: Annotated[
        Optional[str],  # noqa: UP045  typer reads the annotation at run time
        typer.Argument(help="A model's name: show its whole card."),
    ] = None,
    check: Annotated[
        bool, typer.Option("--verify", help="Hash every weight file and load it; exit status 2 if one is bad.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the methods without training and the trained models: task, size, hash, licence, figures."""
    found, broken = list_models()
    if name is not None:
        found, broken = [_named(found, name)], []
    faults = _faults(found) if check else {}
    if as_json:
        typer.echo(json.dumps(_as_json(found, broken, faults, check), indent=1, ensure_ascii=False))
    else:
        lines = _card_lines(found[0]) if name is not None else _list_lines(found)
        for line in (*lines, *_verdicts(found, broken, faults, check)):
            typer.echo(line)
    if check and (faults or broken):
        raise typer.Exit(2)


def _named(found: Sequence[InstalledModel], name: str) -> InstalledModel:
    wanted = {name, *(names[name] for names in DEFAULTS.values() if name in names)}
    for model in found:
        if model.card.name in wanted:
            return model
    there = ", ".join(model.card.name for model in found) or "none"
    raise ModelError(f"models {name}: no model of that name is installed (found: {there}).")


def _list_lines(found: Sequence[InstalledModel]) -> list[str]:
    from thymusimg.cells.segmenters import segmenter_names
    from thymusimg.pipeline import CELL_METHODS, COMPARTMENT_METHODS

    lines = [
        "Methods without training: --compartments " + ", ".join(COMPARTMENT_METHODS)
        + " · --cells " + ", ".join((*CELL_METHODS, "none")),
    ]  # fmt: skip
    foreign = segmenter_names()
    if foreign:
        lines.append("Segmenters of other packages: --cells " + ", ".join(foreign))
    if not found:
        return [*lines, "Trained models: none is installed."]
    lines += ["Trained models (give the name to --cells or --compartments):", ""]
    rows = [HEADER, *(_row(model.card) for model in found)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADER))]
    lines += ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.append("")
    for model in found:
        lines += [f"{model.card.name}: {line}" for line in _short(model.card)]
    return lines


def _row(card: ModelCard) -> tuple[str, ...]:
    channels = " ".join(f"[{c}]" if c in card.optional_channels else c for c in card.channels)
    size = f"{card.size_bytes / 1e6:.2f} MB"
    px = f"{card.pixel_size_um:g}"
    return card.name, card.task, card.kind, channels, px, size, card.sha256[:12], card.licence


def _short(card: ModelCard) -> list[str]:
    general = next((f"--{card.task} {short}" for short, n in DEFAULTS[card.task].items() if n == card.name), "")
    lines = [f"{card.summary}{f' ({general})' if general else ''}"] if card.summary or general else []
    lines += [_figure(metric) for metric in card.metrics[:SHOWN_METRICS]]
    left = len(card.metrics) - SHOWN_METRICS
    return lines + ([f"and {left} further figures: thymusimg models {card.name}"] if left > 0 else [])


def _figure(metric: Metric) -> str:
    before = "" if metric.before is None else f" (before training: {metric.before:.3f})"
    return f"{metric.name} {metric.value:.3f}{before}, on {metric.on}"


def _card_lines(model: InstalledModel) -> list[str]:
    card = model.card
    values = card.model_dump(mode="json", exclude_none=True, exclude={"metrics", "training"})
    lines = [f"{key}: {_plain(value)}" for key, value in values.items() if value not in ("", [], {})]
    lines.append(f"folder: {model.folder}")
    if card.metrics:
        lines += ["", "metrics:", *(f"  {_figure(metric)}" for metric in card.metrics)]
    if card.training is not None:
        training = card.training.model_dump(mode="json", exclude_none=True)
        lines += ["", "training:"]
        lines += [f"  {key}: {_plain(value)}" for key, value in training.items() if value not in ("", [], {})]
    return lines


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} = {_plain(inner)}" for key, inner in value.items())
    return ", ".join(map(_plain, value)) if isinstance(value, list) else str(value)


def _verdicts(
    found: Sequence[InstalledModel], broken: Sequence[str], faults: dict[str, str], check: bool
) -> list[str]:
    lines = [f"Broken: {fault}" for fault in broken]
    if check:
        for model in found:
            fault = faults.get(model.card.name)
            lines.append(f"{model.card.name}: BAD: {fault}" if fault else f"{model.card.name}: verified, loads")
    return ["", *lines] if lines else []


def _as_json(
    found: Sequence[InstalledModel], broken: Sequence[str], faults: dict[str, str], check: bool
) -> dict[str, Any]:
    from thymusimg.pipeline import CELL_METHODS, COMPARTMENT_METHODS

    listed = []
    for model in found:
        entry = model.card.model_dump(mode="json", exclude_none=True) | {"folder": str(model.folder)}
        if check:
            entry |= {"verified": model.card.name not in faults, "fault": faults.get(model.card.name, "")}
        listed.append(entry)
    methods = {"compartments": list(COMPARTMENT_METHODS), "cells": [*CELL_METHODS, "none"]}
    return {"methods": methods, "models": listed, "broken": list(broken)}


def _faults(found: Sequence[InstalledModel]) -> dict[str, str]:
    """Return what is wrong with models, by name."""
    faults: dict[str, str] = {}
    for model in found:
        try:
            verify(model)
            load(model)
        except ThymusimgError as error:
            faults[model.card.name] = str(error)
    return faults


def load(model: InstalledModel) -> None:
    """Read a model's weights as an analysis would, without running code that they bring.

    Raises
    ------
    ModelError
        If they are none, or those of another model.
    MissingExtraError
        If torch is not installed.
    """
    if model.card.kind == "unet":
        _load_network(model)
    elif model.card.kind == "forest":
        from thymusimg.compartments.forest_file import load_forest

        load_forest(model)


def _load_network(model: InstalledModel) -> None:
    from importlib.util import find_spec

    from thymusimg.errors import MissingExtraError

    if find_spec("torch") is None:
        raise MissingExtraError("networks need torch, which is not installed: pip install 'thymusimg[torch]'")
    from thymusimg.networks.engine import build
    from thymusimg.networks.weights import fill, read_weights

    fill(build(model), read_weights(model.weights), model.weights)

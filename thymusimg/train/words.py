"""A model's card in words: the README.md of its folder."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thymusimg.models.card import ModelCard, Training


def readme(card: ModelCard, notes: Sequence[str] = ()) -> str:
    """Return the card in words, as Markdown."""
    blocks = [f"# {card.name}", card.summary, _facts(card), _use(card)]
    if card.metrics:
        blocks += ["## How good it is", _figures(card)]
    if notes:
        blocks += ["## What to know", "\n".join(f"* {note}" for note in notes)]
    if card.training is not None:
        blocks += ["## How it was made", _making(card.training)]
    blocks += ["## Licence", f"Weights: {card.licence}."]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _facts(card: ModelCard) -> str:
    optional = f" ({', '.join(card.optional_channels)} may be missing)" if card.optional_channels else ""
    facts = [
        ("task", card.task),
        ("kind", card.kind),
        ("takes", f"{', '.join(card.channels)}{optional}"),
        ("gives", ", ".join(card.classes)),
        ("works at", f"{card.pixel_size_um:g} µm/px; sections of other pixel sizes are resampled"),
        ("refuses", f"pixels finer than {card.finest_pixel_um:g} or coarser than {card.coarsest_pixel_um:g} µm"),
        ("weights", f"`{card.weights}`, {card.size_bytes / 1e6:.2f} MB, sha256 `{card.sha256}`"),
        ("made", card.made),
    ]
    return "\n".join(f"* {name}: {value}" for name, value in facts if value)


def _use(card: ModelCard) -> str:
    return f"Use it with `thymusimg run STUDY.csv --out DIR --{card.task} PATH-OF-THIS-FOLDER`."


def _figures(card: ModelCard) -> str:
    lines = ["| measure | before | after | on |", "|---|---|---|---|"]
    for metric in card.metrics:
        before = "" if metric.before is None or not math.isfinite(metric.before) else f"{metric.before:.3f}"
        lines.append(f"| {metric.name} | {before} | {metric.value:.3f} | {metric.on} |")
    return "\n".join(lines)


def _making(training: Training) -> str:
    lines = [f"Data: {training.data}."]
    if training.train_animals:
        lines.append(f"Trained on animals: {', '.join(training.train_animals)}.")
    if training.held_out_animals:
        lines.append(f"Held out: {', '.join(training.held_out_animals)}.")
    epochs = f"{training.epochs} epochs, " if training.epochs else ""
    lines.append(f"Seed {training.seed}, {epochs}{training.minutes:g} min on {training.device}.")
    if training.command:
        lines.append(f"Made by:\n\n```\n{training.command}\n```")
    return "\n".join(lines)

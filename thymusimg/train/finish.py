"""What a training leaves beside the weights: before / after table, card with both figures, pictures, words."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from thymusimg.models.card import read_card, write_card
from thymusimg.train.judge import as_metrics, judge_cells, judge_compartments, losses, verdict
from thymusimg.train.pictures import draw_cells_before_after, draw_compartments_before_after, draw_history
from thymusimg.train.words import readme

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy.typing as npt
    import pandas as pd

    from thymusimg.models.card import ModelCard
    from thymusimg.progress import Progress
    from thymusimg.train.annotated import AnnotatedCells, AnnotatedCompartments
    from thymusimg.train.judge import FindCells, FindCompartments

SAME = 0.002
"""Smaller changes of the decisive measure are none."""


@dataclass(frozen=True)
class Finished:
    """What came out of a training.

    Attributes
    ----------
    table : DataFrame
        As :mod:`thymusimg.train.judge` makes it.
    verdict : str
        Better, no better or worse than what it began with, in a sentence.
    worse : bool
    """

    folder: Path
    card: ModelCard
    table: pd.DataFrame
    verdict: str
    worse: bool


def finish_cells(
    folder: Path,
    held_out: Sequence[AnnotatedCells],
    before: FindCells,
    after: FindCells,
    *,
    began_with: str,
    name: str,
    notes: Sequence[str],
    progress: Progress,
) -> Finished:
    """Judge a cell model on held-out regions and write all that goes beside its weights.

    Parameters
    ----------
    began_with : str
        What ``before`` is, for the words.
    name : str
        Name of the model; the folder's if empty.
    notes : sequence of str
        What a reader of the card must know.
    """
    shown = max(held_out, key=lambda region: region.cells)
    old, new = _Kept(before, shown), _Kept(after, shown)
    table = judge_cells(old, new, held_out, progress=progress)
    draw_cells_before_after(shown, old.found, new.found, folder / "before_after.png")
    return _finish(folder, table, "cells", began_with, name, notes)


def finish_compartments(
    folder: Path,
    held_out: Sequence[AnnotatedCompartments],
    before: FindCompartments,
    after: FindCompartments,
    *,
    began_with: str,
    name: str,
    notes: Sequence[str],
    progress: Progress,
) -> Finished:
    """Judge a compartment model on held-out sections; as :func:`finish_cells`."""
    shown = max(held_out, key=lambda section: section.area_mm2)
    old, new = _Kept(before, shown), _Kept(after, shown)
    table = judge_compartments(old, new, held_out, progress=progress)
    draw_compartments_before_after(shown, old.found, new.found, folder / "before_after.png")
    return _finish(folder, table, "compartments", began_with, name, notes)


class _Kept:
    """A method that keeps what it found on the section that is drawn, so that it is not asked twice."""

    def __init__(self, find: Callable[[Any], npt.NDArray[Any]], shown: object) -> None:
        self._find, self._shown = find, shown
        self.found: npt.NDArray[Any] = np.zeros((0, 0), np.uint8)

    def __call__(self, section: Any) -> npt.NDArray[Any]:
        found = self._find(section)
        if section is self._shown:
            self.found = found
        return found


def _finish(
    folder: Path, table: pd.DataFrame, task: str, began_with: str, name: str, notes: Sequence[str]
) -> Finished:
    old, new = verdict(table, task)
    worse = bool(new < old - SAME)
    sentence = _sentence(old, new, began_with)
    if not worse and (fallen := losses(table)):
        sentence += f" But {', '.join(fallen)}."
    card = read_card(folder)
    changes = {"metrics": as_metrics(table, task), "name": name or card.name}
    if worse:
        changes["summary"] = f"WORSE than {began_with} on its held-out animals. {card.summary}".strip()
    card = card.model_copy(update=changes)
    table.to_csv(folder / "metrics.csv", index=False)
    write_beside(folder, card, [sentence, *notes])
    return Finished(folder, card, table, sentence, worse)


def write_beside(folder: Path, card: ModelCard, notes: Sequence[str]) -> None:
    """Write the card, where there is a history its curves, and last the words: with them a training is finished."""
    write_card(folder, card)
    rows = read_history(folder / "history.csv")
    if rows:
        draw_history(rows, folder / "history.png")
    (folder / "README.md").write_text(readme(card, notes), encoding="utf-8")


def read_history(path: Path) -> list[dict[str, float]]:
    """Read the rows of a ``history.csv``; none where there is no such file."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


def _sentence(old: float, new: float, began_with: str) -> str:
    if not np.isfinite(old) or not np.isfinite(new):
        return f"This model and {began_with} could not be judged: nothing was drawn on the held-out animals."
    change = f"{old:.3f} by {began_with}, {new:.3f} by this model"
    if new < old - SAME:
        return f"WORSE than {began_with} on the held-out animals: {change}. Do not use it in its place."
    if new <= old + SAME:
        return f"No better than {began_with} on the held-out animals: {change}."
    return f"Better than {began_with} on the held-out animals: {change}."

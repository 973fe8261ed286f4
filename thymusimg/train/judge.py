"""How good a method is on animals that it was not trained on: the before / after table of a training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from thymusimg.compartments.model import Compartment
from thymusimg.evaluate.instances import f1_at_iou, measure_overlaps
from thymusimg.evaluate.overlap import dice
from thymusimg.models.card import Metric
from thymusimg.progress import silent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    import numpy.typing as npt

    from thymusimg.progress import Progress
    from thymusimg.section.model import LabelPlane
    from thymusimg.train.annotated import AnnotatedCells, AnnotatedCompartments

    FindCells = Callable[[AnnotatedCells], npt.NDArray[np.uint32]]
    FindCompartments = Callable[[AnnotatedCompartments], LabelPlane]

COLUMNS = ("animal", "measure", "before", "after", "sections", "truth")
"""Of the table: ``truth`` is how many cells, or how many mm², somebody drew."""
ALL = "all held-out"
DECISIVE = {"cells": "F1 at IoU 0.5", "compartments": "mean Dice"}
"""The measure by which a training made a model better or worse."""
_IOU = 0.5


@dataclass(frozen=True)
class CellTally:
    """Cells that a method found, that were drawn, and that are the same; sums over sections.

    Examples
    --------
    >>> both = CellTally(found=8, drawn=10, same=6) + CellTally(2, 0, 0)
    >>> both.measures()["precision"], both.measures()["recall"], both.measures()["count bias"]
    (0.6, 0.6, 0.0)
    """

    found: int
    drawn: int
    same: int

    def __add__(self, other: CellTally) -> CellTally:
        return CellTally(self.found + other.found, self.drawn + other.drawn, self.same + other.same)

    def measures(self) -> dict[str, float]:
        """Return F1, precision, recall and the count's relative bias; NaN where there is nothing to divide by."""
        return {
            DECISIVE["cells"]: _ratio(2 * self.same, self.found + self.drawn),
            "precision": _ratio(self.same, self.found),
            "recall": _ratio(self.same, self.drawn),
            "count bias": _ratio(self.found - self.drawn, self.drawn),
        }


def tally_cells(found: npt.NDArray[Any], region: AnnotatedCells) -> CellTally:
    """Compare found cells with those that were drawn, over what was looked at.

    Two outlines are one cell where they overlap by at least half of their union; a cell belongs to what was looked
    at where its centre does.
    """
    overlaps = measure_overlaps(found, region.labels)
    off = [_off(centres, region) for centres in (overlaps.centre, overlaps.other_centre)]
    kept = overlaps.without(*off)
    n, m = len(kept.area), len(kept.other_area)
    same = round(f1_at_iou(kept, [_IOU])[_IOU] * (n + m) / 2) if n + m else 0
    return CellTally(n, m, same)


def _off(centres: npt.NDArray[np.float64], region: AnnotatedCells) -> npt.NDArray[np.bool_]:
    y, x = np.rint(centres).astype(np.intp).T
    return np.asarray(~region.annotated[y, x])


def judge_cells(
    before: FindCells, after: FindCells, regions: Sequence[AnnotatedCells], *, progress: Progress = silent
) -> pd.DataFrame:
    """Return the before / after table of a cell model: one row an animal and measure, and those of all together.

    Parameters
    ----------
    before, after : callable
        Give the label image of the cells that they find in a region.
    regions : sequence of AnnotatedCells
        Of animals that ``after`` was not trained on.
    """
    tallies: dict[str, list[tuple[CellTally, CellTally]]] = {}
    for done, region in enumerate(regions, start=1):
        pair = tally_cells(before(region), region), tally_cells(after(region), region)
        tallies.setdefault(region.animal, []).append(pair)
        progress("before and after", done / len(regions))
    rows: list[dict[str, object]] = []
    nobody = CellTally(0, 0, 0)
    for animal, pairs in _with_all(tallies):
        old, new = (sum((pair[i] for pair in pairs), nobody) for i in (0, 1))
        rows += _rows(animal, old.measures(), new.measures(), len(pairs), float(old.drawn))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def judge_compartments(
    before: FindCompartments,
    after: FindCompartments,
    sections: Sequence[AnnotatedCompartments],
    *,
    progress: Progress = silent,
) -> pd.DataFrame:
    """Return the before / after table of a compartment model: Dice of every class, where something was drawn.

    Dice is of the pixels of an animal's sections together; a class that was not drawn on it is left out.
    """
    masks: dict[str, list[tuple[LabelPlane, LabelPlane, LabelPlane, float]]] = {}
    for done, section in enumerate(sections, start=1):
        drawn = (section.labels > 0) & (section.labels != Compartment.ARTEFACT)
        maps = (before(section)[drawn], after(section)[drawn], section.labels[drawn])
        masks.setdefault(section.animal, []).append((*maps, section.grid.pixel_area_mm2))
        progress("before and after", done / len(sections))
    rows: list[dict[str, object]] = []
    for animal, parts in _with_all(masks):
        old, new, truth = (np.concatenate([part[i] for part in parts]) for i in (0, 1, 2))
        area = sum(len(part[2]) * part[3] for part in parts)
        rows += _rows(animal, _dices(old, truth), _dices(new, truth), len(parts), area)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _dices(found: LabelPlane, truth: LabelPlane) -> dict[str, float]:
    codes = [Compartment(code) for code in np.unique(truth).tolist()]
    scores = {f"Dice {code.name.lower()}": dice(found == code, truth == code) for code in codes}
    return {DECISIVE["compartments"]: float(np.mean(list(scores.values()))) if scores else float("nan")} | scores


def _with_all(by_animal: Mapping[str, list[Any]]) -> Iterable[tuple[str, list[Any]]]:
    yield from sorted(by_animal.items())
    if len(by_animal) > 1:
        yield ALL, [part for parts in by_animal.values() for part in parts]


def _rows(
    animal: str, before: Mapping[str, float], after: Mapping[str, float], sections: int, truth: float
) -> list[dict[str, object]]:
    return [
        {"animal": animal, "measure": name, "before": before[name], "after": after[name], "sections": sections,
         "truth": truth}
        for name in after
    ]  # fmt: skip


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")


def verdict(table: pd.DataFrame, task: str) -> tuple[float, float]:
    """Return the decisive measure before and after, over all held-out animals."""
    own = table[table["measure"] == DECISIVE[task]]
    last = own.iloc[-1]  # all of them together, or the only one
    return float(last["before"]), float(last["after"])


def losses(table: pd.DataFrame, least: float = 0.05) -> list[str]:
    """Return what got worse by at least ``least`` over all held-out animals, whatever the decisive measure says."""
    last = table[table["animal"] == table["animal"].iloc[-1]]
    return [
        f"{row['measure']} fell from {row['before']:.3f} to {row['after']:.3f}"
        for row in last.to_dict("records")
        if row["measure"] not in (*DECISIVE.values(), "count bias") and row["before"] - row["after"] >= least
    ]


def as_metrics(table: pd.DataFrame, task: str) -> tuple[Metric, ...]:
    """Return the table as figures of a model card; what is undefined is left out."""
    metrics: list[Metric] = []
    for row in table.to_dict("records"):
        if not np.isfinite(row["after"]):
            continue
        amount = f"{row['truth']:.0f} cells" if task == "cells" else f"{row['truth']:.3g} mm²"
        who = "all held-out animals" if row["animal"] == ALL else f"held-out animal {row['animal']}"
        on = f"{who} ({row['sections']} section{'s' * (row['sections'] != 1)}, {amount} drawn)"
        before = float(row["before"]) if np.isfinite(row["before"]) else None
        metrics.append(Metric(name=str(row["measure"]), value=float(row["after"]), on=on, before=before))
    return tuple(metrics)


def as_text(table: pd.DataFrame) -> str:
    """Return the table as aligned lines, animals under each other."""
    names, measures = (max(map(len, (key, *table[key].astype(str)))) for key in ("animal", "measure"))
    lines = [f"{'animal':<{names}}  {'measure':<{measures}} {'before':>8} {'after':>8} {'change':>8}"]
    for row in table.to_dict("records"):
        numbers = (row["before"], row["after"], row["after"] - row["before"])
        shown = [f"{value:8.3f}" if np.isfinite(value) else f"{'–':>8}" for value in numbers[:2]]
        change = f"{numbers[2]:+8.3f}" if np.isfinite(numbers[2]) else f"{'–':>8}"
        lines.append(f"{row['animal']:<{names}}  {row['measure']:<{measures}} {shown[0]} {shown[1]} {change}")
    return "\n".join(lines)

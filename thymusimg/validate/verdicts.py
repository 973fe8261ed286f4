"""Every aim beside the figure that the runs gave."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from thymusimg.validate import aims
from thymusimg.validate.plan import ORDERED
from thymusimg.validate.sections import OURS
from thymusimg.validate.tables import ANIMALS, group_ordering, null_rates, order_correlation, part_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd

    from thymusimg.validate.run import Answer


@dataclass(frozen=True)
class Verdict:
    """One aim beside its figure."""

    what: str
    generator: str
    value: float
    aim: str
    met: bool | None
    part: str = ""
    where: tuple[tuple[str, str], ...] = ()
    score: str = ""


_WORDS = {
    "dice_tissue": "Dice of tissue", "dice_medulla": "Dice of medulla", "dice_cortex": "Dice of cortex",
    "border_mean_um": "border, mean µm", "border_p95_um": "border, 95 % µm", "f1_iou_50": "F1 at IoU 0.5",
    "detection_f1_4um": "F1 within 4 µm", "count_bias": "bias of the count", "density_bias": "bias of the density",
}  # fmt: skip


def verdicts(table: pd.DataFrame, answers: Sequence[Answer]) -> list[Verdict]:
    """Return every aim beside its figure, the mean over the sections of its table."""
    found = list(_compartment_verdicts(part_of(table, "compartments"))) if len(table) else []
    found += list(_cell_verdicts(part_of(table, "cells"))) if len(table) else []
    for row in null_rates(answers):
        if "p_permutation" not in row["test"]:
            words = f"false positives, {row['test'].replace(' p_welch', '')}, {row['design']}"
            found.append(
                Verdict(words, "tables", row["rate"], "interval holds or lies below 5 %", row["low"] <= 0.05)
            )
    for row in order_correlation(table) if len(table) else ():
        met = aims.SPEARMAN.met(row["spearman"])
        found.append(
            Verdict("λ orders the segregation index", row["generator"], row["spearman"], str(aims.SPEARMAN), met)
        )
    for row in group_ordering(table, ORDERED) if len(table) else ():
        words = f"medians of the groups in order, {row['column']}, n = {ANIMALS}"
        met = aims.ORDERING.met(row["share"])
        found.append(Verdict(words, row["generator"], row["share"], str(aims.ORDERING), met))
    return found


def _compartment_verdicts(table: pd.DataFrame) -> Iterator[Verdict]:
    own = table[table["method"] == OURS] if len(table) else table
    for (generator, optics, preset), part in own.groupby(["generator", "optics", "preset"], sort=False):
        for score, aim in (aims.NOMINAL if optics == "nominal" else aims.HARD).items():
            where = (("generator", str(generator)), ("preset", str(preset)), ("optics", str(optics)))
            value = mean_of(part, score)
            words = f"{_WORDS[score]}, {preset}, {optics} optics"
            yield Verdict(words, str(generator), value, str(aim), aim.met(value), "compartments", where, score)


def _cell_verdicts(table: pd.DataFrame) -> Iterator[Verdict]:
    own = table[(table["method"] == OURS) & (table["optics"] == "nominal")] if len(table) else table
    for (generator, density), part in own.groupby(["generator", "label"], sort=False):
        for score, aim in aims.CELLS[str(density)].items():
            where = (("generator", str(generator)), ("label", str(density)), ("optics", "nominal"))
            value = mean_of(part, score)
            words = f"{_WORDS[score]}, cells {density}"
            yield Verdict(words, str(generator), value, str(aim), aim.met(value), "cells", where, score)


def mean_of(part: pd.DataFrame, score: str) -> float:
    """Return the mean of a score where it is defined; NaN where it is nowhere."""
    if score not in part or not part[score].notna().any():
        return math.nan
    return float(part[score].mean())

"""The rows of ``comparisons.csv`` that a group panel shows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from thymusimg.report.answer import read_contrasts
from thymusimg.report.finished_run import numbers
from thymusimg.report.words import number, p_value

if TYPE_CHECKING:
    from thymusimg.report.finished_run import FinishedRun


@dataclass(frozen=True)
class Comparison:
    """One group against the reference.

    Attributes
    ----------
    difference, low, high : float
        With its interval; a ratio where ``ratio``. NaN where nothing was inferred.
    effect_words : str
        ``difference``, ``ratio`` or ``odds ratio``.
    p_words : str
        The p-value as it stands under the panel, and whether it is exploratory.
    sentence : str
        What may be said, as the report says it.
    """

    group: str
    reference: str
    n_group: int
    n_reference: int
    difference: float
    low: float
    high: float
    ratio: bool
    effect_words: str
    p_words: str
    primary: bool
    sentence: str

    @property
    def shown(self) -> bool:
        """Whether there is an interval to draw."""
        finite = all(math.isfinite(value) for value in (self.difference, self.low, self.high))
        return finite and (not self.ratio or self.low > 0)

    @property
    def in_words(self) -> str:
        """The comparison for a caption: numbers, then what may be said."""
        if not self.shown:
            return self.sentence
        kind = "" if self.primary else "exploratory, "
        return (
            f"{self.group} (n = {self.n_group}) against {self.reference} (n = {self.n_reference}): "
            f"{self.effect_words} {number(self.difference)} ({number(self.low)} to {number(self.high)}), "
            f"{kind}{self.p_words}. {self.sentence}"
        )


def read_comparisons(run: FinishedRun, column: str) -> list[Comparison]:
    """Return the comparisons of a column in the order of the groups; empty where it was not compared."""
    frame = run.tables["comparisons"]
    if "endpoint" not in frame:
        return []
    frame = frame[frame["endpoint"] == column]
    sentences = {(c.group, c.reference): c.sentence for c in read_contrasts(run) if c.endpoint == column}
    values = {
        name: list(numbers(frame, name))
        for name in ("difference", "ci_low", "ci_high", "n_group", "n_reference", "p_adjusted", "p_welch")
    }
    found = []
    for index, row in enumerate(frame.to_dict("records")):
        group, reference = str(row.get("group", "")), str(row.get("reference", ""))
        scale = str(row.get("scale", ""))
        raw, adjusted = values["p_welch"][index], values["p_adjusted"][index]
        primary = str(row.get("role", "")) == "primary"
        found.append(
            Comparison(
                group,
                reference,
                _count(values["n_group"][index]),
                _count(values["n_reference"][index]),
                values["difference"][index],
                values["ci_low"][index],
                values["ci_high"][index],
                scale in {"log", "logit"},
                {"log": "ratio", "logit": "odds ratio"}.get(scale, "difference"),
                f"adj. {p_value(adjusted)}" if math.isfinite(adjusted) else p_value(raw),
                primary,
                sentences.get((group, reference), ""),
            )
        )
    order = {name: place for place, name in enumerate(run.groups)}
    return sorted(found, key=lambda one: order.get(one.group, len(order)))


def _count(value: float) -> int:
    return int(value) if math.isfinite(value) else 0

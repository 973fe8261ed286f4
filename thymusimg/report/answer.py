"""The answer to each declared question, in one plain sentence and with no more certainty than the data have."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from thymusimg.report.words import (
    REORGANISATION,
    REPOPULATION,
    is_repopulation,
    label,
    listed,
    number,
    p_value,
    percent,
    with_unit,
    within,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thymusimg.report.finished_run import FinishedRun

FEW_ANIMALS = 4
NOT_EVIDENCE = "That is not evidence that the groups are alike."


@dataclass(frozen=True)
class Contrast:
    """One row of ``comparisons.csv``, as numbers and in words.

    Attributes
    ----------
    kind : str
        What ``difference`` holds: a ``difference`` in the endpoint's unit, a ``ratio`` or an ``odds ratio``.
    interval_name : str
        How sure the interval is: ``95 % interval``.
    up : bool
        Whether the group lies above the reference.
    verdict : str
        ``differs``, ``hints`` (its interval excludes no difference, its adjusted p does not), ``open`` or
        ``refused``.
    """

    endpoint: str
    group: str
    reference: str
    primary: bool
    n_group: int
    n_reference: int
    means: str
    difference: str
    interval: str
    effect: str
    effect_interval: str
    p_raw: str
    p_adjusted: str
    adjustment: str
    verdict: str
    sentence: str
    note: str
    reason: str
    sort: Mapping[str, float]
    kind: str = "difference"
    interval_name: str = "95 % interval"
    up: bool = False

    @property
    def title(self) -> str:
        """The endpoint in the reader's words."""
        return label(self.endpoint)

    @property
    def notes(self) -> tuple[str, ...]:
        """The note's sentences, one by one, in plain words."""
        return tuple(plain_note(part.strip()) for part in self.note.split("; ") if part.strip())


def read_contrasts(run: FinishedRun) -> list[Contrast]:
    """Return every row of ``comparisons.csv``, primary endpoints first, each group in the study's order."""
    frame = run.tables["comparisons"]
    rows = [_contrast(row, run) for row in frame.to_dict("records") if row.get("endpoint")]
    primary = {name: i for i, name in enumerate(run.primary)}
    groups = {name: i for i, name in enumerate(run.groups)}
    order = {name: i for i, name in enumerate(dict.fromkeys(c.endpoint for c in rows))}
    rows.sort(
        key=lambda c: (
            not c.primary,
            primary.get(c.endpoint, len(order)),
            order[c.endpoint],
            groups.get(c.group, 99),
        )
    )
    return rows


def questions(contrasts: list[Contrast]) -> list[tuple[str, list[Contrast]]]:
    """Return the two questions with their primary contrasts; a question without any is left out."""
    asked = (("Is the thymus reorganising?", False), ("Are human cells repopulating it?", True))
    answered = [(q, [c for c in contrasts if c.primary and is_repopulation(c.endpoint) == r]) for q, r in asked]
    return [(question, found) for question, found in answered if found]


def exploratory_lead(contrasts: list[Contrast]) -> list[Contrast]:
    """Return the contrasts shown where no primary was declared: a fixed list, never picked by their p."""
    fixed = (*REORGANISATION[:2], *REPOPULATION[:1])
    return [c for c in contrasts if c.endpoint in fixed]


def why_no_answer(run: FinishedRun, contrasts: list[Contrast]) -> str:
    """Return why there is no confirmatory answer, "" where there is one."""
    if not run.grouped and not len(run.tables["failures"]):
        return "One section, no study: there are no groups to compare, so this report holds no statistics."
    if any(c.primary for c in contrasts):
        return ""
    reasons = sorted({str(r) for r in run.tables["comparisons"].get("reason", ()) if str(r)})
    if run.primary:
        why = "; ".join(reasons) or "no comparison of a primary endpoint was recorded"
        return f"No inference on the declared endpoints ({listed([label(c) for c in run.primary])}): {why}."
    if not contrasts:
        return f"No groups were compared: {'; '.join(reasons) or 'no comparison was recorded'}."
    return (
        "No primary endpoint was declared in the study file before looking, so nothing here is a confirmatory "
        "answer. "
        "Everything below is exploratory: it can suggest a hypothesis, not test one."
    )


def _contrast(row: Mapping[Any, Any], run: FinishedRun) -> Contrast:
    def value(name: str) -> float:
        try:
            return float(row.get(name, ""))
        except ValueError:
            return math.nan

    def text(name: str) -> str:
        return str(row.get(name, ""))

    endpoint, scale = text("endpoint"), text("scale") or "identity"
    meaning = run.meanings.get(endpoint)
    unit = text("unit") or (meaning.unit if meaning else "")
    difference, low, high = value("difference"), value("ci_low"), value("ci_high")
    ratio = scale in {"log", "logit"}
    confidence = float(run.setting("study", "confidence", 0.95))
    alpha = 1 - confidence
    silent = value("min_possible_p") > alpha
    doubted = value("p_permutation") > alpha and not silent
    verdict = _verdict(text("reason"), (low, high), 1.0 if ratio else 0.0, value("p_adjusted") < alpha, doubted)
    interval = f"{number(low, signed=not ratio)} to {number(high, signed=not ratio)}" if math.isfinite(low) else ""
    shown = f"× {number(difference)}" if ratio else with_unit(difference, unit, signed=True)
    means = with_unit(value("mean_group"), unit)
    if math.isfinite(value("mean_reference")):
        means = f"{number(value('mean_group'))} against {with_unit(value('mean_reference'), unit)}"
    contrast = Contrast(
        endpoint=endpoint,
        group=text("group"),
        reference=text("reference"),
        primary=text("role") == "primary",
        n_group=_count(value("n_group")),
        n_reference=_count(value("n_reference")),
        means=means if math.isfinite(value("mean_group")) else "",
        difference=shown if math.isfinite(difference) else "undefined",
        interval=interval,
        effect=number(value("hedges_g"), signed=True) if math.isfinite(value("hedges_g")) else "",
        effect_interval=f"{number(value('g_ci_low'), signed=True)} to {number(value('g_ci_high'), signed=True)}"
        if math.isfinite(value("g_ci_low"))
        else "",
        p_raw=_both_p(value("p_welch"), value("p_permutation")),
        p_adjusted=p_value(value("p_adjusted")) if math.isfinite(value("p_adjusted")) else "",
        adjustment=text("adjustment"),
        verdict=verdict,
        sentence="",
        note=text("note"),
        reason=text("reason"),
        sort={k: value(k) for k in ("difference", "hedges_g", "p_welch", "p_permutation", "p_adjusted")},
        kind=_kind(scale, text("note")),
        interval_name=f"{percent(confidence)} interval",
        up=difference > (1.0 if ratio else 0.0),
    )
    return replace(contrast, sentence=_sentence(contrast, doubted=doubted, silent=silent))


def _kind(scale: str, note: str) -> str:
    """Return what an effect is; a difference beside another group's ratio says why it is none."""
    if scale in {"log", "logit"}:
        return "ratio" if scale == "log" else "odds ratio"
    for sign, why in (("which has no log:", "0 has no ratio"), ("which have no logit:", "0 or 1 has no odds")):
        if sign in note:
            return f"difference (an animal at {why})"
    return "difference"


def plain_note(note: str) -> str:
    """Return a note of the comparison in words that need no statistics.

    Examples
    --------
    >>> plain_note("permuted within batch")
    'in the permutation test, animals change groups only within their batch'
    """
    kept = re.fullmatch(r"permuted within (batch|donor)", note)
    if kept:
        return f"in the permutation test, animals change groups only within their {kept[1]}"
    freely = re.fullmatch(r"not permuted within (batch|donor), because (.*)", note)
    if freely:
        return f"in the permutation test, animals change groups whatever their {freely[1]}, because {freely[2]}"
    return note


def _verdict(reason: str, interval: tuple[float, float], null: float, holds_adjusted: bool, doubted: bool) -> str:
    low, high = interval
    if reason or not (math.isfinite(low) and math.isfinite(high)):
        return "refused"
    if low <= null <= high:
        return "open"
    return "differs" if holds_adjusted and not doubted else "hints"


def _sentence(c: Contrast, *, doubted: bool, silent: bool) -> str:
    what, than = f"{c.title}", f"in {c.group} than in {c.reference}"
    way = "higher" if c.up else "lower"
    few = min(c.n_group, c.n_reference) < FEW_ANIMALS
    caution = " With so few animals this needs repeating before it is believed." if few else ""
    if silent and not few:
        caution = " It rests on the t interval alone: a permutation test of so few animals cannot confirm it."
    match c.verdict:
        case "refused":
            where = f" in {c.group}" if c.group else ""
            return f"No inference on {what}{where}: {c.reason or 'not recorded why'}."
        case "differs":
            return f"{what} is {way} {than}: the {c.interval_name} stays clear of no difference.{caution}"
        case "hints" if doubted:
            return (
                f"{what} looks {way} {than}, but the permutation test of the animals does not confirm it: "
                f"a hint, not a finding.{caution}"
            )
        case "hints":
            return (
                f"{what} looks {way} {than}, but not once all comparisons of the study are accounted for "
                f"({c.p_adjusted or 'adjusted p not recorded'}): a hint, not a finding.{caution}"
            )
    return (
        f"These animals do not settle whether {within(what)} differs between {c.group} and {c.reference}: "
        f"the {c.interval_name} includes no difference. {NOT_EVIDENCE}"
    )


def _both_p(welch: float, permutation: float) -> str:
    named = (("Welch", welch), ("permutation", permutation))
    return ", ".join(f"{name} {p_value(p)}" for name, p in named if math.isfinite(p))


def _count(value: float) -> int:
    return int(value) if math.isfinite(value) else 0

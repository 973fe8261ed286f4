"""The report of the validation: every figure from a run, beside its aim and beside the baselines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from thymusimg.validate.page_tables import (
    cell_lines,
    compartment_lines,
    digits,
    image_study_lines,
    null_lines,
    order_lines,
    ordering_lines,
    picture_lines,
    series_lines,
    sweep_lines,
)
from thymusimg.validate.tables import part_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from thymusimg.validate.run import Answer
    from thymusimg.validate.verdicts import Verdict


@dataclass(frozen=True)
class About:
    """What the page says of its own making."""

    form: str
    command: str
    settings_hash: str
    code_hash: str
    versions: dict[str, str]
    machine: str
    seeds: str
    created: str
    core_minutes: float


def page(
    about: About, table: pd.DataFrame, answers: Sequence[Answer], found: Sequence[Verdict], images: dict[str, str]
) -> str:
    """Return the page as Markdown.

    Parameters
    ----------
    images : dict of str to str
        Captions of the pictures that were drawn, by their path relative to the page.
    """
    lines = [*_head(about), *_verdict_lines(found), *picture_lines(images, "short")]
    if len(table):
        lines += compartment_lines(part_of(table, "compartments"))
        lines += cell_lines(part_of(table, "cells"))
        lines += sweep_lines(table, images)
        lines += series_lines(table, images)
        lines += order_lines(table, images)
    lines += null_lines(answers)
    if len(table):
        lines += image_study_lines(table)
        lines += ordering_lines(table)
    lines += _failures(answers)
    lines += _made(about, len(answers))
    return "\n".join(lines) + "\n"


def _head(about: About) -> list[str]:
    return [
        "# Validation",
        "",
        "**Synthetic sections prove code, not biology; both generators are this project's own.** No public ground "
        "truth exists for this stain on this tissue. What stands here was shown of the code: how well it finds "
        "what was drawn, how fast it gets worse, and that the statistics do not find what is not there. What was "
        "**not** shown: that real sections look like these, that two experts would agree with the labels, and that "
        "a difference between real groups is biology. For that, compare with annotations of your own sections: "
        "`thymusimg evaluate RESULT TRUTH`, and `--annotators` for two people.",
        "",
        f"This is the **{about.form}** form: `{about.command}`.",
        *(["", "The short form holds few sections a row: it shows that the protocol runs, not how good it is."]
          if about.form == "short" else []),
        "",
    ]  # fmt: skip


def _verdict_lines(found: Sequence[Verdict]) -> list[str]:
    short = [v for v in found if v.met is False]
    unknown = [v for v in found if v.met is None]
    lines = [
        "## Aims and figures",
        "",
        f"{len(found) - len(short) - len(unknown)} of {len(found)} figures reach their aim, {len(short)} fall short"
        + (f", {len(unknown)} are undefined." if unknown else "."),
        "",
        "| what | generator | figure | aim | |",
        "|---|---|---:|---|---|",
    ]
    for v in found:
        word = "undefined" if v.met is None else "reached" if v.met else "**falls short**"
        lines.append(f"| {v.what} | {v.generator} | {digits(v.value)} | {v.aim} | {word} |")
    return [*lines, ""]


def _failures(answers: Sequence[Answer]) -> list[str]:
    refused = [a for a in answers if a.found.get("refused")]
    failed = [a for a in answers if a.failure]
    lines = []
    if refused:
        lines += ["## Sections that were refused", ""]
        lines += [f"* {a.case.name}: {a.found['refused']}" for a in refused] + [""]
    if failed:
        lines += ["## Cases that failed", "", "They are missing from the tables above.", ""]
        lines += [f"* {a.case.name}: {a.failure}" for a in failed] + [""]
    return lines


def _made(about: About, cases: int) -> list[str]:
    versions = ", ".join(f"{k} {v}" for k, v in about.versions.items())
    return [
        "## How this was made",
        "",
        f"* `{about.command}`, {about.created}; {cases} cases, {about.core_minutes:.0f} minutes of one core",
        f"* machine: {about.machine}",
        f"* settings: the defaults, SHA-256 `{about.settings_hash}`; code: `{about.code_hash}`",
        f"* seeds: {about.seeds}",
        f"* versions: {versions}",
    ]

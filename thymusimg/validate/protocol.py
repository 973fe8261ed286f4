"""The whole protocol: work through the cases, draw, and write the report."""

from __future__ import annotations

import hashlib
import os
import platform
from typing import TYPE_CHECKING

from thymusimg.batch.folder import RunFolder, writing
from thymusimg.errors import OutputError
from thymusimg.provenance import now, versions
from thymusimg.settings import Settings
from thymusimg.validate.case import code_hash
from thymusimg.validate.figures import (
    draw_orders,
    draw_series,
    draw_sweeps,
    draw_worst_cells,
    draw_worst_compartments,
)
from thymusimg.validate.page import About, page
from thymusimg.validate.plan import FIRST_SEED, FULL, SHORT, Extent, plan
from thymusimg.validate.run import Answer, Watcher, run_cases
from thymusimg.validate.sections import OURS
from thymusimg.validate.tables import long_table
from thymusimg.validate.verdicts import Verdict, verdicts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd

    from thymusimg.validate.case import Case


def nobody(done: int, total: int, name: str, seconds_to_go: float) -> None:
    """Tell nobody."""


def validate(
    out: Path,
    *,
    full: bool = False,
    workers: int = 1,
    command: str = "thymusimg validate",
    watch: Watcher = nobody,
    extent: Extent | None = None,
    cache: Path | None = None,
) -> Path:
    """Run the validation protocol and write ``validation.md``, its pictures and ``validation.csv`` into ``out``.

    Parameters
    ----------
    out : Path
        Folder of the report. The answer of every case is kept in ``validation_cases`` in it (or in ``cache``): the
        same call goes on where an earlier one stopped.
    full : bool
        The whole protocol instead of the short form.
    workers : int
        Processes; the numbers do not depend on it.

    Returns
    -------
    Path
        The report.

    Raises
    ------
    OutputError
        If the folder cannot be written, or another run is writing there.
    """
    kept = cache or out / "validation_cases"
    for folder in (out, kept):
        _make(folder)
    with RunFolder(kept).locked():
        cases = plan(extent or (FULL if full else SHORT))
        answers = run_cases(cases, kept, workers, watch)
        table = long_table(answers)
        found = verdicts(table, answers)
        images = _draw(table, cases, found, out)
        with writing(out / "validation.csv") as partial:
            table.round(6).to_csv(partial, index=False)
        about = _about(full, command, cases, answers)
        with writing(out / "validation.md") as partial:
            partial.write_text(page(about, table, answers, found, images), encoding="utf-8")
    return out / "validation.md"


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe-{os.getpid()}"
        probe.write_bytes(b"thymusimg")
        probe.unlink()
    except OSError as error:
        raise OutputError(
            f"{folder}: the output folder cannot be written ({error.strerror or error}). Choose another with --out."
        ) from None


def _draw(table: pd.DataFrame, cases: Sequence[Case], found: Sequence[Verdict], out: Path) -> dict[str, str]:
    """Draw what there is to draw; return captions by path, relative to ``out``."""
    images: dict[str, str] = {}
    if not len(table):
        return images
    for name, draw, caption in (
        ("sweeps", draw_sweeps, "Every degradation: dots are sections, lines their means"),
        ("density", draw_series, "F1 and bias of the count against density"),
        ("order", draw_orders, "Segregation index against the order λ that was drawn"),
    ):
        place = f"images/validation_{name}.svg"
        if draw(table, out / place):
            images[place] = caption
    return images | _draw_short(table, cases, found, out)


def _draw_short(table: pd.DataFrame, cases: Sequence[Case], found: Sequence[Verdict], out: Path) -> dict[str, str]:
    """Draw the worst section of what falls short: one a kind, generator and optics."""
    images: dict[str, str] = {}
    shown: set[tuple[str, ...]] = set()
    for verdict in found:
        kind = (verdict.part, verdict.generator, dict(verdict.where).get("optics", ""))
        if verdict.met is not False or not verdict.part or kind in shown:
            continue
        case = _worst(table, cases, verdict)
        if case is None:
            continue
        shown.add(kind)
        place = f"images/validation_short_{len(shown)}.png"
        draw = draw_worst_cells if verdict.part == "cells" else draw_worst_compartments
        draw(case, out / place)
        images[place] = (
            f"Worst section behind '{verdict.what}' ({verdict.generator}, {case.preset}, seed {case.seed}): mean "
            f"{verdict.value:.3g}, aim {verdict.aim}"
        )
    return images


def _worst(table: pd.DataFrame, cases: Sequence[Case], verdict: Verdict) -> Case | None:
    part = table[(table["part"] == verdict.part) & (table["method"] == OURS)]
    for column, value in verdict.where:
        part = part[part[column] == value]
    part = part[part[verdict.score].notna()]
    if not len(part):
        return None
    high_is_good = verdict.score.startswith(("dice", "f1"))
    scores = part[verdict.score] if high_is_good else -part[verdict.score].abs()
    row = part.iloc[int(scores.to_numpy(float).argmin())]
    about = ("part", "generator", "preset", "optics", "label", "seed")
    return next((c for c in cases if all(getattr(c, a) == row[a] for a in about)), None)


def _about(full: bool, command: str, cases: Sequence[Case], answers: Sequence[Answer]) -> About:
    seeds = [c.seed for c in cases if c.part != "null tables"] or [FIRST_SEED]
    return About(
        form="full" if full else "short",
        command=command,
        settings_hash=hashlib.sha256(Settings().to_toml().encode()).hexdigest(),
        code_hash=code_hash()[:16],
        versions=versions(),
        machine=f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        seeds=f"images {min(seeds)}-{max(seeds)}; tables 20 and the number of the batch",
        created=now(),
        core_minutes=sum(float(a.found.get("took_s", 0.0)) for a in answers) / 60,
    )

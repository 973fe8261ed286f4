"""What a run says while it works: a bar on a terminal, plain lines otherwise."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING

import typer

from thymusimg.batch.job import Failure, Outcome

if TYPE_CHECKING:
    from types import TracebackType

    from rich.progress import Progress, TaskID

    from thymusimg.cells.gate import ControlEvidence


LINE_EVERY_S = 30.0
"""Where there is no terminal, a section tells how far it is at most so often, and after so long a silence."""
LEAST_DONE = 0.2
"""Sections done, from which on a time to go means something."""
_STAGES = {
    "opening": (0.0, 0.0), "survey": (0.0, 0.06), "tissue": (0.06, 0.0), "compartments": (0.09, 0.0),
    "gate": (0.15, 0.0), "cells": (0.16, 0.12), "measurements": (0.28, 0.62), "writing": (0.9, 0.0),
}  # fmt: skip
"""Where in a section's time a stage begins, and how much of it goes by while its fraction runs."""


_LONGEST_STAGE = max(map(len, _STAGES))


def shortened(name: str, width: int) -> str:
    """Return a name that fits; what is left out is in the middle, as ids differ at their ends.

    Examples
    --------
    >>> shortened("untreated_NSG_mouse_12_section_3", 20)
    'untreated_…section_3'
    """
    if len(name) <= width:
        return name
    end = (width - 1) // 2
    return f"{name[: width - 1 - end]}…{name[-end:]}"


def share_done(stage: str, fraction: float) -> float:
    """Return about how much of a section's time is over.

    Examples
    --------
    >>> share_done("cells", 0.5)
    0.22
    """
    start, length = _STAGES.get(stage, (0.0, 0.0))
    return start + length * min(max(fraction, 0.0), 1.0)


def in_words(outcome: Outcome) -> str:
    """Return what became of a section: what was measured, and what an earlier run had left for it."""
    if outcome.status != "measured" or not outcome.reused:
        return outcome.status
    if "measurements" in outcome.reused:
        return "measurements reused, quality checked again"
    if "cells" in outcome.reused:
        return "compartments and cells reused, measured again"
    if "compartments" in outcome.reused:
        return "compartments reused, cells found and measured again"
    return "tissue reused, compartments drawn and measured again"


class Console:
    """The watcher of a run on the command line."""

    def __init__(self, *, debug: bool = False) -> None:
        self._debug = debug
        self._phase, self._total, self._done, self._began = "", 0, 0, time.monotonic()
        self._reused = 0
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._parts: dict[str, float] = {}
        self._lines: dict[str, TaskID] = {}
        self._words = 40
        self._said = time.monotonic()
        self._guard = threading.Lock()

    def __enter__(self) -> Console:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def start(self, phase: str, total: int) -> None:
        """Begin a phase of ``total`` sections."""
        self._stop()
        self._phase, self._total, self._done, self._began = phase, total, 0, time.monotonic()
        self._parts, self._lines, self._reused = {}, {}, 0
        if sys.stderr.isatty():
            from rich.console import Console as Terminal
            from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
            from rich.table import Column

            terminal = Terminal(stderr=True)
            # of one width whatever is said, or the bars would move with every stage
            self._words = min(48, terminal.width // 2)
            words = Column(width=self._words, no_wrap=True, overflow="ellipsis")
            left = Column(width=len("1000 min left"), no_wrap=True)
            self._bar = Progress(
                TextColumn("{task.description}", markup=False, table_column=words), BarColumn(bar_width=None),
                TaskProgressColumn(), TextColumn("{task.fields[left]}", markup=False, table_column=left),
                console=terminal, transient=True,
            )  # fmt: skip
            self._task = self._bar.add_task(f"{phase.capitalize()} ({total})", total=total, left="")
            self._bar.start()
        else:
            self.say(f"{phase.capitalize()}: {total}")

    def done(self, outcome: Outcome | Failure | ControlEvidence, position: int) -> None:
        """Tell that a section is done."""
        self._forget(outcome.section_id)
        self._done += 1
        self._reused += isinstance(outcome, Outcome) and outcome.status == "reused"
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=self._done, left=self._left())
        failure = outcome if isinstance(outcome, Failure) else getattr(outcome, "failure", None)
        if failure is not None:
            self._failed(failure)
        elif self._bar is None:
            word = in_words(outcome) if isinstance(outcome, Outcome) else "measured"
            self.say(f"  {self._done}/{self._total} {outcome.section_id}: {word}{self._to_go()}")

    def progress(self, section_id: str, stage: str, fraction: float) -> None:
        """Tell how far a section is: a bar of its own on a terminal, now and then a line otherwise."""
        with self._guard:
            share = share_done(stage, fraction)
            self._parts[section_id] = max(share, self._parts.get(section_id, 0.0))
            if self._bar is not None and self._task is not None:
                if section_id not in self._lines:
                    self._lines[section_id] = self._bar.add_task("", total=1.0, left="")
                self._bar.update(
                    self._lines[section_id], description=self._under_work(section_id, stage), completed=share
                )
                done = self._done + sum(self._parts.values())
                self._bar.update(self._task, completed=done, left=self._left())
            elif time.monotonic() - self._said > LINE_EVERY_S:
                self._said = time.monotonic()
                typer.echo(f"  {section_id}: {stage} {100 * fraction:.0f} %{self._to_go()}", err=True)

    def _under_work(self, section_id: str, stage: str) -> str:
        room = max(1, self._words - _LONGEST_STAGE - 4)
        return f"  {shortened(section_id, room)}: {stage}"

    def _forget(self, section_id: str) -> None:
        with self._guard:
            self._said = time.monotonic()
            self._parts.pop(section_id, None)
            line = self._lines.pop(section_id, None)
            if self._bar is not None and line is not None:
                self._bar.remove_task(line)

    def step(self, section_id: str, fault: str) -> None:
        """Tell that a section was measured again, or why not."""
        self._done += 1
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=self._done, left=self._left())
        if fault:
            self.say(f"  {self._done}/{self._total} {fault}")
        elif self._bar is None:
            self.say(f"  {self._done}/{self._total} {section_id}{self._to_go()}")

    def say(self, text: str) -> None:
        """Print one plain line."""
        if self._bar is not None:
            self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            typer.echo(text, err=True)

    def _failed(self, failure: Failure) -> None:
        self.say(f"  {self._done}/{self._total} {failure.section_id}: FAILED at {failure.stage}: {failure.message}")
        if self._debug and failure.traceback:
            self.say(failure.traceback)

    def _left(self) -> str:
        words = self._seconds_in_words()
        return f"{words} left" if words else ""

    def _to_go(self) -> str:
        words = self._seconds_in_words()
        return f" (about {words} to go)" if words else ""

    def _seconds_in_words(self) -> str:
        """Return how long the rest of the phase will take, or nothing while too little is known."""
        done = self._done + sum(self._parts.values())
        left = self._total - done
        worked = done - self._reused  # what was there took no time, and says nothing of what is to come
        if left <= 0 or worked < LEAST_DONE:
            return ""
        seconds = (time.monotonic() - self._began) / worked * left
        return f"{seconds / 60:.0f} min" if seconds > 90 else f"{seconds:.0f} s"

    def _stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

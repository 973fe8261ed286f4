"""What a run says while it works: a bar on a terminal, plain lines otherwise."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import typer

from thymusimg.batch.task import Failure, Outcome

if TYPE_CHECKING:
    from types import TracebackType

    from rich.progress import Progress, TaskID

    from thymusimg.cells.gate import ControlEvidence


class Console:
    """The watcher of a run on the command line."""

    def __init__(self, *, debug: bool = False) -> None:
        self._debug = debug
        self._phase, self._total, self._done, self._began = "", 0, 0, time.monotonic()
        self._bar: Progress | None = None
        self._task: TaskID | None = None

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
        if sys.stderr.isatty():
            from rich.console import Console as Terminal
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            self._bar = Progress(
                TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
                console=Terminal(stderr=True), transient=True,
            )  # fmt: skip
            self._task = self._bar.add_task(phase.capitalize(), total=total)
            self._bar.start()
        else:
            self.say(f"{phase.capitalize()}: {total}")

    def done(self, outcome: Outcome | Failure | ControlEvidence, position: int) -> None:
        """Tell that a section is done."""
        self._done += 1
        if self._bar is not None and self._task is not None:
            self._bar.advance(self._task)
        failure = outcome if isinstance(outcome, Failure) else getattr(outcome, "failure", None)
        if failure is not None:
            self._failed(failure)
        elif self._bar is None:
            word = outcome.status if isinstance(outcome, Outcome) else "measured"
            self.say(f"  {self._done}/{self._total} {outcome.section_id}: {word}{self._to_go()}")

    def step(self, section_id: str, fault: str) -> None:
        """Tell that a section was measured again, or why not."""
        self._done += 1
        if self._bar is not None and self._task is not None:
            self._bar.advance(self._task)
        if fault:
            self.say(f"  {self._done}/{self._total} {fault}")
        elif self._bar is None:
            self.say(f"  {self._done}/{self._total} {section_id}{self._to_go()}")

    def say(self, text: str) -> None:
        """Print one plain line."""
        if self._bar is not None:
            self._bar.console.print(text, markup=False, highlight=False)
        else:
            typer.echo(text, err=True)

    def _failed(self, failure: Failure) -> None:
        self.say(f"  {self._done}/{self._total} {failure.section_id}: FAILED at {failure.stage}: {failure.message}")
        if self._debug and failure.traceback:
            self.say(failure.traceback)

    def _to_go(self) -> str:
        left = self._total - self._done
        if not left:
            return ""
        seconds = (time.monotonic() - self._began) / self._done * left
        return f" (about {seconds / 60:.0f} min to go)" if seconds > 90 else f" (about {seconds:.0f} s to go)"

    def _stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

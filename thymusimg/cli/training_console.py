"""What a training says while it works: a bar on a terminal, one plain line an epoch otherwise."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from rich.progress import Progress, TaskID

_PARTS = 4
"""Without a terminal the parts of a long stage are told so often."""


class TrainingConsole:
    """The listener of a training on the command line."""

    def __init__(self) -> None:
        self._rows: list[dict[str, float]] = []
        self._epochs = 0
        self._stage, self._told = "", 0
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> TrainingConsole:
        if sys.stderr.isatty():
            from rich.console import Console as Terminal
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

            self._bar = Progress(
                TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=Terminal(stderr=True),
                transient=True,
            )  # fmt: skip
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    @property
    def epochs_done(self) -> int:
        """Epochs that are kept, those of earlier calls too."""
        return len(self._rows)

    def say(self, text: str) -> None:
        """Print one plain line."""
        if self._bar is not None:
            self._bar.console.print(text, markup=False, highlight=False)
        else:
            typer.echo(text, err=True)

    def progress(self, stage: str, fraction: float) -> None:
        """Move the bar; without a terminal say how far long stages other than epochs are."""
        if self._bar is not None:
            if stage != self._stage or self._task is None:
                self._stage = stage
                if self._task is not None:
                    self._bar.remove_task(self._task)
                self._task = self._bar.add_task(stage, total=1.0)
            self._bar.update(self._task, completed=fraction)
            return
        if stage != self._stage:
            self._stage, self._told = stage, 0
        if stage.startswith("epoch"):
            return
        if int(fraction * _PARTS) > self._told:
            self._told = int(fraction * _PARTS)
            self.say(f"  {stage}: {100 * fraction:.0f} %")

    def begin(self, epochs: int, kept: Sequence[dict[str, float]]) -> None:
        """Say that fitting begins, and after which epochs it goes on."""
        self._epochs, self._rows = epochs, list(kept)
        if kept:
            best = max(kept, key=lambda row: row["score"])
            self.say(
                f"Going on after epoch {len(kept)} of at most {epochs} (best so far {best['score']:.3f}, epoch "
                f"{best['epoch']:.0f})."
            )
        else:
            self.say(f"Fitting for at most {epochs} epochs.")

    def epoch(self, row: dict[str, float]) -> None:
        """Say how an epoch went, and how long the others may take."""
        before = self._rows[-1]["seconds"] if self._rows else 0.0
        self._rows.append(row)
        best = max(self._rows, key=lambda one: one["score"])
        left = (self._epochs - len(self._rows)) * (row["seconds"] - before)
        to_go = f", at most {_duration(left)} to go" if left > 0 else ""
        mark = " *" if best is row else f" (best {best['score']:.3f}, epoch {best['epoch']:.0f})"
        self.say(
            f"  epoch {row['epoch']:.0f}/{self._epochs}: loss {row['loss']:.4f}, validation {row['score']:.3f}"
            f"{mark}{to_go}"
        )


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds > 90 else f"{seconds:.0f} s"

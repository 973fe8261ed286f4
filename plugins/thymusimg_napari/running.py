"""The rest of a study, run beside the window: a process of its own with the batch engine's workers. No Qt.

A process, so that the window stays as quick as it was, and so that cancelling stops a section in the middle. What
is done then stays, as after Ctrl-C on the command line.
"""

from __future__ import annotations

import json
import pickle
import queue
import subprocess
import sys
import threading
from dataclasses import dataclass, replace
from typing import IO, TYPE_CHECKING, Any

from thymusimg import errors
from thymusimg.batch.job import Failure, Outcome
from thymusimg.batch.run import run_study
from thymusimg.batch.stop import stopped_by_signals
from thymusimg.errors import OutputError, ThymusimgError

if TYPE_CHECKING:
    from pathlib import Path

    from thymusimg.cells.gate import ControlEvidence
    from thymusimg.progress import Progress
    from thymusimg.study.model import Study

PATIENCE_S = 60.0
"""How long a run that is told to stop may take to write its tables."""
_LOOK_S = 0.1


@dataclass(frozen=True)
class Tally:
    """How many sections a run measured, found done, kept as people edited them, and could not measure."""

    measured: int = 0
    reused: int = 0
    edited: int = 0
    failed: int = 0

    @property
    def words(self) -> str:
        """The counts as a sentence."""
        return f"{self.measured} measured, {self.reused} were done, {self.edited} edited, {self.failed} failed"


def run_beside(study: Study, out: Path, progress: Progress, *, workers: int = 0, names: bool = True) -> Tally:
    """Run a study in a process of its own, and return when it is over.

    Sections that are done are not measured again, and corrections of people stand.

    Parameters
    ----------
    progress : callable
        Hears every finished section; where it raises, the run is stopped, and what is done is kept.
    workers : int
        0: as many as suit the machine.
    names : bool
        Whether progress may name the sections.

    Raises
    ------
    ThymusimgError
        What ended the run, in the engine's words.
    """
    lines: queue.Queue[dict[str, Any] | None] = queue.Queue()
    with subprocess.Popen(
        [sys.executable, "-m", "thymusimg_napari.running"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as child:  # fmt: skip
        reader = threading.Thread(target=_read, args=(child, lines), name="thymusimg run", daemon=True)
        reader.start()
        try:
            if child.stdin is not None:
                pickle.dump((_sendable(study), out, workers), child.stdin)
                child.stdin.close()
            return _follow(lines, progress, names=names)
        finally:
            _end(child)
            reader.join()


def _end(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        child.terminate()
    try:
        child.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _follow(lines: queue.Queue[dict[str, Any] | None], progress: Progress, *, names: bool) -> Tally:
    total, done, phase, counts = 1, 0, "starting", dict.fromkeys(("measured", "reused", "edited", "failed"), 0)
    shown = phase
    while True:
        progress(shown, done / total)
        try:
            said = lines.get(timeout=_LOOK_S)
        except queue.Empty:
            continue
        if said is None:
            raise OutputError("the run ended without a word: perhaps the memory was not enough. Try fewer workers.")
        if "tally" in said:
            return Tally(**counts)
        if "error" in said:
            kind = getattr(errors, str(said["kind"]), ThymusimgError)
            raise kind(said["error"])
        if "phase" in said:
            phase, total, done = str(said["phase"]), max(1, int(said["total"])), 0
            shown = f"{phase}, {total} in all"
        else:
            done += 1
            if said["status"] in counts:
                counts[said["status"]] += 1
            name = f"{said['section_id']} {said['status']}, " if names else ""
            shown = f"{name}{done} of {total} {phase}"


def _read(child: subprocess.Popen[bytes], lines: queue.Queue[dict[str, Any] | None]) -> None:
    for line in child.stdout or ():
        try:
            lines.put(json.loads(line))
        except ValueError:  # a library's own word
            continue
    lines.put(None)


def _sendable(study: Study) -> Study:
    """Return a study whose rows hold plain mappings: others cannot be sent."""
    rows = tuple(replace(row, paths=dict(row.paths), channels=dict(row.channels)) for row in study.rows)
    return replace(study, rows=rows)


class _Teller:
    """Tells what a run does, a line of JSON each."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def tell(self, **said: Any) -> None:
        print(json.dumps(said), file=self._stream, flush=True)

    def start(self, phase: str, total: int) -> None:
        self.tell(phase=phase, total=total)

    def done(self, outcome: Outcome | Failure | ControlEvidence, position: int) -> None:
        del position
        failed = isinstance(outcome, Failure)
        status = outcome.status if isinstance(outcome, Outcome) else "failed" if failed else "a control"
        self.tell(section_id=outcome.section_id, status=status)

    def say(self, text: str) -> None:
        """Say nothing: the window says where the results lie."""


def _main() -> None:
    teller = _Teller(sys.stdout)
    sys.stdout = sys.stderr  # nothing else may come between the lines
    study, out, workers = pickle.load(sys.stdin.buffer)  # noqa: S301  from the window that started this process
    try:
        with stopped_by_signals():
            run_study(study, out, watcher=teller, workers=workers, command="napari")
        teller.tell(tally=True)
    except ThymusimgError as error:
        teller.tell(error=str(error), kind=type(error).__name__)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    _main()

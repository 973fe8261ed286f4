"""How far a section is, from the worker that has it to whoever watches the run. Nothing depends on its arriving."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from thymusimg.batch.job import Failure, Job, Outcome
    from thymusimg.cells.gate import ControlEvidence
    from thymusimg.progress import Progress

Hear = Callable[[str, str, float], None]
"""Called as ``hear(section_id, stage, fraction)``, from any thread."""
TOPIC = "thymusimg-progress"
EVERY_S = 1.0
"""A section tells of a stage at most so often: a scheduler may hear hundreds of them."""
_here: list[Hear] = []


class Teller:
    """A progress callback of one section: asks the lease whether the work is wanted, and tells how far it is."""

    def __init__(self, section_id: str, lease: Progress) -> None:
        self._section_id, self._lease = section_id, lease
        self._stage, self._told = "", 0.0
        self._worker = None if _here else _dask_worker()

    def __call__(self, stage: str, fraction: float) -> None:
        """See the class."""
        self._lease(stage, fraction)
        now = time.monotonic()
        if stage == self._stage and now - self._told < EVERY_S:
            return
        self._stage, self._told = stage, now
        for hear in _here:
            hear(self._section_id, stage, fraction)
        if self._worker is not None:
            self._worker.log_event(TOPIC, [self._section_id, stage, float(fraction)])


def tell_row(job: Job, lease: Progress) -> Outcome:
    """Analyse one row as :func:`thymusimg.batch.task.analyse_row`, and tell how far it is."""
    from thymusimg.batch.task import analyse_row  # here: whoever only hands work out loads no analysis

    return analyse_row(job, Teller(job.row.section_id, lease))


def tell_control(job: Job, lease: Progress) -> ControlEvidence | Failure:
    """Look at a negative control as :func:`thymusimg.batch.task.control_row`, and tell how far it is."""
    from thymusimg.batch.task import control_row

    return control_row(job, Teller(job.row.section_id, lease))


@contextmanager
def heard_here(hear: Hear) -> Iterator[None]:
    """Hear the sections that this process works on."""
    _here.append(hear)
    try:
        yield
    finally:
        _here.remove(hear)


@contextmanager
def heard_from(client: Any, hear: Hear) -> Iterator[None]:
    """Hear the sections that the workers of a Dask scheduler work on."""

    def passed(event: tuple[float, Any]) -> None:
        message = event[1]
        if isinstance(message, (list, tuple)) and len(message) == 3:
            hear(*message)

    client.subscribe_topic(TOPIC, passed)
    try:
        yield
    finally:
        if client.status == "running":
            client.unsubscribe_topic(TOPIC)


def _dask_worker() -> Any:
    """Return the Dask worker that this thread belongs to, or None."""
    try:
        from distributed import get_worker

        return get_worker()
    except (ImportError, ValueError):
        return None

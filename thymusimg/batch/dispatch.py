"""Sections handed to workers one at a time: each worker has one, and a death is the fault of that one.

Dask's own queue is not used beyond that. It would give a worker several sections, so that one that kills its worker
takes the blame to its neighbours; and how often it tries again is a setting of the scheduler, which may be somebody
else's.
"""

from __future__ import annotations

from collections import defaultdict, deque
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from thymusimg.batch.executor import limit_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from thymusimg.batch.crew import Crew
    from thymusimg.batch.telling import Hear

J = TypeVar("J")
R = TypeVar("R")

DEATHS = 2
"""A section that killed so many workers is set aside."""
EXCUSED = 3
"""A section whose workers were taken away so often is set aside too: it may not fit into its job's time."""
GPU = "GPU"
"""Name of the Dask resource that a worker with a GPU carries."""


class WorkerDied(RuntimeError):
    """The workers of a section died, or were taken away, again and again."""


class Distributed:
    """Workers of a Dask scheduler, as an :class:`~thymusimg.batch.executor.Executor`."""

    def __init__(self, crew: Crew, *, device: str = "cpu", threads: int = 1, network: bool = False) -> None:
        self.device = device
        self.threads = threads
        self._crew, self._network = crew, network

    def run(
        self, function: Callable[[J], R], jobs: Sequence[J], *, gpu: bool = False
    ) -> Iterator[tuple[int, R | BaseException]]:
        """Yield results as workers finish; see :class:`~thymusimg.batch.executor.Executor`."""
        if gpu:
            self._crew.require_gpu()
        shift = _Shift(self._crew, _Limited(function, self.threads, self._network), jobs, gpu=gpu)
        try:
            yield from shift.results()
        finally:
            shift.abandon()

    def heard(self, hear: Hear) -> AbstractContextManager[None]:
        """Hear how far the sections are; see :class:`~thymusimg.batch.executor.Executor`."""
        from thymusimg.batch.telling import heard_from

        return heard_from(self._crew.client, hear)


class _Limited(Generic[J, R]):
    """A function that first holds its thread to the worker's share.

    Every time, not once a worker: numba and torch count by thread, and a worker that died comes back as new.
    """

    def __init__(self, function: Callable[[J], R], threads: int, network: bool) -> None:
        self._function, self._threads, self._network = function, threads, network

    def __call__(self, job: J) -> R:
        limit_threads(self._threads, network=self._network)
        return self._function(job)


class _Shift(Generic[J, R]):
    """One function over many jobs, until every one has a result or was set aside."""

    def __init__(self, crew: Crew, call: Callable[[J], R], jobs: Sequence[J], *, gpu: bool) -> None:
        self._crew, self._call, self._jobs, self._gpu = crew, call, jobs, gpu
        self._waiting = deque(range(len(jobs)))
        self._busy: dict[str, tuple[Any, int]] = {}  # address → its task, the job's position
        self._deaths: dict[int, list[str]] = defaultdict(list)
        self._excused: dict[int, list[str]] = defaultdict(list)

    def results(self) -> Iterator[tuple[int, R | BaseException]]:
        while self._waiting or self._busy:
            self._crew.look()
            yield from self._collect()
            self._hand_out()
            self._pause()

    def abandon(self) -> None:
        """Cancel what is under way."""
        if self._busy:
            self._crew.client.cancel([future for future, _ in self._busy.values()], force=True)

    def _collect(self) -> Iterator[tuple[int, R | BaseException]]:
        for address, (future, position) in list(self._busy.items()):
            if not future.done() and address in self._crew.members:
                continue
            del self._busy[address]
            result = _result(future) if future.done() else None
            if result is None:
                self._crew.client.cancel([future], force=True)
                result = self._bury(address, position)
            if result is not None:
                yield position, result[0]

    def _bury(self, address: str, position: int) -> tuple[WorkerDied] | None:
        """Put a lost section back, or set it aside when it was lost too often."""
        excuse = self._crew.excuse(address)
        if excuse:
            self._excused[position].append(excuse)
        else:
            self._deaths[position].append(address)
        deaths, excused = self._deaths[position], self._excused[position]
        if len(deaths) >= DEATHS:
            hosts = ", ".join(dict.fromkeys(map(self._crew.host, deaths)))
            memory = self._crew.memory_words(self._jobs[position], deaths)
            reason = f"its worker process died twice (on {hosts}; most often: out of memory{memory})"
            return (WorkerDied(f"{reason}; use fewer workers"),)
        if len(excused) >= EXCUSED:
            return (WorkerDied(f"its worker was taken away {len(excused)} times ({excused[-1]})"),)
        self._waiting.append(position)
        return None

    def _hand_out(self) -> None:
        for address in self._crew.useful(gpu=self._gpu):
            if not self._waiting:
                return
            if address in self._busy:
                continue
            position = self._waiting.popleft()
            future = self._crew.client.submit(
                self._call, self._jobs[position], pure=False, retries=0, workers=[address],
                resources={GPU: 1} if self._gpu else None,
            )  # fmt: skip
            self._busy[address] = (future, position)

    def _pause(self) -> None:
        pending = len(self._waiting) + len(self._busy)
        if not self._busy:
            if pending:
                self._crew.wait(pending=pending, gpu=self._gpu)
            return
        from distributed import wait

        self._crew.supply.tend(self._crew.members.values(), pending=pending)
        try:
            wait([future for future, _ in self._busy.values()], timeout=1.0, return_when="FIRST_COMPLETED")
        except (TimeoutError, CancelledError):  # a task whose worker is gone may be cancelled: seen to next time
            return


def _result(future: Any) -> tuple[Any] | None:
    """Return the result of a task, or its exception, in a tuple; None if its worker took it to the grave."""
    if future.status == "finished":
        try:
            return (future.result(timeout=60),)
        except TimeoutError:  # the worker died between the end of its task and now
            return None
    from distributed.scheduler import KilledWorker

    error = future.exception() if future.status == "error" else None
    return None if error is None or isinstance(error, KilledWorker) else (error,)

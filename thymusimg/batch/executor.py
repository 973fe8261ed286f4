"""Who does the work: this process, local worker processes, or a scheduler's. Dask distributes, nothing of ours."""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from thymusimg.errors import CallError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import ModuleType

J = TypeVar("J")
R = TypeVar("R")


class Executor(Protocol):
    """Runs one function over many jobs; results come as they are done, with the job's position."""

    def run(self, function: Callable[[J], R], jobs: Sequence[J]) -> Iterator[tuple[int, R | BaseException]]:
        """Yield ``(position, result)``; a worker that died twice on a job gives the exception in its place."""


class Serial:
    """Works in the calling process, one job after another."""

    def run(self, function: Callable[[J], R], jobs: Sequence[J]) -> Iterator[tuple[int, R | BaseException]]:
        """Yield results in order; see :class:`Executor`."""
        for position, job in enumerate(jobs):
            yield position, function(job)


class Distributed:
    """Workers of a Dask scheduler."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def run(self, function: Callable[[J], R], jobs: Sequence[J]) -> Iterator[tuple[int, R | BaseException]]:
        """Yield results as workers finish; see :class:`Executor`."""
        from distributed import as_completed

        futures = {self._client.submit(function, job, pure=False, retries=0): i for i, job in enumerate(jobs)}
        try:
            for future in as_completed(list(futures)):
                error = future.exception()
                yield futures[future], future.result() if error is None else error
        finally:
            self._client.cancel(list(futures))


@contextmanager
def executor(workers: int, scheduler: str = "", threads: int = 1) -> Iterator[Executor]:
    """Give an executor: serial for one worker, else local processes, else the scheduler at an address.

    Raises
    ------
    CallError
        If the scheduler does not answer.
    """
    if not scheduler and workers <= 1:
        limit_threads(threads)
        yield Serial()
        return
    with _quiet_client(workers, scheduler, threads) as client:
        client.run(_prepare_worker, threads)
        yield Distributed(client)


@contextmanager
def _quiet_client(workers: int, scheduler: str, threads: int) -> Iterator[Any]:
    import dask
    import distributed

    _hush()
    with dask.config.set(_patience()):
        if scheduler:
            with _client(distributed, scheduler) as client:
                yield client
            return
        with (
            distributed.LocalCluster(
                n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None
            ) as cluster,
            _client(distributed, cluster) as client,
        ):
            yield client


def _prepare_worker(threads: int) -> None:
    _hush()
    limit_threads(threads)


def _hush() -> None:
    """Silence Dask's own log: what happens to a worker is told in ``failures.csv``, and the log would bury it."""
    logging.getLogger("distributed").setLevel(logging.CRITICAL)


def _patience() -> dict[str, Any]:
    return {
        "distributed.scheduler.allowed-failures": 1,  # a section that kills its worker twice is set aside
        "distributed.comm.timeouts.connect": "10s",
        "distributed.worker.daemon": False,
    }


@contextmanager
def _client(distributed: ModuleType, where: Any) -> Iterator[Any]:
    try:
        client = distributed.Client(where, timeout="10s")
    except (OSError, TimeoutError, ValueError) as error:
        raise CallError(f"--scheduler {where}: no Dask scheduler answers there ({error})") from None
    with client:
        yield client


def default_workers(sections: int) -> int:
    """Return how many workers suit this machine and a number of sections."""
    import psutil

    memory = max(1, int(psutil.virtual_memory().available / 1.5e9))
    return max(1, min(len(os.sched_getaffinity(0)), sections, memory))


def limit_threads(threads: int) -> None:
    """Hold every library that starts threads of its own to ``threads`` in this process."""
    import cv2
    import numba

    cv2.setNumThreads(threads)
    numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))

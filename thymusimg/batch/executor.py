"""Who does the work: this process, or workers. What they have in common, and what is set in each of them."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TypeVar

from thymusimg.section.memory import BASE_BYTES, free_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from thymusimg.batch.telling import Hear

LEAST_BYTES = 1.5e9
"""What a worker is given at least."""
MEMORY_PER_FILE = 6.0
J = TypeVar("J")
R = TypeVar("R")


class Executor(Protocol):
    """Runs one function over many jobs; results come as they are done, with the job's position."""

    @property
    def device(self) -> str:
        """Where networks run: ``cpu``, ``cuda`` (the one that a worker sees) or ``cuda:N`` of this machine."""

    @property
    def threads(self) -> int:
        """Threads of one worker."""

    def run(
        self, function: Callable[[J], R], jobs: Sequence[J], *, gpu: bool = False
    ) -> Iterator[tuple[int, R | BaseException]]:
        """Yield ``(position, result)``; a worker that died twice on a job gives the exception in its place.

        Parameters
        ----------
        gpu : bool
            Only workers with a GPU may take the jobs.
        """

    def heard(self, hear: Hear) -> AbstractContextManager[None]:
        """Hear how far the sections are."""


class Serial:
    """Works in the calling process, one job after another."""

    def __init__(self, device: str = "cpu", threads: int = 1) -> None:
        self.device = device
        self.threads = threads

    def run(
        self, function: Callable[[J], R], jobs: Sequence[J], *, gpu: bool = False
    ) -> Iterator[tuple[int, R | BaseException]]:
        """Yield results in order; see :class:`Executor`."""
        del gpu  # the process has whatever device was resolved
        for position, job in enumerate(jobs):
            yield position, function(job)

    def heard(self, hear: Hear) -> AbstractContextManager[None]:
        """Hear how far the sections are; see :class:`Executor`."""
        from thymusimg.batch.telling import heard_here

        return heard_here(hear)


@contextmanager
def executor(workers: int, threads: int = 1) -> Iterator[Executor]:
    """Give an executor on this machine's CPU: serial for one worker, else local processes."""
    if workers <= 1:
        limit_threads(threads)
        yield Serial(threads=threads)
        return
    from thymusimg.batch.local import local_workers

    with local_workers(workers, threads) as distributed:
        yield distributed


def default_workers(sections: int, largest_file: int = 0) -> int:
    """Return how many workers suit this machine and a number of sections.

    Parameters
    ----------
    largest_file : int
        Bytes of the largest slide: every worker may have one of that size at the same time.
    """
    memory = max(1, int(free_bytes() / section_bytes(largest_file)))
    return max(1, min(len(os.sched_getaffinity(0)), sections, memory))


def section_bytes(file: int) -> float:
    """Return about how much memory a slide's analysis takes, from the bytes of its file.

    Glass compresses to nothing and is not analysed; tissue takes some six bytes of memory a byte of file.
    """
    return max(LEAST_BYTES, BASE_BYTES + MEMORY_PER_FILE * file)


def limit_threads(threads: int, *, network: bool = False) -> None:
    """Hold every library that starts threads of its own to ``threads``, for work in the calling thread.

    Parameters
    ----------
    network : bool
        The work runs a network: torch is held too. Without one it is held only if it is there already.
    """
    import cv2
    import numba

    cv2.setNumThreads(threads)
    numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
    if network or "torch" in sys.modules:
        from thymusimg.networks.engine import limit_torch_threads

        limit_torch_threads(threads)

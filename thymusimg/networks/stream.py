"""Windows through a network: reading, inference and what is done with the outputs overlap."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from thymusimg.networks.engine import limit_torch_threads, torch_threads
from thymusimg.progress import silent
from thymusimg.section.tiles import map_tiles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future

    import numpy.typing as npt

    from thymusimg.networks.engine import Network
    from thymusimg.progress import Progress

    Planes = npt.NDArray[np.float32]

Item = TypeVar("Item")
Result = TypeVar("Result")


def stream(
    network: Network,
    items: Sequence[Item],
    read: Callable[[Item], Planes | None],
    finish: Callable[[Item, Planes | None], Result],
    *,
    threads: int = 2,
    progress: Progress = silent,
    stage: str = "network",
) -> Iterator[Result]:
    """Yield ``finish(item, outputs)`` for every item, in order.

    On the CPU every thread takes an item from reading to the end, with one thread inside the network: nothing waits
    and nothing oversubscribes. On CUDA threads read ahead and finish behind while one batch is on the device.

    Parameters
    ----------
    network : Network
    items : sequence
    read : callable
        Gives the network's input ``(C, Y, X)`` float32, all of one shape, or None for an item that holds nothing.
    finish : callable
        Takes the raw outputs ``(K, Y, X)``, or None where ``read`` gave None.
    threads : int
        Results do not depend on it.
    progress : callable
        Raising from it cancels; no further item is begun.
    """
    if network.on_cpu:
        with torch_threads(1):
            yield from map_tiles(_whole(network, read, finish), items, threads, progress=progress, stage=stage)
        return
    yield from _on_device(network, items, read, finish, threads, progress, stage)


def _whole(
    network: Network, read: Callable[[Item], Planes | None], finish: Callable[[Item, Planes | None], Result]
) -> Callable[[Item], Result]:
    def work(item: Item) -> Result:
        limit_torch_threads(1)  # each thread has a limit of its own
        planes = read(item)
        return finish(item, None if planes is None else network(planes[None])[0])

    return work


def _on_device(
    network: Network,
    items: Sequence[Item],
    read: Callable[[Item], Planes | None],
    finish: Callable[[Item, Planes | None], Result],
    threads: int,
    progress: Progress,
    stage: str,
) -> Iterator[Result]:
    reading: deque[tuple[Item, Future[Planes | None]]] = deque()
    finishing: deque[Future[Result]] = deque()
    upcoming = iter(items)
    done, total = 0, max(len(items), 1)
    ahead = 2 * threads
    with _Pools(threads) as (readers, finishers):
        while True:
            for item in islice(upcoming, max(0, ahead - len(reading))):
                reading.append((item, readers.submit(read, item)))
            if not reading and not finishing:
                return
            if reading:
                batch = _next_batch(network, reading)
                ahead = max(ahead, 2 * len(batch))  # as much again is read while this batch is on the device
                for (item, _), outputs in zip(batch, _outputs(network, [p for _, p in batch]), strict=True):
                    finishing.append(finishers.submit(finish, item, outputs))
            while finishing and (finishing[0].done() or len(finishing) > ahead or not reading):
                yield finishing.popleft().result()
                done += 1
                progress(stage, done / total)


def _next_batch(
    network: Network, reading: deque[tuple[Any, Future[Planes | None]]]
) -> list[tuple[Any, Planes | None]]:
    """Return items until the network has all it can take at once; those that hold nothing cost it nothing."""
    batch: list[tuple[Any, Planes | None]] = []
    given, wanted = 0, 1
    while reading and given < wanted:
        item, future = reading.popleft()
        planes = future.result()
        batch.append((item, planes))
        if planes is not None:
            given += 1
            wanted = network.batch_size(_shape(planes))
    return batch


def _outputs(network: Network, planes: list[Planes | None]) -> list[Planes | None]:
    given = [p for p in planes if p is not None]
    found = iter(network(np.stack(given))) if given else iter(())
    return [None if p is None else next(found) for p in planes]


def _shape(planes: Planes) -> tuple[int, int, int]:
    channels, height, width = planes.shape
    return channels, height, width


class _Pools:
    """A pool that reads and one that finishes; on the way out nothing further is begun."""

    def __init__(self, threads: int) -> None:
        self._pools = (ThreadPoolExecutor(threads, "read"), ThreadPoolExecutor(threads, "finish"))

    def __enter__(self) -> tuple[ThreadPoolExecutor, ThreadPoolExecutor]:
        return self._pools

    def __exit__(self, *_: object) -> None:
        for pool in self._pools:
            pool.shutdown(wait=True, cancel_futures=True)

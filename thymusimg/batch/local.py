"""Workers on this machine: processes that compute on its cores, or one for each of its GPUs."""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from thymusimg.batch.crew import Crew, Nannies
from thymusimg.batch.dispatch import GPU, Distributed
from thymusimg.batch.executor import LEAST_BYTES
from thymusimg.batch.probe import Requirement
from thymusimg.batch.session import dask_client, dask_settings
from thymusimg.errors import CallError
from thymusimg.section.memory import free_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE_S = 60.0
"""So long a run goes on without a single worker, before it stops; workers that died come back within seconds."""
HTTP = "127.0.0.1:0"
"""Where our schedulers serve pages: to this machine alone, on a port that is free (also without a dashboard)."""


ATTEMPTS = 3
"""So often workers that die while they start are started again."""


def _silent(text: str) -> None:
    """Say nothing."""


@contextmanager
def local_workers(
    count: int,
    threads: int,
    needed: Requirement | None = None,
    *,
    dashboard: bool = False,
    say: Callable[[str], None] = _silent,
) -> Iterator[Distributed]:
    """Start worker processes of this machine that compute on the CPU."""
    import distributed

    needed = Requirement() if needed is None else needed
    with (
        dask_settings(threads),
        _started(
            lambda: distributed.LocalCluster(
                n_workers=count,
                threads_per_worker=1,
                processes=True,
                memory_limit=int(max(LEAST_BYTES, free_bytes() / count)),  # Dask's own share is that of one core
                dashboard_address=HTTP,
                scheduler_kwargs={"dashboard": dashboard},
            )
        ) as cluster,
        dask_client(cluster, say) as client,
    ):
        crew = Crew(client, needed, Nannies(cluster, "this machine", PATIENCE_S), device="cpu", say=say)
        crew.gather(count)
        yield Distributed(crew, threads=threads, network=needed.network)


def _started(start: Callable[[], Any]) -> Any:
    """Start a cluster; again where a worker died before it had come up, which Dask takes for the end of all.

    Raises
    ------
    CallError
        If no attempt brings the workers up.
    """
    for _ in range(ATTEMPTS):
        try:
            return start()
        except (RuntimeError, OSError, TimeoutError) as error:
            last = error
    raise CallError(f"this machine: the workers do not start ({last}). Use --workers 1 to work without any.")


@contextmanager
def local_gpu_workers(
    devices: list[str], threads: int, needed: Requirement, *, dashboard: bool, say: Callable[[str], None]
) -> Iterator[Distributed]:
    """Start one worker process a device of this machine, each of which sees only its own."""
    import distributed

    with (
        dask_settings(threads),
        _started(
            lambda: distributed.SpecCluster(
                workers=gpu_specification(devices),
                scheduler={
                    "cls": distributed.Scheduler,
                    "options": {
                        "host": "127.0.0.1",
                        "dashboard": dashboard,
                        "dashboard_address": HTTP,
                    },
                },
                silence_logs=logging.CRITICAL,
            )
        ) as cluster,
        dask_client(cluster, say) as client,
    ):
        crew = Crew(client, needed, Nannies(cluster, "this machine", PATIENCE_S), device="cuda", say=say)
        crew.gather(len(devices))
        yield Distributed(crew, device="cuda", threads=threads, network=needed.network)


def gpu_specification(devices: list[str]) -> dict[str, Any]:
    """Return Dask's specification of one worker a device, by the device's number in this process."""
    from distributed import Nanny

    visible = [part.strip() for part in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if part.strip()]
    return {
        f"gpu-{number}": {
            "cls": Nanny,
            "options": {
                "nthreads": 1,
                "resources": {GPU: 1},
                "host": "127.0.0.1",
                "env": {"CUDA_VISIBLE_DEVICES": visible[int(number)] if visible else number},
            },
        }
        for number in devices
    }

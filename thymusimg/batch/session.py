"""A connection to Dask, its settings, and its silence."""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from thymusimg.errors import CallError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def dask_client(where: Any, say: Callable[[str], None]) -> Iterator[Any]:
    """Connect to a cluster of ours, or to the address of another.

    Raises
    ------
    CallError
        If nobody answers.
    """
    import distributed

    try:
        client = distributed.Client(where, timeout="10s")
    except (OSError, TimeoutError, ValueError) as error:
        raise CallError(f"--scheduler {where}: no Dask scheduler answers there ({error})") from None
    with client:
        if link := _dashboard(client):
            say(f"Dask's dashboard: {link}")
        yield client


def _dashboard(client: Any) -> str:
    services = client.scheduler_info().get("services", {})
    return str(client.dashboard_link) if services.get("dashboard") and find_spec("bokeh") else ""


@contextmanager
def dask_settings(threads: int) -> Iterator[None]:
    """Quieten Dask, and set in its worker processes what must be set before they start."""
    import dask

    # what happens to a worker is told in failures.csv, and Dask's own log would bury it
    # tornado logs the callback that a Ctrl-C leaves without its future
    for name in ("distributed", "tornado.application"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with (
        _no_word_of_semaphores(),
        dask.config.set(
            {
                "distributed.comm.timeouts.connect": "10s",
                "distributed.worker.daemon": False,
                "distributed.worker.preload": ["thymusimg.batch.quiet"],
                "distributed.worker.profile.enabled": False,
                "distributed.admin.tick.interval": "1s",
                "distributed.admin.system-monitor.interval": "5s",
                "distributed.worker.memory.target": False,  # Dask holds none of our data: nothing to spill
                "distributed.worker.memory.spill": False,
                "distributed.worker.memory.pause": False,  # a paused worker would be waited for in vain
                # all of Dask's own list: its MALLOC_TRIM_THRESHOLD_ gives every freed plane back to the system at
                # once and takes it again, which doubled the work; stages give memory back when they end
                "distributed.nanny.pre-spawn-environ": {
                    "NUMBA_NUM_THREADS": threads,
                    **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), 1),
                },
            }
        ),
    ):
        yield


@contextmanager
def _no_word_of_semaphores() -> Iterator[None]:
    """Silence the process that clears up after workers that were stopped: it does, and warns that it had to."""
    name, before = "PYTHONWARNINGS", os.environ.get("PYTHONWARNINGS")
    mine = "ignore::UserWarning:multiprocessing.resource_tracker"
    os.environ[name] = f"{before},{mine}" if before else mine
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = before

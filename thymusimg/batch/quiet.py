"""What Dask loads into every worker process that we start on this machine, before its first section."""

from __future__ import annotations

import logging
import signal


def dask_setup(worker: object) -> None:
    """Leave Ctrl-C to the process that started the worker, and Dask's log to itself.

    A terminal sends Ctrl-C to all processes; each worker would die with a traceback, when it is the run that stops
    them. What happens to a worker is told in ``failures.csv``.
    """
    del worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.getLogger("distributed").setLevel(logging.CRITICAL)

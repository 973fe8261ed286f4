"""What Dask loads into every worker process that we start on this machine, before its first section."""

from __future__ import annotations

import atexit
import gc
import logging
import signal
from importlib import import_module
from threading import Thread

WORK = "thymusimg.batch.task"
"""What a section needs: loaded while the worker reports for duty, not with its first section."""


def dask_setup(worker: object) -> None:
    """Leave Ctrl-C to the process that started the worker, and Dask's log to itself; load what the work needs.

    A terminal sends Ctrl-C to all processes; each worker would die with a traceback, when it is the run that stops
    them. What happens to a worker is told in ``failures.csv``.
    """
    del worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    Thread(target=import_module, args=(WORK,), daemon=True).start()
    # else the end of the process looks for cycles among all that was loaded: half a second that the run waits for
    atexit.register(gc.freeze)

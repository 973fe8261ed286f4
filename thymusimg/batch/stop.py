"""A run that is told to end ends as by Ctrl-C: workers are stopped, tables are written."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGHUP)
"""What ``kill``, a batch system before its time limit, and a closed terminal send."""


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Turn the first such signal into :class:`KeyboardInterrupt`; further ones do not disturb the clearing up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _interrupt) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, frame: FrameType | None) -> None:
    del frame
    for other in SIGNALS:
        signal.signal(other, signal.SIG_IGN)
    raise KeyboardInterrupt

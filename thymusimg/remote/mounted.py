"""Reading from disks, mounted ones too: what fails because of the storage, not of the file, is tried again."""

from __future__ import annotations

import errno
import time
from typing import TYPE_CHECKING, TypeVar

from thymusimg.errors import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

WAITS_S = (0.5, 1.0, 2.0, 4.0)
"""Pauses between attempts, as for servers (:class:`thymusimg.remote.patience.Patience`)."""

_NAMES = ("EIO", "ESTALE", "ETIMEDOUT", "EAGAIN", "EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN", "ENETUNREACH",
          "ECONNRESET", "ECONNABORTED", "ENOTCONN", "EREMOTEIO", "ESHUTDOWN")  # fmt: skip
PASSING = frozenset(getattr(errno, name) for name in _NAMES if hasattr(errno, name))
"""What a mounted disk says that may be there again a moment later."""


def patiently_read(read: Callable[[], T], path: str) -> T:
    """Read, and again where the storage failed.

    Parameters
    ----------
    read : callable
        One attempt; what it began must be undone when it fails.
    path : str
        For the message.

    Raises
    ------
    UnreadableError
        If the storage failed every time. Everything else that ``read`` raises passes at once.
    """
    for wait in WAITS_S:
        try:
            return read()
        except Exception as error:
            if storage_fault(error) is None:
                raise
        time.sleep(wait)
    try:
        return read()
    except Exception as error:
        fault = storage_fault(error)
        if fault is None:
            raise
        raise UnreadableError(
            f"{path}: cannot be read ({fault.strerror}; tried {len(WAITS_S) + 1} times). Check the disk or its "
            "network and run again: what is finished is kept."
        ) from None


def storage_fault(error: BaseException | None) -> OSError | None:
    """Return the storage's fault that an error is, or that a reader made it of; None: it is another."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in PASSING:
            return error
        error = error.__cause__
    return None

"""One run a folder: the second is refused, on one machine and on a shared disk, and the dead hold nothing.

The kernel's lock tells the processes of one machine apart, and goes when its process does, however it ends. A
shared disk may not pass it on to other machines, or have none at all. So whoever holds a folder also writes who it
is into the lock's file, and counts on while it lives. What another machine left is looked at for a while: what
counts on is alive. No clock is read: those of two machines differ.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import threading
import time
import uuid
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

from thymusimg.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOCK = ".lock"
BEAT_S = 2.0
"""So often a holder counts on."""
WATCH_S = 9.0
"""What has not counted on for so long is dead; network disks show what another machine wrote some seconds late."""
TAKEN = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)
"""What the kernel answers where somebody holds the lock; any other answer means that this disk has none."""


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a folder against other runs.

    Raises
    ------
    OutputError
        If another run holds it, or it cannot be written.
    """
    try:
        handle = (folder / LOCK).open("r+" if (folder / LOCK).exists() else "w+", encoding="ascii")
    except OSError as error:
        raise OutputError(f"{folder}: the output folder cannot be written ({error.strerror or error}).") from None
    with handle:
        locks = _lock(folder, handle)
        other = _read(handle)
        mine = {"host": socket.gethostname(), "pid": os.getpid(), "token": uuid.uuid4().hex, "beat": 0}
        if other and not _is_gone(other, locks=locks) and _counts_on(folder, other):
            raise _refusal(folder, other)
        _write(handle, mine)
        if not locks:  # two that came at once: the last to write holds it
            time.sleep(BEAT_S)
            if _look(folder).get("token") != mine["token"]:
                raise _refusal(folder, _look(folder))
        ended = threading.Event()
        beating = threading.Thread(target=_beat, args=(handle, mine, ended), daemon=True)
        beating.start()
        try:
            yield
        finally:
            ended.set()
            beating.join()
            _write(handle, {})


def _lock(folder: Path, handle: IO[str]) -> bool:
    """Take the kernel's lock and say whether there is one."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in TAKEN:
            raise _refusal(folder, _read(handle)) from None
        return False
    return True


def _refusal(folder: Path, holder: dict[str, Any]) -> OutputError:
    who = f" (process {holder['pid']} on {holder['host']})" if {"pid", "host"} <= holder.keys() else ""
    return OutputError(
        f"{folder}: another run is writing here{who}. Wait for it, or choose another folder with --out."
    )


def _is_gone(holder: dict[str, Any], *, locks: bool) -> bool:
    """Whether a holder of this machine is known to have ended: its lock is free, or its process away."""
    if holder.get("host") != socket.gethostname():
        return False
    if locks:
        return True
    try:
        os.kill(int(holder.get("pid", 0)), 0)
    except ProcessLookupError:
        return True
    except (OSError, ValueError):
        return False
    return False


def _counts_on(folder: Path, holder: dict[str, Any]) -> bool:
    until = time.monotonic() + WATCH_S
    while time.monotonic() < until:
        time.sleep(min(0.5, WATCH_S / 4))
        now = _look(folder)
        if not now:  # it let go
            return False
        if now != holder:
            return True
    return False


def _beat(handle: IO[str], mine: dict[str, Any], ended: threading.Event) -> None:
    while not ended.wait(BEAT_S):
        mine["beat"] += 1
        _write(handle, mine)


def _write(handle: IO[str], record: dict[str, Any]) -> None:
    try:
        handle.seek(0)
        handle.truncate()
        handle.write(json.dumps(record) if record else "")
        handle.flush()
    except OSError:  # a full disk: the work itself will say so; the kernel's lock holds
        return


def _look(folder: Path) -> dict[str, Any]:
    try:
        with (folder / LOCK).open(encoding="ascii") as handle:  # anew: a network disk then asks its server
            return _read(handle)
    except OSError:
        return {}


def _read(handle: IO[str]) -> dict[str, Any]:
    handle.seek(0)
    try:
        record = json.loads(handle.read() or "{}")
    except ValueError:  # just being written, or of an earlier version
        return {}
    return record if isinstance(record, dict) else {}

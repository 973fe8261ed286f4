"""Stored bytes and decoded blocks: thread-safe reading at an offset, and a bounded cache of what was decoded."""

from __future__ import annotations

import errno
import os
import tempfile
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from thymusimg.errors import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from pathlib import Path

    import numpy.typing as npt

CACHE_BYTES = 128 * 2**20
"""Decoded blocks kept for neighbours that overlap (halos, strips): a few bands of tiles."""

SPILL_BYTES = 64 * 2**20
"""A block beyond this (a plane stored as one strip) is decoded once and kept in a temporary file."""


class ByteFile:
    """A file that several threads read at once, each at its own offset."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("rb")
        self._opened = [self._file]  # other threads may be reading from one that went stale
        self._stamp = _stamp(self._file)  # a stale handle cannot be asked any more
        self._lock = threading.Lock()

    def read(self, offset: int, size: int) -> bytes:
        """Return ``size`` bytes from ``offset``.

        Raises
        ------
        UnreadableError
            If the file ends before.
        OSError
            If the storage fails. A stale handle of a network disk is opened again for the next attempt.
        """
        try:
            data = self._bytes(offset, size)
        except OSError as error:
            if error.errno == errno.ESTALE:
                self._open_again()
            raise
        if len(data) < size:
            raise UnreadableError(
                f"{self.path}: the file ends {size - len(data):,} bytes too early (at byte "
                f"{offset + len(data):,}). It is truncated: copy it again."
            )
        return data

    def _bytes(self, offset: int, size: int) -> bytes:
        if hasattr(os, "pread"):
            data = os.pread(self._file.fileno(), size, offset)
            while data and len(data) < size:  # network drives may answer in parts
                more = os.pread(self._file.fileno(), size - len(data), offset + len(data))
                if not more:
                    break
                data += more
        else:  # Windows has no pread
            with self._lock:
                self._file.seek(offset)
                data = self._file.read(size)
        return data

    def _open_again(self) -> None:
        with self._lock:
            file = self.path.open("rb")
            self._opened.append(file)
            if _stamp(file) != self._stamp:
                raise UnreadableError(f"{self.path}: was changed while it was read. Run again.")
            self._file = file

    def close(self) -> None:
        """Close the file."""
        for file in self._opened:
            file.close()

    def __del__(self) -> None:
        for file in getattr(self, "_opened", ()):  # missing where opening failed
            file.close()


def _stamp(file: BinaryIO) -> tuple[int, int]:
    state = os.fstat(file.fileno())
    return state.st_size, state.st_mtime_ns


class BlockCache:
    """Decoded blocks, least recently used out first; each block is decoded once even if several threads want it."""

    def __init__(self, limit_bytes: int = CACHE_BYTES, spill_bytes: int = SPILL_BYTES) -> None:
        self._limit = limit_bytes
        self._spill = spill_bytes
        self._blocks: OrderedDict[Hashable, npt.NDArray[np.generic]] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()
        self._pending: dict[Hashable, threading.Lock] = {}
        self._spilled: dict[Hashable, npt.NDArray[np.generic]] = {}

    def get(self, key: Hashable, decode: Callable[[], npt.NDArray[np.generic]]) -> npt.NDArray[np.generic]:
        """Return the block of ``key``, decoding it if it is not there. The block must not be changed."""
        with self._lock:
            block = self._known(key)
            if block is not None:
                return block
            pending = self._pending.setdefault(key, threading.Lock())
        with pending:
            with self._lock:
                block = self._known(key)
            if block is None:
                block = self._keep(key, decode())
            with self._lock:
                self._pending.pop(key, None)
        return block

    def clear(self) -> None:
        """Forget every block."""
        with self._lock:
            self._blocks.clear()
            self._spilled.clear()
            self._size = 0

    def _known(self, key: Hashable) -> npt.NDArray[np.generic] | None:
        if key in self._spilled:
            return self._spilled[key]
        if key not in self._blocks:
            return None
        self._blocks.move_to_end(key)
        return self._blocks[key]

    def _keep(self, key: Hashable, block: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        if block.nbytes > self._spill:
            spilled = spill(block)
            with self._lock:
                self._spilled[key] = spilled
            return spilled
        with self._lock:
            self._blocks[key] = block
            self._size += block.nbytes
            while self._size > self._limit and len(self._blocks) > 1:
                self._size -= self._blocks.popitem(last=False)[1].nbytes
        return block


def spill(block: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """Move an array to a temporary file that vanishes with it, and return it as mapped memory.

    Raises
    ------
    UnreadableError
        If the temporary folder is full.
    """
    folder = tempfile.gettempdir()
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            np.ascontiguousarray(block).tofile(file)
            file.flush()
            return np.memmap(file, dtype=block.dtype, mode="r", shape=block.shape)
    except OSError as error:
        raise UnreadableError(
            f"A plane of {block.nbytes / 2**20:.0f} MB is stored in one piece and does not fit into the temporary "
            f"folder {folder} ({error}). Free space there, or save the image in tiles."
        ) from error

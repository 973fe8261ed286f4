"""A tiled OME-TIFF, perhaps with a pyramid, from rows of pixels that come one band after another."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
import tifffile

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt

TILE_PX = 512
_IN_MEMORY = 1 << 25
"""Larger slides keep their compressed tiles in a temporary file beside the slide until all are there."""
_CLASSIC_BYTES = 2 << 30
"""Slides with more pixel data are BigTIFFs."""


@dataclass(frozen=True)
class SlideFormat:
    """What a slide's file says of it: (C, Y, X) ``shape``, pixel type and size, channels, significant bits."""

    shape: tuple[int, int, int]
    dtype: str
    pixel_um: float
    channel_names: Sequence[str]
    bits: int
    pyramid: bool = False

    @property
    def levels(self) -> list[tuple[int, int]]:
        """Height and width of every level; each halves the one before while both sides exceed two tiles."""
        sizes = [self.shape[1:]]
        while self.pyramid and min(sizes[-1]) > 2 * TILE_PX:
            sizes.append((sizes[-1][0] // 2, sizes[-1][1] // 2))
        return sizes


class SlideWriter:
    """Takes bands of rows from top to bottom, compresses their tiles at once, and writes the file at the end.

    Memory is one row of tiles a level. The file carries no date: the same pixels are the same file.

    Parameters
    ----------
    path : path
    form : SlideFormat
    """

    def __init__(self, path: str | Path, form: SlideFormat) -> None:
        self._path = path
        self._form = form
        self._levels = form.levels
        self._waiting: list[list[npt.NDArray[Any]]] = [[] for _ in self._levels]
        self._tiles: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
        folder = getattr(path, "parent", None)
        self._spool = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY, dir=folder)
        self._end = 0

    def put(self, band: npt.NDArray[Any]) -> None:
        """Take the next rows, (C, rows, X); all bands but the last have a multiple of ``TILE_PX`` rows."""
        for y in range(0, band.shape[1], TILE_PX):
            self._put_row(0, band[:, y : y + TILE_PX])

    def _put_row(self, level: int, rows: npt.NDArray[Any]) -> None:
        """Compress one row of tiles, and hand its half to the next level."""
        for channel, plane in enumerate(rows):
            for x in range(0, plane.shape[1], TILE_PX):
                self._keep(level, channel, plane[:, x : x + TILE_PX])
        if level + 1 == len(self._levels):
            return
        waiting = self._waiting[level + 1]
        waiting.append(_halved(rows))
        whole = sum(w.shape[1] for w in waiting)
        if whole >= TILE_PX:
            self._flush(level + 1)

    def _flush(self, level: int) -> None:
        rows = np.concatenate(self._waiting[level], axis=1)
        self._waiting[level] = []
        self._put_row(level, rows)

    def _keep(self, level: int, channel: int, tile: npt.NDArray[Any]) -> None:
        whole = np.zeros((TILE_PX, TILE_PX), self._form.dtype)
        whole[: tile.shape[0], : tile.shape[1]] = tile
        packed = imagecodecs.deflate_encode(whole.tobytes(), level=1)
        self._tiles[level, channel].append((self._end, len(packed)))
        self._end += self._spool.write(packed)

    def close(self) -> None:
        """Write the file."""
        for level in range(1, len(self._levels)):
            if self._waiting[level]:
                self._flush(level)
        form, channels = self._form, self._form.shape[0]
        raw = sum(h * w for h, w in self._levels) * channels * np.dtype(form.dtype).itemsize
        metadata = {
            "axes": "CYX",
            "Channel": {"Name": list(form.channel_names)},
            "PhysicalSizeX": form.pixel_um,
            "PhysicalSizeXUnit": "µm",
            "PhysicalSizeY": form.pixel_um,
            "PhysicalSizeYUnit": "µm",
            "SignificantBits": form.bits,
            "UUID": "urn:uuid:00000000-0000-0000-0000-000000000000",
        }
        options: dict[str, Any] = {
            "dtype": form.dtype, "photometric": "minisblack", "tile": (TILE_PX, TILE_PX), "compression": "zlib",
        }  # fmt: skip
        with tifffile.TiffWriter(self._path, ome=True, byteorder="<", bigtiff=raw > _CLASSIC_BYTES) as tif:
            for level, size in enumerate(self._levels):
                first = {"subifds": len(self._levels) - 1, "metadata": metadata, "software": "thymusimg phantom"}
                tif.write(
                    self._read(level), shape=(channels, *size), **options,
                    **(first if level == 0 else {"subfiletype": 1}),
                )  # fmt: skip
        self._spool.close()

    def discard(self) -> None:
        """Forget everything; nothing was written."""
        self._spool.close()

    def _read(self, level: int) -> Iterator[bytes]:
        for channel in range(self._form.shape[0]):
            for start, length in self._tiles[level, channel]:
                self._spool.seek(start)
                yield self._spool.read(length)


def _halved(rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Average squares of four pixels, rounded half up; an odd last row or column is dropped, as scanners do."""
    height, width = rows.shape[1] // 2 * 2, rows.shape[2] // 2 * 2
    pairs = rows[:, 0:height:2].astype(np.uint32)
    pairs += rows[:, 1:height:2]
    half = pairs[:, :, 0:width:2] + pairs[:, :, 1:width:2]
    half += 2
    half >>= 2
    return half.astype(rows.dtype)

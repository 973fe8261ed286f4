"""Pixels of a TIFF: only the tiles or strips that a window touches are read and decoded, in any thread."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from thymusimg.errors import UnreadableError
from thymusimg.section.readers.base import check_block
from thymusimg.section.readers.blocks import SPILL_BYTES, BlockCache, ByteFile
from thymusimg.section.readers.coded_size import check_coded_size, check_compression

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from thymusimg.section.model import Window

JPEG_START = b"\xff\xd8"
JPEG_COMPRESSIONS = (6, 7, 34892, 33007)
"""Compressions whose tables lie in a tag of the page and not in the block."""

SPILLED_BLOCK_BYTES = SPILL_BYTES
"""A block beyond this is kept in a temporary file."""


@dataclass(frozen=True)
class PagePlan:
    """Where one page's blocks lie."""

    file: str
    offsets: tuple[int, ...]
    counts: tuple[int, ...]
    jpegtables: bytes | None = None


@dataclass(frozen=True)
class LevelPlan:
    """How one resolution is stored; the same for each of its pages.

    Attributes
    ----------
    decode : callable
        tifffile's decoder of one block.
    block : (int, int)
        Height and width of a tile, or rows of a strip and width of the image.
    samples : int
        Samples a pixel; ``planar`` if each is stored as a plane of its own.
    flat : bool
        Uncompressed, in rows one after the other: any row can be read by itself.
    pages : mapping
        Plan of page (channel, z).
    """

    shape: tuple[int, int]
    dtype: np.dtype[np.generic]
    stored: np.dtype[np.generic]
    decode: Callable[..., Any]
    jpegheader: bytes | None
    takes_tables: bool
    compression: int
    block: tuple[int, int]
    samples: int
    planar: bool
    flat: bool
    fill: float
    pages: dict[tuple[int, int], PagePlan]

    @property
    def blocks(self) -> tuple[int, int]:
        """Rows and columns of blocks."""
        return -(-self.shape[0] // self.block[0]), -(-self.shape[1] // self.block[1])

    @property
    def block_bytes(self) -> int:
        """Decoded size of a block."""
        samples = 1 if self.planar else self.samples
        return self.block[0] * self.block[1] * samples * self.dtype.itemsize


class TiffPixels:
    """Pixel source over the plans of a pyramid's levels."""

    def __init__(self, path: str, levels: Sequence[LevelPlan]) -> None:
        self._path = path
        self._levels = tuple(levels)
        self._files = {name: ByteFile(Path(name)) for name in _files(levels)}
        self._cache = BlockCache()

    def read(self, level: int, channel: int, z: int, window: Window) -> npt.NDArray[np.generic]:
        """Return a fresh (height, width) array of one channel, z plane and window."""
        plan = self._levels[level]
        page, sample = divmod(channel, plan.samples)
        if plan.flat:
            return self._read_rows(plan, plan.pages[page, z], sample, window)
        out = np.empty(window.shape, dtype=plan.dtype)
        height, width = plan.block
        for row in range(window.y0 // height, -(-window.y1 // height)):
            for column in range(window.x0 // width, -(-window.x1 // width)):
                block = self._block(level, plan, (page, z), sample, (row, column))
                top, left = row * height, column * width
                y0, y1 = max(window.y0, top), min(window.y1, top + height)
                x0, x1 = max(window.x0, left), min(window.x1, left + width)
                target = out[y0 - window.y0 : y1 - window.y0, x0 - window.x0 : x1 - window.x0]
                if block is None:
                    target[...] = plan.fill
                else:
                    inside = 0 if plan.planar else sample
                    target[...] = block[y0 - top : y1 - top, x0 - left : x1 - left, inside]
        return out

    def close(self) -> None:
        """Close the files and forget the decoded blocks."""
        self._cache.clear()
        for file in self._files.values():
            file.close()

    def _block(
        self, level: int, plan: LevelPlan, page: tuple[int, int], sample: int, place: tuple[int, int]
    ) -> npt.NDArray[np.generic] | None:
        rows, columns = plan.blocks
        index = place[0] * columns + place[1] + (sample * rows * columns if plan.planar else 0)
        where = plan.pages[page]
        if index >= len(where.offsets):
            raise UnreadableError(
                f"{self._path}: block {index} is missing from a page of {len(where.offsets)} blocks. "
                "The file is damaged: copy it again."
            )
        if where.offsets[index] == 0 or where.counts[index] == 0:
            return None  # a sparse file leaves empty blocks out
        return self._cache.get((level, page, index), lambda: self._decode(plan, where, index))

    def _decode(self, plan: LevelPlan, where: PagePlan, index: int) -> npt.NDArray[np.generic]:
        data = self._files[where.file].read(where.offsets[index], where.counts[index])
        coded = data if data[:2] == JPEG_START else (where.jpegtables or plan.jpegheader or b"") + data
        check_coded_size(plan.compression, coded if plan.takes_tables else data, plan.block)
        tables = {"jpegtables": where.jpegtables, "jpegheader": plan.jpegheader} if plan.takes_tables else {}
        segment, _, _ = plan.decode(data, index, **tables)
        block: npt.NDArray[np.generic] = segment[0]
        if block.dtype != plan.dtype:
            block = block.astype(plan.dtype)
        return block

    def _read_rows(self, plan: LevelPlan, where: PagePlan, sample: int, window: Window) -> npt.NDArray[np.generic]:
        height, width = plan.shape
        inner = 1 if plan.planar else plan.samples
        pixel = inner * plan.stored.itemsize
        start = where.offsets[0] + (sample * height * width * pixel if plan.planar else 0)
        file = self._files[where.file]
        rows, columns = window.shape
        if columns * 4 >= width:  # one long read beats many short ones
            data = file.read(start + window.y0 * width * pixel, rows * width * pixel)
            lines = np.frombuffer(data, plan.stored).reshape(rows, width, inner)[:, window.x0 : window.x1]
        else:
            parts = [
                file.read(start + (y * width + window.x0) * pixel, columns * pixel)
                for y in range(window.y0, window.y1)
            ]
            lines = np.frombuffer(b"".join(parts), plan.stored).reshape(rows, columns, inner)
        plane = lines[:, :, 0 if plan.planar else sample]
        return plane.astype(plan.dtype, order="C", copy=True)


def _files(levels: Sequence[LevelPlan]) -> list[str]:
    return sorted({page.file for plan in levels for page in plan.pages.values()})


def plan_level(path: str, series: Any, leading: list[tuple[str, int]], channel_axis_in_page: bool) -> LevelPlan:
    """Read where every block of one resolution lies; no pixel is read.

    Parameters
    ----------
    path : str
        The file, for messages.
    series : tifffile.TiffPageSeries
        One level of a series.
    leading : list of (axis, size)
        The axes that run over pages, slowest first.
    channel_axis_in_page : bool
        True where the samples of a page are the channel axis (LSM).

    Raises
    ------
    UnreadableError
        If pages or blocks are missing, or the file ends before its pixels.
    """
    key = series.keyframe
    shape = (int(key.imagelength), int(key.imagewidth))
    if key.imagedepth > 1:
        raise UnreadableError(
            f"{path}: volumetric TIFF pages ({key.imagedepth} deep) are not read. Export z planes."
        )
    check_compression(path, int(key.compression), getattr(key.compression, "name", ""))
    dtype = np.dtype(key.dtype).newbyteorder("=")
    samples = int(key.samplesperpixel)
    planar = samples > 1 and int(key.planarconfig) == 2
    block = (
        (int(key.tilelength), int(key.tilewidth))
        if key.is_tiled
        else (
            max(1, min(int(key.rowsperstrip), shape[0])),
            shape[1],
        )
    )
    flat = _is_flat(key, dtype)
    pages = {
        (page, z): _plan_page(path, series, index, shape, samples, dtype, flat)
        for index, (page, z) in enumerate(_page_order(leading, channel_axis_in_page))
    }
    plan = LevelPlan(
        shape=shape,
        dtype=dtype,
        stored=dtype.newbyteorder(key.parent.byteorder),
        decode=key.decode,
        jpegheader=key.jpegheader if key.compression in JPEG_COMPRESSIONS else None,
        takes_tables=int(key.compression) in JPEG_COMPRESSIONS,
        compression=int(key.compression),
        block=block,
        samples=samples,
        planar=planar,
        flat=flat and all(_is_one_run(page) for page in pages.values()),
        fill=float(key.nodata),
        pages=pages,
    )
    if not plan.flat:
        check_block(path, plan.block_bytes)
    _check_count(path, plan)
    return plan


def _check_count(path: str, plan: LevelPlan) -> None:
    """Refuse pages that list fewer blocks than their size asks for."""
    needed = 1 if plan.flat else plan.blocks[0] * plan.blocks[1] * (plan.samples if plan.planar else 1)
    for page in plan.pages.values():
        held = min(len(page.offsets), len(page.counts))
        if held < needed:
            raise UnreadableError(
                f"{path}: a plane lists {held:,} of its {needed:,} blocks. The header is damaged: copy it again."
            )


def _page_order(leading: list[tuple[str, int]], channel_axis_in_page: bool) -> list[tuple[int, int]]:
    """Return (channel page, z) of every page; pages of later time points are left out by the caller's check."""
    sizes = [1 if axis == "C" and channel_axis_in_page else size for axis, size in leading]
    order = []
    for place in np.ndindex(*sizes):
        at = dict(zip((axis for axis, _ in leading), place, strict=True))
        order.append((at.get("C", at.get("I", at.get("Q", 0))), at.get("Z", 0)))
    return order


def _plan_page(
    path: str,
    series: Any,
    index: int,
    shape: tuple[int, int],
    samples: int,
    dtype: np.dtype[np.generic],
    flat: bool,
) -> PagePlan:
    if series.is_truncated or (series.dataoffset is not None and flat):
        # ImageJ describes all planes by one page and stores them one after the other.
        size = shape[0] * shape[1] * samples * dtype.itemsize
        start = int(series.dataoffset or series.keyframe.dataoffsets[0]) + index * size
        plan = PagePlan(str(series.keyframe.parent.filehandle.path), (start,), (size,))
    else:
        page = series.pages[index]
        if page is None:
            raise UnreadableError(
                f"{path}: plane {index} of the file set is missing. Keep all files of the set in one folder."
            )
        plan = PagePlan(
            str(page.parent.filehandle.path),
            tuple(int(o) for o in page.dataoffsets),
            tuple(int(c) for c in page.databytecounts),
            page.jpegtables if series.keyframe.compression in JPEG_COMPRESSIONS else None,
        )
    _check_complete(path, plan)
    return plan


def _check_complete(path: str, plan: PagePlan) -> None:
    size = Path(plan.file).stat().st_size
    ends = [o + c for o, c in zip(plan.offsets, plan.counts, strict=False) if o and c]
    if not plan.offsets or (ends and max(ends) > size):
        missing = f"{max(ends) - size:,} bytes are missing" if ends else "it holds no pixels"
        raise UnreadableError(f"{path}: the file is truncated ({missing} at its end). Copy it again.")


def _is_flat(key: Any, dtype: np.dtype[np.generic]) -> bool:
    """Tell whether rows can be read straight from the file."""
    return (
        int(key.compression) == 1
        and not key.is_tiled
        and int(key.predictor) == 1
        and int(key.fillorder) == 1
        and int(key.bitspersample) == dtype.itemsize * 8
    )


def _is_one_run(page: PagePlan) -> bool:
    """Tell whether the strips follow one another without a gap."""
    ends = [o + c for o, c in zip(page.offsets, page.counts, strict=False)]
    return page.offsets[0] > 0 and all(end == start for end, start in zip(ends, page.offsets[1:], strict=False))

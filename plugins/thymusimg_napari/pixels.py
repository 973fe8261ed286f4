"""The engine's lazy images as arrays that napari and dask slice; nothing is read before it is looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np

from thymusimg.section.model import Window

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from thymusimg.section.model import Image

    Pixels = npt.NDArray[Any]

SCREEN_PX = 2048
"""A pyramid whose coarsest level is larger than this is shown with overviews of its own."""
OVERVIEW_PX = 64 * 2**20
"""An overview that is kept in memory holds at most this many pixels a channel."""
CACHE_BYTES = 400_000_000
"""What napari may keep of the pixels that were read."""
_CHUNK_PX = 1024


@dataclass(frozen=True, eq=False)
class ChannelLevel:
    """One channel at one resolution, as an array that reads what is asked of it.

    Slices with a step read the whole range that they span, so that nobody is surprised by a wrong pixel.
    """

    image: Image
    level: int
    channel: int
    ndim: int = 2

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.image.levels[self.level].shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Pixel type of the file."""
        return self.image.dtype

    def __getitem__(self, key: Any) -> Pixels:
        rows, columns = (key if isinstance(key, tuple) else (key, slice(None)))[:2]
        y0, y1, own_rows = _span(rows, self.shape[0])
        x0, x1, own_columns = _span(columns, self.shape[1])
        if y1 <= y0 or x1 <= x0:
            pixels: Pixels = np.zeros((max(0, y1 - y0), max(0, x1 - x0)), self.dtype)
        else:
            pixels = self.image.read(self.level, self.channel, Window(y0, y1, x0, x1))
        part: Pixels = pixels[own_rows, own_columns]
        return part


def _span(index: Any, size: int) -> tuple[int, int, Any]:
    """Return the range that an index spans, and the index inside that range."""
    if isinstance(index, slice):
        start, stop, step = index.indices(size)
        if step < 0:
            raise IndexError("slides are read forwards only")
        return start, max(start, stop), slice(None, None, step)
    place = int(index) + (size if int(index) < 0 else 0)
    if not 0 <= place < size:
        raise IndexError(f"row or column {index} lies outside 0-{size - 1}")
    return place, place + 1, 0


def channel_pyramid(image: Image, channel: int, overviews: Sequence[Pixels] = ()) -> list[Any]:
    """Return the levels of one channel as lazy arrays, full resolution first.

    Parameters
    ----------
    image : Image
    channel : int
    overviews : sequence of (Y, X) arrays
        Coarser levels of a slide that has no pyramid, from :class:`Overviews`.
    """
    levels = [_lazy(ChannelLevel(image, level, channel)) for level in range(len(image.levels))]
    return [*levels, *overviews]  # overviews as they are: dask would copy them, and they are still being filled


def bound_cache() -> None:
    """Let napari keep at most :data:`CACHE_BYTES` of what dask reads; by itself it takes a quarter of memory."""
    from napari.utils import resize_dask_cache

    if resize_dask_cache().cache.available_bytes > CACHE_BYTES:
        resize_dask_cache(CACHE_BYTES)


def _lazy(pixels: ChannelLevel) -> da.Array:
    tile = [max(side, _CHUNK_PX // side * side) for side in map(int, pixels.image.tile_shape)]
    # a strip file stores whole rows: a chunk is a band of them
    chunks = tuple(min(side, size) for side, size in zip(tile, pixels.shape, strict=True))
    identity = getattr(pixels.image, "identity", "") or str(id(pixels.image))
    name = f"slide-{identity}-{pixels.level}-{pixels.channel}"
    return da.from_array(
        pixels, chunks=chunks, name=name, asarray=True, fancy=False, meta=np.zeros((0, 0), pixels.dtype)
    )


class Overviews:
    """Halved resolutions of a slide that has none, filled band by band while the slide is shown already.

    Memory is bounded by :data:`OVERVIEW_PX` a channel, whatever the size of the slide.

    Attributes
    ----------
    planes : list of list of (Y, X) arrays
        One list of levels a channel, in the image's pixel type; zero where nothing was read yet.
    """

    def __init__(self, image: Image) -> None:
        self.image = image
        self.factors = overview_factors(image)
        self.planes: list[list[Pixels]] = [
            [
                np.zeros([-(-side // factor) for side in image.levels[0].shape], image.dtype)
                for factor in self.factors
            ]
            for _ in image.channel_names
        ]

    def bands(self) -> list[Window]:
        """Return the windows to read, top to bottom."""
        if not self.factors:
            return []
        height, width = self.image.levels[-1].shape
        coarsest = self.factors[-1] // self._inner
        rows = max(coarsest, _CHUNK_PX // coarsest * coarsest)
        return [Window(y, min(y + rows, height), 0, width) for y in range(0, height, rows)]

    @property
    def _inner(self) -> int:
        return round(self.image.levels[-1].downsample)

    def fill(self, band: Window) -> None:
        """Read one band of every channel and halve it."""
        for channel, levels in enumerate(self.planes):
            pixels = self.image.read(len(self.image.levels) - 1, channel, band)
            for factor, plane in zip(self.factors, levels, strict=True):
                step = factor // self._inner
                small = _thinned(pixels, step)
                top = band.y0 // step
                plane[top : top + small.shape[0], : small.shape[1]] = small[
                    : plane.shape[0] - top, : plane.shape[1]
                ]


def overview_factors(image: Image) -> list[int]:
    """Return the downsamplings that an image lacks for the screen; empty for a small image or a whole pyramid."""
    height, width = image.levels[-1].shape
    if max(height, width) <= SCREEN_PX:
        return []
    step = 4
    while (height // step) * (width // step) > OVERVIEW_PX:
        step *= 2
    factors = [step]
    while max(height, width) / factors[-1] > SCREEN_PX / 2:
        factors.append(factors[-1] * 2)
    inner = round(image.levels[-1].downsample)
    return [factor * inner for factor in factors]


def _thinned(pixels: Pixels, step: int) -> Pixels:
    """Return block means, in the pixels' own type; blocks cut by the edge are averaged over what is there."""
    import cv2

    height, width = pixels.shape
    padded = np.pad(pixels, ((0, -height % step), (0, -width % step)), mode="edge")
    small = cv2.resize(padded, (padded.shape[1] // step, padded.shape[0] // step), interpolation=cv2.INTER_AREA)
    means: Pixels = small.astype(pixels.dtype, copy=False)
    return means


def display_limits(levels: Sequence[Any]) -> tuple[float, float]:
    """Return the 0.1 and 99.9 percentiles of the coarsest level, until the section's survey knows its own."""
    values = np.asarray(levels[-1])
    finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    if not finite.size:
        return 0.0, 1.0
    low, high = (float(v) for v in np.percentile(finite, (0.1, 99.9)))
    return low, high if high > low else low + 1.0

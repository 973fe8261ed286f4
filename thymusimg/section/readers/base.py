"""What every reader returns: a lazy image over a source of pixels, and the choice among scenes."""

from __future__ import annotations

import struct
import threading
import zlib
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np
import psutil

from thymusimg.errors import SceneError, ThymusimgError, UnreadableError, UnsupportedFormatError
from thymusimg.remote.mounted import patiently_read

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from thymusimg.section.model import Level, Window

MAX_SIDE_PX = 1_000_000
"""A declared side beyond this is a broken or hostile file: the largest slides are 4 × 10⁵ px."""

MAX_PIXELS = 2e11
"""More than any scanner makes of a slide of 76 × 26 mm (at 0.1 µm: 2 × 10¹¹); 10⁶ × 10⁶ px is a hostile header."""

MAX_BLOCK_BYTES = 16 * 2**30
"""A single tile, strip or chunk that would decode to more than this is a broken header."""

BLOCK_COPIES = 2.2
"""Memory for a block while it is decoded, over its size: the bytes, the array of them, the packed block."""

MAX_EXPANSION = 1e6
"""Declared bytes over stored bytes. A sparse 65,536² slide reaches 10⁵; beyond this the header lies."""

DECODING_ERRORS = (
    RuntimeError,  # imagecodecs' and libCZI's own errors
    ValueError,
    OSError,
    EOFError,
    RecursionError,
    SyntaxError,  # ElementTree's
    AttributeError,  # libraries that took for granted what a broken file lacks
    AssertionError,
    BufferError,
    zlib.error,
    LookupError,
    TypeError,
    ArithmeticError,
    MemoryError,
    NotImplementedError,
    struct.error,
)
"""What decoders raise on broken bytes; a reader turns each into one plain line."""

RGB_NAMES = ("red", "green", "blue")


class PixelSource(Protocol):
    """Where an image's pixels come from. ``read`` must be safe to call from several threads at once."""

    def read(self, level: int, channel: int, z: int, window: Window) -> npt.NDArray[np.generic]:
        """Return a fresh (height, width) array that the caller may change."""

    def close(self) -> None:
        """Release the file."""


@dataclass(frozen=True, eq=False)
class LazyImage:
    """A lazy C, Y, X pyramid over a :class:`PixelSource`; fulfils :class:`thymusimg.section.model.Image`.

    Attributes
    ----------
    bit_limit : float or None
        Value of a saturated pixel, None for floating point pixels (then it is observed on demand).
    depth, times : int
        Number of z planes and time points in the file; ``read`` serves plane 0 until a projection wraps it.
    identity : str
        What tells these pixels from any others: file, size, modification time, scene and projection.
        Empty where the file cannot say.
    """

    path: str
    format: str
    channel_names: tuple[str, ...]
    emission_nm: tuple[float | None, ...]
    dtype: np.dtype[np.generic]
    bit_limit: float | None
    levels: tuple[Level, ...]
    tile_shape: tuple[int, int]
    source: PixelSource = field(repr=False)
    pixel_size_um: tuple[float, float] | None = None
    semi_quantitative: bool = False
    lossy: str = ""
    warnings: tuple[str, ...] = ()
    depth: int = 1
    times: int = 1
    scene: str = ""
    identity: str = ""
    _observed_lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @cached_property
    def max_value(self) -> float:
        """Value of a saturated pixel; for floats 1.0, or the largest of the coarsest level if that is more."""
        if self.bit_limit is not None:
            return self.bit_limit
        with self._observed_lock:
            return observed_maximum(self)

    def read(self, level: int, channel: int, window: Window) -> npt.NDArray[np.generic]:
        """Read ``window`` of one channel of one level as a fresh (height, width) array.

        Raises
        ------
        IndexError
            If level, channel or window lie outside the image.
        UnreadableError
            If the pixels cannot be decoded, or the storage fails again and again.
        """
        check_window(self, level, channel, window)
        return patiently_read(lambda: self._read_once(level, channel, window), self.path)

    def _read_once(self, level: int, channel: int, window: Window) -> npt.NDArray[np.generic]:
        try:
            return self.source.read(level, channel, 0, window)
        except ThymusimgError:
            raise
        except DECODING_ERRORS as error:
            raise broken_pixels(self.path, level, channel, window, error) from error

    def close(self) -> None:
        """Release the file."""
        self.source.close()

    def with_warnings(self, *more: str) -> LazyImage:
        """Return the image with more warnings."""
        return replace(self, warnings=(*self.warnings, *(w for w in more if w)))


def observed_maximum(image: LazyImage) -> float:
    """Return the largest value of the coarsest level (of its central 2048² if that is large), at least 1.0."""
    from thymusimg.section.model import Window

    level = len(image.levels) - 1
    height, width = image.levels[level].shape
    y0, x0 = max(0, height // 2 - 1024), max(0, width // 2 - 1024)
    window = Window(y0, min(height, y0 + 2048), x0, min(width, x0 + 2048))
    peaks = [image.read(level, c, window).astype(np.float64) for c in range(len(image.channel_names))]
    return max(1.0, *(float(np.max(p, initial=0.0, where=np.isfinite(p))) for p in peaks))


def check_window(image: LazyImage, level: int, channel: int, window: Window) -> None:
    """Refuse a window outside the image: a fault of the caller, not of the file."""
    if not 0 <= level < len(image.levels) or not 0 <= channel < len(image.channel_names):
        raise IndexError(
            f"{image.path}: no level {level}, channel {channel} in {len(image.levels)} levels "
            f"and {len(image.channel_names)} channels"
        )
    height, width = image.levels[level].shape
    if not (0 <= window.y0 < window.y1 <= height and 0 <= window.x0 < window.x1 <= width):
        raise IndexError(f"{image.path}: {window} is not inside level {level} of {height} × {width} px")


def broken_pixels(path: str, level: int, channel: int, window: Window, error: Exception) -> UnreadableError:
    """Word a decoder's failure so that its place in the file can be found."""
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return UnreadableError(
        f"{path}: the pixels of channel {channel}, level {level}, rows {window.y0}-{window.y1}, columns "
        f"{window.x0}-{window.x1} cannot be decoded ({reason}). The file is damaged or incomplete: copy it again."
    )


def check_size(path: str, shape: tuple[int, int], pixel_bytes: int, file_bytes: int) -> None:
    """Refuse declared sizes that no slide has, before anything is allocated.

    Raises
    ------
    UnreadableError
        If a side is zero or beyond :data:`MAX_SIDE_PX`, or the pixels are :data:`MAX_EXPANSION` times the file.
    """
    height, width = shape
    if min(shape) < 1:
        raise UnreadableError(f"{path}: the image is empty ({width} × {height} px).")
    if max(shape) > MAX_SIDE_PX:
        raise UnreadableError(
            f"{path}: declares {width} × {height} px, more than {MAX_SIDE_PX:,} a side. The header is damaged."
        )
    if float(height) * width > MAX_PIXELS:
        raise UnreadableError(
            f"{path}: declares {width} × {height} px, more than fit on a slide. The header is damaged."
        )
    declared = float(height) * width * pixel_bytes
    if declared > 1e9 and declared > MAX_EXPANSION * max(file_bytes, 1):
        raise UnreadableError(
            f"{path}: declares {width} × {height} px ({declared / 1e9:.0f} GB) in a file of {file_bytes:,} bytes. "
            "The header is damaged."
        )


def check_block(path: str, size: int) -> None:
    """Refuse blocks that cannot be decoded in the memory there is: each is decoded whole.

    Parameters
    ----------
    size : int
        Decoded bytes of one block.

    Raises
    ------
    UnreadableError
    """
    if size > MAX_BLOCK_BYTES:
        raise UnreadableError(f"{path}: one block would decode to {size:,} bytes. The header is damaged.")
    free = psutil.virtual_memory().available
    if size > 2**26 and BLOCK_COPIES * size > free:
        raise UnreadableError(
            f"{path}: stores its pixels in blocks of {size / 2**30:.1f} GB, each decoded whole; that needs "
            f"{BLOCK_COPIES * size / 2**30:.1f} GB of memory and {free / 2**30:.1f} GB are free. Save it in tiles "
            "(512 px), or use a machine with more memory."
        )


def check_dtype(path: str, dtype: np.dtype[np.generic]) -> None:
    """Refuse pixel types that hold no intensity: bool, complex, text.

    Raises
    ------
    UnsupportedFormatError
        If the pixels are not integers or real numbers.
    """
    if dtype.kind == "b":
        raise UnsupportedFormatError(f"{path}: the pixels are a 1-bit mask, not an intensity image.")
    if dtype.kind not in "uif" or dtype.itemsize > 8:
        raise UnsupportedFormatError(f"{path}: pixels of type {dtype} are no intensities.")


@dataclass(frozen=True)
class Scene:
    """One of several images in a file."""

    index: int
    name: str
    shape: tuple[int, int]

    def __str__(self) -> str:
        name = f" '{self.name}'" if self.name else ""
        return f"{self.index}{name} ({self.shape[1]} × {self.shape[0]} px)"


def choose_scene(path: str, scenes: Sequence[Scene], wanted: str | int | None) -> Scene:
    """Return the scene that is wanted by name or index; the only one if none is.

    Raises
    ------
    SceneError
        If several scenes are there and none is chosen, or the chosen one is not there; every scene is listed.
    """
    if wanted is None or wanted == "":
        if len(scenes) == 1:
            return scenes[0]
        raise SceneError(
            f"{path}: holds {len(scenes)} scenes: {listed(scenes)}. Choose one with --scene INDEX_OR_NAME "
            "(in a study table: column 'scene')."
        )
    text = str(wanted).strip()
    named = [scene for scene in scenes if scene.name == text]
    if len(named) == 1 and not isinstance(wanted, int):
        return named[0]
    numbered = [scene for scene in scenes if text == str(scene.index)]
    if numbered:
        return numbered[0]
    found = f"{len(named)} scenes named" if named else "no scene"
    raise SceneError(f"{path}: {found} '{wanted}'. The scenes are: {listed(scenes)}.")


def listed(scenes: Sequence[Scene], most: int = 30) -> str:
    """Write scenes as ``0 'name' (W × H px), …``."""
    text = ", ".join(str(scene) for scene in scenes[:most])
    return text if len(scenes) <= most else f"{text} and {len(scenes) - most} more"


def downsample_of(full: tuple[int, int], shape: tuple[int, int]) -> float:
    """Return the downsampling of a level: a whole number where rounding of the size explains the rest.

    >>> downsample_of((4166, 2084), (1041, 521))
    4.0
    """
    ratio = max(full[0] / shape[0], full[1] / shape[1])
    whole = round(ratio)
    # A writer may round the size of each halving up or down: at most one pixel a side and halving.
    if whole >= 1 and all(abs(shape[i] - full[i] / whole) < 1.0 + 1e-9 for i in (0, 1)):
        return float(whole)
    return ratio

"""A segmenter that is not ours: any callable from channels to labels, with what it was made for."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from thymusimg.device import resolve_device
from thymusimg.errors import ModelError, ThymusimgError
from thymusimg.section.model import ROLES

if TYPE_CHECKING:
    from collections.abc import Callable

    from thymusimg.cells.labels import Labels

    Planes = npt.NDArray[np.float32]
    Segment = Callable[[Planes], npt.NDArray[np.integer]]

HALO_DIAMETERS = 1.5
"""A tile reads so many cell diameters around its core: a cell on the border is whole, and has its surroundings."""
LEAST_HALO_UM = 4.0
LEAST_CORE = 0.25
"""Least part of a tile's side that its core must be; else nearly everything is computed several times."""


@dataclass(frozen=True)
class Segmenter:
    """A callable ``(C, Y, X) float32 -> (Y, X) int`` and what it was made for.

    It is given tiles of one and the same shape, at its own pixel size, every channel scaled with one pair of limits
    for the whole section: about 0 where there is nothing, about 1 where there is much, not clipped; zeros beyond
    the slide. It gives labels: 0 is no cell, every other number one cell.

    Attributes
    ----------
    name : str
        What ``--cells`` calls it.
    load : callable
        Called once a process with the device (``cpu`` or ``cuda:N``); gives the callable. Load weights in it.
    channels : tuple of str
        Roles (``cd45``, ``k14``, ``k8``, ``dapi``) in the order in which it takes them.
    optional_channels : tuple of str
        Those of ``channels`` that a section may lack; they are given as zeros.
    pixel_size_um : float
        Pixel size at which it works; sections are resampled to it.
    diameter_um : float
        Diameter of a cell; tiles overlap by 1.5 of it on every side.
    tile_px : int
        Side of the tiles that it is given, in its own pixels, overlap included.
    expand_um : float
        Grow every label by so much before it is measured: for segmenters of nuclei, whose labels end inside the
        membrane that the CD45 gate looks at.
    version : str
        Recorded with the results.
    summary : str
        One sentence for ``thymusimg models``.
    """

    name: str
    load: Callable[[str], Segment]
    channels: tuple[str, ...]
    pixel_size_um: float
    diameter_um: float = 8.0
    tile_px: int = 512
    optional_channels: tuple[str, ...] = ()
    expand_um: float = 0.0
    version: str = ""
    summary: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "channels", tuple(self.channels))
        object.__setattr__(self, "optional_channels", tuple(self.optional_channels))
        if fault := _fault_of(self):
            raise ModelError(f"segmenter '{self.name}': {fault}.")

    @property
    def halo_px(self) -> int:
        """Margin of a tile, in the segmenter's pixels."""
        return math.ceil(max(LEAST_HALO_UM, HALO_DIAMETERS * self.diameter_um) / self.pixel_size_um)

    @property
    def core_px(self) -> int:
        """Side of what a tile answers for, in the segmenter's pixels."""
        return self.tile_px - 2 * self.halo_px

    @property
    def identity(self) -> str:
        """Name and version, as provenance records them."""
        return f"{self.name} {self.version}".strip()


def segmenter(
    *,
    channels: tuple[str, ...],
    pixel_size_um: float,
    diameter_um: float = 8.0,
    tile_px: int = 512,
    optional_channels: tuple[str, ...] = (),
    expand_um: float = 0.0,
    version: str = "",
    summary: str = "",
) -> Callable[[Segment], Segmenter]:
    """Make a function that needs nothing loaded a :class:`Segmenter`; the arguments are its attributes.

    Examples
    --------
    >>> import numpy as np
    >>> @segmenter(channels=("cd45",), pixel_size_um=0.5)
    ... def brightest(planes):
    ...     return (planes[0] > 0.5).astype(np.int32)
    >>> brightest.name, brightest.halo_px
    ('brightest', 24)
    """

    def declare(function: Segment) -> Segmenter:
        return Segmenter(
            getattr(function, "__name__", type(function).__name__),
            lambda device: function,
            channels,
            pixel_size_um,
            diameter_um,
            tile_px,
            optional_channels,
            expand_um,
            version,
            summary,
        )

    return declare


_LOADED: dict[tuple[Segmenter, str], Segment] = {}
_LOADING = threading.Lock()


def load_segmenter(segmenter: Segmenter, device: str) -> Segment:
    """Return a segmenter's callable on a device; loaded once a process.

    Raises
    ------
    ModelError
        If it cannot be loaded.
    DeviceError
        If the device is not there.
    """
    device = resolve_device(device)
    with _LOADING:
        if (segmenter, device) not in _LOADED:
            try:
                call = segmenter.load(device)
            except ThymusimgError:
                raise
            except Exception as error:
                raise ModelError(f"segmenter '{segmenter.name}' cannot be loaded ({_reason(error)}).") from error
            if not callable(call):
                raise ModelError(
                    f"segmenter '{segmenter.name}': its 'load' gave {type(call).__name__}, which cannot be called."
                )
            _LOADED[segmenter, device] = call
        return _LOADED[segmenter, device]


def segment_checked(name: str, segment: Segment, planes: Planes) -> Labels:
    """Call a segmenter, and believe nothing that it gives.

    Raises
    ------
    ModelError
        If it raises, or gives anything but whole numbers of 0 or more in the shape of its input.
    """
    try:
        given = np.asarray(segment(planes))
    except ThymusimgError:
        raise
    except Exception as error:
        raise ModelError(
            f"segmenter '{name}' failed on a tile of {_shape(planes.shape)} ({_reason(error)})."
        ) from error
    expected = planes.shape[1:]
    if given.shape != expected:
        raise ModelError(
            f"segmenter '{name}' gave labels of shape {_shape(given.shape)} for a tile of {_shape(planes.shape)}; "
            f"expected {_shape(expected)}: one label a pixel."
        )
    if not np.issubdtype(given.dtype, np.integer):
        raise ModelError(
            f"segmenter '{name}' gave {given.dtype} where whole numbers are expected: 0 is no cell, every other "
            "number one cell (label a mask with skimage.measure.label)."
        )
    if given.size and given.min() < 0:
        raise ModelError(f"segmenter '{name}' gave a label of {given.min()}; labels are 0 (no cell) or more.")
    if given.size and given.max() > np.iinfo(np.int32).max:
        _, inverse = np.unique(np.append(given.ravel(), 0), return_inverse=True)
        given = inverse[:-1].reshape(expected)
    return np.ascontiguousarray(given, np.int32)


def _fault_of(declared: Segmenter) -> str:
    channels = declared.channels
    if not channels or len(set(channels)) < len(channels) or not set(channels) <= set(ROLES):
        return (
            f"its channels are {', '.join(map(str, channels)) or 'none'}; known are {', '.join(ROLES)}, each once"
        )
    if not set(declared.optional_channels) <= set(channels):
        return f"its optional channels ({', '.join(declared.optional_channels)}) are not all among its channels"
    if not 0.05 <= declared.pixel_size_um <= 5:
        return f"its pixel size is {declared.pixel_size_um:g} µm; expected 0.05 to 5"
    if not 1 <= declared.diameter_um <= 100:
        return f"its cells are {declared.diameter_um:g} µm wide; expected 1 to 100"
    if not 0 <= declared.expand_um <= declared.diameter_um:
        return f"its labels are to be grown by {declared.expand_um:g} µm; expected 0 to its diameter"
    if declared.core_px < LEAST_CORE * declared.tile_px:
        least = math.ceil(2 * declared.halo_px / (1 - LEAST_CORE))
        return f"tiles of {declared.tile_px} px with margins of {declared.halo_px} px; they must be {least} or more"
    return ""


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__


def _shape(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape)) or "a single number"

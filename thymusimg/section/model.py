"""The nouns of a slide: windows, lazy images, the coarse grid and the section."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Mapping

FloatPlane = npt.NDArray[np.float32]
"""(Y, X) float32 plane."""
Mask = npt.NDArray[np.bool_]
"""(Y, X) boolean plane."""
LabelPlane = npt.NDArray[np.uint8]
"""(Y, X) uint8 plane of class codes."""

ROLES = ("cd45", "k14", "k8", "dapi")
"""The stains that the engine knows, by the role they play."""

COARSE_PIXEL_UM = 2.0
"""The coarse grid is never coarser than this, in µm."""


class Window(NamedTuple):
    """A half-open rectangle of pixels: rows ``y0:y1``, columns ``x0:x1``."""

    y0: int
    y1: int
    x0: int
    x1: int

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.y1 - self.y0, self.x1 - self.x0

    @property
    def slices(self) -> tuple[slice, slice]:
        """The window as an index into a (Y, X) array."""
        return slice(self.y0, self.y1), slice(self.x0, self.x1)

    def moved(self, rows: int, columns: int) -> Window:
        """Return the window moved down and to the right."""
        return Window(self.y0 + rows, self.y1 + rows, self.x0 + columns, self.x1 + columns)

    def overlap(self, other: Window) -> Window:
        """Return what both windows cover; of no height or width where they lie apart."""
        y0, x0 = max(self.y0, other.y0), max(self.x0, other.x0)
        return Window(y0, max(y0, min(self.y1, other.y1)), x0, max(x0, min(self.x1, other.x1)))

    def grown(self, margin: int, shape: tuple[int, int]) -> Window:
        """Return the window grown by ``margin`` pixels a side, clipped to an image of ``shape``."""
        return Window(
            max(0, self.y0 - margin),
            min(shape[0], self.y1 + margin),
            max(0, self.x0 - margin),
            min(shape[1], self.x1 + margin),
        )


@dataclass(frozen=True)
class Level:
    """One resolution of a pyramid; ``downsample`` is 1 for the full resolution."""

    shape: tuple[int, int]
    downsample: float


@runtime_checkable
class Image(Protocol):
    """A lazy C, Y, X pyramid. Every reader returns one; no other image type exists in the engine.

    ``read`` is safe to call from several threads at once.
    """

    @property
    def path(self) -> str:
        """Where the image lies (file, folder or URL)."""

    @property
    def format(self) -> str:
        """Name of the format as people say it: ``OME-TIFF``, ``CZI``, ``OME-Zarr 0.5`` …."""

    @property
    def channel_names(self) -> tuple[str, ...]:
        """One name a channel, as the file has it; ``""`` where the file names none."""

    @property
    def emission_nm(self) -> tuple[float | None, ...]:
        """Emission wavelength of every channel in nm, None where the file records none."""

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Pixel type."""

    @property
    def max_value(self) -> float:
        """Value of a saturated pixel (from the significant bits where recorded; 1.0 or observed for floats)."""

    @property
    def levels(self) -> tuple[Level, ...]:
        """Resolutions, full resolution first."""

    @property
    def tile_shape(self) -> tuple[int, int]:
        """Height and width of the block that the file stores at full resolution (a strip: rows × width)."""

    @property
    def pixel_size_um(self) -> tuple[float, float] | None:
        """Height and width of a full-resolution pixel in µm from the metadata; None where there is none."""

    @property
    def semi_quantitative(self) -> bool:
        """True for display exports (8-bit RGB), whose intensities were scaled for the eye."""

    @property
    def lossy(self) -> str:
        """Name of the lossy compression (``JPEG`` …), or ``""``."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """Plain sentences about what is odd with the file."""

    def read(self, level: int, channel: int, window: Window) -> npt.NDArray[np.generic]:
        """Read ``window`` of one channel of one level as a (height, width) array of ``dtype``.

        The window must lie inside the level.

        Raises
        ------
        UnreadableError
            If the pixels cannot be decoded.
        """

    def close(self) -> None:
        """Release the file."""


@dataclass(frozen=True)
class Grid:
    """The coarse grid of a section: blocks of ``factor × factor`` full-resolution pixels, from the slide's origin.

    ``factor`` is the largest power of two whose pixel is at most 2 µm, so that scanner pyramids (which halve)
    hold it already.

    Attributes
    ----------
    slide_shape : (int, int)
        Height and width of the slide in full-resolution pixels.
    slide_pixel_um : float
    factor : int
    frame : Window or None
        The part of the slide that the grid covers, in full-resolution pixels; it begins at multiples of ``factor``.
        None: all of it. Indices count from the frame's corner, µm from the slide's first pixel.
    """

    slide_shape: tuple[int, int]
    slide_pixel_um: float
    factor: int
    frame: Window | None = None

    def __post_init__(self) -> None:
        """Make a window of the frame: from a file it comes as four bare numbers."""
        if self.frame is not None:
            object.__setattr__(self, "frame", Window(*self.frame))

    @classmethod
    def of(cls, slide_shape: tuple[int, int], slide_pixel_um: float, frame: Window | None = None) -> Grid:
        """Return the grid of a slide of ``slide_shape`` pixels of ``slide_pixel_um`` µm, or of a frame of it."""
        factor = 2 ** max(0, math.floor(math.log2(COARSE_PIXEL_UM / slide_pixel_um) + 1e-9))
        return cls(slide_shape, slide_pixel_um, factor, frame)

    @property
    def extent(self) -> tuple[int, int]:
        """Height and width in full-resolution pixels of what the grid covers."""
        return self.slide_shape if self.frame is None else self.frame.shape

    @property
    def origin(self) -> tuple[int, int]:
        """Row and column of the slide's pixel at which the grid begins."""
        return (0, 0) if self.frame is None else (self.frame.y0, self.frame.x0)

    @property
    def whole(self) -> Grid:
        """The grid of the whole slide."""
        return self if self.frame is None else Grid(self.slide_shape, self.slide_pixel_um, self.factor)

    @property
    def place(self) -> Window:
        """The pixels of the whole slide's grid that this one covers."""
        (top, left), (height, width) = self.origin, self.shape
        y, x = top // self.factor, left // self.factor
        return Window(y, y + height, x, x + width)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the grid; the last row and column may cover part of a block only."""
        return -(-self.extent[0] // self.factor), -(-self.extent[1] // self.factor)

    @property
    def pixel_um(self) -> float:
        """Side of a coarse pixel in µm."""
        return self.slide_pixel_um * self.factor

    @property
    def pixel_area_mm2(self) -> float:
        """Area of a coarse pixel in mm²."""
        return self.pixel_um**2 * 1e-6

    @property
    def translation_um(self) -> float:
        """Where the centre of the slide's first coarse pixel lies, in µm (the first full pixel's centre is 0)."""
        return (self.factor - 1) / 2 * self.slide_pixel_um

    @property
    def first_um(self) -> tuple[float, float]:
        """Where the centre of this grid's first pixel lies (y, x), in µm."""
        y, x = (self.translation_um + start * self.slide_pixel_um for start in self.origin)
        return y, x

    def to_um(self, index: npt.ArrayLike, axis: int | None = None) -> npt.NDArray[np.float64]:
        """Turn (possibly fractional) coarse indices into µm.

        Parameters
        ----------
        index : (..., 2) array
            Rows and columns; along one ``axis`` (0 rows, 1 columns) an array of any shape.
        """
        return (np.asarray(index, dtype=np.float64) + self._start(axis)) * self.pixel_um + self.translation_um

    def to_index(self, um: npt.ArrayLike, axis: int | None = None) -> npt.NDArray[np.float64]:
        """Turn µm into fractional coarse indices; ``axis`` as in :meth:`to_um`."""
        return (np.asarray(um, dtype=np.float64) - self.translation_um) / self.pixel_um - self._start(axis)

    def _start(self, axis: int | None) -> npt.NDArray[np.float64]:
        # whole numbers: adding them to an index rounds nothing, so a frame moves no µm
        start: npt.NDArray[np.float64] = np.array(self.origin, np.float64) / self.factor
        if self.frame is None:
            return np.zeros((), np.float64)  # planes of one axis need not say which
        return start if axis is None else start[axis]


@dataclass(frozen=True)
class Subject:
    """Where a section comes from: the row of the study table, less its paths."""

    section_id: str
    animal: str = ""
    group: str = ""
    donor: str = ""
    batch: str = ""
    timepoint: str = ""
    level: str = ""
    lobe: str = ""
    negative_control: bool = False
    exclude: bool = False
    notes: str = ""


@dataclass(frozen=True)
class Section:
    """A section ready to analyse: an image whose stains and pixel size are known.

    Attributes
    ----------
    image : Image
        The lazy pyramid.
    roles : mapping of str to int
        Channel index of every role that is present (``cd45``, ``k14``, ``k8``, ``dapi``).
    markers : mapping of str to str
        What really stands in each role (``{"k14": "CD11c"}``).
    pixel_size_um : float
        Side of a full-resolution pixel in µm.
    roi : tuple of (N, 2) arrays
        Outlines (y, x in µm) that bound the section on a shared slide; empty when the slide is the section.
    frame : Window or None
        The part of a big slide in which the section lies (:func:`thymusimg.section.framing.frame_section`). Every
        window of the section then counts from the frame's corner; µm count from the slide's first pixel.
    """

    subject: Subject
    image: Image
    roles: Mapping[str, int]
    markers: Mapping[str, str]
    pixel_size_um: float
    roi: tuple[npt.NDArray[np.float64], ...] = ()
    warnings: tuple[str, ...] = field(default=())
    frame: Window | None = None

    @property
    def section_id(self) -> str:
        """Name of the section in every table."""
        return self.subject.section_id

    @property
    def slide_shape(self) -> tuple[int, int]:
        """Height and width of the slide at full resolution, in pixels."""
        return self.image.levels[0].shape

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width at full resolution, in pixels: of the frame, where there is one."""
        return self.slide_shape if self.frame is None else self.frame.shape

    @property
    def origin(self) -> tuple[int, int]:
        """Row and column of the slide's pixel at which the section's windows begin to count."""
        return (0, 0) if self.frame is None else (self.frame.y0, self.frame.x0)

    @property
    def grid(self) -> Grid:
        """The coarse grid on which compartments are drawn."""
        return Grid.of(self.slide_shape, self.pixel_size_um, self.frame)

    def level_shape(self, level: int) -> tuple[int, int]:
        """Return height and width of a level, in its own pixels: of the frame, where there is one."""
        height, width = self.image.levels[level].shape
        if self.frame is None:
            return height, width
        down = int(self.image.levels[level].downsample)
        top, left = (start // down for start in self.origin)
        return min(-(-self.frame.y1 // down), height) - top, min(-(-self.frame.x1 // down), width) - left

    def on_slide(self, window: Window) -> Window:
        """Return a full-resolution window of the section in the slide's pixels."""
        return window.moved(*self.origin)

    def in_section(self, window: Window) -> Window:
        """Return a full-resolution window of the slide in the section's pixels."""
        return window.moved(-self.origin[0], -self.origin[1])

    def read(self, role: str, window: Window, level: int = 0) -> npt.NDArray[np.generic]:
        """Read one stain's pixels.

        With a frame, ``window`` counts from its corner, which any level with a whole downsampling hits that divides
        the coarse grid's factor.
        """
        if self.frame is not None:
            down = int(self.image.levels[level].downsample)
            window = window.moved(self.frame.y0 // down, self.frame.x0 // down)
        return self.image.read(level, self.roles[role], window)

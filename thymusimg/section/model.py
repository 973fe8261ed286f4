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
    """The coarse grid of a section: blocks of ``factor × factor`` full-resolution pixels, from the origin.

    ``factor`` is the largest power of two whose pixel is at most 2 µm, so that scanner pyramids (which halve)
    hold it already.
    """

    slide_shape: tuple[int, int]
    slide_pixel_um: float
    factor: int

    @classmethod
    def of(cls, slide_shape: tuple[int, int], slide_pixel_um: float) -> Grid:
        """Return the grid of a slide of ``slide_shape`` pixels of ``slide_pixel_um`` µm."""
        factor = 2 ** max(0, math.floor(math.log2(COARSE_PIXEL_UM / slide_pixel_um) + 1e-9))
        return cls(slide_shape, slide_pixel_um, factor)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the grid; the last row and column may cover part of a block only."""
        return -(-self.slide_shape[0] // self.factor), -(-self.slide_shape[1] // self.factor)

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
        """Where the centre of the first coarse pixel lies, in µm (OME-Zarr: first full pixel's centre is 0)."""
        return (self.factor - 1) / 2 * self.slide_pixel_um

    def to_um(self, index: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Turn (possibly fractional) coarse indices into µm."""
        return np.asarray(index, dtype=np.float64) * self.pixel_um + self.translation_um

    def to_index(self, um: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Turn µm into fractional coarse indices."""
        return (np.asarray(um, dtype=np.float64) - self.translation_um) / self.pixel_um


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
    """

    subject: Subject
    image: Image
    roles: Mapping[str, int]
    markers: Mapping[str, str]
    pixel_size_um: float
    roi: tuple[npt.NDArray[np.float64], ...] = ()
    warnings: tuple[str, ...] = field(default=())

    @property
    def section_id(self) -> str:
        """Name of the section in every table."""
        return self.subject.section_id

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width at full resolution, in pixels."""
        return self.image.levels[0].shape

    @property
    def grid(self) -> Grid:
        """The coarse grid on which compartments are drawn."""
        return Grid.of(self.shape, self.pixel_size_um)

    def read(self, role: str, window: Window, level: int = 0) -> npt.NDArray[np.generic]:
        """Read one stain's pixels."""
        return self.image.read(level, self.roles[role], window)

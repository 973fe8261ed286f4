"""A rectangle of tissue in µm, and pixels brought to a panel at an exact scale."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from thymusimg.section.model import Window

if TYPE_CHECKING:
    from thymusimg.section.model import Grid, Mask

MARGIN_UM = 60.0
"""Background shown around the tissue."""
_BORDER_PX = 3


@dataclass(frozen=True)
class Frame:
    """What a panel shows: the place of its upper left corner and its size, in µm."""

    y_um: float
    x_um: float
    height_um: float
    width_um: float

    @classmethod
    def around(cls, tissue: Mask, grid: Grid) -> Frame:
        """Return the frame of the tissue with a margin; of the whole slide where there is none."""
        rows, columns = np.flatnonzero(tissue.any(axis=1)), np.flatnonzero(tissue.any(axis=0))
        if not rows.size:
            rows, columns = np.arange(tissue.shape[0]), np.arange(tissue.shape[1])
        y0, x0 = grid.to_um(np.array([rows[0], columns[0]]) - 0.5) - MARGIN_UM
        y1, x1 = grid.to_um(np.array([rows[-1], columns[-1]]) + 0.5) + MARGIN_UM
        return cls(float(y0), float(x0), float(y1 - y0), float(x1 - x0))

    @classmethod
    def square(cls, y_um: float, x_um: float, size_um: float) -> Frame:
        """Return a square frame around a place."""
        return cls(y_um - size_um / 2, x_um - size_um / 2, size_um, size_um)

    def grown_to(self, height_um: float, width_um: float) -> Frame:
        """Return a frame of another size around the same centre."""
        y, x = self.y_um + self.height_um / 2, self.x_um + self.width_um / 2
        return Frame(y - height_um / 2, x - width_um / 2, height_um, width_um)

    def to_panel(self, um: npt.ArrayLike, pitch_um: float) -> npt.NDArray[np.float64]:
        """Turn (y, x) in µm into (y, x) in pixels of the panel; its upper left corner is 0, 0."""
        places = np.asarray(um, dtype=np.float64) - np.array([self.y_um, self.x_um])
        return np.asarray(places / pitch_um, dtype=np.float64)

    def window(self, shape: tuple[int, int], pixel_um: float, first_um: tuple[float, float] = (0.0, 0.0)) -> Window:
        """Return the pixels of an image that the frame needs, a few more at its edges, none outside the image.

        ``first_um`` is where the centre of the image's first pixel lies (y, x).
        """
        ends = []
        for low_um, size_um, length, start_um in zip(
            (self.y_um, self.x_um), (self.height_um, self.width_um), shape, first_um, strict=True
        ):
            low = math.floor((low_um - start_um) / pixel_um) - _BORDER_PX
            high = math.ceil((low_um + size_um - start_um) / pixel_um) + _BORDER_PX
            low = min(max(low, 0), length)
            ends += [low, max(low, min(high, length))]
        return Window(*ends)


def sample(
    pixels: npt.NDArray[np.generic],
    corner: tuple[int, int],
    pixel_um: float,
    first_um: tuple[float, float],
    frame: Frame,
    pitch_um: float,
    *,
    nearest: bool = False,
) -> npt.NDArray[np.float32]:
    """Bring pixels to a panel: the exact scale, whatever the two grids are.

    Parameters
    ----------
    pixels : (Y, X)
        A part of an image.
    corner : (int, int)
        Row and column of the image where the part begins.
    pixel_um : float
        Side of a pixel of the image.
    first_um : (float, float)
        Where the centre of the image's first pixel lies (y, x).
    frame : Frame
    pitch_um : float
        Side of a pixel of the panel.
    nearest : bool
        For labels.

    Returns
    -------
    (H, W) float32
        0 where the image ends.
    """
    shape = panel_shape(frame, pitch_um)
    if not pixels.size:
        return np.zeros(shape, np.float32)
    source = np.ascontiguousarray(pixels, dtype=np.float32)
    step = pitch_um / pixel_um
    if step > 1 and not nearest:
        # A box as wide as the panel's pixel has this variance; without it fine texture would alias.
        source = cv2.GaussianBlur(
            source, (0, 0), math.sqrt((step**2 - 1) / 12) + 1e-6, borderType=cv2.BORDER_REPLICATE
        ).astype(np.float32)
    origin = [
        (um + pitch_um / 2 - start_um) / pixel_um - at
        for um, at, start_um in zip((frame.y_um, frame.x_um), corner, first_um, strict=True)
    ]
    matrix = np.array([[step, 0, origin[1]], [0, step, origin[0]]])
    how = (cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR) | cv2.WARP_INVERSE_MAP
    drawn = cv2.warpAffine(source, matrix, shape[::-1], flags=how, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
    return np.asarray(drawn, np.float32)


def panel_shape(frame: Frame, pitch_um: float) -> tuple[int, int]:
    """Return height and width of a panel in pixels."""
    return max(1, round(frame.height_um / pitch_um)), max(1, round(frame.width_um / pitch_um))

"""What a person draws as a cell: its pixels on the slide."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cc3d
import cv2
import numpy as np
import numpy.typing as npt
from skimage.draw import polygon as fill_polygon

from thymusimg.errors import CallError
from thymusimg.section.model import Window

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thymusimg.section.model import Mask


@dataclass(frozen=True)
class Region:
    """Pixels of one cell.

    Attributes
    ----------
    window : Window
        A box around them, in full-resolution pixels.
    mask : (Y, X) bool
        Which pixels of the box.
    """

    window: Window
    mask: Mask

    @property
    def pixels(self) -> int:
        """Number of pixels."""
        return int(np.count_nonzero(self.mask))

    def biggest(self) -> Region:
        """Return its biggest 8-connected piece; of equals the first, row by row."""
        if not self.mask.any():
            return self
        pieces = np.asarray(cc3d.connected_components(self.mask.view(np.uint8), connectivity=8))
        return Region(self.window, pieces == 1 + int(np.argmax(np.bincount(pieces.ravel())[1:])))

    def spread(self, window: Window) -> Mask:
        """Return its mask in a box that holds its own."""
        mask = np.zeros(window.shape, np.bool_)
        y, x = self.window.y0 - window.y0, self.window.x0 - window.x0
        mask[y : y + self.mask.shape[0], x : x + self.mask.shape[1]] = self.mask
        return mask


def disc_region(centre_um: Sequence[float], diameter_um: float, pixel_um: float, shape: tuple[int, int]) -> Region:
    """Return the pixels whose centres lie in a disc.

    Parameters
    ----------
    centre_um : (y, x)
        µm; the centre of the first pixel is 0.
    diameter_um, pixel_um : float
    shape : (int, int)
        Of the slide; what lies beyond it is cut off.

    Raises
    ------
    CallError
        If nothing of it lies on the slide.

    Examples
    --------
    >>> disc_region((5.0, 5.0), 8.0, 0.5, (100, 100)).pixels  # π 4² / 0.25 = 201
    197
    """
    y, x = (float(v) / pixel_um for v in centre_um)
    radius = diameter_um / 2 / pixel_um
    window = _clipped((y - radius, x - radius), (y + radius, x + radius), shape)
    rows = np.arange(window.y0, window.y1)[:, None] - y
    columns = np.arange(window.x0, window.x1)[None] - x
    return _on_slide(Region(window, rows**2 + columns**2 <= radius**2))


def polygon_region(points_um: npt.ArrayLike, pixel_um: float, shape: tuple[int, int]) -> Region:
    """Return the biggest connected piece of the pixels whose centres lie in a polygon.

    Parameters
    ----------
    points_um : (N, 2)
        Its corners (y, x) in µm, at least three.
    pixel_um, shape
        As in :func:`disc_region`.

    Raises
    ------
    CallError
        If it has fewer than three corners, or holds no pixel of the slide.

    Examples
    --------
    >>> polygon_region([(-0.2, -0.2), (-0.2, 4.8), (2.4, 4.8), (2.4, -0.2)], 0.5, (100, 100)).pixels  # 5 x 10
    50
    """
    points = np.asarray(points_um, np.float64).reshape(-1, 2) / pixel_um
    if len(points) < 3 or not np.isfinite(points).all():
        raise CallError(f"the outline of a cell needs at least three points; {len(points)} were drawn")
    window = _clipped(points.min(axis=0), points.max(axis=0), shape)
    mask = np.zeros(window.shape, np.bool_)
    mask[fill_polygon(points[:, 0] - window.y0, points[:, 1] - window.x0, window.shape)] = True
    return _on_slide(Region(window, mask).biggest())


def bridged(parts: Sequence[Region], free: Mask, window: Window, gap_px: float) -> Mask | None:
    """Join regions to one mask, closing gaps between them with free pixels; None where they stay apart.

    Parameters
    ----------
    parts : sequence of Region
    free : (Y, X) bool
        Pixels of ``window`` that no other cell owns.
    window : Window
        Holds every part.
    gap_px : float
        Widest gap that is closed.
    """
    joined = np.zeros(window.shape, np.bool_)
    for part in parts:
        joined |= part.spread(window)
    if _is_one(joined):
        return joined
    reach = max(1, math.ceil(gap_px / 2))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = (np.hypot(y, x) <= reach).astype(np.uint8)
    padded = np.pad(joined, 2 * reach).view(np.uint8)
    closed = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, disc)[2 * reach : -2 * reach, 2 * reach : -2 * reach]
    joined |= closed.view(np.bool_) & free
    return joined if _is_one(joined) else None


def _is_one(mask: Mask) -> bool:
    return int(np.asarray(cc3d.connected_components(mask.view(np.uint8), connectivity=8)).max()) == 1


def _clipped(low: Sequence[float], high: Sequence[float], shape: tuple[int, int]) -> Window:
    y0, x0 = (max(0, math.floor(v)) for v in low)
    y1, x1 = (min(size, math.ceil(v) + 1) for v, size in zip(high, shape, strict=True))
    if y0 >= y1 or x0 >= x1:
        raise CallError("the cell was drawn beyond the slide")
    return Window(y0, y1, x0, x1)


def _on_slide(region: Region) -> Region:
    if not region.mask.any():
        raise CallError("the cell that was drawn holds no pixel of the slide; draw it larger")
    return region

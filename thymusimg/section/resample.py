"""Resampling to another pixel size, on a grid counted from the slide's origin, whatever window is asked for.

Every pixel of the new grid is a mean of the old ones, weighted by a triangle as wide as the coarser of both: linear
interpolation when the new pixels are finer, an anti-aliased mean when they are coarser. Weights depend on the place
on the slide alone, so windows agree where they overlap.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from numba import njit

from thymusimg.section.model import Window

if TYPE_CHECKING:
    from thymusimg.section.model import FloatPlane


@dataclass(frozen=True)
class Resampling:
    """A slide's pixels and those of another size; both grids begin at the slide's outer corner.

    Attributes
    ----------
    slide_shape : (int, int)
        Height and width of the slide (or of the coarse plane) in its own pixels.
    pixel_um, other_um : float
        Side of a pixel of the slide, and of the new grid.
    """

    slide_shape: tuple[int, int]
    pixel_um: float
    other_um: float

    @property
    def scale(self) -> float:
        """Slide pixels to one pixel of the new grid; 1 where they differ by less than the slide would notice."""
        scale = self.other_um / self.pixel_um
        nearest = max(round(scale), 1)
        # a scale of 1.0003 is the rounding of a metadata field: over 10,000 px it moves a cell by three
        return float(nearest) if abs(scale - nearest) * max(self.slide_shape) < 0.5 * nearest else scale

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the new grid; its last pixels may reach past the slide."""
        height, width = (max(1, math.ceil(n / self.scale - 1e-6)) for n in self.slide_shape)
        return height, width

    def needed(self, window: Window) -> Window:
        """Return the slide pixels under a window of the new grid, which may reach past the slide; clipped to it."""
        support = max(1.0, self.scale)
        low = [math.floor((edge + 0.5) * self.scale - 0.5 - support) for edge in (window.y0, window.x0)]
        high = [math.ceil((edge - 0.5) * self.scale - 0.5 + support) + 1 for edge in (window.y1, window.x1)]
        y, x = (
            (min(max(a, 0), n - 1), max(min(b, n), 1)) for a, b, n in zip(low, high, self.slide_shape, strict=True)
        )
        return Window(y[0], max(y[1], y[0] + 1), x[0], max(x[1], x[0] + 1))

    def sample(self, plane: FloatPlane, place: Window, window: Window) -> FloatPlane:
        """Return a window of the new grid; beyond the slide its outermost pixels go on.

        Parameters
        ----------
        plane : (Y, X) float32
            The slide's pixels in ``place``, which holds :meth:`needed` of ``window``.
        place, window : Window
            In slide pixels, and in pixels of the new grid.
        """
        if self.scale == 1.0 and window == place:
            return plane
        rows = _weights(window.y0, window.y1, self.scale, self.slide_shape[0], place.y0)
        columns = _weights(window.x0, window.x1, self.scale, self.slide_shape[1], place.x0)
        return np.asarray(_apply(np.ascontiguousarray(plane, np.float32), *rows, *columns))

    def places_on(self, start: int, stop: int, axis: int) -> npt.NDArray[np.int64]:
        """Return the pixel of the new grid under the centre of slide rows (``axis`` 0) or columns (1)."""
        found = np.floor((np.arange(start, stop) + 0.5) / self.scale).astype(np.int64)
        return np.asarray(np.minimum(found, self.shape[axis] - 1), np.int64)


def _weights(
    first: int, beyond: int, scale: float, length: int, origin: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Return for every new pixel its old ones (indices from ``origin``) and their weights, which add up to 1."""
    support = max(1.0, scale)
    centre = (np.arange(first, beyond) + 0.5) * scale - 0.5
    taps = math.ceil(2 * support) + 1
    index = np.floor(centre - support).astype(np.int64)[:, None] + np.arange(taps + 1)[None, :]
    weight = np.maximum(0.0, 1.0 - np.abs(index - centre[:, None]) / support)
    weight /= weight.sum(axis=1, keepdims=True)
    return np.clip(index, 0, length - 1) - origin, weight.astype(np.float32)


@njit(cache=True, nogil=True)
def _apply(plane, rows, row_weights, columns, column_weights):  # type: ignore[no-untyped-def]  # compiled
    height, width = len(rows), len(columns)
    out = np.zeros((height, width), np.float32)
    line = np.empty(plane.shape[1], np.float32)
    for y in range(height):
        line[:] = 0
        for k in range(rows.shape[1]):
            w = row_weights[y, k]
            if w == 0:
                continue
            source = plane[rows[y, k]]
            for x in range(plane.shape[1]):
                line[x] += w * source[x]
        for x in range(width):
            total = np.float32(0)
            for k in range(columns.shape[1]):
                w = column_weights[x, k]
                if w != 0:
                    total += w * line[columns[x, k]]
            out[y, x] = total
    return out

"""A window of a raster and the places of its pixels: what every drawing step is given.

Every step computes a pixel from its place alone, in an order of additions that does not depend on the window; so a
section is the same to the last bit however it is cut into blocks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from thymusimg.section.model import Window

if TYPE_CHECKING:
    import numpy.typing as npt

    from thymusimg.section.model import FloatPlane, Grid


@dataclass(frozen=True)
class Patch:
    """A window of a raster of ``shape`` pixels; the raster's first pixel has its centre at ``translation_um``."""

    window: Window
    shape: tuple[int, int]
    pixel_um: float
    translation_um: float = 0.0

    @classmethod
    def slide(cls, grid: Grid, window: Window | None = None) -> Patch:
        """Return a window of the slide at full resolution; the whole of it without one."""
        height, width = grid.slide_shape
        return cls(window or Window(0, height, 0, width), grid.slide_shape, grid.slide_pixel_um)

    @classmethod
    def coarse(cls, grid: Grid, window: Window | None = None) -> Patch:
        """Return a window of the coarse grid; the whole of it without one."""
        height, width = grid.shape
        return cls(window or Window(0, height, 0, width), grid.shape, grid.pixel_um, grid.translation_um)

    @property
    def rows_um(self) -> npt.NDArray[np.float64]:
        """Place of every row, in µm."""
        return self._places(self.window.y0, self.window.y1)

    @property
    def columns_um(self) -> npt.NDArray[np.float64]:
        """Place of every column, in µm."""
        return self._places(self.window.x0, self.window.x1)

    def _places(self, first: int, beyond: int) -> npt.NDArray[np.float64]:
        return np.asarray(np.arange(first, beyond) * self.pixel_um + self.translation_um, np.float64)

    def grown(self, margin_um: float) -> Patch:
        """Return the patch with a margin on every side, cut by the raster's edge."""
        margin = int(np.ceil(margin_um / self.pixel_um))
        return Patch(self.window.grown(margin, self.shape), self.shape, self.pixel_um, self.translation_um)

    def cut(self, plane: npt.NDArray[np.generic], inner: Patch) -> npt.NDArray[np.generic]:
        """Return the part of this patch's ``plane`` that lies in ``inner``."""
        (y, _, x, _), (a, b, c, d) = self.window, inner.window
        return plane[a - y : b - y, c - x : d - x]


def coarse_patch(grid: Grid, fine: Patch, margin: int = 1) -> Patch:
    """Return the coarse pixels under a full-resolution patch, and ``margin`` more on every side."""
    f, (y0, y1, x0, x1) = grid.factor, fine.window
    under = Window(y0 // f, -(-y1 // f), x0 // f, -(-x1 // f))
    return Patch.coarse(grid, under.grown(margin, grid.shape))


@njit(cache=True, nogil=True)
def _upsample(coarse, cy, cx, y0, x0, factor, out):  # type: ignore[no-untyped-def]
    height, width = out.shape
    rows, columns = coarse.shape
    line = np.empty(columns, np.float32)
    step = np.empty(columns, np.float32)
    scale = np.float32(1.0 / factor)
    half = np.float32(0.5 * (factor - 1))
    for i in range(height):
        q = (np.float32((y0 + i) % factor) - half) * scale
        a = (y0 + i) // factor - cy
        b = a + 1 if q > 0 else a - 1
        b = min(max(b, 0), rows - 1)
        t = abs(q)
        for k in range(columns):
            line[k] = coarse[a, k] + t * (coarse[b, k] - coarse[a, k])
        for phase in range(factor):
            # pixels of one phase lie evenly between the same two coarse neighbours
            q = (np.float32(phase) - half) * scale
            t = abs(q)
            side = 1 if q > 0 else -1
            for k in range(columns):
                d = min(max(k + side, 0), columns - 1)
                step[k] = line[k] + t * (line[d] - line[k])
            first = (phase - x0) % factor
            c = (x0 + first) // factor - cx
            for j in range(first, width, factor):
                out[i, j] = step[c]
                c += 1


def upsample_patch(plane: FloatPlane, coarse: Patch, fine: Patch) -> FloatPlane:
    """Return a coarse plane interpolated linearly to full resolution; ``coarse`` must reach one pixel farther."""
    out = np.empty(fine.window.shape, np.float32)
    factor = round(coarse.pixel_um / fine.pixel_um)
    _upsample(
        np.ascontiguousarray(plane, np.float32), coarse.window.y0, coarse.window.x0, fine.window.y0,
        fine.window.x0, factor, out,
    )  # fmt: skip
    return out


@njit(cache=True, nogil=True)
def _along_rows(plane, weights, out):  # type: ignore[no-untyped-def]
    height, width = plane.shape
    reach = len(weights) // 2
    line = np.empty(width + 2 * reach, np.float32)
    for i in range(height):
        line[:reach] = plane[i, 0]
        line[reach : reach + width] = plane[i]
        line[reach + width :] = plane[i, width - 1]
        row = out[i]
        row[:] = np.float32(0)
        for k in range(len(weights)):
            w = weights[k]
            for j in range(width):
                row[j] += w * line[j + k]


@njit(cache=True, nogil=True)
def _along_columns(plane, weights, out):  # type: ignore[no-untyped-def]
    height, width = plane.shape
    reach = len(weights) // 2
    for i in range(height):
        row = out[i]
        row[:] = np.float32(0)
        for k in range(len(weights)):
            w = weights[k]
            source = plane[min(max(i + k - reach, 0), height - 1)]
            for j in range(width):
                row[j] += w * source[j]


def gauss(plane: FloatPlane, sigma_px: float, shift_px: tuple[float, float] = (0.0, 0.0)) -> FloatPlane:
    """Return a plane under a Gaussian, moved by ``shift_px`` (y, x); what lies beyond its edge repeats the edge.

    The Gaussian is sampled around the moved centre, so that a shift costs no interpolation and no sharpness.
    """
    out = np.empty(plane.shape, np.float32)
    half = np.empty(plane.shape, np.float32)
    _along_rows(np.ascontiguousarray(plane, np.float32), _weights(sigma_px, shift_px[1]), half)
    _along_columns(half, _weights(sigma_px, shift_px[0]), out)
    return out


def reach_px(sigma_px: float, shift_px: float = 0.0) -> int:
    """Return how far :func:`gauss` looks, in pixels."""
    return int(np.ceil(4 * max(sigma_px, 0.3) + abs(shift_px)))


def _weights(sigma_px: float, shift_px: float) -> npt.NDArray[np.float32]:
    reach = reach_px(sigma_px, shift_px)
    at = np.arange(-reach, reach + 1) + shift_px
    if sigma_px < 0.3:  # a Gaussian narrower than a pixel is the pixel: shift by linear interpolation
        weights = np.maximum(0.0, 1.0 - np.abs(at))
    else:
        weights = np.exp(-0.5 * (at / sigma_px) ** 2)
    return np.asarray(weights / weights.sum(), np.float32)

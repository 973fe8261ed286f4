"""A hexagonal grid of points over a tissue, laid so that it turns and flips with the section."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numba
import numpy as np
import numpy.typing as npt

from thymusimg.measurements.smoothing import bounding_box

if TYPE_CHECKING:
    from thymusimg.section.model import Mask

Values = npt.NDArray[np.float64]

_ROWS = 256


@dataclass(frozen=True)
class HexGrid:
    """Points ``spacing_um`` apart in rows, every other row shifted by half of it.

    The rows run along the longer side of the tissue, and a point lies in the middle of its bounding box: so the
    grid turns, flips and moves with the section. (Where both sides are equal, the rows run along the greater second
    moment of the tissue, else of what else is given.)

    Attributes
    ----------
    centre_px : (y, x)
        The point in the middle, as fractional pixel indices.
    upright : bool
        Whether the rows run along y.
    spacing_um, pixel_um : float
    reach : (rows, half_steps)
        Points are at rows −rows … rows and at half steps −half_steps … half_steps along them.
    """

    centre_px: tuple[float, float]
    upright: bool
    spacing_um: float
    pixel_um: float
    reach: tuple[int, int]

    @property
    def row_um(self) -> float:
        """Distance of two rows."""
        return self.spacing_um * math.sqrt(3) / 2

    @property
    def valid(self) -> Mask:
        """Which places of the (rows, half steps) array hold a point: every other one."""
        rows, steps = self._axes()
        return np.asarray((rows[:, None] + steps) % 2 == 0)

    def points_um(self) -> Values:
        """Return the (N, 2) points that ``valid`` marks: across and along the rows, from the middle."""
        rows, steps = np.nonzero(self.valid)
        return np.column_stack(
            [(rows - self.reach[0]) * self.row_um, (steps - self.reach[1]) * (self.spacing_um / 2)]
        )

    def share(self, mask: Mask, side_um: float = 0.0) -> Values:
        """Return the share of ``mask`` in the square of ``side_um`` (by default the spacing) around every place.

        At least ½ is what the local median of the labels says.
        """
        side_um = side_um or self.spacing_um
        sums = np.asarray(cv2.integral(np.ascontiguousarray(mask, np.bool_).view(np.uint8), sdepth=cv2.CV_64F))
        rows, steps = self._axes()
        across = np.asarray(rows * self.row_um, np.float64)
        along = np.asarray(steps * (self.spacing_um / 2), np.float64)
        (y, x) = (along, across) if self.upright else (across, along)
        part = _window_sums(
            sums, self._edges(y, self.centre_px[0], side_um), self._edges(x, self.centre_px[1], side_um)
        )
        share = part / (side_um / self.pixel_um) ** 2
        return share.T if self.upright else share

    def _axes(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        return tuple(np.arange(-n, n + 1) for n in self.reach)  # type: ignore[return-value]  # two of them

    def _edges(self, offsets_um: Values, centre: float, side_um: float) -> Values:
        """Return the (N, 2) ends of the squares; pixel i reaches from i to i + 1."""
        ends = np.stack([offsets_um - side_um / 2, offsets_um + side_um / 2], axis=1) / self.pixel_um
        # thousandths of a pixel (a power of two): sums are exact, in whatever order they are taken
        return np.asarray(np.round(ends * 1024) / 1024 + centre + 0.5)

    def at(self, values: Values, y: npt.ArrayLike, x: npt.ArrayLike) -> Values:
        """Return the value of the grid point nearest to each place.

        Parameters
        ----------
        values : (rows, half steps) float64
        y, x : (N,) array
            Fractional pixel indices.

        Returns
        -------
        (N,) float64
            The mean of the nearest points where several are equally near; NaN outside the grid.
        """
        down = (np.asarray(y, np.float64) - self.centre_px[0]) * self.pixel_um
        right = (np.asarray(x, np.float64) - self.centre_px[1]) * self.pixel_um
        across, along = (right, down) if self.upright else (down, right)
        out: Values = _nearest_values(
            values, np.ascontiguousarray(across), np.ascontiguousarray(along), self.row_um, self.spacing_um
        )
        return out

    def over(self, values: Values, mask: Mask) -> Values:
        """Return the value of the grid point nearest to every pixel of a mask, row by row; see :meth:`at`."""
        found = np.empty(np.count_nonzero(mask))
        filled = 0
        for start in range(0, len(mask), _ROWS):  # the places themselves would take as much memory as many planes
            y, x = np.nonzero(mask[start : start + _ROWS])
            found[filled : filled + len(y)] = self.at(values, y + start, x)
            filled += len(y)
        return found


def lay_hex_grid(mask: Mask, pixel_um: float, spacing_um: float, *ties: Mask) -> HexGrid:
    """Lay a grid over the bounding box of a non-empty mask; ``ties`` decide which way the rows run in a round one.

    Examples
    --------
    >>> import numpy as np
    >>> grid = lay_hex_grid(np.ones((40, 100), bool), 2.0, 20.0)
    >>> grid.upright, grid.centre_px
    (False, (19.5, 49.5))
    """
    rows, cols = bounding_box(mask)
    centre = ((rows.start + rows.stop - 1) / 2, (cols.start + cols.stop - 1) / 2)
    sides = (rows.stop - rows.start, cols.stop - cols.start)
    extent = [[_second_moment(m[rows, cols].sum(axis=1 - a)) for m in (mask, *ties)] for a in (0, 1)]
    upright = (sides[0], *extent[0]) > (sides[1], *extent[1])
    across, along = (sides[1], sides[0]) if upright else sides
    reach = (
        math.ceil(across * pixel_um / 2 / (spacing_um * math.sqrt(3) / 2)) + 1,
        math.ceil(along * pixel_um / spacing_um) + 2,
    )
    return HexGrid(centre, upright, spacing_um, pixel_um, reach)


def _second_moment(counts: npt.NDArray[np.int64]) -> int:
    """Return Σ n (2i + 1 − N)², exact and the same read from either end."""
    place = 2 * np.arange(len(counts), dtype=np.int64) + 1 - len(counts)
    return int((counts * place**2).sum())


def _window_sums(sums: Values, y_edges: Values, x_edges: Values) -> Values:
    """Return the sums of rectangles that may cut pixels, from an integral image."""
    out = np.empty((len(y_edges), len(x_edges)))
    _cut_sums(sums, *_between(y_edges, sums.shape[0]), *_between(x_edges, sums.shape[1]), out)
    return out


def _between(at: Values, count: int) -> tuple[npt.NDArray[np.intp], Values]:
    """Return between which rows fractional places lie, and how far; those beyond the ends lie at them."""
    place = np.clip(at, 0, count - 1)
    low = np.minimum(place.astype(np.intp), count - 2)
    return low, place - low


@numba.njit(cache=True, nogil=True)
def _cut_sums(sums, low, part, left, piece, out):  # type: ignore[no-untyped-def]  # compiled
    """Interpolate the integral image in y, a row of the grid at a time, and that row in x."""
    width = sums.shape[1]
    line = np.empty(width)
    for m in range(len(low)):
        top, under_top = sums[low[m, 0]], sums[low[m, 0] + 1]
        end, under_end = sums[low[m, 1]], sums[low[m, 1] + 1]
        a, b = part[m, 0], part[m, 1]
        for x in range(width):
            line[x] = (end[x] * (1 - b) + under_end[x] * b) - (top[x] * (1 - a) + under_top[x] * a)
        for c in range(len(left)):
            i, j, a_x, b_x = left[c, 0], left[c, 1], piece[c, 0], piece[c, 1]
            last = line[j] * (1 - b_x) + line[j + 1] * b_x
            out[m, c] = last - (line[i] * (1 - a_x) + line[i + 1] * a_x)


@numba.njit(cache=True, nogil=True)
def _nearest(across, along, row, spacing):  # type: ignore[no-untyped-def]  # compiled
    even_row = 2 * math.floor(across / (2 * row) + 0.5)
    even_step = 2 * math.floor(along / spacing + 0.5)
    odd_row = 2 * math.floor(across / (2 * row)) + 1
    odd_step = 2 * math.floor(along / spacing) + 1
    even = (across - even_row * row) ** 2 + (along - even_step * spacing / 2) ** 2
    odd = (across - odd_row * row) ** 2 + (along - odd_step * spacing / 2) ** 2
    if even <= odd:
        return even_row, even_step
    return odd_row, odd_step


@numba.njit(cache=True, nogil=True)
def _nearest_values(values, across, along, row, spacing):  # type: ignore[no-untyped-def]  # compiled
    """Read the nearest point; ties are broken one way and the other, in mirror images, and averaged."""
    rows, steps = values.shape[0] // 2, values.shape[1] // 2
    out = np.empty(len(across))
    for i in range(len(across)):
        total = 0.0
        for up in (1, -1):
            part = 0.0
            for left in (1, -1):
                m, c = _nearest(up * across[i], left * along[i], row, spacing)
                m, c = int(up * m), int(left * c)
                if abs(m) > rows or abs(c) > steps:
                    part = np.nan
                else:
                    part += values[m + rows, c + steps]
            total += part
        out[i] = total / 4
    return out

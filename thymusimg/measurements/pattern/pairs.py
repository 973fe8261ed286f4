"""Histograms of the distances of all pairs of points, weighted against the window's edge; nearest neighbours."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from thymusimg.measurements.pattern.covariance import SetCovariance

Values = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Marks = npt.NDArray[np.uint8]

_CELLS_A_REACH = 5  # finer cells test fewer pairs that are too far, and cost more steps
_MAX_CELLS = 2**22


class Sorted(NamedTuple):
    """Points sorted into the square cells of a grid, row by row.

    Attributes
    ----------
    points : (N, 2) float64
    order : (N,) int64
        Which of the given points each is.
    start : (rows · cols + 1,) int64
        Where the points of each cell begin.
    """

    points: Values
    order: Indices
    start: Indices
    cols: int
    side: float
    corner: tuple[float, float]


def sort_points(points: Values, side: float) -> Sorted:
    """Sort points (N, 2) into square cells of about ``side``; wider ones where these would be too many."""
    if not len(points):
        return Sorted(np.zeros((0, 2)), np.zeros(0, np.int64), np.zeros(2, np.int64), 1, side, (0.0, 0.0))
    low, high = np.array([[part.min(), part.max()] for part in points.T]).T  # along an axis of two NumPy is slow
    while math.prod(int(n) + 1 for n in (high - low) / side) > _MAX_CELLS:
        side *= 2
    rows, cols = (int(n) + 1 for n in (high - low) / side)
    ordered, order, start = _sort(points, float(low[0]), float(low[1]), side, rows, cols)
    return Sorted(ordered, order, start, cols, side, (float(low[0]), float(low[1])))


def pair_weights(
    points: Sorted,
    covariance: SetCovariance,
    reach_um: float,
    bin_um: float,
    marks: Marks | None = None,
    kinds: int = 1,
) -> Values:
    """Sum 1 / γ(xᵢ − xⱼ) over ordered pairs i ≠ j, by distance and by the marks of both.

    Parameters
    ----------
    points : Sorted
        In pixels of the covariance.
    covariance : SetCovariance
        Of the window, for at least ``reach_um``.
    reach_um : float
        Pairs farther apart are left out.
    bin_um : float
        Bin ``k`` holds distances in ((k − 1) · bin, k · bin]; bin 0 the points that coincide.
    marks : (N,) uint8, optional
        0 … ``kinds`` − 1 for every *given* point, in the order before sorting.
    kinds : int

    Returns
    -------
    (kinds, kinds, B) float64
        In 1/µm². The sums run in a fixed order: the same bits whatever the number of threads.
    """
    bins = math.ceil(reach_um / bin_um - 1e-9) + 1
    mark = np.zeros(len(points.points), np.uint8) if marks is None else marks[points.order]
    px = covariance.pixel_um
    reach = reach_um / px
    # by how many rows of cells two points are apart: how many columns they can be
    steps = int(reach / points.side) + 1
    gaps = [max(step - 1, 0) * points.side for step in range(steps + 1)]
    half = np.array([int(math.sqrt(max(reach**2 - gap**2, 0.0)) / points.side) + 1 for gap in gaps], np.int64)
    y, x = np.ascontiguousarray(points.points.T)
    table = covariance.table.ravel()
    sums = np.zeros(kinds * kinds * (bins + 1))  # rounding may push the farthest pairs one bin too far
    _sum_pairs(
        y, x, mark, points.start, points.cols, half, reach * reach, px / bin_um, table, len(covariance.table),
        float(covariance.reach_px), kinds, bins + 1, sums,
    )  # fmt: skip
    sums = sums.reshape(kinds, kinds, bins + 1) / px**2
    sums[..., bins - 1] += sums[..., bins]
    once = sums[..., :bins]
    return once + once.transpose(1, 0, 2)


def nearest_distances(points: Sorted) -> Values:
    """Return the distance of every point, as sorted, to its nearest neighbour; infinite for a single one."""
    y, x = np.ascontiguousarray(points.points.T)
    out = np.full(len(y), np.inf)
    if len(y) > 1:
        rows = (len(points.start) - 1) // points.cols
        _nearest(y, x, points.start, rows, points.cols, points.side, points.corner[0], points.corner[1], out)
    return out


def cell_side(reach_px: float) -> float:
    """Return the side of the cells that suits :func:`pair_weights`."""
    return reach_px / _CELLS_A_REACH


@numba.njit(cache=True, nogil=True)
def _sort(
    points: Values, top: float, left: float, side: float, rows: int, cols: int
) -> tuple[Values, Indices, Indices]:
    n = len(points)
    cell = np.empty(n, np.int64)
    start = np.zeros(rows * cols + 1, np.int64)
    for i in range(n):
        cell[i] = int((points[i, 0] - top) / side) * cols + int((points[i, 1] - left) / side)
        start[cell[i] + 1] += 1
    for c in range(rows * cols):
        start[c + 1] += start[c]
    fill = start[:-1].copy()
    order, ordered = np.empty(n, np.int64), np.empty((n, 2))
    for i in range(n):
        at = fill[cell[i]]
        order[at], ordered[at, 0], ordered[at, 1] = i, points[i, 0], points[i, 1]
        fill[cell[i]] = at + 1
    return ordered, order, start


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _sum_pairs(y, x, mark, start, cols, half, reach2, per_bin, table, width, middle, kinds, bins, out):  # type: ignore[no-untyped-def]  # compiled
    """Add 1 / γ of every pair, once, to the bin of its distance; γ is interpolated in ``table``.

    Point after point, those within reach are gathered without a branch, and then worked on in plain loops, which
    the compiler turns into vector instructions. Unsigned indices spare it the test for negative ones.
    """
    rows = (len(start) - 1) // cols
    one, below_one = np.uint32(1), np.uint32(width)
    stride = np.int32(width)
    room = len(y) + 1
    v, u, d = np.empty(room), np.empty(room), np.empty(room)
    place, bin_, other = np.empty(room, np.int32), np.empty(room, np.int32), np.empty(room, np.int32)
    offset = np.empty(len(y), np.int32)  # of the bins of a pair whose second point is this
    for i in range(len(y)):
        offset[i] = mark[i] * bins
    for row in range(rows):
        reached = min(len(half), rows - row)
        for col in range(cols):
            for i in range(start[row * cols + col], start[row * cols + col + 1]):
                yi, xi = y[i], x[i]
                found = np.uint64(0)
                for step in range(reached):
                    first = (row + step) * cols
                    last = start[first + min(col + half[step], cols - 1) + 1]
                    begin = start[first + max(col - half[step], 0)] if step > 0 else i + 1
                    for j in range(np.uint64(begin), np.uint64(last)):
                        dy, dx = y[j] - yi, x[j] - xi
                        d2 = dy * dy + dx * dx
                        v[found], u[found], d[found], other[found] = dy, dx, d2, offset[j]
                        found += np.uint64(d2 <= reach2)
                for t in range(found):
                    # a tie on a bin's edge stays below it
                    bin_[t] = other[t] + np.int32(np.ceil(np.sqrt(d[t]) * per_bin - 1e-9))
                    # counted from the table's corner, a shift is never negative
                    vt, ut = v[t] + middle, u[t] + middle
                    iv, iu = np.int32(vt), np.int32(ut)
                    place[t] = iv * stride + iu
                    v[t], u[t] = vt - iv, ut - iu
                base = np.uint32(mark[i] * kinds * bins)
                for t in range(found):
                    q = np.uint32(place[t])
                    left_above, right_above = table[q], table[q + one]
                    left_below, right_below = table[q + below_one], table[q + below_one + one]
                    above = left_above + (right_above - left_above) * u[t]
                    below = left_below + (right_below - left_below) * u[t]
                    out[base + np.uint32(bin_[t])] += 1.0 / (above + (below - above) * v[t])


@numba.njit(cache=True, nogil=True)
def _nearest(y, x, start, rows, cols, side, top, left, out):  # type: ignore[no-untyped-def]  # compiled
    """Search ring after ring of cells around every point, until no nearer neighbour can lie in the next."""
    for row in range(rows):
        for col in range(cols):
            for i in range(start[row * cols + col], start[row * cols + col + 1]):
                best = np.inf
                # a point within its cell has so much room before the next ring of cells
                room = min(
                    y[i] - (top + row * side), top + (row + 1) * side - y[i],
                    x[i] - (left + col * side), left + (col + 1) * side - x[i],
                )  # fmt: skip
                ring = 0
                while ring < rows + cols:
                    for r in range(max(row - ring, 0), min(row + ring, rows - 1) + 1):
                        edge = r == row - ring or r == row + ring
                        step = 1 if edge or ring == 0 else 2 * ring
                        for c in range(col - ring, col + ring + 1, step):
                            if 0 <= c < cols:
                                for j in range(start[r * cols + c], start[r * cols + c + 1]):
                                    dy, dx = y[j] - y[i], x[j] - x[i]
                                    d2 = dy * dy + dx * dx
                                    if j != i and d2 < best:
                                        best = d2
                    reached = ring * side + room
                    if best <= reached * reached:
                        break
                    ring += 1
                out[i] = np.sqrt(best)

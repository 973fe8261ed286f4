"""Exact Euclidean distances and discs on masks, in time that depends neither on the radius nor on the threads.

Distances along the columns first, then across every row (Meijster, Roerdink & Hesselink 2000). All sums are of
integers, so the results are exact, and the same however the image is turned.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numba
import numpy as np

if TYPE_CHECKING:
    from thymusimg.section.model import FloatPlane, Mask

_FAR = 2**15 - 1  # stands for a column without an end; more rows than a coarse grid has
_SHORT = 127  # the squares of two such distances add up to no more than an int16 holds
_RUN = 128  # pixels of a row that are worked on together


def distance_px(mask: Mask) -> FloatPlane:
    """Return the distance of every pixel of ``mask`` to the nearest pixel off it; infinite where there is none."""
    column = np.empty(mask.shape, np.int16 if mask.shape[0] < _FAR else np.int32)
    far = _FAR if column.dtype == np.int16 else 2**30
    _along_columns(np.ascontiguousarray(mask), column, far)
    out = np.empty(mask.shape, np.float32)
    _across_rows(column, far, out)
    return out


def distance_within(mask: Mask, limit_px: float) -> FloatPlane:
    """Return the same as :func:`distance_px`, but ``limit_px`` wherever it is farther; near limits are quick.

    Examples
    --------
    >>> distance_within(np.array([[False, True, True, True, True]]), 2.5).tolist()
    [[0.0, 1.0, 2.0, 2.5, 2.5]]
    """
    reach = math.ceil(limit_px)
    if reach > _SHORT:
        return np.minimum(distance_px(mask), np.float32(limit_px))
    column = np.empty(mask.shape, np.uint8)
    _along_columns(np.ascontiguousarray(mask), column, reach)
    out = np.empty(mask.shape, np.float32)
    _across_rows_within(column, reach, out)
    return np.minimum(out, np.float32(limit_px), out=out) if reach > limit_px else out


def within(mask: Mask, radius_px: float) -> Mask:
    """Return the pixels at most ``radius_px`` from a pixel of ``mask``.

    Every pixel reaches so far along its row as its distance along the column leaves of the radius.
    """
    reach = int(radius_px)
    half = np.array([math.isqrt(int(radius_px**2 + 1e-9) - y * y) for y in range(reach + 1)], np.int32)
    column = np.empty(mask.shape, np.int16 if reach < _FAR else np.int32)
    _along_columns(np.ascontiguousarray(~mask), column, reach + 1)
    out = np.empty(mask.shape, bool)
    _reach_along_rows(column, half, out)
    return out


@numba.njit(cache=True, nogil=True)
def _along_columns(mask, out, far):  # type: ignore[no-untyped-def]  # compiled
    """Write the distance to the next pixel off the mask up or down the column, ``far`` where it is no less."""
    rows, cols = mask.shape
    for x in range(cols):
        out[0, x] = far if mask[0, x] else 0
    for y in range(1, rows):
        above, here, inside = out[y - 1], out[y], mask[y]
        for x in range(cols):
            here[x] = min(above[x] + 1, far) if inside[x] else 0
    for y in range(rows - 2, -1, -1):
        below, here = out[y + 1], out[y]
        for x in range(cols):
            here[x] = min(here[x], below[x] + 1)


@numba.njit(cache=True, nogil=True)
def _reach_along_rows(column, half, out):  # type: ignore[no-untyped-def]  # compiled
    rows, cols = column.shape
    change = np.zeros(cols + 1, np.int32)
    for y in range(rows):
        change[:] = 0
        x = 0
        while x < cols:  # a run of pixels that reach equally far is one interval
            first, away = x, column[y, x]
            while x < cols and column[y, x] == away:
                x += 1
            if away < len(half):
                change[max(0, first - half[away])] += 1
                change[min(cols, x + half[away])] -= 1
        reached = 0
        for x in range(cols):
            reached += change[x]
            out[y, x] = reached > 0


@numba.njit(cache=True, nogil=True)
def _across_rows(column, far, out):  # type: ignore[no-untyped-def]  # compiled
    rows, cols = column.shape
    site = np.empty(cols, np.int64)
    start = np.empty(cols, np.int64)
    for y in range(rows):
        x = 0
        while x < cols:
            if column[y, x] == 0:
                out[y, x] = 0.0
                x += 1
                continue
            # Nothing beyond the pixels off the mask that end a run is nearer than these.
            low = x
            while x < cols and column[y, x] != 0:
                x += 1
            top = -1
            for u in range(max(0, low - 1), min(cols, x + 1)):
                g = np.int64(column[y, u])
                if g >= far:
                    continue
                begin = low
                while top >= 0:
                    i = site[top]
                    h = np.int64(column[y, i])
                    # Exact: a quotient of such integers is never as near to the next integer as it is rounded.
                    begin = int(np.floor((u * u - i * i + g * g - h * h) / (2.0 * (u - i)))) + 1
                    if begin > start[top]:
                        break
                    top -= 1
                if top < 0:
                    begin = low
                if begin < x:
                    top += 1
                    site[top] = u
                    start[top] = begin
            if top < 0:
                out[y, low:x] = np.inf
                continue
            for v in range(x - 1, low - 1, -1):
                while v < start[top]:
                    top -= 1
                i = site[top]
                h = np.int64(column[y, i])
                out[y, v] = np.sqrt(np.float64((v - i) * (v - i) + h * h))


@numba.njit(cache=True, nogil=True)
def _across_rows_within(column, reach, out):  # type: ignore[no-untyped-def]  # compiled
    """Write the root of the least column² + d² over all d below ``reach``, for many pixels at once."""
    rows, cols = column.shape
    line = np.full(cols + 2 * reach, reach * reach, np.int16)
    least = np.empty(cols, np.int16)
    for y in range(rows):
        away, middle = column[y], line[reach : reach + cols]
        for x in range(cols):
            middle[x] = np.int16(away[x]) * np.int16(away[x])
        for first in range(0, cols, _RUN):
            n = min(_RUN, cols - first)
            p = first + reach
            run = least[first : first + n]
            run[:] = line[p : p + n]
            d = 1
            while d < reach and d * d < _largest(run):
                stop = min(d + 4, reach)  # looked at now and then: what is farther than all changes nothing
                while d < stop:
                    _lower(run, line[p - d : p - d + n], line[p + d : p + d + n], np.int16(d * d))
                    d += 1
        row = out[y]
        for x in range(cols):
            row[x] = np.sqrt(np.float32(least[x]))


@numba.njit(cache=True, nogil=True)
def _largest(run):  # type: ignore[no-untyped-def]  # compiled
    most = run[0]
    for x in range(len(run)):
        most = max(most, run[x])
    return most


@numba.njit(cache=True, nogil=True)
def _lower(run, one, other, add):  # type: ignore[no-untyped-def]  # compiled
    for x in range(len(run)):
        run[x] = min(run[x], np.int16(min(one[x], other[x]) + add))

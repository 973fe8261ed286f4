"""The skeleton of a mask of strands: thinned, without spurs and specks; every decision looks a bounded way (R9)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba
import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from thymusimg.section.model import Mask

STEPS = 32
"""A step takes a layer off, from one side and the other in turn: strands up to so many pixels wide get thin."""

_DY = np.array([-1, -1, 0, 1, 1, 1, 0, -1], np.int64)
_DX = np.array([0, 1, 1, 1, 0, -1, -1, -1], np.int64)


def reach_px(spur_px: int, piece_px: int) -> int:
    """Return how far around a pixel its place on the skeleton depends on the mask, in pixels."""
    return STEPS + 2 * spur_px + piece_px + 4


def skeletonise(mask: Mask, *, spur_px: int = 0, piece_px: int = 0) -> Mask:
    """Thin a mask to lines one pixel wide, without changing how it hangs together (R9).

    Thinning after Guo & Hall 1989 (Commun ACM 32:359, algorithm A1). Then end branches of fewer than ``spur_px``
    pixels at a fork go, which thinning makes of every bump, and pieces of fewer than ``piece_px`` pixels.

    Parameters
    ----------
    mask : (Y, X) bool
    spur_px, piece_px : int

    Returns
    -------
    (Y, X) bool

    Examples
    --------
    >>> bar = np.zeros((9, 30), bool)
    >>> bar[2:7, 3:27] = True
    >>> line = skeletonise(bar)
    >>> int(line.sum(0).max()), bool(line[4, 6:24].all())
    (1, True)
    """
    padded = np.zeros((mask.shape[0] + 2, mask.shape[1] + 2), np.uint8)
    padded[1:-1, 1:-1] = mask
    _thin(padded, _LUT, STEPS)
    if spur_px:
        _prune(padded, spur_px)
    if piece_px:
        _drop_pieces(padded, piece_px)
    return padded[1:-1, 1:-1].view(bool)


def _lookup() -> npt.NDArray[np.bool_]:
    """Return for both kinds of step and every pattern of the 8 neighbours, from N clockwise, whether to delete."""
    table = np.zeros((2, 256), bool)
    for code in range(256):
        n, ne, e, se, s, sw, w, nw = (bool(code >> i & 1) for i in range(8))
        crossings = (not n and (ne or e)) + (not e and (se or s)) + (not s and (sw or w)) + (not w and (nw or n))
        first = (nw or n) + (ne or e) + (se or s) + (sw or w)
        second = (n or ne) + (e or se) + (s or sw) + (w or nw)
        if crossings == 1 and 2 <= min(first, second) <= 3:
            table[0, code] = not ((n or ne or not se) and e)
            table[1, code] = not ((s or sw or not nw) and w)
    return table


_LUT = _lookup()


@numba.njit(cache=True, nogil=True)
def _thin(a, lut, steps):  # type: ignore[no-untyped-def]  # compiled
    """Delete in turns; only pixels near the deletions of the last two turns can have become deletable."""
    height, width = a.shape
    flat = a.reshape(-1)
    turns = np.zeros(height * width, np.uint8)  # the turn in which a pixel was last queued, plus 1
    n = 0
    for y in range(1, height - 1):
        for p in range(y * width + 1, y * width + width - 1):
            n += flat[p] != 0 and not (flat[p - width] and flat[p + width] and flat[p - 1] and flat[p + 1])
    before, now = np.empty(0, np.int32), np.empty(n, np.int32)
    n = 0
    for y in range(1, height - 1):
        for p in range(y * width + 1, y * width + width - 1):
            if flat[p] and not (flat[p - width] and flat[p + width] and flat[p - 1] and flat[p + 1]):
                now[n] = p
                n += 1
    gone = np.empty(2 * n, np.int32)
    around = np.array([-width, -width + 1, 1, width + 1, width, width - 1, -1, -width - 1])
    for turn in range(steps):
        table = lut[turn & 1]
        if len(gone) < len(now) + len(before):
            gone = np.empty(len(now) + len(before), np.int32)
        count = 0
        for group in (now, before):
            for i in range(len(group)):
                p = group[i]
                if flat[p]:
                    code = (
                        flat[p - width]
                        | flat[p - width + 1] << 1
                        | flat[p + 1] << 2
                        | flat[p + width + 1] << 3
                        | flat[p + width] << 4
                        | flat[p + width - 1] << 5
                        | flat[p - 1] << 6
                        | flat[p - width - 1] << 7
                    )
                    if table[code]:
                        gone[count] = p
                        count += 1
        for i in range(count):
            flat[gone[i]] = 0
        touched = np.empty(8 * count, np.int32)
        m = 0
        for i in range(count):
            for d in around:
                q = gone[i] + d
                if flat[q] and turns[q] != turn + 1:
                    turns[q] = turn + 1
                    touched[m] = q
                    m += 1
        if m == 0 and len(now) == 0:
            break
        before, now = now, touched[:m].copy()


@numba.njit(cache=True, nogil=True, inline="always")
def links(a: npt.NDArray[np.uint8], y: int, x: int) -> int:
    """Return which neighbours a pixel of a skeleton is joined to, as bits from N clockwise.

    Diagonal neighbours are joined only where no pixel beside both joins them already: no triangles arise.
    """
    found = 0
    north, east, south, west = a[y - 1, x], a[y, x + 1], a[y + 1, x], a[y, x - 1]
    if north:
        found |= 1
    if east:
        found |= 4
    if south:
        found |= 16
    if west:
        found |= 64
    if a[y - 1, x + 1] and not north and not east:
        found |= 2
    if a[y + 1, x + 1] and not south and not east:
        found |= 8
    if a[y + 1, x - 1] and not south and not west:
        found |= 32
    if a[y - 1, x - 1] and not north and not west:
        found |= 128
    return found


@numba.njit(cache=True, nogil=True, inline="always")
def count_bits(found: int) -> int:
    """Return how many neighbours ``found`` holds."""
    count = 0
    for i in range(8):
        count += found >> i & 1
    return count


@numba.njit(cache=True, nogil=True)
def _prune(a: npt.NDArray[np.uint8], spur: int) -> None:
    """Delete end branches of fewer than ``spur`` pixels; all are found before any goes."""
    height, width = a.shape
    gone = [(0, 0) for _ in range(0)]
    path = np.empty((spur, 2), np.int64)
    for y in range(1, height - 1):
        for x in range(1, width - 1):
            if not a[y, x] or count_bits(links(a, y, x)) != 1:
                continue
            cy, cx, came = y, x, -1
            for n in range(spur):
                found = links(a, cy, cx)
                degree = count_bits(found)
                if degree >= 3:
                    gone.extend([(path[i, 0], path[i, 1]) for i in range(n)])
                    break
                path[n, 0], path[n, 1] = cy, cx
                step = -1
                for i in range(8):
                    if found >> i & 1 and i != came:
                        step = i
                if step < 0:
                    break
                cy, cx, came = cy + _DY[step], cx + _DX[step], (step + 4) & 7
    for y, x in gone:
        a[y, x] = 0


@numba.njit(cache=True, nogil=True)
def _drop_pieces(a: npt.NDArray[np.uint8], least: int) -> None:
    """Delete pieces of fewer than ``least`` pixels."""
    height, width = a.shape
    seen = np.zeros((height, width), np.uint8)
    piece = [(0, 0) for _ in range(0)]
    for y in range(1, height - 1):
        for x in range(1, width - 1):
            if not a[y, x] or seen[y, x]:
                continue
            piece.clear()
            piece.append((y, x))
            seen[y, x] = 1
            k = 0
            while k < len(piece):
                cy, cx = piece[k]
                k += 1
                for i in range(8):
                    b, c = cy + _DY[i], cx + _DX[i]
                    if a[b, c] and not seen[b, c]:
                        seen[b, c] = 1
                        piece.append((b, c))
            if len(piece) < least:
                for b, c in piece:
                    a[b, c] = 0

"""Who owns what where neighbouring tiles both claim a cell.

A segmenter that looks at its whole tile draws one cell a little differently in two tiles. A cell belongs to the
tile whose core holds its centroid. Where two drawings fall into two cores, or none into its own, place alone
decides, so that the answer depends on no order of work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cc3d
import numba
import numpy as np
import numpy.typing as npt

from thymusimg.cells.collect import Found, concatenate
from thymusimg.cells.labels import centroids

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thymusimg.section.model import Window

LEAST_LEFT = 0.5
"""A claim that keeps no more than this part of its pixels is another drawing of the same cell, and is dropped."""


class Settled(NamedTuple):
    """Disjoint cells; the stains' sums of the ``trimmed`` ones are stale.

    Attributes
    ----------
    cells : Found
    tile : (N,) int64
        Index of the tile that drew each cell.
    trimmed : (N,) bool
        Cells that lost pixels to another; ``sums`` hold their pixels and places, but the light of the whole claim.
    """

    cells: Found
    tile: npt.NDArray[np.int64]
    trimmed: npt.NDArray[np.bool_]


def settle(tiles: Sequence[Found], cores: Sequence[Window], stains: int, least_px: float = 1.0) -> Settled:
    """Make the claims of all tiles disjoint.

    Claims are taken in this order: those whose centroid lies in their own tile's core first, then the others, both
    from top to bottom and left to right. Each keeps the pixels that no claim of another tile took before it. One
    that keeps half of its pixels or less, or fewer than ``least_px``, is dropped; of one that falls into pieces the
    biggest stays.

    Parameters
    ----------
    tiles : sequence of Found
        The claims of each tile, disjoint among themselves.
    cores : sequence of Window
        What each tile answers for, in slide pixels; they cover no pixel twice.
    stains : int
        Number of stains in ``sums``.
    least_px : float
        Smallest cell, in pixels.
    """
    claims = concatenate(tiles, stains)
    tile = np.repeat(np.arange(len(tiles), dtype=np.int64), [len(part.boxes) for part in tiles])
    if len(tile) == 0:
        return Settled(claims, tile, np.zeros(0, np.bool_))
    places = centroids(claims)
    order = np.lexsort((tile, places[:, 1], places[:, 0], _astray(places, tile, cores)))
    firsts, others = _neighbours(claims.boxes, tile)
    kept, trimmed = _take(order, claims.boxes, claims.starts, claims.bits, firsts, others, LEAST_LEFT, least_px)
    sums = claims.sums
    for index in np.flatnonzero(kept & trimmed):
        kept[index] = _one_piece(claims, sums, int(index), least_px)
    return Settled(claims.select(kept), tile[kept], trimmed[kept])


def _astray(
    places: npt.NDArray[np.float64], tile: npt.NDArray[np.int64], cores: Sequence[Window]
) -> npt.NDArray[np.bool_]:
    y0, y1, x0, x1 = np.array(cores, np.float64)[tile].T
    y, x = places.T + 0.5
    return np.asarray((y < y0) | (y >= y1) | (x < x0) | (x >= x1), np.bool_)


def _one_piece(claims: Found, sums: npt.NDArray[np.float64], index: int, least_px: float) -> bool:
    """Keep the biggest piece of a claim, in place, and say whether it is big enough."""
    y0, y1, x0, x1 = claims.boxes[index]
    bits = claims.bits[claims.starts[index] : claims.starts[index + 1]]
    box = bits.view(np.uint8).reshape(y1 - y0, x1 - x0)  # cc3d 4.1 mislabels 8-connected booleans
    pieces = np.asarray(cc3d.connected_components(box, connectivity=8))
    sizes = np.bincount(pieces.ravel())[1:]
    piece = pieces == 1 + int(np.argmax(sizes))
    bits[:] = piece.ravel()
    y, x = np.nonzero(piece)
    sums[index, :4] = len(y), len(y), (y + y0).sum(), (x + x0).sum()
    return bool(len(y) >= least_px)


def _neighbours(
    boxes: npt.NDArray[np.int32], tile: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return, for every claim, the claims of other tiles whose boxes meet its own: where they begin, and which."""
    order = np.argsort(boxes[:, 0], kind="stable")
    counts = np.zeros(len(boxes) + 1, np.int64)
    _meet(boxes, tile, order, counts, np.zeros(0, np.int64), np.zeros(0, np.int64))
    firsts = np.cumsum(counts)
    others = np.zeros(firsts[-1], np.int64)
    _meet(boxes, tile, order, counts, firsts[:-1].copy(), others)
    return firsts, others


@numba.njit(cache=True, nogil=True)
def _meet(boxes, tile, order, counts, at, others):  # type: ignore[no-untyped-def]  # compiled
    """Count the pairs in ``counts``, shifted by one; or write them where ``others`` has room for them."""
    for m in range(len(order)):
        i = order[m]
        for k in range(m + 1, len(order)):
            j = order[k]
            if boxes[j, 0] >= boxes[i, 1]:
                break
            if tile[i] == tile[j] or boxes[j, 2] >= boxes[i, 3] or boxes[i, 2] >= boxes[j, 3]:
                continue
            if len(others):
                others[at[i]], others[at[j]] = j, i
                at[i] += 1
                at[j] += 1
            else:
                counts[i + 1] += 1
                counts[j + 1] += 1


@numba.njit(cache=True, nogil=True)
def _take(order, boxes, starts, bits, firsts, others, least_left, least_px):  # type: ignore[no-untyped-def]  # compiled
    """Take the claims in turn; what a claim loses is cleared in ``bits``."""
    kept = np.zeros(len(order), np.bool_)
    trimmed = np.zeros(len(order), np.bool_)
    for i in order:
        lost = 0
        size = int(bits[starts[i] : starts[i + 1]].sum()) if firsts[i + 1] > firsts[i] else 0
        for k in range(firsts[i], firsts[i + 1]):
            j = others[k]
            if not kept[j]:
                continue
            y0, y1 = max(boxes[i, 0], boxes[j, 0]), min(boxes[i, 1], boxes[j, 1])
            x0, x1 = max(boxes[i, 2], boxes[j, 2]), min(boxes[i, 3], boxes[j, 3])
            for y in range(y0, y1):
                mine = starts[i] + (y - boxes[i, 0]) * (boxes[i, 3] - boxes[i, 2]) - boxes[i, 2]
                theirs = starts[j] + (y - boxes[j, 0]) * (boxes[j, 3] - boxes[j, 2]) - boxes[j, 2]
                for x in range(x0, x1):
                    if bits[mine + x] and bits[theirs + x]:
                        bits[mine + x] = False
                        lost += 1
        trimmed[i] = lost > 0
        kept[i] = lost == 0 or (size - lost > least_left * size and size - lost >= least_px)
    return kept, trimmed

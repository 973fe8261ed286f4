"""Which windows a network is run on: few, not too big, and with little in them that nobody asks for.

A window costs its core and a margin all round, so cutting a lobe into small tiles is dear, and so is one big tile
that is half glass. What is chosen depends on the tissue and the slide alone.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from thymusimg.section.model import Mask

LEAST_GAIN = 0.03
"""A cut must save this part of a rectangle's cost; each window also has a cost of its own."""


class Blocks(NamedTuple):
    """A half-open rectangle of blocks: rows ``y0:y1``, columns ``x0:x1``."""

    y0: int
    y1: int
    x0: int
    x1: int


def cover(wanted: Mask, margin: float, most: int) -> list[Blocks]:
    """Cover blocks by rectangles that share none, so that their windows cost little.

    Rectangles are cut in two where that saves most, as long as it saves; then into equal parts of at most ``most``.
    The cost of a rectangle is the area of its windows with their margins.

    Parameters
    ----------
    wanted : (Y, X) bool
        Blocks that must be covered.
    margin : float
        Margin of a window, in blocks.
    most : int
        Longest side of a rectangle, in blocks.

    Returns
    -------
    list of Blocks
        From top to bottom and left to right.

    Examples
    --------
    Two lobes, far apart on a slide:

    >>> wanted = np.zeros((10, 40), np.bool_)
    >>> wanted[2:8, 1:7] = wanted[3:9, 30:36] = True
    >>> cover(wanted, margin=2, most=20)
    [Blocks(y0=2, y1=8, x0=1, x1=7), Blocks(y0=3, y1=9, x0=30, x1=36)]
    """
    found: list[Blocks] = []
    waiting = [Blocks(0, wanted.shape[0], 0, wanted.shape[1])]
    while waiting:
        tight = _shrunk(wanted, waiting.pop())
        if tight is None:
            continue
        cut = _best_cut(wanted[tight.y0 : tight.y1, tight.x0 : tight.x1], margin, most)
        if cut is None:
            found += _in_parts(tight, most)
        elif cut[0] == 0:
            at = tight.y0 + cut[1]
            waiting += [tight._replace(y1=at), tight._replace(y0=at)]
        else:
            at = tight.x0 + cut[1]
            waiting += [tight._replace(x1=at), tight._replace(x0=at)]
    return sorted(found)


def _shrunk(wanted: Mask, blocks: Blocks) -> Blocks | None:
    part = wanted[blocks.y0 : blocks.y1, blocks.x0 : blocks.x1]
    rows, columns = np.flatnonzero(part.any(axis=1)), np.flatnonzero(part.any(axis=0))
    if len(rows) == 0:
        return None
    return Blocks(
        blocks.y0 + int(rows[0]), blocks.y0 + int(rows[-1]) + 1,
        blocks.x0 + int(columns[0]), blocks.x0 + int(columns[-1]) + 1,
    )  # fmt: skip


def _in_parts(blocks: Blocks, most: int) -> list[Blocks]:
    rows, columns = _equal(blocks.y0, blocks.y1, most), _equal(blocks.x0, blocks.x1, most)
    return [Blocks(y0, y1, x0, x1) for y0, y1 in rows for x0, x1 in columns]


def _equal(start: int, stop: int, most: int) -> list[tuple[int, int]]:
    count = -(-(stop - start) // most)
    edges = [start + (stop - start) * i // count for i in range(count + 1)]
    return list(pairwise(edges))


def _best_cut(part: Mask, margin: float, most: int) -> tuple[int, int] | None:
    """Return axis and place of the cut that saves most, or None where none saves enough."""
    whole = float(_cost(np.array(part.shape[0]), np.array(part.shape[1]), margin, most))
    best, chosen = whole * (1 - LEAST_GAIN), None
    for axis, turned in ((0, part), (1, part.T)):
        if turned.shape[0] < 2:
            continue
        costs = _upper(turned, margin, most)[:-1] + _upper(turned[::-1], margin, most)[::-1][1:]
        place = int(np.argmin(costs))
        if costs[place] < best:
            best, chosen = float(costs[place]), (axis, place + 1)
    return chosen


def _upper(part: Mask, margin: float, most: int) -> npt.NDArray[np.float64]:
    """Return what the first 1, 2, … rows cost by themselves, shrunk to what is wanted in them."""
    height, width = part.shape
    any_in = part.any(axis=1)
    first = np.where(any_in, part.argmax(axis=1), width)
    last = np.where(any_in, width - part[:, ::-1].argmax(axis=1), 0)
    wide = np.maximum(np.maximum.accumulate(last) - np.minimum.accumulate(first), 0)
    rows = np.arange(height)
    top = np.maximum.accumulate(np.where(np.cumsum(any_in) == 1, np.where(any_in, rows, 0), 0))
    bottom = np.maximum.accumulate(np.where(any_in, rows + 1, 0))
    return np.where(wide > 0, _cost(bottom - top, wide, margin, most), 0.0)


def _cost(
    height: npt.NDArray[np.integer], width: npt.NDArray[np.integer], margin: float, most: int
) -> npt.NDArray[np.float64]:
    """Return the area of the windows of rectangles that are cut into equal parts."""
    cost: npt.NDArray[np.float64] = (height + 2 * margin * -(-height // most)) * (
        width + 2 * margin * -(-width // most)
    ).astype(np.float64)
    return cost

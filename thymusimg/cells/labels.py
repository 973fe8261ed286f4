"""Label images of a tile become cells: whose they are, which pixels they own, what they measure.

Any method that gives a label image ends here. A label is one cell; of a label in several pieces the biggest piece
is the cell and the others are dropped, since a profile of a cell is one region. Labels are disjoint by nature, so
the masks are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cc3d
import numba
import numpy as np
import numpy.typing as npt

from thymusimg.cells.collect import Found, empty

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thymusimg.section.model import FloatPlane, Mask, Window
    from thymusimg.section.resample import Resampling

Labels = npt.NDArray[np.int32]
"""(Y, X) label image: 0 is no cell."""


def find_labelled(
    labels: Labels,
    corner: tuple[int, int],
    core: Window,
    planes: Sequence[FloatPlane],
    *,
    scores: FloatPlane | None = None,
    least_px: float = 1.0,
    slack_px: float = 0.0,
) -> Found:
    """Return the cells of a label image whose centroid lies in ``core``, in the order of their centroids.

    Parameters
    ----------
    labels : (Y, X) int32
        On the slide's pixels; 0 is no cell. It must reach beyond the core by more than a cell.
    corner : (int, int)
        Row and column on the slide of its first pixel.
    core : Window
        What the tile answers for, in slide pixels.
    planes : R × (Y, X) float32
        Stains of the same window; their sums under every cell are taken, in this order.
    scores : (highest label + 1,) float32, optional
        Confidence of every label in [0, 1]; index 0 is not used. Without it the scores are NaN: not known.
    least_px : float
        Smallest cell, in pixels.
    slack_px : float
        Take cells whose centroid lies outside the core by up to so many pixels too.

    Returns
    -------
    Found
        ``sums`` are pixels, pixels, Σy and Σx on the slide, then Σ of every plane.
    """
    if labels.shape[0] == 0 or labels.shape[1] == 0 or not labels.any():
        return empty(len(planes))
    pieces = np.asarray(cc3d.connected_components(labels, connectivity=8, out_dtype=np.uint32))
    stack = np.stack(planes) if planes else np.zeros((0, *labels.shape), np.float32)
    names, boxes, sums = _weigh(labels, pieces, stack, int(pieces.max()), corner[0], corner[1])
    y, x = sums[:, 2] / sums[:, 0], sums[:, 3] / sums[:, 0]
    inside = (
        _biggest(names, sums[:, 0])
        & (sums[:, 0] >= least_px)
        & (y >= core.y0 - 0.5 - slack_px)
        & (y < core.y1 - 0.5 + slack_px)
        & (x >= core.x0 - 0.5 - slack_px)
        & (x < core.x1 - 0.5 + slack_px)
    )
    chosen = np.flatnonzero(inside)
    chosen = chosen[np.lexsort((x[chosen], y[chosen]))]
    sides = (boxes[chosen, 1::2] - boxes[chosen, ::2]).astype(np.int64)
    starts = np.concatenate([[0], np.cumsum(sides[:, 0] * sides[:, 1])]).astype(np.int64)
    bits = _cut(pieces, chosen, boxes, starts)
    given = np.full(len(chosen), np.nan, np.float32) if scores is None else scores[names[chosen]]
    on_slide = boxes[chosen] + np.array([corner[0], corner[0], corner[1], corner[1]], np.int32)
    return Found(on_slide, starts, bits, sums[chosen], given.astype(np.float32))


def labels_on_slide(labels: Labels, window: Window, resampling: Resampling, place: Window) -> Labels:
    """Bring a label image on another grid to the slide's pixels.

    Every slide pixel goes to the label that has most of the four grid pixels around it, each weighted by how near
    it is (linearly): outlines come out smooth, not in steps, and stay disjoint. A tie goes to the upper, then to
    the left pixel's label, so that numbers of labels mean nothing.

    Parameters
    ----------
    labels : (Y, X) int32
        In ``window`` of the resampled grid.
    window : Window
        In pixels of that grid.
    resampling : Resampling
    place : Window
        In slide pixels; what lies off ``window`` is 0.
    """
    if resampling.scale == 1.0 and window == place:
        return labels
    rows = (np.arange(place.y0, place.y1) + 0.5) / resampling.scale - 0.5 - window.y0
    columns = (np.arange(place.x0, place.x1) + 0.5) / resampling.scale - 0.5 - window.x0
    return np.asarray(_vote(np.ascontiguousarray(labels, np.int32), rows, columns), np.int32)


def centroids(found: Found) -> npt.NDArray[np.float64]:
    """Return the centroids (y, x) in slide pixels, (N, 2)."""
    return found.sums[:, 2:4] / found.sums[:, :1]


def on_tissue(found: Found, analysable: Mask, factor: int) -> npt.NDArray[np.bool_]:
    """Tell which cells have their centroid in ``analysable``, a mask of blocks of ``factor`` slide pixels."""
    pixels = np.floor(centroids(found) + 0.5).astype(np.intp) // factor
    rows = np.clip(pixels[:, 0], 0, analysable.shape[0] - 1)
    columns = np.clip(pixels[:, 1], 0, analysable.shape[1] - 1)
    return np.asarray(analysable[rows, columns], np.bool_)


def _biggest(names: npt.NDArray[np.int64], sizes: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Tell which pieces are the biggest of their label; of equals the first, row by row."""
    best = np.zeros(len(names), np.bool_)
    order = np.lexsort((np.arange(len(names)), -sizes))
    _, first = np.unique(names[order], return_index=True)
    best[order[first]] = True
    return best


@numba.njit(cache=True, nogil=True)
def _weigh(labels, pieces, planes, count, top, left):  # type: ignore[no-untyped-def]  # compiled
    height, width = labels.shape
    names = np.zeros(count, np.int64)
    boxes = np.zeros((count, 4), np.int32)
    sums = np.zeros((count, 4 + planes.shape[0]))
    for y in range(height):
        for x in range(width):
            piece = pieces[y, x]
            if piece == 0:
                continue
            i = piece - 1
            if sums[i, 0] == 0:
                names[i] = labels[y, x]
                boxes[i, 0], boxes[i, 2], boxes[i, 3] = y, x, x + 1
            boxes[i, 1] = y + 1
            if x < boxes[i, 2]:
                boxes[i, 2] = x
            if x >= boxes[i, 3]:
                boxes[i, 3] = x + 1
            sums[i, 0] += 1
            sums[i, 2] += y + top
            sums[i, 3] += x + left
            for k in range(planes.shape[0]):
                sums[i, 4 + k] += planes[k, y, x]
    sums[:, 1] = sums[:, 0]
    return names, boxes, sums


@numba.njit(cache=True, nogil=True)
def _cut(pieces, chosen, boxes, starts):  # type: ignore[no-untyped-def]  # compiled
    bits = np.zeros(starts[-1], np.bool_)
    for m in range(len(chosen)):
        i = chosen[m]
        at = starts[m]
        for y in range(boxes[i, 0], boxes[i, 1]):
            for x in range(boxes[i, 2], boxes[i, 3]):
                bits[at] = pieces[y, x] == i + 1
                at += 1
    return bits


@numba.njit(cache=True, nogil=True)
def _vote(labels, rows, columns):  # type: ignore[no-untyped-def]  # compiled
    height, width = labels.shape
    out = np.zeros((len(rows), len(columns)), np.int32)
    near = np.zeros(4, np.int32)
    weight = np.zeros(4)
    for y in range(len(rows)):
        y0 = int(np.floor(rows[y]))
        fy = rows[y] - y0
        for x in range(len(columns)):
            x0 = int(np.floor(columns[x]))
            fx = columns[x] - x0
            for k in range(4):
                j, i = y0 + k // 2, x0 + k % 2
                near[k] = labels[j, i] if 0 <= j < height and 0 <= i < width else 0
            if near[0] == near[1] and near[0] == near[2] and near[0] == near[3]:
                out[y, x] = near[0]
                continue
            weight[0], weight[1] = (1 - fy) * (1 - fx), (1 - fy) * fx
            weight[2], weight[3] = fy * (1 - fx), fy * fx
            best = -1.0
            for k in range(4):
                total = 0.0
                for other in range(4):
                    if near[other] == near[k]:
                        total += weight[other]
                # rounding differs with the window: what is equal but for it is a tie
                if total > best + 1e-9:
                    best = total
                    out[y, x] = near[k]
    return out

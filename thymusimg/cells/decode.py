"""What a cell network says becomes cells: pixels vote for centres, and join the centre at which they point.

The network gives for every pixel whether it is a cell's, whether it is the centre of one, and the way from it to
its cell's centre (as in Neven et al. 2019, CVPR, 8837; the votes are a Hough transform). Everything here looks at
its neighbourhood only, so that windows agree where they overlap.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import cv2
import numba
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thymusimg.section.model import FloatPlane

Labels = npt.NDArray[np.int32]

FARTHEST_PX = 16.0
"""Longest way to a centre: 8 µm, where blasts are 11.5 µm wide. Pixels that point farther belong to nobody."""
APART_PX = 3
"""Of centres nearer than this only the best is one."""
STEPS = 16
"""A vote falls on the four pixels around its place in whole parts of 1/16², so that sums are exact in any order."""
REACH_PX = 40
"""No cell depends on outputs farther than this from its centre: it reaches 23 px far, and centres 13 px away, on
which votes from 21 px around fall, take pixels from it."""
EXTENT_PX = 24
"""No cell reaches farther than this from its centre."""
FULL_VOTES = 24.0
"""So many votes at one place are full evidence of a centre: a cap of 6 µm² at 0.5 µm/px."""


@dataclass(frozen=True)
class Decoding:
    """How outputs become cells; a model's card may say otherwise under ``inference``.

    Attributes
    ----------
    foreground_threshold : float
        Least probability of a cell's pixel.
    centre_threshold : float
        Least evidence of a centre, in [0, 1].
    join_px : float
        A pixel joins a centre no farther than this from where it points.
    offset_px : float
        Pixels to one unit of the network's offsets.
    """

    foreground_threshold: float = 0.5
    centre_threshold: float = 0.3
    join_px: float = 6.0
    offset_px: float = 8.0

    @classmethod
    def of(cls, inference: Mapping[str, Any]) -> Decoding:
        """Return what a model's card says, with the defaults for what it does not say."""
        known = {f.name for f in fields(cls)}
        return cls(**{name: float(value) for name, value in inference.items() if name in known})


@dataclass(frozen=True)
class Centres:
    """Where cells are centred.

    Attributes
    ----------
    places : (N, 2) int32
        Row and column on the network's grid, in raster order; the index + 1 is the cell's label.
    evidence : (N,) float32
        In [0, 1].
    """

    places: npt.NDArray[np.int32]
    evidence: FloatPlane


def find_centres(outputs: npt.NDArray[np.float32], decoding: Decoding) -> Centres:
    """Find the centres of cells in a network's outputs.

    Every foreground pixel votes for the place it points at. Centres are the local maxima of votes × centre
    probability; of equal ones the upper, then the left one counts. Their evidence is the geometric mean of that
    probability and of the share of :data:`FULL_VOTES` that fell within a pixel.

    Parameters
    ----------
    outputs : (4, Y, X) float32
        Logits of foreground and centre, and the offset (y, x) to the centre.
    decoding : Decoding
    """
    votes = np.zeros(outputs.shape[1:], np.int32)
    _cast(outputs, *_cuts(decoding), votes)
    kernel = np.array([0.25, 0.5, 0.25], np.float32)  # whole parts of 16: exact in single precision
    near = cv2.sepFilter2D(votes.astype(np.float32), cv2.CV_32F, kernel, kernel, borderType=cv2.BORDER_CONSTANT)
    rank, evidence = _weigh(outputs[1], near, np.float32(4.0 / (STEPS**2 * FULL_VOTES)))
    places = _peaks(rank, evidence, APART_PX, np.float32(decoding.centre_threshold))
    return Centres(places, evidence[places[:, 0], places[:, 1]])


def join_pixels(
    outputs: npt.NDArray[np.float32],
    centres: Centres,
    decoding: Decoding,
    rows: npt.NDArray[np.float64] | None = None,
    columns: npt.NDArray[np.float64] | None = None,
) -> tuple[Labels, FloatPlane]:
    """Give every pixel to the centre at which it points.

    Between the network's pixels its outputs are interpolated linearly, so that outlines on a finer slide are as
    smooth as the slide.

    Parameters
    ----------
    outputs : (4, Y, X) float32
    centres : Centres
    decoding : Decoding
    rows, columns : (H,), (W,) float64, optional
        Where pixels are asked for, on the network's grid; its own pixels if left out.

    Returns
    -------
    labels : (H, W) int32
        Index of the centre + 1, or 0; every cell is one piece without holes, and cells share no pixel.
    foreground : (N + 1,) float32
        Mean foreground probability of every label's pixels; index 0 means nothing.
    """
    _, height, width = outputs.shape
    rows = np.arange(height, dtype=np.float64) if rows is None else rows
    columns = np.arange(width, dtype=np.float64) if columns is None else columns
    owners = _owners(centres.places, height, width, decoding.join_px)
    labels = np.zeros((len(rows), len(columns)), np.int32)
    sums = np.zeros((len(centres.places) + 1, 2))
    boxes = np.zeros((len(centres.places) + 1, 4), np.int32)
    _join(outputs, owners, rows, columns, *_cuts(decoding), labels, sums, boxes)
    _tidy(labels, boxes)
    return labels, (sums[:, 1] / np.maximum(sums[:, 0], 1)).astype(np.float32)


def decode(outputs: npt.NDArray[np.float32], decoding: Decoding | None = None) -> tuple[Labels, FloatPlane]:
    """Return the cells of a window on the network's own grid, and their scores.

    Parameters
    ----------
    outputs : (4, Y, X) float32
    decoding : Decoding, optional

    Returns
    -------
    labels : (Y, X) int32
    scores : (N + 1,) float32
        In [0, 1] by label; index 0 means nothing.
    """
    decoding = decoding or Decoding()
    centres = find_centres(outputs, decoding)
    labels, foreground = join_pixels(outputs, centres, decoding)
    return labels, score_cells(centres, foreground)


def score_cells(centres: Centres, foreground: FloatPlane) -> FloatPlane:
    """Return how sure every label is a cell, in [0, 1]: mean foreground probability × evidence of its centre."""
    scores: FloatPlane = np.concatenate([[0], centres.evidence * foreground[1:]]).astype(np.float32)
    return scores


def _cuts(decoding: Decoding) -> tuple[np.float32, np.float32]:
    """Return the foreground cut as a logit, and the pixels to a unit of offset."""
    cut = min(max(decoding.foreground_threshold, 1e-6), 1 - 1e-6)
    return np.float32(math.log(cut / (1 - cut))), np.float32(decoding.offset_px)


@numba.njit(cache=True, nogil=True)
def _cast(outputs, cut, unit, votes):  # type: ignore[no-untyped-def]  # compiled
    height, width = votes.shape
    farthest = np.float32(FARTHEST_PX * FARTHEST_PX)
    for y in range(height):
        for x in range(width):
            # written so that a logit that is no number is no foreground
            if not outputs[0, y, x] > cut:
                continue
            dy, dx = outputs[2, y, x] * unit, outputs[3, y, x] * unit
            if not dy * dy + dx * dx <= farthest:
                continue
            ty = int(np.floor((y + dy) * STEPS + np.float32(0.5)))
            tx = int(np.floor((x + dx) * STEPS + np.float32(0.5)))
            y0, x0 = ty // STEPS, tx // STEPS
            fy, fx = ty - y0 * STEPS, tx - x0 * STEPS
            if 0 <= y0 < height - 1 and 0 <= x0 < width - 1:
                votes[y0, x0] += (STEPS - fy) * (STEPS - fx)
                votes[y0, x0 + 1] += (STEPS - fy) * fx
                votes[y0 + 1, x0] += fy * (STEPS - fx)
                votes[y0 + 1, x0 + 1] += fy * fx


@numba.njit(cache=True, nogil=True)
def _weigh(logits, votes, scale):  # type: ignore[no-untyped-def]  # compiled
    rank = np.zeros(votes.shape, np.float32)
    evidence = np.zeros(votes.shape, np.float32)
    one = np.float32(1)
    for y in range(votes.shape[0]):
        for x in range(votes.shape[1]):
            if votes[y, x] > 0:
                share = votes[y, x] * scale
                probability = one / (one + np.exp(-logits[y, x]))
                rank[y, x] = share * probability
                evidence[y, x] = np.sqrt(min(one, share) * probability)
    return rank, evidence


@numba.njit(cache=True, nogil=True)
def _peaks(rank, evidence, radius, least):  # type: ignore[no-untyped-def]  # compiled
    height, width = rank.shape
    places = np.empty((64, 2), np.int32)
    found = 0
    for y in range(height):
        for x in range(width):
            if not evidence[y, x] >= least:
                continue
            value = rank[y, x]
            best = True
            for j in range(max(0, y - radius), min(height, y + radius + 1)):
                for i in range(max(0, x - radius), min(width, x + radius + 1)):
                    if (j - y) ** 2 + (i - x) ** 2 > radius * radius:
                        continue
                    other = rank[j, i]
                    if other > value or (other == value and (j < y or (j == y and i < x))):
                        best = False
                        break
                if not best:
                    break
            if best:
                if found == len(places):
                    more = np.empty((2 * found, 2), np.int32)
                    more[:found] = places
                    places = more
                places[found, 0], places[found, 1] = y, x
                found += 1
    return places[:found]


@numba.njit(cache=True, nogil=True)
def _owners(places, height, width, reach):  # type: ignore[no-untyped-def]  # compiled
    """Return the label of the nearest centre within ``reach`` of every pixel; of equally near ones the first."""
    owners = np.zeros((height, width), np.int32)
    nearest = np.full((height, width), np.int32(2**30), np.int32)
    around = int(np.floor(reach))
    for n in range(len(places)):
        cy, cx = places[n]
        for y in range(max(0, cy - around), min(height, cy + around + 1)):
            for x in range(max(0, cx - around), min(width, cx + around + 1)):
                squared = (y - cy) ** 2 + (x - cx) ** 2
                if squared <= reach * reach and squared < nearest[y, x]:
                    nearest[y, x] = squared
                    owners[y, x] = n + 1
    return owners


@numba.njit(cache=True, nogil=True)
def _join(outputs, owners, rows, columns, cut, unit, labels, sums, boxes):  # type: ignore[no-untyped-def]  # compiled
    _, height, width = outputs.shape
    farthest = np.float32(FARTHEST_PX * FARTHEST_PX)
    for n in range(len(boxes)):
        boxes[n, 0] = boxes[n, 2] = 2**30
    for v in range(len(rows)):
        y = min(max(rows[v], 0.0), height - 1.0)
        y0 = min(int(y), max(height - 2, 0))
        fy = np.float32(y - y0)
        y1 = min(y0 + 1, height - 1)
        for u in range(len(columns)):
            x = min(max(columns[u], 0.0), width - 1.0)
            x0 = min(int(x), max(width - 2, 0))
            fx = np.float32(x - x0)
            x1 = min(x0 + 1, width - 1)
            logit = _between(outputs[0], y0, y1, x0, x1, fy, fx)
            if not logit > cut:
                continue
            dy = _between(outputs[2], y0, y1, x0, x1, fy, fx) * unit
            dx = _between(outputs[3], y0, y1, x0, x1, fy, fx) * unit
            if not dy * dy + dx * dx <= farthest:
                continue
            ty, tx = int(np.floor(y + dy + 0.5)), int(np.floor(x + dx + 0.5))
            if ty < 0 or tx < 0 or ty >= height or tx >= width or owners[ty, tx] == 0:
                continue
            n = owners[ty, tx]
            labels[v, u] = n
            sums[n, 0] += 1
            sums[n, 1] += 1 / (1 + np.exp(-logit))
            boxes[n, 0], boxes[n, 1] = min(boxes[n, 0], v), max(boxes[n, 1], v + 1)
            boxes[n, 2], boxes[n, 3] = min(boxes[n, 2], u), max(boxes[n, 3], u + 1)


@numba.njit(inline="always")
def _between(plane, y0, y1, x0, x1, fy, fx):  # type: ignore[no-untyped-def]  # compiled
    if fy == 0 and fx == 0:
        return plane[y0, x0]
    upper = plane[y0, x0] + fx * (plane[y0, x1] - plane[y0, x0])
    lower = plane[y1, x0] + fx * (plane[y1, x1] - plane[y1, x0])
    return upper + fy * (lower - upper)


@numba.njit(cache=True, nogil=True)
def _tidy(labels, boxes):  # type: ignore[no-untyped-def]  # compiled
    """Leave of every label its biggest piece, and fill its holes where they are nobody's."""
    largest = 1
    for n in range(1, len(boxes)):
        if boxes[n, 1] > boxes[n, 0]:
            largest = max(largest, (boxes[n, 1] - boxes[n, 0] + 2) * (boxes[n, 3] - boxes[n, 2] + 2))
    seen = np.zeros(largest, np.int32)
    queue = np.empty((largest, 2), np.int32)
    for n in range(1, len(boxes)):
        if boxes[n, 1] > boxes[n, 0]:
            _keep_biggest(labels, n, boxes[n], seen, queue)
    for n in range(1, len(boxes)):
        if boxes[n, 1] > boxes[n, 0]:
            _fill_holes(labels, n, boxes[n], seen, queue)


@numba.njit(cache=True, nogil=True)
def _keep_biggest(labels, n, box, seen, queue):  # type: ignore[no-untyped-def]  # compiled
    height, width = box[1] - box[0], box[3] - box[2]
    seen[: height * width] = 0
    pieces, best, most = 0, 0, 0
    for y in range(height):
        for x in range(width):
            if labels[box[0] + y, box[2] + x] != n or seen[y * width + x]:
                continue
            pieces += 1
            size = _flood(labels, n, True, box[0], box[2], height, width, y, x, pieces, seen, queue)
            if size > most:
                most, best = size, pieces
    if pieces < 2:
        return
    for y in range(height):
        for x in range(width):
            if labels[box[0] + y, box[2] + x] == n and seen[y * width + x] != best:
                labels[box[0] + y, box[2] + x] = 0


@numba.njit(cache=True, nogil=True)
def _fill_holes(labels, n, box, seen, queue):  # type: ignore[no-untyped-def]  # compiled
    height, width = box[1] - box[0], box[3] - box[2]
    seen[: height * width] = 0
    for y in range(height):
        for x in range(width):
            rim = y == 0 or x == 0 or y == height - 1 or x == width - 1
            if rim and labels[box[0] + y, box[2] + x] != n and not seen[y * width + x]:
                _flood(labels, n, False, box[0], box[2], height, width, y, x, 1, seen, queue)
    for y in range(height):
        for x in range(width):
            if labels[box[0] + y, box[2] + x] == 0 and not seen[y * width + x]:
                # a hole that holds another cell is a gap between two cells, not a hole
                empty = _only_nothing(labels, n, box[0], box[2], height, width, y, x, seen, queue)
                if empty:
                    for k in range(empty):
                        labels[box[0] + queue[k, 0], box[2] + queue[k, 1]] = n


@numba.njit(cache=True, nogil=True)
def _only_nothing(labels, n, top, left, height, width, y, x, seen, queue):  # type: ignore[no-untyped-def]  # compiled
    """Flood the hole at (y, x); return its size, or 0 where it holds another cell."""
    size = _flood(labels, n, False, top, left, height, width, y, x, 2, seen, queue)
    for k in range(size):
        if labels[top + queue[k, 0], left + queue[k, 1]] != 0:
            return 0
    return size


@numba.njit(cache=True, nogil=True)
def _flood(labels, n, own, top, left, height, width, y, x, name, seen, queue):  # type: ignore[no-untyped-def]  # compiled
    """Mark what hangs together with (y, x), pixels of ``n`` if ``own``, else all others; they are in ``queue``."""
    queue[0, 0], queue[0, 1] = y, x
    seen[y * width + x] = name
    first, last = 0, 1
    while first < last:
        y, x = queue[first]
        first += 1
        for k in range(4):
            j = y + (k == 0) - (k == 1)
            i = x + (k == 2) - (k == 3)
            if j < 0 or i < 0 or j >= height or i >= width or seen[j * width + i]:
                continue
            if (labels[top + j, left + i] == n) == own:
                seen[j * width + i] = name
                queue[last, 0], queue[last, 1] = j, i
                last += 1
    return last

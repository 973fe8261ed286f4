"""Which outlines stay where they overlap, and which cell owns a shared pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba
import numpy as np
import numpy.typing as npt

from thymusimg.cells.contours import LARGEST_UM, RAYS

if TYPE_CHECKING:
    from thymusimg.section.model import FloatPlane

ROUNDS = 2
"""Rounds of choosing; more would only matter in chains of more than four outlines, each better than the next."""
REACH_UM = (2 * ROUNDS - 1) * 1.1 * LARGEST_UM + 4.0
"""Whether an outline stays depends on nothing farther away than this: discs in conflict have their centroids within
1.1 radii of the bigger one, a round looks two outlines far, the last one only one; 4 µm from seeds to centroids."""

CLEARLY = 1 + 1e-9
"""Bounds of depths that differ by more than this factor differ whatever the rounding."""


def keep_best(
    centres: npt.NDArray[np.float64], radii: FloatPlane, scores: FloatPlane, pixel_um: float, maximum_overlap: float
) -> npt.NDArray[np.bool_]:
    """Choose among overlapping outlines.

    In each of ``ROUNDS`` rounds an outline that is better than all undecided ones it conflicts with is kept, and
    those are dropped; what is still undecided at the end is dropped. Greedy choice in the order of the score
    would depend on outlines any distance away, and so on the tiles; this depends on those within
    :data:`REACH_UM` only. Two outlines conflict when the discs of their areas about their centroids share more than
    ``maximum_overlap`` of the smaller one.

    Parameters
    ----------
    centres : (N, 2) float64
        y, x in pixels.
    radii : (N, RAYS) float32
        In µm.
    scores : (N,) float32
        Ties go to the upper, then the left one.
    pixel_um, maximum_overlap : float

    Returns
    -------
    (N,) bool
    """
    size = np.sqrt((radii.astype(np.float64) ** 2).mean(axis=1))
    middles = centres + np.rint(_shift(radii) / pixel_um * 16) / 16  # sixteenths: exact wherever the origin lies
    order = np.lexsort((centres[:, 1], centres[:, 0], middles[:, 1], middles[:, 0]))
    kept = np.zeros(len(centres), np.bool_)
    places, sizes = middles[order] * pixel_um, size[order]
    pairs = np.empty((32 * len(order) + 32, 2), np.int32)
    found = _conflicts(places, sizes, 2 * LARGEST_UM, maximum_overlap, pairs)
    if found > len(pairs):
        pairs = np.empty((found, 2), np.int32)
        _conflicts(places, sizes, 2 * LARGEST_UM, maximum_overlap, pairs)
    state = np.zeros(len(order), np.int8)
    _choose(pairs, found, scores[order], ROUNDS, state)
    kept[order] = state == 1
    return kept


def _shift(radii: FloatPlane) -> npt.NDArray[np.float64]:
    """Return the centroid (y, x) of each outline from its centre, in µm: ∫ r³/3 (sin, cos) dθ / ∫ r²/2 dθ."""
    angles = np.arange(RAYS) * (2 * np.pi / RAYS)
    squares = radii.astype(np.float64) ** 2
    direction = np.stack([np.sin(angles), np.cos(angles)], axis=-1)
    shift: npt.NDArray[np.float64] = (squares * radii) @ direction * (2 / 3) / squares.sum(axis=1, keepdims=True)
    return shift


@numba.njit(cache=True, nogil=True)
def _conflicts(places, size, farthest, maximum_overlap, pairs):  # type: ignore[no-untyped-def]  # compiled
    """Write the pairs that conflict as far as there is room for them, and return how many there are."""
    found = 0
    for i in range(len(places)):
        for j in range(i + 1, len(places)):
            dy, dx = places[j, 0] - places[i, 0], places[j, 1] - places[i, 1]
            if dy > farthest:
                break
            if dx > farthest or dx < -farthest:
                continue
            if _shared(np.sqrt(dy * dy + dx * dx), size[i], size[j]) > maximum_overlap:
                if found < len(pairs):
                    pairs[found, 0], pairs[found, 1] = i, j
                found += 1
    return found


@numba.njit(cache=True, nogil=True)
def _choose(pairs, found, scores, rounds, state):  # type: ignore[no-untyped-def]  # compiled
    """Decide in ``state``: 1 kept, -1 dropped, 0 undecided."""
    beaten = np.empty(len(state), np.bool_)
    for _ in range(rounds):
        for i in range(len(state)):
            beaten[i] = False
        for p in range(found):
            i, j = pairs[p, 0], pairs[p, 1]
            if state[i] == 0 and state[j] == 0:
                # i is the upper (or left) one, and wins a tie
                if scores[i] >= scores[j]:
                    beaten[j] = True
                else:
                    beaten[i] = True
        for i in range(len(state)):
            if state[i] == 0 and not beaten[i]:
                state[i] = 1
        for p in range(found):
            i, j = pairs[p, 0], pairs[p, 1]
            if state[i] == 1 and state[j] == 0:
                state[j] = -1
            elif state[j] == 1 and state[i] == 0:
                state[i] = -1


@numba.njit(cache=True, nogil=True)
def _shared(distance, a, b):  # type: ignore[no-untyped-def]  # compiled
    """Return the part of the smaller of two discs that lies in the other."""
    small = min(a, b)
    if distance >= a + b:
        return 0.0
    if distance <= abs(a - b):
        return 1.0
    d2, a2, b2 = distance * distance, a * a, b * b
    lens = (
        a2 * np.arccos(min(1.0, (d2 + a2 - b2) / (2 * distance * a)))
        + b2 * np.arccos(min(1.0, (d2 + b2 - a2) / (2 * distance * b)))
        - 0.5 * np.sqrt(max(0.0, (a + b - distance) * (distance + a - b) * (distance - a + b) * (distance + a + b)))
    )
    return lens / (np.pi * small * small)


def paint(
    centres: npt.NDArray[np.float64],
    radii: FloatPlane,
    pixel_um: float,
    wanted: npt.NDArray[np.intp],
    corner: tuple[int, int],
    shape: tuple[int, int],
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64], npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    """Give every pixel to the outline in which it lies deepest.

    Depth is the distance to the centre over the outline's radius in that direction, so that two cells part where
    their outlines cross.

    Parameters
    ----------
    centres : (N, 2) float64
        y, x in full-resolution pixels of the window, sorted by y.
    radii : (N, RAYS) float32
        In µm.
    pixel_um : float
    wanted : (M,) int
        Outlines to paint; the others only take their share.
    corner : (int, int)
        Where the window begins on the slide.
    shape : (int, int)
        Of the window.

    Returns
    -------
    boxes : (M, 4) int32
        ``y0, y1, x0, x1`` in the window.
    starts : (M + 1,) int64
    bits : bool
        As in :class:`thymusimg.cells.model.CellMasks`.
    sums : (M, 4) float64
        Pixels owned, pixels inside the outline, Σy and Σx (on the slide).
    """
    reach = radii.max(axis=1, initial=0.0).astype(np.float64) / pixel_um
    low, high = np.floor(centres - reach[:, None])[wanted], np.floor(centres + reach[:, None])[wanted] + 2
    limits = np.array(shape, np.float64)
    low, high = np.clip(low, 0, limits), np.clip(high, 0, limits)
    boxes = np.stack([low[:, 0], high[:, 0], low[:, 1], high[:, 1]], axis=1).astype(np.int32)
    sides = (boxes[:, 1::2] - boxes[:, ::2]).astype(np.int64)
    starts = np.concatenate([[0], np.cumsum(sides[:, 0] * sides[:, 1])])
    bits = np.zeros(starts[-1], np.bool_)
    sums = np.zeros((len(wanted), 4))
    smallest = radii.min(axis=1, initial=np.inf).astype(np.float64) / pixel_um
    _paint(
        centres, radii, pixel_um, wanted, corner, reach, reach.max(initial=0.0), smallest, boxes, starts, bits, sums
    )
    return boxes, starts, bits, sums


@numba.njit(cache=True, nogil=True)
def _paint(  # type: ignore[no-untyped-def]  # compiled
    centres, radii, pixel_um, wanted, corner, reach, largest, smallest, boxes, starts, bits, sums
):
    rivals = np.empty(64, np.int64)
    for m in range(len(wanted)):
        i = wanted[m]
        found = 0
        for step in (-1, 1):
            j = i + step
            while 0 <= j < len(centres) and abs(centres[j, 0] - centres[i, 0]) <= reach[i] + largest:
                near = reach[i] + reach[j]
                if (
                    found < 64
                    and (centres[j, 0] - centres[i, 0]) ** 2 + (centres[j, 1] - centres[i, 1]) ** 2 < near * near
                ):
                    rivals[found] = j
                    found += 1
                j += step
        y0, y1, x0, x1 = boxes[m, 0], boxes[m, 1], boxes[m, 2], boxes[m, 3]
        at = starts[m]
        for y in range(y0, y1):
            dy = y - centres[i, 0]
            for x in range(x0, x1):
                dx = x - centres[i, 1]
                far2 = dy * dy + dx * dx
                if far2 < reach[i] * reach[i]:
                    depth = -1.0  # not known yet: the arc tangent is dear, and few pixels need it
                    if far2 >= smallest[i] * smallest[i]:
                        depth = _depth(dy, dx, radii[i], pixel_um)
                    if depth < 1:
                        sums[m, 1] += 1
                        owned = True
                        for r in range(found):
                            j = rivals[r]
                            ry, rx = y - centres[j, 0], x - centres[j, 1]
                            away2 = ry * ry + rx * rx
                            if away2 < reach[j] * reach[j]:
                                # a depth lies between those of the largest and the smallest radius: mostly they
                                # tell who is deeper, and the arc tangents are not needed
                                if away2 * smallest[i] ** 2 > far2 * reach[j] ** 2 * CLEARLY:
                                    continue
                                if away2 * reach[i] ** 2 * CLEARLY < far2 * smallest[j] ** 2:
                                    owned = False
                                    break
                                if depth < 0:
                                    depth = _depth(dy, dx, radii[i], pixel_um)
                                other = _depth(ry, rx, radii[j], pixel_um)
                                if other < depth or (other == depth and j < i):
                                    owned = False
                                    break
                        if owned:
                            bits[at] = True
                            sums[m, 0] += 1
                            sums[m, 2] += y + corner[0]
                            sums[m, 3] += x + corner[1]
                at += 1


@numba.njit(cache=True, nogil=True)
def sum_under(boxes, starts, bits, plane):  # type: ignore[no-untyped-def]  # compiled
    """Return the sum of ``plane`` over the mask of every box, float64."""
    sums = np.zeros(len(boxes), np.float64)
    for m in range(len(boxes)):
        at = starts[m]
        width = boxes[m, 3] - boxes[m, 2]
        total = 0.0
        for y in range(boxes[m, 0], boxes[m, 1]):
            # a row each: no index can count from the end, and the sum stays in a register
            line, owned = plane[y, boxes[m, 2] : boxes[m, 3]], bits[at : at + width]
            for x in range(width):
                if owned[x]:
                    total += line[x]
            at += width
        sums[m] = total
    return sums


@numba.njit(cache=True, nogil=True)
def _depth(dy, dx, radii, pixel_um):  # type: ignore[no-untyped-def]  # compiled
    distance = np.sqrt(dy * dy + dx * dx) * pixel_um
    if distance == 0:
        return 0.0
    turn = np.arctan2(dy, dx) * (RAYS / (2 * np.pi))
    if turn < 0:
        turn += RAYS
    ray = int(turn)
    part = turn - ray
    ray %= RAYS
    return distance / (radii[ray] * (1 - part) + radii[(ray + 1) % RAYS] * part)


def count_positive(plane: FloatPlane, threshold: np.float32, factor: int, shape: tuple[int, int]) -> FloatPlane:
    """Return the share of pixels at or above ``threshold`` in every block of ``factor`` pixels, as float32.

    Blocks count from the plane's corner; the last ones may be cut by its edge.
    """
    counts = np.zeros(shape, np.float32)
    _count_positive(plane, threshold, factor, counts)
    rows, columns = (
        np.clip(size - np.arange(n) * factor, 0, factor) for size, n in zip(plane.shape, shape, strict=True)
    )
    counts /= np.multiply.outer(rows, columns).astype(np.float32)
    return counts


@numba.njit(cache=True, nogil=True)
def _count_positive(plane, threshold, factor, counts):  # type: ignore[no-untyped-def]  # compiled
    height, width = plane.shape
    for y in range(height):
        for block in range(counts.shape[1]):
            above = 0
            for x in range(block * factor, min(width, (block + 1) * factor)):
                above += plane[y, x] >= threshold
            counts[y // factor, block] += np.float32(above)

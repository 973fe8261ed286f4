"""The outline of a cell around its seed: the best closed path over polar rays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numba
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from thymusimg.section.model import FloatPlane

RAYS = 32
"""Directions in which an outline's radius is known; the first points along +x, the next towards +y."""
SMALLEST_UM, LARGEST_UM, STEP_UM = 1.5, 5.75, 0.25
"""Radii that an outline may take: caps of truncated cells to blasts of 11.5 µm."""
RADII = int((LARGEST_UM - SMALLEST_UM) / STEP_UM) + 1
INSIDE, OUTSIDE = 1, 3
"""The drop at an outline is measured from one step inside it to three steps outside (0.25 and 0.75 µm)."""
BEYOND = 9
"""Steps outside an outline in which its surroundings are looked at (to 2 µm)."""
STIFFNESS = 0.08
"""Price of a change of radius by one step from ray to ray."""
MARGIN_UM = LARGEST_UM + BEYOND * STEP_UM
"""No outline looks farther from its seed than this."""

EVIDENCE = ("drop", "rim", "around", "radius", "coverage", "votes")
"""Columns of :attr:`Outlines.evidence`: the mean drop across the outline and the mean signal just inside it (both
without the best quarter of the directions), the signal around it (its darkest eighth), the mean radius in µm, the
share of the directions with at least a quarter of the mean drop, and the votes of its seed."""

_ANGLES = np.arange(RAYS) * (2 * np.pi / RAYS)


@dataclass(frozen=True)
class Outlines:
    """Star-convex outlines.

    Attributes
    ----------
    centres : (N, 2) float64
        y, x in pixels of the plane they were traced on; whole halves or quarters, so that moving the origin is
        exact.
    radii : (N, RAYS) float32
        In µm.
    evidence : (N, 6) float32
        One column a name of :data:`EVIDENCE`.
    """

    centres: npt.NDArray[np.float64]
    radii: FloatPlane
    evidence: FloatPlane


def trace_outlines(
    plane: FloatPlane, centres: npt.NDArray[np.float64], votes: FloatPlane, pixel_um: float
) -> Outlines:
    """Trace the outline around every seed.

    Along 32 rays the drop of the signal from just inside to just outside a radius is the evidence for the cell's
    edge; the outline is the closed path of radii with the largest sum of drops less ``STIFFNESS`` times its
    changes, found by dynamic programming over two turns, of which the middle one is kept.

    Parameters
    ----------
    plane : (Y, X) float32
        Evened-out CD45 signal.
    centres : (N, 2) float64
        Seeds (y, x) in pixels.
    votes : (N,) float32
    pixel_um : float

    Returns
    -------
    Outlines
    """
    reach = (SMALLEST_UM + (np.arange(RADII + INSIDE + BEYOND) - INSIDE) * STEP_UM) / pixel_um
    dy = np.sin(_ANGLES)[:, None] * reach
    dx = np.cos(_ANGLES)[:, None] * reach
    steps, evidence = _trace(plane, centres, dy, dx, np.float32(STIFFNESS))
    radii = (SMALLEST_UM + STEP_UM * steps).astype(np.float32)
    evidence[:, EVIDENCE.index("votes")] = votes
    return Outlines(centres, radii, evidence)


@numba.njit(cache=True, nogil=True)
def _trace(plane, centres, dy, dx, stiffness):  # type: ignore[no-untyped-def]  # compiled
    count = len(centres)
    height, width = plane.shape
    samples = dy.shape[1]
    steps = np.empty((count, RAYS), np.int8)
    evidence = np.zeros((count, 6), np.float32)
    polar = np.empty((RAYS, samples), np.float32)
    drop = np.empty((RAYS, RADII), np.float32)
    best = np.empty(RADII, np.float32)
    following = np.empty(RADII, np.float32)
    back = np.zeros((2 * RAYS, RADII), np.int8)
    for i in range(count):
        # whole and fractional part apart, so that the rounding does not depend on where the tile begins
        y0, x0 = int(np.floor(centres[i, 0])), int(np.floor(centres[i, 1]))
        fy, fx = centres[i, 0] - y0, centres[i, 1] - x0
        for t in range(RAYS):
            for s in range(samples):
                oy, ox = fy + dy[t, s], fx + dx[t, s]
                iy, ix = int(np.floor(oy)), int(np.floor(ox))
                wy, wx = np.float32(oy - iy), np.float32(ox - ix)
                iy = min(max(y0 + iy, 0), height - 2)
                ix = min(max(x0 + ix, 0), width - 2)
                upper = plane[iy, ix] + wx * (plane[iy, ix + 1] - plane[iy, ix])
                lower = plane[iy + 1, ix] + wx * (plane[iy + 1, ix + 1] - plane[iy + 1, ix])
                polar[t, s] = upper + wy * (lower - upper)
            for k in range(RADII):
                drop[t, k] = polar[t, k] - polar[t, k + INSIDE + OUTSIDE]
        for k in range(RADII):
            best[k] = drop[0, k]
        for turn in range(1, 2 * RAYS):
            t = turn % RAYS
            for k in range(RADII):
                value, step = best[k], 0
                if k > 0 and best[k - 1] - stiffness > value:
                    value, step = best[k - 1] - stiffness, -1
                if k < RADII - 1 and best[k + 1] - stiffness > value:
                    value, step = best[k + 1] - stiffness, 1
                following[k] = value + drop[t, k]
                back[turn, k] = step
            for k in range(RADII):
                best[k] = following[k]
        k = 0
        for j in range(RADII):
            if best[j] > best[k]:
                k = j
        for turn in range(2 * RAYS - 1, RAYS // 2 - 1, -1):
            if turn < RAYS + RAYS // 2:
                steps[i, turn % RAYS] = k
            k += back[turn, k]
        _weigh(polar, drop, steps[i], evidence[i])
    return steps, evidence


@numba.njit(cache=True, nogil=True, inline="always")
def _weigh(polar, drop, steps, evidence):  # type: ignore[no-untyped-def]  # compiled
    dark = np.empty(RAYS, np.float32)
    edge = np.empty(RAYS, np.float32)
    crest = np.empty(RAYS, np.float32)
    radius = np.float32(0)
    for t in range(RAYS):
        k = steps[t]
        edge[t] = drop[t, k]
        crest[t] = polar[t, k]
        radius += np.float32(SMALLEST_UM + STEP_UM * k)
        dark[t] = polar[t, k + INSIDE + OUTSIDE]
        for s in range(k + INSIDE + OUTSIDE + 1, k + INSIDE + BEYOND):
            dark[t] = min(dark[t], polar[t, s])
    # a bright speck on the outline may not make a cell: the best quarter of the directions does not count;
    # of the surroundings only the darkest eighth does: in packed tissue the rest are other cells
    evidence[0] = _mean_of_lowest(edge, RAYS - RAYS // 4)
    evidence[1] = _mean_of_lowest(crest, RAYS - RAYS // 4)
    evidence[2] = _mean_of_lowest(dark, RAYS // 8)
    evidence[3] = radius * np.float32(1 / RAYS)
    covered = 0
    for t in range(RAYS):
        covered += edge[t] > np.float32(0.25) * evidence[0]
    evidence[4] = np.float32(covered / RAYS)


@numba.njit(cache=True, nogil=True)
def _mean_of_lowest(values, count):  # type: ignore[no-untyped-def]  # compiled
    values.sort()
    total = np.float32(0)
    for i in range(count):
        total += values[i]
    return total / np.float32(count)

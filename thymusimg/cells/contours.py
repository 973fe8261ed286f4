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
    changes, found by dynamic programming over two turns, of which the middle one is kept: with fewer, the ray it
    starts from would show.

    Parameters
    ----------
    plane : (Y, X) float32
        Evened-out CD45 signal.
    centres : (N, 2) float64
        Seeds (y, x) in pixels, all with one fraction. Those within reach of the plane's edge get
        no evidence.
    votes : (N,) float32
    pixel_um : float

    Returns
    -------
    Outlines
    """
    evidence = np.zeros((len(centres), len(EVIDENCE)), np.float32)
    steps = np.zeros((len(centres), RAYS), np.int8)
    if len(centres):
        # seeds lie on one lattice: all share the fraction of their place, and with it the weights of sampling
        corners = np.floor(centres).astype(np.int64)
        offsets, wy, wx = _sampling(centres[0] - corners[0], pixel_um, plane.shape[1])
        margin = int(np.abs(offsets).max() // plane.shape[1]) + 2
        best = np.full((2, RADII + 2), -1e9, np.float32)  # the ends are walls: no path runs beyond them
        _trace(
            plane.ravel(),
            plane.shape,
            margin,
            corners,
            offsets,
            wy,
            wx,
            np.float32(STIFFNESS),
            best,
            steps,
            evidence,
        )
        evidence[:, EVIDENCE.index("votes")] = votes
    return Outlines(centres, (SMALLEST_UM + STEP_UM * steps).astype(np.float32), evidence)


def _sampling(
    fraction: npt.NDArray[np.float64], pixel_um: float, width: int
) -> tuple[npt.NDArray[np.int64], FloatPlane, FloatPlane]:
    """Return where the rays are sampled: offsets of whole pixels in the flat plane, and bilinear weights."""
    reach = (SMALLEST_UM + (np.arange(RADII + INSIDE + BEYOND) - INSIDE) * STEP_UM) / pixel_um
    y = fraction[0] + np.sin(_ANGLES)[:, None] * reach
    x = fraction[1] + np.cos(_ANGLES)[:, None] * reach
    iy, ix = np.floor(y), np.floor(x)
    return (iy * width + ix).astype(np.int64), (y - iy).astype(np.float32), (x - ix).astype(np.float32)


@numba.njit(cache=True, nogil=True)
def _trace(  # type: ignore[no-untyped-def]  # compiled
    flat, shape, margin, corners, offsets, wy, wx, stiffness, walls, steps, evidence
):
    height, width = shape
    samples = offsets.shape[1]
    turns = 2 * RAYS
    first = RAYS // 2
    polar = np.empty((RAYS, samples), np.float32)
    drop = np.empty((RAYS, RADII), np.float32)
    best, following = walls[0], walls[1]
    back = np.zeros((turns, RADII), np.int8)
    for i in range(len(corners)):
        y, x = corners[i]
        if y < margin or x < margin or y >= height - margin or x >= width - margin:
            continue  # in the rim of the window, which no cell of the tile depends on
        at = y * width + x
        for t in range(RAYS):
            for s in range(samples):
                o = at + offsets[t, s]
                upper = flat[o] + wx[t, s] * (flat[o + 1] - flat[o])
                lower = flat[o + width] + wx[t, s] * (flat[o + width + 1] - flat[o + width])
                polar[t, s] = upper + wy[t, s] * (lower - upper)
            for k in range(RADII):
                drop[t, k] = polar[t, k] - polar[t, k + INSIDE + OUTSIDE]
        for k in range(RADII):
            best[k + 1] = drop[0, k]
        for turn in range(1, turns):
            t = turn % RAYS
            for k in range(RADII):
                stay, smaller, larger = best[k + 1], best[k] - stiffness, best[k + 2] - stiffness
                value = smaller if smaller > larger else larger
                value = stay if stay > value else value
                following[k + 1] = value + drop[t, k]
                back[turn, k] = 0 if stay == value else (-1 if smaller == value else 1)
            best, following = following, best
        k = 0
        for j in range(RADII):
            if best[j + 1] > best[k + 1]:
                k = j
        for turn in range(turns - 1, first - 1, -1):
            if turn < RAYS + first:
                steps[i, turn % RAYS] = k
            k += back[turn, k]
        _weigh(polar, drop, steps[i], evidence[i])


@numba.njit(cache=True, nogil=True)
def _weigh(polar: FloatPlane, drop: FloatPlane, steps: npt.NDArray[np.int8], evidence: FloatPlane) -> None:
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
            if polar[t, s] < dark[t]:
                dark[t] = polar[t, s]
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
def _mean_of_lowest(values: FloatPlane, count: int) -> np.float32:
    # insertion sort: there are 32 values, and a library sort takes a second to compile
    for i in range(1, len(values)):
        value = values[i]
        j = i
        while j > 0 and values[j - 1] > value:
            values[j] = values[j - 1]
            j -= 1
        values[j] = value
    total = np.float32(0)
    for i in range(count):
        total += values[i]
    return total / np.float32(count)

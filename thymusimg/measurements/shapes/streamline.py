"""The thickness of the cortex along streamlines from the capsule to the medulla (R12)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import cc3d
import numba
import numpy as np
import numpy.typing as npt

from thymusimg.measurements.shapes.cortex import fill_small
from thymusimg.measurements.smoothing import bounding_box

if TYPE_CHECKING:
    from thymusimg.section.model import FloatPlane, Mask

GRID_UM = 4.0
"""Pixel of the grid of a large cortex, at most."""
LARGE_PX = 300_000
"""A cortex of more pixels is followed on a coarser grid: half a percent less exact, and five times as fast."""
_TOLERANCE = 1e-4  # of a potential that runs from 0 to 1: a tenth of a percent of the thickness
_MOST_STEPS = 4000
_SWEEPS = 6

_INSIDE, _OUTER, _INNER = np.uint8(1), np.uint8(2), np.uint8(3)  # 0: a wall


class Streamlines(NamedTuple):
    """Thickness of the cortex along streamlines.

    ``median_um`` over the cortex that lies between capsule and medulla; ``share`` is that part of the cortex, in
    [0, 1]. Cortex from which no streamline leads to both has no thickness, and takes no part.
    """

    median_um: float
    q25_um: float
    q75_um: float
    share: float


def streamline_thickness(
    tissue: Mask,
    parenchyma: Mask,
    cortex: Mask,
    medulla: Mask,
    pixel_um: float,
    *,
    closed: Mask | None = None,
    hole_um2: float = 1500.0,
) -> Streamlines:
    """Measure the cortex along the lines of steepest ascent of a potential between capsule and medulla (R12).

    ∇²u = 0 in the cortex, u = 0 at the capsule (whatever is no parenchyma and hangs together with the outside:
    capsule and septa), u = 1 at the medulla, no flow through everything else (indeterminate tissue, cysts, the
    image's border; Jones, Buchbinder & Aharon 2000, Hum Brain Mapp 11:12). The lengths to both ends along
    N = ∇u / |∇u| follow from N·∇L₀ = 1 and −N·∇L₁ = 1 by upwind differences (Yezzi & Prince 2003, IEEE Trans Med
    Imaging 22:1332); thickness is L₀ + L₁ at every place, and the median over the cortex is taken: an oblique cut
    only ever makes it look thicker.

    Parameters
    ----------
    tissue, parenchyma, cortex, medulla : (Y, X) bool
    pixel_um, hole_um2 : float
        µm and µm²; smaller holes of the cortex (a vessel, a speck) are no boundary.
    closed : (Y, X) bool, optional
        Cysts and artefacts: neither capsule nor way to it.

    Returns
    -------
    Streamlines
        NaN where no cortex lies between capsule and medulla.

    Examples
    --------
    A ribbon of 80 µm between the outside and the medulla.

    >>> cortex, medulla = np.zeros((2, 200, 400), bool)
    >>> cortex[60:100] = medulla[100:160] = True
    >>> both = cortex | medulla
    >>> abs(streamline_thickness(both, both, cortex, medulla, 2.0).median_um - 80) < 1
    True
    """
    none = Streamlines(math.nan, math.nan, math.nan, 0.0 if cortex.any() else math.nan)
    if not cortex.any() or not medulla.any():
        return none
    large = np.count_nonzero(cortex) > LARGE_PX
    factor = 2 ** max(0, math.floor(math.log2(GRID_UM / pixel_um) + 1e-9)) if large else 1
    kinds = _kinds(tissue, parenchyma, cortex, medulla, closed, hole_um2 / pixel_um**2)
    box = bounding_box(kinds == _INSIDE)
    # a rim of the boundaries around the cortex; blocks begin at the cortex and not at the image's corner
    room = 2 * factor
    window = tuple(slice(s.start, s.stop + 2 * room) for s in box)
    domain = np.pad(_coarsen(np.pad(kinds, room)[window], factor), 1)
    between = _connected(domain)
    if not between.any():
        return none
    potential = _solve(domain, between)
    thickness = _lengths(potential, domain, between)[between] * (factor * pixel_um)
    share = float(np.count_nonzero(between) / np.count_nonzero(domain == _INSIDE))
    low, middle, high = (float(v) for v in np.quantile(thickness, (0.25, 0.5, 0.75)))
    return Streamlines(middle, low, high, share)


def _kinds(
    tissue: Mask, parenchyma: Mask, cortex: Mask, medulla: Mask, closed: Mask | None, hole_px: float
) -> npt.NDArray[np.uint8]:
    solid = fill_small(cortex, hole_px) & ~medulla
    outside = ~parenchyma & ~solid
    if closed is not None:
        outside &= ~closed
    pieces = np.asarray(cc3d.connected_components(outside, connectivity=4))
    reach = np.zeros(int(pieces.max()) + 1, bool)
    reach[np.unique(pieces[~tissue])] = True
    reach[0] = False
    kinds = np.zeros(cortex.shape, np.uint8)
    kinds[reach[pieces]] = _OUTER
    kinds[medulla] = _INNER
    kinds[solid] = _INSIDE
    return kinds


@numba.njit(cache=True, nogil=True)
def _coarsen(kinds: npt.NDArray[np.uint8], factor: int) -> npt.NDArray[np.uint8]:
    """Give every block the kind that most of its pixels have; of equals the cortex, then the boundaries."""
    height, width = -(-kinds.shape[0] // factor), -(-kinds.shape[1] // factor)
    out = np.empty((height, width), np.uint8)
    count = np.empty(4, np.int64)
    for y in range(height):
        for x in range(width):
            count[:] = 0
            for b in range(y * factor, min((y + 1) * factor, kinds.shape[0])):
                for a in range(x * factor, min((x + 1) * factor, kinds.shape[1])):
                    count[kinds[b, a]] += 1
            best = 1
            for kind in (2, 3, 0):
                if count[kind] > count[best]:
                    best = kind
            out[y, x] = best
    return out


def _connected(domain: npt.NDArray[np.uint8]) -> Mask:
    """Return the pieces of the inside that touch both boundaries."""
    pieces = np.asarray(cc3d.connected_components(domain == _INSIDE, connectivity=4))
    touched = np.zeros((2, int(pieces.max()) + 1), bool)
    for i, kind in enumerate((_OUTER, _INNER)):
        edge = domain == kind
        beside = np.zeros_like(edge)
        beside[1:] |= edge[:-1]
        beside[:-1] |= edge[1:]
        beside[:, 1:] |= edge[:, :-1]
        beside[:, :-1] |= edge[:, 1:]
        touched[i, np.unique(pieces[beside])] = True
    both = touched[0] & touched[1]
    both[0] = False
    return np.asarray(both[pieces])


def _solve(domain: npt.NDArray[np.uint8], between: Mask) -> npt.NDArray[np.float64]:
    """Return the potential, begun on a grid of half the resolution where that still holds the cortex."""
    potential = np.where(domain == _INNER, 1.0, np.where(domain == _OUTER, 0.0, 0.5))
    if np.count_nonzero(between) > 2000:
        half = np.pad(_coarsen(domain, 2), 1)
        coarse = _solve(half, half == _INSIDE)
        guess = np.repeat(np.repeat(coarse[1:-1, 1:-1], 2, 0), 2, 1)[: domain.shape[0], : domain.shape[1]]
        potential[between] = guess[between]
    rows, cols = np.nonzero(between)
    _conjugate(potential, domain, rows, cols, _TOLERANCE, _MOST_STEPS)
    return potential


@numba.njit(cache=True, nogil=True)
def _conjugate(u, domain, rows, cols, tolerance, most):  # type: ignore[no-untyped-def]  # compiled
    """Solve Laplace's equation by conjugate gradients; a wall beside a pixel takes no part (no flow)."""
    n = len(rows)
    number = np.full(domain.shape, -1, np.int64)
    for i in range(n):
        number[rows[i], cols[i]] = i
    beside = np.full((n, 4), -1, np.int64)
    weight = np.zeros(n)
    residue = np.zeros(n)
    for i in range(n):
        y, x = rows[i], cols[i]
        k = 0
        for b, a in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            if domain[b, a] == 0 or (domain[b, a] == 1 and number[b, a] < 0):
                continue
            weight[i] += 1.0
            residue[i] += u[b, a] - u[y, x]
            if domain[b, a] == 1:
                beside[i, k] = number[b, a]
                k += 1
    way = np.empty(n)
    for i in range(n):
        way[i] = residue[i] / max(weight[i], 1.0)
    ahead = np.empty(n)
    power = 0.0
    for i in range(n):
        power += residue[i] * way[i]
    goal = tolerance * tolerance * n * 1e-3
    for _ in range(most):
        if power <= goal:
            break
        bent = 0.0
        for i in range(n):
            total = weight[i] * way[i]
            for k in range(4):
                j = beside[i, k]
                if j < 0:
                    break
                total -= way[j]
            ahead[i] = total
            bent += total * way[i]
        if bent <= 0:
            break
        step = power / bent
        power_new = 0.0
        for i in range(n):
            u[rows[i], cols[i]] += step * way[i]
            residue[i] -= step * ahead[i]
            power_new += residue[i] * residue[i] / max(weight[i], 1.0)
        ratio = power_new / power
        power = power_new
        for i in range(n):
            way[i] = residue[i] / max(weight[i], 1.0) + ratio * way[i]


def _lengths(u: npt.NDArray[np.float64], domain: npt.NDArray[np.uint8], between: Mask) -> FloatPlane:
    """Return L₀ + L₁ in pixels; the boundary runs half a pixel before the centre of the first pixel beyond."""
    rows, cols = np.nonzero(between)
    order = np.argsort(u[rows, cols], kind="stable")
    rows, cols = rows[order], cols[order]
    total = np.zeros(domain.shape)
    for sign, kind in ((1.0, _OUTER), (-1.0, _INNER)):
        length = np.zeros(domain.shape)
        length[domain == kind] = -0.5
        _march(sign * u, domain, between, rows[:: int(sign)], cols[:: int(sign)], length, _SWEEPS)
        total += length
    return np.asarray(total, np.float32)


@numba.njit(cache=True, nogil=True)
def _march(u, domain, between, rows, cols, length, sweeps):  # type: ignore[no-untyped-def]  # compiled
    """Solve N·∇L = 1 from the low end upwards; few sweeps do, for places come in the order of the potential."""
    for _ in range(sweeps):
        change = 0.0
        for i in range(len(rows)):
            y, x = rows[i], cols[i]
            here = u[y, x]
            up = u[y - 1, x] if domain[y - 1, x] > 1 or between[y - 1, x] else here
            down = u[y + 1, x] if domain[y + 1, x] > 1 or between[y + 1, x] else here
            left = u[y, x - 1] if domain[y, x - 1] > 1 or between[y, x - 1] else here
            right = u[y, x + 1] if domain[y, x + 1] > 1 or between[y, x + 1] else here
            gy, gx = (down - up) / 2, (right - left) / 2
            size = math.sqrt(gy * gy + gx * gx)
            if size < 1e-9:
                continue
            ny, nx = abs(gy) / size, abs(gx) / size
            ay = length[y - 1, x] if gy > 0 else length[y + 1, x]
            ax = length[y, x - 1] if gx > 0 else length[y, x + 1]
            new = (1.0 + ny * ay + nx * ax) / (ny + nx)
            change = max(change, abs(new - length[y, x]))
            length[y, x] = new
        if change < 1e-3:
            break

"""Draw cells: who owns each pixel, how bright the membrane is there, and what keratin the body leaves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from thymusimg.phantom.drawn.profiles import Outlines
    from thymusimg.section.model import FloatPlane

MOST_NEIGHBOURS = 24
DECAY_UM = 0.55
"""Inside the rim the light of the slanting membrane falls off over this length."""


@dataclass(frozen=True)
class Drawing:
    """Instances of the human cells and what each stain gets from the bodies."""

    instances: npt.NDArray[np.uint32]
    cd45: FloatPlane
    keratin: FloatPlane
    dapi: FloatPlane | None


@njit(inline="always")
def _radius(dy, dx, d, r, waves):  # type: ignore[no-untyped-def]
    """Return the outline's radius in a direction; the angle's multiples come from powers of the unit vector."""
    c1, s1 = dx / d, dy / d
    c2, s2 = c1 * c1 - s1 * s1, 2 * c1 * s1
    c3, s3 = c2 * c1 - s2 * s1, s2 * c1 + c2 * s1
    c5, s5 = c3 * c2 - s3 * s2, s3 * c2 + c3 * s2
    bump = waves[0, 0] * (c2 * waves[0, 1] - s2 * waves[0, 2])
    bump += waves[1, 0] * (c3 * waves[1, 1] - s3 * waves[1, 2])
    bump += waves[2, 0] * (c5 * waves[2, 1] - s5 * waves[2, 2])
    return r * (1.0 + bump)


@njit(cache=True, nogil=True)
def _neighbours(ys, xs, radii, near, count):  # type: ignore[no-untyped-def]
    """Find, for every cell, the cells whose outlines can touch its own."""
    bin_um = 3.0 * radii.max()
    rows, columns = int(ys.max() / bin_um) + 4, int(xs.max() / bin_um) + 4
    head = np.full((rows, columns), -1, np.int64)
    following = np.empty(len(ys), np.int64)
    for n in range(len(ys) - 1, -1, -1):
        a, b = min(rows - 1, max(0, int(ys[n] / bin_um) + 1)), min(columns - 1, max(0, int(xs[n] / bin_um) + 1))
        following[n] = head[a, b]
        head[a, b] = n
    for n in range(len(ys)):
        a, b = min(rows - 1, max(0, int(ys[n] / bin_um) + 1)), min(columns - 1, max(0, int(xs[n] / bin_um) + 1))
        for u in range(max(0, a - 1), min(rows, a + 2)):
            for v in range(max(0, b - 1), min(columns, b + 2)):
                m = head[u, v]
                while m >= 0:
                    reach = 1.4 * (radii[n] + radii[m])
                    if m != n and (ys[n] - ys[m]) ** 2 + (xs[n] - xs[m]) ** 2 < reach * reach:
                        if count[n] < near.shape[1]:
                            near[n, count[n]] = m
                            count[n] += 1
                    m = following[m]


@njit(cache=True, nogil=True)
def _paint(  # type: ignore[no-untyped-def]
    ys, xs, radii, waves, cap, filled, light, nucleus, spots, human, near, count, membrane, decay, pixel, instances,
    cd45, keratin, dapi,
):  # fmt: skip
    """Draw cell after cell; a place belongs to the cell in whose outline it lies deepest, in units of radii."""
    height, width = instances.shape
    for n in range(len(ys)):
        reach = 1.4 * radii[n] + pixel
        i0 = max(0, int(np.floor((ys[n] - reach) / pixel)))
        i1 = min(height, int(np.ceil((ys[n] + reach) / pixel)) + 1)
        j0 = max(0, int(np.floor((xs[n] - reach) / pixel)))
        j1 = min(width, int(np.ceil((xs[n] + reach) / pixel)) + 1)
        for i in range(i0, i1):
            for j in range(j0, j1):
                for sub in range(5):
                    # four places for the light, the pixel's centre for its owner
                    oy, ox = 0.0, 0.0
                    if sub < 4:
                        oy, ox = (sub // 2) * 0.5 - 0.25, (sub % 2) * 0.5 - 0.25
                    dy, dx = (i + oy) * pixel - ys[n], (j + ox) * pixel - xs[n]
                    d = np.sqrt(dy * dy + dx * dx) + 1e-9
                    if d > 1.35 * radii[n]:
                        continue
                    outline = _radius(dy, dx, d, radii[n], waves[n])
                    q = d / outline
                    if q >= 1.0:
                        continue
                    wall = (1.0 - q) * outline
                    mine = True
                    for k in range(count[n]):
                        m = near[n, k]
                        ey, ex = (i + oy) * pixel - ys[m], (j + ox) * pixel - xs[m]
                        e = np.sqrt(ey * ey + ex * ex) + 1e-9
                        if e > 1.35 * radii[m]:
                            continue
                        p = e / _radius(ey, ex, e, radii[m], waves[m])
                        if p < q or (p == q and m < n):
                            mine = False
                            break
                        if p < 1.3:
                            wall = min(wall, (p - q) / (1.0 / radii[m] + 1.0 / radii[n]))
                    if not mine:
                        continue
                    if sub == 4:
                        if human[n]:
                            instances[i, j] = n + 1
                        continue
                    keratin[i, j] -= np.float32(0.25 * 0.5 * (1.0 - q * q * q * q))
                    if human[n]:
                        inside = max(0.0, wall - membrane)
                        ring = filled[n] + (1.0 - filled[n]) * np.exp(-inside / decay)
                        ring *= 1.0 + cap[n, 0] * (dx * cap[n, 1] + dy * cap[n, 2]) / d
                        cd45[i, j] += np.float32(0.25 * light[n] * ring)
                    if dapi.shape[0] > 1 and q < 0.78:
                        level = min(1.0, (0.78 - q) / 0.12)
                        if not human[n]:  # mouse nuclei show their chromocentres
                            for s in range(spots.shape[1]):
                                gy, gx = dy / radii[n] - spots[n, s, 0], dx / radii[n] - spots[n, s, 1]
                                level += 0.9 * np.exp(-(gy * gy + gx * gx) / 0.012)
                        dapi[i, j] += np.float32(0.25 * nucleus[n] * level)


def draw_cells(
    cells: pd.DataFrame,
    outlines: Outlines,
    rng: np.random.Generator,
    *,
    strength: float,
    membrane_um: float,
    pixel_um: float,
    shape: tuple[int, int],
    dapi: bool,
) -> Drawing:
    """Draw every cell; ``keratin`` is the factor by which the bodies dim the net that runs around them."""
    count = len(cells)
    instances = np.zeros(shape, np.uint32)
    cd45, keratin = np.zeros(shape, np.float32), np.ones(shape, np.float32)
    nuclei = np.zeros(shape if dapi else (1, 1), np.float32)
    if count:
        y, x, radius, bright = (
            cells[c].to_numpy(float).copy() for c in ("y_um", "x_um", "radius_um", "brightness")
        )
        near, many = np.zeros((count, MOST_NEIGHBOURS), np.int64), np.zeros(count, np.int64)
        _neighbours(y, x, radius, near, many)
        phase = outlines.waves[..., 1]
        waves = np.stack([outlines.waves[..., 0], np.cos(phase), np.sin(phase)], -1)
        # a wavy outline keeps the area of its circle
        even = radius / np.sqrt(1 + 0.5 * np.square(waves[..., 0]).sum(1))
        turn = outlines.cap[:, 1]
        cap = np.stack([outlines.cap[:, 0], np.cos(turn), np.sin(turn)], 1)
        spots = 0.5 * np.clip(rng.normal(0, 0.6, (count, 5, 2)), -1.2, 1.2)
        _paint(
            y, x, even, waves, cap, outlines.filled, strength * bright, 0.55 + 0.3 * np.minimum(bright, 2), spots,
            (cells["type"] == "human").to_numpy(), near, many, membrane_um, DECAY_UM, pixel_um, instances, cd45,
            keratin, nuclei,
        )  # fmt: skip
    return Drawing(instances, cd45, keratin, nuclei if dapi else None)

"""Points that keep a distance: soft discs that push each other apart until they hardly overlap."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from thymusimg.phantom.streams import key, stream

if TYPE_CHECKING:
    from thymusimg.phantom.drawn.scene import Scene
    from thymusimg.section.model import FloatPlane


@njit(cache=True, nogil=True)
def _chain_up(ys, xs, bin_um, head, following):  # type: ignore[no-untyped-def]
    head[:] = -1
    rows, columns = head.shape
    for n in range(len(ys)):
        a = min(rows - 1, max(0, int(ys[n] / bin_um) + 1))
        b = min(columns - 1, max(0, int(xs[n] / bin_um) + 1))
        following[n] = head[a, b]
        head[a, b] = n


@njit(cache=True, nogil=True)
def _relax(ys, xs, radii, softness, rounds, labels, pixel, translation, step_y, step_x):  # type: ignore[no-untyped-def]
    """Push overlapping discs apart; all move at once, so that their order does not matter."""
    bin_um = 2.0 * radii.max()
    head = np.empty((int(ys.max() / bin_um) + 4, int(xs.max() / bin_um) + 4), np.int64)
    following = np.empty(len(ys), np.int64)
    rows, columns = head.shape
    height, width = labels.shape
    for _ in range(rounds):
        _chain_up(ys, xs, bin_um, head, following)
        for n in range(len(ys)):
            py, px = 0.0, 0.0
            a = min(rows - 1, max(0, int(ys[n] / bin_um) + 1))
            b = min(columns - 1, max(0, int(xs[n] / bin_um) + 1))
            for u in range(max(0, a - 1), min(rows, a + 2)):
                for v in range(max(0, b - 1), min(columns, b + 2)):
                    m = head[u, v]
                    while m >= 0:
                        if m != n:
                            dy, dx = ys[n] - ys[m], xs[n] - xs[m]
                            touch = softness * (radii[n] + radii[m])
                            d2 = dy * dy + dx * dx
                            if d2 < touch * touch:
                                d = np.sqrt(d2) + 1e-6
                                push = 0.4 * (touch - d) / d
                                py += push * dy
                                px += push * dx
                        m = following[m]
            # nobody jumps farther than half a radius a round
            size = np.sqrt(py * py + px * px)
            cut = min(1.0, 0.5 * radii[n] / (size + 1e-9))
            step_y[n], step_x[n] = cut * py, cut * px
        for n in range(len(ys)):
            i = int(np.floor((ys[n] - translation) / pixel + 0.5))
            j = int(np.floor((xs[n] - translation) / pixel + 0.5))
            y, x = ys[n] + step_y[n], xs[n] + step_x[n]
            k = int(np.floor((y - translation) / pixel + 0.5))
            m = int(np.floor((x - translation) / pixel + 0.5))
            on = 0 <= k < height and 0 <= m < width and 0 <= i < height and 0 <= j < width
            # a border between compartments holds everybody on his side
            if on and labels[k, m] == labels[i, j]:
                ys[n], xs[n] = y, x


def relax(
    points_um: np.ndarray, radii_um: np.ndarray, labels: np.ndarray, scene: Scene, *, softness: float, rounds: int
) -> np.ndarray:
    """Return ``points_um`` (N, 2) after ``rounds`` of soft repulsion; none crosses an edge of ``labels``."""
    if len(points_um) == 0:
        return points_um
    # in order along the section, so that neighbours lie together in memory
    order = np.lexsort((points_um[:, 1], np.floor(points_um[:, 0] / 30)))
    y, x = (points_um[order, k].astype(np.float64) for k in (0, 1))
    grid = scene.grid
    _relax(
        y, x, radii_um[order].astype(np.float64), float(softness), rounds, np.ascontiguousarray(labels),
        grid.pixel_um, grid.translation_um, np.empty(len(y)), np.empty(len(y)),
    )  # fmt: skip
    out = np.empty_like(points_um, dtype=np.float64)
    out[order] = np.stack([y, x], 1)
    return out


def scatter(rng: np.random.Generator, per_mm2: FloatPlane, scene: Scene) -> np.ndarray:
    """Throw independent points (N, 2) in µm with the given expected number per mm² of every coarse pixel.

    Rows are filled one after the other: each pixel's own count is Poisson.
    """
    expected = per_mm2.astype(np.float64) * scene.grid.pixel_area_mm2
    counts = rng.poisson(expected)
    index = np.repeat(np.argwhere(counts), counts[counts > 0], axis=0)
    points: np.ndarray = scene.grid.to_um(index + rng.random((len(index), 2)) - 0.5)
    return points


def even_points(seed: int, name: str, spacing_um: FloatPlane, where: np.ndarray, scene: Scene) -> np.ndarray:
    """Return evenly spread points inside ``where``, ``spacing_um`` apart on average (one a square of that side)."""
    rng = stream(key(seed, "drawn", name), "points")
    points = scatter(rng, np.where(where, 1e6 / np.square(spacing_um), 0), scene)
    radius = 0.47 * spacing_um[scene.at(points)]
    return relax(points, radius, where.astype(np.uint8), scene, softness=1.2, rounds=20)

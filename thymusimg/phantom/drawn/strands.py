"""The reticulum: epithelial cells join hands, and their processes are drawn stroke by stroke."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit
from scipy.spatial import Delaunay, QhullError, cKDTree

from thymusimg.phantom.drawn.epithelium import CELL_UM
from thymusimg.phantom.drawn.mosaic import lumps, upsample
from thymusimg.phantom.drawn.spacing import even_points
from thymusimg.phantom.streams import stream

if TYPE_CHECKING:
    from thymusimg.phantom.drawn.epithelium import Epithelium
    from thymusimg.phantom.drawn.scene import Scene
    from thymusimg.phantom.spec import PhantomSpec
    from thymusimg.section.model import FloatPlane

LINING_UM = 7.0
"""Height of the epithelium that lines a cyst."""
LONGEST = 2.3
"""Processes are no longer than so many meshes."""


@njit(cache=True, nogil=True)
def _stroke(y0, x0, w0, y1, x1, w1, v8, v14, pixel, k8, k14):  # type: ignore[no-untyped-def]
    """Draw a tapered stroke with a Gaussian profile (widths at half maximum); the brighter of two strokes wins."""
    height, width = k8.shape
    reach = 1.3 * max(w0, w1) + pixel
    i0 = max(0, int(np.floor((min(y0, y1) - reach) / pixel)))
    i1 = min(height, int(np.ceil((max(y0, y1) + reach) / pixel)) + 1)
    j0 = max(0, int(np.floor((min(x0, x1) - reach) / pixel)))
    j1 = min(width, int(np.ceil((max(x0, x1) + reach) / pixel)) + 1)
    ay, ax = y1 - y0, x1 - x0
    length2 = ay * ay + ax * ax + 1e-12
    for i in range(i0, i1):
        for j in range(j0, j1):
            py, px = i * pixel - y0, j * pixel - x0
            t = min(1.0, max(0.0, (py * ay + px * ax) / length2))
            dy, dx = py - t * ay, px - t * ax
            w = w0 + t * (w1 - w0)
            q = (dy * dy + dx * dx) / (w * w)
            if q < 1.69:
                # narrower than a pixel: as wide as the pixel and fainter
                wide = max(w, 1.2 * pixel)
                light = np.exp(-2.7726 * q * (w * w) / (wide * wide)) * w / wide
                k8[i, j] = max(k8[i, j], np.float32(light * v8))
                k14[i, j] = max(k14[i, j], np.float32(light * v14))


@njit(cache=True, nogil=True)
def _draw_edges(ys, xs, first, second, bow, thick, level, v8, v14, pixel, k8, k14):  # type: ignore[no-untyped-def]
    """Draw every process as two halves of a parabola, each in the keratins of the cell it comes from."""
    for e in range(len(first)):
        a, b = first[e], second[e]
        ay, ax, by, bx = ys[a], xs[a], ys[b], xs[b]
        for part in range(4):
            t0, t1 = 0.25 * part, 0.25 * (part + 1)
            n = a if part < 2 else b
            if v8[n] + v14[n] <= 0.0:
                continue
            s0, s1 = 4 * bow[e] * t0 * (1 - t0), 4 * bow[e] * t1 * (1 - t1)
            # thick at the roots, thin where they meet
            w0 = thick[e] * (0.75 + 1.2 * (0.5 - t0) ** 2 * 2)
            w1 = thick[e] * (0.75 + 1.2 * (0.5 - t1) ** 2 * 2)
            _stroke(
                ay + t0 * (by - ay) + s0 * (bx - ax), ax + t0 * (bx - ax) - s0 * (by - ay), w0,
                ay + t1 * (by - ay) + s1 * (bx - ax), ax + t1 * (bx - ax) - s1 * (by - ay), w1,
                level[e] * v8[n], level[e] * v14[n], pixel, k8, k14,
            )  # fmt: skip


@njit(cache=True, nogil=True)
def _draw_bodies(ys, xs, radii, turn, long, angular, hollow, v8, v14, pixel, k8, k14):  # type: ignore[no-untyped-def]
    """Draw cell bodies: rounded, bent ellipses whose keratin spares the nucleus."""
    height, width = k8.shape
    for n in range(len(ys)):
        reach = radii[n] * long[n] * 1.35 + pixel
        i0 = max(0, int(np.floor((ys[n] - reach) / pixel)))
        i1 = min(height, int(np.ceil((ys[n] + reach) / pixel)) + 1)
        j0 = max(0, int(np.floor((xs[n] - reach) / pixel)))
        j1 = min(width, int(np.ceil((xs[n] + reach) / pixel)) + 1)
        c, s = np.cos(turn[n]), np.sin(turn[n])
        for i in range(i0, i1):
            for j in range(j0, j1):
                py, px = i * pixel - ys[n], j * pixel - xs[n]
                u, v = (c * px + s * py) / long[n], (c * py - s * px) * long[n]
                d = np.sqrt(u * u + v * v) + 1e-9
                # corners where the processes leave
                corner = (u * u * u - 3 * u * v * v) / (d * d * d)
                q = d / (radii[n] * (1 + angular[n] * corner))
                if q < 1.2:
                    light = min(1.0, max(0.0, (1.2 - q) / 0.35))
                    inner = q / 0.55
                    if inner < 1.0:
                        light *= 1 - hollow[n] * (1 - inner * inner)
                    k8[i, j] = max(k8[i, j], np.float32(light * v8[n]))
                    k14[i, j] = max(k14[i, j], np.float32(light * v14[n]))


def gabriel_edges(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the pairs of points whose diametral circle holds no other point (Gabriel and Sokal 1969).

    In the Delaunay triangulation these are the edges that no opposite corner sees under more than a right angle.
    """
    none = np.zeros(0, np.int64)
    if len(points) < 3:
        return none, none
    try:
        corners = Delaunay(points).simplices.astype(np.int64)
    except QhullError:  # all points on one line
        return none, none
    blunt, pairs = [], []
    for k in range(3):
        a, b, c = corners[:, k], corners[:, (k + 1) % 3], corners[:, (k + 2) % 3]
        blunt.append(((points[a] - points[c]) * (points[b] - points[c])).sum(1) < 0)
        pairs.append(np.minimum(a, b) * len(points) + np.maximum(a, b))
    keys, where = np.unique(np.concatenate(pairs), return_inverse=True)
    seen = np.zeros(len(keys), bool)
    seen[where[np.concatenate(blunt)]] = True
    kept = keys[~seen]
    return kept // len(points), kept % len(points)


def draw_reticulum(spec: PhantomSpec, seed: int, scene: Scene, cells: Epithelium) -> tuple[FloatPlane, FloatPlane]:
    """Return the clean K8 and K14 planes at full resolution; 1 is a typical strand."""
    grid = scene.grid
    k8, k14 = np.zeros(grid.slide_shape, np.float32), np.zeros(grid.slide_shape, np.float32)
    if len(cells.centres):
        nodes = _draw_net(spec, seed, scene, cells, k8, k14)
        _draw_somata(spec, seed, scene, cells, nodes, k8, k14)
    lining = _lining(stream(seed, "drawn", "lining"), scene)
    np.maximum(k14, 2.2 * lining, out=k14)
    np.maximum(k8, 1.3 * lining, out=k8)
    k8 *= np.float32(spec.k8_strength)
    k14 *= np.float32(spec.k14_strength)
    return k8, k14


def _draw_net(
    spec: PhantomSpec, seed: int, scene: Scene, cells: Epithelium, k8: FloatPlane, k14: FloatPlane
) -> np.ndarray:
    """Draw the processes between neighbouring nodes; return the nodes (y, x in µm)."""
    grid = scene.grid
    rng = stream(seed, "drawn", "net")
    # a Gabriel graph has about one face a node: nodes one mesh apart
    mesh = np.full(grid.shape, spec.mesh_cortex_um, np.float32)
    here = np.argwhere(scene.parenchyma)
    whose = cells.owner(grid.to_um(here))
    mesh[here[:, 0], here[:, 1]] = np.where(cells.medullary[whose], spec.mesh_medulla_um, spec.mesh_cortex_um)
    nodes = even_points(seed, "nodes", mesh, scene.parenchyma, scene)
    first, second = gabriel_edges(nodes)
    apart = nodes[second] - nodes[first]
    length = np.hypot(apart[:, 0], apart[:, 1])
    usual = mesh[scene.at(nodes)]
    middle = scene.at(nodes[first] + 0.5 * apart)
    kept: np.ndarray = (length < LONGEST * np.maximum(usual[first], usual[second])) & scene.parenchyma[middle]
    kept &= rng.random(len(length)) > 0.09  # processes that end in the hollow
    first, second = first[kept], second[kept]
    count = len(first)
    level = rng.gamma(5.0, 0.2, count)
    thick = spec.strand_um * np.clip(rng.normal(1, 0.22, count), 0.5, 1.7)
    below = rng.random(count) < 0.22  # processes under the plane of focus
    level[below] *= 0.45
    thick[below] *= 1.8
    bow = rng.normal(0, 0.11, count)
    owner = cells.owner(nodes)
    _draw_edges(
        nodes[:, 0].copy(), nodes[:, 1].copy(), first, second, bow, thick, level, cells.k8[owner],
        cells.k14[owner], grid.slide_pixel_um, k8, k14,
    )  # fmt: skip
    return nodes


def _draw_somata(
    spec: PhantomSpec,
    seed: int,
    scene: Scene,
    cells: Epithelium,
    nodes: np.ndarray,
    k8: FloatPlane,
    k14: FloatPlane,
) -> None:
    """Draw the bodies of the cells, small and angular in the cortex, plump in the medulla; some miss the plane.

    A body sits where the processes of its cell meet: on the node next to the cell's centre.
    """
    rng = stream(seed, "drawn", "somata")
    count = len(cells.centres)
    seat = cells.centres
    if len(nodes):
        away, nearest = cKDTree(nodes).query(cells.centres)
        near = np.asarray(away) < 0.5 * CELL_UM
        seat = np.where(near[:, None], nodes[nearest], cells.centres)
    angular = rng.normal(0, np.where(cells.medullary, 0.07, 0.14))
    shown = rng.random(count) < np.where(cells.medullary, 0.75, 0.5)
    radius = np.where(cells.medullary, rng.gamma(20, 0.225, count), rng.gamma(16, 0.16, count))
    long = np.exp(np.abs(rng.normal(0, 0.22, count)))
    hollow = np.where(cells.medullary, 0.7, 0.3)
    level = np.where(cells.medullary, 0.6, 0.85) * rng.gamma(8.0, 0.125, count)
    turn = rng.uniform(0, 2 * np.pi, count)
    _draw_bodies(
        seat[shown, 0], seat[shown, 1], radius[shown], turn[shown], long[shown], angular[shown], hollow[shown],
        (level * cells.k8)[shown], (level * cells.k14)[shown], scene.grid.slide_pixel_um, k8, k14,
    )  # fmt: skip


def _lining(rng: np.random.Generator, scene: Scene) -> FloatPlane:
    """Return the lining of the cysts: cells side by side, each of its own height and stain."""
    grid = scene.grid
    tall = LINING_UM * np.exp(0.3 * lumps(rng, grid.shape, 11 / grid.pixel_um))
    inner = np.clip((tall - scene.cyst_um) / grid.pixel_um + 0.5, 0, 1)
    lining = np.clip(scene.cyst_um / grid.pixel_um + 0.5, 0, 1) * inner
    lining *= np.exp(0.3 * lumps(rng, grid.shape, 9 / grid.pixel_um)) * (scene.labels == 4)
    return upsample(lining.astype(np.float32), grid)

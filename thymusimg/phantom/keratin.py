"""Keratin 8 and 14: which epithelial cell makes which, and the networks that they draw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numba import njit
from scipy.special import ndtr

from thymusimg.compartments.model import Compartment
from thymusimg.phantom.anatomy import LINING_UM
from thymusimg.phantom.bodies import Bodies, draw_bodies
from thymusimg.phantom.streams import random_field, stream, upsample

if TYPE_CHECKING:
    from thymusimg.phantom.anatomy import Anatomy
    from thymusimg.phantom.spec import PhantomSpec
    from thymusimg.section.model import FloatPlane, Grid

TERRITORY_UM = 15.0
"""Spacing of epithelial cells: the scale at which K8 and K14 mix."""
POOR = 0.1
"""Keratin of epithelium-poor tissue, as a share of the cortex."""
FAINT = 0.03
"""The keratin that a cell does not make."""


@dataclass(frozen=True)
class Territories:
    """Epithelial cells: centre (y, x in µm), whether medullary in kind, both-positive, and how bright."""

    centres: np.ndarray
    k8: np.ndarray
    k14: np.ndarray
    medullary: np.ndarray


@njit(cache=True, nogil=True)
def _nearest(seeds, spacing, dy, dx, pixel, translation, out):  # type: ignore[no-untyped-def]
    height, width = out.shape
    rows, columns = seeds.shape[0], seeds.shape[1]
    for i in range(height):
        for j in range(width):
            y = i * pixel + translation + dy[i, j]
            x = j * pixel + translation + dx[i, j]
            cy, cx = int(np.floor(y / spacing)) + 2, int(np.floor(x / spacing)) + 2
            best = 1e18
            for a in range(max(0, cy - 1), min(rows, cy + 2)):
                for b in range(max(0, cx - 1), min(columns, cx + 2)):
                    d = (seeds[a, b, 0] - y) ** 2 + (seeds[a, b, 1] - x) ** 2
                    if d < best:
                        best = d
                        out[i, j] = a * columns + b


@njit(cache=True, nogil=True)
def _mesh(seeds, spacing, table, widths, reach, pixel, dy, dx, weight, factor, out):  # type: ignore[no-untyped-def]
    """Add the edges of a jittered Voronoi diagram, each as bright as its pair of cells, where ``weight`` is."""
    height, width = out.shape
    rows, columns = seeds.shape[0], seeds.shape[1]
    near_y = np.empty(9, np.float32)
    near_x = np.empty(9, np.float32)
    near_d = np.empty(9, np.float32)
    near_i = np.empty(9, np.int64)
    for i in range(height):
        for j in range(width):
            w = weight[i // factor, j // factor]
            if w < 0.02:
                continue
            y = i * pixel + dy[i, j]
            x = j * pixel + dx[i, j]
            cy, cx = int(np.floor(y / spacing)) + 2, int(np.floor(x / spacing)) + 2
            n = 0
            first = 0
            for a in range(max(0, cy - 1), min(rows, cy + 2)):
                for b in range(max(0, cx - 1), min(columns, cx + 2)):
                    near_y[n] = seeds[a, b, 0]
                    near_x[n] = seeds[a, b, 1]
                    near_i[n] = a * columns + b
                    near_d[n] = (near_y[n] - y) ** 2 + (near_x[n] - x) ** 2
                    if near_d[n] < near_d[first]:
                        first = n
                    n += 1
            total = 0.0
            for k in range(n):
                if k == first:
                    continue
                # the bisector lies gap / (2 √apart) away; no strand is wider than 1.5 times the usual
                gap = near_d[k] - near_d[first]
                apart = (near_y[k] - near_y[first]) ** 2 + (near_x[k] - near_x[first]) ** 2
                if gap * gap >= 9.0 * reach * reach * apart:
                    continue
                pair = ((near_i[k] + near_i[first]) * 7919 + near_i[k] * near_i[first]) & 1023
                wide = widths[pair] * reach
                t = gap * gap / (4.0 * wide * wide * apart)
                if t < 1.0:
                    total += table[pair] * (1.0 - t) * (1.0 - t)
            out[i, j] += np.float32(w * total)


def _jittered(
    rng: np.random.Generator, extent_um: tuple[float, float], spacing: float, jitter: float
) -> np.ndarray:
    """Return one point a square of ``spacing``, two squares of margin around the slide: (rows, columns, 2) µm."""
    rows, columns = (int(np.ceil(e / spacing)) + 5 for e in extent_um)
    grid = np.stack(np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij"), -1) - 2.0
    points: np.ndarray = (grid + 0.5 + jitter * (rng.random((rows, columns, 2)) - 0.5)) * spacing
    return points.astype(np.float32)


def _extent_um(anatomy: Anatomy) -> tuple[float, float]:
    height, width = anatomy.grid.slide_shape
    return height * anatomy.grid.slide_pixel_um, width * anatomy.grid.slide_pixel_um


def draw_territories(spec: PhantomSpec, seed: int, anatomy: Anatomy) -> tuple[Territories, np.ndarray]:
    """Return the epithelial cells and, on the coarse grid, which cell owns each pixel.

    A cell is medullary in kind with the probability Φ(d/s) that the fuzzy boundary gives at its place; a share
    0.4 (1 − λ) of the cells in cortex and medulla, and every cell of a mixed zone, forgets where it lies.
    """
    rng = stream(seed, "territories")
    seeds = _jittered(rng, _extent_um(anatomy), TERRITORY_UM, 0.9)
    grid = anatomy.grid
    points = seeds.reshape(-1, 2)
    rolls = rng.random((4, len(points)))
    bright = rng.lognormal(-0.045, 0.3, (2, len(points)))
    at = np.round(grid.to_index(points)).astype(int)
    at = np.clip(at, 0, np.array(grid.shape) - 1)
    inside = anatomy.medulla_um[at[:, 0], at[:, 1]]
    chance = ndtr(inside / max(spec.boundary_fuzz_um, 0.1))
    forgets = rolls[0] < np.where(anatomy.mixed[at[:, 0], at[:, 1]], 1.0, 0.4 * (1 - spec.order))
    medullary = np.where(forgets, rolls[1] < 0.5, rolls[2] < chance)
    both = rolls[3] < spec.double_positive
    # the medullary net is finer: for the same K8 a mm² each strand carries less
    finer = spec.mesh_medulla_um / spec.mesh_cortex_um
    k8 = np.where(medullary, np.where(both, 0.8, spec.k8_in_medulla) * finer, 1.0) * bright[0]
    k14 = np.where(medullary, 1.0, np.where(both, 0.6, FAINT)) * bright[1]
    warp = [3.0 * random_field(rng, grid.shape, 6 / grid.pixel_um) for _ in range(2)]
    owner = np.zeros(grid.shape, np.int32)
    _nearest(seeds, TERRITORY_UM, warp[0], warp[1], grid.pixel_um, grid.translation_um, owner)
    return Territories(points, k8, k14, medullary), owner


def draw_keratin(spec: PhantomSpec, seed: int, anatomy: Anatomy) -> tuple[FloatPlane, FloatPlane]:
    """Return the clean K8 and K14 planes at full resolution; 1 is a typical strand."""
    cells, owner = draw_territories(spec, seed, anatomy)
    rng = stream(seed, "network")
    grid = anatomy.grid
    density = np.where(anatomy.parenchyma, 1.0, 0.0).astype(np.float32)
    density[anatomy.poor] = POOR
    density *= np.exp(0.18 * random_field(rng, grid.shape, 25 / grid.pixel_um))
    network = _draw_network(spec, rng, anatomy)
    k8 = network * upsample((cells.k8[owner] * density).astype(np.float32), grid)
    k14 = network * upsample((cells.k14[owner] * density).astype(np.float32), grid)
    bodies, kinds = _epithelial_bodies(spec, rng, anatomy, cells)
    draw_bodies(bodies, cells.k8[kinds], spec.section_um, grid.slide_pixel_um, k8)
    draw_bodies(bodies, cells.k14[kinds], spec.section_um, grid.slide_pixel_um, k14)
    lining = _cyst_lining(anatomy, rng)
    k14 += lining * 2.2
    k8 += lining * 1.3
    k8 *= spec.k8_strength
    k14 *= spec.k14_strength
    return k8, k14


def _draw_network(spec: PhantomSpec, rng: np.random.Generator, anatomy: Anatomy) -> FloatPlane:
    grid = anatomy.grid
    shape = grid.slide_shape
    pixel = grid.slide_pixel_um
    # wandering strands: the plane is warped by 1.2 µm over 5 µm and 4 µm over 40 µm
    warp = [
        upsample(
            1.2 * random_field(rng, grid.shape, 4 / grid.pixel_um)
            + 4 * random_field(rng, grid.shape, 40 / grid.pixel_um),
            grid,
        )
        for _ in range(2)
    ]
    medullary = ndtr(anatomy.medulla_um / max(spec.boundary_fuzz_um, 1.0)).astype(np.float32)
    medullary[~anatomy.parenchyma] = 0
    cortical = (1 - medullary).astype(np.float32)
    cortical[~anatomy.parenchyma] = 0
    network = np.zeros(shape, np.float32)
    reach = np.float32(spec.strand_um / 1.08)  # (1 − t²)² is at half its height at t = 0.54
    for weight, mesh in ((cortical, spec.mesh_cortex_um), (medullary, spec.mesh_medulla_um)):
        # the mean cell of a jittered square lattice is as wide as its spacing
        seeds = _jittered(rng, _extent_um(anatomy), mesh, 0.85)
        table = rng.lognormal(-0.1, 0.55, 1024).astype(np.float32)
        table[rng.random(1024) < 0.2] *= 0.12  # strands that leave the section
        widths = np.clip(rng.normal(1.0, 0.25, 1024), 0.5, 1.5).astype(np.float32)
        _mesh(seeds, np.float32(mesh), table, widths, reach, np.float32(pixel), *warp, weight, grid.factor, network)
    return network + _out_of_focus(network, grid)


def _out_of_focus(network: FloatPlane, grid: Grid) -> FloatPlane:
    """Return the strands of the layers above and below: another part of the same net, blurred.

    A section of 7 µm holds about one mesh in depth, so that next to nothing is seen through an empty mesh.
    """
    size = (-(-network.shape[1] // grid.factor), -(-network.shape[0] // grid.factor))
    coarse = cv2.resize(network, size, interpolation=cv2.INTER_AREA)
    steps = (round(7 / grid.pixel_um), round(-5 / grid.pixel_um))
    haze = cv2.GaussianBlur(np.roll(coarse, steps, (0, 1)), (0, 0), 1.6 / grid.pixel_um)
    return upsample(np.float32(0.4) * haze, grid)


def _epithelial_bodies(
    spec: PhantomSpec, rng: np.random.Generator, anatomy: Anatomy, cells: Territories
) -> tuple[Bodies, np.ndarray]:
    """Return the plump bodies of epithelial cells: most medullary cells, a quarter of the others."""
    grid = anatomy.grid
    at = np.round(grid.to_index(cells.centres)).astype(int)
    on = ((at >= 0) & (at < np.array(grid.shape))).all(1)
    at = np.clip(at, 0, np.array(grid.shape) - 1)
    labels = anatomy.labels[at[:, 0], at[:, 1]]
    on &= np.isin(labels, (Compartment.CORTEX, Compartment.MEDULLA, Compartment.INDETERMINATE))
    on &= ~anatomy.poor[at[:, 0], at[:, 1]]
    on &= rng.random(len(on)) < np.where(cells.medullary, 0.65, 0.25)
    kinds = np.flatnonzero(on)
    radius = np.clip(rng.normal(4.6, 0.9, len(kinds)), 2.5, 8)
    z = rng.uniform(0, spec.section_um, len(kinds))
    # the cytoplasm is a thick shell: keratin spares the nucleus
    bodies = Bodies(cells.centres[kinds, 0], cells.centres[kinds, 1], z, radius, 0.45 * radius, strength=0.55)
    return bodies, kinds


def _cyst_lining(anatomy: Anatomy, rng: np.random.Generator) -> FloatPlane:
    """Return the flat epithelium around every cyst, thick here and thin there, brighter in some cells."""
    shape, pixel = anatomy.grid.shape, anatomy.grid.pixel_um
    half = LINING_UM / 2 * np.exp(0.3 * random_field(rng, shape, 20 / pixel))
    t = (anatomy.cyst_um - half) / half
    lining = np.clip(1 - t * t, 0, 1) * (anatomy.labels == Compartment.CYST)
    lining *= np.exp(0.35 * random_field(rng, shape, 5 / pixel))
    return upsample(lining.astype(np.float32), anatomy.grid)

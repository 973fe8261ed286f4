"""The keratin network on grids, stripes and checkerboards (R9, R10, P9)."""

from __future__ import annotations

import math

import numpy as np
from scipy import ndimage

from benchmarks.analytic.case import Case
from thymusimg.measurements.network.graph import Graph, measure_graph
from thymusimg.measurements.network.mesh import find_voids, lacunarity, mesh_width_px
from thymusimg.measurements.network.ridge import ridge_strength
from thymusimg.measurements.network.skeleton import skeletonise
from thymusimg.measurements.population.contact import chance_within, measure_contact

PIXEL = 0.5
SPACING = 12.0
SIDE_PX = 640


def net(degrees: float = 0.0, width_um: float = 1.5, spacing_um: float = SPACING) -> np.ndarray:
    """Return a square net of Gaussian strands, ``width_um`` at half height."""
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX] * PIXEL
    turn = math.radians(degrees)
    plane = np.zeros(y.shape)
    for along in (y * math.cos(turn) + x * math.sin(turn), x * math.cos(turn) - y * math.sin(turn)):
        off = (along + spacing_um / 2) % spacing_um - spacing_um / 2
        plane = np.maximum(plane, np.exp(-4 * math.log(2) * (off / width_um) ** 2))
    return plane.astype(np.float32)


def traced(plane: np.ndarray) -> tuple[Graph, float]:
    """Return the graph within a rim of 22 µm, and its area in mm²: 23 meshes of 12 µm."""
    rim = 44
    skeleton = skeletonise(ridge_strength(plane, PIXEL) > 0.1, spur_px=3, piece_px=10)
    labels = np.zeros(plane.shape, np.uint8)
    labels[rim:-rim, rim:-rim] = 1
    return measure_graph(skeleton, labels, 1), float(labels.sum()) * PIXEL**2 * 1e-6


def _density(degrees: float) -> float:
    graph, mm2 = traced(net(degrees))
    return graph.length_px * PIXEL * 1e-3 / mm2


def _ring() -> Graph:
    y, x = np.mgrid[-60:61, -60:61]
    ring = np.abs(np.hypot(y, x) - 40) < 2
    return measure_graph(skeletonise(ring), np.ones(ring.shape, np.uint8), 1)


def _stripes_um(gap: int) -> float:
    negative = np.ones((300, 400), bool)
    for first in range(0, 400, gap + 4):
        negative[:, first : first + 4] = False
    inner = mesh_width_px(negative, 96)[:, 50:350]
    return float(np.median(inner[inner > 0])) * PIXEL


def _checkerboard(block: int, side: int) -> float:
    y, x = np.mgrid[:256, :256]
    board = ((y // block + x // block) % 2).astype(np.float32)
    return float(lacunarity(board, np.ones(board.shape, bool), 1.0, sides_um=(side,)).value[0])


def _void_mm2() -> float:
    y, x = np.mgrid[:200, :200] * 2.0
    positive = (np.hypot(y - 200, x - 200) >= 60).astype(np.float32)
    positive[20:25, 20:25] = 0  # a mesh of 100 µm²
    return find_voids(positive, np.ones(positive.shape, bool), None, 2.0).area_mm2


def _random_contact() -> float:
    """Return the ratio for cells laid at random beside straight strands 20 µm apart."""
    x = np.abs((np.arange(4000) * 0.01 + 10) % 20 - 10)
    distance = np.random.default_rng(1).choice(x, 20000)
    counts = np.append(np.histogram(x, np.arange(49) * 0.25)[0], 0)
    radius = np.full(len(distance), 3.0)
    return measure_contact(distance, radius, chance_within(radius + 2, counts, 0.25)).ratio


def _skeleton_of_blob() -> float:
    blob = ndimage.gaussian_filter(np.random.default_rng(2).normal(size=(300, 300)), 4) > 0
    thin = skeletonise(np.pad(blob, 4))
    return ndimage.label(thin, np.ones((3, 3)))[1] - ndimage.label(np.pad(blob, 4), np.ones((3, 3)))[1]


_STEPS = "the chain's length is right to 1 % on average over directions"
CASES = (
    Case("R9 network", "network_density_cortex_mm_per_mm2", "square net of 12 µm", 2e3 / SPACING, 6.0, "mm/mm²",
         lambda: _density(0.0), f"{_STEPS}: 2 % short along the grid"),
    Case("R9 network", "network_density_cortex_mm_per_mm2", "square net of 12 µm, turned by 27°", 2e3 / SPACING, 6.0,
         "mm/mm²", lambda: _density(27.0), _STEPS),
    Case("R9 network", "network_junctions_cortex_per_mm2", "square net of 12 µm, along the grid", 1e6 / SPACING**2, 140.0,
         "1/mm²", lambda: traced(net())[0].forks / traced(net())[1], ""),
    Case("R9 network", "network_loops_cortex_per_mm2", "square net of 23 by 23 strands", 22**2, 0, "loops",
         lambda: traced(net())[0].loops),
    Case("R9 network", "network_ends_per_junction_cortex", "square net of 12 µm", 0.0, 0.0, "ratio",
         lambda: traced(net())[0].ends / traced(net())[0].forks),
    Case("R9 network", "network_loops_cortex_per_mm2", "one ring", 1, 0, "loops", lambda: _ring().loops),
    Case("R9 network", "network_length_cortex_mm", "ring of radius 40 px", 2 * math.pi * 40, 2.5, "px",
         lambda: _ring().length_px, "1 %: a chain of steps in 8 directions"),
    Case("R9 network", "skeletonise", "random blobs: pieces before and after thinning", 0, 0, "pieces",
         _skeleton_of_blob),
    Case("R10 meshes", "mesh_d50_cortex_um", "stripes 20 px = 10 µm apart", 10.0, 0.25, "µm",
         lambda: _stripes_um(20), "half a pixel"),
    Case("R10 meshes", "mesh_d50_cortex_um", "stripes 33 px = 16.5 µm apart", 16.5, 0.25, "µm",
         lambda: _stripes_um(33), "half a pixel"),
    Case("R10 voids", "keratin_void_area_mm2", "disc of radius 60 µm and a mesh of 100 µm²", math.pi * 60**2 * 1e-6,
         3e-4, "mm²", _void_mm2, "pixels of 2 µm"),
    Case("R10 lacunarity", "keratin_lacunarity", "checkerboard of 8 px in boxes of 16 px: even", 1.0, 1e-9, "ratio",
         lambda: _checkerboard(8, 16)),
    Case("R10 lacunarity", "keratin_lacunarity", "checkerboard in boxes of one pixel: 1 / share", 2.0, 1e-9, "ratio",
         lambda: _checkerboard(8, 1)),
    Case("P9 contact", "cd45_contact_ratio", "cells at random beside strands 20 µm apart", 1.0, 0.02, "ratio",
         _random_contact, "sampling: 20,000 cells"),
)  # fmt: skip

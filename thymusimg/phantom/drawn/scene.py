"""Where everything lies in a drawn section: tissue, septa, cysts, vessels, islets, sparse epithelium."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from thymusimg.compartments.model import PARENCHYMA, Compartment
from thymusimg.phantom.drawn.islets import draw_islets
from thymusimg.phantom.drawn.lobe import depth_um, draw_lobe, draw_septa
from thymusimg.phantom.drawn.mosaic import soft_lumps
from thymusimg.phantom.streams import stream

if TYPE_CHECKING:
    from thymusimg.phantom.spec import PhantomSpec
    from thymusimg.section.model import FloatPlane, Grid, LabelPlane, Mask

GRAIN_UM2 = 1500.0
"""Smaller crumbs of a zone are given back."""


@dataclass(frozen=True)
class Scene:
    """The compartments of a drawn section on its coarse grid.

    ``depth_um`` is the signed depth under the outline, ``cyst_um`` the depth inside the nearest cyst (negative
    outside); ``poor`` and ``mixed`` divide the indeterminate zone.
    """

    grid: Grid
    labels: LabelPlane
    tissue: Mask
    depth_um: FloatPlane
    cyst_um: FloatPlane
    vessel: Mask
    poor: Mask
    mixed: Mask

    @property
    def parenchyma(self) -> Mask:
        """Cortex, medulla and indeterminate."""
        return np.isin(self.labels, PARENCHYMA)

    def at(self, points_um: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the coarse pixel (rows, columns) of every point, the nearest one for points off the slide."""
        index = np.round(self.grid.to_index(points_um)).astype(int)
        index = np.clip(index, 0, np.array(self.grid.shape) - 1)
        return index[:, 0], index[:, 1]


def draw_scene(spec: PhantomSpec, seed: int, pixel_size_um: float, size_mm: float | None) -> Scene:
    """Draw the compartments of a section on the coarse grid of its slide."""
    grid, tissue, fitted = draw_lobe(spec, stream(seed, "drawn", "lobe"), pixel_size_um, size_mm)
    septa, clefts = draw_septa(spec, stream(seed, "drawn", "septa"), tissue, depth_um(tissue, grid), grid)
    tissue = tissue & ~clefts
    depth = depth_um(tissue, grid)
    rng = stream(seed, "drawn", "capsule")
    uneven = soft_lumps(rng, grid.shape, 150 / grid.pixel_um, 30 / grid.pixel_um)
    other = (depth < spec.capsule_um * np.clip(1 + 0.8 * uneven, 0.5, 1.7)) & tissue
    other |= septa & tissue
    cyst_um = _draw_cysts(spec, stream(seed, "drawn", "cysts"), depth, other, grid)
    cyst = (cyst_um > 0) & tissue & (depth > 0.5 * spec.capsule_um)
    parenchyma = tissue & ~other & ~cyst
    inner = np.minimum(depth, depth_um(~septa, grid)) if septa.any() else depth
    medulla = draw_islets(spec, stream(seed, "drawn", "islets"), parenchyma, inner, grid, fitted)
    vessel = _draw_vessels(spec, stream(seed, "drawn", "vessels"), medulla, parenchyma, grid)
    zone, poor = _draw_grains(spec, stream(seed, "drawn", "grains"), parenchyma, medulla, grid)
    labels = np.zeros(grid.shape, np.uint8)
    labels[tissue] = Compartment.OTHER
    labels[parenchyma] = Compartment.CORTEX
    labels[medulla] = Compartment.MEDULLA
    labels[zone] = Compartment.INDETERMINATE
    labels[vessel] = Compartment.OTHER
    labels[cyst] = Compartment.CYST
    return Scene(grid, labels, tissue, depth, cyst_um, vessel, poor & ~vessel, zone & ~poor & ~vessel)


def _draw_cysts(
    spec: PhantomSpec, rng: np.random.Generator, depth: FloatPlane, other: Mask, grid: Grid
) -> FloatPlane:
    """Return the depth inside the nearest cyst: chambers of one to four bubbles that melt together."""
    inside = np.full(grid.shape, -1e4, np.float32)
    wanted = spec.cyst_fraction * float(np.count_nonzero(depth > 0))
    places = np.argwhere((depth > 40) & ~other)
    for _ in range(80):
        missing = wanted - np.count_nonzero(inside > 0)
        if missing * grid.pixel_um**2 < 350 or len(places) == 0:
            break
        y, x = places[rng.integers(len(places))]
        limit = min(float(np.sqrt(float(missing) / np.pi)) * grid.pixel_um, 0.7 * float(depth[y, x]))
        radius = min(float(rng.gamma(3.0, 12.0)) + 9, 0.75 * limit)
        bubbles = [(float(y), float(x), radius)]
        for _ in range(int(rng.integers(1, 5))):
            v, u, r = bubbles[rng.integers(len(bubbles))]
            turn, size = float(rng.uniform(0, 2 * np.pi)), radius * float(rng.uniform(0.45, 0.85))
            reach = float(rng.uniform(0.3, 0.8)) * (r + size) / grid.pixel_um
            bubbles.append((v + reach * np.sin(turn), u + reach * np.cos(turn), size))
        _melt(inside, bubbles, radius, grid)
    return inside


def _melt(inside: FloatPlane, bubbles: list[tuple[float, float, float]], radius: float, grid: Grid) -> None:
    centre = np.array([b[:2] for b in bubbles])
    reach = (max(b[2] for b in bubbles) + 14) / grid.pixel_um
    low = np.maximum(np.floor(centre.min(0) - reach).astype(int), 0)
    high = np.ceil(centre.max(0) + reach).astype(int) + 1
    box = inside[low[0] : high[0], low[1] : high[1]]
    y = np.arange(low[0], low[0] + box.shape[0], dtype=np.float32)[:, None]
    x = np.arange(low[1], low[1] + box.shape[1], dtype=np.float32)[None, :]
    blend = np.float32(max(2.0, 0.14 * radius))
    total = np.zeros(box.shape, np.float32)
    for v, u, r in bubbles:
        away = np.hypot(y - np.float32(v), x - np.float32(u)) * np.float32(grid.pixel_um)
        total += np.exp(np.clip((r - away) / blend, -60, 60))
    np.maximum(box, blend * np.log(total), out=box)


def _draw_vessels(spec: PhantomSpec, rng: np.random.Generator, medulla: Mask, parenchyma: Mask, grid: Grid) -> Mask:
    """Return vessels cut lengthwise and across: short bent tubes, most along the corticomedullary junction."""
    canvas = np.zeros(grid.shape, np.uint8)
    junction = parenchyma & (np.abs(depth_um(medulla, grid)) < 18)
    places = np.argwhere(junction if junction.any() else parenchyma)
    for _ in range(spec.vessels if len(places) else 0):
        at = places[rng.integers(len(places))].astype(float)
        heading, radius = rng.uniform(0, 2 * np.pi), rng.uniform(4.5, 11)
        for _ in range(int(rng.exponential(11)) + 1):
            size = max(8, round(radius * rng.uniform(0.9, 1.1) / grid.pixel_um * 16))
            cv2.circle(canvas, (round(at[1] * 16), round(at[0] * 16)), size, 1, cv2.FILLED, shift=4)
            heading += rng.normal(0, 0.2)
            at = at + 3 / grid.pixel_um * np.array([np.sin(heading), np.cos(heading)])
    return canvas.astype(bool) & parenchyma


def _draw_grains(
    spec: PhantomSpec, rng: np.random.Generator, parenchyma: Mask, medulla: Mask, grid: Grid
) -> tuple[Mask, Mask]:
    """Return the indeterminate zone and its part that is poor in epithelium.

    Johnson–Mehl growth: grains are born at random times and grow at one speed into long ellipses, until they cover
    the wanted share; each is poor or mixed as a whole (Johnson and Mehl 1939).
    """
    none = np.zeros(grid.shape, bool)
    free = parenchyma & ~medulla
    wanted = spec.indeterminate_fraction * float(np.count_nonzero(parenchyma))
    share = min(1.0, wanted / max(1.0, float(np.count_nonzero(free))))
    if share == 0:
        return none, none
    count = int(np.clip(2 * wanted * grid.pixel_um**2 / 150**2, 3, 900))
    places = np.argwhere(free)
    centres = places[rng.integers(len(places), size=count)]
    arrival, grain = _arrivals(rng, centres, grid)
    rough = soft_lumps(rng, grid.shape, 32 / grid.pixel_um, 6 / grid.pixel_um)
    arrival += np.float32(9) * rough
    zone = free.copy()
    if share < 1:
        zone = _without_crumbs((arrival < np.quantile(arrival[free], share)) & free, grid)
    if not zone.any():
        return none, none
    size = np.bincount(grain[zone], minlength=count)
    order = rng.permutation(count)
    passed = np.cumsum(size[order]) - 0.5 * size[order] <= spec.poor_share * size.sum()
    is_poor = np.zeros(count, bool)
    is_poor[order] = passed & (spec.poor_share > 0)
    return zone, zone & is_poor[grain]


def _arrivals(rng: np.random.Generator, centres: np.ndarray, grid: Grid) -> tuple[FloatPlane, np.ndarray]:
    """Return when the first grain reaches each place (as µm of growth), and which one it is."""
    step = max(1, int(8 / grid.pixel_um))
    shape = (-(-grid.shape[0] // step), -(-grid.shape[1] // step))
    y = (np.arange(shape[0], dtype=np.float32) * step)[:, None]
    x = (np.arange(shape[1], dtype=np.float32) * step)[None, :]
    first = np.full(shape, 1e6, np.float32)
    grain = np.zeros(shape, np.int32)
    births = rng.exponential(160, len(centres)).astype(np.float32)
    for k, (cy, cx) in enumerate(centres):
        turn, long = rng.uniform(0, np.pi), rng.uniform(1.0, 1.35)
        v, u = y - np.float32(cy), x - np.float32(cx)
        a = np.float32(np.cos(turn)) * u + np.float32(np.sin(turn)) * v
        b = np.float32(np.cos(turn)) * v - np.float32(np.sin(turn)) * u
        time = births[k] + np.float32(grid.pixel_um) * np.hypot(a / np.float32(long), b * np.float32(long))
        sooner = time < first
        first[sooner] = time[sooner]
        grain[sooner] = k
    size = (shape[1] * step, shape[0] * step)
    full = cv2.resize(first, size, interpolation=cv2.INTER_LINEAR)[: grid.shape[0], : grid.shape[1]]
    which = cv2.resize(grain.astype(np.float32), size, interpolation=cv2.INTER_NEAREST)
    return full, which[: grid.shape[0], : grid.shape[1]].astype(np.int32)


def _without_crumbs(mask: Mask, grid: Grid) -> Mask:
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    keep = stats[:, cv2.CC_STAT_AREA] * grid.pixel_um**2 >= GRAIN_UM2
    keep[0] = False
    kept: Mask = keep[labels]
    return kept

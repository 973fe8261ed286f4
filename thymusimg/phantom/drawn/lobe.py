"""The outline of a lobe as chains of metaballs, and branching septa that grow inwards from clefts of its edge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from thymusimg.section.model import Grid

if TYPE_CHECKING:
    from thymusimg.phantom.spec import PhantomSpec
    from thymusimg.section.model import FloatPlane, Mask

MARGIN_UM = 60.0
"""Empty slide around the tissue."""
CANVAS = 400
"""Side of the canvas on which a lobe of unit size is measured."""
BLEND_BALLS = 0.13
BLEND_LOBULES = 0.035
"""Lobules meet in a cleft, the balls of one lobule melt together."""
STEP_UM = 2.5
_REACH = 2.6


@dataclass(frozen=True)
class Shape:
    """A lobe in units of its own: one array of balls (y, x, radius) a lobule, and the waves that bend its plane."""

    lobules: tuple[np.ndarray, ...]
    waves: np.ndarray

    def height(self, y: np.ndarray, x: np.ndarray) -> FloatPlane:
        """Return the signed distance (negative inside, first order) at places in units of the lobe."""
        v, u = y.astype(np.float32), x.astype(np.float32)
        for ky, kx, phase, ay, ax in self.waves.astype(np.float32):
            bend = np.sin(ky * y + kx * x + phase).astype(np.float32)
            v, u = v + ay * bend, u + ax * bend
        return _soft_least([self._lobule(b, v, u) for b in self.lobules], BLEND_LOBULES)

    @staticmethod
    def _lobule(balls: np.ndarray, v: np.ndarray, u: np.ndarray) -> FloatPlane:
        return _soft_least([np.hypot(v - y, u - x) - r for y, x, r in balls.astype(np.float32)], BLEND_BALLS)


def _soft_least(heights: list[FloatPlane], blend: float) -> FloatPlane:
    """Return the smooth minimum −k ln Σ exp(−h/k)."""
    low = np.minimum.reduce(heights)
    total = np.zeros_like(low)
    for h in heights:
        total += np.exp((low - h) / np.float32(blend))
    least: FloatPlane = low - np.float32(blend) * np.log(total)
    return least


def draw_shape(spec: PhantomSpec, rng: np.random.Generator) -> Shape:
    """Draw a lobe of unit size: a long bent main lobule, and smaller ones that bud from its side."""
    angle, bend = rng.uniform(0, 2 * np.pi), rng.normal(0, 0.5)
    main = _chain(rng, np.zeros(2), angle, bend, rng.uniform(0.7, 1.35), 0.5, 5)
    lobules = [main]
    for k in range(1, spec.lobules):
        root = main[rng.integers(len(main))]
        # buds sit on alternate flanks, or on the ends of the chain
        heading = angle + (-1) ** k * np.pi / 2 + rng.normal(0, 0.7)
        size = rng.uniform(0.24, 0.38)
        away = root[:2] + (root[2] + 0.25 * size) * np.array([np.sin(heading), np.cos(heading)])
        lobules.append(_chain(rng, away, heading + rng.normal(0, 0.6), rng.normal(0, 0.8), 0.5 * size, size, 3))
    waves = []
    for _ in range(9):
        length, direction = rng.uniform(0.5, 1.6), rng.uniform(0, 2 * np.pi)
        rate = 2 * np.pi / length
        push = rng.normal(0, 0.33 * spec.outline_roughness * length, 2)
        waves.append([rate * np.sin(direction), rate * np.cos(direction), rng.uniform(0, 2 * np.pi), *push])
    return Shape(tuple(lobules), np.array(waves))


def _chain(
    rng: np.random.Generator, start: np.ndarray, angle: float, bend: float, length: float, radius: float, count: int
) -> np.ndarray:
    """Return balls along a bent line through ``start``, thinner towards the ends."""
    t = np.linspace(-0.5, 0.5, count)
    heading = angle + bend * t
    step = length / (count - 1) * np.stack([np.sin(heading), np.cos(heading)], 1)
    at = np.cumsum(step, axis=0) - step[0]
    size = radius * (1 - rng.uniform(0.2, 1.1) * t**2) * np.exp(rng.normal(0, 0.09, count))
    # a lobe tapers to one of its poles
    size *= 1 - rng.uniform(0.0, 0.45) * (t + 0.5)
    centres = at - at.mean(0) + start
    return np.column_stack([centres, size])


def draw_lobe(
    spec: PhantomSpec, rng: np.random.Generator, pixel_size_um: float, size_mm: float | None
) -> tuple[Grid, Mask, float]:
    """Return the slide's coarse grid, the tissue on it, and the share of ``spec.area_mm2`` that fitted on it.

    With ``size_mm`` the slide is a square of that side and the lobe is shrunk where it would not fit; without it
    the slide is the lobe's box and a margin.
    """
    shape = draw_shape(spec, rng)
    axis = np.linspace(-_REACH, _REACH, CANVAS, dtype=np.float32)
    inside = _one_piece(shape.height(*np.meshgrid(axis, axis, indexing="ij")) < 0)
    places = np.argwhere(inside)
    cell = 2 * _REACH / (CANVAS - 1)
    scale = float(np.sqrt(spec.area_mm2 * 1e6 / (len(places) * cell**2)))
    low, extent = places.min(0) * cell - _REACH, (np.ptp(places, axis=0) + 1) * cell
    fit = 1.0
    if size_mm is None:
        side = extent * scale + 2 * MARGIN_UM
    else:
        side = np.array([size_mm, size_mm]) * 1e3
        fit = min(1.0, float(((side - 2 * min(MARGIN_UM, 0.06 * side[0])) / (extent * scale)).min()))
    grid = Grid.of(_slide_shape(side, pixel_size_um), pixel_size_um)
    origin = (side - extent * scale * fit) / 2
    y = (grid.to_um(np.arange(grid.shape[0])) - origin[0]) / (scale * fit) + low[0]
    x = (grid.to_um(np.arange(grid.shape[1])) - origin[1]) / (scale * fit) + low[1]
    height = shape.height(*np.meshgrid(y.astype(np.float32), x.astype(np.float32), indexing="ij"))
    wanted = min(height.size - 1, max(1, round(spec.area_mm2 * fit**2 / grid.pixel_area_mm2)))
    cut = np.partition(height.ravel(), wanted)[wanted]
    return grid, _one_piece(height < cut), fit**2


def _slide_shape(side_um: np.ndarray, pixel_size_um: float) -> tuple[int, int]:
    height, width = (max(16, round(float(v) / pixel_size_um)) for v in side_um)
    return height, width


def _one_piece(mask: Mask) -> Mask:
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    if len(stats) < 2:
        return mask
    largest: Mask = labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    return largest


def depth_um(mask: Mask, grid: Grid) -> FloatPlane:
    """Return the distance to the edge of ``mask`` in µm, positive inside."""
    inside = mask.astype(np.uint8)
    if not inside.any():
        return np.full(mask.shape, -1e4, np.float32)
    into = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    away = cv2.distanceTransform(1 - inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    signed: FloatPlane = (into - away + np.float32(0.5) - inside) * np.float32(grid.pixel_um)
    return signed


def draw_septa(
    spec: PhantomSpec, rng: np.random.Generator, tissue: Mask, depth: FloatPlane, grid: Grid
) -> tuple[Mask, Mask]:
    """Return the septa and the clefts where they start.

    A septum walks up the depth, turns as it goes, tapers, and forks once or twice; the capsule dips in at its root.
    """
    septa, clefts = (np.zeros(grid.shape, np.uint8) for _ in range(2))
    contours, _ = cv2.findContours(tissue.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if spec.septa and contours:
        edge = max(contours, key=len)[:, 0, ::-1]
        wide = max(2.0, 30 / grid.pixel_um)
        slope = np.gradient(cv2.GaussianBlur(depth, (0, 0), wide))
        crowd = cv2.GaussianBlur(tissue.astype(np.float32), (0, 0), wide)
        for root in _roots(spec.septa, rng, edge, crowd):
            _grow(septa, clefts, rng, root, (slope[0], slope[1]), float(depth.max()), grid)
    return septa.astype(bool) & tissue, clefts.astype(bool) & tissue


def _roots(count: int, rng: np.random.Generator, edge: np.ndarray, crowd: FloatPlane) -> list[np.ndarray]:
    """Share the edge out evenly, then slide each root to the deepest notch of its share."""
    start = rng.integers(len(edge))
    share = len(edge) / count
    roots = []
    for k in range(count):
        middle = start + (k + rng.uniform(0.2, 0.8)) * share
        window = np.arange(int(middle - 0.25 * share), int(middle + 0.25 * share) + 1) % len(edge)
        spots = edge[window]
        roots.append(spots[int(np.argmax(crowd[spots[:, 0], spots[:, 1]]))].astype(float))
    return roots


def _grow(
    septa: np.ndarray,
    clefts: np.ndarray,
    rng: np.random.Generator,
    root: np.ndarray,
    slope: tuple[np.ndarray, np.ndarray],
    deepest_um: float,
    grid: Grid,
) -> None:
    y, x = root.astype(int)
    heading = float(np.arctan2(slope[0][y, x], slope[1][y, x]))
    length = float(rng.uniform(0.25, 0.75)) * deepest_um
    width = float(rng.uniform(9, 20))
    dip = float(rng.uniform(0.6, 1.4)) * width
    tips = [(root, heading, length, width)]
    forks = 2
    while tips:
        at, heading, left, wide = tips.pop()
        whole, turn = left, 0.0
        while left > 0:
            half = 0.5 * (3 + (wide - 3) * left / whole)
            _dot(septa, at, half, grid)
            gone = float(np.hypot(*(at - root))) * grid.pixel_um
            if gone < dip:
                _dot(clefts, at, 0.7 * half * (1 - gone / dip), grid)
            row, column = np.clip(np.round(at).astype(int), 0, np.array(grid.shape) - 1)
            inwards = np.arctan2(slope[0][row, column], slope[1][row, column])
            turn = 0.9 * turn + rng.normal(0, 0.012) + 0.004 * np.sin(inwards - heading)
            heading += turn
            at = at + STEP_UM / grid.pixel_um * np.array([np.sin(heading), np.cos(heading)])
            left -= STEP_UM
            if forks and gone > 60 and rng.random() < STEP_UM / 220:
                forks -= 1
                side = float(rng.choice([-1.0, 1.0])) * float(rng.uniform(0.5, 1.0))
                tips.append((at, heading + side, 0.6 * left, 2 * half))


def _dot(canvas: np.ndarray, at: np.ndarray, radius_um: float, grid: Grid) -> None:
    if radius_um > 0:
        radius = max(8, round(radius_um / grid.pixel_um * 16))
        cv2.circle(canvas, (round(at[1] * 16), round(at[0] * 16)), radius, 1, cv2.FILLED, shift=4)

"""What goes wrong on a slide: doubled folds, torn wedges, fibres and dust, air bubbles, a foam of fat cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from scipy.spatial import cKDTree

from thymusimg.phantom.drawn.mosaic import upsample
from thymusimg.phantom.streams import stream

if TYPE_CHECKING:
    from thymusimg.phantom.drawn.scene import Scene
    from thymusimg.phantom.spec import PhantomSpec
    from thymusimg.section.model import FloatPlane, Grid, Mask


@dataclass(frozen=True)
class Fold:
    """A band where a flap of tissue from ``move`` (coarse pixels, y and x) away lies on top; ``band`` is 0-1."""

    band: FloatPlane
    move: tuple[int, int]


@dataclass(frozen=True)
class Damage:
    """Where the slide is damaged, on the coarse grid.

    ``dirt``, ``fat`` and ``glint`` (the edges of air bubbles) add light, ``torn`` takes it and ``air`` most of it.
    """

    folds: tuple[Fold, ...]
    torn: Mask
    curl: FloatPlane
    dirt: FloatPlane
    fat: FloatPlane
    fat_patch: Mask
    air: Mask
    glint: FloatPlane

    def artefact(self, scene: Scene) -> Mask:
        """Return folds, fibres, dust, bubbles and fat."""
        mask: Mask = (self.dirt > 0.25) | self.fat_patch | self.air | (self.glint > 0.25)
        for fold in self.folds:
            mask |= (fold.band > 0.3) & scene.tissue & ~self.torn
        return mask

    def spoil(self, plane: FloatPlane, grid: Grid) -> None:
        """Fold, tear and soil one plane of light, in place."""
        for fold in self.folds:
            dy, dx = (m * grid.factor for m in fold.move)
            move = np.array([[1, 0, dx], [0, 1, dy]], np.float64)
            flap = cv2.warpAffine(plane, move, plane.shape[::-1], flags=cv2.INTER_NEAREST)
            band = upsample(fold.band, grid)
            # a floor under the flap: the lower layer alone is as bright as its neighbourhood
            plane += band * np.maximum(flap, 0.6 * cv2.blur(plane, (15, 15)))
        if self.torn.any():
            whole = cv2.GaussianBlur(1 - self.torn.astype(np.float32), (0, 0), 0.6)
            plane *= upsample(whole * (1 + self.curl), grid)
        if self.air.any():
            plane *= upsample(
                1 - np.float32(0.65) * cv2.GaussianBlur(self.air.astype(np.float32), (0, 0), 0.8), grid
            )
        if self.dirt.any() or self.fat.any() or self.glint.any():
            plane += upsample(np.float32(4) * self.dirt + self.fat + self.glint, grid)


def draw_damage(spec: PhantomSpec, seed: int, scene: Scene) -> Damage:
    """Draw folds, tears, dirt and fat."""
    grid, optics = scene.grid, spec.optics
    rng = stream(seed, "drawn", "folds")
    folds = tuple(_fold(rng, scene) for _ in range(optics.folds))
    torn = np.zeros(grid.shape, np.uint8)
    rng = stream(seed, "drawn", "tears")
    for _ in range(optics.tears):
        _tear(rng, torn, scene)
    rip = torn.astype(bool) & scene.tissue
    curl = np.zeros(grid.shape, np.float32)
    if rip.any():
        # the lips of a tear roll up
        away = cv2.distanceTransform(1 - rip.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5) * np.float32(
            grid.pixel_um
        )
        curl = np.float32(0.5) * np.exp(-away / np.float32(5)) * ~rip
    fat, patch = _foam(stream(seed, "drawn", "fat"), scene) if optics.fat else (np.zeros_like(curl), rip & ~rip)
    dirt = _dirt(stream(seed, "drawn", "dirt"), optics.debris, grid)
    return Damage(folds, rip, curl, dirt, fat, patch, *_bubbles(stream(seed, "drawn", "air"), optics.bubbles, grid))


def _fold(rng: np.random.Generator, scene: Scene) -> Fold:
    """Return a crease along a bent line: a lens-shaped band, and where the tissue on top of it comes from."""
    grid = scene.grid
    places = np.argwhere(scene.tissue)
    at = places[rng.integers(len(places))].astype(float)
    heading = rng.uniform(0, 2 * np.pi)
    across = np.array([np.cos(heading), -np.sin(heading)])
    length, width = rng.uniform(250, 700), rng.uniform(16, 42)
    middle, turn = [], 0.0
    for k in np.linspace(-0.5, 0.5, 60):
        turn = 0.9 * turn + rng.normal(0, 0.02)
        heading += turn
        middle.append((at.copy(), width * (1 - (2 * k) ** 2)))
        at = at + length / 60 / grid.pixel_um * np.array([np.sin(heading), np.cos(heading)])
    left = [p + across * w / 2 / grid.pixel_um for p, w in middle]
    right = [p - across * w / 2 / grid.pixel_um for p, w in middle]
    band = np.zeros(grid.shape, np.float32)
    ring = np.array(left + right[::-1])[:, ::-1]
    cv2.fillPoly(band, [np.round(ring * 16).astype(np.int32)], 1.0, shift=4)
    move = np.round(across * width / grid.pixel_um).astype(int)
    # a flap is as bright as what it shows, more or less
    soft = cv2.GaussianBlur(band, (0, 0), 0.7) * np.float32(rng.uniform(0.8, 1.25))
    return Fold(soft, (int(move[0]), int(move[1])))


def _tear(rng: np.random.Generator, torn: np.ndarray, scene: Scene) -> None:
    """Rip a wedge in from the edge; its lips are ragged by midpoint displacement and fit each other."""
    grid = scene.grid
    edge = np.argwhere(np.abs(scene.depth_um) < 2 * grid.pixel_um)
    if len(edge) == 0:
        return
    root = edge[rng.integers(len(edge))].astype(float)
    places = np.argwhere(scene.depth_um > 0.4 * scene.depth_um.max())
    goal = places[rng.integers(len(places))]
    way = (goal - root) / max(float(np.hypot(*(goal - root))), 1e-6)
    length, width = rng.uniform(80, 280) / grid.pixel_um, rng.uniform(8, 24) / grid.pixel_um
    line = np.stack([root - 12 / grid.pixel_um * way, root + length * way])
    rough = 0.16 * length
    across = np.array([way[1], -way[0]])
    for _ in range(6):
        middle = (line[1:] + line[:-1]) / 2 + np.outer(rng.normal(0, rough, len(line) - 1), across)
        line = np.insert(line, np.arange(1, len(line)), middle, axis=0)
        rough *= 0.5
    open_ = 0.5 * width * np.linspace(1, 0, len(line))[:, None] * across
    ring = np.concatenate([line + open_, (line - open_)[::-1]])[:, ::-1]
    cv2.fillPoly(torn, [np.round(ring * 16).astype(np.int32)], 1, shift=4)


def _dirt(rng: np.random.Generator, count: int, grid: Grid) -> FloatPlane:
    """Return lint (long bent fibres) and clots of dust, on the tissue and off it."""
    out = np.zeros(grid.shape, np.float32)
    for _ in range(count):
        at = rng.uniform(0, 1, 2) * grid.shape
        if rng.random() < 0.35:
            heading, path = rng.uniform(0, 2 * np.pi), [at]
            for _ in range(int(rng.uniform(8, 30))):
                heading += rng.normal(0, 0.22)
                path.append(path[-1] + 5 / grid.pixel_um * np.array([np.sin(heading), np.cos(heading)]))
            line = np.round(np.array(path)[:, ::-1] * 16).astype(np.int32)
            cv2.polylines(out, [line], False, 1.0, max(1, round(rng.uniform(1.5, 4) / grid.pixel_um)), shift=4)
        else:
            grains = rng.normal(0, rng.uniform(1.5, 9), (int(rng.integers(2, 9)), 2)) / grid.pixel_um + at
            for y, x in grains:
                size = max(8, round(rng.uniform(1.5, 6) / grid.pixel_um * 16))
                cv2.circle(out, (round(x * 16), round(y * 16)), size, 1.0, cv2.FILLED, shift=4)
    return cv2.GaussianBlur(out, (0, 0), 0.5) if count else out


def _foam(rng: np.random.Generator, scene: Scene) -> tuple[FloatPlane, Mask]:
    """Return a lobule of fat against the capsule, and its mask.

    It is a foam: its films are where two cells are equally near.
    """
    grid = scene.grid
    none = np.zeros(grid.shape, np.float32), np.zeros(grid.shape, bool)
    seats = np.argwhere((scene.depth_um < -10) & (scene.depth_um > -55))
    if len(seats) == 0:
        return none
    seat = seats[rng.integers(len(seats))]
    outside = np.argwhere((scene.depth_um < -3) & (scene.depth_um > -110))
    wide = rng.uniform(110, 190)
    place = outside[np.hypot(*(outside - seat).T) * grid.pixel_um < wide]
    if len(place) < 50:
        return none
    count = max(3, int(len(place) * grid.pixel_um**2 / 28**2))
    seeds = place[rng.integers(len(place), size=count)].astype(float)
    for _ in range(4):  # Lloyd's rounds even the cells out
        nearest = cKDTree(seeds).query(place)[1]
        size = np.bincount(nearest, minlength=count)
        for axis in (0, 1):
            total = np.bincount(nearest, weights=place[:, axis], minlength=count)
            seeds[:, axis] = np.where(size > 0, total / np.maximum(size, 1), seeds[:, axis])
    near = np.asarray(cKDTree(seeds).query(place, k=[1, 2])[0])
    film = (near[:, 1] - near[:, 0]) * grid.pixel_um
    fat = none[0].copy()
    fat[place[:, 0], place[:, 1]] = np.exp(-((film / 4.0) ** 2))
    patch = none[1].copy()
    patch[place[:, 0], place[:, 1]] = True
    return cv2.GaussianBlur(fat, (0, 0), 0.7), patch & ~scene.tissue


def _bubbles(rng: np.random.Generator, count: int, grid: Grid) -> tuple[Mask, FloatPlane]:
    """Return the insides of air bubbles, some of them squashed or run together, and the glint along their edges."""
    air = np.zeros(grid.shape, np.uint8)
    for _ in range(count):
        centre = rng.uniform(0, 1, 2) * grid.shape
        for _ in range(int(rng.integers(1, 3))):
            radius = rng.uniform(40, 130) / grid.pixel_um
            axes = (round(radius * rng.uniform(0.8, 1.25)), round(radius))
            at = (round(float(centre[1])), round(float(centre[0])))
            cv2.ellipse(air, at, axes, float(rng.uniform(0, 180)), 0, 360, 1, cv2.FILLED)
            centre = centre + radius * rng.normal(0, 0.8, 2)
    edge = cv2.morphologyEx(air, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)).astype(np.float32)
    return air.astype(bool), cv2.GaussianBlur(edge, (0, 0), 0.6) if count else edge

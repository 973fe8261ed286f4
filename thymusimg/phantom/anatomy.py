"""Where everything lies: outline, capsule, septa, medullary islets, indeterminate zones, cysts and vessels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from thymusimg.compartments.model import PARENCHYMA, Compartment
from thymusimg.phantom.outline import draw_outline, draw_septa
from thymusimg.phantom.streams import random_field, stream
from thymusimg.section.model import Grid

if TYPE_CHECKING:
    from thymusimg.phantom.spec import PhantomSpec
    from thymusimg.section.model import FloatPlane, LabelPlane, Mask

LINING_UM = 6.0
"""Thickness of the epithelium that lines a cyst."""
SMALLEST_PATCH_UM2 = 1200.0
"""Smaller patches of a compartment are noise of the random field, not islets."""
SMALLEST_SPACING_UM = 160.0
"""Islets lie no closer, whatever number is wished for."""
MEDULLA_SCALE = 0.5
"""Correlation length over the islet spacing at which the thresholded field shows about the wished number."""


@dataclass(frozen=True)
class Anatomy:
    """The compartments of a synthetic section on its coarse grid.

    ``depth_um`` is the signed depth under the outline (negative outside), ``medulla_um`` the signed distance to
    the edge of the medulla (positive inside), ``cyst_um`` the depth inside the nearest cyst (negative outside),
    ``poor`` and ``mixed`` divide the indeterminate zone.
    """

    grid: Grid
    labels: LabelPlane
    tissue: Mask
    depth_um: FloatPlane
    medulla_um: FloatPlane
    cyst_um: FloatPlane
    vessel: Mask
    poor: Mask
    mixed: Mask

    @property
    def parenchyma(self) -> Mask:
        """Cortex, medulla and indeterminate."""
        return np.isin(self.labels, PARENCHYMA)


def draw_anatomy(spec: PhantomSpec, seed: int, pixel_size_um: float, size_mm: float | None) -> Anatomy:
    """Draw the compartments of a section on the coarse grid of its slide."""
    polygons, slide_shape = draw_outline(spec, stream(seed, "outline"), pixel_size_um, size_mm)
    grid = Grid.of(slide_shape, pixel_size_um)
    tissue = _fill(polygons, grid)
    depth = signed_distance_um(tissue, grid)
    other = (depth < spec.capsule_um) & tissue
    other |= draw_septa(spec, stream(seed, "septa"), tissue, depth, grid)
    cyst_um = _draw_ellipses(*_choose_cysts(spec, stream(seed, "cysts"), depth, other, grid), grid)
    cyst = (cyst_um > 0) & tissue & (depth > 0.5 * spec.capsule_um)
    parenchyma = tissue & ~other & ~cyst
    medulla = _draw_medulla(spec, stream(seed, "medulla"), depth, parenchyma, grid)
    vessel = _draw_vessels(spec, stream(seed, "vessels"), medulla, parenchyma, grid)
    parenchyma &= ~vessel
    medulla &= ~vessel
    indeterminate, poor = _draw_indeterminate(spec, stream(seed, "indeterminate"), parenchyma, medulla, grid)
    labels = np.zeros(grid.shape, np.uint8)
    labels[tissue] = Compartment.OTHER
    labels[parenchyma] = Compartment.CORTEX
    labels[medulla] = Compartment.MEDULLA
    labels[indeterminate] = Compartment.INDETERMINATE
    labels[cyst] = Compartment.CYST
    return Anatomy(
        grid, labels, tissue, depth, signed_distance_um(medulla, grid), cyst_um, vessel, poor, indeterminate & ~poor
    )


def signed_distance_um(mask: Mask, grid: Grid) -> FloatPlane:
    """Return the distance to the edge of ``mask`` in µm, positive inside."""
    inside = mask.astype(np.uint8)
    if not inside.any():
        return np.full(mask.shape, -1e4, np.float32)
    into = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    away = cv2.distanceTransform(1 - inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # half a pixel each: the edge runs between pixels
    signed: FloatPlane = ((into - 0.5 * inside) - (away - 0.5 * (1 - inside))) * np.float32(grid.pixel_um)
    return signed


def _fill(polygons: list[np.ndarray], grid: Grid) -> Mask:
    canvas = np.zeros(grid.shape, np.uint8)
    for polygon in polygons:
        corners = np.round(grid.to_index(polygon)[:, ::-1] * 16).astype(np.int32)
        cv2.fillPoly(canvas, [corners], 1, shift=4)
    return canvas.astype(bool)


def _draw_medulla(
    spec: PhantomSpec, rng: np.random.Generator, depth: FloatPlane, parenchyma: Mask, grid: Grid
) -> Mask:
    """Threshold a random field plus a prior of depth; a disordered thymus keeps little of the prior."""
    area_um2 = float(np.count_nonzero(parenchyma) * grid.pixel_um**2)
    if spec.medulla_fraction == 0 or area_um2 == 0:
        return np.zeros(grid.shape, bool)
    # islets have a size of their own: a small lobe holds fewer, not smaller ones
    spacing_um = max(SMALLEST_SPACING_UM, math.sqrt(float(area_um2) / spec.islets))
    # the prior of depth, which grows with order, melts islets together: a finer field makes up for it
    scale = MEDULLA_SCALE * (1.15 - 0.5 * spec.order) * math.sqrt(spec.medulla_fraction + 0.2)
    sigma_px = max(2.0, 0.5 * scale * spacing_um / grid.pixel_um)
    field = random_field(rng, grid.shape, sigma_px)
    prior = np.clip(depth / (0.55 * float(depth.max())), 0, 1)
    field += np.float32(0.4 + 2.8 * spec.order) * prior
    field += np.float32(0.15) * random_field(rng, grid.shape, max(1.5, 12 / grid.pixel_um))
    cut = np.quantile(field[parenchyma], 1 - spec.medulla_fraction)
    return _tidy((field > cut) & parenchyma, parenchyma, grid)


def _draw_indeterminate(
    spec: PhantomSpec, rng: np.random.Generator, parenchyma: Mask, medulla: Mask, grid: Grid
) -> tuple[Mask, Mask]:
    empty = np.zeros(grid.shape, bool)
    free = parenchyma & ~medulla
    wanted = spec.indeterminate_fraction * float(np.count_nonzero(parenchyma))
    share = min(1.0, wanted / max(1.0, float(np.count_nonzero(free))))
    if share == 0:
        return empty, empty
    field = random_field(rng, grid.shape, 45 / grid.pixel_um)
    field += np.float32(0.22) * random_field(rng, grid.shape, 11 / grid.pixel_um)
    zone = free if share >= 1 else _tidy((field > np.quantile(field[free], 1 - share)) & free, free, grid)
    if not zone.any():
        return empty, empty
    split = random_field(rng, grid.shape, 60 / grid.pixel_um)
    poor = zone & (split <= np.quantile(split[zone], spec.poor_share)) if spec.poor_share > 0 else empty
    return zone, poor


def _tidy(zone: Mask, within: Mask, grid: Grid) -> Mask:
    """Drop crumbs and fill pinholes below the smallest patch."""
    least = max(1, round(SMALLEST_PATCH_UM2 / grid.pixel_um**2))
    zone = _without_crumbs(zone, least)
    return within & ~_without_crumbs(within & ~zone, least)


def _without_crumbs(mask: Mask, least: int) -> Mask:
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    keep = stats[:, cv2.CC_STAT_AREA] >= least
    keep[0] = False
    kept: Mask = keep[labels]
    return kept


def _choose_cysts(
    spec: PhantomSpec, rng: np.random.Generator, depth: FloatPlane, other: Mask, grid: Grid
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return centres (µm), half-axes (µm) and angles of cysts that fill the wished share of the tissue."""
    wanted = spec.cyst_fraction * np.count_nonzero(depth > 0) * grid.pixel_um**2
    centres: list[np.ndarray] = []
    axes: list[tuple[float, float]] = []
    angles: list[float] = []
    places = np.argwhere((depth > 35) & ~other)
    while wanted > 400 and len(places) and len(centres) < 60:
        radius = min(float(rng.lognormal(np.log(38), 0.4)), np.sqrt(wanted / np.pi) * 1.02)
        y, x = places[rng.integers(len(places))]
        aspect = rng.uniform(1, 1.7)
        radius = min(radius, 0.9 * float(depth[y, x]) / np.sqrt(aspect))
        centres.append(grid.to_um([y, x]))
        axes.append((radius * np.sqrt(aspect), radius / np.sqrt(aspect)))
        angles.append(rng.uniform(0, np.pi))
        wanted -= np.pi * radius**2
    return np.array(centres).reshape(-1, 2), np.array(axes).reshape(-1, 2), np.array(angles)


def _draw_ellipses(centres: np.ndarray, axes: np.ndarray, angles: np.ndarray, grid: Grid) -> FloatPlane:
    """Return the depth inside the nearest of the ellipses, in µm (first order), negative outside."""
    depth = np.full(grid.shape, -1e4, np.float32)
    for (cy, cx), (a, b), angle in zip(centres, axes, angles, strict=True):
        reach = 1.2 * max(a, b) + 8  # farther out nobody asks how far
        low = np.maximum(np.floor(grid.to_index([cy - reach, cx - reach])).astype(int), 0)
        high = np.maximum(np.ceil(grid.to_index([cy + reach, cx + reach])).astype(int), low)
        box = depth[low[0] : high[0], low[1] : high[1]]
        y = grid.to_um(low[0] + np.arange(box.shape[0]))[:, None] - cy
        x = grid.to_um(low[1] + np.arange(box.shape[1]))[None, :] - cx
        u = (np.cos(angle) * x + np.sin(angle) * y) / a
        v = (-np.sin(angle) * x + np.cos(angle) * y) / b
        wobble = 1 + 0.05 * np.sin(3 * np.arctan2(v, u) + 5 * angle) + 0.03 * np.sin(7 * np.arctan2(v, u) + angle)
        np.maximum(box, ((1 - np.hypot(u, v) * wobble) * np.sqrt(a * b)).astype(np.float32), out=box)
    return depth


def _draw_vessels(spec: PhantomSpec, rng: np.random.Generator, medulla: Mask, parenchyma: Mask, grid: Grid) -> Mask:
    edge = np.abs(signed_distance_um(medulla, grid)) < 15
    places = np.argwhere(parenchyma & edge) if (parenchyma & edge).any() else np.argwhere(parenchyma)
    if spec.vessels == 0 or len(places) == 0:
        return np.zeros(grid.shape, bool)
    chosen = places[rng.integers(len(places), size=spec.vessels)]
    half = rng.uniform(5, 13, (spec.vessels, 1)) * np.array([1.0, 1.0])
    half[:, 0] *= rng.uniform(1, 2.2, spec.vessels)
    depth = _draw_ellipses(grid.to_um(chosen), half, rng.uniform(0, np.pi, spec.vessels), grid)
    return (depth > 0) & parenchyma

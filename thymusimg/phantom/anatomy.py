"""Where everything lies: outline, capsule, septa, medullary islets, indeterminate zones, cysts and vessels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from thymusimg.compartments.model import PARENCHYMA, Compartment
from thymusimg.phantom.outline import draw_outline, draw_septa
from thymusimg.phantom.patch import Patch
from thymusimg.phantom.streams import key, smooth_noise, stream
from thymusimg.section.model import Grid

if TYPE_CHECKING:
    import numpy.typing as npt

    from thymusimg.phantom.spec import PhantomSpec
    from thymusimg.section.model import FloatPlane, LabelPlane, Mask

    HalfPlane = npt.NDArray[np.float16]

LINING_UM = 6.0
"""Thickness of the epithelium that lines a cyst."""
SMALLEST_PATCH_UM2 = 1200.0
"""Smaller patches of a compartment are noise of the random field, not islets."""
SMALLEST_SPACING_UM = 160.0
"""Islets lie no closer, whatever number is wished for."""
MEDULLA_SCALE = 0.5
"""Correlation length over the islet spacing at which the thresholded field shows about the wished number."""

MOST_SORTED = 4_000_000
"""Quantiles of larger zones come from a regular subset."""
MOST_CYSTS = 200


@dataclass(frozen=True)
class Ellipses:
    """Slightly wobbly ellipses: centres (y, x) and half-axes in µm, angles in radians."""

    centres: np.ndarray
    axes: np.ndarray
    angles: np.ndarray

    def depth_um(self, patch: Patch) -> FloatPlane:
        """Return the depth inside the nearest of the ellipses, in µm (first order), negative outside."""
        depth = np.full(patch.window.shape, -1e4, np.float32)
        for (cy, cx), (a, b), angle in zip(self.centres, self.axes, self.angles, strict=True):
            reach = 1.2 * max(a, b) + 8  # farther out nobody asks how far
            rows = slice(*np.searchsorted(patch.rows_um, (cy - reach, cy + reach)))
            columns = slice(*np.searchsorted(patch.columns_um, (cx - reach, cx + reach)))
            box = depth[rows, columns]
            if box.size == 0:
                continue
            y = patch.rows_um[rows, None] - cy
            x = patch.columns_um[None, columns] - cx
            u = (np.cos(angle) * x + np.sin(angle) * y) / a
            v = (-np.sin(angle) * x + np.cos(angle) * y) / b
            wobble = (
                1 + 0.05 * np.sin(3 * np.arctan2(v, u) + 5 * angle) + 0.03 * np.sin(7 * np.arctan2(v, u) + angle)
            )
            np.maximum(box, ((1 - np.hypot(u, v) * wobble) * np.sqrt(a * b)).astype(np.float32), out=box)
        return depth


@dataclass(frozen=True)
class Anatomy:
    """The compartments of a synthetic section on its coarse grid.

    ``depth_um`` is the signed depth under the outline (negative outside), ``medulla_um`` the signed distance to
    the edge of the medulla (positive inside), both
    in half precision, a per mille of the distance; ``poor`` and ``mixed`` divide the indeterminate zone.
    """

    grid: Grid
    labels: LabelPlane
    tissue: Mask
    depth_um: HalfPlane
    medulla_um: HalfPlane
    cysts: Ellipses
    vessel: Mask
    poor: Mask

    @property
    def parenchyma(self) -> Mask:
        """Cortex, medulla and indeterminate."""
        return is_parenchyma(self.labels)

    @property
    def mixed(self) -> Mask:
        """The indeterminate zone where K8 and K14 are mixed."""
        zone: Mask = (self.labels == Compartment.INDETERMINATE) & ~self.poor
        return zone


def is_parenchyma(labels: LabelPlane) -> Mask:
    """Return where ``labels`` say cortex, medulla or indeterminate."""
    inside: Mask = (labels >= min(PARENCHYMA)) & (labels <= max(PARENCHYMA))
    return inside


def draw_anatomy(spec: PhantomSpec, seed: int, pixel_size_um: float, size_mm: float | None) -> Anatomy:
    """Draw the compartments of a section on the coarse grid of its slide."""
    polygons, slide_shape = draw_outline(spec, stream(seed, "outline"), pixel_size_um, size_mm)
    grid = Grid.of(slide_shape, pixel_size_um)
    tissue = _fill(polygons, grid)
    depth = signed_distance_um(tissue, grid)
    other = (depth < spec.capsule_um) & tissue
    other |= draw_septa(spec, stream(seed, "septa"), tissue, depth, grid)
    cysts = _choose_cysts(spec, stream(seed, "cysts"), depth, other, grid)
    cyst = (cysts.depth_um(Patch.coarse(grid)) > 0) & tissue & (depth > 0.5 * spec.capsule_um)
    parenchyma = tissue & ~other & ~cyst
    medulla = _draw_medulla(spec, seed, depth, parenchyma, grid)
    vessel = _draw_vessels(spec, stream(seed, "vessels"), medulla, parenchyma, grid)
    parenchyma &= ~vessel
    medulla &= ~vessel
    indeterminate, poor = _draw_indeterminate(spec, seed, parenchyma, medulla, grid)
    labels = np.zeros(grid.shape, np.uint8)
    labels[tissue] = Compartment.OTHER
    labels[parenchyma] = Compartment.CORTEX
    labels[medulla] = Compartment.MEDULLA
    labels[indeterminate] = Compartment.INDETERMINATE
    labels[cyst] = Compartment.CYST
    inside, depth_half = signed_distance_um(medulla, grid).astype(np.float16), depth.astype(np.float16)
    return Anatomy(grid, labels, tissue, depth_half, inside, cysts, vessel, poor)


def signed_distance_um(mask: Mask, grid: Grid) -> FloatPlane:
    """Return the distance to the edge of ``mask`` in µm, positive inside."""
    inside = mask.astype(np.uint8)
    if not inside.any():
        return np.full(mask.shape, -1e4, np.float32)
    signed: FloatPlane = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    signed -= cv2.distanceTransform(1 - inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    signed -= np.float32(0.5)  # half a pixel: the edge runs between pixels
    signed += inside
    signed *= np.float32(grid.pixel_um)
    return signed


def pick_places(rng: np.random.Generator, allowed: Mask, grid: Grid, count: int) -> np.ndarray:
    """Return up to ``count`` random places (y, x in µm) in ``allowed``.

    They are thrown at the slide until they hit, so that another pixel size picks the same ones.
    """
    extent = thrown_at_um(grid)
    found: list[np.ndarray] = []
    if count == 0 or not allowed.any():
        return np.empty((0, 2))
    for _ in range(1000):
        thrown = rng.random((256, 2)) * extent
        at = nearest_pixel(thrown, grid)
        found.extend(thrown[allowed[at[:, 0], at[:, 1]]])
        if len(found) >= count:
            break
    return np.array(found[:count]).reshape(-1, 2)


def thrown_at_um(grid: Grid) -> np.ndarray:
    """Return height and width of what random places are thrown at: the slide, rounded up to 100 µm.

    The rounding makes it the same at other pixel sizes, whose slides differ by parts of a pixel.
    """
    extent: np.ndarray = np.ceil(np.array(grid.slide_shape) * grid.slide_pixel_um / 100) * 100
    return extent


def nearest_pixel(places_um: np.ndarray, grid: Grid) -> npt.NDArray[np.int64]:
    """Return the coarse pixels (row, column) at places in µm; beyond the edge the nearest."""
    at = np.round(grid.to_index(places_um)).astype(np.int64)
    return np.clip(at, 0, np.array(grid.shape) - 1)


def _fill(polygons: list[np.ndarray], grid: Grid) -> Mask:
    canvas = np.zeros(grid.shape, np.uint8)
    for polygon in polygons:
        corners = np.round(grid.to_index(polygon)[:, ::-1] * 16).astype(np.int32)
        cv2.fillPoly(canvas, [corners], 1, shift=4)
    return canvas.astype(bool)


def _draw_medulla(spec: PhantomSpec, seed: int, depth: FloatPlane, parenchyma: Mask, grid: Grid) -> Mask:
    """Threshold a random field plus a prior of depth; a disordered thymus keeps little of the prior."""
    area_um2 = float(np.count_nonzero(parenchyma) * grid.pixel_um**2)
    if spec.medulla_fraction == 0 or area_um2 == 0:
        return np.zeros(grid.shape, bool)
    # islets have a size of their own: a small lobe holds fewer, not smaller ones
    spacing_um = max(SMALLEST_SPACING_UM, math.sqrt(float(area_um2) / spec.islets))
    # the prior of depth, which grows with order, melts islets together: a finer field makes up for it
    scale = MEDULLA_SCALE * (1.15 - 0.5 * spec.order) * math.sqrt(spec.medulla_fraction + 0.2)
    whole = Patch.coarse(grid)
    field = smooth_noise(key(seed, "medulla"), max(4.0, 0.5 * scale * spacing_um), whole)
    prior = np.clip(depth, 0, 0.55 * float(depth.max()))
    prior *= np.float32((0.4 + 2.8 * spec.order) / (0.55 * float(depth.max())))
    field += prior
    del prior
    field += np.float32(0.15) * smooth_noise(key(seed, "medulla edge"), 12.0, whole)
    return _tidy((field > _cut(field, parenchyma, 1 - spec.medulla_fraction)) & parenchyma, parenchyma, grid)


def _draw_indeterminate(
    spec: PhantomSpec, seed: int, parenchyma: Mask, medulla: Mask, grid: Grid
) -> tuple[Mask, Mask]:
    empty = np.zeros(grid.shape, bool)
    free = parenchyma & ~medulla
    wanted = spec.indeterminate_fraction * float(np.count_nonzero(parenchyma))
    share = min(1.0, wanted / max(1.0, float(np.count_nonzero(free))))
    if share == 0:
        return empty, empty
    whole = Patch.coarse(grid)
    zone = free
    if share < 1:
        field = smooth_noise(key(seed, "indeterminate"), 45.0, whole)
        field += np.float32(0.22) * smooth_noise(key(seed, "indeterminate edge"), 11.0, whole)
        zone = _tidy((field > _cut(field, free, 1 - share)) & free, free, grid)
        del field
    if not zone.any() or spec.poor_share == 0:
        return zone, empty
    split = smooth_noise(key(seed, "poor"), 60.0, whole)
    return zone, zone & (split <= _cut(split, zone, spec.poor_share))


def _cut(field: FloatPlane, zone: Mask, share: float) -> float:
    """Return the value below which ``share`` of the zone lies (of every n-th pixel where there are millions)."""
    every = max(1, math.isqrt(zone.size // MOST_SORTED))
    return float(np.quantile(field[::every, ::every][zone[::every, ::every]], share))


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
) -> Ellipses:
    """Return cysts that fill the wished share of the tissue."""
    wanted = spec.cyst_fraction * np.count_nonzero(depth > 0) * grid.pixel_um**2
    centres: list[np.ndarray] = []
    axes: list[tuple[float, float]] = []
    angles: list[float] = []
    places = pick_places(rng, (depth > 35) & ~other, grid, MOST_CYSTS) if wanted > 400 else np.empty((0, 2))
    for place, (y, x) in zip(places, nearest_pixel(places, grid), strict=True):
        if wanted <= 400:
            break
        radius = min(float(rng.lognormal(np.log(38), 0.4)), math.sqrt(wanted / math.pi) * 1.02)
        aspect = rng.uniform(1, 1.7)
        radius = min(radius, 0.9 * float(depth[y, x]) / math.sqrt(aspect))
        centres.append(place)
        axes.append((radius * math.sqrt(aspect), radius / math.sqrt(aspect)))
        angles.append(rng.uniform(0, math.pi))
        wanted -= math.pi * radius**2
    return Ellipses(np.array(centres).reshape(-1, 2), np.array(axes).reshape(-1, 2), np.array(angles))


def _draw_vessels(spec: PhantomSpec, rng: np.random.Generator, medulla: Mask, parenchyma: Mask, grid: Grid) -> Mask:
    if spec.vessels == 0:
        return np.zeros(grid.shape, bool)
    edge = (np.abs(signed_distance_um(medulla, grid)) < 15) & parenchyma
    places = pick_places(rng, edge if edge.any() else parenchyma, grid, spec.vessels)
    half = rng.uniform(5, 13, (spec.vessels, 1)) * np.array([1.0, 1.0])
    half[:, 0] *= rng.uniform(1, 2.2, spec.vessels)
    angles = rng.uniform(0, np.pi, spec.vessels)
    vessels = Ellipses(places, half[: len(places)], angles[: len(places)])
    return (vessels.depth_um(Patch.coarse(grid)) > 0) & parenchyma

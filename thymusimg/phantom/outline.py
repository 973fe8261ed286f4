"""The outline of a lobe as a union of perturbed ellipses, and the septa that cut into it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from thymusimg.phantom.spec import PhantomSpec
    from thymusimg.section.model import FloatPlane, Grid, Mask

MARGIN_UM = 50.0
"""Empty slide around the tissue."""
_POINTS = 360


def draw_outline(
    spec: PhantomSpec, rng: np.random.Generator, pixel_size_um: float, size_mm: float | None
) -> tuple[list[np.ndarray], tuple[int, int]]:
    """Return the polygons (y, x in µm) whose union is the lobe, and the slide's shape in pixels.

    With ``size_mm`` the slide is a square of that side and the lobe is shrunk where it would not fit; without it
    the slide is the lobe's box and a margin.
    """
    shapes = _unit_shapes(spec, rng)
    scale = np.sqrt(spec.area_mm2 * 1e6 / _union_area(shapes))
    shapes = [s * scale for s in shapes]
    every = np.concatenate(shapes)
    low, extent = every.min(0), np.ptp(every, axis=0)
    if size_mm is None:
        side = extent + 2 * MARGIN_UM
    else:
        side = np.array([size_mm, size_mm]) * 1e3
        margin = min(MARGIN_UM, 0.06 * side[0])
        fit = min(1.0, float(((side - 2 * margin) / extent).min()))
        shapes = [(s - low) * fit + low for s in shapes]
        extent = extent * fit
    shift = (side - extent) / 2 - low
    height, width = (max(16, round(float(v) / pixel_size_um)) for v in side)
    return [s + shift for s in shapes], (height, width)


def _unit_shapes(spec: PhantomSpec, rng: np.random.Generator) -> list[np.ndarray]:
    angle = rng.uniform(0, np.pi)
    shapes: list[np.ndarray] = []
    at, heading = np.zeros(2), angle
    for index in range(spec.lobules):
        size = 1.0 if index == 0 else rng.uniform(0.55, 0.9)
        aspect = rng.uniform(1.15, 1.7)
        if index:
            heading = angle + np.pi * (index % 2) + rng.normal(0, 0.5)
            at = rng.uniform(0.8, 1.15) * np.array([np.sin(heading), np.cos(heading)])
        shapes.append(
            _perturbed_ellipse(rng, spec.outline_roughness, size, aspect, angle + rng.normal(0, 0.3)) + at
        )
    return shapes


def _perturbed_ellipse(
    rng: np.random.Generator, roughness: float, size: float, aspect: float, angle: float
) -> np.ndarray:
    theta = np.linspace(0, 2 * np.pi, _POINTS, endpoint=False)
    orders = np.arange(2, 10)
    amplitude = rng.normal(0, 1, len(orders)) / orders
    phase = rng.uniform(0, 2 * np.pi, len(orders))
    waves = (amplitude[:, None] * np.cos(orders[:, None] * theta + phase[:, None])).sum(0)
    expected = np.sqrt((1.0 / orders**2).sum() / 2)
    radius = size * np.maximum(0.4, 1 + roughness * waves / expected)
    u, v = radius * np.sqrt(aspect) * np.cos(theta), radius / np.sqrt(aspect) * np.sin(theta)
    return np.stack([np.sin(angle) * u + np.cos(angle) * v, np.cos(angle) * u - np.sin(angle) * v], axis=1)


def _union_area(shapes: list[np.ndarray]) -> float:
    every = np.concatenate(shapes)
    low, extent = every.min(0), float(np.ptp(every, axis=0).max())
    fine = 1000 / extent
    canvas = np.zeros((1024, 1024), np.uint8)
    for shape in shapes:
        cv2.fillPoly(canvas, [np.round(((shape - low) * fine + 10)[:, ::-1] * 16).astype(np.int32)], 1, shift=4)
    return float(np.count_nonzero(canvas)) / fine**2


def draw_septa(spec: PhantomSpec, rng: np.random.Generator, tissue: Mask, depth: FloatPlane, grid: Grid) -> Mask:
    """Return septa: tapering, wandering wedges from the capsule, for choice from the clefts between lobules."""
    canvas = np.zeros(grid.shape, np.uint8)
    contours, _ = cv2.findContours(tissue.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if spec.septa == 0 or not contours:
        return canvas.astype(bool)
    edge = max(contours, key=len)[:, 0, ::-1].astype(float)
    # a cleft is where the average tissue around the edge is more than half
    reach = max(3.0, 40 / grid.pixel_um)
    crowd = cv2.GaussianBlur(tissue.astype(np.float32), (0, 0), reach)[
        edge[:, 0].astype(int), edge[:, 1].astype(int)
    ]
    odds = np.exp(18.0 * (crowd - crowd.mean()))
    gy, gx = np.gradient(cv2.GaussianBlur(depth, (0, 0), reach))
    for _ in range(spec.septa):
        start = rng.choice(len(edge), p=odds / odds.sum())
        odds *= 1 - np.exp(-0.5 * (np.hypot(*(edge - edge[start]).T) * grid.pixel_um / 120) ** 2)
        odds += 1e-12
        _draw_septum(canvas, rng, edge[start], (gy, gx), float(depth.max()), grid)
    return canvas.astype(bool) & tissue


def _draw_septum(
    canvas: np.ndarray,
    rng: np.random.Generator,
    start: np.ndarray,
    slope: tuple[np.ndarray, np.ndarray],
    deepest_um: float,
    grid: Grid,
) -> None:
    at = start.copy()
    y, x = int(at[0]), int(at[1])
    heading = np.arctan2(slope[0][y, x], slope[1][y, x]) + rng.normal(0, 0.25)
    length_um = rng.uniform(0.35, 0.95) * deepest_um
    width_um = rng.uniform(8, 18)
    step = 3.0 / grid.pixel_um
    steps = max(2, int(length_um / 3.0))
    left, right = [], []
    for k in range(steps):
        half = 0.5 * (width_um * (1 - k / steps) ** 0.8 + 2.5) / grid.pixel_um
        across = np.array([np.cos(heading), -np.sin(heading)])
        left.append(at + half * across)
        right.append(at - half * across)
        heading += rng.normal(0, 0.09)
        at = at + step * np.array([np.sin(heading), np.cos(heading)])
    ring = np.array(left + right[::-1])
    cv2.fillPoly(canvas, [np.round(ring[:, ::-1] * 16).astype(np.int32)], 1, shift=4)

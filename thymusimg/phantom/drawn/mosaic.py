"""Mosaics of random cells on the coarse grid, and the way between the coarse grid and the slide."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from thymusimg.section.model import FloatPlane, Grid


def lumps(rng: np.random.Generator, shape: tuple[int, int], size: float) -> FloatPlane:
    """Return a Voronoi mosaic with a standard normal number a cell; ``size`` is the mean cell's side in pixels."""
    count = max(4, round(shape[0] * shape[1] / size**2))
    seeds = np.ones(shape, np.uint8)
    seeds[rng.integers(0, shape[0], count), rng.integers(0, shape[1], count)] = 0
    _, label = cv2.distanceTransformWithLabels(seeds, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL)
    values: FloatPlane = rng.standard_normal(int(label.max()) + 1).astype(np.float32)[label]
    return values


def soft_lumps(rng: np.random.Generator, shape: tuple[int, int], size: float, softness: float) -> FloatPlane:
    """Return a mosaic whose borders are blurred by an SD of ``softness`` pixels; its variance is below 1."""
    soft: FloatPlane = cv2.GaussianBlur(lumps(rng, shape, size), (0, 0), max(0.5, softness))
    return soft


def bend(
    plane: FloatPlane, push: tuple[FloatPlane, FloatPlane], interpolation: int = cv2.INTER_LINEAR
) -> FloatPlane:
    """Return a plane whose every place shows what lies ``push`` (rows, columns in pixels) away."""
    rows, columns = np.indices(plane.shape, dtype=np.float32)
    bent: FloatPlane = cv2.remap(
        plane, columns + push[1], rows + push[0], interpolation, borderMode=cv2.BORDER_REPLICATE
    )
    return bent


def upsample(plane: FloatPlane, grid: Grid) -> FloatPlane:
    """Return a coarse plane interpolated to full resolution, block centres where they belong."""
    size = (plane.shape[1] * grid.factor, plane.shape[0] * grid.factor)
    full = cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR)
    cut: FloatPlane = full[: grid.slide_shape[0], : grid.slide_shape[1]]
    return cut


def block_mean(plane: FloatPlane, grid: Grid) -> FloatPlane:
    """Return the mean of every coarse pixel's block; blocks that the slide cuts repeat its edge."""
    rows, columns = (n * grid.factor - size for n, size in zip(grid.shape, plane.shape, strict=True))
    whole = np.pad(plane, ((0, rows), (0, columns)), mode="edge")
    mean: FloatPlane = cv2.resize(whole, grid.shape[::-1], interpolation=cv2.INTER_AREA)
    return mean

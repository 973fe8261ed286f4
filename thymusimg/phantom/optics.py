"""From stain to light on the camera: autofluorescence, bleed-through, blur, shift, vignetting and seams."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from thymusimg.compartments.model import Compartment
from thymusimg.phantom.patch import Patch, coarse_patch, gauss, reach_px, upsample_patch
from thymusimg.phantom.streams import key, smooth_noise, stream

if TYPE_CHECKING:
    from thymusimg.phantom.anatomy import Anatomy
    from thymusimg.phantom.spec import OpticsSpec
    from thymusimg.section.model import FloatPlane

_DRIFT_SCALE = 0.3
"""SD of the drift's kernel over the longer side of the slide."""


def mixing_matrix(optics: OpticsSpec, seed: int, channels: int) -> np.ndarray:
    """Return the (C, C) matrix that mixes stains into channels: 1 on the diagonal, up to ``bleed`` off it."""
    matrix = optics.bleed * stream(seed, "bleed").uniform(0, 1, (channels, channels))
    np.fill_diagonal(matrix, 1.0)
    return matrix


def channel_shifts(optics: OpticsSpec, seed: int, channels: int) -> np.ndarray:
    """Return the (C, 2) shifts (y, x in µm) of the channels against the first, cut at twice their SD."""
    shifts = np.clip(stream(seed, "shift").normal(0, 1, (channels, 2)), -2, 2) * optics.shift_um
    shifts[0] = 0
    return shifts


@dataclass(frozen=True)
class Drift:
    """The slow change of a stain's strength over the section: exp(sd · z), z standardised over the tissue."""

    noise: int
    sigma_um: float
    mean: float
    spread: float
    sd: float

    def gain(self, patch: Patch) -> FloatPlane:
        """Return the factor at every pixel of a (coarse) patch."""
        z = (smooth_noise(self.noise, self.sigma_um, patch) - np.float32(self.mean)) / np.float32(self.spread)
        gain: FloatPlane = np.exp(np.float32(self.sd) * np.clip(z, -2.5, 2.5))
        return gain


def stain_drifts(optics: OpticsSpec, seed: int, anatomy: Anatomy, channels: int) -> list[Drift]:
    """Return how every stain drifts; an empty list where none does."""
    if optics.stain_drift == 0:
        return []
    grid = anatomy.grid
    # a field this slow is standardised well enough on every n-th pixel
    every = max(1, max(grid.shape) // 250)
    thin = Patch.coarse(grid)
    sparse = Patch(
        thin.window._replace(y1=-(-grid.shape[0] // every), x1=-(-grid.shape[1] // every)),
        grid.shape, grid.pixel_um * every, grid.translation_um,
    )  # fmt: skip
    inside = anatomy.tissue[::every, ::every]
    sigma = _DRIFT_SCALE * max(grid.shape) * grid.pixel_um
    drifts = []
    for channel in range(channels):
        noise = key(seed, "drift", channel)
        field = smooth_noise(noise, sigma, sparse)[inside]
        spread = max(float(field.std(dtype=np.float64)), 1e-6)
        drifts.append(Drift(noise, sigma, float(field.mean(dtype=np.float64)), spread, optics.stain_drift))
    return drifts


def tissue_glow(optics: OpticsSpec, seed: int, anatomy: Anatomy, patch: Patch, channels: int) -> list[FloatPlane]:
    """Return what shines without stain, a plane a channel: autofluorescence, capsule and septa, edge rim.

    An empty list means nothing at all shines in this window.
    """
    grid = anatomy.grid
    wide = coarse_patch(grid, patch, margin=1 + reach_px(0.8))
    coarse = coarse_patch(grid, patch)
    at = coarse.window.slices
    if not anatomy.tissue[wide.window.slices].any() and not (anatomy.depth_um[at] > -0.5 * grid.pixel_um).any():
        return []
    depth = anatomy.depth_um[at].astype(np.float32)
    alpha = np.clip(depth / grid.pixel_um + np.float32(0.5), 0, 1)
    alpha *= np.clip(np.float32(0.5) - anatomy.cysts.depth_um(coarse) / grid.pixel_um, 0.15, 1)
    alpha[anatomy.vessel[at]] *= np.float32(0.3)
    under = wide.window.slices
    connective = ((anatomy.labels[under] == Compartment.OTHER) & ~anatomy.vessel[under]).astype(np.float32)
    connective = np.asarray(wide.cut(gauss(connective, 0.8), coarse), np.float32)
    rng = stream(seed, "rim")
    rim_um = rng.uniform(20, 50)
    rim = np.exp(np.float32(-0.5) * (depth / np.float32(rim_um / 2)) ** 2) * alpha
    texture = np.float32(optics.autofluorescence_texture)
    uneven = np.maximum(0, 1 + texture * smooth_noise(key(seed, "glow"), 8.0, coarse))
    grain = np.float32(0.5) * texture * smooth_noise(key(seed, "glow fine"), 1.5, patch)
    grain += 1
    glow = []
    for _ in range(channels):
        plane = np.float32(optics.autofluorescence * rng.uniform(0.7, 1.3)) * alpha * uneven
        plane += np.float32(optics.capsule_glow * rng.uniform(0.6, 1.4)) * connective
        plane += np.float32(optics.edge_rim * rng.uniform(0.6, 1.4)) * rim
        full = upsample_patch(plane, coarse, patch)
        full *= grain
        glow.append(full)
    return glow


def blur_reach_um(optics: OpticsSpec, shifts: np.ndarray, pixel_um: float) -> float:
    """Return how far the point spread functions look, in µm."""
    farthest = float(np.abs(shifts).max(initial=0.0)) / pixel_um
    wide = optics.defocus_um if optics.defocus_share > 0 else 0.0
    return reach_px(max(optics.psf_um, wide) / pixel_um, farthest) * pixel_um


def blur(plane: FloatPlane, optics: OpticsSpec, shift_um: np.ndarray, pixel_um: float) -> FloatPlane:
    """Return a plane through the two-Gaussian point spread function, shifted."""
    shift = (float(shift_um[0]) / pixel_um, float(shift_um[1]) / pixel_um)
    sharp = gauss(plane, optics.psf_um / pixel_um, shift)
    if optics.defocus_share > 0 and optics.defocus_um > 0:
        sharp *= np.float32(1 - optics.defocus_share)
        wide = gauss(plane, optics.defocus_um / pixel_um, shift)
        wide *= np.float32(optics.defocus_share)
        sharp += wide
    return sharp


@dataclass(frozen=True)
class Illumination:
    """How much light each place gets in one channel: vignetting of camera tiles, and steps between them."""

    side: int
    centre: tuple[float, float]
    vignetting: float
    gains: np.ndarray

    def shade(self, plane: FloatPlane, patch: Patch, glass: float) -> None:
        """Add the glow of the glass and multiply by the light of every pixel, in place."""
        _shade(
            plane, patch.window.y0, patch.window.x0, self.side, *self.centre, np.float32(self.vignetting),
            self.gains, np.float32(glass),
        )  # fmt: skip


@njit(cache=True, nogil=True)
def _shade(plane, y0, x0, side, cy, cx, vignetting, gains, glass):  # type: ignore[no-untyped-def]
    for i in range(plane.shape[0]):
        row, y = (y0 + i) // side, np.float32((y0 + i) % side - cy)
        for j in range(plane.shape[1]):
            column, x = (x0 + j) // side, np.float32((x0 + j) % side - cx)
            fall = 1 - vignetting * (y * y + x * x) / np.float32(0.5 * side * side)
            plane[i, j] = (plane[i, j] + glass) * max(np.float32(0.1), gains[row, column] * np.float32(fall))


def illumination(optics: OpticsSpec, seed: int, channel: int, slide_shape: tuple[int, int]) -> Illumination:
    """Return the light of a channel."""
    rng = stream(seed, "tiles", channel)
    side = optics.tile_px
    centre = side / 2 * (1 + rng.uniform(-0.12, 0.12, 2))
    tiles = (-(-slide_shape[0] // side), -(-slide_shape[1] // side))
    gains = np.maximum(0.3, 1 + optics.seam * rng.standard_normal(tiles)).astype(np.float32)
    return Illumination(side, (float(centre[0]), float(centre[1])), optics.vignetting, gains)

"""From stain to light on the camera: autofluorescence, bleed-through, blur, shift, vignetting and seams."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from thymusimg.phantom.streams import random_field, stream, upsample

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thymusimg.phantom.anatomy import Anatomy
    from thymusimg.phantom.spec import OpticsSpec
    from thymusimg.section.model import FloatPlane


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


def drift_stain(planes: Sequence[FloatPlane], optics: OpticsSpec, seed: int, anatomy: Anatomy) -> None:
    """Let the strength of every stain change slowly over the section, in place."""
    if optics.stain_drift == 0:
        return
    sigma = max(anatomy.grid.shape) / 3
    for channel, plane in enumerate(planes):
        field = random_field(stream(seed, "drift", channel), anatomy.grid.shape, sigma)
        inside = field[anatomy.tissue]
        field = (field - inside.mean()) / max(float(inside.std()), 1e-6)
        plane *= upsample(np.exp(np.float32(optics.stain_drift) * np.clip(field, -2.5, 2.5)), anatomy.grid)


def tissue_glow(optics: OpticsSpec, seed: int, anatomy: Anatomy, channels: int) -> list[FloatPlane]:
    """Return what shines without stain, a plane a channel: autofluorescence, capsule and septa, edge rim."""
    grid = anatomy.grid
    alpha = np.clip(anatomy.depth_um / grid.pixel_um + 0.5, 0, 1)
    alpha *= np.clip(0.5 - anatomy.cyst_um / grid.pixel_um, 0.15, 1)
    alpha[anatomy.vessel] *= 0.3
    connective = cv2.GaussianBlur(((anatomy.labels == 5) & ~anatomy.vessel).astype(np.float32), (0, 0), 0.8)
    rng = stream(seed, "rim")
    rim_um = rng.uniform(20, 50)
    rim = np.exp(-0.5 * (anatomy.depth_um / (rim_um / 2)) ** 2) * alpha
    texture = random_field(stream(seed, "glow"), grid.shape, 8 / grid.pixel_um)
    fine = random_field(stream(seed, "glow fine"), grid.slide_shape, 1.5 / grid.slide_pixel_um)
    grain = np.float32(0.5 * optics.autofluorescence_texture) * fine
    grain += 1
    glow = []
    for _ in range(channels):
        strength = optics.autofluorescence * rng.uniform(0.7, 1.3)
        coarse = strength * alpha * np.maximum(0, 1 + optics.autofluorescence_texture * texture)
        coarse += optics.capsule_glow * rng.uniform(0.6, 1.4) * connective
        coarse += optics.edge_rim * rng.uniform(0.6, 1.4) * rim
        glow.append(upsample(coarse.astype(np.float32), grid) * grain)
    return glow


def blur(plane: FloatPlane, optics: OpticsSpec, shift_um: np.ndarray, pixel_um: float) -> FloatPlane:
    """Return a plane through the two-Gaussian point spread function, shifted."""
    sharp = _gauss(plane, optics.psf_um / pixel_um)
    if optics.defocus_share > 0 and optics.defocus_um > 0:
        wide = _gauss(plane, optics.defocus_um / pixel_um)
        sharp = cv2.addWeighted(sharp, 1 - optics.defocus_share, wide, optics.defocus_share, 0)
    if np.any(shift_um):
        dy, dx = shift_um / pixel_um
        move = np.array([[1, 0, dx], [0, 1, dy]], np.float64)
        sharp = cv2.warpAffine(
            sharp, move, sharp.shape[::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
    return sharp


def _gauss(plane: FloatPlane, sigma: float) -> FloatPlane:
    if sigma < 0.05:
        return plane.copy()
    blurred: FloatPlane = cv2.GaussianBlur(plane, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    return blurred


def illumination(optics: OpticsSpec, seed: int, channel: int, shape: tuple[int, int]) -> FloatPlane | None:
    """Return the gain of every pixel: vignetting of each camera tile and steps from tile to tile; None for 1."""
    if optics.vignetting == 0 and optics.seam == 0:
        return None
    rng = stream(seed, "tiles", channel)
    side = optics.tile_px
    centre = side / 2 * (1 + rng.uniform(-0.12, 0.12, 2))
    axis = np.arange(side, dtype=np.float32)
    r2 = ((axis - centre[0]) ** 2)[:, None] + ((axis - centre[1]) ** 2)[None, :]
    one = (1 - optics.vignetting * r2 / (side**2 / 2)).astype(np.float32)
    rows, columns = -(-shape[0] // side), -(-shape[1] // side)
    gains = np.maximum(0.3, 1 + optics.seam * rng.standard_normal((rows, columns))).astype(np.float32)
    gain: FloatPlane = (
        np.kron(gains, one)[: shape[0], : shape[1]] if rows * columns > 1 else one[: shape[0], : shape[1]]
    )
    return np.maximum(gain, np.float32(0.1))

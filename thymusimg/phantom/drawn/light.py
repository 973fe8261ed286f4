"""From stain to light: drift of stain, autofluorescence, bleed-through, a Moffat point spread function, shading."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from thymusimg.phantom.drawn.mosaic import soft_lumps, upsample
from thymusimg.phantom.streams import stream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thymusimg.phantom.drawn.scene import Scene
    from thymusimg.phantom.spec import OpticsSpec
    from thymusimg.section.model import FloatPlane

MOFFAT_BETA = 2.5
"""Exponent of the Moffat core: wider wings than a Gaussian (Moffat 1969)."""
SERPENTINE = 0.6
"""Correlation of the gain from one camera tile to the next one in the order of the scan."""


def mixing_matrix(optics: OpticsSpec, seed: int, channels: int) -> np.ndarray:
    """Return the (C, C) matrix that mixes stains into channels: neighbours in the spectrum bleed the most."""
    rng = stream(seed, "drawn", "bleed")
    # emission of CD45 (far red), K8 (green) and K14 (blue) in this order along the spectrum; DAPI before K14
    place = np.array([3.0, 1.0, 2.0, 0.0])[:channels]
    apart = np.abs(place[:, None] - place[None, :])
    matrix = optics.bleed * rng.uniform(0.3, 1, (channels, channels)) * np.where(apart > 1, 0.35, 1.0)
    np.fill_diagonal(matrix, 1.0)
    return matrix


def channel_shifts(optics: OpticsSpec, seed: int, channels: int) -> np.ndarray:
    """Return the (C, 2) shifts (y, x in µm) of the channels against the first: evenly in a disc of twice the SD."""
    rng = stream(seed, "drawn", "shift")
    reach, turn = 2 * optics.shift_um * np.sqrt(rng.random(channels)), rng.uniform(0, 2 * np.pi, channels)
    shifts = np.stack([reach * np.sin(turn), reach * np.cos(turn)], 1)
    shifts[0] = 0
    return shifts


def drift_stain(planes: Sequence[FloatPlane], optics: OpticsSpec, seed: int, scene: Scene) -> None:
    """Tilt the strength of every stain along the section, and let it fall from the edge inwards; in place."""
    if optics.stain_drift == 0:
        return
    height, width = scene.grid.shape
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    for channel, plane in enumerate(planes):
        a, b, c, d = stream(seed, "drawn", "drift", channel).normal(0, 1, 4).astype(np.float32)
        field = a * y + b * x + np.float32(0.7) * c * (x * y)
        field = field + np.float32(1.2) * d * np.exp(-np.maximum(scene.depth_um, 0) / np.float32(150))
        inside = field[scene.tissue]
        field = (field - inside.mean()) / max(float(inside.std()), 1e-6)
        strength = np.exp(np.float32(optics.stain_drift) * np.clip(field, -2.5, 2.5))
        plane *= upsample(strength.astype(np.float32), scene.grid)


def tissue_glow(optics: OpticsSpec, seed: int, scene: Scene, channels: int) -> list[FloatPlane]:
    """Return what shines without stain, a plane a channel: cytoplasm in cell-sized specks, fibres, and the edge."""
    grid = scene.grid
    rng = stream(seed, "drawn", "glow")
    cover = np.clip(scene.depth_um / grid.pixel_um + 0.5, 0, 1)
    cover *= np.where(scene.labels == 4, 0.2, 1) * np.where(scene.vessel, 0.35, 1)
    bundle = soft_lumps(rng, grid.shape, 26 / grid.pixel_um, 7 / grid.pixel_um)
    fibres = cv2.GaussianBlur(((scene.labels == 5) & ~scene.vessel).astype(np.float32), (0, 0), 0.7)
    fibres *= np.clip(1 + 0.9 * bundle, 0.3, 2.2)
    wall = scene.vessel & ~cv2.erode(scene.vessel.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    fibres += np.float32(0.6) * wall
    rim = cover * np.exp(-np.maximum(scene.depth_um, 0) / np.float32(rng.uniform(12, 24)))
    tilt = _tilt(rng, grid.shape)
    # specks: squared noise at the size of a cell, as ragged as cytoplasm is; the same in all channels
    specks = rng.standard_normal((2, *(max(2, round(n * grid.pixel_um / 3)) for n in grid.shape)), dtype=np.float32)
    specks = cv2.resize(
        np.square(specks).sum(0) / 2 - 1, grid.slide_shape[::-1], interpolation=cv2.INTER_LINEAR
    ) * np.float32(optics.autofluorescence_texture)
    specks += 1
    np.maximum(specks, 0.1, out=specks)
    glow = []
    for _ in range(channels):
        strength = optics.autofluorescence * rng.uniform(0.6, 1.4)
        coarse = strength * cover * (1 + optics.autofluorescence_texture * tilt)
        coarse += optics.capsule_glow * rng.uniform(0.5, 1.5) * fibres
        coarse += optics.edge_rim * rng.uniform(0.5, 1.5) * rim
        glow.append(upsample(coarse.astype(np.float32), grid) * specks)
    return glow


def _tilt(rng: np.random.Generator, shape: tuple[int, int]) -> FloatPlane:
    """Return a plane that rises across the section, −1 to 1."""
    turn = rng.uniform(0, 2 * np.pi)
    y = np.linspace(-1, 1, shape[0], dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, shape[1], dtype=np.float32)[None, :]
    tilt: FloatPlane = (np.float32(np.sin(turn)) * y + np.float32(np.cos(turn)) * x) * np.float32(0.7)
    return tilt


def glass_glow(optics: OpticsSpec, seed: int, channel: int, shape: tuple[int, int]) -> FloatPlane:
    """Return the light of the empty slide, a gradient (height, width) in blocks that the caller interpolates."""
    tilt = _tilt(stream(seed, "drawn", "glass", channel), shape)
    glow: FloatPlane = np.float32(optics.glass) * (1 + np.float32(0.35) * tilt)
    return glow


def moffat_kernel(sd_um: float, pixel_um: float) -> FloatPlane:
    """Return a Moffat kernel with the half width at half maximum of a Gaussian of SD ``sd_um``; sums to 1."""
    width = 1.17741 * sd_um / np.sqrt(2 ** (1 / MOFFAT_BETA) - 1)
    reach = int(np.clip(np.ceil(4.5 * width / pixel_um), 1, 40))
    fine = (np.arange((2 * reach + 1) * 3) - (3 * (2 * reach + 1) - 1) / 2) / 3 * pixel_um
    light = (1 + (fine[:, None] ** 2 + fine[None, :] ** 2) / width**2) ** -MOFFAT_BETA
    light = light.reshape(2 * reach + 1, 3, 2 * reach + 1, 3).mean((1, 3))
    kernel: FloatPlane = (light / light.sum()).astype(np.float32)
    return kernel


def disc_kernel(sd_um: float, pixel_um: float) -> FloatPlane:
    """Return a blurred disc, the light of a point out of focus, with the SD ``sd_um`` on each axis; sums to 1."""
    radius = 2 * sd_um  # the SD of an even disc on one axis is half its radius
    reach = int(np.clip(np.ceil(radius / pixel_um) + 1, 1, 60))
    fine = (np.arange((2 * reach + 1) * 4) - (4 * (2 * reach + 1) - 1) / 2) / 4 * pixel_um
    light = (np.hypot(fine[:, None], fine[None, :]) <= radius).astype(np.float64)
    light = light.reshape(2 * reach + 1, 4, 2 * reach + 1, 4).mean((1, 3))
    kernel: FloatPlane = (light / light.sum()).astype(np.float32)
    return kernel


def focus_share(optics: OpticsSpec, seed: int, scene: Scene) -> FloatPlane:
    """Return the share of the light that is out of focus, on the coarse grid.

    The slide lies askew and dips in one spot. The share's mean over the tissue is ``defocus_share``.
    """
    rng = stream(seed, "drawn", "focus")
    field = np.float32(0.5) + np.float32(0.35) * _tilt(rng, scene.grid.shape)
    places = np.argwhere(scene.tissue)
    if len(places):
        cy, cx = places[rng.integers(len(places))]
        reach = rng.uniform(0.1, 0.25) * max(scene.grid.shape)
        y = np.arange(scene.grid.shape[0], dtype=np.float32)[:, None] - np.float32(cy)
        x = np.arange(scene.grid.shape[1], dtype=np.float32)[None, :] - np.float32(cx)
        field += np.float32(0.8) * np.exp(-(y * y + x * x) / np.float32(2 * reach**2))
        field /= max(float(field[scene.tissue].mean()), 1e-6)
    share: FloatPlane = np.clip(np.float32(optics.defocus_share) * field, 0, 0.95).astype(np.float32)
    return share


def blur(
    plane: FloatPlane, optics: OpticsSpec, share: FloatPlane | None, shift_um: np.ndarray, pixel_um: float
) -> FloatPlane:
    """Return a plane through the microscope: Moffat core, out-of-focus disc with the local ``share``, shift."""
    seen = plane
    if optics.psf_um > 0:
        seen = cv2.filter2D(
            plane, cv2.CV_32F, moffat_kernel(optics.psf_um, pixel_um), borderType=cv2.BORDER_REFLECT
        )
    if share is not None and optics.defocus_um > 0:
        wide = cv2.filter2D(
            plane, cv2.CV_32F, disc_kernel(optics.defocus_um, pixel_um), borderType=cv2.BORDER_REFLECT
        )
        wide -= seen
        wide *= share
        wide += seen
        seen = wide
    if np.any(shift_um):
        dy, dx = shift_um / pixel_um
        move = np.array([[1, 0, dx], [0, 1, dy]], np.float64)
        seen = cv2.warpAffine(seen, move, seen.shape[::-1], flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        np.maximum(seen, 0, out=seen)
    return seen.copy() if seen is plane else seen


def illumination(optics: OpticsSpec, seed: int, channel: int, shape: tuple[int, int]) -> FloatPlane | None:
    """Return the gain of every pixel, None for 1: cos⁴ around a place beside the centre of each camera tile.

    The lamp flickers from tile to tile in the order of a serpentine scan, as an autoregressive series.
    """
    if optics.vignetting == 0 and optics.seam == 0:
        return None
    rng = stream(seed, "drawn", "tiles", channel)
    side = optics.tile_px
    centre = rng.uniform(-0.18, 0.18, 2)
    axis = (np.arange(side) - (side - 1) / 2) / (side / 2)
    r2 = (axis - centre[0])[:, None] ** 2 + (axis - centre[1])[None, :] ** 2
    # cos⁴ of the angle whose tangent grows with the distance; the corner (r² = 2) loses what was asked for
    slope = ((1 - optics.vignetting) ** -0.5 - 1) / 2
    one = (1 / (1 + slope * r2) ** 2).astype(np.float32)
    rows, columns = -(-shape[0] // side), -(-shape[1] // side)
    steps = rng.standard_normal(rows * columns)
    for k in range(1, len(steps)):
        steps[k] = SERPENTINE * steps[k - 1] + np.sqrt(1 - SERPENTINE**2) * steps[k]
    scan = steps.reshape(rows, columns)
    scan[1::2] = scan[1::2, ::-1]
    gains = np.maximum(0.3, 1 + optics.seam * scan).astype(np.float32)
    gain: FloatPlane = np.maximum(np.kron(gains, one)[: shape[0], : shape[1]], np.float32(0.1))
    return gain

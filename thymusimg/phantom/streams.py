"""Named random streams and smooth random fields: the same seed gives the same bytes, whatever is switched on."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from thymusimg.section.model import FloatPlane, Grid


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """Return the generator of one named purpose, so that no switch moves the draws of another."""
    keys = [n if isinstance(n, int) else zlib.crc32(n.encode()) for n in names]
    return np.random.default_rng([seed, *keys])


def key(seed: int, *names: str | int) -> int:
    """Return a 63-bit key for the counter-based generators inside compiled loops."""
    return int(stream(seed, *names).integers(0, 2**63))


def random_field(rng: np.random.Generator, shape: tuple[int, int], sigma_px: float) -> FloatPlane:
    """Return a Gaussian random field with zero mean, unit variance and a Gaussian kernel of SD ``sigma_px``.

    The field is drawn at two thirds of that and interpolated, which is as smooth and much cheaper.
    """
    step = max(1.0, sigma_px / 1.5)
    pad = 3  # cells, two SD: past the edge where the reflected noise is correlated
    small = (int(np.ceil(shape[0] / step)) + 2 * pad, int(np.ceil(shape[1] / step)) + 2 * pad)
    noise = rng.standard_normal(small, dtype=np.float32)
    sigma = sigma_px / step
    smooth = cv2.GaussianBlur(noise, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
    # the variance of white noise under a Gaussian of SD s is 1 / (4 π s²)
    smooth *= 2.0 * np.sqrt(np.pi) * max(sigma, 0.29)
    big = (round((small[1]) * step), round((small[0]) * step))
    field = cv2.resize(smooth, big, interpolation=cv2.INTER_CUBIC)
    margin = int(pad * step)
    cut: FloatPlane = np.ascontiguousarray(field[margin : margin + shape[0], margin : margin + shape[1]])
    return cut


def upsample(plane: FloatPlane, grid: Grid) -> FloatPlane:
    """Return a coarse plane interpolated to full resolution, block centres where they belong."""
    size = (plane.shape[1] * grid.factor, plane.shape[0] * grid.factor)
    full = cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR)
    cut: FloatPlane = full[: grid.slide_shape[0], : grid.slide_shape[1]]
    return cut

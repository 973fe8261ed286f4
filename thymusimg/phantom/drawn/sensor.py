"""An sCMOS sensor: every photosite has its own gain, offset and read noise, the same in each camera tile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from thymusimg.errors import SettingsError
from thymusimg.phantom.streams import stream

if TYPE_CHECKING:
    import numpy.typing as npt

    from thymusimg.phantom.spec import CameraSpec
    from thymusimg.section.model import FloatPlane

GAIN_SD = 0.01
"""Photo-response non-uniformity, relative."""
OFFSET_SD_E = 0.6
"""SD of the offset from site to site, in electrons for a read noise of 2; it goes to 0 with the read noise."""
NOISY = 0.35
"""SD of the logarithm of the read noise from site to site: a long tail of noisy sites."""
ROWS = 256
"""Rows drawn at a time; the random numbers belong to the rows, whatever thread draws them."""


def expose(
    light: FloatPlane, camera: CameraSpec, seed: int, channel: int, tile_px: int
) -> npt.NDArray[np.uint16] | npt.NDArray[np.uint8]:
    """Return the grey levels of ``light`` (1 is a typical stain): Poisson, read noise, fixed pattern, clipping.

    Fixed pattern and noise vanish together with ``read_noise_e``; the gain's pattern does too. With
    ``jpeg_quality`` the 8-bit picture then goes through JPEG and back.
    """
    height, width = light.shape
    site = min(tile_px, 2048)
    rng = stream(seed, "drawn", "sensor")
    shape = (min(site, height), min(site, width))
    real = min(1.0, camera.read_noise_e / 2)
    gain = (1 + GAIN_SD * real * rng.standard_normal(shape, dtype=np.float32)).astype(np.float32)
    offset = (OFFSET_SD_E * real * rng.standard_normal(shape, dtype=np.float32)).astype(np.float32)
    noise = np.exp(NOISY * rng.standard_normal(shape, dtype=np.float32) - NOISY**2 / 2)
    noise *= np.float32(camera.read_noise_e)
    columns = np.arange(width) % site
    columns = columns[columns < shape[1]] if shape[1] == width else columns
    eight = camera.bit_depth == 8
    ceiling = float(2 ** (12 if eight else camera.bit_depth) - 1)
    out = np.empty(light.shape, np.uint8 if eight else np.uint16)
    for top in range(0, height, ROWS):
        rows = slice(top, min(height, top + ROWS))
        sites = np.arange(rows.start, rows.stop) % site
        here = np.ix_(sites, columns)
        draw = stream(seed, "drawn", "exposure", channel, top)
        expected = np.maximum(light[rows], 0) * gain[here] * np.float32(camera.peak_electrons)
        electrons = draw.poisson(expected).astype(np.float32)
        electrons += noise[here] * draw.standard_normal(expected.shape, dtype=np.float32)
        electrons += offset[here]
        grey = np.clip(np.rint(camera.offset_dn + camera.gain_dn_per_e * electrons), 0, ceiling)
        out[rows] = (grey.astype(np.uint16) // (16 if eight else 1)).astype(out.dtype)
    return _through_jpeg(out, camera.jpeg_quality) if eight and camera.jpeg_quality else out


def _through_jpeg(pixels: npt.NDArray[np.uint8], quality: int) -> npt.NDArray[np.uint8]:
    written, code = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not written:
        raise SettingsError(f"phantom: a plane of {pixels.shape[0]} x {pixels.shape[1]} px does not fit in a JPEG")
    return np.asarray(cv2.imdecode(code, cv2.IMREAD_GRAYSCALE), np.uint8)

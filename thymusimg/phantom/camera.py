"""The camera: photons to grey levels, with a noise that depends on the seed and the pixel only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from numba import njit
from scipy.special import pdtr

from thymusimg.phantom.hashing import NORMAL, normal, scramble

if TYPE_CHECKING:
    import numpy.typing as npt

    from thymusimg.phantom.spec import CameraSpec
    from thymusimg.section.model import FloatPlane

_FEW = 12.0
"""Below this many expected electrons the Poisson law is drawn exactly, above by its Cornish-Fisher expansion."""
_STEP = 64
"""Few electrons come from tables at multiples of 1/64: one of the two nearest, which keeps the mean."""
_GUIDE = 256


def _poisson_tables() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.uint8]]:
    """Return the distribution functions at λ = 0, 1/64 … 12, and the count at every 256th of probability."""
    rates = np.arange(int(_FEW) * _STEP + 2) / _STEP
    below = pdtr(np.arange(64), rates[:, None])
    below[:, -1] = 2.0
    at = np.arange(_GUIDE) / _GUIDE
    first = np.stack([np.searchsorted(row, at, side="left") for row in below]).astype(np.uint8)
    return np.asarray(below, np.float64), first


_BELOW, _FIRST = _poisson_tables()
JPEG_BLOCK_PX = 8
"""JPEG looks at squares of this side one by one; windows must begin at multiples of it."""


@njit(cache=True, nogil=True)
def _expose(signal, out, origin, wide, numbers, divisor, seed, tables):  # type: ignore[no-untyped-def]
    # numba compiles by the arguments' types; annotations would only be decoration here
    below, first, table = tables
    peak, read_noise, gain, offset, ceiling = numbers
    height, width = signal.shape
    for y in range(height):
        line = np.uint64((origin[0] + y) * wide + origin[1])
        for x in range(width):
            expected = max(0.0, signal[y, x] * peak)
            bits = scramble(seed + line + np.uint64(x))
            if expected < _FEW:
                k = int(expected * _STEP)
                if float(bits & np.uint64(0xFFFF)) < (expected * _STEP - k) * 65536.0:
                    k += 1
                u = float(bits >> np.uint64(32)) * (1.0 / 4294967296.0)
                n = int(first[k, bits >> np.uint64(56)])
                while u > below[k, n]:
                    n += 1
                count = float(n)
            else:
                z = normal(bits >> np.uint64(32), table)
                count = np.floor(expected + np.sqrt(expected) * z + (z * z - 1.0) / 6.0 + 0.5)
            value = offset + gain * (count + read_noise * normal(bits, table))
            out[y, x] = np.uint16(min(max(np.floor(value + 0.5), 0.0), ceiling)) // divisor


def expose(
    signal: FloatPlane,
    camera: CameraSpec,
    seed: int,
    *,
    origin: tuple[int, int] = (0, 0),
    slide_width: int | None = None,
) -> npt.NDArray[np.uint16] | npt.NDArray[np.uint8]:
    """Return the grey levels of ``signal`` (1 is a typical stain) with Poisson and read noise, clipped.

    Poisson counts are exact where few are expected; from 12 electrons on ``λ + √λ z + (z² − 1)/6`` keeps mean,
    variance and skewness. ``origin`` is the window's first pixel on a slide of ``slide_width``: noise belongs to
    the pixel, not to the window. With ``jpeg_quality`` the 8-bit picture then goes through JPEG and back.
    """
    eight = camera.bit_depth == 8
    ceiling = float(2 ** (12 if eight else camera.bit_depth) - 1)
    out = np.empty(signal.shape, np.uint16)
    numbers = (camera.peak_electrons, camera.read_noise_e, camera.gain_dn_per_e, camera.offset_dn, ceiling)
    _expose(
        signal, out, origin, signal.shape[1] if slide_width is None else slide_width, numbers,
        np.uint16(16 if eight else 1), np.uint64(seed), (_BELOW, _FIRST, NORMAL),
    )  # fmt: skip
    if not eight:
        return out
    small = out.astype(np.uint8)
    return _through_jpeg(small, camera.jpeg_quality) if camera.jpeg_quality else small


def _through_jpeg(pixels: npt.NDArray[np.uint8], quality: int) -> npt.NDArray[np.uint8]:
    _, packed = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_GRAYSCALE), np.uint8)

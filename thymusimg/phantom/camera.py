"""The camera: photons to grey levels, with a noise that depends on the seed and the pixel only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    import numpy.typing as npt

    from thymusimg.phantom.spec import CameraSpec
    from thymusimg.section.model import FloatPlane

_FEW = 12.0
"""Below this many expected electrons the Poisson law is drawn exactly, above by its Cornish-Fisher expansion."""


@njit(inline="always")
def scramble(counter: np.uint64) -> np.uint64:
    """Return 64 random bits for a counter (the splitmix64 finaliser, Steele 2014)."""
    z = counter * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@njit(inline="always")
def uniform(counter: np.uint64) -> float:
    """Return a uniform number in [0, 1) for a counter."""
    return float(scramble(counter) >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@njit(inline="always")
def _normal(counter: np.uint64) -> float:
    """Return a standard normal number: twelve 16-bit uniforms added up (no libm, hence the same everywhere)."""
    total = np.uint64(0)
    for k in range(3):
        bits = scramble(counter + np.uint64(k))
        total += (bits & np.uint64(0xFFFF)) + ((bits >> np.uint64(16)) & np.uint64(0xFFFF))
        total += ((bits >> np.uint64(32)) & np.uint64(0xFFFF)) + (bits >> np.uint64(48))
    return (float(total) + 6.0) / 65536.0 - 6.0


@njit(cache=True, nogil=True)
def _expose(signal, out, peak, read_noise, gain, offset, ceiling, divisor, seed):  # type: ignore[no-untyped-def]
    # numba compiles by the arguments' types; annotations would only be decoration here
    height, width = signal.shape
    for y in range(height):
        for x in range(width):
            expected = max(0.0, signal[y, x] * peak)
            counter = seed + np.uint64(y * width + x) * np.uint64(8)
            if expected < _FEW:
                limit = np.exp(-expected)
                u = uniform(counter)
                count = 0.0
                term = limit
                cumulated = limit
                while u > cumulated and count < 60.0:
                    count += 1.0
                    term *= expected / count
                    cumulated += term
            else:
                z = _normal(counter)
                count = np.floor(expected + np.sqrt(expected) * z + (z * z - 1.0) / 6.0 + 0.5)
            value = offset + gain * (count + read_noise * _normal(counter + np.uint64(4)))
            out[y, x] = np.uint16(min(max(np.floor(value + 0.5), 0.0), ceiling)) // divisor


def expose(signal: FloatPlane, camera: CameraSpec, seed: int) -> npt.NDArray[np.uint16] | npt.NDArray[np.uint8]:
    """Return the grey levels of ``signal`` (1 is a typical stain) with Poisson and read noise, clipped.

    Poisson counts are exact where few are expected; from 12 electrons on ``λ + √λ z + (z² − 1)/6`` keeps mean,
    variance and skewness.
    """
    eight = camera.bit_depth == 8
    ceiling = float(2 ** (12 if eight else camera.bit_depth) - 1)
    out = np.empty(signal.shape, np.uint16)
    _expose(
        signal, out, camera.peak_electrons, camera.read_noise_e, camera.gain_dn_per_e, camera.offset_dn, ceiling,
        np.uint16(16 if eight else 1), np.uint64(seed),
    )  # fmt: skip
    return out.astype(np.uint8) if eight else out

"""Named random streams and smooth random fields: the same seed gives the same bytes, whatever is switched on."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numba import njit

from thymusimg.phantom.hashing import lattice_normals

if TYPE_CHECKING:
    import numpy.typing as npt

    from thymusimg.phantom.patch import Patch
    from thymusimg.section.model import FloatPlane, Grid

_TAPS = 8


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """Return the generator of one named purpose, so that no switch moves the draws of another."""
    keys = [n if isinstance(n, int) else zlib.crc32(n.encode()) for n in names]
    return np.random.default_rng([seed, *keys])


def key(seed: int, *names: str | int) -> int:
    """Return a 63-bit key for the counter-based generators inside compiled loops."""
    return int(stream(seed, *names).integers(0, 2**63))


def smooth_noise(noise_key: int, sigma_um: float, patch: Patch) -> FloatPlane:
    """Return a window of an endless Gaussian random field: zero mean, unit variance, Gaussian kernel.

    Parameters
    ----------
    noise_key : int
        From :func:`key`.
    sigma_um : float
        SD of the kernel in µm; the field's correlation is a Gaussian of SD √2 times that.
    patch : Patch
        Where to evaluate it. The field is a function of the place in µm: another window, or another pixel size,
        shows the same field.

    Returns
    -------
    (Y, X) float32

    Notes
    -----
    White noise on a lattice as wide as the kernel's SD, under the kernel; the sum of squared weights is divided out
    at every place, which makes the variance exactly one.
    """
    rows, wy = _taps(patch.rows_um / sigma_um)
    columns, wx = _taps(patch.columns_um / sigma_um)
    corner = int(rows[0]), int(columns[0])
    nodes = lattice_normals(
        noise_key, corner, (int(rows[-1]) - corner[0] + _TAPS, int(columns[-1]) - corner[1] + _TAPS)
    )
    out = np.empty((len(rows), len(columns)), np.float32)
    _smooth(nodes, rows - corner[0], wy, columns - corner[1], wx, out)
    return out


def _taps(at: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    first = np.floor(at).astype(np.int64) - (_TAPS // 2 - 1)
    weights = np.exp(-0.5 * (at[:, None] - (first[:, None] + np.arange(_TAPS))) ** 2)
    weights /= np.sqrt((weights**2).sum(1, keepdims=True))
    return first, weights.astype(np.float32)


@njit(cache=True, nogil=True)
def _smooth(nodes, rows, wy, columns, wx, out):  # type: ignore[no-untyped-def]
    line = np.empty(nodes.shape[1], np.float32)
    for i in range(len(rows)):
        line[:] = np.float32(0)
        for k in range(_TAPS):
            w = wy[i, k]
            source = nodes[rows[i] + k]
            for j in range(len(line)):
                line[j] += w * source[j]
        for j in range(len(columns)):
            total = np.float32(0)
            for k in range(_TAPS):
                total += wx[j, k] * line[columns[j] + k]
            out[i, j] = total


def upsample(plane: FloatPlane, grid: Grid) -> FloatPlane:
    """Return a coarse plane interpolated to full resolution, block centres where they belong."""
    size = (plane.shape[1] * grid.factor, plane.shape[0] * grid.factor)
    full = cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR)
    cut: FloatPlane = full[: grid.slide_shape[0], : grid.slide_shape[1]]
    return cut

"""Over which distance a stain resembles itself."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import fft

from thymusimg.measurements.stains.binned import bin_planes

if TYPE_CHECKING:
    from thymusimg.section.model import FloatPlane, Mask

Values = npt.NDArray[np.float64]

_BIN_UM = 4.0


def autocorrelation_length_um(plane: FloatPlane, mask: Mask, pixel_um: float) -> float:
    """Return the distance at which a plane's autocorrelation inside a mask has fallen to 1/e.

    On bins of 4 µm, with z = plane − its mean inside the mask M and the sums over all pairs of bins at a distance r
    in any direction (from the autocorrelations of z·M and of M by FFT), ρ(r) = [Σ z z' / Σ M M'] / mean z².
    Dividing by the pairs that there are makes it right in a mask of any shape.

    Parameters
    ----------
    plane : (Y, X) float32
    mask : (Y, X) bool
    pixel_um : float

    Returns
    -------
    float
        µm; NaN if the mask is empty, the plane constant, or if ρ does not fall to 1/e within the mask.

    Examples
    --------
    White noise smoothed by a Gaussian of σ has ρ(r) = exp(−r² / (4σ²)): 1/e at 2σ.

    >>> import numpy as np
    >>> from scipy import ndimage
    >>> noise = np.random.default_rng(0).normal(size=(400, 400))
    >>> smooth = ndimage.gaussian_filter(noise, 10, mode="wrap").astype(np.float32)
    >>> length = autocorrelation_length_um(smooth, np.ones((400, 400), bool), 2.0)
    >>> abs(length - 40) < 3
    True
    """
    if not mask.any():
        return math.nan
    binned = bin_planes([plane], mask, _BIN_UM, pixel_um)
    weight = binned.share
    mean = float((binned.planes[0] * weight).sum() / weight.sum())
    z = (binned.planes[0] - mean) * weight
    products, pairs = _correlate(z), _correlate(weight)
    height, width = products.shape
    # frequencies of whole steps: the shifts that the entries stand for
    dy, dx = fft.fftfreq(height, 1 / height), fft.fftfreq(width, 1 / width)
    ring = np.rint(np.hypot(dy[:, None], dx[None])).astype(np.intp).ravel()
    rings = min(weight.shape) + 1
    inside = ring < rings
    total = np.bincount(ring[inside], products.ravel()[inside], rings)
    count = np.bincount(ring[inside], pairs.ravel()[inside], rings)
    if not total[0] > 1e-9 * count[0] * mean**2:
        return math.nan
    rho = np.divide(total, count, out=np.full(rings, np.nan), where=count > 0.5) / (total[0] / count[0])
    # the mean distance of the pairs of a ring, not its nominal radius
    spread = np.bincount(ring[inside], np.hypot(dy[:, None], dx[None]).ravel()[inside], rings)
    radius: Values = spread / np.bincount(ring[inside], minlength=rings) * _BIN_UM
    return _first_below(radius, rho, math.exp(-1))


def _correlate(values: Values) -> Values:
    """Return Σ v(p) v(p + d) for every shift d, without wrapping around."""
    height, width = (fft.next_fast_len(2 * n, real=True) for n in values.shape)
    transform = fft.rfft2(values, (height, width))
    return np.asarray(fft.irfft2(np.abs(transform) ** 2, (height, width)))


def _first_below(x: Values, y: Values, level: float) -> float:
    """Return where y first falls to ``level``, between the samples; NaN if it does not."""
    below = np.flatnonzero(y <= level)
    if not below.size or below[0] == 0:
        return math.nan
    i = int(below[0])
    if not math.isfinite(y[i - 1]):
        return math.nan
    return float(x[i - 1] + (x[i] - x[i - 1]) * (y[i - 1] - level) / (y[i - 1] - y[i]))

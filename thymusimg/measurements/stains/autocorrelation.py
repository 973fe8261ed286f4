"""Over which distance a stain resembles itself."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import fft

from thymusimg.measurements.stains.binned import lay_bins

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thymusimg.section.model import FloatPlane, Mask

Values = npt.NDArray[np.float64]

_BIN_UM = 4.0
_FIRST_REACH = 64  # bins; few stains resemble themselves farther than a quarter of a millimetre


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
    return autocorrelation_lengths_um([plane], mask, pixel_um)[0]


def autocorrelation_lengths_um(planes: Sequence[FloatPlane], mask: Mask, pixel_um: float) -> tuple[float, ...]:
    """Return :func:`autocorrelation_length_um` of several planes in one non-empty mask, whose pairs count once."""
    bins = lay_bins(mask, _BIN_UM, pixel_um)
    weight = bins.share()
    rings = min(weight.shape) + 1
    total_weight = weight.sum()
    fields = [bins.mean(plane) for plane in planes]
    means = [float((field * weight).sum() / total_weight) for field in fields]
    for field, mean in zip(fields, means, strict=True):
        field -= mean
        field *= weight
    lengths = [math.nan] * len(fields)
    left, reach = list(range(len(fields))), min(_FIRST_REACH, rings)
    while left:
        # up to a reach the numbers are those of all shifts, from a smaller transform: most stains need no more
        ring, spread, count = _rings(weight, reach)
        for i in list(left):
            total = np.bincount(ring, _correlate(fields[i], reach).ravel(), reach + 2)[:reach]
            if total[0] > 1e-9 * count[0] * means[i] ** 2:
                rho = np.divide(total, count, out=np.full(reach, np.nan), where=count > 0.5) / (total[0] / count[0])
                lengths[i] = _first_below(spread, rho, math.exp(-1))
                if reach < rings and not (rho <= math.exp(-1)).any():
                    continue
            left.remove(i)
        reach = rings
    return tuple(lengths)


def _rings(weight: Values, reach: int) -> tuple[npt.NDArray[np.intp], Values, Values]:
    """Return the ring of every shift (those of ``reach`` and beyond in one), the rings' mean radii (µm) and pairs.

    The mean distance of the pairs of a ring, not its nominal radius.
    """
    dy, dx = np.arange(-reach, reach + 1)[:, None], np.arange(-reach, reach + 1)[None]
    distance = np.hypot(dy, dx)
    ring: npt.NDArray[np.intp] = np.minimum(np.rint(distance).astype(np.intp), reach + 1).ravel()
    times = np.bincount(ring, minlength=reach + 2)[:reach]
    radius = np.bincount(ring, distance.ravel(), reach + 2)[:reach] / times * _BIN_UM
    pairs = np.bincount(ring, _correlate(weight, reach).ravel(), reach + 2)[:reach]
    return ring, radius, np.asarray(pairs, np.float64)


def _correlate(values: Values, reach: int) -> Values:
    """Return Σ v(p) v(p + d) for every shift d of at most ``reach`` along either axis, without wrapping around."""
    height, width = (fft.next_fast_len(n + reach + 1, real=True) for n in values.shape)
    transform = fft.rfft2(values, (height, width))
    power = transform.real**2 + transform.imag**2
    # only the rows that are wanted are turned back along the other axis
    rows = fft.ifft(power, axis=0)[np.arange(-reach, reach + 1)]
    return np.asarray(fft.irfft(rows, width)[:, np.arange(-reach, reach + 1)])


def _first_below(x: Values, y: Values, level: float) -> float:
    """Return where y first falls to ``level``, between the samples; NaN if it does not."""
    below = np.flatnonzero(y <= level)
    if not below.size or below[0] == 0:
        return math.nan
    i = int(below[0])
    if not math.isfinite(y[i - 1]):
        return math.nan
    return float(x[i - 1] + (x[i] - x[i - 1]) * (y[i - 1] - level) / (y[i - 1] - y[i]))

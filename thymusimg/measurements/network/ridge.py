"""Strands of keratin as bright ridges, whatever their width (R9)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numba
import numpy as np

if TYPE_CHECKING:
    from thymusimg.section.model import FloatPlane

STRAND_UM = (1.0, 1.6, 2.5)
"""Widths at half height of the strands that the filter is tuned to: σ from 0.6 to 1.5 µm. On pixels of 0.5 µm no
strand looks thinner, and a finer scale answers to noise."""
_TRUNCATE = 4.0


def scale_um(width_um: float) -> float:
    """Return the σ that answers a Gaussian ridge of this width at half height most strongly: √2 of the ridge's own.

    With σ² L'' as the measure, a ridge of standard deviation w answers w σ² / (w² + σ²)^{3/2}, largest at σ = √2 w.

    Examples
    --------
    >>> round(scale_um(1.0), 3)
    0.601
    """
    return math.sqrt(2) * width_um / 2.3548


def reach_px(pixel_um: float) -> int:
    """Return how far around a pixel its ridge strength depends on the plane, in pixels."""
    return sum(len(taps) - 1 for taps in _kernels(pixel_um)) + 1


def ridge_strength(plane: FloatPlane, pixel_um: float) -> FloatPlane:
    """Return how much a plane looks like a bright strand at every pixel.

    The largest over the scales of σ² max(0, −λ), λ the lower eigenvalue of the Hessian of the plane smoothed at σ
    (Lindeberg 1998, Int J Comput Vis 30:117). A Gaussian ridge of height 1 answers with 0.385 at its own scale.

    Parameters
    ----------
    plane : (Y, X) float32
    pixel_um : float
        µm.

    Returns
    -------
    (Y, X) float32
        In the units of the plane, ≥ 0. The pixels at the border are those of a plane that goes on as its border.

    Examples
    --------
    A straight strand of height 1 and 1 µm at half height.

    >>> x = (np.arange(81) - 40) * 0.25
    >>> strand = np.repeat(np.exp(-4 * np.log(2) * x**2)[None], 81, 0).astype(np.float32)
    >>> round(float(ridge_strength(strand, 0.25)[40, 40]), 2)
    0.38
    """
    out = np.zeros(plane.shape, np.float32)
    smooth = np.ascontiguousarray(plane, np.float32)
    spare, other = np.empty_like(smooth), np.empty_like(smooth)
    for taps, width in zip(_kernels(pixel_um), STRAND_UM, strict=True):
        _along_rows(smooth, taps, spare)
        # the input of the first scale belongs to the caller
        target = other if smooth is not other else smooth
        _along_columns(spare, taps, target)
        smooth = other = target
        _take_ridges(smooth, np.float32((scale_um(width) / pixel_um) ** 2), out)
    return out


def smooth_once(plane: FloatPlane, sigma_px: float) -> FloatPlane:
    """Return a plane smoothed by a Gaussian, with the same rounding wherever a window begins and ends."""
    taps = _taps(sigma_px)
    spare, out = np.empty_like(plane), np.empty_like(plane)
    _along_rows(np.ascontiguousarray(plane), taps, spare)
    _along_columns(spare, taps, out)
    return out


def _kernels(pixel_um: float) -> list[FloatPlane]:
    """Return the kernels that lead from every scale to the next; a pixel has blurred by pixel² / 12 already."""
    kernels, reached = [], pixel_um**2 / 12
    for width in STRAND_UM:
        variance = max(scale_um(width) ** 2 - reached, 0.0)
        kernels.append(_taps(math.sqrt(variance) / pixel_um))
        reached += variance
    return kernels


def _taps(sigma_px: float) -> FloatPlane:
    """Return half a Gaussian kernel, from its middle outwards."""
    if sigma_px < 0.05:
        return np.ones(1, np.float32)
    reach = max(1, math.ceil(_TRUNCATE * sigma_px))
    half = np.exp(-0.5 * (np.arange(reach + 1) / sigma_px) ** 2)
    return np.asarray(half / (2 * half.sum() - half[0]), np.float32)


# Sums run in one order for every pixel, without fused steps: the same bits wherever a tile begins. Rows are sliced
# first, so that the inner loops run over one plain index and become vector code.
@numba.njit(cache=True, nogil=True)
def _along_rows(plane: FloatPlane, taps: FloatPlane, out: FloatPlane) -> None:
    height, width = plane.shape
    reach = len(taps) - 1
    line = np.empty(width + 2 * reach, np.float32)
    for y in range(height):
        line[:reach] = plane[y, 0]
        line[reach : reach + width] = plane[y]
        line[reach + width :] = plane[y, width - 1]
        row, w = out[y], taps[0]
        middle = line[reach : reach + width]
        for x in range(width):
            row[x] = w * middle[x]
        for k in range(1, reach + 1):
            _add_pair(row, taps[k], line[reach - k : reach - k + width], line[reach + k : reach + k + width])


@numba.njit(cache=True, nogil=True)
def _along_columns(plane: FloatPlane, taps: FloatPlane, out: FloatPlane) -> None:
    height, width = plane.shape
    for y in range(height):
        row, middle, w = out[y], plane[y], taps[0]
        for x in range(width):
            row[x] = w * middle[x]
        for k in range(1, len(taps)):
            _add_pair(row, taps[k], plane[max(y - k, 0)], plane[min(y + k, height - 1)])


@numba.njit(cache=True, nogil=True)
def _add_pair(row, w, one, other):  # type: ignore[no-untyped-def]  # compiled
    for x in range(len(row)):
        row[x] += w * (one[x] + other[x])


@numba.njit(cache=True, nogil=True)
def _take_ridges(smooth: FloatPlane, weight: np.float32, out: FloatPlane) -> None:
    height, width = smooth.shape
    if width < 3:
        return
    for y in range(height):
        up, here, down = smooth[max(y - 1, 0)], smooth[y], smooth[min(y + 1, height - 1)]
        _take_row(up[:-2], up[1:-1], up[2:], here[:-2], here[1:-1], here[2:], down[:-2], down[1:-1], down[2:],
                  weight, out[y, 1:-1])  # fmt: skip


@numba.njit(cache=True, nogil=True)
def _take_row(nw, n, ne, w, c, e, sw, s, se, weight, out):  # type: ignore[no-untyped-def]  # compiled
    half, quarter, two = np.float32(0.5), np.float32(0.25), np.float32(2.0)
    for x in range(len(out)):
        middle = two * c[x]
        yy, xx = (n[x] + s[x]) - middle, (w[x] + e[x]) - middle
        xy = quarter * ((se[x] + nw[x]) - (sw[x] + ne[x]))
        gap = half * (yy - xx)
        lower = half * (yy + xx) - np.sqrt(gap * gap + xy * xy)
        out[x] = max(out[x], -weight * lower)

"""How winding the corticomedullary junction is: tortuosity and fractal dimension (R3, R4)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from thymusimg.measurements.shapes.polyline import Line, circle_kept, is_closed, length_of, resample, smooth_along

if TYPE_CHECKING:
    from collections.abc import Sequence

SMOOTH_UM = 80.0
STRIDES_UM = (10.0, 20.0, 40.0, 80.0, 160.0)
"""Strides of the divider."""
_STEP_UM = 2.0
_LEAST_KEPT = 0.5
_LEAST_STRIDES = 3
_STARTS = 8


class Tortuosity(NamedTuple):
    """L / L_smooth, and the length in µm of the pieces that could be smoothed."""

    ratio: float
    used_um: float


def tortuosity(lines: Sequence[Line], *, smooth_um: float = SMOOTH_UM) -> Tortuosity:
    """Return the length of the junction over its length when smoothed along itself (R4).

    L(σ = 10 µm) / L(σ = 80 µm). The lines come smoothed at 10 µm already; the coarser smoothing runs along them
    (:func:`thymusimg.measurements.shapes.polyline.smooth_along`), because islets smaller than 80 µm would vanish
    from a blurred image. A straight line and a circle of any size give 1. Closed pieces too short for their own
    shape to outlast the smoothing (under about 320 µm) and open ones under twice ``smooth_um`` take no part.

    Parameters
    ----------
    lines : sequence of (N, 2) float64
        µm.

    Examples
    --------
    A line that swings by ±30 µm every 200 µm is 1.19 times as long as straight; a trace of the swing stays.

    >>> x = np.arange(0.0, 4001.0)
    >>> round(tortuosity([np.stack([30 * np.sin(2 * np.pi * x / 200), x], 1)]).ratio, 2)
    1.18
    """
    real, smooth = 0.0, 0.0
    for line in lines:
        length = length_of(line)
        if is_closed(line):
            if circle_kept(length, smooth_um) < _LEAST_KEPT:
                continue
        elif length < 2 * smooth_um:
            continue
        real += length
        smooth += length_of(smooth_along(line, smooth_um, _STEP_UM))
    return Tortuosity(real / smooth if smooth > 0 else math.nan, real)


class Divider(NamedTuple):
    """Divider lengths of the junction.

    Attributes
    ----------
    stride_um, length_um : (S,) float64
        The stride, and the junction's length walked in it.
    dimension : float
        1 − slope of ln L over ln stride; 1 for a smooth line, 1.26 for Koch's curve.
    r2 : float
        Of the line through the points; NaN if the length does not change at all.
    used_um : float
        Length of the pieces that were walked.
    """

    stride_um: npt.NDArray[np.float64]
    length_um: npt.NDArray[np.float64]
    dimension: float
    r2: float
    used_um: float


def divider(
    lines: Sequence[Line], *, strides_um: Sequence[float] = STRIDES_UM, min_length_um: float = 1000.0
) -> Divider:
    """Walk along the junction in strides of several lengths (R3; Richardson 1961, Mandelbrot 1967).

    Every piece at least three of the longest strides long is walked from eight places and the lengths averaged;
    what is left at the end counts as part of a stride. Short pieces take no part at any stride, so that all strides
    measure the same junction. With less than ``min_length_um`` of it everything is NaN.

    Parameters
    ----------
    lines : sequence of (N, 2) float64
        µm.

    Examples
    --------
    >>> straight = np.stack([np.zeros(2), np.array([0.0, 2000.0])], 1)
    >>> found = divider([straight])
    >>> round(found.dimension, 6), found.length_um.round(3).tolist()
    (1.0, [2000.0, 2000.0, 2000.0, 2000.0, 2000.0])
    """
    strides = np.asarray(strides_um, np.float64)
    longest = float(strides.max())
    walked = [line for line in lines if length_of(line) >= _LEAST_STRIDES * longest]
    used = sum(length_of(line) for line in walked)
    if used < min_length_um:
        return Divider(strides, np.full(len(strides), math.nan), math.nan, math.nan, used)
    dense = [(resample(line, _STEP_UM), is_closed(line)) for line in walked]
    length = np.array([sum(_walked(line, stride, closed) for line, closed in dense) for stride in strides])
    x, y = np.log(strides), np.log(length)
    slope, at = np.polyfit(x, y, 1)
    spread = float(((y - y.mean()) ** 2).sum())
    left = float(((y - at - slope * x) ** 2).sum())
    return Divider(strides, length, 1 - float(slope), 1 - left / spread if spread > 1e-12 else math.nan, used)


def _walked(line: Line, stride: float, closed: bool) -> float:
    """Return the mean walked length over several starts: around a loop, or both ways along an open line."""
    total = 0.0
    for i in range(_STARTS):
        start = i * (len(line) - 1) // _STARTS
        if closed:
            total += _walk(np.concatenate([line[start:-1], line[: start + 1]]), stride)
        else:
            total += _walk(line[start:], stride) + _walk(line[start::-1], stride)
    return total / _STARTS


@numba.njit(cache=True, nogil=True)
def _walk(line: Line, stride: float) -> float:
    """Walk to where the line leaves a circle of ``stride`` around where one stands, again and again."""
    if len(line) < 2:
        return 0.0
    y, x = line[0]
    strides, k = 0.0, 1
    while True:
        found = False
        while k < len(line):
            dy, dx = line[k, 0] - y, line[k, 1] - x
            if dy * dy + dx * dx >= stride * stride:
                # from point k - 1, which lies inside, to point k: where the circle is crossed
                by, bx = line[k - 1, 0] - y, line[k - 1, 1] - x
                vy, vx = line[k, 0] - line[k - 1, 0], line[k, 1] - line[k - 1, 1]
                a, b, c = vy * vy + vx * vx, by * vy + bx * vx, by * by + bx * bx - stride * stride
                t = (-b + math.sqrt(max(b * b - a * c, 0.0))) / a
                y, x = line[k - 1, 0] + t * vy, line[k - 1, 1] + t * vx
                found = True
                break
            k += 1
        if not found:
            break
        strides += 1.0
    last = math.hypot(line[-1, 0] - y, line[-1, 1] - x)
    return (strides + last / stride) * stride

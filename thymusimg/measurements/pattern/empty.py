"""The largest circle without a point (P5)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.spatial import KDTree

from thymusimg.measurements.smoothing import bounding_box, depth_px, distance_px

if TYPE_CHECKING:
    from thymusimg.section.model import Mask

Values = npt.NDArray[np.float64]


class EmptyCircle(NamedTuple):
    """Radius and centre (y, x) of a circle, in pixels."""

    radius: float
    centre: tuple[float, float]


def largest_empty_circle(mask: Mask, points: npt.ArrayLike, *, inside: bool = False) -> EmptyCircle:
    """Return the largest circle around the centre of a pixel of ``mask`` that holds no point (P5).

    The distances to the points themselves are exact; only the circle's centre is tied to the pixels.

    Parameters
    ----------
    mask : (Y, X) bool
    points : (N, 2) array
        (y, x) in pixels, the centre of the first pixel at 0.
    inside : bool
        The circle must not leave the mask either (its depth is that of :func:`depth_px`, less half a pixel).

    Returns
    -------
    EmptyCircle
        NaN without points (unless ``inside``) or without mask.

    Examples
    --------
    One point in the middle of a square: the corner is the farthest.

    >>> square = np.ones((101, 101), bool)
    >>> round(largest_empty_circle(square, [[50, 50]]).radius, 4)  # 50 √2
    70.7107
    >>> round(largest_empty_circle(square, [[50, 50]], inside=True).radius, 1)
    29.5
    """
    at = np.asarray(points, np.float64).reshape(-1, 2)
    if not mask.any() or not (len(at) or inside):
        return EmptyCircle(math.nan, (math.nan, math.nan))
    rows, cols = bounding_box(mask)
    corner = np.array([rows.start, cols.start])
    mask, at = mask[rows, cols], at - corner
    room = np.where(mask, depth_px(mask) - np.float32(0.5), np.float32(0)) if inside else None
    rough = np.full(mask.shape, np.inf, np.float32)
    if len(at):
        rough = _rough_distance(mask, at)
    if room is not None:
        rough = np.minimum(rough, room)
    rough = np.where(mask, rough, np.float32(-1))
    # a point lies up to √½ from the centre of its pixel, which `rough` takes for it
    candidates = np.argwhere(rough >= rough.max() - math.sqrt(2) - 1e-3).astype(np.float64)
    exact = np.full(len(candidates), np.inf)
    if len(at):
        exact = np.asarray(KDTree(at).query(candidates)[0], np.float64)
    if room is not None:
        exact = np.minimum(exact, room[tuple(candidates.astype(np.intp).T)])
    best = int(np.argmax(exact))
    y, x = candidates[best] + corner
    return EmptyCircle(float(exact[best]), (float(y), float(x)))


def _rough_distance(mask: Mask, at: Values) -> npt.NDArray[np.float32]:
    """Distance of every pixel to the nearest pixel with a point; points off the image widen it."""
    pixel = np.floor(at + 0.5).astype(np.intp)
    low = np.minimum(pixel.min(axis=0), 0)
    high = np.maximum(pixel.max(axis=0) + 1, mask.shape)
    occupied = np.zeros(tuple(high - low), bool)
    occupied[tuple((pixel - low).T)] = True
    rows, cols = (slice(-int(a), -int(a) + size) for a, size in zip(low, mask.shape, strict=True))
    return np.asarray(distance_px(occupied)[rows, cols])

"""Pieces less holes, over thresholds of a density and over dilations of a mask: Euler curves (R14)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numba
import numpy as np
import numpy.typing as npt

from thymusimg.measurements.smoothing import bounding_box, distance_px
from thymusimg.measurements.stains.binned import lay_bins

if TYPE_CHECKING:
    from thymusimg.section.model import FloatPlane, Mask

Values = npt.NDArray[np.float64]

EULER_SIGMA_UM = 20.0
EULER_LEVELS = tuple(round(0.05 * i, 2) for i in range(2, 19))
DILATIONS_UM = tuple(float(r) for r in range(0, 210, 10))
_PLATEAUX = (0.02, 0.98)  # a compartment of less than a fiftieth of the parenchyma has no plateau of its own
_BIN_UM = 4.0


def euler_numbers(field: npt.NDArray[np.floating], levels: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Return the Euler characteristic of {field ≥ level} at every level (R14).

    Pieces less holes, pieces 8-connected and holes 4-connected: a pixel is a closed square, and χ = faces − edges +
    vertices of their union. A face enters the set at its pixel's value, an edge or a vertex at the largest value of
    the pixels around it: one pass counts what enters between levels.

    Parameters
    ----------
    field : (Y, X) float
        −inf or NaN where there is nothing.
    levels : (N,) float

    Returns
    -------
    (N,) int64

    Examples
    --------
    A ring of height 1 around a pit, with a peak of 2 in its wall: one piece and one hole, then one piece.

    >>> import numpy as np
    >>> ring = np.pad([[1, 1, 1], [1, 0, 2], [1, 1, 1]], 1).astype(float)
    >>> euler_numbers(ring, [1, 2, 3]).tolist()
    [0, 1, 0]
    """
    wanted = np.asarray(levels, np.float64).ravel()
    order = np.argsort(wanted, kind="stable")
    entered = _entries(np.ascontiguousarray(field), wanted[order])
    numbers = np.empty(wanted.size, np.int64)
    # what entered above a level is there at that level
    numbers[order] = np.cumsum(entered[::-1])[::-1][1:]
    return numbers


@numba.njit(cache=True, nogil=True)
def _entries(field, levels):  # type: ignore[no-untyped-def]  # compiled
    """Return faces − edges + vertices by the number of (ascending) levels that they reach."""
    height, width = field.shape
    entered = np.zeros(len(levels) + 1, np.int64)
    # how many levels the pixels of two rows reach, with a pixel of none at either end
    above, here = np.zeros(width + 2, np.int32), np.zeros(width + 2, np.int32)
    # every vertex at once with the edges that run right and down from it, and the pixel between those
    for y in range(height + 1):
        if y < height:
            _ranks(field[y], levels, here)
        else:
            here[:] = 0
        for x in range(width + 1):
            far, up, left, pixel = above[x], above[x + 1], here[x], here[x + 1]
            if far == up == left == pixel:
                continue  # enters with its edges and vertex: nothing on balance
            down_edge, right_edge = max(pixel, left), max(pixel, up)
            entered[max(down_edge, right_edge, far)] += 1
            entered[down_edge] -= 1
            entered[right_edge] -= 1
            entered[pixel] += 1
        above, here = here, above
    return entered


@numba.njit(cache=True, nogil=True)
def _ranks(row, levels, ranks):  # type: ignore[no-untyped-def]  # compiled
    """Put how many of the ascending levels each pixel reaches into ``ranks``, from its second entry on; NaN none.

    Neighbours are alike: the search begins at the last one's.
    """
    count, rank = len(levels), 0
    for x in range(len(row)):
        value = row[x]
        while rank < count and value >= levels[rank]:
            rank += 1
        while rank > 0 and not value >= levels[rank - 1]:
            rank -= 1
        ranks[x + 1] = rank


def density_euler_curve(
    plane: FloatPlane,
    parenchyma: Mask,
    pixel_um: float,
    *,
    levels: npt.ArrayLike = EULER_LEVELS,
    sigma_um: float = EULER_SIGMA_UM,
) -> Values:
    """Return the Euler characteristic of the dense parts of a stain, over levels of density (R14).

    The stain's density is its mean inside the parenchyma under a Gaussian of ``sigma_um``. Level 0 is the 2nd and
    level 1 the 98th percentile of density over the parenchyma, the plateaux of cortex and medulla where there are
    any: gain and offset change nothing, and noise on a plateau stays below the lowest level. χ of {density ≥ level}
    counts islands 1 each and holes in them −1. A single medulla keeps χ near 1 throughout; a mosaic goes from many
    islands at high levels to many holes at low ones. For a Gaussian field without structure
    χ / A ≈ κ z exp(−z² / 2) / (2π)^{3/2}, with z the level in SD and κ the mean squared slope along an axis over
    the variance (Adler 1981).

    Parameters
    ----------
    plane : (Y, X) float32
    parenchyma : (Y, X) bool
    pixel_um : float
    levels : (N,) float

    Returns
    -------
    (N,) float64
        Whole numbers; NaN if the parenchyma is empty or the stain constant.

    Examples
    --------
    Two round islands: two pieces at every level, though one is brighter.

    >>> import numpy as np
    >>> y, x = np.mgrid[:300, :300] * 2.0
    >>> one, two = (np.hypot(y - 300, x - c) < 80 for c in (150, 450))
    >>> density_euler_curve((10.0 + 60 * one + 80 * two).astype(np.float32), y >= 0, 2.0, levels=[0.1, 0.5])
    array([2., 2.])
    """
    wanted = np.asarray(levels, np.float64)
    undefined = np.full(wanted.shape, np.nan)
    if not parenchyma.any():
        return undefined
    bins = lay_bins(parenchyma, _BIN_UM, pixel_um)
    share = bins.share()
    inside = share >= 0.5
    if not inside.any():
        return undefined
    sigma = math.sqrt(max(sigma_um**2 - _BIN_UM**2 / 12, 0)) / _BIN_UM
    size = 2 * int(4 * sigma + 0.5) + 1
    above, below = (
        np.asarray(cv2.GaussianBlur(v, (size, size), sigma, borderType=cv2.BORDER_CONSTANT), np.float64)
        for v in (bins.mean(plane) * share, share)
    )
    density = np.where(inside, above / np.where(inside, below, 1), -np.inf)
    low, high = (float(q) for q in np.quantile(density[inside], _PLATEAUX))
    if not high - low > 1e-6 * max(abs(low), abs(high)):
        return undefined
    return euler_numbers(density, low + wanted * (high - low)).astype(np.float64)


def dilation_euler_curve(mask: Mask, pixel_um: float, *, radii_um: npt.ArrayLike = DILATIONS_UM) -> Values:
    """Return the Euler characteristic of a mask dilated by discs of growing radius (R14).

    At radius r the set is every pixel whose centre lies within r of the mask's edge (half a pixel from the centre
    of its nearest pixel). Pieces merge when the gap between them is 2r, and holes fill when their inscribed radius
    is r: the curve says at which distances the pieces lie. χ is pieces (8-connected) less holes. Where two long
    edges meet, they touch in several places at once and the holes between those fill within the next few µm: a dip
    at a single radius is that.

    Parameters
    ----------
    mask : (Y, X) bool
    pixel_um : float
    radii_um : (N,) float
        0 is the mask itself.

    Returns
    -------
    (N,) float64
        NaN if the mask is empty.

    Examples
    --------
    Two squares 40 µm apart: two pieces until each has grown by 20 µm.

    >>> import numpy as np
    >>> mask = np.zeros((60, 100), bool)
    >>> mask[20:40, 20:40] = mask[20:40, 60:80] = True
    >>> dilation_euler_curve(mask, 2.0, radii_um=[0, 15, 25])
    array([2., 2., 1.])
    """
    radii = np.asarray(radii_um, np.float64) / pixel_um
    if not mask.any():
        return np.full(radii.shape, np.nan)
    pad = math.ceil(float(radii.max(initial=0))) + 1
    # padded, so that growth is not cut where the image ends
    grown = distance_px(np.pad(mask[bounding_box(mask)], pad))
    return euler_numbers(-grown, -(radii + 0.5 + 1e-4)).astype(np.float64)

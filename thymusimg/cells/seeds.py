"""Where a cell's centre may lie: edges vote along their gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numba
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from thymusimg.section.model import FloatPlane

NEAREST_UM, FARTHEST_UM, REACHES = 2.4, 4.2, 5
"""An edge votes for centres at these distances, which cover cells of 5-9 µm and reach into bigger ones."""
SPREAD_UM = 0.4
"""Votes are blurred by this SD: cells are not perfect circles."""
APART_UM = 1.0
"""Votes are compared over this distance."""
NEARLY = 0.85
"""A seed has at least this part of the most votes within ``APART_UM``: the best outline of two cells that lie over
each other often starts beside the peak."""
RIM_UM = 0.8
"""How much nearer to the centre the inner edge of a membrane lies than its outer edge."""
INNER_WEIGHT = 0.25
"""Weight of the inner edge; it is the only evidence where packed cells share their membranes."""
EDGE_PER_UM = 0.06
"""Weakest gradient that votes, per µm of the square-rooted signal (see
:func:`thymusimg.cells.evenness.even_out`)."""
SUPPORT_UM = FARTHEST_UM + 4 * SPREAD_UM + APART_UM + 4.0
"""No seed depends on pixels farther away than this, its plane's own blur included."""


def find_seeds(plane: FloatPlane, pixel_um: float, weakest: float) -> tuple[npt.NDArray[np.intp], FloatPlane]:
    """Find where many edges agree on a centre.

    Every pixel with a clear gradient votes for centres along it, at 2.4-4.2 µm: uphill for the outer edge of a
    membrane, downhill for its inner edge (the fast radial symmetry transform of Loy & Zelinsky 2003, IEEE TPAMI
    25:959, with the two edges of a ring). The seeds are the local maxima and the places beside them that are
    nearly as good.

    Parameters
    ----------
    plane : (Y, X) float32
        Evened-out CD45 signal, smoothed, at about 1 µm/px.
    pixel_um : float
        Side of its pixels.
    weakest : float
        Fewest votes of a seed.

    Returns
    -------
    places : (N, 2) int
        Row and column of each seed, in raster order.
    votes : (N,) float32
    """
    votes = _vote(
        plane,
        np.float32(EDGE_PER_UM * pixel_um),
        np.linspace(NEAREST_UM, FARTHEST_UM, REACHES) / pixel_um,
        RIM_UM / pixel_um,
        np.float32(INNER_WEIGHT),
    )
    votes = cv2.GaussianBlur(votes, (0, 0), SPREAD_UM / pixel_um)
    votes *= np.float32(1 / pixel_um)  # so that a ring has as many votes at any pixel size
    around = cv2.dilate(votes, disc(round(APART_UM / pixel_um)))
    places = np.argwhere((votes >= np.float32(NEARLY) * around) & (votes > weakest))
    return places, votes[places[:, 0], places[:, 1]]


def disc(radius: int) -> npt.NDArray[np.uint8]:
    """Return a disc of pixels, the same however it is turned (OpenCV's ellipse is not)."""
    y, x = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    pixels: npt.NDArray[np.uint8] = (y**2 + x**2 <= radius**2).astype(np.uint8)
    return pixels


@numba.njit(cache=True, nogil=True)
def _vote(plane, weakest, reaches, rim, inner):  # type: ignore[no-untyped-def]  # compiled
    height, width = plane.shape
    votes = np.zeros((height, width), np.float32)
    half = np.float32(0.5)
    for y in range(1, height - 1):
        for x in range(1, width - 1):
            gy = (plane[y + 1, x] - plane[y - 1, x]) * half
            gx = (plane[y, x + 1] - plane[y, x - 1]) * half
            slope = np.sqrt(gy * gy + gx * gx)
            if slope < weakest:
                continue
            # saturating weight: debris a hundred times brighter than a cell may not outvote it
            weight = slope / (slope + np.float32(2) * weakest)
            uy, ux = gy / slope, gx / slope
            for reach in reaches:
                yy, xx = int(np.floor(y + uy * reach + 0.5)), int(np.floor(x + ux * reach + 0.5))
                if 0 <= yy < height and 0 <= xx < width:
                    votes[yy, xx] += np.float32(weight / reach)
                near = reach - rim
                yy, xx = int(np.floor(y - uy * near + 0.5)), int(np.floor(x - ux * near + 0.5))
                if 0 <= yy < height and 0 <= xx < width:
                    votes[yy, xx] += np.float32(inner * weight / near)
    return votes

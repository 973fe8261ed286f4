"""How many cells a cell has around it: where there are many, one more is likelier than a speck of the capsule."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from thymusimg.cells.seeds import disc

if TYPE_CHECKING:
    from thymusimg.section.model import FloatPlane

NEAREST_UM, FARTHEST_UM = 4.0, 12.0
"""Half sides of the square ring in which other cells count; nearer outlines may be the same cell's."""
WIDTH_UM = 2.0
"""A seed stands for the pixels within this radius, so that many seeds of one cell count once."""
SUPPORT_UM = FARTHEST_UM + WIDTH_UM + 1.5
"""No place's company depends on seeds farther away than this along an axis (half a pixel of rounding for each)."""
LEVELS = 200
"""Scores are rounded to whole parts of 1, so that their sums are exact in any order."""


def count_company(
    places: npt.NDArray[np.intp], scores: FloatPlane, shape: tuple[int, int], pixel_um: float
) -> npt.NDArray[np.float64]:
    """Return the share of a seed's surroundings (4-12 µm away) that likely cells fill.

    Parameters
    ----------
    places : (N, 2) int
        Row and column of the seeds.
    scores : (N,) float32
        How likely each is a cell, judged by itself.
    shape : (int, int)
        Of the plane of the seeds.
    pixel_um : float
        Side of its pixels.

    Returns
    -------
    (N,) float64
        0 alone, 1 where seeds lie everywhere.
    """
    likely = np.zeros(shape, np.uint8)
    likely[places[:, 0], places[:, 1]] = np.rint(scores * np.float32(LEVELS)).astype(np.uint8)
    likely = cv2.dilate(likely, disc(round(WIDTH_UM / pixel_um)))
    outer, inner = _side(FARTHEST_UM, pixel_um), _side(NEAREST_UM, pixel_um)
    ring = _sum(likely, outer) - _sum(likely, inner)
    company: npt.NDArray[np.float64] = ring[places[:, 0], places[:, 1]] / (LEVELS * (outer**2 - inner**2))
    return company


def _side(half_um: float, pixel_um: float) -> int:
    return 2 * round(half_um / pixel_um) + 1


def _sum(plane: npt.NDArray[np.uint8], side: int) -> npt.NDArray[np.int32]:
    total: npt.NDArray[np.int32] = cv2.boxFilter(
        plane, cv2.CV_32S, (side, side), normalize=False, borderType=cv2.BORDER_CONSTANT
    )
    return total

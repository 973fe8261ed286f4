"""CD45 on a scale on which dim and bright cells, dark and bright noise, count alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba
import numpy as np

if TYPE_CHECKING:
    from thymusimg.section.model import FloatPlane

FLOOR_SD = 2.5
"""The evened-out signal is linear below this many SDs of the background, square-rooted above."""


def even_out(plane: FloatPlane, background: float, sd: float) -> FloatPlane:
    """Return √(1 + max(0, I − background) / (2.5 SD)), in which 1 is background.

    Noise has about the same size everywhere, and bright cells do not outweigh dim ones.
    """
    even = np.empty(plane.shape, np.float32)
    _even_out(plane, np.float32(background), np.float32(1 / (FLOOR_SD * sd)), even)
    return even


@numba.njit(cache=True, nogil=True)
def _even_out(plane: FloatPlane, background: np.float32, scale: np.float32, even: FloatPlane) -> None:
    for y in range(plane.shape[0]):
        for x in range(plane.shape[1]):
            even[y, x] = np.sqrt(np.float32(1) + max(np.float32(0), plane[y, x] - background) * scale)

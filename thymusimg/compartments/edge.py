"""Connective tissue along the edge that stains like medulla."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba
import numpy as np
import numpy.typing as npt

from thymusimg.compartments.model import Compartment
from thymusimg.compartments.shapes import components, depth_px

if TYPE_CHECKING:
    from thymusimg.section.model import LabelPlane, Mask

_FREE_OUTLINE = 0.4  # share of a patch's outline; a lobe's medulla that reaches the capsule has a quarter
_MAX_WIDTH_UM = 150.0
_MAX_SHARE = 0.1  # of all medulla: a lobe without cortex lies in its capsule all round and stays what it is


def false_medulla(labels: LabelPlane, px: float) -> Mask:
    """Return the patches of medulla that lie on the outside of the lobe: pleura, fat, a glowing capsule.

    Medulla lies inside a lobe. A patch is no medulla if two fifths of its outline or more face glass, capsule or
    connective tissue, no disc of 150 µm fits into it, and it holds less than a tenth of the section's medulla.

    Parameters
    ----------
    labels : (Y, X) uint8
        Codes of :class:`Compartment`.
    px : float
        Pixel size in µm.
    """
    medulla = labels == Compartment.MEDULLA
    patch, area = components(medulla)
    outside = (labels == Compartment.OTHER) | (labels == Compartment.BACKGROUND)
    free, outline = _facing(patch, outside, len(area)), _facing(patch, ~medulla, len(area))
    depth = np.zeros(len(area), np.float32)
    np.maximum.at(depth, patch[medulla], depth_px(medulla)[medulla])
    false = (
        (free >= _FREE_OUTLINE * outline)
        & (2 * depth * px < _MAX_WIDTH_UM)
        & (area < _MAX_SHARE * np.count_nonzero(medulla))
    )
    false[0] = False
    return np.asarray(false[patch], bool)


def _facing(patch: npt.NDArray[np.uint32], what: Mask, count: int) -> npt.NDArray[np.int64]:
    """Return, for every patch, how many sides of its pixels lie against ``what``."""
    sides = np.zeros(count, np.int64)
    _count_sides(patch, what, sides)
    return sides


@numba.njit(cache=True, nogil=True)
def _count_sides(patch, what, sides):  # type: ignore[no-untyped-def]  # compiled
    rows, cols = patch.shape
    for y in range(rows):
        for x in range(cols):
            own = patch[y, x]
            if own:
                sides[own] += (y > 0 and what[y - 1, x]) + (y < rows - 1 and what[y + 1, x])
                sides[own] += (x > 0 and what[y, x - 1]) + (x < cols - 1 and what[y, x + 1])

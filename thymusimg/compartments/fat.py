"""Fat: a lace of empty round cells beside the tissue."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thymusimg.compartments.shapes import closed, components, dilate, holes

if TYPE_CHECKING:
    from thymusimg.section.model import Mask

_MIN_CELL_UM2 = 50.0  # no mesh of a smoothed keratin network is so wide
_MAX_CELL_UM2 = 20_000.0
_WALL_UM = 20.0  # half the greatest distance between neighbouring cells
_MIN_CELLS = 4


def find_fat(bright: Mask, px: float) -> Mask:
    """Return the fat among the bright pixels of a slide, walls and empty insides.

    At least four gaps, each wider than a mesh of keratin, lie side by side with thin walls between them.

    Parameters
    ----------
    bright : (Y, X) bool
        What is brighter than glass.
    px : float
        Pixel size in µm.
    """
    labels, area = holes(bright)
    cell = (area >= _MIN_CELL_UM2 / px**2) & (area <= _MAX_CELL_UM2 / px**2)
    if np.count_nonzero(cell) < _MIN_CELLS:
        return np.zeros_like(bright)
    gaps = np.asarray(cell[labels], bool)
    groups, size = components(closed(gaps, _WALL_UM / px))
    pairs = np.unique(np.stack([groups[gaps], labels[gaps]]), axis=1)
    lace = np.bincount(pairs[0].astype(np.intp), minlength=len(size)) >= _MIN_CELLS
    lace[0] = False
    found = np.asarray(lace[groups], bool)
    return dilate(found, _WALL_UM / px) & (bright | found) if found.any() else found

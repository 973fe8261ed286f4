"""Fat: a lace of empty round cells beside the tissue."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thymusimg.compartments.shapes import closed, components, dilate, fill_holes, opened, touches_border

if TYPE_CHECKING:
    from thymusimg.section.model import Mask

_CELL_UM = 6.0  # a disc of this radius fits into an empty fat cell, and into no mesh of a keratin network
_WALL_UM = 15.0  # half the distance between neighbouring cells
_MAX_CELL_UM2 = 20_000.0
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
    envelope = fill_holes(closed(bright, _WALL_UM / px))
    gaps = opened(~bright, _CELL_UM / px) & envelope
    labels, area = components(gaps, 4)
    large = area > _MAX_CELL_UM2 / px**2
    large |= touches_border(labels, len(area) - 1)
    large[0] = False
    gaps &= ~large[labels]
    labels, _ = components(gaps, 4)
    groups, size = components(closed(gaps, _WALL_UM / px))
    pairs = np.unique(np.stack([groups[gaps], labels[gaps]]), axis=1)
    lace = np.bincount(pairs[0].astype(np.intp), minlength=len(size)) >= _MIN_CELLS
    lace[0] = False
    found = np.asarray(lace[groups], bool)
    return dilate(found, _WALL_UM / px) & envelope if found.any() else found

"""Fat: a lace of empty round cells beside the tissue."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thymusimg.compartments.shapes import closed, components, dilate, fill_holes, opened
from thymusimg.compartments.smooth import blur
from thymusimg.section.quantile import quantiles

if TYPE_CHECKING:
    import numpy.typing as npt

    from thymusimg.section.model import FloatPlane, Mask

_MIN_CELL_UM2 = 50.0  # no mesh of a smoothed keratin network is so wide
_MAX_CELL_UM2 = 20_000.0
_WALL_UM = 20.0  # half the greatest distance between neighbouring cells
_MIN_CELLS = 4
_THIN_WALL_UM = 15.0  # the same for cells that are seen one by one
_LOOSE_UM = 30.0
_MIN_LUMEN_UM2 = 25.0
_FINE_UM = 1.5
_EMPTY = 0.1  # of the typical brightness of the tissue
_GLARING = 4.0


def find_fat(bright: Mask, gaps: tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]], px: float) -> Mask:
    """Return the fat among the bright pixels of a slide, walls and empty insides.

    At least four gaps, each wider than a mesh of keratin, lie side by side with thin walls between them.

    Parameters
    ----------
    bright : (Y, X) bool
        What is brighter than glass.
    gaps : (Y, X) uint32, (N,) int64
        Its holes, numbered, and their areas in pixels, as :func:`thymusimg.compartments.shapes.holes` gives them.
    px : float
        Pixel size in µm.
    """
    labels, area = gaps
    cell = (area >= _MIN_CELL_UM2 / px**2) & (area <= _MAX_CELL_UM2 / px**2)
    inside = np.asarray(cell[labels], bool)
    found = _side_by_side(inside, labels, _WALL_UM / px)
    return dilate(found, _WALL_UM / px) & (bright | found) if found.any() else found


def lace_gaps(k14: FloatPlane, k8: FloatPlane, tissue: Mask, px: float) -> tuple[npt.NDArray[np.uint32], Mask]:
    """Return what may be the insides of small fat cells, numbered, and the tissue with its holes filled.

    Light fills such cells at a coarse look. Looked at finely, they are as dark as glass, a tenth of the tissue,
    while a mesh of the keratin network holds out-of-focus light. What holds no such cell over the width of a mesh
    or two is no fat.

    Parameters
    ----------
    k14, k8 : (Y, X) float32
        Background-subtracted planes.
    tissue : (Y, X) bool
    px : float
        Pixel size in µm.
    """
    filled = fill_holes(tissue)
    light = np.zeros(tissue.shape, np.float32)
    for plane in (k14, k8):
        typical = max(quantiles(plane, (0.5,), tissue)[0], 1e-6)
        light += blur(np.minimum(plane, np.float32(_GLARING * typical)), _FINE_UM / px) / np.float32(2 * typical)
    labels, area = components((light < _EMPTY) & filled, connectivity=4)
    cell = (area >= _MIN_LUMEN_UM2 / px**2) & (area <= _MAX_CELL_UM2 / px**2)
    cell[0] = False
    return np.where(cell[labels], labels, np.uint32(0)), filled


def find_lace(labels: npt.NDArray[np.uint32], filled: Mask, px: float) -> Mask:
    """Return the fat that was taken for tissue because its cells are small, from :func:`lace_gaps`."""
    gaps = labels > 0
    found = _side_by_side(gaps, labels, _THIN_WALL_UM / px)
    if not found.any():
        return found
    solid = opened(filled & ~gaps, _THIN_WALL_UM / px)
    fat = dilate(found, _THIN_WALL_UM / px) & filled & ~solid
    # Cells cut at their tops look solid; next to fat, what is no wider than a cell or two belongs to it.
    loose = filled & ~fat
    loose &= ~opened(loose, _LOOSE_UM / px)
    return fat | (loose & dilate(fat, _LOOSE_UM / px))


def _side_by_side(gaps: Mask, labels: npt.NDArray[np.uint32], reach_px: float) -> Mask:
    """Return the groups of four numbered gaps or more with at most twice ``reach_px`` between them."""
    if not gaps.any():
        return np.zeros_like(gaps)
    groups, size = components(closed(gaps, reach_px))
    pairs = np.unique(np.stack([groups[gaps], labels[gaps]]), axis=1)
    lace = np.bincount(pairs[0].astype(np.intp), minlength=len(size)) >= _MIN_CELLS
    lace[0] = False
    return np.asarray(lace[groups], bool)

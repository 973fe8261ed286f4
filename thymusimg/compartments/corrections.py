"""What a person does to a map of compartments: fill, smooth, merge, give another class, call an artefact.

All functions take labels and a region, and return new labels; nothing outside the region (or, for holes, outside
the patch) changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from skimage.draw import polygon

from thymusimg.compartments.model import Compartment
from thymusimg.compartments.shapes import dilate, fill_holes
from thymusimg.compartments.smooth import blur
from thymusimg.errors import CallError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from thymusimg.section.model import Grid, LabelPlane, Mask


def patch_at(labels: LabelPlane, row: int, col: int) -> Mask | None:
    """Return the connected patch of one label that a pixel lies in; None off the map and on the background."""
    inside = 0 <= row < labels.shape[0] and 0 <= col < labels.shape[1]
    if not inside or labels[row, col] == Compartment.BACKGROUND:
        return None
    pixels = np.ascontiguousarray(labels, np.uint8)
    found = np.zeros((labels.shape[0] + 2, labels.shape[1] + 2), np.uint8)  # OpenCV wants a frame
    cv2.floodFill(pixels, found, (int(col), int(row)), 1, flags=8 | cv2.FLOODFILL_MASK_ONLY | 1 << 8)
    return np.ascontiguousarray(found[1:-1, 1:-1]).view(np.bool_)


def inside_outlines(rings_um: Iterable[npt.ArrayLike], grid: Grid) -> Mask:
    """Return the pixels whose centres lie in any of the outlines, (N, 2) points (y, x) in µm."""
    out = np.zeros(grid.shape, bool)
    for ring in rings_um:
        rows, cols = grid.to_index(ring).T
        out[polygon(rows, cols, grid.shape)] = True
    return out


def give_class(labels: LabelPlane, where: Mask, code: int) -> LabelPlane:
    """Give a region a compartment; tissue may be added and taken away by it.

    Raises
    ------
    CallError
        If the code is none of :class:`Compartment`.
    """
    if code not in set(Compartment):
        raise CallError(f"there is no compartment {code}")
    return np.where(where, np.uint8(code), labels)


def mark_artefact(labels: LabelPlane, where: Mask) -> LabelPlane:
    """Call the tissue of a region an artefact: it stays tissue and is measured no more. Glass stays glass."""
    return np.where(where & (labels != Compartment.BACKGROUND), np.uint8(Compartment.ARTEFACT), labels)


def fill_patch(labels: LabelPlane, where: Mask) -> LabelPlane:
    """Fill what a region encloses with the compartment that most of the region is.

    For a patch: islands of other classes, cysts and holes inside it. A drawn outline has no holes; then everything
    in it but the commonest compartment becomes that compartment.
    """
    inner = labels[where]
    inner = inner[inner != Compartment.BACKGROUND]
    if len(inner) == 0:
        return labels.copy()
    code = int(np.bincount(inner).argmax())
    window, out = _box(where), labels.copy()  # holes lie inside the box of what encloses them
    out[window][fill_holes(where[window])] = code
    return out


def merge_patch(labels: LabelPlane, where: Mask) -> LabelPlane:
    """Give a region the class that most of its surroundings have, within two pixels.

    Glass does not count; a region with nothing but glass around it stays as it is.
    """
    around = labels[dilate(where, 2.0) & ~where]
    around = around[around != Compartment.BACKGROUND]
    if len(around) == 0:
        return labels.copy()
    return np.where(where, np.uint8(np.bincount(around).argmax()), labels)


def smooth_borders(labels: LabelPlane, where: Mask, sigma_px: float) -> LabelPlane:
    """Smooth the borders between compartments inside a region: every pixel takes the class that prevails around it.

    Prevails: has the greatest Gaussian share. The outline of the tissue and artefacts stay.

    Parameters
    ----------
    labels : (Y, X) uint8
    where : (Y, X) bool
    sigma_px : float
        Of the Gaussian; bumps narrower than about twice this go.
    """
    fixed = (int(Compartment.BACKGROUND), int(Compartment.ARTEFACT))
    near = dilate(where, 4 * sigma_px)
    codes = [int(code) for code in np.unique(labels[near]) if int(code) not in fixed]
    window = _box(near)
    part = labels[window]
    best = np.zeros(part.shape, np.float32)
    out = part.copy()
    movable = where[window] & ~np.isin(part, fixed)
    for code in codes:
        share = blur(part == code, sigma_px)
        wins = share > best + np.float32(1e-6)
        best[wins] = share[wins]
        out[wins & movable] = code
    whole = labels.copy()
    whole[window] = out
    return whole


def _box(mask: Mask) -> tuple[slice, slice]:
    rows, cols = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if len(rows) == 0:
        return slice(0, 0), slice(0, 0)
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(cols[0]), int(cols[-1]) + 1)

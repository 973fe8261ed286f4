"""Medullary islets: how many, how large, how round (R2, R4)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cc3d
import cv2
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from thymusimg.measurements.smoothing import smooth_to

if TYPE_CHECKING:
    from thymusimg.section.model import Mask


@dataclass(frozen=True)
class Islets:
    """The medullary islets of a section (R2).

    Attributes
    ----------
    areas_um2 : (N,) float64
        Area of every islet, largest first; only medulla counts, not the gaps that were closed.
    at_border : (N,) bool
        Which of them the image's border cuts: their area is known in part only.
    roundness : (N,) float64
        P² / (4πA) of their outer outline, at least 1; a disc has 1. NaN where the image's border cuts.
    """

    areas_um2: npt.NDArray[np.float64]
    at_border: npt.NDArray[np.bool_]
    roundness: npt.NDArray[np.float64]

    def at_least(self, area_um2: float) -> Islets:
        """Return the islets of at least this area."""
        kept = self.areas_um2 >= area_um2
        return Islets(self.areas_um2[kept], self.at_border[kept], self.roundness[kept])

    @property
    def count(self) -> int:
        """Number of islets."""
        return len(self.areas_um2)

    @property
    def largest_share(self) -> float:
        """A₁ / ΣA in (0, 1]; NaN without islets."""
        return float(self.areas_um2[0] / self.areas_um2.sum()) if self.count else math.nan

    @property
    def effective_number(self) -> float:
        """(ΣA)² / ΣA², at least 1; NaN without islets."""
        return float(self.areas_um2.sum() ** 2 / (self.areas_um2**2).sum()) if self.count else math.nan

    @property
    def median_area_um2(self) -> float:
        """Median area of the islets that are wholly in the image; NaN without any."""
        whole = self.areas_um2[~self.at_border]
        return float(np.median(whole)) if whole.size else math.nan

    @property
    def median_roundness(self) -> float:
        """Median P² / (4πA) of the islets that are wholly in the image; NaN without any."""
        whole = self.roundness[~self.at_border]
        return float(np.median(whole)) if whole.size else math.nan


def find_islets(
    medulla: Mask, pixel_um: float, *, min_area_um2: float = 1500.0, closing_um: float = 10.0
) -> Islets:
    """Find medullary islets: 8-connected pieces of medulla after closing narrow gaps (R2).

    Parameters
    ----------
    medulla : (Y, X) bool
    pixel_um : float
    min_area_um2 : float
        Smaller pieces are no islets.
    closing_um : float
        Gaps up to this width do not part an islet.

    Examples
    --------
    Two squares of 20 x 20 pixels of 4 µm²; one of 10 x 10 is too small.

    >>> import numpy as np
    >>> medulla = np.zeros((60, 100), bool)
    >>> medulla[10:30, 10:30] = medulla[10:30, 50:70] = medulla[45:55, 45:55] = True
    >>> islets = find_islets(medulla, 2.0)
    >>> islets.count, islets.largest_share, islets.effective_number
    (2, 0.5, 2.0)
    """
    return label_islets(medulla, pixel_um, min_area_um2=min_area_um2, closing_um=closing_um)[0]


def label_islets(
    medulla: Mask, pixel_um: float, *, min_area_um2: float = 1500.0, closing_um: float = 10.0
) -> tuple[Islets, npt.NDArray[np.int32]]:
    """Return the islets of :func:`find_islets`, and where they lie: (Y, X) labels, 1 the first of them, 0 off them.

    Parameters are those of :func:`find_islets`.
    """
    if not medulla.any():
        return Islets(np.zeros(0), np.zeros(0, bool), np.zeros(0)), np.zeros(medulla.shape, np.int32)
    closed = _close(medulla, closing_um / pixel_um).view(np.uint8)  # cc3d 4.1 mislabels 8-connected booleans
    pieces = np.asarray(cc3d.connected_components(closed, connectivity=8))
    pieces[~medulla] = 0
    areas = np.asarray(np.bincount(pieces.ravel())[1:] * pixel_um**2, np.float64)
    rim = np.concatenate([pieces[0], pieces[-1], pieces[:, 0], pieces[:, -1]])
    cut = np.isin(np.arange(1, len(areas) + 1), rim)
    kept = np.flatnonzero((areas >= min_area_um2) & (areas > 0))
    kept = kept[np.lexsort((cut[kept], -areas[kept]))]
    round_ = np.full(len(kept), math.nan)
    for i, box in enumerate(ndimage.find_objects(pieces)):
        at = np.flatnonzero(kept == i)
        if at.size and not cut[i] and box is not None:
            round_[at] = isoperimetric_ratio(pieces[box] == i + 1, pixel_um)
    number = np.zeros(len(areas) + 1, np.int32)
    number[kept + 1] = np.arange(1, len(kept) + 1)
    return Islets(areas[kept], cut[kept], round_), number[pieces]


def isoperimetric_ratio(islet: Mask, pixel_um: float, *, sigma_um: float = 5.0) -> float:
    """Return P² / (4πA) of an islet's outer outline, smoothed at ``sigma_um`` so that pixels add no length (R4).

    Parameters
    ----------
    islet : (Y, X) bool
        One islet; its holes do not count.
    pixel_um, sigma_um : float
        µm.

    Returns
    -------
    float
        At least 1, a disc's; a square has 4/π = 1.27 less its rounded corners. NaN if nothing outlasts the blur.

    Examples
    --------
    >>> import numpy as np
    >>> y, x = np.mgrid[-60:61, -60:61]
    >>> round(isoperimetric_ratio(np.hypot(y, x) < 50, 2.0), 2)
    1.0
    """
    from skimage.measure import find_contours

    room = math.ceil(5 * sigma_um / pixel_um) + 1
    field = smooth_to(np.pad(islet, room).astype(np.float32), sigma_um, pixel_um)
    lines = find_contours(field, 0.5)
    if not lines:
        return math.nan
    # the outer outline encloses the most
    areas = [abs(float(np.sum(a[:-1, 0] * a[1:, 1] - a[1:, 0] * a[:-1, 1]))) / 2 for a in lines]
    outer = int(np.argmax(areas))
    perimeter = float(np.hypot(*np.diff(lines[outer], axis=0).T).sum())
    return perimeter**2 / (4 * math.pi * areas[outer])


def _close(mask: Mask, gap_px: float) -> Mask:
    """Close a mask by a disc of radius ``gap_px / 2``; the border of the image neither helps nor hinders."""
    reach = math.floor(gap_px / 2)
    if reach < 1:
        return mask
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = (np.hypot(y, x) <= gap_px / 2).astype(np.uint8)
    pad = 2 * reach + 1
    closed = cv2.morphologyEx(np.pad(mask, pad).view(np.uint8), cv2.MORPH_CLOSE, disc)
    return np.asarray(closed[pad:-pad, pad:-pad].view(bool) | mask)

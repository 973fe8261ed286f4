"""Planes as means over square bins of a stated side, whatever the pixel size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from thymusimg.measurements.tiling import Tiles, lay_tiles

if TYPE_CHECKING:
    from thymusimg.section.model import FloatPlane, Mask

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Bins:
    """Square bins that lie symmetrically around the middle of a mask.

    A plane is averaged when it is asked for, and whoever asks decides how long it is kept: on a large section each
    takes 8 bytes a bin.
    """

    tiles: Tiles
    mask: Mask

    def mean(self, plane: FloatPlane) -> Values:
        """Return a plane's mean over the part of every bin that lies in the mask; 0 where none does."""
        found = self.tiles.sum(plane, self.mask)
        return np.divide(found, self.tiles.area, out=found, where=self.tiles.area > 0)

    def share(self) -> Values:
        """Return which share of every bin lies in the mask, in [0, 1]."""
        return np.clip(self.tiles.area / self.tiles.side_px**2, 0.0, 1.0)


def lay_bins(mask: Mask, bin_um: float, pixel_um: float) -> Bins:
    """Lay square bins over a non-empty mask.

    A bin's edge may cut a pixel: each part then counts in its own bin. So the bins do not depend on how the section
    is turned, flipped or padded, and hardly on the pixel size.

    Examples
    --------
    >>> import numpy as np
    >>> plane = np.float32([[1, 3, 5, 5], [1, 3, 5, 9]])
    >>> mask = np.bool_([[1, 1, 1, 1], [1, 1, 1, 0]])
    >>> bins = lay_bins(mask, 4.0, 2.0)
    >>> bins.mean(plane), bins.share()
    (array([[2., 5.]]), array([[1.  , 0.75]]))
    """
    return Bins(lay_tiles(mask, bin_um / pixel_um), mask)

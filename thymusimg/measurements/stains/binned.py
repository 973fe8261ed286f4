"""Planes as means over square bins of a stated side, whatever the pixel size."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from thymusimg.measurements.tiling import lay_tiles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thymusimg.section.model import FloatPlane, Mask

Values = npt.NDArray[np.float64]


class Binned(NamedTuple):
    """Planes on square bins that lie symmetrically around the middle of a mask.

    Attributes
    ----------
    planes : tuple of (NY, NX) float64
        Mean over the part of every bin that lies in the mask; 0 where none does.
    share : (NY, NX) float64
        Which share of the bin lies in the mask, in [0, 1].
    """

    planes: tuple[Values, ...]
    share: Values


def bin_planes(planes: Sequence[FloatPlane], mask: Mask, bin_um: float, pixel_um: float) -> Binned:
    """Average planes inside a non-empty mask over square bins.

    A bin's edge may cut a pixel: each part then counts in its own bin. So the bins do not depend on how the section
    is turned, flipped or padded, and hardly on the pixel size.

    Examples
    --------
    >>> import numpy as np
    >>> plane = np.float32([[1, 3, 5, 5], [1, 3, 5, 9]])
    >>> mask = np.bool_([[1, 1, 1, 1], [1, 1, 1, 0]])
    >>> binned = bin_planes([plane], mask, 4.0, 2.0)
    >>> binned.planes[0], binned.share
    (array([[2., 5.]]), array([[1.  , 0.75]]))
    """
    tiles = lay_tiles(mask, bin_um / pixel_um)
    known = np.where(tiles.area > 0, tiles.area, 1.0)
    means = tuple(tiles.sum(plane, mask) / known for plane in planes)
    return Binned(means, np.clip(tiles.area / tiles.side_px**2, 0.0, 1.0))

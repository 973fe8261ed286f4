"""Paint the masks of many cells into a label image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@numba.njit(nogil=True, cache=True)
def paint_masks(
    labels: npt.NDArray[np.uint32],
    y0: int,
    x0: int,
    boxes: npt.NDArray[np.int32],
    starts: npt.NDArray[np.int64],
    bits: npt.NDArray[np.bool_],
    which: npt.NDArray[np.int64],
) -> None:
    """Write ``index + 1`` of the cells ``which`` into ``labels``; its first pixel is ``(y0, x0)`` of the slide."""
    height, width = labels.shape
    for index in which:
        top, bottom, left, right = boxes[index]
        start = starts[index]
        for y in range(max(top, y0), min(bottom, y0 + height)):
            row = start + (y - top) * (right - left) - left
            for x in range(max(left, x0), min(right, x0 + width)):
                if bits[row + x]:
                    labels[y - y0, x - x0] = index + 1

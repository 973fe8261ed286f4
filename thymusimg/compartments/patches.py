"""Small patches of labels, and what they are absorbed by."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cc3d
import numba
import numpy as np

from thymusimg.compartments.shapes import areas

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thymusimg.section.model import LabelPlane

_PASSES = 3


def absorb_small(labels: LabelPlane, codes: Sequence[int], min_px: float) -> LabelPlane:
    """Give every patch of ``codes`` below ``min_px`` pixels the code that most of its border has.

    Parameters
    ----------
    labels : (Y, X) uint8
    codes : sequence of int
        The codes that take part; a patch with none of them around it stays.
    min_px : float
    """
    out = labels.copy()
    for _ in range(_PASSES):
        before = out
        out = _absorb_once(before, codes, min_px)
        if np.array_equal(before, out):
            break
    return out


def _absorb_once(labels: LabelPlane, codes: Sequence[int], min_px: float) -> LabelPlane:
    part = np.zeros(256, bool)
    part[list(codes)] = True
    patch = cc3d.connected_components(np.where(part[labels], labels, 0), connectivity=4, out_dtype=np.uint32)
    area = areas(patch, int(patch.max()))
    small = area < min_px
    small[0] = False
    if not small.any():
        return labels
    votes = np.zeros((len(area), max(codes) + 1), np.int64)
    _vote(patch, labels, small, part, votes)
    winner = votes.argmax(1).astype(labels.dtype)
    change = small & (votes.sum(1) > 0)
    return np.where(change[patch], winner[patch], labels)


@numba.njit(cache=True, nogil=True)
def _vote(patch, labels, small, part, votes):  # type: ignore[no-untyped-def]  # compiled
    """Count the codes on the far side of every border of a small patch."""
    rows, cols = patch.shape
    for y in range(rows):
        for x in range(cols):
            own = patch[y, x]
            if small[own]:
                for b, a in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                    if 0 <= b < rows and 0 <= a < cols and patch[b, a] != own and part[labels[b, a]]:
                        votes[own, labels[b, a]] += 1

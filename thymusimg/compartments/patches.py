"""Small patches of labels, and what they are absorbed by."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cc3d
import numpy as np

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
    taking_part = np.isin(labels, codes)
    patch = cc3d.connected_components(np.where(taking_part, labels, 0), connectivity=4)
    area = np.bincount(patch.ravel())
    small = area < min_px
    small[0] = False
    if not small.any():
        return labels
    # Votes of the pixels on the far side of every border, per patch and code.
    votes = np.zeros((len(area), max(codes) + 1), np.int64)
    for a, b in (
        ((slice(None, -1),), (slice(1, None),)),
        ((slice(None), slice(None, -1)), (slice(None), slice(1, None))),
    ):
        for here, there in ((a, b), (b, a)):
            edge = small[patch[here]] & (patch[here] != patch[there]) & taking_part[there]
            np.add.at(votes, (patch[here][edge], labels[there][edge]), 1)
    winner = votes.argmax(1).astype(labels.dtype)
    change = small & (votes.sum(1) > 0)
    return np.where(change[patch], winner[patch], labels)

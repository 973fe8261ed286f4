"""The constant filling that stitching programs put where nothing was scanned."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from thymusimg.section.model import FloatPlane, Mask

SMALLEST_SHARE = 0.001
"""Filling is at least this share of the slide in one piece; smaller constant spots are clipped background."""

STRAIGHT_RUN_PX = 8
"""Scanned tiles have straight edges: runs of at least this many coarse pixels along rows or columns."""

STRAIGHT_SHARE = 0.5
"""Share of a filling's inner border that lies on straight runs; a clipped background is ragged."""


BAND_ROWS = 512


def find_filling(planes: Mapping[str, FloatPlane]) -> Mask:
    """Find areas that no tile of the scanner covered.

    Filling is one whole number, the same in every stain, over large connected areas with straight edges. The mean
    over a block of real pixels is hardly ever exactly that number in every stain at once.

    Parameters
    ----------
    planes : mapping of str to (Y, X) float32
        Raw coarse planes.

    Returns
    -------
    (Y, X) bool
        True on filling.
    """
    stack = list(planes.values())
    first = stack[0]
    same = np.empty(first.shape, dtype=bool)
    counts: Counter[float] = Counter()
    for y in range(0, len(first), BAND_ROWS):  # in bands: a wide slide's temporaries would outgrow its planes
        band = slice(y, y + BAND_ROWS)
        same[band] = np.equal(first[band], np.rint(first[band]))
        for plane in stack[1:]:
            same[band] &= plane[band] == first[band]
        values, found = np.unique(first[band][same[band]], return_counts=True)
        counts.update(dict(zip(values.tolist(), found.tolist(), strict=True)))
    filling = np.zeros(first.shape, dtype=bool)
    for value, count in counts.items():
        if count >= SMALLEST_SHARE * first.size:
            filling |= _large_straight(same & (first == value))
    # An image that is nothing but one value is empty, not unscanned.
    return np.zeros_like(filling) if filling.all() else filling


def _large_straight(candidate: Mask) -> Mask:
    count, labels, stats, _ = cv2.connectedComponentsWithStats(candidate.astype(np.uint8), connectivity=4)
    chosen = np.zeros(candidate.shape, dtype=bool)
    for label in range(1, count):
        x, y, width, height, area = stats[label]
        if area < SMALLEST_SHARE * candidate.size:
            continue
        # One pixel around the box shows its border, except where the image ends.
        box = slice(max(0, y - 1), y + height + 1), slice(max(0, x - 1), x + width + 1)
        region = labels[box] == label
        if _straight_share(region) >= STRAIGHT_SHARE:
            chosen[box] |= region
    return chosen


def _straight_share(region: Mask) -> float:
    """Return the share of the region's border inside the image that lies on straight runs."""
    across = _runs(region[1:] != region[:-1])
    along = _runs((region[:, 1:] != region[:, :-1]).T)
    total = across[1] + along[1]
    return (across[0] + along[0]) / total if total else 1.0


def _runs(edges: npt.NDArray[np.bool_]) -> tuple[int, int]:
    """Return the number of border pixels on long runs along the rows, and of all border pixels."""
    padded = np.pad(edges.astype(np.int8), ((0, 0), (1, 1)))
    steps = np.diff(padded, axis=1)
    lengths = np.nonzero(steps == -1)[1] - np.nonzero(steps == 1)[1]
    return int(lengths[lengths >= STRAIGHT_RUN_PX].sum()), int(lengths.sum())

"""Whether two labellings hold the same cells: matched by overlap, and by the distance of their centres."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import maximum_bipartite_matching
from scipy.spatial import cKDTree

if TYPE_CHECKING:
    from collections.abc import Sequence

IOU_THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)
"""Overlaps at which two outlines count as one cell."""
DETECTION_UM = 4.0
"""Two centres so near count as one cell: well inside a thymocyte's 6-7 µm."""
_ROWS = 2048
_EPSILON = 1e-9


@dataclass(frozen=True)
class Overlaps:
    """Areas and centres of the cells of two label images, and every pair that shares pixels.

    Attributes
    ----------
    area, other_area : (N,), (M,) int64
        Pixels of every cell, in the order of its label.
    centre, other_centre : (N, 2), (M, 2) float64
        Mean of its pixels (y, x), in pixels.
    pairs : (P, 2) int64
        Positions of cells that share ``shared`` pixels.
    """

    area: npt.NDArray[np.int64]
    other_area: npt.NDArray[np.int64]
    centre: npt.NDArray[np.float64]
    other_centre: npt.NDArray[np.float64]
    pairs: npt.NDArray[np.int64]
    shared: npt.NDArray[np.int64]

    @property
    def iou(self) -> npt.NDArray[np.float64]:
        """Intersection over union of every pair."""
        union = self.area[self.pairs[:, 0]] + self.other_area[self.pairs[:, 1]] - self.shared
        ratio: npt.NDArray[np.float64] = self.shared / union
        return ratio

    def without(self, out: npt.NDArray[np.bool_], other_out: npt.NDArray[np.bool_]) -> Overlaps:
        """Leave out the marked cells of either side."""
        kept, other_kept = ~out, ~other_out
        place, other_place = np.cumsum(kept) - 1, np.cumsum(other_kept) - 1
        both = kept[self.pairs[:, 0]] & other_kept[self.pairs[:, 1]]
        pairs = np.stack([place[self.pairs[both, 0]], other_place[self.pairs[both, 1]]], axis=1)
        return Overlaps(
            self.area[kept], self.other_area[other_kept], self.centre[kept], self.other_centre[other_kept],
            pairs.astype(np.int64), self.shared[both],
        )  # fmt: skip


def measure_overlaps(one: Any, other: Any) -> Overlaps:
    """Go through two label images of one shape strip by strip, so that neither need fit in memory.

    Parameters
    ----------
    one, other : (Y, X) integer arrays
        numpy or zarr; 0 is no cell.
    """
    sides = (_Tally(), _Tally())
    keys: list[npt.NDArray[np.uint64]] = []
    counts: list[npt.NDArray[np.int64]] = []
    for y in range(0, one.shape[0], _ROWS):
        a, b = (np.asarray(x[y : y + _ROWS]).astype(np.int64) for x in (one, other))
        for tally, labels in zip(sides, (a, b), strict=True):
            tally.add(labels, y)
        both = (a > 0) & (b > 0)
        key, count = np.unique((a[both].astype(np.uint64) << 32) | b[both].astype(np.uint64), return_counts=True)
        keys.append(key)
        counts.append(count)
    key, back = np.unique(np.concatenate([*keys, np.zeros(0, np.uint64)]), return_inverse=True)
    shared = np.bincount(back, np.concatenate([*counts, np.zeros(0, np.int64)]), len(key)).astype(np.int64)
    (labels, area, centre), (other_labels, other_area, other_centre) = (t.result() for t in sides)
    own, others = (key >> 32).astype(np.int64), (key & 0xFFFFFFFF).astype(np.int64)
    pairs = np.stack([np.searchsorted(labels, own), np.searchsorted(other_labels, others)], axis=1)
    return Overlaps(area, other_area, centre, other_centre, pairs.astype(np.int64), shared)


@dataclass
class _Tally:
    """Pixels of every label and the sums of their coordinates, over strips; labels may be any numbers."""

    labels: list[npt.NDArray[np.int64]] = field(default_factory=list)
    sums: list[npt.NDArray[np.float64]] = field(default_factory=list)

    def add(self, labels: npt.NDArray[np.int64], first_row: int) -> None:
        y, x = np.nonzero(labels > 0)
        names, place = np.unique(labels[y, x], return_inverse=True)
        self.labels.append(names)
        self.sums.append(_summed(place, np.stack([np.ones(len(y)), y + first_row, x]), len(names)))

    def result(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        names, place = np.unique(np.concatenate(self.labels), return_inverse=True)
        sums = _summed(place, np.concatenate(self.sums, axis=1), len(names))
        return names, sums[0].astype(np.int64), (sums[1:] / sums[0]).T.reshape(-1, 2)


def _summed(place: npt.NDArray[np.intp], rows: npt.NDArray[np.float64], size: int) -> npt.NDArray[np.float64]:
    return np.stack([np.bincount(place, row, size) for row in rows])


def f1_at_iou(overlaps: Overlaps, thresholds: Sequence[float] = IOU_THRESHOLDS) -> dict[float, float]:
    """Return F1 = 2 TP / (N + M) of cells whose overlap reaches each threshold.

    TP is the largest number of pairs in which no cell stands twice (maximum bipartite matching, Hopcroft & Karp
    1973); NaN where neither side holds a cell.

    Examples
    --------
    One of two cells is found in full, the other missed, and one is invented:

    >>> import numpy as np
    >>> truth = np.array([[1, 1, 0, 2, 2, 0, 0]])
    >>> found = np.array([[1, 1, 0, 0, 0, 0, 2]])
    >>> f1_at_iou(measure_overlaps(found, truth), [0.5])
    {0.5: 0.5}
    """
    n, m = len(overlaps.area), len(overlaps.other_area)
    iou = overlaps.iou
    return {t: f1(_most_pairs(overlaps.pairs[iou >= t - _EPSILON], n, m), n, m) for t in thresholds}


def detection_f1(
    one_um: npt.NDArray[np.float64], other_um: npt.NDArray[np.float64], within_um: float = DETECTION_UM
) -> float:
    """Return F1 of centres that lie at most ``within_um`` apart, each used once (largest number of pairs).

    Parameters
    ----------
    one_um, other_um : (N, 2), (M, 2) float64
        Centres (y, x) in µm.

    Examples
    --------
    The first centre could take either, the second only one: both are matched.

    >>> import numpy as np
    >>> detection_f1(np.array([[0.0, 2.0], [0.0, -2.0]]), np.array([[0.0, 0.0], [0.0, 5.0]]), 4.0)
    1.0
    """
    n, m = len(one_um), len(other_um)
    if not n or not m:
        return f1(0, n, m)
    near = cKDTree(one_um).sparse_distance_matrix(cKDTree(other_um), within_um + _EPSILON, output_type="ndarray")
    return f1(_most_pairs(np.stack([near["i"], near["j"]], axis=1), n, m), n, m)


def f1(true_positives: int, n: int, m: int) -> float:
    """Return 2 TP / (n + m); NaN where both are 0."""
    return 2 * true_positives / (n + m) if n + m else float("nan")


def _most_pairs(pairs: npt.NDArray[np.integer], n: int, m: int) -> int:
    if not len(pairs):
        return 0
    graph = coo_matrix((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), shape=(n, m)).tocsr()
    return int(np.count_nonzero(maximum_bipartite_matching(graph, perm_type="column") >= 0))

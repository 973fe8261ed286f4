"""A random forest on the features of both keratins: fitted on annotations or scribbles, kept as plain arrays.

Extremely randomised trees (Geurts, Ernst and Wehenkel 2006) are grown by scikit-learn and kept as arrays of
numbers: nothing in the file can run. They are applied by a compiled loop with scikit-learn's probabilities.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numba
import numpy as np
import numpy.typing as npt

from thymusimg.compartments.features import check_names, measure_features
from thymusimg.compartments.frame import Division, segment_with
from thymusimg.compartments.model import Compartment
from thymusimg.compartments.smooth import blur
from thymusimg.errors import CallError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from thymusimg.compartments.features import FeatureTable
    from thymusimg.compartments.frame import Divide
    from thymusimg.compartments.model import Compartments, Tissue
    from thymusimg.section.model import FloatPlane, Grid, Mask
    from thymusimg.settings.compartments import CompartmentSettings

_ROWS = 4096  # rows that pass through one tree before the next: it stays in the cache
_LEAF = -1


@dataclass(frozen=True)
class Forest:
    """A fitted forest.

    Attributes
    ----------
    names : tuple of str
        Features that it takes, in order.
    classes : tuple of int
        Codes of :class:`Compartment`, in the order of the probabilities.
    roots : (T,) int32
        The first node of every tree.
    feature : (N,) int16
        Which feature a node asks for; -1 in a leaf.
    threshold : (N,) float32
        At most this: on to ``left``; above: to ``right``.
    left, right : (N,) int32
        The node that comes next. A leaf's ``left`` is its row of ``value``.
    value : (L, C) float32
        Share of every class in the leaves.
    least_probability : float
        A place whose best class has less is indeterminate.
    smoothing_um : float
        Gaussian sigma by which probabilities are smoothed before the best one is taken.
    """

    names: tuple[str, ...]
    classes: tuple[int, ...]
    roots: npt.NDArray[np.int32]
    feature: npt.NDArray[np.int16]
    threshold: npt.NDArray[np.float32]
    left: npt.NDArray[np.int32]
    right: npt.NDArray[np.int32]
    value: npt.NDArray[np.float32]
    least_probability: float = 0.4
    smoothing_um: float = 6.0

    def probabilities(self, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the probability of every class, (N, C), of (N, F) features in the order of ``names``."""
        out = np.empty((len(values), len(self.classes)), np.float32)
        _apply(
            np.ascontiguousarray(values, np.float32), self.roots, self.feature, self.threshold, self.left,
            self.right, self.value, out,
        )  # fmt: skip
        return out


def fit_forest(
    features: npt.NDArray[np.float32],
    classes: npt.NDArray[np.integer],
    names: Sequence[str],
    *,
    seed: int = 0,
    trees: int = 48,
    depth: int = 14,
    least_leaf: int = 5,
    tried: int = 0,
    weights: npt.NDArray[np.floating] | None = None,
    least_probability: float = 0.4,
    smoothing_um: float = 6.0,
) -> Forest:
    """Fit a forest on places whose compartment is known.

    Parameters
    ----------
    features : (N, F) float32
        As :func:`measure_features` gives them.
    classes : (N,) int
        Codes of :class:`Compartment`.
    names : sequence of str
        Of the features.
    seed : int
        Same places, same seed, same forest.
    trees, depth : int
        How many trees, and how deep at most.
    least_leaf : int
        Places that a leaf holds at least.
    tried : int
        Features that are tried at a node; the square root of their number if 0.
    weights : (N,) float, optional
        How much every place counts.

    Raises
    ------
    CallError
        If there are fewer than two classes.
    ModelError
        If a feature is not known.
    """
    from sklearn.ensemble import ExtraTreesClassifier  # a second to import, and only fitting needs it

    check_names(names, "forest")
    if len(np.unique(classes)) < 2:
        raise CallError("forest: all places are of one class; annotate at least two compartments")
    grower = ExtraTreesClassifier(
        n_estimators=trees, max_depth=depth, min_samples_leaf=least_leaf, max_features=tried or "sqrt",
        random_state=seed, n_jobs=1,
    )  # fmt: skip
    grower.fit(np.asarray(features, np.float32), classes, sample_weight=weights)
    grown = [tree.tree_ for tree in grower.estimators_]
    starts = np.cumsum([0, *(tree.node_count for tree in grown)])
    feature = np.concatenate([tree.feature for tree in grown])
    leaf = np.concatenate([tree.children_left for tree in grown]) < 0
    left = np.concatenate([tree.children_left + start for tree, start in zip(grown, starts[:-1], strict=True)])
    right = np.concatenate([tree.children_right + start for tree, start in zip(grown, starts[:-1], strict=True)])
    value = np.concatenate([tree.value[:, 0] for tree in grown])[leaf]
    left[leaf], right[leaf] = np.arange(np.count_nonzero(leaf)), 0
    return Forest(
        names=tuple(names),
        classes=tuple(int(code) for code in grower.classes_),
        roots=starts[:-1].astype(np.int32),
        feature=np.where(leaf, _LEAF, feature).astype(np.int16),
        threshold=_not_above(np.where(leaf, 0, np.concatenate([tree.threshold for tree in grown]))),
        left=left.astype(np.int32),
        right=right.astype(np.int32),
        value=(value / value.sum(1, keepdims=True)).astype(np.float32),
        least_probability=least_probability,
        smoothing_um=smoothing_um,
    )


def _not_above(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Round down to single precision: a feature, itself single, falls on the same side as before."""
    single = values.astype(np.float32)
    above = single.astype(np.float64) > values
    single[above] = np.nextafter(single[above], np.float32(-np.inf))
    return single


def segment_by_forest(
    planes: Mapping[str, FloatPlane],
    tissue: Tissue,
    grid: Grid,
    settings: CompartmentSettings,
    *,
    forest: Forest,
    method: str = "forest",
) -> Compartments:
    """Divide the tissue into cortex, medulla and what is neither by a fitted forest.

    Parameters
    ----------
    planes : mapping of str to (Y, X) float32
        Background-subtracted coarse planes; others than ``k14`` and ``k8`` are ignored.
    tissue : Tissue
    grid : Grid
    settings : CompartmentSettings
    forest : Forest
    method : str
        Name that the result carries.

    Raises
    ------
    RoleError
        If a keratin is missing.
    """
    return segment_with(division_by(forest), planes, tissue, grid, settings, method=method)


def division_by(forest: Forest) -> Divide:
    """Return the division of :func:`thymusimg.compartments.frame.segment_with` that a forest makes."""
    return partial(_divide, forest)


def _divide(
    forest: Forest, k14: FloatPlane, k8: FloatPlane, judged: Mask, px: float, settings: CompartmentSettings
) -> Division:
    del settings  # a forest carries its own
    return label_places(forest, measure_features(k14, k8, judged, px, forest.names), judged)


def label_places(forest: Forest, table: FeatureTable, judged: Mask) -> Division:
    """Give every place that can be judged its likeliest class.

    Probabilities are smoothed by ``smoothing_um`` inside the tissue and interpolated from the working grid. A place
    whose best one is below ``least_probability`` is indeterminate. The confidence is the lead of the best.
    """
    probability = forest.probabilities(table.values)
    weight = table.where.astype(np.float32)
    sigma = forest.smoothing_um / table.pixel_um
    below = np.maximum(table.spread(blur(weight, sigma), judged.shape), np.float32(1e-6))
    best = np.zeros(judged.shape, np.float32)
    second = np.zeros(judged.shape, np.float32)
    labels = np.full(judged.shape, Compartment.INDETERMINATE, np.uint8)
    plane = np.zeros(table.where.shape, np.float32)
    for i, code in enumerate(forest.classes):
        plane[table.where] = probability[:, i]
        here = table.spread(blur(plane, sigma), judged.shape) / below
        wins = here > best
        second = np.where(wins, best, np.maximum(second, here))
        best = np.where(wins, here, best)
        labels[wins] = code
    labels[best < forest.least_probability] = Compartment.INDETERMINATE
    cuts = {"least_probability": forest.least_probability, "smoothing_um": forest.smoothing_um}
    return Division(labels, np.clip(best - second, 0, 1), cuts)


@numba.njit(cache=True, nogil=True)
def _apply(values, roots, feature, threshold, left, right, value, out):  # type: ignore[no-untyped-def]  # compiled
    rows, kinds = out.shape
    for first in range(0, rows, _ROWS):
        last = min(rows, first + _ROWS)
        total = np.zeros((last - first, kinds))
        for root in roots:
            for row in range(first, last):
                node = root
                while feature[node] >= 0:
                    node = left[node] if values[row, feature[node]] <= threshold[node] else right[node]
                for kind in range(kinds):
                    total[row - first, kind] += value[left[node], kind]
        for row in range(first, last):
            for kind in range(kinds):
                out[row, kind] = total[row - first, kind] / len(roots)

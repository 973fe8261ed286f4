"""From scribbles on one section or several to a forest: what an annotator paints, learned in a second.

A section is looked at once (:func:`look_at`, the slow part); strokes may then be added, and the forest fitted and
shown again and again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from thymusimg.compartments.features import FEATURES, measure_features
from thymusimg.compartments.forest import fit_forest
from thymusimg.compartments.frame import find_surroundings, keratins
from thymusimg.compartments.model import Compartment
from thymusimg.errors import CallError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from thymusimg.compartments.features import FeatureTable
    from thymusimg.compartments.forest import Forest
    from thymusimg.compartments.frame import Surroundings
    from thymusimg.compartments.model import Tissue
    from thymusimg.section.model import FloatPlane, Grid, LabelPlane
    from thymusimg.settings.compartments import CompartmentSettings

LEAST_PLACES = 20
"""Working pixels (up to 4 µm wide) that every class needs: a stroke of some 80 µm."""
_MOST_PLACES = 3_000  # of one class on one section; more say nothing new
_CODES = tuple(int(code) for code in Compartment if code != Compartment.BACKGROUND)


@dataclass(frozen=True)
class Look:
    """What a forest sees of a section.

    Attributes
    ----------
    around : Surroundings
        What can be judged, and what the rest is.
    table : FeatureTable
        Features of what can be judged.
    """

    around: Surroundings
    table: FeatureTable


@dataclass(frozen=True)
class Scribbled:
    """A section and what was painted on it.

    Attributes
    ----------
    look : Look
    scribbles : (Y, X) uint8
        On the coarse grid: codes of :class:`Compartment`, 0 where nothing was painted.
    name : str
        For messages.
    group : str
        The animal; a whole animal is left out when the accuracy is estimated. The section itself if empty.
    """

    look: Look
    scribbles: LabelPlane
    name: str = "section"
    group: str = ""


@dataclass(frozen=True)
class Places:
    """Places whose class is known.

    Attributes
    ----------
    values : (N, F) float32
        Features.
    classes : (N,) uint8
        Codes of :class:`Compartment`.
    groups : (N,) int
        Number of the animal or section.
    names : tuple of str
        Names of the features.
    """

    values: npt.NDArray[np.float32]
    classes: npt.NDArray[np.uint8]
    groups: npt.NDArray[np.intp]
    names: tuple[str, ...]


def look_at(
    planes: Mapping[str, FloatPlane],
    tissue: Tissue,
    grid: Grid,
    settings: CompartmentSettings,
    names: Sequence[str] = FEATURES,
) -> Look | None:
    """Work out what a forest sees of a section; None where nothing of it can be judged.

    Raises
    ------
    RoleError
        If a keratin is missing.
    """
    k14, k8 = keratins(planes)
    around = find_surroundings(k14, k8, tissue, grid, settings)
    if not around.judged.any():
        return None
    return Look(around, measure_features(k14, k8, around.judged, grid.pixel_um, names))


def gather_places(sections: Iterable[Scribbled], *, seed: int = 0, most: int = _MOST_PLACES) -> Places:
    """Collect the places that were painted, at most ``most`` of a class and section, chosen by ``seed``.

    Raises
    ------
    CallError
        If a code is no compartment, a scribble has another shape than its section, or features differ.
    """
    groups: dict[str, int] = {}
    parts: list[tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8], int]] = []
    names: tuple[str, ...] = ()
    for place, section in enumerate(sections):
        table = section.look.table
        names = names or table.names
        if table.names != names:
            raise CallError(f"{section.name}: was looked at with other features than the sections before it")
        rows, codes = _painted(section)
        rng = np.random.default_rng((seed, place))
        kept = [_some(np.flatnonzero(codes == code), most, rng) for code in np.unique(codes)]
        chosen = np.concatenate(kept) if kept else np.zeros(0, np.intp)
        group = groups.setdefault(section.group or f"section {place}", len(groups))
        parts.append((table.values[rows[chosen]], codes[chosen], group))
    if not parts:
        raise CallError("scribbles: there is no section; paint on at least one")
    return Places(
        np.concatenate([values for values, _, _ in parts]),
        np.concatenate([codes for _, codes, _ in parts]),
        np.concatenate([np.full(len(codes), group, np.intp) for _, codes, group in parts]),
        names,
    )


def _painted(section: Scribbled) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.uint8]]:
    """Return the rows of the table that were painted, and the class that most of each was painted as."""
    scribbles = section.scribbles
    if scribbles.shape != section.look.around.judged.shape:
        raise CallError(
            f"{section.name}: the scribbles are {_size(scribbles.shape)}, the section's coarse grid is "
            f"{_size(section.look.around.judged.shape)} pixels; paint on the coarse grid"
        )
    ys, xs = np.nonzero(scribbles)
    codes = scribbles[ys, xs]
    if unknown := sorted(set(np.unique(codes).tolist()) - set(_CODES)):
        known = ", ".join(f"{c.value} {c.name.lower()}" for c in Compartment if c)
        raise CallError(f"{section.name}: scribbles hold the code {unknown[0]}; there are {known}")
    rows = section.look.table.at(ys, xs)
    seen = rows >= 0
    votes, count = np.unique(rows[seen].astype(np.int64) * 256 + codes[seen], return_counts=True)
    # the most painted code of every row; of equals the lower
    order = np.lexsort((votes % 256, -count, votes // 256))
    row = (votes // 256)[order]
    first = np.ones(len(row), bool)
    first[1:] = row[1:] != row[:-1]
    return row[first].astype(np.intp), (votes % 256)[order][first].astype(np.uint8)


def _some(rows: npt.NDArray[np.intp], most: int, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    return rows if len(rows) <= most else np.sort(rng.choice(rows, most, replace=False))


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def balanced_weights(places: Places) -> npt.NDArray[np.float64]:
    """Weigh places so that every class counts the same, and in a class every animal or section that shows it."""
    weights = np.zeros(len(places.classes))
    for code in np.unique(places.classes):
        own = places.classes == code
        groups = np.unique(places.groups[own])
        for group in groups:
            cell = own & (places.groups == group)
            weights[cell] = 1 / (len(groups) * np.count_nonzero(cell))
    return np.asarray(weights * len(weights) / max(weights.sum(), 1e-12))


def fit_from_sections(sections: Sequence[Scribbled], *, seed: int = 0, trees: int = 48, depth: int = 14) -> Forest:
    """Fit a forest on what was painted on one section or several.

    Classes count the same whatever was painted more of, and so do sections.

    Parameters
    ----------
    sections : sequence of Scribbled
    seed : int
        Same strokes, same seed, same forest.
    trees, depth : int
        How many trees, and how deep at most.

    Raises
    ------
    CallError
        If fewer than two compartments were painted, or one of them on too few places that can be judged.
    """
    places = gather_places(sections, seed=seed)
    check_enough(places)
    return fit_forest(
        places.values,
        places.classes,
        places.names,
        seed=seed,
        trees=trees,
        depth=depth,
        weights=balanced_weights(places),
    )


def check_enough(places: Places) -> None:
    """Refuse to fit on one class only, or on hardly any place of one.

    Raises
    ------
    CallError
    """
    codes, counts = np.unique(places.classes, return_counts=True)
    if len(codes) == 0:
        raise CallError("scribbles: nothing was painted on tissue that can be judged; paint cortex and medulla")
    if len(codes) == 1:
        raise CallError(
            f"scribbles: only {_name(codes[0])} was painted; paint at least one other compartment, on this section "
            "or on another"
        )
    if counts.min() < LEAST_PLACES:
        few = int(counts.argmin())
        raise CallError(
            f"scribbles: {_name(codes[few])} was painted on {counts[few]} places of 4 µm, {LEAST_PLACES} are "
            "needed; paint more of it, or remove it"
        )


def left_out_accuracy(places: Places, *, seed: int = 0, trees: int = 48, depth: int = 14) -> dict[int, float]:
    """Return the balanced accuracy on every animal or section, by a forest that was fitted on all the others.

    The mean over classes of the share of their places that are found again. NaN where the others hold fewer than
    two classes or none of the group's; empty with one group only: neighbouring places of one section are no test.
    """
    found: dict[int, float] = {}
    numbers = np.unique(places.groups)
    for group in numbers if len(numbers) > 1 else ():
        out = places.groups == group
        rest = Places(places.values[~out], places.classes[~out], places.groups[~out], places.names)
        codes = np.intersect1d(np.unique(places.classes[out]), np.unique(rest.classes))
        if len(np.unique(rest.classes)) < 2 or len(codes) == 0:
            found[int(group)] = float("nan")
            continue
        forest = fit_forest(
            rest.values,
            rest.classes,
            rest.names,
            seed=seed,
            trees=trees,
            depth=depth,
            weights=balanced_weights(rest),
        )
        best = np.asarray(forest.classes)[forest.probabilities(places.values[out]).argmax(1)]
        true = places.classes[out]
        found[int(group)] = float(np.mean([(best[true == code] == code).mean() for code in codes]))
    return found


def _name(code: int) -> str:
    return Compartment(int(code)).name.lower()

"""The forest that ships with thymusimg: fitted to phantoms, judged beside the keratin rule on others."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from thymusimg.compartments.features import WITHOUT_PLACE, measure_features
from thymusimg.compartments.forest import division_by, fit_forest
from thymusimg.compartments.forest_file import save_forest
from thymusimg.compartments.keratin import divide_by_keratins
from thymusimg.compartments.model import Compartment
from thymusimg.compartments.network import CLASSES, PIXEL_UM
from thymusimg.compartments.scribbles import Places
from thymusimg.evaluate.overlap import dice
from thymusimg.models.card import Metric, Training
from thymusimg.progress import silent
from thymusimg.provenance import now, versions
from thymusimg.settings.compartments import CompartmentSettings
from thymusimg.train.compartment_phantoms import draw_sections

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from thymusimg.compartments.forest import Forest
    from thymusimg.compartments.frame import Divide
    from thymusimg.models.find import InstalledModel
    from thymusimg.progress import Progress
    from thymusimg.train.compartment_sections import TrainingSection

PLACES = 2_000
"""Places of every section, drawn evenly over what can be judged."""
TREES, DEPTH, LEAST_LEAF, TRIED = 24, 14, 60, 14
_SEED_OF_OTHERS = 1  # added to the seed: phantoms that are judged on
_ORDERED = (Compartment.MEDULLA, Compartment.CORTEX)


def train_phantom_forest(
    out: Path,
    *,
    count: int = 145,
    judged_on: int = 36,
    seed: int = 1,
    cache: Path | None = None,
    workers: int = 1,
    command: str = "",
    progress: Progress = silent,
) -> InstalledModel:
    """Fit a forest to synthetic sections and write its model folder.

    The depth under the capsule is no feature of it: where medulla lies is measured, and must not be presumed.
    Sections count the same, and classes as often as they occur.

    Parameters
    ----------
    out : Path
        The model folder; its name becomes the model's.
    count, judged_on : int
        Sections that are fitted to, and others that the card's figures come from.
    seed : int
        Same seed and count, same forest.
    cache : Path, optional
        Folder that keeps drawn sections.
    workers : int
        Processes that draw; the forest does not depend on it.
    command : str
        What the card says the model was made with.
    """
    began = time.perf_counter()
    sections = draw_sections(count, seed, cache=cache, workers=workers, progress=progress)
    places = places_of(sections, seed=seed)
    fitted, sections = len(sections), []
    forest = fit_forest(
        places.values, places.classes, places.names, seed=seed, trees=TREES, depth=DEPTH, least_leaf=LEAST_LEAF,
        tried=TRIED,
    )  # fmt: skip
    others = draw_sections(judged_on, seed + _SEED_OF_OTHERS, cache=cache, workers=workers, progress=progress)
    training = Training(
        command=command,
        seed=seed,
        data=f"{fitted} synthetic sections of thymusimg's own two generators (BSD-3-Clause)",
        settings={
            "places": PLACES, "trees": TREES, "depth": DEPTH, "least_leaf": LEAST_LEAF, "tried": TRIED,
            "count": count,
        },
        versions=versions(),
        minutes=round((time.perf_counter() - began) / 60, 2),
    )  # fmt: skip
    return save_forest(
        forest,
        out,
        summary="Cortex, medulla and indeterminate tissue from K14 and K8, learned on synthetic sections.",
        made=now(),
        training=training,
        metrics=beside_the_rule(forest, others),
    )


def places_of(sections: Sequence[TrainingSection], *, seed: int) -> Places:
    """Collect places of known class, as many of every section as it has, at most :data:`PLACES`."""
    codes = np.array(CLASSES, np.uint8)
    parts = []
    for number, section in enumerate(sections):
        known = section.judged & (section.wanted < len(codes))
        if not known.any():
            continue
        table = measure_features(*_keratins(section), section.judged, PIXEL_UM, WITHOUT_PLACE)
        ys, xs = np.nonzero(known)
        rng = np.random.default_rng((seed, number))
        some = rng.choice(len(ys), min(PLACES, len(ys)), replace=False)
        rows = table.at(ys[some], xs[some])
        parts.append((table.values[rows], codes[section.wanted[ys[some], xs[some]]], np.full(len(some), number)))
    values, classes, groups = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Places(values, classes, groups, WITHOUT_PLACE)


def beside_the_rule(forest: Forest, sections: Sequence[TrainingSection]) -> tuple[Metric, ...]:
    """Return the forest's mean Dice on what can be judged of sections, and the keratin rule's as ``before``.

    Sections without a compartment do not count for it; on those with neither, the share called cortex or medulla
    is given: it should be 0.
    """
    methods = (division_by(forest), divide_by_keratins)
    ordered = [s for s in sections if np.isin(s.wanted[s.judged], _places(_ORDERED)).any()]
    found = []
    for code in _ORDERED:
        scores = [np.nanmean([_dice(divide, section, code) for section in ordered]) for divide in methods]
        found.append((f"Dice {code.name.lower()}", scores, f"{len(ordered)} other phantoms"))
    if without := [s for s in sections if s.judged.any() and s not in ordered]:
        scores = [np.mean([_called(divide, section) for section in without]) for divide in methods]
        found.append(("share called cortex or medulla", scores, f"{len(without)} other phantoms without either"))
    return tuple(
        Metric(name=name, value=round(float(after), 4), before=round(float(before), 4), on=on)
        for name, (after, before), on in found
    )


def _places(codes: Sequence[Compartment]) -> list[int]:
    return [CLASSES.index(code) for code in codes]


def _dice(divide: Divide, section: TrainingSection, code: Compartment) -> float:
    known = section.judged & (section.wanted < len(CLASSES))
    true = known & (section.wanted == CLASSES.index(code))
    if not true.any():
        return float("nan")
    labels = divide(*_keratins(section), section.judged, PIXEL_UM, CompartmentSettings()).labels
    return dice(known & (labels == code), true)


def _called(divide: Divide, section: TrainingSection) -> float:
    labels = divide(*_keratins(section), section.judged, PIXEL_UM, CompartmentSettings()).labels
    return float(np.isin(labels[section.judged], _ORDERED).mean())


def _keratins(section: TrainingSection) -> tuple[np.ndarray, np.ndarray]:
    return section.k14.astype(np.float32), section.k8.astype(np.float32)

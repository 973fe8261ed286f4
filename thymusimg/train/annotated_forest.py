"""A forest from annotated sections to a model folder: fitted in seconds, judged on animals it did not see."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from thymusimg.compartments.forest_file import save_forest
from thymusimg.compartments.scribbles import Scribbled, fit_from_sections, look_at
from thymusimg.errors import CallError
from thymusimg.models.card import Training
from thymusimg.progress import silent
from thymusimg.provenance import now, versions
from thymusimg.settings.compartments import CompartmentSettings
from thymusimg.train.split import split_animals

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from thymusimg.progress import Progress
    from thymusimg.train.annotated import AnnotatedCompartments


def train_forest(
    source: Sequence[AnnotatedCompartments],
    out: Path,
    *,
    hold_out: Sequence[str] = (),
    seed: int = 1,
    command: str = "",
    licence: str = "LicenseRef-annotations",
    progress: Progress = silent,
) -> Path:
    """Fit a forest to annotated sections and write its model folder.

    A forest has no epochs: every animal that is not held out is fitted to.

    Parameters
    ----------
    source : sequence of AnnotatedCompartments
        Split by animal.
    out : Path
        The model folder; its name becomes the model's.
    hold_out : sequence of str
        Animals that are only looked at in the end; about a quarter is drawn where left out.
    seed : int
        Same sections, same seed, same forest.

    Raises
    ------
    CallError
        If all sections are of one animal, or those to fit to show one compartment only.
    """
    began = time.perf_counter()
    split = split_animals((section.animal for section in source), seed=seed, hold_out=hold_out)
    own = [section for section in source if section.animal not in split.held_out]
    seen: list[Scribbled] = []
    for done, section in enumerate(own, start=1):
        look = look_at(section.planes, section.tissue, section.grid, CompartmentSettings())
        if look is not None:
            seen.append(Scribbled(look, section.labels, section.section_id, section.animal))
        progress("measuring features", done / len(own))
    if not seen:
        raise CallError("none of the sections to fit to has tissue that can be judged; annotate others.")
    forest = fit_from_sections(seen, seed=seed)
    animals = tuple(sorted({section.animal for section in own}))
    training = Training(
        command=command,
        seed=seed,
        data=f"{len(seen)} annotated sections of {len(animals)} animal{'s' * (len(animals) != 1)}",
        train_animals=animals,
        held_out_animals=split.held_out,
        versions=versions(),
        minutes=round((time.perf_counter() - began) / 60, 2),
    )
    summary = "Cortex, medulla and the rest from K14 and K8, as they were annotated."
    save_forest(forest, out, summary=summary, licence=licence, made=now(), training=training)
    return out

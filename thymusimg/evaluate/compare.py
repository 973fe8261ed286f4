"""A result against a truth, or one annotator against another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from thymusimg.errors import CallError
from thymusimg.evaluate.grids import with_shapes_drawn
from thymusimg.evaluate.load import load
from thymusimg.evaluate.model import Evaluation, Labelled
from thymusimg.evaluate.section_scores import (
    BORDER,
    CELL_NUMBERS,
    CLASSES,
    Maps,
    bring_together,
    cell_row,
    class_rows,
    tissue_kappa,
)
from thymusimg.evaluate.sets import agreement_table
from thymusimg.progress import Progress, silent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

CLASS_COLUMNS = (
    "section_id", "class", "dice", "boundary_mean_um", "boundary_p95_um", "area_result_mm2", "area_truth_mm2",
    "fraction_result", "fraction_truth", "fraction_error", "reason",
)  # fmt: skip
CELL_COLUMNS = ("section_id", "kappa_classes", *CELL_NUMBERS, "reason")


def evaluate(
    result: Path,
    truth: Path,
    *,
    annotators: bool = False,
    score_artefact: bool = False,
    pixel_size_um: float | None = None,
    progress: Progress = silent,
    picture: Callable[[str, Maps], None] | None = None,
) -> Evaluation:
    """Compare a result with a truth, section by section, and the set as a whole.

    Parameters
    ----------
    result, truth : Path
        A run's folder, a bundle (``ID.zarr``), OME-Zarr labels, a label TIFF, or GeoJSON outlines. Sections of sets
        belong together by their ``section_id``.
    annotators : bool
        The two are annotators: neither is the truth, so what either calls artefact is left out.
    score_artefact : bool
        Score what the truth calls artefact like everything else. Otherwise it is left out of every class but
        artefact itself, and cells whose centre lies there are left out on both sides.
    pixel_size_um : float, optional
        Side of the pixel of label files and outlines that record none.
    picture : callable, optional
        Called with the ``section_id`` and the maps of every section that has compartments on both sides.

    Returns
    -------
    Evaluation
        A class absent on both sides is NaN with the reason; absent on one side, its Dice is 0.

    Raises
    ------
    CallError
        If there is nothing to compare, or the two lie on different grids: labels are not resampled in silence.
    SectionError
        If a file cannot be read.
    """
    pairs, notes = _pair(load(result, pixel_size_um), load(truth, pixel_size_um), result, truth)
    classes: list[dict[str, object]] = []
    cells: list[dict[str, object]] = []
    rows = []
    for done, (a, b) in enumerate(pairs):
        name = b.section_id or a.section_id or "section"
        progress(f"evaluating {name}", done / len(pairs))
        a, b = with_shapes_drawn(a, b, pixel_size_um), with_shapes_drawn(b, a, pixel_size_um)
        notes += [n for n in (*a.notes, *b.notes) if n not in notes]
        maps = bring_together(a, b, score_artefact=score_artefact, annotators=annotators)
        if isinstance(maps, str) and (a.cells is None or b.cells is None):
            raise CallError(f"{a.source} and {b.source} hold nothing of one kind to compare: {maps}.")
        counted: dict[str, object] = {"section_id": name, "kappa_classes": float("nan")}
        if not isinstance(maps, str):
            notes += [maps.grid.note] if maps.grid.note and maps.grid.note not in notes else []
            found = class_rows(maps)
            classes += [{"section_id": name, **row} for row in found]
            counted["kappa_classes"] = tissue_kappa(maps)
            if picture is not None:
                picture(name, maps)
        else:
            found = []
        counted |= cell_row(a, b, maps)
        cells.append(counted)
        rows.append(_numbers(a, b, found, counted))
    notes.append(_artefact_note(annotators, score_artefact))
    progress("evaluated", 1.0)
    return Evaluation(
        pd.DataFrame(classes, columns=list(CLASS_COLUMNS)),
        pd.DataFrame(cells, columns=list(CELL_COLUMNS)),
        agreement_table(rows) if len(rows) > 1 else agreement_table([]),
        tuple(notes),
        annotators,
    )


def _artefact_note(annotators: bool, scored: bool) -> str:
    if scored:
        return "artefact (255) is scored like every other class"
    whose = "either annotator" if annotators else "the truth"
    return f"what {whose} calls artefact (255) is left out of every class but artefact, and so are cells in it"


def _pair(
    results: Sequence[Labelled], truths: Sequence[Labelled], result: Path, truth: Path
) -> tuple[list[tuple[Labelled, Labelled]], list[str]]:
    """Bring sections together by their id; a single one needs none."""
    if len(results) == 1 and len(truths) == 1:
        return [(results[0], truths[0])], []
    by_id = {t.section_id: t for t in truths}
    both = [(r, by_id[r.section_id]) for r in results if r.section_id in by_id]
    if not both:
        raise CallError(
            f"{result} ({_ids(results)}) and {truth} ({_ids(truths)}) have no section_id in common. "
            "Compare folders of the same sections, or one bundle with one label file."
        )
    paired = {r.section_id for r, _ in both}
    notes = [
        f"only in {path}, not compared: {', '.join(sorted(alone))}"
        for path, sides in ((result, results), (truth, truths))
        if (alone := {s.section_id for s in sides} - paired)
    ]
    return both, notes


def _ids(sides: Sequence[Labelled]) -> str:
    names = [s.section_id or "unnamed" for s in sides]
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _numbers(
    a: Labelled, b: Labelled, classes: list[dict[str, object]], cells: dict[str, object]
) -> tuple[dict[str, object], dict[str, object]]:
    """Return the numbers of a section on either side: what was scored here, then its row of ``sections.csv``."""
    sides: tuple[dict[str, object], dict[str, object]] = ({}, {})
    for side, word in zip(sides, ("result", "truth"), strict=True):
        for row in classes:
            if row["class"] in CLASSES:
                side[f"{row['class']} fraction (scored)"] = row[f"fraction_{word}"]
            if row["class"] != BORDER:
                side[f"{row['class']} area mm² (scored)"] = row[f"area_{word}_mm2"]
        side["cells (scored)"] = cells.get(f"count_{word}")
        side["cells per mm² (scored)"] = cells.get(f"density_{word}_per_mm2")
    return sides[0] | dict(a.row), sides[1] | dict(b.row)

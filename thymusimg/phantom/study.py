"""Studies of synthetic sections: donor, animal and section each leave their mark."""

from __future__ import annotations

import csv
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from thymusimg.errors import CallError, OutputError
from thymusimg.phantom.generate import find_generator
from thymusimg.phantom.presets import find_preset
from thymusimg.phantom.recipe import ICC, Answer, Recipe, plan_study
from thymusimg.progress import Progress, silent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

STUDY_COLUMNS = (
    "section_id",
    "path",
    "animal",
    "group",
    "donor",
    "batch",
    "timepoint",
    "negative_control",
    "notes",
)


def write_phantoms(
    preset: str,
    out: str | Path,
    seed: int = 0,
    count: int = 1,
    size_mm: float | None = None,
    pixel_size_um: float = 0.5,
    *,
    generator: str = "slab",
    icc: float = ICC,
    progress: Progress = silent,
) -> Path:
    """Write ``count`` sections of a preset, their study table and their truth; return the table's path.

    Leaves ``OUT/study.csv``, ``OUT/ID.ome.tif``, ``OUT/truth/sections/ID.zarr`` and, in ``OUT/truth/tables``,
    ``cells.parquet`` and ``sections.csv``. Two sections make an animal. Presets ``null`` and ``reversed`` are
    studies of two groups, which share the sections evenly. ``icc`` is the intraclass correlation of the sections of
    an animal.

    Raises
    ------
    SettingsError
        If there is no such preset or generator, or a number is impossible.
    OutputError
        If the folder cannot be written.
    """
    if count < 1:
        raise CallError(f"phantom: count must be 1 or more, found {count}")
    find_generator(generator)
    groups = find_preset(preset).study or ((preset, preset),)
    share = -(-count // len(groups))
    planned = [
        plan_study(
            [g],
            seed,
            animals=-(-share // 2),
            sections=2,
            pixel_size_um=pixel_size_um,
            size_mm=size_mm,
            generator=generator,
            icc=icc,
        )
        for g in groups
    ]
    wanted = [count // len(groups) + (k < count % len(groups)) for k in range(len(groups))]
    recipes = [r for plan, n in zip(planned, wanted, strict=True) for r in plan[:n]]
    return write_study(out, recipes, truth=True, progress=progress)


def write_study(
    folder: str | Path,
    recipes: Sequence[Recipe],
    *,
    images: str = ".",
    truth: bool = False,
    changes: Mapping[str, object] | None = None,
    threads: int = 2,
    progress: Progress = silent,
) -> Path:
    """Make every section of ``recipes`` and write it; return the path of ``study.csv``.

    Parameters
    ----------
    folder : path
    recipes : sequence of Recipe
    images : str
        Folder of the images, relative to ``folder``.
    truth : bool
        Whether to leave the truth under ``folder/truth``.
    changes : mapping, optional
        Fields of every spec to replace (``{"camera": …}``).
    threads : int
        Sections made at the same time; the bytes do not depend on it.
    """
    root = Path(folder)
    try:
        (root / images).mkdir(parents=True, exist_ok=True)
        if truth:
            (root / "truth" / "tables").mkdir(parents=True, exist_ok=True)

        def write(recipe: Recipe) -> Answer:
            bundle = root / "truth" / "sections" / f"{recipe.section_id}.zarr" if truth else None
            return recipe.write(root / images / f"{recipe.section_id}.ome.tif", bundle, changes, big)

        big = threads if any(r.is_big for r in recipes) else 1
        answers = []
        # whole slides one after another, several windows of each at a time; small sections side by side
        abreast = 1 if big > 1 else max(1, threads)
        with ThreadPoolExecutor(max_workers=abreast) as pool:
            for done, answer in enumerate(_in_turn(pool, write, recipes, abreast), start=1):
                answers.append(answer)
                progress("drawing synthetic sections", done / len(recipes))
        if truth:
            _write_tables(root / "truth" / "tables", answers)
        return _write_table(root, recipes, images)
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"phantom: cannot write under {root}: {error.strerror or error}") from error


def _in_turn(
    pool: ThreadPoolExecutor,
    work: Callable[[Recipe], Answer],
    recipes: Sequence[Recipe],
    ahead: int,
) -> Iterable[Answer]:
    """Yield results in order with few sections in flight, so that neither memory nor a cancel waits for all."""
    waiting = iter(recipes)
    flight = [pool.submit(work, r) for r in islice(waiting, ahead + 1)]
    try:
        while flight:
            yield flight.pop(0).result()
            flight.extend(pool.submit(work, r) for r in islice(waiting, 1))
    finally:
        for future in flight:
            future.cancel()


def _write_tables(folder: Path, answers: list[Answer]) -> None:
    pd.DataFrame([a.values for a in answers]).to_csv(folder / "sections.csv", index=False)
    pd.concat([a.cells for a in answers], ignore_index=True).to_parquet(folder / "cells.parquet", index=False)


def _write_table(root: Path, recipes: Sequence[Recipe], images: str) -> Path:
    path = root / "study.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, STUDY_COLUMNS)
        writer.writeheader()
        for r in recipes:
            writer.writerow(
                {
                    "section_id": r.section_id,
                    "path": (Path(images) / f"{r.section_id}.ome.tif").as_posix(),
                    "animal": r.animal,
                    "group": r.group,
                    "donor": r.donor,
                    "batch": r.batch,
                    "timepoint": "10 wk",
                    "negative_control": "yes" if r.preset == "untreated_nsg" else "",
                    "notes": f"synthetic, preset {r.preset}, seed {r.seed}",
                }
            )
    return path

"""Studies of synthetic sections: donor, animal and section each leave their mark."""

from __future__ import annotations

import csv
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from thymusimg.errors import CallError, OutputError
from thymusimg.phantom.generate import find_generator, make_phantom
from thymusimg.phantom.presets import find_preset
from thymusimg.phantom.streams import stream
from thymusimg.phantom.truth_bundle import write_truth
from thymusimg.phantom.write import write_ome_tiff
from thymusimg.progress import Progress, silent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from thymusimg.phantom.model import Phantom
    from thymusimg.phantom.spec import PhantomSpec

DONOR_SHARE = 0.1
"""Share of the variance that sections of one human donor have in common."""
ANIMAL_SHARE = 0.55
"""Share that sections of one animal have in common besides; the intraclass correlation is the sum, 0.65."""

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


@dataclass(frozen=True)
class Recipe:
    """Everything that makes one section of a study; a row of ``recipe.csv``.

    ``donor_seed`` and ``animal_seed`` carry what sections have in common, ``seed`` is the section's own.
    """

    section_id: str
    animal: str
    group: str
    donor: str
    batch: str
    preset: str
    seed: int
    animal_seed: int
    donor_seed: int
    area_mm2: float | None = None
    pixel_size_um: float = 0.5
    size_mm: float | None = None
    generator: str = "slab"

    def spec(self) -> PhantomSpec:
        """Return the section's spec, drawn from its preset with what animal and donor share."""
        spec = find_preset(self.preset).draw(self.seed, shared_latent(self.donor_seed, self.animal_seed, self.seed))
        return spec if self.area_mm2 is None else spec.model_copy(update={"area_mm2": self.area_mm2})

    def make(self, changes: Mapping[str, object] | None = None) -> Phantom:
        """Return the section, with fields of its spec replaced by ``changes``."""
        spec = self.spec().model_copy(update=dict(changes or {}))
        return make_phantom(
            spec, self.seed, pixel_size_um=self.pixel_size_um, size_mm=self.size_mm, generator=self.generator
        )


@dataclass(frozen=True)
class Answer:
    """The true values of one section, and its cells."""

    values: dict[str, object]
    cells: pd.DataFrame


def shared_latent(donor_seed: int, animal_seed: int, seed: int) -> Callable[[str], float]:
    """Return standard normal numbers by field name that sections of one animal, and of one donor, partly share."""
    shares = (DONOR_SHARE, ANIMAL_SHARE, 1 - DONOR_SHARE - ANIMAL_SHARE)

    def latent(name: str) -> float:
        levels = (("donor", donor_seed), ("animal", animal_seed), ("section", seed))
        draws = (stream(s, "latent", level, name).standard_normal() for level, s in levels)
        return float(sum(np.sqrt(share) * z for share, z in zip(shares, draws, strict=True)))

    return latent


def plan_study(
    groups: Sequence[tuple[str, str]],
    seed: int,
    *,
    animals: int,
    sections: int,
    pixel_size_um: float = 0.5,
    size_mm: float | None = None,
    generator: str = "slab",
) -> list[Recipe]:
    """Plan a study: ``groups`` of (name, preset), ``animals`` a group, ``sections`` an animal.

    Human donors and batches run across the groups, so that neither is confounded with a group.
    """
    plan = []
    for group, preset in groups:
        for a in range(animals):
            animal = f"{_slug(group)}_m{a + 1}"
            donor = "" if preset in ("untreated_nsg", "wild_type") else f"D{a % 2 + 1}"
            for s in range(sections):
                name = f"{animal}_s{s + 1}"
                plan.append(
                    Recipe(
                        name, animal, group, donor, f"B{a // 2 % 2 + 1}", preset, _sub_seed(seed, name),
                        _sub_seed(seed, animal), _sub_seed(seed, f"donor {donor}"), None, pixel_size_um, size_mm,
                        generator,
                    )
                )  # fmt: skip
    return plan


def _sub_seed(seed: int, name: str) -> int:
    return zlib.crc32(f"{seed}/{name}".encode())


def _slug(group: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in group)


def write_phantoms(
    preset: str,
    out: str | Path,
    seed: int = 0,
    count: int = 1,
    size_mm: float | None = None,
    pixel_size_um: float = 0.5,
    *,
    generator: str = "slab",
    progress: Progress = silent,
) -> Path:
    """Write ``count`` sections of a preset, their study table and their truth; return the table's path.

    Leaves ``OUT/study.csv``, ``OUT/ID.ome.tif``, ``OUT/truth/sections/ID.zarr`` and, in ``OUT/truth/tables``,
    ``cells.parquet`` and ``sections.csv``. Two sections make an animal. Presets ``null`` and ``reversed`` are
    studies of two groups, which share the sections evenly.

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

        def write(recipe: Recipe) -> Answer | None:
            phantom = recipe.make(changes)
            write_ome_tiff(phantom, root / images / f"{recipe.section_id}.ome.tif")
            return _write_answer(root, recipe, phantom) if truth else None

        answers = []
        with ThreadPoolExecutor(max_workers=max(1, threads)) as pool:
            for done, answer in enumerate(_in_turn(pool, write, recipes, threads), start=1):
                answers.append(answer)
                progress("drawing synthetic sections", done / len(recipes))
        if truth:
            _write_tables(root / "truth" / "tables", [a for a in answers if a])
        return _write_table(root, recipes, images)
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"phantom: cannot write under {root}: {error.strerror or error}") from error


def _in_turn(
    pool: ThreadPoolExecutor,
    work: Callable[[Recipe], Answer | None],
    recipes: Sequence[Recipe],
    ahead: int,
) -> Iterable[Answer | None]:
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


def _write_answer(root: Path, recipe: Recipe, phantom: Phantom) -> Answer:
    write_truth(phantom, root / "truth" / "sections" / f"{recipe.section_id}.zarr", recipe.section_id)
    row: dict[str, object] = {
        "section_id": recipe.section_id,
        "animal": recipe.animal,
        "group": recipe.group,
        "pixel_size_um": phantom.pixel_size_um,
    }
    cells = phantom.truth.cells.copy()
    cells.insert(0, "section_id", recipe.section_id)
    return Answer(row | dict(phantom.truth.values), cells)


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


def write_recipes(path: Path, recipes: Sequence[Recipe]) -> None:
    """Write recipes as a table that :func:`read_recipes` reads."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(Recipe.__dataclass_fields__), lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: "" if v is None else v for k, v in asdict(r).items()} for r in recipes)


def read_recipes(path: Path) -> list[Recipe]:
    """Read a table of recipes."""

    def number(text: str) -> float | None:
        return float(text) if text else None

    with path.open(newline="", encoding="utf-8") as file:
        return [
            Recipe(
                row["section_id"], row["animal"], row["group"], row["donor"], row["batch"], row["preset"],
                int(row["seed"]), int(row["animal_seed"]), int(row["donor_seed"]), number(row["area_mm2"]),
                float(row["pixel_size_um"]), number(row["size_mm"]), row.get("generator") or "slab",
            )
            for row in csv.DictReader(file)
        ]  # fmt: skip

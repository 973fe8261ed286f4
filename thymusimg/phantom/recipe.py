"""Recipes: everything that makes one section of a synthetic study, and how studies are planned."""

from __future__ import annotations

import csv
import zlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from thymusimg.errors import SettingsError
from thymusimg.phantom.generate import make_phantom
from thymusimg.phantom.presets import find_preset
from thymusimg.phantom.slab import LARGEST_PX
from thymusimg.phantom.streams import stream
from thymusimg.phantom.truth_bundle import write_truth
from thymusimg.phantom.whole_slide import Written, write_section
from thymusimg.phantom.write import write_ome_tiff

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from thymusimg.phantom.model import Phantom, Truth
    from thymusimg.phantom.spec import PhantomSpec

ICC = 0.65
"""Intraclass correlation of sections of one animal, unless another is chosen."""
DONOR_SHARE = 0.1 / 0.65
"""Share of that which all animals of one human donor have in common; the rest is the animal's own."""


@dataclass(frozen=True)
class Answer:
    """The true values of one section, and its cells."""

    values: dict[str, object]
    cells: pd.DataFrame


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
    icc: float = ICC

    def spec(self) -> PhantomSpec:
        """Return the section's spec, drawn from its preset with what animal and donor share."""
        spec = find_preset(self.preset).draw(
            self.seed, shared_latent(self.donor_seed, self.animal_seed, self.seed, self.icc)
        )
        return spec if self.area_mm2 is None else spec.model_copy(update={"area_mm2": self.area_mm2})

    def make(self, changes: Mapping[str, object] | None = None) -> Phantom:
        """Return the section, with fields of its spec replaced by ``changes``."""
        spec = self.spec().model_copy(update=dict(changes or {}))
        return make_phantom(
            spec, self.seed, pixel_size_um=self.pixel_size_um, size_mm=self.size_mm, generator=self.generator
        )

    @property
    def is_big(self) -> bool:
        """Whether the section is a whole slide, which gets a pyramid and is drawn on its own."""
        side_um = self.size_mm * 1e3 if self.size_mm else 1.6 * self.spec().area_mm2 ** 0.5 * 1e3
        return (side_um / self.pixel_size_um) ** 2 > LARGEST_PX

    def write(
        self, image: Path, bundle: Path | None, changes: Mapping[str, object] | None = None, threads: int = 1
    ) -> Answer:
        """Write the section's image and, at ``bundle``, its truth; return its row of the truth's tables.

        The generator ``slab`` draws straight to disk, with the bytes that :meth:`make` would give.
        """
        found: Written | Truth
        if self.generator == "slab":
            spec = self.spec().model_copy(update=dict(changes or {}))
            found = write_section(
                spec, self.seed, image, bundle=bundle, section_id=self.section_id, pyramid=self.is_big,
                pixel_size_um=self.pixel_size_um, size_mm=self.size_mm, threads=threads,
            )  # fmt: skip
        else:
            phantom = self.make(changes)
            found = phantom.truth
            write_ome_tiff(phantom, image)
            if bundle is not None:
                write_truth(phantom, bundle, self.section_id)
        row: dict[str, object] = {
            "section_id": self.section_id,
            "animal": self.animal,
            "group": self.group,
            "pixel_size_um": self.pixel_size_um,
        }
        cells = found.cells.copy()
        cells.insert(0, "section_id", self.section_id)
        # without a bundle nobody asks for the true values, which take as long as the section
        return Answer(row | dict(found.values if bundle else {}), cells)


def shared_latent(donor_seed: int, animal_seed: int, seed: int, icc: float = ICC) -> Callable[[str], float]:
    """Return standard normal numbers by field name, which sections of one animal, and of one donor, partly share.

    The correlation of two sections of an animal is ``icc``, that of two animals of a donor 0.15 of it.
    """
    shares = (icc * DONOR_SHARE, icc * (1 - DONOR_SHARE), 1 - icc)

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
    icc: float = ICC,
) -> list[Recipe]:
    """Plan a study: ``groups`` of (name, preset), ``animals`` a group, ``sections`` an animal.

    ``icc`` is the intraclass correlation of the sections of an animal, 0-1: what fields of the spec, before their
    ranges bend them, have in common. Human donors and batches run across the groups, so that neither is
    confounded with a group.

    Raises
    ------
    SettingsError
        If the correlation is impossible.
    """
    if not 0 <= icc <= 1:
        raise SettingsError(f"phantom: icc must lie in 0-1, found {icc:g}")
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
                        generator, icc,
                    )
                )  # fmt: skip
    return plan


def _sub_seed(seed: int, name: str) -> int:
    return zlib.crc32(f"{seed}/{name}".encode())


def _slug(group: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in group)


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
                float(row.get("icc") or ICC),
            )
            for row in csv.DictReader(file)
        ]  # fmt: skip

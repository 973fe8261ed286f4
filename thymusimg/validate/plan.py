"""Which cases the protocol holds: a short form of minutes, and the full one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from thymusimg.phantom import GENERATORS
from thymusimg.validate.case import Case, Changes
from thymusimg.validate.null_tables import DESIGNS, STUDIES_A_CASE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

COMPARTMENT_PRESETS = ("wild_type", "progenitor_10wk", "cd34_10wk", "untreated_nsg")
DENSITIES = {"sparse": 500.0, "medium": 5_000.0, "packed": 16_000.0}
LARGEST_MM2 = 4.0
"""A wild-type lobe is up to 25 mm²; a piece of this area is as hard, and fits in memory twice."""
SMALL_MM = 1.2
SWEEPS: dict[str, tuple[str, str, tuple[float, ...]]] = {
    "blur: in-focus PSF, SD in µm": ("optics", "psf_um", (0.35, 0.7, 1.1, 1.6, 2.2)),
    "noise: photo-electrons of a typical signal": ("camera", "peak_electrons", (400, 150, 60, 25, 10)),
    "gain: grey levels an electron": ("camera", "gain_dn_per_e", (0.5, 1, 2, 4, 8)),
    "bleed-through: largest element off the diagonal": ("optics", "bleed", (0, 0.03, 0.06, 0.1, 0.15)),
    "vignetting: loss at a tile's corner": ("optics", "vignetting", (0, 0.1, 0.2, 0.3, 0.45)),
    "pixel size in µm": ("pixel", "", (0.25, 0.35, 0.5, 0.8, 1.2)),
}
"""What is made worse: where the number lives, its name, and its levels."""
SERIES = (100.0, 300.0, 1_000.0, 3_000.0, 6_000.0, 10_000.0, 15_000.0, 20_000.0)
ORDERS = tuple(round(0.1 * i, 1) for i in range(11))
ORDERED = ("untreated_nsg", "cd34_10wk", "progenitor_10wk")
"""Presets from the least to the most reorganised and repopulated."""
STUDY_MM = 0.9


@dataclass(frozen=True)
class Extent:
    """How many seeds each part gets.

    ``null_tables`` and ``null_images`` count studies (the latter over all generators); ``every`` takes each
    so-many-th level of the series.
    """

    compartments: int
    cells: int
    sweeps: int
    series: int
    orders: int
    ordered: int
    null_tables: int
    null_images: int
    reversed: int
    every: int = 1
    presets: Sequence[str] = COMPARTMENT_PRESETS
    sizes: Sequence[str] = ("natural", "small")
    animals: int = 4


FULL = Extent(3, 4, 2, 2, 3, 6, 2000, 20, 2)
"""About an hour of one core."""
SHORT = Extent(1, 1, 0, 1, 1, 2, 200, 1, 1, every=5, sizes=("small",), animals=3)
TINY = Extent(1, 0, 0, 0, 0, 0, 50, 0, 0, presets=("progenitor_10wk",), sizes=("small",))
FIRST_SEED = 101
"""Seeds below were used while the methods were made."""


def plan(extent: Extent, generators: Sequence[str] = tuple(GENERATORS)) -> list[Case]:
    """Return every case of the protocol, the quick ones of each part spread evenly."""
    cases: list[Case] = []
    for generator in generators:
        cases += _compartments(extent, generator)
        cases += _cells(extent, generator)
        cases += _sweeps(extent, generator)
        cases += _series(extent, generator)
        cases += _orders(extent, generator)
        cases += _ordered(extent, generator)
    cases += _studies("null", extent.null_images, extent.animals - 1, generators)
    cases += _studies("reversed", extent.reversed * len(generators), extent.animals, generators)
    for design in DESIGNS:
        batches = -(-extent.null_tables // STUDIES_A_CASE)
        cases += [Case("null tables", "tables", "", "", seed, design, want=()) for seed in range(batches)]
    return cases


def _seeds(count: int) -> range:
    return range(FIRST_SEED, FIRST_SEED + count)


def _compartments(extent: Extent, generator: str) -> Iterator[Case]:
    for preset in extent.presets:
        for optics in ("nominal", "hard"):
            for size in extent.sizes:
                for seed in _seeds(extent.compartments):
                    if size == "small":
                        yield Case("compartments", generator, preset, optics, seed, size, SMALL_MM)
                        continue
                    changes: Changes = (("area_mm2", LARGEST_MM2),) if preset == "wild_type" else ()
                    yield Case(
                        "compartments", generator, preset, optics, seed, size, pixel_size_um=1.0, changes=changes
                    )


def _even(per_mm2: float, area_mm2: float = 0.25) -> Changes:
    return (
        ("area_mm2", area_mm2), ("patchiness", 0.0), ("cd45_cortex_per_mm2", per_mm2),
        ("cd45_medulla_per_mm2", per_mm2),
    )  # fmt: skip


def _cells(extent: Extent, generator: str) -> Iterator[Case]:
    for optics in ("nominal", "hard"):
        for name, density in DENSITIES.items():
            for seed in _seeds(extent.cells):
                yield Case(
                    "cells",
                    generator,
                    "progenitor_10wk",
                    optics,
                    seed,
                    name,
                    changes=_even(density),
                    want=("cells",),
                )


def _sweeps(extent: Extent, generator: str) -> Iterator[Case]:
    base = _even(4_000.0, 0.5)
    for part, (where, name, levels) in SWEEPS.items():
        for level in levels:
            more: dict[str, Any] = {"pixel_size_um": level} if where == "pixel" else {}
            more |= {f"{where}_changes": ((name, level),)} if where != "pixel" else {}
            for seed in _seeds(extent.sweeps):
                yield Case(
                    f"sweep {part}", generator, "progenitor_10wk", "nominal", seed, f"{level:g}", changes=base,
                    want=("compartments", "cells"), **more,
                )  # fmt: skip


def _series(extent: Extent, generator: str) -> Iterator[Case]:
    for density in SERIES[:: extent.every]:
        for seed in _seeds(extent.series):
            yield Case(
                "density", generator, "progenitor_10wk", "nominal", seed, f"{density:g}", changes=_even(density),
                want=("cells",),
            )  # fmt: skip


def _orders(extent: Extent, generator: str) -> Iterator[Case]:
    """λ alone changes; everything else is one seed's lobe."""
    for order in ORDERS[:: extent.every]:
        for seed in _seeds(extent.orders):
            changes: Changes = (("area_mm2", 0.5), ("order", order), ("medulla_fraction", 0.3),
                                ("indeterminate_fraction", 0.1))  # fmt: skip
            yield Case(
                "order", generator, "progenitor_10wk", "nominal", seed, f"{order:g}", changes=changes, want=("row",)
            )


def _ordered(extent: Extent, generator: str) -> Iterator[Case]:
    for preset in ORDERED:
        for seed in _seeds(extent.ordered):
            yield Case(
                "ordered groups", generator, preset, "nominal", seed, preset, STUDY_MM, want=("cells", "row")
            )


def _studies(preset: str, count: int, animals: int, generators: Sequence[str]) -> Iterator[Case]:
    for study in range(count):
        for group in ("CD34", "progenitors"):
            for animal in range(animals):
                yield Case(
                    f"{preset} images", generators[study % len(generators)], preset, "nominal", FIRST_SEED + study,
                    f"study {study + 1}", STUDY_MM, want=("cells", "row"), study=(preset, group, str(animal), "0"),
                )  # fmt: skip

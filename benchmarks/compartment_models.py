"""The compartment network beside the keratin rule, the forest and Otsu, on sections that nothing was trained on.

``python -m benchmarks.compartment_models --out FOLDER`` writes ``compartments.csv`` (one row a section and method) and
``compartments.md``, which ``python -m benchmarks.models_page`` puts into ``docs/models.md``. Rows that are there
already are kept; ``--table`` writes the page from them alone.
"""

from __future__ import annotations

import argparse
import csv
import os
import pickle
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pandas as pd

from thymusimg.validate.case import Case

if TYPE_CHECKING:
    from collections.abc import Iterator

    from thymusimg.section.model import LabelPlane

FIRST_SEED = 9003
"""Seeds from here on were never trained on, nor looked at while a network was chosen; 9001 and 9002 were looked at
when doubtful islets were still painted."""
PRESETS = ("wild_type", "progenitor_10wk", "cd34_10wk", "untreated_nsg", "no_architecture")
SWEEPS: dict[str, tuple[str, str, tuple[float, ...]]] = {
    "stain drift, SD of the logarithm": ("optics", "stain_drift", (0.05, 0.3, 0.6)),
    "seams, SD of the gain of a tile": ("optics", "seam", (0.01, 0.1, 0.2)),
    "strength of the K14 stain": ("spec", "k14_strength", (1.0, 0.3, 0.1)),
    "bleed-through": ("optics", "bleed", (0.0, 0.08, 0.15)),
    "blur, SD in µm": ("optics", "psf_um", (0.35, 1.1, 2.2)),
    "noise, photo-electrons": ("camera", "peak_electrons", (400.0, 60.0, 15.0)),
}
METHODS = ("network", "keratin", "forest", "Otsu")
KEY = ("part", "generator", "preset", "optics", "label", "seed")
SCORES = ("dice_medulla", "dice_cortex", "border_mean_um", "border_p95_um", "medulla_share", "cortex_share",
          "true_medulla_share", "medulla_off_truth_share", "other_as_medulla_share", "seconds")  # fmt: skip
COLUMNS = (*KEY, "method", *SCORES)

TEXT = """## Compartments

Sections of seeds {first} and up ({seeds} a row), which no training, validation or choice has seen. *network* is
`--compartments network`, *keratin* the rule that needs no training (`--compartments keratin`), *forest* the random
forest, *Otsu* blurred K14 and K8 split by Otsu inside the true tissue. *natural* lobes are drawn at 1 µm a pixel (at
most {natural:g} mm²), *small* ones at most 1.2 mm at 0.5 µm; *hard* is folds, tears, fat, debris, drift of each stain,
tile steps, autofluorescence and a bright capsule at once. Scored as `thymusimg validate` does: the truth's artefact is
not scored, a section that is refused a division counts as 0 and its border is left out.

Dice of medulla:

{medulla}

Dice of cortex:

{cortex}

Mean distance of the cortex-medulla border from the true one, in µm:

{border}

Medulla that is none: share of the tissue called medulla in sections without any architecture (preset
`no_architecture`: mixed epithelium, indeterminate throughout), and in all sections the share of true capsule, septa,
vessels and cysts that is called medulla:

{false}

Degradation of one thing at a time (CD34 and progenitor presets at 1 µm a pixel, 0.8 mm²), Dice of medulla:

{sweeps}
"""
NATURAL_MM2 = 2.5


def cases(seeds: int) -> Iterator[Case]:
    """Yield every section of the comparison."""
    for seed in range(FIRST_SEED, FIRST_SEED + seeds):
        for generator in ("slab", "drawn"):
            for preset in PRESETS:
                for optics in ("nominal", "hard"):
                    yield Case(
                        "compartments", generator, preset, optics, seed, "natural", pixel_size_um=1.0,
                        changes=(("area_mm2", NATURAL_MM2),) if preset == "wild_type" else (),
                    )  # fmt: skip
                    if seed < FIRST_SEED + max(1, seeds // 2):
                        yield Case("compartments", generator, preset, optics, seed, "small", 1.2)
    for seed in range(FIRST_SEED, FIRST_SEED + max(1, seeds // 2)):
        for generator in ("slab", "drawn"):
            for preset in ("progenitor_10wk", "cd34_10wk"):
                for part, (where, name, levels) in SWEEPS.items():
                    for level in levels:
                        yield _sweep(part, generator, preset, seed, where, name, level)


def _sweep(part: str, generator: str, preset: str, seed: int, where: str, name: str, level: float) -> Case:
    changes: tuple[tuple[str, Any], ...] = (("area_mm2", 0.8),)
    more: dict[str, Any] = {}
    if where == "spec":
        changes = (*changes, (name, level))
    else:
        more[f"{where}_changes"] = ((name, level),)
    return Case(part, generator, preset, "nominal", seed, f"{level:g}", pixel_size_um=1.0, changes=changes, **more)


@dataclass(frozen=True)
class Prepared:
    """A section up to its compartments, with the truth and what the methods without a model make of it."""

    truth: Any
    planes: dict[str, Any]
    tissue: Any
    grid: Any
    found: dict[str, tuple[Any, Any, float]]
    """Labels, tissue and seconds of a method."""


def prepare(case: Case, cache: Path | None) -> Prepared:
    """Draw a section and run it up to its compartments; from the cache where it was done before."""
    from thymusimg.phantom.section import as_section
    from thymusimg.pipeline import prepare_section
    from thymusimg.settings import Settings
    from thymusimg.validate.baselines import otsu_compartments
    from thymusimg.validate.sections import draw

    path = None if cache is None else cache / ("-".join(_key(case)).replace(" ", "_") + ".pkl")
    if path is not None and path.exists():
        return pickle.loads(path.read_bytes())  # noqa: S301  written below
    phantom = draw(case)
    done = prepare_section(
        as_section(phantom, "s"), Settings.from_mapping({"compute": {"threads": 1, "device": "cpu"}})
    )
    rule = (done.compartments.labels, done.compartments.tissue, done.seconds["compartments"])
    began = time.perf_counter()
    otsu = otsu_compartments(phantom)
    prepared = Prepared(
        SimpleNamespace(grid=phantom.truth.grid, labels=phantom.truth.labels, tissue=phantom.truth.tissue),
        {role: done.planes[role] for role in ("k14", "k8")}, done.tissue, done.survey.grid,
        {"keratin": rule, "Otsu": (otsu, phantom.truth.tissue, time.perf_counter() - began)},
    )  # fmt: skip
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pickle.dumps(prepared))
    return prepared


def score(case: Case, methods: tuple[str, ...], cache: Path | None = None) -> list[dict[str, Any]]:
    """Return one row a method for the section of a case; a method that is not installed has none."""
    from thymusimg.compartments.methods import find_division
    from thymusimg.errors import ModelError
    from thymusimg.settings import CompartmentSettings, ComputeSettings

    prepared = prepare(case, cache)
    found = dict(prepared.found)
    for method in methods:
        if method in found:
            continue
        try:
            divide = find_division(method, compute=ComputeSettings(threads=1, device="cpu"))
        except ModelError:
            continue
        began = time.perf_counter()
        own = divide(prepared.planes, prepared.tissue, prepared.grid, CompartmentSettings())
        found[method] = own.labels, own.tissue, time.perf_counter() - began
    key = dict(zip(KEY, _key(case), strict=True))
    return [
        key | {"method": m} | scores_of(prepared, found[m][0], found[m][1]) | {"seconds": round(found[m][2], 3)}
        for m in methods
        if m in found
    ]


def scores_of(section: Any, labels: LabelPlane, tissue: Any) -> dict[str, float]:
    """Return the scores of a method's labels against the ``truth`` of a section."""
    from thymusimg.compartments.model import Compartment
    from thymusimg.evaluate.section_scores import class_rows
    from thymusimg.validate.sections import maps_of

    rows = {str(r["class"]): r for r in class_rows(maps_of(section, labels, tissue))}
    border = rows["cortex-medulla border"]
    truth = section.truth.labels
    scored = section.truth.tissue & (truth != Compartment.ARTEFACT)
    medulla = (labels == Compartment.MEDULLA) & scored
    other = scored & ((truth == Compartment.OTHER) | (truth == Compartment.CYST))
    area = max(int(scored.sum()), 1)
    found = {
        "dice_medulla": float(str(rows["medulla"]["dice"])),
        "dice_cortex": float(str(rows["cortex"]["dice"])),
        "border_mean_um": float(str(border["boundary_mean_um"])),
        "border_p95_um": float(str(border["boundary_p95_um"])),
        "medulla_share": medulla.sum() / area,
        "cortex_share": ((labels == Compartment.CORTEX) & scored).sum() / area,
        "true_medulla_share": ((truth == Compartment.MEDULLA) & scored).sum() / area,
        "medulla_off_truth_share": (medulla & (truth != Compartment.MEDULLA)).sum() / area,
        "other_as_medulla_share": (medulla & other).sum() / max(int(other.sum()), 1),
    }
    return {name: round(float(value), 5) for name, value in found.items()}


def page(table: pd.DataFrame) -> str:
    """Return the part of the page about compartments."""
    main = table[table["part"] == "compartments"]
    real = main[main["preset"] != "no_architecture"]
    return TEXT.format(
        first=FIRST_SEED, seeds=main["seed"].nunique(), natural=NATURAL_MM2,
        medulla=_by_case(real, "dice_medulla", "{:.3f}"), cortex=_by_case(real, "dice_cortex", "{:.3f}"),
        border=_by_case(real, "border_mean_um", "{:.1f}"), false=_false(main), sweeps=_sweeps(table),
    )  # fmt: skip


def _by_case(table: pd.DataFrame, score_name: str, how: str) -> str:
    methods = _methods(table)
    rows = [["preset", "lobes", "optics", "generator", "n", *methods]]
    for keys, part in table.groupby(["preset", "label", "optics", "generator"], sort=False):
        mean = part.groupby("method")[score_name].mean()
        count = str(part["seed"].nunique())
        rows.append([*(str(k) for k in keys), count, *(_cell(mean.get(m), how) for m in methods)])
    order = {name: i for i, name in enumerate((*PRESETS, "natural", "small", "nominal", "hard", "slab", "drawn"))}
    return _markdown([rows[0], *sorted(rows[1:], key=lambda row: [order[cell] for cell in row[:4]])])


def _false(table: pd.DataFrame) -> str:
    methods = _methods(table)
    rows = [["what", "optics", "generator", *methods]]
    empty = table[table["preset"] == "no_architecture"]
    for what, part, column in (
        ("no architecture: called medulla", empty, "medulla_share"),
        ("no architecture: called cortex", empty, "cortex_share"),
        ("capsule, septa, vessels, cysts called medulla", table, "other_as_medulla_share"),
    ):
        for keys, some in part.groupby(["optics", "generator"], sort=False):
            mean = some.groupby("method")[column].mean()
            rows.append([what, *(str(k) for k in keys), *(_cell(mean.get(m), "{:.1%}") for m in methods)])
    return _markdown(rows)


def _sweeps(table: pd.DataFrame) -> str:
    methods = _methods(table)
    rows = [["degradation", "level", *(f"{m} ({g})" for g in ("slab", "drawn") for m in methods)]]
    for part in SWEEPS:
        own = table[table["part"] == part]
        for label in dict.fromkeys(own["label"].astype(str)):
            mean = own[own["label"].astype(str) == label].groupby(["generator", "method"])["dice_medulla"].mean()
            cells = [_cell(mean.get((g, m)), "{:.3f}") for g in ("slab", "drawn") for m in methods]
            rows.append([part, label, *cells])
    return _markdown(rows)


def _methods(table: pd.DataFrame) -> list[str]:
    return [m for m in METHODS if (table["method"] == m).any()]


def _cell(value: Any, how: str) -> str:
    return "-" if value is None or value != value else how.format(value)


def _markdown(rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def main() -> None:
    """Run what is missing, write the table and the part of the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--part", default="", help="only cases whose part begins so")
    parser.add_argument("--cache", type=Path, help="folder that keeps the drawn sections")
    parser.add_argument("--table", action="store_true", help="only write the page from the rows there are")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    os.environ["OMP_NUM_THREADS"] = "1"
    path = options.out / "compartments.csv"
    have = _have(path)
    if not options.table:
        wanted = [(c, tuple(m for m in options.methods if (*_key(c), m) not in have)) for c in cases(options.seeds)]
        todo = [(c, m) for c, m in wanted if m and c.part.startswith(options.part)]
        with path.open("a", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, COLUMNS, restval="", lineterminator="\n")
            if not have:
                writer.writeheader()
            with ProcessPoolExecutor(options.workers, get_context("spawn")) as pool:
                futures = [pool.submit(score, case, methods, options.cache) for case, methods in todo]
                for done, future in enumerate(as_completed(futures), start=1):
                    writer.writerows(future.result())
                    stream.flush()
                    print(f"{done} of {len(todo)}", flush=True)
    (options.out / "compartments.md").write_text(page(pd.read_csv(path)), encoding="utf-8")


def _key(case: Case) -> tuple[str, ...]:
    return case.part, case.generator, case.preset, case.optics, case.label, str(case.seed)


def _have(path: Path) -> set[tuple[str, ...]]:
    if not path.exists():
        return set()
    with path.open(newline="", encoding="utf-8") as stream:
        return {(*(row[k] for k in KEY), row["method"]) for row in csv.DictReader(stream)}


if __name__ == "__main__":
    main()

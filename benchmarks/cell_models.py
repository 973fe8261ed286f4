"""The cell network beside the classical detector and a tuned watershed, on sections that nothing was trained on.

``python -m benchmarks.cell_models --out FOLDER`` writes ``cells.csv`` (one row a section and method), which
``python -m benchmarks.models_page`` puts into ``docs/models.md``. Rows that are there already are kept.
"""

from __future__ import annotations

import argparse
import csv
import os
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thymusimg.validate.case import Case

if TYPE_CHECKING:
    from collections.abc import Iterator

FIRST_SEED = 9001
"""Seeds from here on were never trained on, nor looked at while a network was chosen."""
DENSITIES = {"empty": 0.0, "sparse": 500.0, "medium": 5_000.0, "packed": 16_000.0}
"""Expected profiles per mm² of the parenchyma; the drawn density of ``packed`` lies at 12,000 or more."""
SWEEPS: dict[str, tuple[str, str, tuple[float, ...]]] = {
    "blur, SD in µm": ("optics", "psf_um", (0.35, 0.7, 1.1, 1.6)),
    "noise, photo-electrons": ("camera", "peak_electrons", (400, 60, 25, 10)),
    "bleed-through": ("optics", "bleed", (0, 0.06, 0.15)),
    "pixel size in µm": ("pixel", "", (0.25, 0.35, 0.65)),
}
METHODS = ("network", "classical", "watershed")
COLUMNS = (
    "part", "generator", "optics", "label", "dapi", "seed", "method", "f1_iou_50", "detection_f1_3um", "count_truth",
    "count_result", "count_bias", "density_bias", "density_truth_per_mm2", "false_per_mm2", "seconds",
)  # fmt: skip


def cases(seeds: int) -> Iterator[Case]:
    """Yield every section of the comparison."""
    for generator in ("slab", "drawn"):
        for seed in range(FIRST_SEED, FIRST_SEED + seeds):
            for optics in ("nominal", "hard"):
                for label, density in DENSITIES.items():
                    for dapi in (False, True):
                        if not (dapi and label == "empty"):
                            yield _case("density", generator, optics, seed, label, density, dapi)
            if seed < FIRST_SEED + max(1, seeds // 2):
                for part, (where, name, levels) in SWEEPS.items():
                    for level in levels:
                        more: dict[str, Any] = (
                            {"pixel_size_um": level} if where == "pixel" else {f"{where}_changes": ((name, level),)}
                        )
                        yield _case(part, generator, "nominal", seed, f"{level:g}", 8_000.0, False, **more)


def _case(
    part: str, generator: str, optics: str, seed: int, label: str, density: float, dapi: bool, **more: Any
) -> Case:
    changes = (
        ("area_mm2", 0.25), ("patchiness", 0.0), ("cd45_cortex_per_mm2", density), ("cd45_medulla_per_mm2", density),
        ("dapi", dapi),
    )  # fmt: skip
    if dapi and density:  # mouse nuclei need room beside the human cells
        changes = (*changes, ("mouse_per_mm2", 1_500.0))
    return Case(part, generator, "progenitor_10wk", optics, seed, label, changes=changes, want=("cells",), **more)


def score(case: Case) -> list[dict[str, Any]]:
    """Return one row a method for the section of a case."""
    from thymusimg.phantom.section import as_section
    from thymusimg.pipeline import count_cells, prepare_section
    from thymusimg.settings import Settings
    from thymusimg.validate.baselines import otsu_cells
    from thymusimg.validate.sections import draw, paint_cells, score_cells

    phantom = draw(case)
    found: dict[str, tuple[Any, Any, float]] = {}
    area = phantom.truth.tissue.sum() * phantom.truth.grid.pixel_area_mm2
    for method in METHODS:
        began = time.perf_counter()
        if method == "watershed":
            found[method] = (otsu_cells(phantom), None, time.perf_counter() - began)
            continue
        settings = Settings.from_mapping({"cells": {"method": method}, "compute": {"threads": 1, "device": "cpu"}})
        counted = count_cells(prepare_section(as_section(phantom, "s"), settings))
        labels = counted.prepared.compartments.labels
        found[method] = (paint_cells(phantom, counted), labels, counted.seconds["cells"])
    dapi = str(dict(case.changes).get("dapi", False))
    rows = []
    for method, (cells, labels, seconds) in found.items():
        scores = score_cells(phantom, cells, labels)
        rows.append(
            {"part": case.part, "generator": case.generator, "optics": case.optics, "label": case.label, "dapi": dapi,
             "seed": case.seed, "method": method, "false_per_mm2": scores["count_result"] / area,
             "seconds": round(seconds, 3)} | {k: scores.get(k, "") for k in COLUMNS if k in scores}
        )  # fmt: skip
    return rows


def main() -> None:
    """Run what is missing and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    os.environ["OMP_NUM_THREADS"] = "1"
    path = options.out / "cells.csv"
    have = _have(path)
    todo = [c for c in cases(options.seeds) if _key(c) not in have]
    with path.open("a", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, COLUMNS, restval="")
        if not have:
            writer.writeheader()
        with ProcessPoolExecutor(options.workers, get_context("spawn")) as pool:
            for done, future in enumerate(as_completed([pool.submit(score, case) for case in todo]), start=1):
                writer.writerows(future.result())
                stream.flush()
                print(f"{done} of {len(todo)}", flush=True)


def _key(case: Case) -> tuple[str, ...]:
    dapi = str(dict(case.changes).get("dapi", False))
    return case.part, case.generator, case.optics, case.label, dapi, str(case.seed)


def _have(path: Path) -> set[tuple[str, ...]]:
    if not path.exists():
        return set()
    with path.open(newline="", encoding="utf-8") as stream:
        return {tuple(row[k] for k in ("part", "generator", "optics", "label", "dapi", "seed"))
                for row in csv.DictReader(stream)}  # fmt: skip


if __name__ == "__main__":
    main()

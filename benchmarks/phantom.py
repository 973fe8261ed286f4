"""``python -m benchmarks.phantom``: draw a whole synthetic slide to disk; time, processor time and peak memory.

Writes the table between the marks in ``docs/phantoms.md``. The process that draws is one of its own; its peak is that
of its resident memory, start, compilation and the truth's measurement included.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import cv2

from benchmarks.__main__ import machine
from benchmarks.measure import run
from thymusimg.phantom import PRESETS
from thymusimg.phantom.whole_slide import write_section

DOCS = Path(__file__).parents[1] / "docs" / "phantoms.md"
MARKS = ("<!-- benchmark -->", "<!-- end of benchmark -->")


def draw(side: int, area_mm2: float, threads: int, folder: Path) -> None:
    """Draw one slide of ``side`` pixels and print what it took."""
    cv2.setNumThreads(1)
    spec = PRESETS["progenitor_10wk"].draw(1).model_copy(update={"area_mm2": area_mm2})
    wall, processor = time.perf_counter(), time.process_time()
    times: dict[str, float] = {}

    def note(_stage: str, fraction: float) -> None:
        times.setdefault("scene", time.process_time() - processor)
        if fraction == 1:
            times["pixels"] = time.process_time() - processor

    written = write_section(
        spec, 1, folder / "slide.ome.tif", bundle=folder / "slide.zarr", size_mm=side * 0.5e-3, pyramid=True,
        threads=threads, progress=note,
    )  # fmt: skip
    times |= {"wall": time.perf_counter() - wall, "processor": time.process_time() - processor}
    size = (folder / "slide.ome.tif").stat().st_size / 1e9
    print(json.dumps(times | {"cells": len(written.cells), "gb": size}))


def table(rows: list[tuple[int, float, int, dict[str, float], float]]) -> str:
    lines = [
        f"Machine: {machine()}. Preset `progenitor_10wk`, three channels, 16 bit, pyramid, truth included. Mpx count "
        "every channel, over the processor time of the pixels (scene, drawing, compressing).",
        "",
        "| slide | tissue mm² | cells | threads | wall s | processor s | Mpx/s a core | truth s | peak GB | file GB |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for side, area, threads, times, peak in rows:
        lines.append(
            f"| {side:,}² × 3 | {area:g} | {times['cells']:,.0f} | {threads} | {times['wall']:.0f} | "
            f"{times['processor']:.0f} | {3e-6 * side**2 / times['pixels']:.1f} | "
            f"{times['processor'] - times['pixels']:.0f} | {peak:.2f} | {times['gb']:.2f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.phantom", description=__doc__)
    parser.add_argument("--sides", type=int, nargs="+", default=[5_000, 20_000], help="sides of the slides in px")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--area", type=float, default=25.0, help="tissue in mm² on 100 mm² of slide")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        draw(options.one, options.area, options.threads, options.folder)
        return
    rows = []
    for side in options.sides:
        area = options.area * (side / 20_000) ** 2
        with tempfile.TemporaryDirectory() as folder:
            command = [
                sys.executable, "-m", "benchmarks.phantom", "--one", str(side), "--area", str(area), "--threads",
                str(options.threads), "--folder", folder,
            ]  # fmt: skip
            cost = run(command)
        rows.append((side, area, options.threads, json.loads(cost.output.splitlines()[-1]), cost.peak_gb))
    found = table(rows)
    print(found)
    if DOCS.exists():
        before, _, rest = DOCS.read_text(encoding="utf-8").partition(MARKS[0])
        after = rest.partition(MARKS[1])[2]
        DOCS.write_text(f"{before}{MARKS[0]}\n{found}\n{MARKS[1]}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()

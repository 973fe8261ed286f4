"""``python -m benchmarks.memory``: time and peak memory of the whole job as slides grow around a section.

Writes ``docs/benchmarks_memory.md``. The claim is that memory follows the tissue, and not the slide.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.__main__ import machine
from benchmarks.measure import run
from benchmarks.sparse_slide import PIXEL_UM, tissue_pixels, write_sparse_slide

DOCS = Path(__file__).parents[1] / "docs" / "benchmarks_memory.md"


@dataclass(frozen=True)
class Case:
    """A slide of ``side`` px with a square of ``tissue`` px of sections on it."""

    side: int
    tissue: int
    pyramid: bool = True
    outlined: bool = False


CASES = (
    Case(8_192, 4_096), Case(16_384, 4_096), Case(32_768, 4_096), Case(65_536, 4_096),
    Case(65_536, 4_096, outlined=True), Case(16_384, 4_096, pyramid=False), Case(8_192, 8_192),
)  # fmt: skip


def measure(case: Case, folder: Path) -> tuple[float, float, float, float]:
    """Return seconds, peak GB, tissue in mm² and the slide's file in GB."""
    slide = folder / "slide.ome.tif"
    corner = (0, 0) if case.side == case.tissue else (case.side // 2 // 512 * 512, case.side // 4 // 512 * 512)
    write_sparse_slide(slide, case.side, tissue_pixels(case.tissue), corner, pyramid=case.pyramid)
    command = [sys.executable, "-m", "thymusimg", "section", str(slide), "--out", str(folder / "out"), "--restart"]
    if case.outlined:
        command += ["--roi", str(_outline(folder, case, corner))]
    cost = run(command)
    bundle = next((folder / "out" / "sections").glob("*.zarr"))
    record = json.loads((bundle / "zarr.json").read_text())["attributes"]["thymusimg"]
    area, size = float(record["section"]["tissue_area_mm2"]), slide.stat().st_size / 1e9
    shutil.rmtree(folder / "out")
    slide.unlink()
    return cost.seconds, cost.peak_gb, area, size


def _outline(folder: Path, case: Case, corner: tuple[int, int]) -> Path:
    """Outline the upper left of the sections, as somebody would in QuPath."""
    (y, x), side = corner, case.tissue // 2
    ring = [[x, y], [x + side, y], [x + side, y + side], [x, y + side], [x, y]]
    path = folder / "roi.geojson"
    path.write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    return path


def page(rows: list[tuple[Case, tuple[float, float, float, float]]]) -> str:
    """Return the page with the table."""
    lines = [
        "# Memory on big slides",
        "",
        "Written by `python -m benchmarks.memory`. Each row is `thymusimg section` in a process of its own, start,",
        "imports, bundle and report included; the peak is that of its resident memory. The slides are synthetic:",
        f"4 × side² uint16 of {PIXEL_UM:g} µm, deflate tiles of 512 px; sections of the preset `progenitor_10wk` on glass",
        "with the camera's noise.",
        "",
        f"Machine: {machine()}. Seconds are those of a machine that others used too.",
        "",
        "| slide | file GB | levels | tissue mm² | s | peak GB |",
        "|---|---:|---|---:|---:|---:|",
    ]
    for case, (seconds, peak, area, size) in rows:
        levels = ("pyramid" if case.pyramid else "flat") + (", ROI" if case.outlined else "")
        lines.append(f"| {case.side:,}² × 4 | {size:.2f} | {levels} | {area:.1f} | {seconds:.0f} | {peak:.2f} |")
    return "\n".join([*lines, "", *WORDS, ""])


WORDS = (
    "Aim: under 1.5 GB, the same from 8,192² to 65,536².",
    "",
    "* A slide of more than six million coarse pixels is looked at first at up to 32 µm a pixel, from its pyramid or,",
    "  where it has none, while its one pass is on the way. What may be tissue, with 0.4 mm of glass around it, is the",
    "  frame in which everything else happens. With an ROI its box is the frame, and nothing else is read.",
    "* A flat file is decoded once; of its coarse planes, 200 MB are kept until the frame is known, the most varied",
    "  first. Where the tissue needs more, the rest of the frame is read a second time.",
    "* A pyramid's levels are read on their own tiles, each tile once: one level for the look, one for the planes; and",
    "  at full resolution the tiles with tissue, with their halo, for cells and for the network.",
    "* Imports take 0.29 GB. The peak comes while the stains' spectra are measured, and grows with the frame by about",
    "  200 bytes a coarse pixel.",
    "* A section that would need more memory than there is, is refused before any work, with both numbers.",
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("--largest", type=int, default=65_536, help="leave larger slides out")
    parser.add_argument("--out", type=Path, default=DOCS)
    options = parser.parse_args()
    rows = []
    for case in CASES:
        if case.side > options.largest:
            continue
        with tempfile.TemporaryDirectory() as folder:
            rows.append((case, measure(case, Path(folder))))
        print(rows[-1], flush=True)
        options.out.write_text(page(rows), encoding="utf-8")


if __name__ == "__main__":
    main()

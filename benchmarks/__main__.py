"""``python -m benchmarks``: the whole job on one big section, beside its floor and its peer.

Writes ``docs/benchmarks.md``. Ratios, not seconds, are the claim.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.measure import Cost, run
from benchmarks.slide import write_slide

DOCS = Path(__file__).parents[1] / "docs" / "benchmarks.md"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--side", type=int, default=8192, help="side of the slide in px")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--no-peer", action="store_true", help="leave the slow scikit-image pipeline out")
    parser.add_argument("--out", type=Path, default=DOCS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(Path(folder), options.side, options.repeats, peer=not options.no_peer)
    options.out.write_text(page(options.side, options.repeats, rows, imports(options.repeats)), encoding="utf-8")
    print(options.out.read_text(encoding="utf-8"))


def measure(folder: Path, side: int, repeats: int, *, peer: bool) -> list[tuple[str, str, Cost]]:
    rows = []
    for kind in ("flat", "pyramid"):
        slide = folder / f"{kind}.ome.tif"
        write_slide(slide, side, pyramid=kind == "pyramid")
        _warm(slide)
        ours = [sys.executable, "-m", "thymusimg", "section", str(slide)]
        rows.append(
            (
                kind,
                "floor: tifffile, 2 threads",
                best([sys.executable, "-m", "benchmarks.floor", str(slide)], repeats),
            )
        )
        rows.append(
            (
                kind,
                "thymusimg section",
                best([*ours, "--out", str(folder / kind), "--restart"], repeats, fresh=folder / kind),
            )
        )
        if peer and kind == "flat":
            command = [sys.executable, "-m", "benchmarks.plain_pipeline", str(slide)]
            rows.append((kind, "plain scikit-image pipeline", best(command, 1)))
    return rows


def _warm(slide: Path) -> None:
    """Put the file into the page cache, so that nobody pays for the disk."""
    with slide.open("rb") as stream:
        while stream.read(1 << 24):
            pass


def best(command: list[str], repeats: int, fresh: Path | None = None) -> Cost:
    """Run a command several times; the median time and the highest peak."""
    costs = []
    for _ in range(repeats):
        if fresh is not None:
            subprocess.run(["rm", "-rf", str(fresh)], check=True)
        costs.append(run(command))
    return Cost(statistics.median(c.seconds for c in costs), max(c.peak_gb for c in costs), costs[-1].output)


def imports(repeats: int) -> list[tuple[str, Cost]]:
    return [
        ("python -c 'import thymusimg'", best([sys.executable, "-c", "import thymusimg"], repeats)),
        ("thymusimg --help", best([sys.executable, "-m", "thymusimg", "--help"], repeats)),
    ]


def page(side: int, repeats: int, rows: list[tuple[str, str, Cost]], starts: list[tuple[str, Cost]]) -> str:
    floors = {kind: cost.seconds for kind, name, cost in rows if name.startswith("floor")}
    megapixels = 4 * side**2 * 1e-6
    lines = [
        "# Benchmarks",
        "",
        f"Written by `python -m benchmarks --side {side} --repeats {repeats}`. Ratios, not seconds, are the claim.",
        "",
        f"Machine: {machine()}.",
        "",
        f"## Whole section: 4 × {side}² uint16, deflate OME-TIFF in, every table, bundle and report out",
        "",
        "Each row is a process of its own, start and imports included; the file is in the page cache. Median time,",
        "highest peak of resident memory. The slide is synthetic (four channels, tissue on most of it, cells of",
        "the preset `progenitor_10wk`). *flat*: no pyramid in the file; *pyramid*: three halved levels beside it.",
        "",
        "| slide | what | s | × floor | Mpx/s | peak GB |",
        "|---|---|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {kind} | {name} | {cost.seconds:.2f} | {cost.seconds / floors[kind]:.1f} | "
        f"{megapixels / cost.seconds:.0f} | {cost.peak_gb:.2f} |"
        for kind, name, cost in rows
    ]
    lines += ["", "Aims: at most 5 × the floor, under 1.5 GB.", "", "## Start", "", "| what | s |", "|---|---:|"]
    lines += [f"| `{name}` | {cost.seconds:.2f} |" for name, cost in starts]
    lines += ["", "Aims: 0.3 s and 0.5 s.", ""]
    return "\n".join(lines)


def machine() -> str:
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.processor() or "unknown processor",
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0))
    return f"{model}, {cores} cores, {memory:.0f} GiB, Python {platform.python_version()}, no GPU"


if __name__ == "__main__":
    main()

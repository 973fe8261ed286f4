"""``python -m benchmarks``: the whole job beside its floor and its peer, on slides that grow, by one and two workers.

Every row goes into ``docs/benchmarks.csv`` as it is measured, and ``docs/benchmarks.md`` is written from that file: a
benchmark that was stopped goes on where it stopped, and ``--again`` measures anew. Ratios, not seconds, are the claim.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from benchmarks.measure import Cost, run
from benchmarks.rows import APART, FLOOR, FULL, LEAN, PEER, PLAIN_APART, STUDY, Rows
from benchmarks.slide import write_slide

DOCS = Path(__file__).parents[1] / "docs"
LEAN_SETTINGS = "[measurements]\nnetwork = false\npattern_simulations = 19\n"
"""Without the keratin network, and with the fewest draws of chance: what differs from the full catalogue."""
PEER_LARGEST = 8192
"""On larger slides the peer needs more memory than there is here: 16 GB at 16,384²."""
SECTIONS, SECTION_SIDE = 8, 4096


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--sides", type=int, nargs="+", default=[2048, 4096, 8192], help="sides of the slides in px"
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--no-peer", action="store_true", help="leave the slow scikit-image pipeline out")
    parser.add_argument("--no-workers", action="store_true", help="leave the study by one and two workers out")
    parser.add_argument("--again", action="store_true", help="measure what is in the table already")
    parser.add_argument("--out", type=Path, default=DOCS, help="folder of benchmarks.md and benchmarks.csv")
    options = parser.parse_args()
    from benchmarks.page import write_page

    rows = Rows.read(options.out / "benchmarks.csv", again=options.again)
    with tempfile.TemporaryDirectory() as folder:
        for side in options.sides:
            measure_slides(Path(folder), side, options.repeats, rows, peer=not options.no_peer)
        if not options.no_workers:
            measure_workers(Path(folder), options.repeats, rows, peer=not options.no_peer)
        for name, command in STARTS.items():
            rows.measure(name, "", 0, partial(best, command, options.repeats))
    write_page(rows, options.out, machine())
    print((options.out / "benchmarks.md").read_text(encoding="utf-8"))


STARTS = {
    "python -c 'import thymusimg'": [sys.executable, "-c", "import thymusimg"],
    "thymusimg --help": [sys.executable, "-m", "thymusimg", "--help"],
}


def measure_slides(folder: Path, side: int, repeats: int, rows: Rows, *, peer: bool) -> None:
    """Measure floor, thymusimg and peer on a flat and a pyramidal slide of one side."""
    lean = folder / "lean.toml"
    lean.write_text(LEAN_SETTINGS, encoding="utf-8")
    for kind in ("flat", "pyramid"):
        wanted = [FLOOR, FULL, LEAN] + [PEER] * (peer and kind == "flat" and side <= PEER_LARGEST)
        if all(rows.known(what, kind, side) for what in wanted):
            continue
        slide, out = folder / f"{kind}{side}.ome.tif", folder / "out"
        write_slide(slide, side, pyramid=kind == "pyramid")
        _warm(slide)
        ours = [sys.executable, "-m", "thymusimg", "section", str(slide), "--out", str(out)]
        commands = {
            FLOOR: ([sys.executable, "-m", "benchmarks.floor", str(slide)], repeats),
            FULL: (ours, repeats),
            LEAN: ([*ours, "--settings", str(lean)], repeats),
            PEER: ([sys.executable, "-m", "benchmarks.plain_pipeline", str(slide)], 1),
        }
        for what in wanted:
            command, times = commands[what]
            rows.measure(what, kind, side, partial(best, command, times, fresh=out))
        slide.unlink()


def measure_workers(folder: Path, repeats: int, rows: Rows, *, peer: bool) -> None:
    """Measure a study of eight equal sections by one worker and by two; each computes in one thread.

    Beside it one and two processes that know nothing of each other, a section each: what the machine gives.
    """
    out = folder / "study_out"
    apart = {APART: "ours", PLAIN_APART: "plain"} if peer else {APART: "ours"}
    for workers in (1, 2):
        if all(rows.known(what, "flat", SECTION_SIDE, workers) for what in (STUDY, *apart)):
            continue
        slides = write_study(folder)
        command = [sys.executable, "-m", "thymusimg", "run", str(folder / "study.toml"), "--out", str(out)]
        command += ["--workers", str(workers)]
        rows.measure(STUDY, "flat", SECTION_SIDE, partial(best, command, repeats, fresh=out), workers)
        for what, program in apart.items():
            command = [sys.executable, "-m", "benchmarks.side_by_side", program, str(out), *slides[:workers]]
            rows.measure(what, "flat", SECTION_SIDE, partial(best, command, repeats, fresh=out), workers)


def write_study(folder: Path) -> list[str]:
    """Write the sections, their table and settings, unless they are there; return the slides."""
    slides = [folder / f"s{number}.ome.tif" for number in range(SECTIONS)]
    if not (folder / "study.csv").exists():
        write_slide(slides[0], SECTION_SIDE, pyramid=False)
        for slide in slides[
            1:
        ]:  # the same pixels: equal work; copies, as one file twice would be one section twice
            shutil.copyfile(slides[0], slide)
        lines = [f"s{number},{slide.name},a{number},g" for number, slide in enumerate(slides)]
        table = "\n".join(["section_id,path,animal,group", *lines]) + "\n"
        settings = '[study]\ntable = "study.csv"\n[compute]\nthreads = 1\n'
        (folder / "study.toml").write_text(settings, encoding="utf-8")
        (folder / "study.csv").write_text(table, encoding="utf-8")
    return [str(slide) for slide in slides]


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
    return Cost(
        statistics.median(c.seconds for c in costs), max(c.peak_gb for c in costs), costs[-1].output,
        statistics.median(c.cpu for c in costs),
    )  # fmt: skip


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

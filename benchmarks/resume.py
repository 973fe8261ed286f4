"""A run that is killed again and again, and at its end the tables of one that nobody disturbed, byte for byte.

    python -m benchmarks.resume --kills 10 --seed 1        # prints a table, and writes it into docs/faults.md

Synthetic sections go through ``thymusimg run`` with two workers. At random moments a worker, or the whole run with all
its processes, gets a SIGKILL; the same command then goes on. A run that comes to its end before all kills are spent is
followed by one into a new folder. In the end every table of each is compared with that of a run in one process.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from thymusimg.phantom import PhantomSpec, make_phantom, write_ome_tiff

PAGE = Path(__file__).resolve().parents[1] / "docs" / "faults.md"
BEGIN, END = "<!-- resume: written by python -m benchmarks.resume -->", "<!-- resume: end -->"
AT_WORK = 0.8
"""Part of the starts in which the first kill waits for the work to begin; the others hit the start itself."""


@dataclass
class Start:
    """One start of the run, and what became of it."""

    said: list[str] = field(default_factory=list)
    kills: list[tuple[float, str, str]] = field(default_factory=list)
    seconds: float = 0.0
    status: int = 0
    out: Path = Path()

    def count(self, word: str) -> int:
        return sum(word in line for line in self.said if line.startswith("  "))


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--kills", type=int, default=10)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--sections", type=int, default=8)
    options.add_argument("--page", type=Path, default=PAGE, help="where the table is written")
    options.add_argument("--keep", type=Path, help="folder for the study and the results, which is kept")
    chosen = options.parse_args()
    work = chosen.keep or Path(tempfile.mkdtemp(prefix="thymusimg-resume-"))
    try:
        table = draw(work, chosen.sections)
        print("Undisturbed, in one process …", flush=True)
        if not (work / "undisturbed" / "report.html").exists():
            begin(table, work / "undisturbed", workers=1).communicate()
        print("Disturbed, with two workers …", flush=True)
        starts = disturb(table, work, chosen.kills, random.Random(chosen.seed))  # noqa: S311
        page = write(starts, work, chosen.seed)
    finally:
        if chosen.keep is None:
            shutil.rmtree(work, ignore_errors=True)
    print(page)
    put(chosen.page, page)
    return 0


def draw(work: Path, sections: int) -> Path:
    """Draw small synthetic lobes of two groups, and their study table."""
    folder = work / "study"
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["section_id,path,animal,group"]
    for number in range(sections):
        slide = folder / f"s{number}.ome.tif"
        if not slide.exists():
            spec = PhantomSpec(area_mm2=0.1, islets=2, medulla_fraction=0.3, cd45_cortex_per_mm2=3000.0)
            write_ome_tiff(make_phantom(spec, seed=number, pixel_size_um=0.65), slide)
        lines.append(f"s{number},{slide.name},m{number // 2},{'A' if number < sections / 2 else 'B'}")
    table = folder / "study.csv"
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return table


def begin(table: Path, out: Path, *, workers: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "thymusimg", "run", str(table), "--out", str(out), "--workers", str(workers)]
    return subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, start_new_session=True
    )


def disturb(table: Path, work: Path, kills: int, dice: random.Random) -> list[Start]:
    """Start, kill, start again, until all kills are spent and a run comes to its end."""
    starts: list[Start] = []
    out, runs = work / "disturbed1", 1
    plan = ["a worker", "the run"] * ((kills + 1) // 2)
    plan = dice.sample(plan, len(plan))[:kills]
    while plan or not starts or starts[-1].status:
        if starts and not starts[-1].status:
            runs += 1
            out = work / f"disturbed{runs}"
        start = Start(out=out)
        starts.append(start)
        began = time.monotonic()
        run = begin(table, out, workers=2)
        listener = threading.Thread(target=lambda run=run, start=start: start.said.extend(run.stderr or ()))
        listener.start()
        group = [psutil.Process(run.pid)]
        while plan and run.poll() is None:
            if not start.kills and dice.random() < AT_WORK:
                wait_for(run, start, dice.choice(("Sections:", "  1/", "  2/", "  3/")))
            sleep(run, dice.uniform(0.2, 5.0))
            if run.poll() is not None:
                break
            what = plan[0]
            children = [p for p in group[0].children(recursive=True) if is_worker(p)]
            group += children
            if what == "a worker" and not children:
                continue
            plan.pop(0)
            moment = time.monotonic() - began
            start.kills.append((moment, what, start.said[-1].strip() if start.said else "before its first word"))
            if what == "the run":
                os.killpg(run.pid, signal.SIGKILL)
                break
            dice.choice(children).kill()
        run.wait()
        listener.join()
        start.seconds, start.status = time.monotonic() - began, run.returncode
        _, left = psutil.wait_procs(group, timeout=10)  # one that was killed still has to give its memory back
        left = [p for p in left if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
        if left and run.returncode < 0:
            raise SystemExit(f"FAILED: {len(left)} processes outlive the run")
        if start.status > 0:
            print("".join(start.said))
            raise SystemExit(f"FAILED: status {start.status}, where a worker's death should be made up for")
        print(f"  start {len(starts)}: {start.seconds:.0f} s, status {start.status}, {start.kills}", flush=True)
        if len(starts) > 3 * kills + 3:
            raise SystemExit("FAILED: the run does not come to its end\n" + "".join(start.said))
    return starts


def wait_for(run: subprocess.Popen[str], start: Start, word: str) -> None:
    while run.poll() is None and not any(word in line for line in start.said):
        time.sleep(0.2)


def sleep(run: subprocess.Popen[str], seconds: float) -> None:
    try:
        run.wait(seconds)
    except subprocess.TimeoutExpired:
        return


def is_worker(process: psutil.Process) -> bool:
    try:
        return "spawn_main" in " ".join(process.cmdline())
    except psutil.Error:
        return False


def write(starts: list[Start], work: Path, seed: int) -> str:
    """Compare the tables and return the section of the page."""
    whole, runs = tables(work / "undisturbed"), list(dict.fromkeys(start.out for start in starts))
    differing, rests = set(), []
    for out in runs:
        found = tables(out)
        differing |= {f"{out.name}/{n}" for n in whole.keys() | found.keys() if whole.get(n) != found.get(n)}
        rests += [p for p in out.rglob(".*") if p.name not in (".lock",)]
    kills = sum(len(start.kills) for start in starts)
    lines = [
        BEGIN,
        f"{kills} kills at random moments (seed {seed}), {len(runs)} runs, two workers:",
        "",
        "| run | start | killed, after | what the run had said last | sections reused, measured at this start | end |",
        "|---|---|---|---|---|---|",
    ]
    for number, start in enumerate(starts, 1):
        killed = "<br>".join(f"{what}, {moment:.1f} s" for moment, what, _ in start.kills) or "–"
        said = "<br>".join(f"`{words}`" for _, _, words in start.kills) or "–"
        done = f"{start.count(': reused')}, {start.count(': measured')}"
        end = "killed" if start.status < 0 else f"status {start.status}"
        lines.append(f"| {runs.index(start.out) + 1} | {number} | {killed} | {said} | {done} | {end} |")
    same = f"all {len(whole)} tables of each are those of the undisturbed run, byte for byte"
    lines += [
        "",
        f"In the end {same if not differing else 'tables DIFFER: ' + ', '.join(sorted(differing))}; "
        f"{len(rests)} half-written files are left.",
        END,
    ]
    if differing or rests:
        print("\n".join(lines))
        raise SystemExit(f"FAILED: {sorted(differing)} {rests}")
    return "\n".join(lines)


def tables(out: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted((out / "tables").iterdir())}


def put(page: Path, section: str) -> None:
    text = page.read_text(encoding="utf-8") if page.exists() else f"{BEGIN}\n{END}\n"
    before, _, rest = text.partition(BEGIN)
    page.write_text(before + section + rest.partition(END)[2], encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())

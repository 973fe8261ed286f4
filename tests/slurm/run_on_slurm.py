"""The sample study through a real SLURM, disturbed, against the same study in one process.

One command, outside the test suite because it takes minutes and starts daemons::

    python tests/slurm/run_on_slurm.py            # 8 sections of the sample study
    python tests/slurm/run_on_slurm.py --whole    # all of it

It starts a SLURM of one node of its own (see ``one_node.py``), and shows that

1. a study through ``--slurm``, with one job cancelled and one killed in the middle, leaves the same tables, byte
   for byte, as a serial run, and no job in the queue; so does one with a worker process killed, whose job goes on;
2. a run that is told to end (SIGTERM) leaves tables and no job, one that is killed (SIGKILL) no job either; both go
   on from there to the same tables;
3. what SLURM refuses, and a job that cannot start its worker, is said in plain words;
4. sections that need a GPU run in jobs that SLURM gave one, and ``--device cuda`` without any is refused.

Where SLURM is missing it says so and ends with status 77.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from disturbances import ask, cancel_a_job, check, kill_a_job, kill_a_worker
from one_node import one_node, why_not

from thymusimg.batch.cluster import Placement, workforce
from thymusimg.batch.probe import Requirement
from thymusimg.batch.profile import SlurmProfile
from thymusimg.phantom.recipe import read_recipes
from thymusimg.phantom.sample_study import CAMERA, find_sample_data
from thymusimg.phantom.study import write_study

SKIPPED = 77
SOME = (0, 1, 2, 3, 6, 7, 16, 17)
"""Sections of the sample study: four of two untreated animals, the controls; two each of two treated ones."""


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--whole", action="store_true", help="every section of the sample study")
    options.add_argument(
        "--show", action="append", choices=[s.__name__ for s in SHOWS], help="only this; repeatable"
    )
    options.add_argument("--keep", type=Path, help="folder for the results, which is kept")
    chosen = options.parse_args()
    if reason := why_not() or _no_jobqueue():
        print(f"SKIPPED, nothing was tested: {reason}", file=sys.stderr)
        return SKIPPED
    work = chosen.keep or Path(tempfile.mkdtemp(prefix="thymusimg-on-slurm-"))
    work.mkdir(parents=True, exist_ok=True)
    try:
        table = draw(work / "study", whole=chosen.whole)
        run(table, work / "serial", "--workers", "1")
        with one_node(gpus=1):
            for show in [s for s in SHOWS if s.__name__ in (chosen.show or [s.__name__])]:
                print(f"\n== {show.__name__}: {show.__doc__}", flush=True)
                show(table, work)
    finally:
        if chosen.keep is None:
            shutil.rmtree(work, ignore_errors=True)
    print("\nAll shown. SLURM is stopped.")
    return 0


def disturbed(table: Path, work: Path) -> None:
    """One job is cancelled and one killed; others take their places and the tables are the serial run's."""
    out = work / "slurm"
    process = begin(table, out, "--slurm", profile(work))
    after = [cancel_a_job, kill_a_job]
    replaced = 0
    for line in told(process):
        replaced += "takes its place" in line
        if "measured" in line and after:
            after.pop(0)()
    check(process.wait() == 0, f"status {process.returncode}")
    check(not after, "both disturbances happened")
    check(replaced == 2, f"{replaced} new jobs took the places of those two")
    same_tables(out, work / "serial")
    empty_queue()


def worker(table: Path, work: Path) -> None:
    """A worker process is killed while it has a slide open; its job goes on with another one."""
    out = work / "worker"
    process = begin(table, out, "--slurm", profile(work))
    sections = done = replaced = False
    for line in told(process):
        replaced |= "takes its place" in line
        sections |= line.startswith("Sections")
        if sections and "measured" in line and not done:
            done = True
            kill_a_worker()
    check(process.wait() == 0, f"status {process.returncode}")
    check(done and not replaced, "no other job was submitted")
    same_tables(out, work / "serial")
    empty_queue()


def stopped(table: Path, work: Path) -> None:
    """SIGTERM ends the run with tables and no jobs; the same command goes on from there."""
    out = work / "stopped"
    process = begin(table, out, "--slurm", profile(work))
    sections = False
    for line in told(process):
        sections |= line.startswith("Sections")
        if sections and " 2/" in line:
            process.send_signal(signal.SIGTERM)
    check(process.wait() == 130, f"status {process.returncode}")
    check((out / "tables" / "sections.csv").exists(), "tables were written")
    empty_queue()
    goes_on(table, out, work)


def killed(table: Path, work: Path) -> None:
    """SIGKILL of the run itself: its jobs end by themselves, and the same command goes on from there."""
    out = work / "killed"
    process = begin(table, out, "--slurm", profile(work))
    sections = False
    for line in told(process):
        sections |= line.startswith("Sections")
        if sections and " 3/" in line:
            process.kill()
    check(process.wait() == -signal.SIGKILL, f"status {process.returncode}")
    empty_queue(120)
    goes_on(table, out, work)


def goes_on(table: Path, out: Path, work: Path) -> None:
    process = begin(table, out, "--slurm", profile(work))
    lines = list(told(process))
    check(process.wait() == 0, f"status {process.returncode}")
    check(any("reused" in line for line in lines), "finished sections were reused")
    same_tables(out, work / "serial")
    empty_queue()


def refused(table: Path, work: Path) -> None:
    """What cannot work is said before any work, in SLURM's words or the job's."""
    text = failing(table, work, profile(work, 'queue = "none-such"'))
    check("refuses the job" in text and "partition" in text, "a queue that is not there")
    text = failing(table, work, profile(work, 'python = "/none/python"'))
    check("/none/python" in text and "jobs ended before" in text, "a Python that is not there")
    text = failing(table, work, profile(work), "--device", "cuda")
    check("gpus_per_worker" in text, "--device cuda without a GPU in the profile")
    empty_queue()


def gpus(table: Path, work: Path) -> None:
    """Two jobs want a GPU and the node has one: SLURM lets one run, and all work goes there."""
    place = Placement(slurm=SlurmProfile.from_toml(Path(profile(work, "gpus_per_worker = 1"))))
    needed = Requirement()
    with workforce(place, needed, work, sections=2, device="cuda", threads=1, say=print) as hands:
        jobs = {job for _, job in hands.run(os.getenv, ["SLURM_JOB_ID"] * 4, gpu=True)}
        counted = {n for _, n in hands.run(os.getenv, ["SLURM_GPUS_ON_NODE"] * 4, gpu=True)}
        queue = ask("squeue", "--noheader", "--format=%i %T %b").splitlines()
        print("\n".join(queue))
        check(hands.device == "cuda", "the device is cuda")
        check(len(jobs) == 1 and counted == {"1"}, f"all work ran in job {jobs}, with {counted} GPU")
        check(sum("PENDING" in line for line in queue) == 1, "the other job waits for the GPU")
    empty_queue()


def draw(folder: Path, *, whole: bool) -> Path:
    """Draw the sample study, or some of it."""
    data = find_sample_data()
    recipes = read_recipes(data / "recipe.csv")
    print(f"Drawing {len(recipes) if whole else len(SOME)} synthetic sections …", flush=True)
    write_study(
        folder, recipes if whole else [recipes[i] for i in SOME], images="images", changes={"camera": CAMERA}
    )
    return Path(shutil.copyfile(data / "study.toml", folder / "study.toml"))


def profile(work: Path, more: str = "") -> str:
    path = work / "slurm.toml"
    path.write_text(f'workers = 2\ncores = 1\nmemory = "3GB"\nwalltime = "01:00:00"\n{more}\n')
    return str(path)


def begin(table: Path, out: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "thymusimg", "run", str(table), "--out", str(out), *options]
    return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)


def told(process: subprocess.Popen[str]):  # type: ignore[no-untyped-def]
    began = time.monotonic()
    for line in process.stderr or ():
        print(f"  [{time.monotonic() - began:5.1f} s] {line.rstrip()}", flush=True)
        yield line


def run(table: Path, out: Path, *options: str) -> None:
    process = begin(table, out, *options)
    for _ in told(process):
        pass
    check(process.wait() == 0, "the serial run ended well")


def failing(table: Path, work: Path, file: str, *options: str) -> str:
    process = begin(table, work / "refused", "--slurm", file, *options)
    text = "".join(told(process))
    check(process.wait() == 2 and "Traceback" not in text, f"status {process.returncode}, no traceback")
    check(not (work / "refused" / "tables" / "sections.csv").exists(), "no table was written")
    return text


def same_tables(out: Path, other: Path) -> None:
    mine, theirs = ({p.name: p.read_bytes() for p in (f / "tables").glob("*.csv")} for f in (out, other))
    for name in sorted(theirs):
        check(mine.get(name) == theirs[name], f"{name}: {len(theirs[name]):,} bytes, equal")
    check(set(mine) == set(theirs), f"{len(theirs)} tables")


def empty_queue(seconds: int = 20) -> None:
    for _ in range(2 * seconds):
        if not ask("squeue", "--noheader"):
            break
        time.sleep(0.5)
    check(not ask("squeue", "--noheader"), "no job is left in the queue")


def _no_jobqueue() -> str:
    from importlib.util import find_spec

    return "" if find_spec("dask_jobqueue") else "dask-jobqueue is missing; pip install 'thymusimg[hpc]'"


SHOWS = (disturbed, worker, stopped, killed, refused, gpus)

if __name__ == "__main__":
    sys.exit(main())

"""What a run through SLURM is disturbed by: jobs cancelled or killed, a worker killed; and asking SLURM."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def cancel_a_job() -> None:
    job = ask("squeue", "--noheader", "--states=RUNNING", "--format=%i").split()[0]
    print(f"  >> scancel {job}", flush=True)
    ask("scancel", job)
    wait_for(lambda: all(of != job for _, of, _ in processes_of_jobs()), f"nothing of job {job} is left")


def kill_a_job() -> None:
    """SIGKILL what the job's script started, Dask's nanny, so that the job fails; its worker ends with it."""
    nanny, job = next((pid, job) for pid, job, words in processes_of_jobs() if "dask_worker" in words)
    workers = [pid for pid, of, words in processes_of_jobs() if of == job and "spawn_main" in words]
    print(f"  >> kill -9 {nanny} (the nanny of job {job})", flush=True)
    os.kill(nanny, signal.SIGKILL)
    wait_for(lambda: job not in ask("squeue", "--noheader", "--format=%i").split(), f"job {job} ended")
    print(f"     SLURM says: {state_of(job)}", flush=True)
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), "its worker ended with it")


def kill_a_worker() -> None:
    """SIGKILL a process that has a slide open: neither its nanny nor a worker that is only coming up."""
    pid, job = wait_for(at_work, "a worker has a slide open")[0]
    print(f"  >> kill -9 {pid} (a worker in job {job})", flush=True)
    os.kill(pid, signal.SIGKILL)
    wait_for(
        lambda: any(of == job and new != pid and "spawn_main" in words for new, of, words in processes_of_jobs()),
        f"the nanny in job {job} started another worker",
    )
    check("RUNNING" in ask("squeue", "--noheader", f"--jobs={job}", "--format=%T"), f"job {job} goes on")


def at_work() -> list[tuple[int, str]]:
    """Return number and job of the worker processes that have a slide open."""
    found = []
    for pid, job, words in processes_of_jobs():
        try:
            files = [link.readlink() for link in Path(f"/proc/{pid}/fd").iterdir()]
        except OSError:  # it has ended
            continue
        if "spawn_main" in words and any(file.suffix == ".tif" for file in files):
            found.append((pid, job))
    return found


def processes_of_jobs() -> list[tuple[int, str, str]]:
    """Return number, job and command line of every process that a job of SLURM's started."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            variables = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        job = [v.partition(b"=")[2].decode() for v in variables if v.startswith(b"SLURM_JOB_ID=")]
        if job:
            found.append((int(folder.name), job[0], words))
    return sorted(found)


def state_of(job: str) -> str:
    said = ask("scontrol", "--oneliner", "show", "job", job).split()
    return " ".join(word for word in said if word.startswith(("JobState=", "Reason=", "ExitCode=")))


def wait_for(ready: Callable[[], T], what: str, seconds: float = 60) -> T:
    """Ask until there is something, and return it."""
    until = time.monotonic() + seconds
    while not (found := ready()) and time.monotonic() < until:
        time.sleep(0.1)
    check(bool(found), what)
    return found


def ask(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def check(truth: bool, what: str) -> None:
    print(f"  {'ok ' if truth else 'NOT'} {what}", flush=True)
    if not truth:
        raise SystemExit(f"failed: {what}")

"""Workers as SLURM jobs. dask-jobqueue writes the job's script and runs the scheduler; the jobs are counted here.

The script goes through ``sbatch``, the queue is read with ``squeue``, and every job that is left is cancelled with
``scancel``: so a job that SLURM refuses, ends or takes away is known by its number and its reason.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thymusimg.errors import CallError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from thymusimg.batch.probe import Member
    from thymusimg.batch.profile import SlurmProfile

JOB_NAME = "thymusimg"
EVERY_S = 5.0
"""The queue is read at most so often: SLURM's controller is everybody's."""
FRUITLESS = 3
"""So many jobs in a row that ended before their worker appeared: more of them would not help."""
TAKEN_AWAY = ("TIMEOUT", "PREEMPTED", "NODE_FAIL", "CANCELLED", "BOOT_FAIL", "REVOKED", "DEADLINE", "REQUEUED")
"""States in which the end of a job was not the fault of its section."""
_WORKER = {
    "DASK_DISTRIBUTED__WORKER__MEMORY__TARGET": "False",  # Dask holds none of our data: nothing to spill
    "DASK_DISTRIBUTED__WORKER__MEMORY__SPILL": "False",
    "DASK_DISTRIBUTED__WORKER__MEMORY__PAUSE": "False",  # and a paused worker would be waited for in vain
}


def job_options(profile: SlurmProfile, logs: Path) -> dict[str, Any]:
    """Return what dask-jobqueue is told about a job; little is left to its own configuration files.

    Parameters
    ----------
    logs : Path
        Where the jobs write what they say, if the profile names no folder.
    """
    gpu = profile.gpus_per_worker > 0
    exports = _WORKER | {"NUMBA_NUM_THREADS": str(profile.cores)}
    return {
        "queue": profile.queue or None,
        "account": profile.account or None,
        "cores": 1,  # threads of Dask: one section at a time, with all the job's cores
        "processes": 1,
        "job_cpu": profile.cores,
        "memory": profile.memory,
        "walltime": profile.walltime,
        "job_name": JOB_NAME,
        "python": profile.python or sys.executable,
        "interface": profile.interface or None,
        "local_directory": profile.local_directory or "${TMPDIR:-/tmp}",
        "log_directory": profile.log_directory or str(logs),
        "job_extra_directives": [*([f"--gres={profile.gres}:1"] if gpu else []), *profile.directives],
        "job_directives_skip": list(profile.skip_directives),
        "job_script_prologue": [*profile.environment, *(f"export {k}={v}" for k, v in exports.items())],
        # the last --name counts: a worker is called by the number of its job
        "worker_extra_args": ["--name", "$SLURM_JOB_ID", *(["--resources", "GPU=1"] if gpu else [])],
        "death_timeout": 120,
    }


class SlurmJobs:
    """The jobs of one run, as a :class:`~thymusimg.batch.crew.Supply`.

    Parameters
    ----------
    script : str
        What ``sbatch`` is given.
    wanted : int
        Jobs at the same time.
    logs : Path
        Where the jobs write what they say.
    """

    name = "SLURM"

    def __init__(self, script: str, wanted: int, logs: Path, say: Callable[[str], None]) -> None:
        self._script, self._wanted, self._logs, self._say = script, wanted, logs, say
        self._jobs: set[str] = set()
        self._joined: set[str] = set()
        self._fruitless = 0
        self._refusal = ""
        self._asked_at = 0.0
        self._said = ""

    def begin(self) -> None:
        """Submit the jobs.

        Raises
        ------
        CallError
            If SLURM refuses one.
        """
        for _ in range(self._wanted):
            self._jobs.add(submit(self._script))
        self._asked_at = time.monotonic()

    def close(self) -> None:
        """Cancel every job that is left."""
        if self._jobs:
            _ask("scancel", *sorted(self._jobs))
            self._jobs.clear()

    def tend(self, members: Collection[Member], *, pending: int) -> None:
        """Replace jobs that have ended while there is work for them; say what is waited for."""
        here = {member.name for member in members}
        if here - self._joined:
            self._joined |= here
            self._fruitless = 0
        now = time.monotonic()
        if now - self._asked_at < EVERY_S:
            return
        self._asked_at = now
        states = job_states(self._jobs)
        if states is None:  # the controller is busy or away: nothing is known
            return
        for job in self._jobs - set(states) - here:
            self._jobs.discard(job)
            self._fruitless += job not in self._joined
        while len(self._jobs) < min(self._wanted, pending) and self._fruitless < FRUITLESS:
            self._replace()
        if not members:
            self._tell(states)

    def despair(self, idle_s: float) -> str:
        """Say why no job will start any more; to wait in the queue is no reason, however long."""
        del idle_s
        if self._jobs or self._fruitless < FRUITLESS:
            return ""
        if self._refusal:
            return self._refusal
        words = last_words(self._logs)
        said = f", the last one with '{words}'" if words else ""
        return f"{self._fruitless} jobs ended before their worker appeared{said}; see {self._logs}"

    def excuse(self, worker: Member) -> str:
        """Say why a job ended, where SLURM took it away."""
        for _ in range(5):  # the worker is missed before SLURM has closed its job
            state = job_state(worker.name)
            if state not in ("RUNNING", "COMPLETING"):
                break
            time.sleep(1.0)
        return f"SLURM ended job {worker.name}: {state}" if state in TAKEN_AWAY else ""

    def _replace(self) -> None:
        try:
            job = submit(self._script)
        except CallError as error:
            self._refusal = str(error)
            self._fruitless = FRUITLESS
            self._say(f"Note: a job that ended is not replaced: {error}")
        else:
            self._jobs.add(job)
            self._say(f"A SLURM job has ended; job {job} takes its place")

    def _tell(self, states: dict[str, str]) -> None:
        waiting = sorted(f"{job} {state}" for job, state in states.items() if state.startswith("PENDING"))
        line = f"Waiting for SLURM: {', '.join(waiting[:3])}{' …' if len(waiting) > 3 else ''}"
        if len(waiting) == len(states) > 0 and line != self._said:
            self._said = line
            self._say(line)


def submit(script: str) -> str:
    """Submit a job and return its number.

    Raises
    ------
    CallError
        If SLURM refuses it, with what it says.
    """
    done = _ask("sbatch", "--parsable", text=script)
    if done.returncode:
        why = " ".join(done.stderr.split()) or f"sbatch ended with {done.returncode}"
        raise CallError(f"--slurm: SLURM refuses the job ({why}). Mend the profile.")
    return done.stdout.strip().partition(";")[0]


def job_states(jobs: Collection[str]) -> dict[str, str] | None:
    """Return the state of those jobs that are in the queue, with the reason of those that wait; None: not known."""
    if not jobs:
        return {}
    # --user and no --jobs: an unknown number among them would be an error
    done = _ask("squeue", "--noheader", "--me", "--format=%i|%T|%r")
    if done.returncode:
        return None
    found = {}
    for line in done.stdout.splitlines():
        job, state, reason = (*line.strip().split("|", 2), "", "")[:3]
        if job in jobs and state not in TAKEN_AWAY:
            found[job] = state if reason in ("", "None") else f"{state} ({reason})"
    return found


def job_state(job: str) -> str:
    """Return the state of a job that has run, as SLURM remembers it for some minutes; "" if it does not."""
    done = _ask("scontrol", "--oneliner", "show", "job", job)
    for word in done.stdout.split():
        key, _, value = word.partition("=")
        if key == "JobState":
            return value
    return ""


def last_words(logs: Path) -> str:
    """Return the last line that the job that ended last wrote."""
    files = sorted(logs.glob(f"{JOB_NAME}-*.err"), key=lambda path: path.stat().st_mtime)
    for path in reversed(files):
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
        for line in reversed(lines):
            if line.strip():
                return line.strip()[:200]
    return ""


def _ask(command: str, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run([command, *arguments], input=text, capture_output=True, text=True, check=False)


@contextmanager
def slurm_jobs(
    profile: SlurmProfile, wanted: int, logs: Path, *, dashboard: bool, say: Callable[[str], None]
) -> Iterator[tuple[Any, SlurmJobs]]:
    """Run a scheduler here and workers as SLURM jobs; give both, and cancel every job at the end.

    Raises
    ------
    MissingExtraError
        If dask-jobqueue is not installed.
    CallError
        If there is no SLURM here, or it refuses the jobs.
    """
    check_slurm()
    from dask_jobqueue import SLURMCluster

    logs = Path(profile.log_directory) if profile.log_directory else logs
    try:
        cluster = SLURMCluster(
            **job_options(profile, logs),
            scheduler_options={"dashboard": dashboard, "dashboard_address": "127.0.0.1:0"},
            security=True if profile.encrypted else None,
            shared_temp_directory=str(logs.parent),
            silence_logs="critical",
        )
    except ImportError:
        raise MissingExtraError("encrypted = true in the profile: type  pip install cryptography") from None
    except (OSError, ValueError) as error:
        raise CallError(f"--slurm: the scheduler cannot be started here ({error})") from None
    with cluster:
        jobs = SlurmJobs(cluster.job_script(), wanted, logs, say)
        try:
            jobs.begin()
            yield cluster, jobs
        finally:
            jobs.close()


def check_slurm() -> None:
    """Refuse where jobs cannot be submitted.

    Raises
    ------
    MissingExtraError, CallError
    """
    from importlib.util import find_spec

    if find_spec("dask_jobqueue") is None:
        raise MissingExtraError("--slurm: dask-jobqueue is not installed; type  pip install 'thymusimg[hpc]'")
    missing = [name for name in ("sbatch", "squeue", "scancel", "scontrol") if shutil.which(name) is None]
    if missing:
        raise CallError(f"--slurm: no {missing[0]} here; run this on a machine that submits jobs to SLURM.")

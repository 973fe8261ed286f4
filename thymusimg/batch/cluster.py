"""Where a study's workers are: this process, this machine, somebody's Dask scheduler, or SLURM."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from thymusimg.batch.crew import Crew, Standing
from thymusimg.batch.dispatch import Distributed
from thymusimg.batch.executor import Executor, Serial, default_workers, limit_threads, section_bytes
from thymusimg.batch.local import PATIENCE_S, local_gpu_workers, local_workers
from thymusimg.batch.session import dask_client, dask_settings
from thymusimg.batch.weight import largest_bytes
from thymusimg.device import count_devices, resolve_device
from thymusimg.errors import CallError, DeviceError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from thymusimg.batch.probe import Requirement
    from thymusimg.batch.profile import SlurmProfile


@dataclass(frozen=True)
class Placement:
    """Where the caller wants the work done; at most one of ``scheduler`` and ``slurm``.

    Attributes
    ----------
    workers : int
        How many; 0: as many as suit (this machine), as the profile says (SLURM), all there are (a scheduler).
    scheduler : str
        Address of a Dask scheduler, whose workers see the same files.
    slurm : SlurmProfile or None
        How jobs look that workers run in.
    dashboard : bool
        Whether Dask's dashboard is served, where the scheduler is ours.
    """

    workers: int = 0
    scheduler: str = ""
    slurm: SlurmProfile | None = None
    dashboard: bool = False

    @property
    def elsewhere(self) -> bool:
        """Whether other machines may do the work, so that nothing can be concluded from this one's devices."""
        return bool(self.scheduler) or self.slurm is not None

    def check(self, device: str) -> None:
        """Refuse what cannot be, before anything is started.

        Raises
        ------
        CallError, DeviceError, MissingExtraError
        """
        if self.scheduler and self.slurm is not None:
            raise CallError("--scheduler and --slurm: choose one of them.")
        if self.scheduler and self.workers:
            raise CallError(
                "--workers and --scheduler: that scheduler's workers are all used; leave --workers out."
            )
        if self.dashboard and not self.scheduler and find_spec("bokeh") is None:
            raise MissingExtraError("--dashboard: type  pip install 'bokeh>=3.1'")
        if not self.elsewhere:
            if device.startswith("cuda"):
                resolve_device(device)
            return
        if ":" in device:
            raise CallError(f"--device {device}: devices of other machines have no number here; use --device cuda.")
        if self.slurm is not None:
            from thymusimg.batch.slurm import check_slurm

            check_slurm()
            if device == "cuda" and not self.slurm.gpus_per_worker:
                raise DeviceError("--device cuda: the profile asks for no GPU; write  gpus_per_worker = 1  in it.")


@contextmanager
def workforce(
    placement: Placement,
    needed: Requirement,
    out: Path,
    *,
    sections: int,
    device: str,
    threads: int,
    say: Callable[[str], None],
) -> Iterator[Executor]:
    """Give the executor of a study, every worker of which was found fit for it.

    Parameters
    ----------
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:N``. ``auto`` is decided once, for all workers alike.
    threads : int
        Threads of this machine's workers together, or of each worker of a scheduler.

    Raises
    ------
    CallError
        If a worker cannot do the work, or none comes.
    DeviceError
        If a GPU was asked for and no worker has one.
    """
    placement.check(device)
    if placement.slurm is not None:
        with _slurm_workers(placement, needed, out, sections, device, say) as workers:
            yield workers
    elif placement.scheduler:
        with _scheduler_workers(placement, needed, device, threads, say) as workers:
            yield workers
    else:
        with _own_workers(placement, needed, sections, device, threads, say) as workers:
            yield workers


@contextmanager
def _own_workers(
    placement: Placement,
    needed: Requirement,
    sections: int,
    device: str,
    threads: int,
    say: Callable[[str], None],
) -> Iterator[Executor]:
    resolved = resolve_device(device) if needed.network or device.startswith("cuda") else "cpu"
    largest = 0 if placement.workers else largest_bytes(needed.files)
    count = placement.workers or default_workers(sections, largest)
    if not placement.workers and count < default_workers(sections):
        each = section_bytes(largest) / 1e9
        say(f"Note: {count} worker{'s' * (count > 1)}: the largest section takes about {each:.0f} GB of memory")
    if resolved != "cpu" and needed.network:
        devices = [resolved.partition(":")[2]] if ":" in device else [str(i) for i in range(count_devices())]
        count = max(1, min(placement.workers or len(devices), len(devices), sections))
        if placement.workers > count:
            say(f"Note: {count} worker{'s' * (count > 1)}, one for each GPU")
        if count > 1:
            with local_gpu_workers(
                devices[:count], max(1, threads // count), needed, dashboard=placement.dashboard, say=say
            ) as workers:
                yield workers
            return
    if count <= 1:
        limit_threads(threads)
        yield Serial(resolved, threads)
        return
    with local_workers(count, max(1, threads // count), needed, dashboard=placement.dashboard, say=say) as workers:
        yield workers


@contextmanager
def _scheduler_workers(
    placement: Placement, needed: Requirement, device: str, threads: int, say: Callable[[str], None]
) -> Iterator[Executor]:
    with dask_settings(threads), dask_client(placement.scheduler, say) as client:
        supply = Standing(f"--scheduler {placement.scheduler}", PATIENCE_S)
        crew = Crew(client, needed, supply, device="cpu" if device == "cpu" else "cuda", say=say)
        crew.gather(1)
        _say_who(crew, say)
        yield _placed(crew, needed, device, threads)


@contextmanager
def _slurm_workers(
    placement: Placement, needed: Requirement, out: Path, sections: int, device: str, say: Callable[[str], None]
) -> Iterator[Executor]:
    from thymusimg.batch.slurm import slurm_jobs

    profile = placement.slurm
    if profile is None:
        raise CallError("--slurm: no profile was given.")
    wanted = max(1, min(placement.workers or profile.workers, sections))
    with (
        dask_settings(profile.cores),
        slurm_jobs(profile, wanted, out / "logs", dashboard=placement.dashboard, say=say) as (cluster, jobs),
        dask_client(cluster, say) as client,
    ):
        crew = Crew(client, needed, jobs, device="cpu" if device == "cpu" else "cuda", say=say)
        say(f"{wanted} SLURM job{'s' * (wanted > 1)} submitted")
        crew.gather(1)
        _say_who(crew, say)
        yield _placed(crew, needed, device, profile.cores)


def _placed(crew: Crew, needed: Requirement, device: str, threads: int) -> Distributed:
    """Decide once where networks run: the same for every section, whoever takes it."""
    if device == "cuda":
        crew.require_gpu()
    use = "cuda" if device == "cuda" or (device == "auto" and needed.network and crew.has_gpu) else "cpu"
    return Distributed(crew, device=use, threads=threads, network=needed.network)


def _say_who(crew: Crew, say: Callable[[str], None]) -> None:
    hosts = sorted({member.host for member in crew.members.values()})
    gpus = len(crew.useful(gpu=True))
    count = len(crew.members)
    where = hosts[0] if len(hosts) == 1 else f"{len(hosts)} machines"
    say(f"{count} worker{'s' * (count != 1)} on {where}" + (f", {gpus} with a GPU" if gpus else ""))

"""Where a study's workers are: this process, this machine, somebody's Dask scheduler, or SLURM."""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from thymusimg.batch.crew import Crew, Nannies, Standing
from thymusimg.batch.dispatch import GPU, Distributed
from thymusimg.batch.executor import Executor, Serial, default_workers, limit_threads
from thymusimg.batch.probe import Requirement
from thymusimg.device import count_devices, resolve_device
from thymusimg.errors import CallError, DeviceError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from thymusimg.batch.profile import SlurmProfile

PATIENCE_S = 60.0
"""So long a run goes on without a single worker, before it stops; workers that died come back within seconds."""

HTTP = "127.0.0.1:0"
"""Where our schedulers serve pages: to this machine alone, on a port that is free (also without a dashboard)."""


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
    count = placement.workers or default_workers(sections)
    if resolved != "cpu" and needed.network:
        devices = [resolved.partition(":")[2]] if ":" in device else [str(i) for i in range(count_devices())]
        count = max(1, min(placement.workers or len(devices), len(devices), sections))
        if placement.workers > count:
            say(f"Note: {count} worker{'s' * (count > 1)}, one for each GPU")
        if count > 1:
            with local_gpu_workers(devices[:count], max(1, threads // count), needed, placement, say) as workers:
                yield workers
            return
    if count <= 1:
        limit_threads(threads)
        yield Serial(resolved, threads)
        return
    with local_workers(count, max(1, threads // count), needed, dashboard=placement.dashboard, say=say) as workers:
        yield workers


def _silent(text: str) -> None:
    """Say nothing."""


@contextmanager
def local_workers(
    count: int,
    threads: int,
    needed: Requirement | None = None,
    *,
    dashboard: bool = False,
    say: Callable[[str], None] = _silent,
) -> Iterator[Distributed]:
    """Start worker processes of this machine that compute on the CPU."""
    import distributed

    needed = Requirement() if needed is None else needed
    with (
        _dask_settings(threads),
        distributed.LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            processes=True,
            dashboard_address=HTTP,
            scheduler_kwargs={"dashboard": dashboard},
        ) as cluster,
        _client(cluster, say) as client,
    ):
        crew = Crew(client, needed, Nannies(cluster, "this machine", PATIENCE_S), device="cpu", say=say)
        crew.gather(count)
        yield Distributed(crew, threads=threads, network=needed.network)


@contextmanager
def local_gpu_workers(
    devices: list[str], threads: int, needed: Requirement, placement: Placement, say: Callable[[str], None]
) -> Iterator[Distributed]:
    """Start one worker process a device of this machine, each of which sees only its own."""
    import distributed

    with (
        _dask_settings(threads),
        distributed.SpecCluster(
            workers=gpu_specification(devices),
            scheduler={
                "cls": distributed.Scheduler,
                "options": {
                    "host": "127.0.0.1",
                    "dashboard": placement.dashboard,
                    "dashboard_address": HTTP,
                },
            },
            silence_logs=logging.CRITICAL,
        ) as cluster,
        _client(cluster, say) as client,
    ):
        crew = Crew(client, needed, Nannies(cluster, "this machine", PATIENCE_S), device="cuda", say=say)
        crew.gather(len(devices))
        yield Distributed(crew, device="cuda", threads=threads, network=needed.network)


def gpu_specification(devices: list[str]) -> dict[str, Any]:
    """Return Dask's specification of one worker a device, by the device's number in this process."""
    from distributed import Nanny

    visible = [part.strip() for part in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if part.strip()]
    return {
        f"gpu-{number}": {
            "cls": Nanny,
            "options": {
                "nthreads": 1,
                "resources": {GPU: 1},
                "host": "127.0.0.1",
                "env": {"CUDA_VISIBLE_DEVICES": visible[int(number)] if visible else number},
            },
        }
        for number in devices
    }


@contextmanager
def _scheduler_workers(
    placement: Placement, needed: Requirement, device: str, threads: int, say: Callable[[str], None]
) -> Iterator[Executor]:
    with _dask_settings(threads), _client(placement.scheduler, say) as client:
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
        _dask_settings(profile.cores),
        slurm_jobs(profile, wanted, out / "logs", dashboard=placement.dashboard, say=say) as (cluster, jobs),
        _client(cluster, say) as client,
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


@contextmanager
def _client(where: Any, say: Callable[[str], None]) -> Iterator[Any]:
    import distributed

    try:
        client = distributed.Client(where, timeout="10s")
    except (OSError, TimeoutError, ValueError) as error:
        raise CallError(f"--scheduler {where}: no Dask scheduler answers there ({error})") from None
    with client:
        if link := _dashboard(client):
            say(f"Dask's dashboard: {link}")
        yield client


def _dashboard(client: Any) -> str:
    services = client.scheduler_info().get("services", {})
    return str(client.dashboard_link) if services.get("dashboard") and find_spec("bokeh") else ""


@contextmanager
def _dask_settings(threads: int) -> Iterator[None]:
    """Quieten Dask, and set in its worker processes what must be set before they start."""
    import dask

    # what happens to a worker is told in failures.csv, and Dask's own log would bury it
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with dask.config.set(
        {
            "distributed.comm.timeouts.connect": "10s",
            "distributed.worker.daemon": False,
            "distributed.worker.preload": ["thymusimg.batch.quiet"],
            "distributed.worker.memory.target": False,  # Dask holds none of our data: nothing to spill
            "distributed.worker.memory.spill": False,
            "distributed.worker.memory.pause": False,  # a paused worker would be waited for in vain
            "distributed.nanny.pre-spawn-environ.NUMBA_NUM_THREADS": threads,
        }
    ):
        yield

"""Workers that die, that have no GPU, that are somebody else's: what becomes of the sections."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from thymusimg.batch.cluster import Placement, workforce
from thymusimg.batch.crew import Crew, Nannies, Standing
from thymusimg.batch.dispatch import Distributed, WorkerDied
from thymusimg.batch.local import HTTP, gpu_specification
from thymusimg.batch.probe import Requirement
from thymusimg.errors import CallError, DeviceError

distributed = pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def scheduler():
    """Somebody else's scheduler, with its own settings: one worker with a GPU resource, one without."""
    nanny = {"cls": distributed.Nanny, "options": {"nthreads": 2, "host": "127.0.0.1"}}
    with_gpu = {**nanny, "options": {**nanny["options"], "resources": {"GPU": 1}}}
    cluster = distributed.SpecCluster(
        workers={"plain": nanny, "with-gpu": with_gpu},
        scheduler={
            "cls": distributed.Scheduler,
            "options": {"host": "127.0.0.1", "dashboard": False, "dashboard_address": HTTP},
        },
        silence_logs=50,
    )
    with cluster:
        yield cluster


@pytest.fixture
def crew(scheduler):
    with distributed.Client(scheduler) as client:
        found = Crew(client, Requirement(), Nannies(scheduler, "here", 30.0), device="cpu", say=lambda text: None)
        found.gather(2)
        yield found


def square(job):
    number, folder, deaths = job
    with (Path(folder) / f"{number}.txt").open("a") as log:
        log.write(f"{os.getpid()}\n")
    if len((Path(folder) / f"{number}.txt").read_text().split()) <= deaths:
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def where(job):
    worker = distributed.get_worker()
    began = time.monotonic()
    time.sleep(0.05)
    return worker.name, began, time.monotonic()


def refuse(job):
    raise ValueError(f"no {job}")


def test_every_job_has_its_result(crew, tmp_path):
    jobs = [(n, tmp_path, 0) for n in range(7)]
    found = dict(Distributed(crew).run(square, jobs))
    assert found == {n: n * n for n in range(7)}


def test_a_worker_that_dies_is_made_up_for(crew, tmp_path):
    jobs = [(n, tmp_path, 1 if n == 2 else 0) for n in range(5)]
    found = dict(Distributed(crew).run(square, jobs))
    assert found == {n: n * n for n in range(5)}
    assert len((tmp_path / "2.txt").read_text().split()) == 2


def test_a_job_that_kills_twice_is_set_aside_and_takes_nobody_with_it(crew, tmp_path):
    # the scheduler would try five times: its allowed-failures is not ours to set
    jobs = [(n, tmp_path, 9 if n == 0 else 0) for n in range(6)]
    found = dict(Distributed(crew).run(square, jobs))
    assert isinstance(found[0], WorkerDied)
    assert "died twice" in str(found[0])
    assert "GB of memory were free to it); use fewer workers" in str(found[0])
    assert {n: found[n] for n in range(1, 6)} == {n: n * n for n in range(1, 6)}
    assert len((tmp_path / "0.txt").read_text().split()) == 2
    assert all(len((tmp_path / f"{n}.txt").read_text().split()) == 1 for n in range(1, 6))  # nobody was disturbed


def test_a_nanny_that_gave_up_is_seen_to(scheduler, crew, monkeypatch):
    monkeypatch.setattr("thymusimg.batch.crew.REVIVE_S", 0.0)
    nanny = scheduler.workers["plain"]
    scheduler.sync(nanny.kill)  # as a nanny leaves it whose worker died while it came up
    assert not nanny.is_alive()
    until = time.monotonic() + 60
    crew.look()
    while len(crew.members) < 2 and time.monotonic() < until:
        crew.wait(pending=1)
        crew.look()
    assert len(crew.members) == 2


def test_an_error_is_a_result(crew):
    (found,) = Distributed(crew).run(refuse, ["way"])
    assert isinstance(found[1], ValueError)


def test_networks_run_where_a_gpu_is_and_one_at_a_time(crew):
    found = sorted(
        (began, ended, name) for _, (name, began, ended) in Distributed(crew).run(where, range(6), gpu=True)
    )
    assert {name for _, _, name in found} == {"with-gpu"}
    assert all(first[1] <= second[0] for first, second in pairwise(found))


def test_others_run_anywhere(crew):
    names = {result[0] for _, result in Distributed(crew).run(where, range(12))}
    assert names == {"plain", "with-gpu"}


def test_no_worker_with_a_gpu_is_said_before_any_work(crew):
    crew.members = {address: replace(member, gpus=0.0) for address, member in crew.members.items()}
    with pytest.raises(DeviceError, match="none with a GPU resource"):
        next(Distributed(crew).run(where, [0], gpu=True))


def use(scheduler, needed, tmp_path, device="auto"):
    said = []
    place = Placement(scheduler=scheduler.scheduler_address)
    with workforce(place, needed, tmp_path, sections=2, device=device, threads=1, say=said.append) as hands:
        return hands, said


def test_auto_is_decided_once_for_all_workers(scheduler, tmp_path):
    hands, said = use(scheduler, Requirement(), tmp_path)
    assert hands.device == "cpu"  # nothing needs a network
    assert any("2 workers" in line and "1 with a GPU" in line for line in said)
    assert use(scheduler, Requirement(), tmp_path, "cuda")[0].device == "cuda"


def test_workers_with_another_version_are_refused_before_any_work(scheduler, tmp_path):
    with pytest.raises(CallError, match=r"thymusimg .* this run is of 0\.0\.0"):
        use(scheduler, Requirement(version="0.0.0"), tmp_path)


def test_workers_that_cannot_see_a_slide_are_refused(scheduler, tmp_path):
    with pytest.raises(CallError, match="cannot see /nowhere/slide"):
        use(scheduler, Requirement(files={"/nowhere/slide.tif": 1}), tmp_path)


def test_a_gpu_that_no_worker_really_has(scheduler, tmp_path):
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(CallError, match="offers a GPU and sees none"):
        use(scheduler, Requirement(network=True), tmp_path, "cuda")


def test_a_scheduler_without_workers_is_not_waited_for_for_ever(tmp_path):
    cluster = distributed.LocalCluster(n_workers=0, processes=False, dashboard_address=HTTP, silence_logs=50)
    with cluster, distributed.Client(cluster) as client:
        crew = Crew(client, Requirement(), Standing("here", 0.5), device="cpu", say=lambda text: None)
        with pytest.raises(CallError, match="no worker"):
            crew.gather(1)


def test_one_worker_a_device(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    shown = {name: spec["options"]["env"] for name, spec in gpu_specification(["0", "1"]).items()}
    assert shown == {"gpu-0": {"CUDA_VISIBLE_DEVICES": "0"}, "gpu-1": {"CUDA_VISIBLE_DEVICES": "1"}}
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-7a, GPU-9c")  # numbers count among what this process sees
    shown = [spec["options"]["env"]["CUDA_VISIBLE_DEVICES"] for spec in gpu_specification(["1"]).values()]
    assert shown == ["GPU-9c"]
    assert gpu_specification(["0"])["gpu-0"]["options"]["resources"] == {"GPU": 1}


def slow(job):
    time.sleep(2.0)


def test_a_scheduler_that_vanishes_ends_the_run(tmp_path):
    cluster = distributed.LocalCluster(
        n_workers=1, processes=False, protocol="tcp", host="127.0.0.1", dashboard_address=HTTP, silence_logs=50
    )
    with cluster, distributed.Client(cluster.scheduler_address) as client:
        crew = Crew(client, Requirement(), Standing("there", 30.0), device="cpu", say=lambda text: None)
        crew.gather(1)
        work = Distributed(crew).run(slow, range(3))
        next(work)
        cluster.close()
        with pytest.raises(CallError, match=r"does not answer any more|no worker"):
            list(work)

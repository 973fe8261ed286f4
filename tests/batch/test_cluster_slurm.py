"""SLURM: the profile, the job's script, and jobs that are refused, end or are taken away. No SLURM is needed."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tomllib

import pytest

from thymusimg.batch import slurm
from thymusimg.batch.cluster import Placement, workforce
from thymusimg.batch.probe import Member, Requirement
from thymusimg.batch.profile import SlurmProfile
from thymusimg.errors import CallError, MissingExtraError, SettingsError


def profile(tmp_path, text):
    path = tmp_path / "slurm.toml"
    path.write_text(text, encoding="utf-8")
    return SlurmProfile.from_toml(path)


def test_the_template_is_a_profile(tmp_path):
    template = SlurmProfile.template()
    assert profile(tmp_path, template) == SlurmProfile()
    filled = "\n".join(line[1:] if line.startswith("#") and not line.startswith("# ") else line
                       for line in template.splitlines())  # fmt: skip
    assert set(tomllib.loads(filled)) == set(SlurmProfile.model_fields)
    assert profile(tmp_path, filled) == SlurmProfile()


def test_the_command_prints_it():
    done = subprocess.run(
        [sys.executable, "-m", "thymusimg", "run", "--slurm-template"], capture_output=True, text=True, check=True
    )
    assert done.stdout == SlurmProfile.template()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("partition = 'gpu'", ["unknown key 'partition'", "known: queue"]),
        ("memory = 16", ["memory"]),
        ("memory = '16 gigabytes'", ["memory"]),
        ("walltime = 'tomorrow'", ["walltime"]),
        ("workers = 0", ["workers"]),
        ("gpus_per_worker = 4", ["gpus_per_worker"]),
        ('environment = ["module load a\\nrm b"]', ["one line"]),
        ("queue = ", ["not a TOML file"]),
        ("cores = 0\nqueues = 'a'", ["cores", "queues"]),
    ],
)
def test_what_is_wrong_with_a_profile_is_named(tmp_path, text, words):
    with pytest.raises(SettingsError) as caught:
        profile(tmp_path, text)
    for word in [*words, "slurm.toml"]:
        assert word in str(caught.value)


def test_a_profile_that_is_not_there_tells_how_to_make_one(tmp_path):
    with pytest.raises(SettingsError, match="--slurm-template"):
        SlurmProfile.from_toml(tmp_path / "none.toml")


def script(chosen, tmp_path):
    pytest.importorskip("dask_jobqueue")
    from dask_jobqueue.slurm import SLURMJob

    return SLURMJob("tcp://head:1234", name="x", **slurm.job_options(chosen, tmp_path / "logs")).job_script()


def test_the_script_asks_for_what_the_profile_says(tmp_path):
    chosen = SlurmProfile(
        queue="long", account="thymus", cores=6, memory="12GiB", walltime="1-02:00", python="/opt/py/bin/python",
        directives=("--qos=high",), environment=("module load gcc",), local_directory="/scratch", interface="ib0",
    )  # fmt: skip
    text = script(chosen, tmp_path)
    for line in (
        "#SBATCH -J thymusimg", "#SBATCH -p long", "#SBATCH -A thymus", "#SBATCH --cpus-per-task=6",
        "#SBATCH --mem=12G", "#SBATCH -t 1-02:00", "#SBATCH --qos=high", "module load gcc",
        "export NUMBA_NUM_THREADS=6",
    ):  # fmt: skip
        assert line in text.splitlines(), text
    command = text.strip().splitlines()[-1]
    assert command.startswith("/opt/py/bin/python -m distributed.cli.dask_worker tcp://head:1234 ")
    for part in ("--nthreads 1 ", "--memory-limit 12.00GiB", "--local-directory /scratch", "--interface ib0"):
        assert part in command
    assert command.endswith("--name $SLURM_JOB_ID --interface ib0")
    assert "gres" not in text
    assert "GPU" not in text


def test_a_gpu_is_asked_for_and_told_to_dask(tmp_path):
    text = script(SlurmProfile(gpus_per_worker=1, gres="gpu:a100", skip_directives=("--mem",)), tmp_path)
    assert "#SBATCH --gres=gpu:a100:1" in text
    assert "--resources GPU=1" in text
    assert "--mem=" not in text


def test_a_missing_extra_is_answered_with_the_line_to_type(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'thymusimg\[hpc\]'"):
        slurm.check_slurm()


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """Commands that answer as SLURM's: a job is a file in ``queue`` that holds its state."""
    folder, queue = tmp_path / "bin", tmp_path / "queue"
    folder.mkdir()
    queue.mkdir()
    commands = {
        "sbatch": f"""[ -e {queue}/refuse ] && {{ echo "sbatch: error: Invalid partition" >&2; exit 1; }}
n=$(( $(ls {queue} | grep -c '^[0-9]*$') + 1 )); echo RUNNING > {queue}/$n; echo $n
cat > {queue}/$n.sh
[ -e {queue}/run ] && (SLURM_JOB_ID=$n setsid bash {queue}/$n.sh > {queue}/$n.log 2>&1 & echo $! > {queue}/$n.pid)
exit 0""",
        "squeue": f"for f in $(ls {queue} | grep '^[0-9]*$'); do echo \"$f|$(cat {queue}/$f)|None\"; done"
        " | grep -E 'RUNNING|PENDING' || true",
        "scancel": f'for j in "$@"; do echo CANCELLED > {queue}/$j; '
        f"[ -e {queue}/$j.pid ] && kill -9 -$(cat {queue}/$j.pid); done; true",
        "scontrol": f'echo "JobId=$4 JobState=$(cat {queue}/$4) Reason=None"',
    }
    for name, body in commands.items():
        path = folder / name
        path.write_text(f"#!/bin/bash\n{body}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(slurm, "EVERY_S", 0.0)
    return queue


def jobs_of(wanted, tmp_path):
    said = []
    jobs = slurm.SlurmJobs("#!/bin/bash\n", wanted, tmp_path / "logs", said.append)
    return jobs, said


def worker(number):
    return Member("node", 1, name=str(number))


def states(queue):
    return [(queue / str(n)).read_text().strip() for n in range(1, 99) if (queue / str(n)).exists()]


def test_a_refusal_is_said_in_slurms_words(cluster, tmp_path):
    (cluster / "refuse").touch()
    with pytest.raises(CallError, match="Invalid partition"):
        jobs_of(2, tmp_path)[0].begin()


def test_jobs_that_end_are_replaced_while_there_is_work_and_cancelled_at_the_end(cluster, tmp_path):
    jobs, said = jobs_of(2, tmp_path)
    jobs.begin()
    jobs.tend([worker(1), worker(2)], pending=9)
    assert states(cluster) == ["RUNNING"] * 2
    (cluster / "1").write_text("CANCELLED")
    jobs.tend([worker(2)], pending=9)
    assert states(cluster) == ["CANCELLED", "RUNNING", "RUNNING"]
    assert any("takes its place" in line for line in said)
    (cluster / "2").write_text("TIMEOUT")
    jobs.tend([worker(3)], pending=1)  # one section left, one worker there
    assert len(states(cluster)) == 3
    jobs.close()
    assert states(cluster) == ["CANCELLED", "TIMEOUT", "CANCELLED"]


def test_jobs_that_wait_are_waited_for(cluster, tmp_path):
    jobs, said = jobs_of(1, tmp_path)
    jobs.begin()
    (cluster / "1").write_text("PENDING")
    for _ in range(20):
        jobs.tend([], pending=3)
    assert jobs.despair(1e6) == ""
    assert said == ["Waiting for SLURM: 1 PENDING"]  # said once


def test_jobs_that_never_do_anything_are_not_sent_for_ever(cluster, tmp_path):
    jobs, _ = jobs_of(2, tmp_path)
    jobs.begin()
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "thymusimg-1.err").write_text("python: no such file\n\n")
    for _ in range(30):
        for n in range(1, 50):
            if (cluster / str(n)).exists():
                (cluster / str(n)).write_text("FAILED")
        jobs.tend([], pending=8)
    assert len(states(cluster)) <= 5
    assert "python: no such file" in jobs.despair(1.0)


@pytest.mark.parametrize(("state", "excused"), [("TIMEOUT", True), ("PREEMPTED", True), ("OUT_OF_MEMORY", False)])
def test_only_what_slurm_took_away_is_excused(cluster, tmp_path, state, excused):
    jobs, _ = jobs_of(1, tmp_path)
    jobs.begin()
    (cluster / "1").write_text(state)
    assert bool(jobs.excuse(worker(1))) is excused


def where(job):
    from distributed import get_worker

    return get_worker().name, get_worker().state.total_resources.get("GPU")


def test_work_runs_in_the_jobs_and_every_job_is_cancelled(cluster, tmp_path):
    pytest.importorskip("dask_jobqueue")
    (cluster / "run").touch()
    chosen = SlurmProfile(workers=1, cores=1, memory="2GB", gpus_per_worker=1, environment=(f"cd {tmp_path}",))
    said = []
    place = Placement(slurm=chosen)
    with workforce(place, Requirement(), tmp_path, sections=3, device="cuda", threads=1, say=said.append) as hands:
        assert hands.device == "cuda"
        assert dict(hands.run(len, ["a", "bb", "ccc"], gpu=True)) == {0: 1, 1: 2, 2: 3}
        assert states(cluster) == ["RUNNING"]
    assert states(cluster) == ["CANCELLED"]
    assert any("1 with a GPU" in line for line in said)

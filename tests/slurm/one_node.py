"""A SLURM cluster of one node on this machine, in a folder of its own, that leaves nothing behind.

Needs Debian's ``slurm-wlm`` and ``munge`` (or the same daemons from elsewhere), no root and no configuration in
``/etc``. GPUs are counted and not real: their device files are empty.
"""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol")
CONFIGURATION = """
ClusterName=thymusimg
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CryptoType=crypto/munge
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
MpiDefault=none
SwitchType=switch/none
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} Gres=gpu:{gpus} State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def why_not() -> str:
    """Say why no cluster can be started here, or ""."""
    missing = [name for name in PROGRAMS if _find(name) is None]
    if missing:
        return f"{', '.join(missing)} not found; on Debian: apt-get install slurm-wlm munge"
    if subprocess.run(["sinfo"], capture_output=True, check=False).returncode == 0:
        return "a SLURM answers here already; this test starts its own and touches no other"
    return ""


@contextmanager
def one_node(gpus: int = 1) -> Iterator[Path]:
    """Start the cluster and point this process's SLURM commands at it; give its folder."""
    folder = Path(tempfile.mkdtemp(prefix="thymusimg-slurm-"))
    daemons: list[subprocess.Popen[bytes]] = []
    before = os.environ.get("SLURM_CONF")
    try:
        _write(folder, gpus)
        os.environ["SLURM_CONF"] = str(folder / "slurm.conf")
        key, sock = folder / "munge.key", folder / "munge.socket"
        daemons.append(
            _start(
                folder, "munged", "--foreground", "--force", f"--key-file={key}", f"--socket={sock}",
                f"--pid-file={folder / 'munge.pid'}", f"--seed-file={folder / 'munge.seed'}",
            )
        )  # fmt: skip
        _wait(sock.exists, "munged")
        daemons.append(_start(folder, "slurmctld", "-D", "-f", str(folder / "slurm.conf")))
        daemons.append(_start(folder, "slurmd", "-D", "-f", str(folder / "slurm.conf")))
        _wait(lambda: "idle" in _say("sinfo", "--noheader", "--format=%T"), "slurmd", folder)
        yield folder
    finally:
        _say("scancel", "--me", "--signal=KILL")
        _say("scancel", "--me")
        time.sleep(1.0)
        for daemon in reversed(daemons):
            daemon.terminate()
            try:
                daemon.wait(15)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        if before is None:
            os.environ.pop("SLURM_CONF", None)
        else:
            os.environ["SLURM_CONF"] = before
        shutil.rmtree(folder, ignore_errors=True)


def _write(folder: Path, gpus: int) -> None:
    folder.chmod(0o755)
    (folder / "state").mkdir()
    (folder / "spool").mkdir()
    (folder / "munge.key").write_bytes(os.urandom(1024))
    (folder / "munge.key").chmod(0o400)
    host = socket.gethostname().partition(".")[0]
    text = CONFIGURATION.format(
        host=host, user=getpass.getuser(), folder=folder, cpus=os.cpu_count(), gpus=gpus, ports=_free_ports(),
        memory=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * 2 // 3 // 2**20,
    )  # fmt: skip
    (folder / "slurm.conf").write_text(text)
    for number in range(gpus):  # SLURM asks only whether its device files are there
        (folder / f"gpu{number}").touch()
    devices = "".join(f"NodeName={host} Name=gpu File={folder}/gpu{number}\n" for number in range(gpus))
    (folder / "gres.conf").write_text(devices)


def _free_ports() -> list[int]:
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        return [first.getsockname()[1], second.getsockname()[1]]


def _find(program: str) -> str | None:
    return shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin:/sbin:/usr/local/sbin")


def _start(folder: Path, program: str, *arguments: str) -> subprocess.Popen[bytes]:
    with (folder / f"{program}.out").open("wb") as log:
        return subprocess.Popen([str(_find(program)), *arguments], stdout=log, stderr=log)


def _say(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def _wait(ready: object, what: str, folder: Path | None = None) -> None:
    until = time.monotonic() + 60
    while not ready():  # type: ignore[operator]
        if time.monotonic() > until:
            logs = "" if folder is None else "\n".join(p.read_text() for p in folder.glob("*.log"))
            raise RuntimeError(f"{what} does not start\n{logs[-3000:]}")
        time.sleep(0.3)

"""What a worker must have before it is given a section, and the look at itself that it takes."""

from __future__ import annotations

import hashlib
import os
import platform
import socket
import time
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from thymusimg.errors import DeviceError, ModelError
from thymusimg.provenance import versions
from thymusimg.remote.address import Address, located
from thymusimg.section.memory import free_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thymusimg.models.card import Task

LATE_S = 8.0
"""Network file systems show a new file late: so long is waited for it."""


@cache
def source_digest() -> str:
    """Return the SHA-256 of thymusimg's own source: two checkouts of one version may differ."""
    package = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class Requirement:
    """What every worker must have: the same thymusimg, the same files, the same weights.

    Attributes
    ----------
    files : mapping of str to int
        Absolute path and size in bytes of everything that is read; of folders and addresses the size is 0.
    out : str
        Folder of the run; empty: nothing is written.
    token : str
        What the file ``.running`` in that folder holds.
    models : mapping of Task to (str, str)
        Method or model, and the SHA-256 of its weights.
    network : bool
        Whether the sections need a network at all.
    source : str
        From :func:`source_digest`; empty: not compared (workers of this machine have this very copy).
    """

    files: Mapping[str, int] = field(default_factory=dict)
    out: str = ""
    token: str = ""
    models: Mapping[Task, tuple[str, str]] = field(default_factory=dict)
    network: bool = False
    version: str = field(default_factory=lambda: versions()["thymusimg"])
    source: str = ""
    python: str = field(default_factory=lambda: ".".join(platform.python_version_tuple()[:2]))


@dataclass(frozen=True)
class Member:
    """A worker as it sees itself; ``fault`` says why it cannot be used, or is empty."""

    host: str
    pid: int
    name: str = ""
    gpus: float = 0.0
    threads: int = 1
    cores: int = 1
    libraries: Mapping[str, str] = field(default_factory=dict)
    fault: str = ""
    memory: float = 0.0
    """Bytes that it could take when it came up, by its machine, its job and Dask's limit; 0: not known."""


RUNNING = ".running"
"""File in the run's folder that holds the token of the run that is writing there."""


def look_at_yourself(needed: Requirement, device: str = "cpu") -> Member:
    """Return what this worker is, and what it lacks; runs on the worker.

    Parameters
    ----------
    device : str
        With ``cuda``, a worker that offers a GPU must also see one.
    """
    from distributed import get_worker

    worker = get_worker()
    gpus = float(worker.state.total_resources.get("GPU", 0))
    return Member(
        host=socket.gethostname(),
        pid=os.getpid(),
        name=str(worker.name),
        gpus=gpus,
        threads=int(worker.state.nthreads),
        cores=len(os.sched_getaffinity(0)),
        libraries=versions(),
        fault=find_fault(needed, device if gpus else "cpu"),
        memory=min(free_bytes(), float(worker.memory_manager.memory_limit or free_bytes())),
    )


def find_fault(needed: Requirement, device: str = "cpu") -> str:
    """Return the first thing that is missing here, as one plain clause; "" when nothing is."""
    return (
        _version_fault(needed)
        or _file_fault(needed)
        or _out_fault(needed)
        or _model_fault(needed)
        or _device_fault(needed, device)
    )


def _version_fault(needed: Requirement) -> str:
    own = versions()["thymusimg"]
    if own != needed.version:
        return f"it has thymusimg {own}, this run is of {needed.version}; install the same version there"
    if needed.source and source_digest() != needed.source:
        return f"its thymusimg {own} is another copy with other code than this one; install the same there"
    python = ".".join(platform.python_version_tuple()[:2])
    if python != needed.python:
        return f"it runs Python {python}, this run Python {needed.python}; use the same there"
    return ""


def _file_fault(needed: Requirement) -> str:
    for file, size in needed.files.items():
        path = located(file)
        if isinstance(path, Address):  # whether its server answers is seen section by section
            continue
        try:
            found = _size(path)
        except OSError as error:
            return (
                f"it cannot see {file} ({error.strerror or error}); put slides and --out on storage that every "
                "machine sees under the same path"
            )
        if found != size:
            return f"{file} has {found:,} bytes there and {size:,} here; it is another file"
    return ""


def _size(path: Path) -> int:
    """Return the size of a file; of a folder nothing is known but that it is there."""
    status = path.stat()
    return 0 if path.is_dir() else status.st_size


def sizes(files: list[Path]) -> dict[str, int]:
    """Return the sizes of the files that are there; those that are not fail later, each with its section."""
    there = [file for file in files if isinstance(file, Address) or file.exists()]
    return {_name(file): 0 if isinstance(file, Address) else _size(file) for file in there}


def _name(file: Path) -> str:
    return str(file if isinstance(file, Address) else file.resolve())


def _out_fault(needed: Requirement) -> str:
    if not needed.out:
        return ""
    out = Path(needed.out)
    until = time.monotonic() + LATE_S
    while (found := token_in(out)) != needed.token:
        if time.monotonic() > until:
            what = "is another folder there" if found else "is not there"
            return f"--out {out} {what}; choose one on storage that every machine sees under the same path"
        time.sleep(0.5)
    probe = out / "sections" / f".probe-{socket.gethostname()}-{os.getpid()}"
    try:
        probe.write_bytes(b"thymusimg")
        probe.unlink()
    except OSError as error:
        return f"it cannot write into --out {out} ({error.strerror or error})"
    return ""


def token_in(out: Path) -> str:
    """Return the token of the run that is writing into a folder; "" if none is."""
    try:
        return (out / RUNNING).read_text(encoding="ascii")
    except OSError:
        return ""


def _model_fault(needed: Requirement) -> str:
    from thymusimg.models.find import find_model

    for task, (method, sha256) in needed.models.items():
        try:
            found = find_model(method, task)
        except ModelError as error:
            return f"the model of --{task} {method} is missing there: {error}"
        if found.card.sha256 != sha256:
            there, here = found.card.sha256[:12], sha256[:12]
            return f"its weights of --{task} {method} are others (sha256 {there}…, here {here}…)"
    return ""


def _device_fault(needed: Requirement, device: str) -> str:
    if not needed.network or device == "cpu":
        return ""
    from thymusimg.device import resolve_device

    try:
        resolve_device(device)
    except DeviceError as error:
        return f"it offers a GPU and sees none: {error}"
    return ""

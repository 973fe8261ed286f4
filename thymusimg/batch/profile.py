"""What a user says once about a SLURM cluster: the profile file of ``thymusimg run --slurm``."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field, ValidationError

from thymusimg.errors import SettingsError
from thymusimg.settings.base import Frozen

if TYPE_CHECKING:
    from pathlib import Path


def _one_line(text: str) -> str:
    if "\n" in text or "\r" in text:
        raise ValueError("must be one line; give several lines as a list")
    return text


Line = Annotated[str, AfterValidator(_one_line)]


class SlurmProfile(Frozen):
    """How the jobs look in which workers run: one worker a job, one section at a time in each."""

    queue: Line = ""
    """Partition (``sbatch --partition``); empty: the cluster's default."""

    account: Line = ""
    """Account that the time is charged to (``sbatch --account``); empty: your default."""

    workers: int = Field(4, ge=1, le=1000)
    """Jobs at the same time; ``--workers`` overrides it, and never more than there are sections."""

    cores: int = Field(4, ge=1, le=256)
    """CPU cores of a job. A section uses all of them; beside a GPU they decode ahead."""

    memory: str = Field("16GB", pattern=r"^\d+(\.\d+)?\s?[MGT]i?B$")
    """Memory of a job, for instance ``16GB``. A worker that grows beyond it is ended."""

    walltime: str = Field("04:00:00", pattern=r"^(\d+-)?\d{1,3}:\d{2}(:\d{2})?$")
    """Longest time of a job, ``HH:MM:SS`` or ``D-HH:MM``; a job that ends early is replaced while there is work."""

    gpus_per_worker: int = Field(0, ge=0, le=1)
    """1: every job asks for one GPU and carries Dask's resource ``GPU``. For four GPUs ask for four workers."""

    gres: Line = Field("gpu", pattern=r"^[\w.:-]+$")
    """What the cluster calls its GPUs: ``gpu``, or with a type ``gpu:a100`` (``sbatch --gres``)."""

    directives: tuple[Line, ...] = ()
    """Further ``sbatch`` options, for instance ``["--qos=long", "--constraint=rome"]``."""

    skip_directives: tuple[Line, ...] = ()
    """Options of the script that this cluster refuses, for instance ``["--mem"]``."""

    environment: tuple[Line, ...] = ()
    """Shell lines before the worker starts, for instance ``["module load cuda"]``."""

    python: Line = ""
    """Python that has the same thymusimg; empty: the one that runs this command."""

    local_directory: Line = ""
    """Fast scratch folder of the node, for instance ``/scratch``; empty: the node's ``/tmp``."""

    log_directory: Line = ""
    """Where SLURM writes what the jobs say; empty: ``logs`` in the folder of ``--out``."""

    interface: Line = ""
    """Network interface between the nodes, for instance ``ib0``; empty: the default route's."""

    encrypted: bool = False
    """Talk over TLS with a certificate of this run; needs ``pip install cryptography`` where the command runs."""

    @classmethod
    def from_toml(cls, path: Path) -> SlurmProfile:
        """Read a profile.

        Raises
        ------
        SettingsError
            If the file is not there, not TOML, or a key is unknown or a value impossible; every fault is named.
        """
        try:
            return cls.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
        except OSError as error:
            raise SettingsError(
                f"--slurm {path}: cannot be read ({error.strerror or error}). "
                "'thymusimg run --slurm-template' prints a profile to fill in."
            ) from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SettingsError(f"--slurm {path}: not a TOML file ({error})") from None
        except ValidationError as error:
            known = ", ".join(cls.model_fields)
            faults = [_fault(dict(e)) for e in error.errors()]
            hint = f" (known: {known})" if any("unknown" in fault for fault in faults) else ""
            raise SettingsError(f"--slurm {path}: {'; '.join(faults)}{hint}") from None

    @classmethod
    def template(cls) -> str:
        """Return a profile with every key, its default and what it means, all commented out.

        Examples
        --------
        >>> "#queue = " in SlurmProfile.template()
        True
        """
        lines = [
            "# Profile for 'thymusimg run STUDY --out DIR --slurm THIS_FILE'.",
            "# Take the '#' away from what your cluster needs; the values are the defaults.",
        ]
        for name, field in cls.model_fields.items():
            about = (field.description or "").replace("``", "").splitlines()
            lines += ["", *(f"# {line.strip()}" for line in about), f"#{name} = {_toml(field.default)}"]
        return "\n".join(lines) + "\n"


def _fault(error: dict[str, object]) -> str:
    parts = error["loc"]
    where = ".".join(str(part) for part in parts) if isinstance(parts, tuple) else str(parts)
    if error["type"] == "extra_forbidden":
        return f"unknown key '{where}'"
    return f"'{where}' = {error['input']!r}: {str(error['msg']).removeprefix('Value error, ')}"


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)

"""One piece of the protocol: what is drawn, what is done with it, and the key under which its answer is kept."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from thymusimg._version import __version__

Changes = tuple[tuple[str, Any], ...]

ROOMS = (
    "section", "channels", "compartments", "cells", "measurements", "study", "settings", "phantom", "evaluate",
    "pipeline.py",
)  # fmt: skip
"""What the numbers depend on, besides this room's own cases."""
_OWN = ("case.py", "sections.py", "baselines.py", "null_tables.py")


@dataclass(frozen=True)
class Case:
    """A synthetic section of the protocol, or a batch of studies on tables.

    Attributes
    ----------
    part : str
        The table of the report that it belongs to.
    generator, preset, optics : str
        What draws it, from which scenario, under ``nominal`` or ``hard`` optics.
    seed : int
    label : str
        The row of the table: a density, a level of a degradation, a size.
    changes, optics_changes, camera_changes : tuple of (name, value)
        Fields of the spec, its optics and its camera that are replaced.
    want : tuple of str
        ``compartments``, ``cells``, ``row`` (measured columns): what is worked out and scored.
    study : tuple of str
        Study, group, animal and section of a section that belongs to a study; its spec is then the study's.
    """

    part: str
    generator: str
    preset: str
    optics: str
    seed: int
    label: str = ""
    size_mm: float | None = None
    pixel_size_um: float = 0.5
    changes: Changes = ()
    optics_changes: Changes = ()
    camera_changes: Changes = ()
    want: tuple[str, ...] = ("compartments",)
    study: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Hash of the case and of everything that its answer depends on."""
        body = {"case": asdict(self), "code": code_hash(), "thymusimg": __version__}
        return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:24]

    @property
    def name(self) -> str:
        """What the case is called in progress and failures."""
        return " ".join(
            str(v) for v in (self.part, self.generator, self.preset, self.optics, self.label, self.seed)
        )


@lru_cache
def code_hash() -> str:
    """Return the SHA-256 of the source that the numbers come from: another code, another answer."""
    package = Path(__file__).parents[1]
    files = [Path(__file__).parent / name for name in _OWN]
    for room in ROOMS:
        path = package / room
        files += [path] if path.is_file() else sorted(path.rglob("*.py"))
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.relative_to(package).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()

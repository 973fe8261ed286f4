"""What a worker is sent and what it sends back: data alone, so that handing out work loads no analysis."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from thymusimg.cells.gate import ControlEvidence
    from thymusimg.settings import Settings
    from thymusimg.study.model import SectionRow


@dataclass(frozen=True)
class Failure:
    """Why a section is not among the results: a row of ``failures.csv``."""

    section_id: str
    path: str
    stage: str
    error: str
    message: str
    traceback: str = field(default="", compare=False)


@dataclass(frozen=True)
class Outcome:
    """What became of one section: ``measured``, ``reused``, ``edited`` or ``failed``.

    ``edited``: people corrected it, and their corrections stand; it was measured again where the settings changed.
    """

    section_id: str
    status: str
    inputs: Mapping[str, str]
    seconds: Mapping[str, float] = field(default_factory=dict)
    failure: Failure | None = None
    reused: frozenset[str] = frozenset()
    """Stages whose results an earlier run had left; see :data:`thymusimg.batch.keys.STAGES`."""


@dataclass(frozen=True)
class Job:
    """One row and everything that a worker needs for it."""

    row: SectionRow
    settings: Settings
    out: Path
    controls: tuple[ControlEvidence, ...] = ()
    gate_refused: str = ""
    """Why no lawful CD45 gate can be set in this study, or ""."""
    restart: bool = False


def failure_rows(failures: list[Failure]) -> list[dict[str, Any]]:
    """Return failures as rows of ``failures.csv``."""
    return [{k: v for k, v in asdict(f).items() if k != "traceback"} for f in failures]

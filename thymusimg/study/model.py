"""The nouns of a study: a row of its table, and the whole of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from thymusimg.section.model import ROLES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from thymusimg.section.model import Subject
    from thymusimg.settings import Settings

REQUIRED_COLUMNS = ("section_id", "path", "animal", "group")
"""``path`` may be left out where each stain is a file of its own (``path_cd45`` …)."""

PATH_COLUMNS = tuple(f"path_{role}" for role in ROLES)
OPTIONAL_COLUMNS = (
    *("donor", "batch", "timepoint", "level", "lobe", "scene", "projection", "roi", "pixel_size_um"),
    *("negative_control", "exclude", "notes", "annotation"),
    *ROLES,
    *PATH_COLUMNS,
)
TABLE_COLUMNS = (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS)
"""Every column that a study table may have."""

_NOTHING: Mapping[str, str | int] = MappingProxyType({})
_NOWHERE: Mapping[str, Path] = MappingProxyType({})


@dataclass(frozen=True)
class SectionRow:
    """One row of the study table.

    Attributes
    ----------
    subject : Subject
        The section, its animal and group.
    path : Path or None
        The slide, if one file holds all stains.
    paths : mapping of str to Path
        The file of each role, if each stain is a file of its own.
    channels : mapping of str to str or int
        Channel name or 0-based index of each role that the table maps.
    scene, projection : str or None
        Which image of the file, and how a z-stack is made flat.
    roi : Path or None
        GeoJSON outlines that bound the section on a shared slide.
    pixel_size_um : float or None
        Side of a full-resolution pixel in µm, where the table gives it.
    annotation : Path or None
        What somebody drew on the section, for training; an analysis does not look at it.
    number : int
        Row in the spreadsheet; the header is row 1.
    """

    subject: Subject
    path: Path | None
    paths: Mapping[str, Path] = field(default_factory=lambda: _NOWHERE)
    channels: Mapping[str, str | int] = field(default_factory=lambda: _NOTHING)
    scene: str | None = None
    projection: str | None = None
    roi: Path | None = None
    pixel_size_um: float | None = None
    annotation: Path | None = None
    number: int = 0

    @property
    def section_id(self) -> str:
        """Name of the section in every table."""
        return self.subject.section_id

    @property
    def files(self) -> tuple[Path, ...]:
        """Every image file of the section."""
        return (self.path,) if self.path is not None else tuple(self.paths.values())


@dataclass(frozen=True)
class Study:
    """A checked study table with its settings.

    ``rows`` keeps the table's order and holds the excluded sections too; ``folder`` is the table's folder.
    """

    settings: Settings
    rows: tuple[SectionRow, ...]
    folder: Path
    warnings: tuple[str, ...] = ()
    table: Path | None = None

    @property
    def analysed(self) -> tuple[SectionRow, ...]:
        """The rows that are not excluded."""
        return tuple(row for row in self.rows if not row.subject.exclude)

    @property
    def excluded(self) -> tuple[SectionRow, ...]:
        """The rows that are excluded: listed in the report, never opened."""
        return tuple(row for row in self.rows if row.subject.exclude)

    @property
    def controls(self) -> tuple[SectionRow, ...]:
        """The analysed rows that are marked as negative controls."""
        return tuple(row for row in self.analysed if row.subject.negative_control)

    @property
    def groups(self) -> tuple[str, ...]:
        """Groups of the analysed rows, in the table's order."""
        return tuple(dict.fromkeys(row.subject.group for row in self.analysed))

"""Opening a section, as work for a job: look at a slide, open it, check it. No Qt, no layers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from thymusimg.batch.task import open_row
from thymusimg.channels.open import name_section
from thymusimg.channels.roles import propose_roles
from thymusimg.errors import MissingExtraError, ModelError, PixelSizeError, SettingsError, UnreadableError
from thymusimg.pipeline import prepare_section
from thymusimg.section.model import Subject
from thymusimg.section.pixel_size import check_pixel_size
from thymusimg.section.readers import open_composite, open_image
from thymusimg.section.store import Bundle
from thymusimg.settings import Settings
from thymusimg.study.model import SectionRow

if TYPE_CHECKING:
    from pathlib import Path

    from thymusimg.channels.roles import Proposal
    from thymusimg.pipeline import Prepared
    from thymusimg.progress import Progress
    from thymusimg.section.model import Section
    from thymusimg.settings.compartments import CompartmentSettings


@dataclass(frozen=True)
class Looked:
    """What a slide's metadata say, before anything is decided.

    Attributes
    ----------
    row : SectionRow
        How it was looked at.
    facts : tuple of (str, str)
        Name and value, for people.
    pixel_size_um : float or None
        From the file, where it is sound; ``pixel_size_why`` says why not.
    """

    row: SectionRow
    proposal: Proposal
    facts: tuple[tuple[str, str], ...]
    pixel_size_um: float | None
    pixel_size_why: str
    warnings: tuple[str, ...]


def lone_row(path: Path, *, scene: str | None = None, projection: str | None = None) -> SectionRow:
    """Return the row of a slide that no study names."""
    return SectionRow(Subject(name_section(str(path), scene)), path, scene=scene, projection=projection)


def look(row: SectionRow) -> Looked:
    """Open the file of a row and say what its metadata say; no pixel is read.

    Raises
    ------
    SectionError
        If the file cannot be read, or a scene or projection must be chosen first.
    """
    image = (
        open_image(row.path, scene=row.scene, projection=row.projection)
        if row.path is not None
        else open_composite(row.paths, scene=row.scene, projection=row.projection)
    )
    try:
        height, width = image.levels[0].shape
        facts = [
            ("Format", image.format + (f", lossy {image.lossy}" if image.lossy else "")),
            ("Size", f"{width:,} × {height:,} px, {image.dtype}, {len(image.levels)} level(s)"),
        ]
        if image.semi_quantitative:
            facts.append(("Intensities", "display export: semi-quantitative"))
        try:
            size, why = check_pixel_size(image, row.pixel_size_um), "from the file"
            why = "from the study table" if row.pixel_size_um else why
        except PixelSizeError as error:
            size, why = None, str(error)
        return Looked(row, propose_roles(image), tuple(facts), size, why, image.warnings)
    finally:
        image.close()


def decided(row: SectionRow, channels: dict[str, str | int], pixel_size_um: float | None) -> SectionRow:
    """Return a row with what a person decided: channels and the pixel size."""
    return replace(row, channels={**row.channels, **channels}, pixel_size_um=pixel_size_um)


def open_now(row: SectionRow) -> Section:
    """Open a section lazily.

    Raises
    ------
    SectionError
        As :func:`thymusimg.open_section`.
    """
    return open_row(row)


@dataclass(frozen=True)
class Checked:
    """A section with its compartments, and what a person must know of how they were drawn."""

    prepared: Prepared
    note: str = ""


def check(section: Section, settings: Settings, progress: Progress, bundle: Path | None = None) -> Checked:
    """Survey a section, find its tissue, check its quality, and draw its compartments.

    Parameters
    ----------
    bundle : Path, optional
        Where the section's results lie, if it has any: the compartments are drawn as they were for these. Without
        any, or without the model that they were drawn by, it is the rule that draws, which needs no model.
    """
    stored, note = stored_compartments(bundle), ""
    if stored is not None:
        try:
            return Checked(prepare_section(section, _with(settings, stored), progress=progress))
        except (ModelError, MissingExtraError) as error:
            note = (
                f"{section.section_id}: the compartments among its results cannot be drawn here; "
                f"the rule's are shown. {error}"
            )
    rule = settings.compartments.model_copy(update={"method": "keratin"})
    return Checked(prepare_section(section, _with(settings, rule), progress=progress), note)


def stored_compartments(bundle: Path | None) -> CompartmentSettings | None:
    """Return the settings that the compartments of a bundle were drawn with; None where there is none."""
    if bundle is None or not bundle.is_dir():
        return None
    try:
        stored = Bundle.open(bundle).attributes["settings"]
        return Settings.from_mapping(stored, where=str(bundle)).compartments
    except (UnreadableError, SettingsError, KeyError):  # unfinished, or of another version: it is made anew
        return None


def _with(settings: Settings, compartments: CompartmentSettings) -> Settings:
    return settings.model_copy(update={"compartments": compartments})

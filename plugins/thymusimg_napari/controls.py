"""What the negative controls of a study say about the CD45 gate. No Qt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thymusimg.batch.task import open_row
from thymusimg.errors import GateError, ThymusimgError
from thymusimg.pipeline import control_evidence
from thymusimg.progress import silent
from thymusimg_napari.openings import check

if TYPE_CHECKING:
    from thymusimg.cells.gate import ControlEvidence
    from thymusimg.progress import Progress
    from thymusimg.settings import Settings
    from thymusimg.study.model import SectionRow, Study


def control_rows(study: Study | None) -> tuple[SectionRow, ...]:
    """Return the sections that the study table marks as negative controls; a group's name says nothing."""
    return () if study is None else tuple(row for row in study.rows if row.subject.negative_control)


def measure_controls(
    rows: tuple[SectionRow, ...], settings: Settings, progress: Progress
) -> tuple[ControlEvidence, ...]:
    """Open and measure the negative controls, one after the other.

    Raises
    ------
    GateError
        If none of them can be used, as in a run of the study.
    """
    found, faults = [], []
    for index, row in enumerate(rows):
        progress(f"{row.section_id}, {index + 1} of {len(rows)}", index / len(rows))
        try:
            section = open_row(row)
            try:
                found.append(control_evidence(check(section, settings, silent).prepared))
            finally:
                section.image.close()
        except ThymusimgError as error:
            faults.append(f"{row.section_id}: {error}")
    if rows and not found:
        raise GateError(f"none of the study's negative controls can be used ({faults[0]})")
    return tuple(found)

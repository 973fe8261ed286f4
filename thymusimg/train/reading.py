"""From annotated folders to annotated sections: every slide goes through the stages of an analysis first."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from thymusimg.batch.task import open_row
from thymusimg.cells.gate import estimate_gate
from thymusimg.cells.normalise import input_levels
from thymusimg.channels.correct import estimate_correction
from thymusimg.compartments.tissue import find_tissue
from thymusimg.errors import CallError, CellsError, ThymusimgError
from thymusimg.pipeline import prepare_section
from thymusimg.progress import silent
from thymusimg.section.survey import survey_section
from thymusimg.train.annotated import AnnotatedCells, AnnotatedCompartments
from thymusimg.train.drawn import read_cells, read_compartments

if TYPE_CHECKING:
    from collections.abc import Callable

    from thymusimg.progress import Progress
    from thymusimg.section.model import Section
    from thymusimg.settings import Settings
    from thymusimg.train.folder import AnnotatedFolder, Annotation

Annotated = TypeVar("Annotated", AnnotatedCells, AnnotatedCompartments)
KERATINS = ("k14", "k8")


def read_annotated_cells(folder: AnnotatedFolder, *, progress: Progress = silent) -> tuple[AnnotatedCells, ...]:
    """Read the sections whose cells somebody drew, in the table's order.

    Correction and gate are those of an analysis with the study's settings; the gate is the section's own.

    Raises
    ------
    CallError
        If no cell was drawn on any of them, or labels are not on the slide's pixels.
    SectionError
        If a slide or an annotation cannot be read.
    """
    found = _read_all(folder, _read_cells, progress)
    if not any(section.cells for section in found):
        raise CallError(
            f"no cell was drawn on any of the {len(found)} annotated sections; a network cannot learn what it is "
            "never shown. Draw the human CD45+ cells of at least one region on two animals."
        )
    return found


def read_annotated_compartments(
    folder: AnnotatedFolder, *, progress: Progress = silent
) -> tuple[AnnotatedCompartments, ...]:
    """Read the sections whose compartments somebody drew, in the table's order.

    Raises
    ------
    CallError
        If all of them show one compartment only, or labels are not on the slide's pixels.
    SectionError
        If a slide or an annotation cannot be read.
    """
    found = _read_all(folder, _read_compartments, progress)
    classes = sorted({compartment for section in found for compartment in section.classes})
    if len(classes) < 2:
        raise CallError(
            f"only {classes[0].name.lower()} was drawn on the {len(found)} annotated sections; there is nothing to "
            "tell it from. Draw at least one other compartment too."
        )
    return found


def _read_all(
    folder: AnnotatedFolder, read: Callable[[Annotation, Section, Settings], Annotated], progress: Progress
) -> tuple[Annotated, ...]:
    found: list[Annotated] = []
    for done, annotation in enumerate(folder.annotations, start=1):
        name = annotation.row.section_id
        try:
            section = open_row(annotation.row)
            try:
                found.append(read(annotation, section, folder.settings))
            finally:
                section.image.close()
        except ThymusimgError as error:
            if name in str(error):
                raise
            raise type(error)(f"{name}: {error}") from None
        progress("reading annotated sections", done / len(folder.annotations))
    return tuple(found)


def _read_cells(annotation: Annotation, section: Section, settings: Settings) -> AnnotatedCells:
    if "cd45" not in section.roles:
        raise CellsError(f"{section.section_id}: has no CD45 channel; cells cannot be learnt from it")
    drawn = read_cells(annotation, section.grid)
    prepared = prepare_section(section, settings)
    section = prepared.section  # of a big slide, the frame that the section lies in
    gate = estimate_gate(
        section, prepared.correction, prepared.compartments, settings.gate, threads=settings.compute.threads
    )
    window = section.in_section(drawn.window)
    raw = {role: section.read(role, window) for role in section.roles}
    return AnnotatedCells(
        section_id=section.section_id,
        animal=section.subject.animal,
        planes=prepared.correction.apply(raw, window),
        pixel_um=section.pixel_size_um,
        labels=drawn.labels,
        annotated=drawn.annotated,
        gate=gate,
        levels=input_levels(gate, prepared.planes.get("dapi"), prepared.compartments.tissue),
        corner_px=(drawn.window.y0, drawn.window.x0),
        notes=drawn.notes,
    )


def _read_compartments(annotation: Annotation, section: Section, settings: Settings) -> AnnotatedCompartments:
    labels, notes = read_compartments(annotation, section.grid)
    survey = survey_section(section, threads=settings.compute.threads)
    tissue = find_tissue(survey, settings.tissue)
    correction = estimate_correction(survey, tissue.mask, tissue.background, settings.correction)
    planes = correction.apply_coarse(survey.planes)
    return AnnotatedCompartments(
        section.section_id, section.subject.animal, {role: planes[role] for role in KERATINS}, tissue, survey.grid,
        labels, notes,
    )  # fmt: skip

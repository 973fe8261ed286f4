"""The stages for ONE section, in order. Command line, batch, GPU job and napari call this and nothing beside it."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from thymusimg.cells.assign import assign_cells
from thymusimg.cells.edited import PLACED
from thymusimg.cells.gate import ControlEvidence, estimate_gate, measure_control
from thymusimg.cells.methods import UNTRAINED as UNTRAINED_CELLS
from thymusimg.cells.methods import find_detector, identity_of
from thymusimg.channels.correct import Correction, estimate_correction
from thymusimg.channels.quality import assess_quality
from thymusimg.compartments.methods import UNTRAINED, find_division, model_of
from thymusimg.compartments.tissue import find_tissue
from thymusimg.errors import CellsError, GateError
from thymusimg.measurements.measure import Measured, measure_section
from thymusimg.measurements.population.axis import place_on_axis
from thymusimg.progress import Progress, silent
from thymusimg.section.memory import give_back, share_pools
from thymusimg.section.survey import Survey, survey_framed
from thymusimg.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from thymusimg.cells.model import Cells
    from thymusimg.compartments.model import Compartments, Tissue
    from thymusimg.section.model import FloatPlane, Section
    from thymusimg.settings import MeasurementSettings

COMPARTMENT_METHODS = UNTRAINED
"""Methods of ``--compartments`` that need no trained model."""

CELL_METHODS = UNTRAINED_CELLS
"""Methods of ``--cells`` that need no trained model."""


@dataclass
class Clock:
    """Seconds that each stage took."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add what happens inside to the stage's time."""
        start = time.perf_counter()
        try:
            yield
        finally:
            give_back()
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


@dataclass(frozen=True)
class Prepared:
    """A section up to its compartments: all that does not depend on the CD45 gate.

    Attributes
    ----------
    planes : mapping of str to (Y, X) float32
        Corrected coarse planes by role.
    quality : DataFrame
        One row a check and channel, as ``quality.csv``.
    """

    section: Section
    settings: Settings
    survey: Survey
    tissue: Tissue
    correction: Correction
    planes: Mapping[str, FloatPlane]
    quality: pd.DataFrame
    compartments: Compartments
    seconds: Mapping[str, float]


@dataclass(frozen=True)
class Counted:
    """A prepared section and its cells; ``cells_reason`` says why there are none to speak of."""

    prepared: Prepared
    cells: Cells | None
    cells_reason: str
    seconds: Mapping[str, float]


@dataclass(frozen=True)
class SectionResult:
    """Everything that the analysis of a section gives.

    Attributes
    ----------
    measured : Measured
        The section's row, the reasons of what is undefined, and its compartments' rows.
    cells : Cells or None
        None when cells were not looked for; ``cells_reason`` says why.
    """

    prepared: Prepared
    cells: Cells | None
    cells_reason: str
    measured: Measured
    seconds: Mapping[str, float]

    @property
    def section(self) -> Section:
        """The section that was analysed."""
        return self.prepared.section

    @property
    def compartments(self) -> Compartments:
        """Cortex, medulla and the rest, on the coarse grid."""
        return self.prepared.compartments

    @property
    def quality(self) -> pd.DataFrame:
        """One row a check and channel."""
        return self.prepared.quality

    @property
    def measurements(self) -> dict[str, object]:
        """The section's row of ``sections.csv``; NaN where undefined."""
        return self.measured.section


def analyse_section(
    section: Section,
    settings: Settings | None = None,
    *,
    controls: Sequence[ControlEvidence] = (),
    progress: Progress = silent,
    cache: Path | None = None,
) -> SectionResult:
    """Analyse one section: compartments, cells, measurements, quality.

    Parameters
    ----------
    section : Section
        From :func:`thymusimg.open_section`.
    settings : Settings, optional
        Defaults when left out.
    controls : sequence of ControlEvidence
        What the study's negative controls say about the CD45 gate; empty: the section's own background decides.
    progress : callable
        Called as ``progress(stage, fraction)``; raise :class:`CancelledError` from it to stop.
    cache : Path, optional
        Folder that keeps the coarse planes of a slide without a pyramid.

    Raises
    ------
    SectionError
        If the section cannot be analysed at all (no tissue, unreadable pixels …). What is merely undefined is NaN
        with its reason.
    ModelError
        If a method is asked for that is not installed.

    Examples
    --------
    >>> import thymusimg as ti  # doctest: +SKIP
    >>> section = ti.open_section("slide.czi", channels={"cd45": "AF594", "k14": 0, "k8": 1})  # doctest: +SKIP
    >>> result = ti.analyse_section(section)  # doctest: +SKIP
    >>> result.measurements["medulla_fraction"]  # doctest: +SKIP
    """
    settings = settings or Settings()
    check_methods(settings, here=True)
    prepared = prepare_section(section, settings, progress=progress, cache=cache)
    return finish_section(prepared, controls=controls, progress=progress)


def check_methods(settings: Settings, *, here: bool = False) -> None:
    """Refuse a method that is not installed, before any work; with ``here`` also a device that is not there.

    Raises
    ------
    ModelError
        If there is no such method or model, or the weights are not those of its card.
    MissingExtraError
        If the method needs a library that is not installed.
    DeviceError
    """
    find_division(settings.compartments.method)
    find_detector(settings.cells.method, compute=settings.compute if here else None)


def models_of(settings: Settings) -> dict[str, str]:
    """Return name, version and hash of the models that the settings name, by task; results depend on them.

    Raises
    ------
    ModelError
        If there is no such method or model.
    """
    division = model_of(settings.compartments.method)
    models = {
        "compartments": "" if division is None else division.identity,
        "cells": identity_of(settings.cells.method),
    }
    return {task: identity for task, identity in models.items() if identity}


def prepare_section(
    section: Section, settings: Settings, *, progress: Progress = silent, cache: Path | None = None
) -> Prepared:
    """Run the stages that do not depend on the CD45 gate, as :func:`analyse_section`."""
    clock = Clock()
    share_pools()
    with clock.stage("survey"):
        section, survey = survey_framed(section, threads=settings.compute.threads, progress=progress, cache=cache)
    with clock.stage("tissue"):
        progress("tissue", 0.0)
        tissue = find_tissue(survey, settings.tissue)
    with clock.stage("correction"):
        correction = estimate_correction(survey, tissue.mask, tissue.background, settings.correction)
        planes = correction.apply_coarse(survey.planes)
    with ThreadPoolExecutor(1, "quality") as beside:  # the compartments leave a core free
        checks = beside.submit(_check_quality, section, survey, tissue, correction, settings, clock)
        with clock.stage("compartments"):
            progress("compartments", 0.0)
            divide = find_division(settings.compartments.method, compute=settings.compute)
            compartments = divide(planes, tissue, survey.grid, settings.compartments)
        quality = checks.result()
    survey = replace(survey, planes={})  # the corrected ones stand in their place
    return Prepared(section, settings, survey, tissue, correction, planes, quality, compartments, clock.seconds)


def _check_quality(
    section: Section, survey: Survey, tissue: Tissue, correction: Correction, settings: Settings, clock: Clock
) -> pd.DataFrame:
    with clock.stage("quality"):
        return assess_quality(section, survey, tissue.mask, correction, settings.quality)


def finish_section(
    prepared: Prepared, *, controls: Sequence[ControlEvidence] = (), progress: Progress = silent
) -> SectionResult:
    """Find, gate and place the cells of a prepared section, and measure it."""
    return measure_counted(count_cells(prepared, controls=controls, progress=progress), progress=progress)


def count_cells(
    prepared: Prepared,
    *,
    controls: Sequence[ControlEvidence] = (),
    refused: str = "",
    progress: Progress = silent,
) -> Counted:
    """Find, gate and place the cells of a prepared section; ``refused`` says why no lawful gate can be set."""
    clock = Clock(dict(prepared.seconds))
    with clock.stage("cells"):
        try:
            if refused:
                raise GateError(refused)
            cells, reason = _find_cells(prepared, controls, progress), ""
        except CellsError as error:
            cells, reason = None, str(error)
    return Counted(prepared, cells, reason, clock.seconds)


def measure_counted(counted: Counted, *, progress: Progress = silent) -> SectionResult:
    """Measure a section whose compartments and cells are known."""
    clock = Clock(dict(counted.seconds))
    prepared, cells, reason = counted.prepared, counted.cells, counted.cells_reason
    with clock.stage("measurements"):
        progress("measurements", 0.0)
        measured = measure_section(
            prepared.section, prepared.compartments, prepared.planes, cells, prepared.settings.measurements,
            cells_reason=reason, correction=prepared.correction, compute=prepared.settings.compute,
            progress=progress,
        )  # fmt: skip
    return SectionResult(prepared, cells, reason, measured, clock.seconds)


def _find_cells(prepared: Prepared, controls: Sequence[ControlEvidence], progress: Progress) -> Cells:
    section, settings = prepared.section, prepared.settings
    if settings.cells.method == "none":
        raise CellsError("cells were not asked for (--cells none)")
    if "cd45" not in section.roles:
        raise CellsError("no CD45 channel was given")
    progress("gate", 0.0)
    gate = estimate_gate(
        section, prepared.correction, prepared.compartments, settings.gate,
        controls=controls, threads=settings.compute.threads,
    )  # fmt: skip
    detect = find_detector(settings.cells.method, compute=settings.compute)
    cells = detect(
        section, prepared.correction, prepared.compartments, gate, settings.cells,
        planes=prepared.planes, progress=progress,
    )  # fmt: skip
    return place_cells(cells, prepared.compartments, settings.measurements)


def place_cells(cells: Cells, compartments: Compartments, settings: MeasurementSettings) -> Cells:
    """Give every cell its compartment, its distances and its place on the axis, whatever it had before."""
    bare = cells.table.drop(columns=[name for name in PLACED if name in cells.table])
    return place_on_axis(assign_cells(replace(cells, table=bare), compartments), compartments, settings)


def control_evidence(prepared: Prepared) -> ControlEvidence:
    """Return what a negative control says about the CD45 gate of the study.

    Raises
    ------
    SectionError
        If the section holds no CD45 channel or no tissue to measure.
    """
    section, settings = prepared.section, prepared.settings
    if "cd45" not in section.roles:
        raise CellsError(f"{section.section_id}: a negative control needs the CD45 channel")
    return measure_control(
        section, prepared.correction, prepared.compartments, settings.gate, threads=settings.compute.threads
    )

"""The CD45 gate: from the section's own background, or from the study's negative controls."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from thymusimg.cells.background import measure_background
from thymusimg.cells.model import Gate
from thymusimg.errors import GateError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thymusimg.channels.correct import Correction
    from thymusimg.compartments.model import Compartments
    from thymusimg.section.model import Section
    from thymusimg.settings import GateSettings

NO_CONTROLS = "no section is marked negative_control"
NOT_COUNTED = "the controls' cells were not counted"


@dataclass(frozen=True)
class ControlEvidence:
    """What a negative control tells about CD45 on tissue without human cells; ``dataclasses.asdict`` makes it JSON.

    Attributes
    ----------
    section_id, batch : str
        ``batch`` is what the study table says; one batch means one staining and one exposure. ``""``: not known.
    dtype : str
        Pixel type; counts of different types are not compared.
    semi_quantitative : bool
        Display exports carry no absolute intensities.
    area_mm2 : float
        Analysable tissue, over which false cells are counted.
    background, background_sd : float
        Of the negative tissue, off-tissue background subtracted.
    local_sd : float
        SD over the size of a cell, without the slow changes over the section.
    q995 : float
        The gate quantile (99.5 % by default) of the tissue's pixels, off-tissue background subtracted.
    q995_sd : float
        The same, in SDs above ``background``.
    """

    section_id: str
    batch: str
    dtype: str
    semi_quantitative: bool
    area_mm2: float
    background: float
    background_sd: float
    local_sd: float
    q995: float
    q995_sd: float


def measure_control(
    section: Section,
    correction: Correction,
    compartments: Compartments,
    settings: GateSettings,
    *,
    threads: int = 2,
) -> ControlEvidence:
    """Measure CD45 on a section that the study table marks ``negative_control``.

    Raises
    ------
    GateError
        If the section is not marked so (a group called "control" is not one), or has too little tissue.
    """
    if not section.subject.negative_control:
        raise GateError(
            f"{section.section_id}: not marked negative_control in the study table; it cannot set a gate"
        )
    level = measure_background(section, correction, compartments, settings, threads=threads)
    return ControlEvidence(
        section_id=section.section_id,
        batch=section.subject.batch,
        dtype=str(np.dtype(section.image.dtype)),
        semi_quantitative=section.image.semi_quantitative,
        area_mm2=float(np.count_nonzero(compartments.analysable)) * compartments.grid.pixel_area_mm2,
        background=level.background,
        background_sd=level.sd,
        local_sd=level.local_sd,
        q995=level.quantile,
        q995_sd=(level.quantile - level.background) / level.sd,
    )


def estimate_gate(
    section: Section,
    correction: Correction,
    compartments: Compartments,
    settings: GateSettings,
    *,
    controls: Sequence[ControlEvidence] = (),
    threads: int = 2,
) -> Gate:
    """Set the CD45 threshold of a section.

    Without controls: background of the section's own CD45-negative tissue plus ``settings.deviations`` SDs. With
    controls of the section's batch and pixel type: the median of their 99.5 % quantiles as it is. With other
    controls: the same quantile in units of the controls' background and SD, carried to the section's own
    (catalogue Q). What counts as a control is what the caller passes; no name is ever read.

    ``background`` and ``threshold`` are in units of ``correction.apply``: the background off the tissue is
    subtracted, the autofluorescence of the tissue (which is what ``background`` measures) is not.

    Parameters
    ----------
    section : Section
    correction : Correction
    compartments : Compartments
    settings : GateSettings
    controls : sequence of ControlEvidence
    threads : int

    Returns
    -------
    Gate
        ``false_cells_per_mm2`` is NaN until :func:`with_false_cells` fills it.

    Raises
    ------
    GateError
        If the section has no CD45, too little tissue or a constant CD45 plane; or if no control can be used.
    """
    level = measure_background(section, correction, compartments, settings, threads=threads)
    if not controls:
        threshold = level.background + settings.deviations * level.sd
        return Gate(
            threshold,
            level.background,
            level.sd,
            "section",
            false_reason=NO_CONTROLS,
            notes=level.notes,
            local_sd=level.local_sd,
        )
    usable = [c for c in controls if math.isfinite(c.q995_sd) and c.background_sd > 0]
    if not usable:
        names = ", ".join(c.section_id for c in controls)
        raise GateError(
            f"{section.section_id}: no lawful CD45 threshold; the negative controls ({names}) have no measurable "
            "background. Mark other controls, or none"
        )
    same = [c for c in usable if _same_exposure(section, c)]
    if same:
        threshold, source, used = float(np.median([c.q995 for c in same])), "controls_absolute", same
    else:
        deviations = float(np.median([c.q995_sd for c in usable]))
        threshold, source, used = level.background + deviations * level.sd, "controls_sd", usable
    if threshold <= level.background:
        raise GateError(
            f"{section.section_id}: the controls' CD45 threshold ({threshold:.4g}) is not above the section's own "
            f"background ({level.background:.4g}); was batch '{section.subject.batch}' taken with one exposure?"
        )
    names_used = tuple(c.section_id for c in used)
    return Gate(
        threshold, level.background, level.sd, source, names_used, false_reason=NOT_COUNTED, notes=level.notes
    )


def gate_on_control(gate: Gate, control: ControlEvidence) -> Gate:
    """Return the gate with which a control's cells are counted: the same threshold, on the control's background.

    Pass it to ``detect_cells`` on the control and the count to :func:`with_false_cells`.
    """
    threshold = gate.threshold
    if gate.source != "controls_absolute":
        deviations = (gate.threshold - gate.background) / gate.background_sd
        threshold = control.background + deviations * control.background_sd
    return Gate(
        threshold, control.background, control.background_sd, gate.source, gate.controls, local_sd=control.local_sd
    )


def with_false_cells(gate: Gate, counts: Sequence[int], areas_mm2: Sequence[float]) -> Gate:
    """Fill in the false cells per mm²: Σ cells found in the controls / Σ their tissue area.

    Examples
    --------
    >>> gate = Gate(150.0, 30.0, 24.0, "controls_absolute", ("c1", "c2"))
    >>> with_false_cells(gate, [1, 2], [0.5, 1.0]).false_cells_per_mm2
    2.0
    """
    area = math.fsum(areas_mm2)
    if area <= 0:
        return replace(gate, false_cells_per_mm2=math.nan, false_reason=NO_CONTROLS)
    return replace(gate, false_cells_per_mm2=sum(counts) / area, false_reason="")


def _same_exposure(section: Section, control: ControlEvidence) -> bool:
    """Tell whether counts may be carried over: one known batch, one pixel type, no display export."""
    return (
        control.batch != ""
        and control.batch == section.subject.batch
        and control.dtype == str(np.dtype(section.image.dtype))
        and not control.semi_quantitative
        and not section.image.semi_quantitative
    )

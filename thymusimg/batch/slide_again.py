"""A section analysed again from its slide, under settings that its bundle cannot answer."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from thymusimg.batch.corrections import Corrections, correct_cells, correct_compartments
from thymusimg.batch.remeasure import measure_columns
from thymusimg.channels.open import open_section
from thymusimg.errors import CellsError, ThymusimgError, UnreadableError
from thymusimg.measurements.view import SectionView
from thymusimg.pipeline import Prepared, count_cells, prepare_section
from thymusimg.section.model import Subject

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from thymusimg.batch.variants import Variant
    from thymusimg.cells.gate import ControlEvidence
    from thymusimg.section.store import Bundle
    from thymusimg.settings import Settings

Values = dict[str, float]
AFTER_COMPARTMENTS = frozenset({"cells", "gate", "measurements"})
"""Settings that leave everything up to the compartments as it is."""


def measure_slide(
    bundle: Bundle,
    run: Settings,
    variants: Iterable[Variant],
    names: Sequence[str],
    controls: Sequence[ControlEvidence],
    own: Mapping[str, float],
) -> tuple[dict[Variant, Values], dict[Variant, str]]:
    """Analyse a section under each variant; the stages that a variant leaves alone are run once.

    Parameters
    ----------
    bundle : Bundle
        Says how the slide is opened.
    run : Settings
        The run's own settings.
    variants : iterable of Variant
    names : sequence of str
        Columns of ``sections.csv``.
    controls : sequence of ControlEvidence
        The study's negative controls, as the run measured them.
    own : mapping of str to float
        The run's own values, which the run's own settings must give again.

    Returns
    -------
    values, faults : dict
        By variant; a variant under which the section cannot be analysed has a fault in place of values.

    Raises
    ------
    SectionError
        If the slide cannot be opened or analysed.
    UnreadableError
        If the slide does not give the run's own values again: it is another, or another version measured it.
    """
    opened = bundle.attributes["opened"]
    section = open_section(
        opened["path"] or opened["paths"],
        channels=opened["channels"],
        pixel_size_um=opened["pixel_size_um"],
        scene=opened["scene"],
        projection=opened["projection"],
        roi=opened["roi"],
        subject=Subject(**bundle.attributes["subject"]),
    )
    try:
        corrections = Corrections.of(bundle)
        whole = prepare_section(section, run)
        again = _columns(whole, names, controls, corrections)
        wrong = [n for n in names if not (again[n] == own[n] or (math.isnan(again[n]) and math.isnan(own[n])))]
        if wrong:
            raise UnreadableError(
                f"{opened['path'] or 'the slide'}: gives {wrong[0]} = {again[wrong[0]]:.6g}, and the run "
                f"{own[wrong[0]]:.6g}; is it another slide, or was it measured by another version?"
            )
        values: dict[Variant, Values] = {}
        faults: dict[Variant, str] = {}
        for variant in variants:
            try:
                settings = variant.settings(run)
                prepared = (
                    replace(whole, settings=settings)
                    if variant.stages <= AFTER_COMPARTMENTS
                    else prepare_section(section, settings)
                )
                values[variant] = _columns(prepared, names, variant.controls(controls), corrections)
            except ThymusimgError as error:
                faults[variant] = str(error)
        return values, faults
    finally:
        section.image.close()


def _columns(
    drawn: Prepared, names: Sequence[str], controls: Sequence[ControlEvidence], corrections: Corrections | None
) -> Values:
    """Measure the columns with what people corrected; cells are counted only where a column needs them."""
    prepared, settings = correct_compartments(drawn, corrections), drawn.settings
    view = SectionView(
        prepared.section, prepared.compartments, prepared.planes, settings.measurements, None, prepared.correction,
        settings.compute,
    )  # fmt: skip
    found = measure_columns(view, names)
    missing = [name for name in names if name not in found]
    if not missing:
        return found
    counted = correct_cells(count_cells(prepared, controls=controls), corrections)
    if counted.cells is None:
        raise CellsError(counted.cells_reason)
    return measure_columns(replace(view, cells=counted.cells), names)

"""Cells of the view, found as a trial: shown, and not counted for the section."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from thymusimg.cells.gating import sample_gate
from thymusimg.cells.methods import find_detector
from thymusimg.cells.part import detect_part
from thymusimg_napari.contours import same_selection
from thymusimg_napari.layers import Purpose, cell_point_layer, find, mark, replace_layer

if TYPE_CHECKING:
    from collections.abc import Callable

    from thymusimg.cells.gate import ControlEvidence
    from thymusimg.cells.gating import GateSample
    from thymusimg.cells.model import Cells
    from thymusimg.pipeline import Prepared
    from thymusimg.progress import Progress
    from thymusimg.section.model import Section, Window


def trial(
    prepared: Prepared, controls: tuple[ControlEvidence, ...], sample: GateSample | None, window: Window
) -> Callable[[Progress], tuple[Section, Cells]]:
    """Return the work: section and cells of a window, with the gate of the whole section."""

    def work(progress: Progress) -> tuple[Section, Cells]:
        section, settings = prepared.section, prepared.settings
        given = (section, prepared.correction, prepared.compartments)
        found = sample or sample_gate(*given, settings.gate, controls=controls, progress=progress)
        gate = replace(found.gate, threshold=found.threshold(settings.gate.deviations))
        if controls and found.by_controls is not None:
            gate = found.by_controls
        detect = find_detector(settings.cells.method, compute=settings.compute)
        return section, detect_part(
            detect, *given, gate, settings.cells, window, planes=prepared.planes, progress=progress
        )

    return work


def show_trial(viewer: Any, cells: Cells, section_id: str) -> None:
    """Show the cells of a trial as cyan rings."""
    points, options, kind = cell_point_layer(cells.table, section_id)
    options |= {"name": "trial", "border_color": "cyan", "metadata": mark(Purpose.CELL_TRIAL, section_id)}
    hide_trial(viewer, section_id)
    with same_selection(viewer):
        replace_layer(viewer, (points, options, kind))


def hide_trial(viewer: Any, section_id: str) -> None:
    """Take the trial away."""
    layer = find(viewer.layers, Purpose.CELL_TRIAL, section_id)
    if layer is not None:
        with same_selection(viewer):
            viewer.layers.remove(layer)

"""Cells in a part of a section, to look at before the whole is counted."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from thymusimg.errors import CellsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thymusimg.cells.methods import Detector
    from thymusimg.cells.model import Cells, Gate
    from thymusimg.channels.correct import Correction
    from thymusimg.compartments.model import Compartments
    from thymusimg.progress import Progress
    from thymusimg.section.model import FloatPlane, Section, Window
    from thymusimg.settings import CellSettings


def detect_part(
    detect: Detector,
    section: Section,
    correction: Correction,
    compartments: Compartments,
    gate: Gate,
    settings: CellSettings,
    window: Window,
    *,
    planes: Mapping[str, FloatPlane],
    progress: Progress,
) -> Cells:
    """Find the cells of a window; the gate is the whole section's.

    Cells are looked for where a coarse pixel of the tissue meets the window. The classical method finds there what
    it finds in the whole section; a network whose limits are the tissue's may differ a little.

    Parameters
    ----------
    detect : Detector
        From :func:`thymusimg.cells.methods.find_detector`.
    window : Window
        In full-resolution pixels of the slide.

    Returns
    -------
    Cells
        Of the window only: not numbers of the section.

    Raises
    ------
    CellsError
        If the window holds no tissue to look at.
    """
    factor = section.grid.factor
    inside = np.zeros(compartments.tissue.shape, np.bool_)
    y0, y1, x0, x1 = (max(0, edge) for edge in section.in_section(window))
    inside[y0 // factor : -(-y1 // factor), x0 // factor : -(-x1 // factor)] = True
    part = replace(compartments, tissue=compartments.tissue & inside)
    if not part.analysable.any():
        raise CellsError(f"{section.section_id}: there is no tissue in the view in which cells are looked for")
    return detect(section, correction, part, gate, settings, planes=planes, progress=progress)

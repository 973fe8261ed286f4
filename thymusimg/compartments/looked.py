"""A section that was looked at once: a forest is shown on it; what was painted on it is kept without the rest."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from thymusimg.compartments.forest import label_places
from thymusimg.compartments.frame import label_within, with_distances
from thymusimg.compartments.scribbles import Look, Scribbled

if TYPE_CHECKING:
    from thymusimg.compartments.forest import Forest
    from thymusimg.compartments.frame import Division
    from thymusimg.compartments.model import Compartments
    from thymusimg.section.model import FloatPlane, Grid, Mask
    from thymusimg.settings.compartments import CompartmentSettings


def segment_looked(
    look: Look, forest: Forest, grid: Grid, settings: CompartmentSettings, *, method: str = "forest"
) -> Compartments:
    """Divide a section that was looked at by a forest; the same as ``segment_by_forest``, without looking again.

    Parameters
    ----------
    look : Look
        From :func:`thymusimg.compartments.scribbles.look_at` with these settings and the forest's features.
    forest : Forest
    grid : Grid
    settings : CompartmentSettings
    method : str
        Name that the result carries.
    """

    def divide(_14: FloatPlane, _8: FloatPlane, judged: Mask, _px: float, _s: CompartmentSettings) -> Division:
        return label_places(forest, look.table, judged)

    nothing = np.zeros((0, 0), np.float32)
    labels, found = label_within(look.around, divide, nothing, nothing, grid.pixel_um, settings)
    cuts = {"capsule_um": look.around.capsule_um, **found.cuts}
    return with_distances(labels, found.confidence, look.around.inside, grid, settings, method, {}, cuts)


def only_painted(section: Scribbled) -> Scribbled:
    """Return a section of which only the painted places are kept: a forest fitted on it is the same.

    A look at a section of 10 mm² takes a hundred megabytes; its strokes take a few.
    """
    table = section.look.table
    rows = table.at(*np.nonzero(section.scribbles))
    painted = np.zeros(len(table.values), bool)
    painted[rows[rows >= 0]] = True
    where = table.where.copy()
    where[table.where] = painted
    return replace(
        section, look=Look(section.look.around, replace(table, values=table.values[painted], where=where))
    )

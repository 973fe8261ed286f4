"""What a forest from strokes makes of a section, as work for a job. No Qt, no layers."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from thymusimg.compartments.features import WITHOUT_PLACE
from thymusimg.compartments.looked import segment_looked
from thymusimg.compartments.scribbles import look_at
from thymusimg_napari.edits import reader_name
from thymusimg_napari.scribbling import keep_draft

if TYPE_CHECKING:
    from thymusimg.compartments.model import Compartments
    from thymusimg.compartments.scribbles import Look, Scribbled
    from thymusimg.pipeline import Prepared
    from thymusimg.progress import Progress
    from thymusimg.settings import Settings
    from thymusimg_napari.scribbling import Trained


@dataclasses.dataclass(frozen=True)
class Shown:
    """A forest, and what it makes of the open section with these settings."""

    trained: Trained
    look: Look | None
    found: Compartments | None
    settings: Settings


def look(prepared: Prepared, progress: Progress) -> Look | None:
    """Work out what a forest sees of a section."""
    progress("features", 0.0)
    return look_at(
        prepared.planes, prepared.tissue, prepared.survey.grid, prepared.settings.compartments, WITHOUT_PLACE
    )


def sure_from(trained: Trained, least_probability: float) -> Trained:
    """Return the forest that calls a place indeterminate below another probability."""
    forest = dataclasses.replace(trained.forest, least_probability=least_probability)
    return dataclasses.replace(trained, forest=forest)


def apply_forest(
    prepared: Prepared, trained: Trained, sections: tuple[Scribbled, ...], known: Look | None, progress: Progress
) -> Shown:
    """Divide a section by a forest, which is kept as a model so that the map has one with a hash.

    Parameters
    ----------
    known : Look or None
        What the forest sees of the section, where it was worked out already.
    """
    seen = known or look(prepared, progress)
    model = keep_draft(trained, who=reader_name(), sections=sections)
    compartments = prepared.settings.compartments.model_copy(update={"method": str(model.folder)})
    settings = prepared.settings.model_copy(update={"compartments": compartments})
    if seen is None:
        return Shown(trained, None, None, settings)
    grid = prepared.survey.grid
    found = segment_looked(seen, trained.forest, grid, compartments, method=model.card.name)
    return Shown(trained, seen, found, settings)

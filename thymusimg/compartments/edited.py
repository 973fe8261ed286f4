"""A map of compartments that a person changed: everything that follows from it, drawn again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thymusimg.compartments.frame import with_distances
from thymusimg.compartments.model import Compartment, Compartments
from thymusimg.errors import CallError

if TYPE_CHECKING:
    from thymusimg.section.model import LabelPlane
    from thymusimg.settings.compartments import CompartmentSettings

EDITED = "edited"
"""Stands after the method's name, where people changed what it drew: ``keratin, edited``."""
_CODES = [int(c) for c in Compartment]


def redraw(drawn: Compartments, labels: LabelPlane, settings: CompartmentSettings) -> Compartments:
    """Return the compartments that ``labels`` make: junction, distances, axis and tissue are theirs.

    What a person drew has a confidence of 1; where nothing was changed, the method's stands. Labels that are the
    method's own give its compartments again, to the last bit.

    Parameters
    ----------
    drawn : Compartments
        As the method drew them.
    labels : (Y, X) uint8
        Codes of :class:`Compartment` on the grid of ``drawn``. All that is not background is tissue.
    settings : CompartmentSettings
        For the smoothing of the junction.

    Raises
    ------
    CallError
        If the labels lie on another grid or hold another code.
    """
    if labels.shape != drawn.labels.shape:
        raise CallError(
            f"edited compartments are {labels.shape} pixels, the section's grid is {drawn.labels.shape}"
        )
    strange = sorted(set(np.unique(labels).tolist()) - set(_CODES))
    if strange:
        raise CallError(
            f"edited compartments hold the label {strange[0]}; labels are {', '.join(map(str, _CODES))}"
        )
    changed = labels != drawn.labels
    method = drawn.method.removesuffix(f", {EDITED}")
    notes = {key: why for key, why in drawn.reasons.items() if key not in ("junction", "axis", "depth")}
    tissue = labels != Compartment.BACKGROUND
    same_tissue = np.array_equal(tissue, drawn.tissue)
    return with_distances(
        np.ascontiguousarray(labels, np.uint8),
        np.where(changed, np.float32(1), drawn.confidence),
        drawn.tissue if same_tissue else tissue,
        drawn.grid,
        settings,
        f"{method}, {EDITED}" if changed.any() else drawn.method,
        notes,
        dict(drawn.cuts),
        depth=drawn.depth_from_capsule_um if same_tissue else None,
    )


def carry_over(
    drawn: Compartments, labels: LabelPlane, original: LabelPlane, settings: CompartmentSettings
) -> Compartments:
    """Return what a person changed in one drawing, in another: of the same section, with other settings.

    Pixels that the person changed stand; all others are as the method draws them now. Where ``drawn`` is the
    drawing that was corrected, this is ``redraw(drawn, labels, settings)``.

    Parameters
    ----------
    drawn : Compartments
        As the method draws them now.
    labels, original : (Y, X) uint8
        As the person left them, and as the method had drawn them then.

    Raises
    ------
    CallError
        If the labels lie on another grid or hold another code.
    """
    if labels.shape != drawn.labels.shape or original.shape != drawn.labels.shape:
        return redraw(drawn, labels, settings)  # which refuses
    return redraw(drawn, np.where(labels != original, labels, drawn.labels).astype(np.uint8), settings)

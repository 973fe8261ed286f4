"""The map of compartments as the journal keeps it, and the same map again. No Qt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from thymusimg.compartments.edited import EDITED, redraw
from thymusimg.compartments.frame import with_distances
from thymusimg.compartments.model import Compartment
from thymusimg.settings.compartments import CompartmentSettings
from thymusimg_napari.painting import Source

if TYPE_CHECKING:
    from thymusimg.compartments.model import Compartments
    from thymusimg.settings import Settings
    from thymusimg_napari.autosave import Snapshot
    from thymusimg_napari.painting import EditedMap

TARGET = "compartments"


def kept(edited: EditedMap | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what is to be kept of a map: nothing, while it is the rule's own.

    Called in the window's thread every few seconds while somebody paints: only the labels are copied.
    """
    if edited is None or not (edited.edited or edited.source.drawn.method != "keratin"):
        return {}, {}
    source = edited.source
    arrays = {
        "compartments": edited.labels.copy(),
        "compartments_original": source.drawn.labels,
        "compartments_confidence": source.confidence_percent,
    }
    values = {
        "method": source.drawn.method, "reasons": dict(source.drawn.reasons), "cuts": dict(source.drawn.cuts),
        "settings": source.settings.compartments.model_dump(),
    }  # fmt: skip
    return arrays, values


def rebuilt(snapshot: Snapshot, drawn: Compartments, settings: Settings) -> tuple[Source, Compartments]:
    """Return what the method had drawn and what a person made of it, from a journal."""
    arrays, values = snapshot.arrays, snapshot.values.get(TARGET, {})
    original = arrays.get("compartments_original")
    if original is not None and not np.array_equal(original, drawn.labels):
        chosen = CompartmentSettings(**values.get("settings", {}))
        settings = settings.model_copy(update={"compartments": chosen})
        confidence = np.asarray(arrays["compartments_confidence"] / np.float32(100), np.float32)
        drawn = with_distances(
            original, confidence, original != Compartment.BACKGROUND, drawn.grid, chosen,
            str(values.get("method", "")).removesuffix(f", {EDITED}"), dict(values.get("reasons", {})),
            dict(values.get("cuts", {})),
        )  # fmt: skip
    labels = np.asarray(arrays[TARGET], np.uint8)
    return Source(drawn, settings), redraw(drawn, labels, settings.compartments)

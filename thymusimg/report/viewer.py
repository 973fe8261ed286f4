"""What the report hands to its viewer: a section's layers, small enough for the whole file."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np
from markupsafe import Markup

from thymusimg.report.layers import INDEX, LABELS, STAINS, grey_jpeg
from thymusimg.report.overlays import COMPARTMENT_COLOURS, JUNCTION_COLOUR
from thymusimg.report.palette import NAMES, SAFE, SCREEN
from thymusimg.report.words import stands_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thymusimg.report.finished_run import FinishedRun

LAYER_BUDGET = 3_800_000
"""Bytes of the stains of all sections together that a report aims at."""
LARGEST_LAYERS = 600_000
"""Not even a report of one section spends more on its stains."""
LAYER_FLOOR = 30_000
"""No section's stains are made smaller than this."""
CELLS_BUDGET = 150_000
"""Cells of all sections together that a report aims to draw, at six bytes each."""
CELLS_FLOOR = 2_000
"""No section is drawn with fewer, if it has them."""
SMOOTH_PX = 0.3
"""The junction may leave its true course by this many layer pixels, which nobody sees."""


class LayerLimits(NamedTuple):
    """How much of a section's layers a report holds: bytes of its stains, and cells that are drawn."""

    stain_bytes: int
    cells: int


def layer_limits(sections: int) -> LayerLimits:
    """Return what each of so many sections may take."""
    share = max(1, sections)
    stains = max(LAYER_FLOOR, min(LAYER_BUDGET // share, LARGEST_LAYERS))
    return LayerLimits(stains, max(CELLS_FLOOR, CELLS_BUDGET // share))


def viewer_data(run: FinishedRun, section_id: str, limits: LayerLimits) -> dict[str, Any] | None:
    """Return a section's layers as the viewer's script reads them; None where the bundle has none, or broken ones.

    Parameters
    ----------
    run : FinishedRun
    section_id : str
    limits : LayerLimits
        Stains are made smaller until they fit; of more cells, every n-th is drawn.
    """
    stains, labels, index = (run.layer(section_id, name) for name in (STAINS, LABELS, INDEX))
    if stains is None or labels is None or index is None:
        return None
    try:
        data = json.loads(index)
        fitted, size = _fit(
            stains, (int(data["width"]), int(data["height"])), len(data["stains"]), limits.stain_bytes
        )
        for stain in data["stains"]:
            plain, marker = NAMES.get(stain["role"], stain["role"]), str(stain["marker"])
            stain["label"] = f"{marker} (as {plain})" if stands_in(stain["role"], marker) else plain
        data["cells"] = None if data["cells"] is None else _thinned(data["cells"], limits.cells)
        data["junction"] = [_simplified(line) for line in data["junction"]]
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return {
        **data,
        "id": section_id,
        "layer_size": list(size),
        "stains_uri": "data:image/jpeg;base64," + base64.b64encode(fitted).decode(),
        "labels_uri": "data:image/png;base64," + base64.b64encode(labels).decode(),
    }


def viewer_colours() -> Markup:
    """Return the colours of stains and of what was found as the viewer's script reads them."""
    return island(
        {
            "field": SCREEN,
            "safe": SAFE,
            "grey": dict.fromkeys(SCREEN, (255, 255, 255)),
            "compartments": {int(code): colour for code, colour in COMPARTMENT_COLOURS.items()},
            "junction": JUNCTION_COLOUR,
        }
    )


def island(data: Mapping[str, Any] | None) -> Markup:
    """Return data as JSON that can stand in a script element: nothing in it can end the element or start a tag."""
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=True)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    # Every sign with a meaning in HTML is written as JSON's own escape above; ensure_ascii does U+2028.
    return Markup(text)  # noqa: S704


def _thinned(cells: Mapping[str, Any], most: int) -> dict[str, Any]:
    """Return every n-th cell, so that there are at most ``most``; compartments are left to the labels."""
    places = np.frombuffer(base64.b64decode(cells["xy"]), "<u2").reshape(-1, 2)
    distances = np.frombuffer(base64.b64decode(cells["distance"]), "<i2")
    if len(places) != len(distances):
        raise ValueError("as many distances as cells are needed")
    every = max(1, -(-len(places) // most))
    return {
        "total": int(cells["total"]),
        "step": int(cells["step"]) * every,
        "per_px": cells["per_px"],
        "xy": base64.b64encode(places[::every].tobytes()).decode(),
        "distance": base64.b64encode(distances[::every].tobytes()).decode(),
    }


def _simplified(line: list[float]) -> list[float]:
    points = np.asarray(line, np.float32).reshape(-1, 1, 2)
    if len(points) < 3:
        return line
    kept = cv2.approxPolyDP(points, SMOOTH_PX, closed=False)
    return [round(float(v), 1) for v in kept.ravel()]


def _fit(stains: bytes, size: tuple[int, int], count: int, limit: int) -> tuple[bytes, tuple[int, int]]:
    """Return the stains at most about ``limit`` bytes large, and the width and height that each has then."""
    width, height = size
    for _ in range(3):
        if len(stains) <= limit:
            break
        picture = cv2.imdecode(np.frombuffer(stains, np.uint8), cv2.IMREAD_GRAYSCALE)
        if picture is None or picture.shape != (height * count, width):
            raise ValueError("the stains are not of the size that their index says")
        factor = max(0.4, 0.95 * float(np.sqrt(limit / len(stains))))
        small = (max(1, round(width * factor)), max(1, round(height * factor)))
        parts = [cv2.resize(p, small, interpolation=cv2.INTER_AREA) for p in np.split(picture, count)]
        width, height = small
        stains = grey_jpeg(np.vstack(parts).astype(np.uint8), 78)
    return stains, (width, height)

"""What the report hands to its viewer: a section's layers, small enough for the whole file."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

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

LAYER_BUDGET = 4_200_000
"""Bytes of the stains of all sections together that a report aims at."""
LARGEST_LAYERS = 600_000
"""Not even a report of one section spends more on its stains."""
LAYER_FLOOR = 30_000
"""No section's stains are made smaller than this."""


def viewer_data(run: FinishedRun, section_id: str, limit: int) -> dict[str, Any] | None:
    """Return a section's layers as the viewer's script reads them; None where the bundle has none, or broken ones.

    Parameters
    ----------
    run : FinishedRun
    section_id : str
    limit : int
        Bytes that the stains may have; they are made smaller, with the labels, until they fit.
    """
    stains, labels, index = (run.layer(section_id, name) for name in (STAINS, LABELS, INDEX))
    if stains is None or labels is None or index is None:
        return None
    try:
        data = json.loads(index)
        fitted, size = _fit(stains, (int(data["width"]), int(data["height"])), len(data["stains"]), limit)
        for stain in data["stains"]:
            plain, marker = NAMES.get(stain["role"], stain["role"]), str(stain["marker"])
            stain["label"] = f"{marker} (as {plain})" if stands_in(stain["role"], marker) else plain
    except (ValueError, KeyError, TypeError):
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

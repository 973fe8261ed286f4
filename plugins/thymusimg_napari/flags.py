"""Moving the view to a place on the slide, and marking it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from thymusimg.section.streaming import TILE_PX
from thymusimg_napari.layers import UM, Purpose, mark, replace_layer

if TYPE_CHECKING:
    from thymusimg.section.model import Section

_ON_SCREEN_PX = 350
"""A tile that is jumped to is shown about this large."""


def place_of(where: str) -> tuple[int, int] | None:
    """Return row and column of a check's tile in full-resolution pixels, None where it names no tile.

    Examples
    --------
    >>> place_of("1024,512"), place_of("k8"), place_of("")
    ((1024, 512), None, None)
    """
    parts = where.split(",")
    if len(parts) != 2 or not all(part.strip().isdecimal() for part in parts):
        return None
    return int(parts[0]), int(parts[1])


def jump_to(viewer: Any, section: Section, place: tuple[int, int], reason: str = "") -> None:
    """Show a tile of the survey, with a frame around it."""
    px = section.pixel_size_um
    top, left = (np.array(place) - 0.5) * px
    bottom, right = (np.minimum(np.array(place) + TILE_PX, section.slide_shape) - 0.5) * px
    frame = np.array([[top, left], [top, right], [bottom, right], [bottom, left]])
    options = {
        "name": "flagged tile",
        "shape_type": "rectangle",
        "edge_color": "yellow",
        "face_color": "transparent",
        "edge_width": 2 * px,
        "metadata": mark(Purpose.FLAG, section.section_id, reason=reason),
        "scale": (1.0, 1.0),
        "units": UM,
    }
    replace_layer(viewer, ([frame], options, "shapes"))
    look_at(viewer, ((top + bottom) / 2, (left + right) / 2), bottom - top)


def look_at(viewer: Any, centre_um: tuple[float, float], height_um: float) -> None:
    """Centre the view on a place in µm, so that ``height_um`` fills a good part of it."""
    viewer.camera.center = (0.0, *centre_um)
    viewer.camera.zoom = _ON_SCREEN_PX / max(height_um, 1e-6)

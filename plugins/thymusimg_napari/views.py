"""What part of the slide the window shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from thymusimg.section.model import Window
from thymusimg_napari.layers import Purpose, find_all

if TYPE_CHECKING:
    from thymusimg.section.model import Section


def view_window(viewer: Any, section: Section) -> Window:
    """Return the part of a section that is in view, in full-resolution pixels; all of it where nothing is drawn."""
    height, width = section.slide_shape
    for layer in reversed(find_all(viewer.layers, Purpose.STAIN, section.section_id)):
        if not layer.visible:
            continue
        factor = layer.downsample_factors[layer.data_level] if layer.multiscale else np.ones(2)
        (y0, x0), (y1, x1) = (np.asarray(corner)[-2:] * np.asarray(factor)[-2:] for corner in layer.corner_pixels)
        step = np.ceil(np.asarray(factor)[-2:]).astype(int)
        window = Window(
            max(0, int(y0)),
            min(height, int(y1) + int(step[0])),
            max(0, int(x0)),
            min(width, int(x1) + int(step[1])),
        )
        if window.y1 - window.y0 > 1 and window.x1 - window.x0 > 1:
            return window
    return Window(0, height, 0, width)

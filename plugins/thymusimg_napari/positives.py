"""What a CD45 threshold calls positive, shown while the threshold moves: in full where the view is near."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from thymusimg.cells.light import CellLight
from thymusimg_napari.contours import same_selection
from thymusimg_napari.jobs import Latest
from thymusimg_napari.layers import Purpose, add, find, in_um, mark, on_grid
from thymusimg_napari.views import view_window

if TYPE_CHECKING:
    from thymusimg.cells.model import Gate
    from thymusimg.pipeline import Prepared
    from thymusimg.progress import Progress
    from thymusimg.section.model import FloatPlane, Window

NEAREST_PX = 2048
"""A view of at most so many pixels a side is shown at full resolution; a larger one on the coarse grid."""
COLOUR = (1.0, 0.92, 0.2, 1.0)


class Positives:
    """The layer of positive pixels; hidden until :meth:`show`."""

    def __init__(self, viewer: Any) -> None:
        self.viewer = viewer
        self.latest = Latest("Positive pixels")
        self._read: tuple[object, Window, FloatPlane] | None = None

    def show(self, prepared: Prepared, gate: Gate, threshold: float) -> None:
        """Show what lies at or above a threshold in the view; only the newest request counts."""
        window = view_window(self.viewer, prepared.section)
        near = max(window.shape) <= NEAREST_PX

        def work(_progress: Progress) -> Any:
            plane = self._full(prepared, gate, window) if near else prepared.planes["cd45"]
            found = (plane >= threshold).astype(np.uint8)
            if not near:
                found &= prepared.compartments.tissue
            return prepared, window if near else None, found

        self.latest.ask(work, self._put)

    def hide(self, section_id: str) -> None:
        """Take the layer away."""
        layer = find(self.viewer.layers, Purpose.POSITIVE, section_id)
        if layer is not None:
            with same_selection(self.viewer):
                self.viewer.layers.remove(layer)

    def _full(self, prepared: Prepared, gate: Gate, window: Window) -> FloatPlane:
        if self._read is None or self._read[0] is not prepared.section or self._read[1] != window:
            light = CellLight(prepared.section, prepared.correction, prepared.compartments.analysable, gate)
            self._read = prepared.section, window, light.read(["cd45"], prepared.section.in_section(window))["cd45"]
        return self._read[2]

    def _put(self, result: Any) -> None:
        prepared, window, found = result
        section, grid = prepared.section, prepared.compartments.grid
        px = section.pixel_size_um
        place = on_grid(grid) if window is None else in_um(px)
        if window is not None:
            place["translate"] = (window.y0 * px, window.x0 * px)
        layer = find(self.viewer.layers, Purpose.POSITIVE, section.section_id)
        if layer is None:
            from napari.utils.colormaps import DirectLabelColormap

            options = {
                "name": "CD45 at or above the gate",
                "opacity": 0.45,
                "colormap": DirectLabelColormap(color_dict={None: np.zeros(4), 0: np.zeros(4), 1: COLOUR}),
                "metadata": mark(Purpose.POSITIVE, section.section_id),
                **place,
            }
            with same_selection(self.viewer):
                add(self.viewer, (found, options, "labels"))
            return
        layer.data = found
        layer.scale, layer.translate = place["scale"], place["translate"]

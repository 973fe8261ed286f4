"""What a correction acts on: a patch that was clicked, or an outline that was drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from skimage.measure import find_contours

from thymusimg.compartments.corrections import inside_outlines, patch_at
from thymusimg_napari.layers import UM, Purpose, add, find, mark

if TYPE_CHECKING:
    import numpy.typing as npt

    from thymusimg.section.model import Grid, LabelPlane, Mask


class Selection:
    """The selected region of the open section, outlined in the viewer."""

    def __init__(self, viewer: Any) -> None:
        self.viewer = viewer
        self._picked: Mask | None = None

    def pick(self, labels: LabelPlane, grid: Grid, row: int, col: int, section_id: str) -> bool:
        """Select the patch at a pixel; whether there is one."""
        self.clear()
        self._picked = patch_at(labels, row, col)
        if self._picked is None:
            return False
        layer = self._layer(section_id)
        rings = [np.concatenate([ring, ring[:1]]) for ring in outlines_of(self._picked, grid)]
        # lines: napari would cut the face of a polygon into triangles, for seconds where it is a whole cortex
        layer.add_paths(rings, edge_width=2, edge_color="white")
        layer.mode = "pan_zoom"
        return True

    def draw(self, section_id: str) -> Any:
        """Begin to draw an outline; return the layer that it is drawn on, which becomes the active one."""
        self.clear()
        layer = self._layer(section_id)
        self.viewer.layers.selection.active = layer
        layer.mode = "add_polygon_lasso"
        return layer

    def region(self, grid: Grid) -> Mask | None:
        """Return what is selected, or None."""
        if self._picked is not None:
            return self._picked
        layer = find(self.viewer.layers, Purpose.SELECTION)
        rings = [] if layer is None else [np.asarray(ring) for ring in layer.data if len(ring) > 2]
        found = inside_outlines(rings, grid) if rings else None
        return found if found is not None and found.any() else None

    def clear(self) -> None:
        """Select nothing."""
        self._picked = None
        layer = find(self.viewer.layers, Purpose.SELECTION)
        if layer is not None:
            layer.mode = "pan_zoom"  # ends an outline that is being drawn; it would come back otherwise
            layer.data = []

    def _layer(self, section_id: str) -> Any:
        layer = find(self.viewer.layers, Purpose.SELECTION, section_id)
        if layer is not None:
            return layer
        active = self.viewer.layers.selection.active
        options = {
            "name": "selection", "shape_type": "polygon", "edge_color": "white", "face_color": "transparent",
            "edge_width": 2.0, "metadata": mark(Purpose.SELECTION, section_id), "scale": (1.0, 1.0), "units": UM,
            "ndim": 2,
        }  # fmt: skip
        layer = add(self.viewer, ([], options, "shapes"))
        layer.current_edge_color, layer.current_face_color, layer.current_edge_width = "white", "transparent", 2
        if active is not None:
            self.viewer.layers.selection.active = active
        return layer


def outlines_of(mask: Mask, grid: Grid) -> list[npt.NDArray[np.float64]]:
    """Return the outlines of a region, holes too, as (N, 2) points (y, x) in µm."""
    rows, cols = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if len(rows) == 0:
        return []
    part = mask[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]
    corner = np.array([rows[0] - 1, cols[0] - 1])
    lines = find_contours(np.pad(part, 1).astype(np.float32), 0.5)
    return [grid.to_um(line[:-1] + corner) for line in lines if len(line) > 4]

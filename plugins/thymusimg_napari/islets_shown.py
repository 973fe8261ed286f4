"""Medullary islets in the viewer: the marked one, and which one lies where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from thymusimg_napari.contours import same_selection
from thymusimg_napari.flags import look_at
from thymusimg_napari.layers import UM, Purpose, add, find, mark

if TYPE_CHECKING:
    from thymusimg_napari.measuring import Numbers


class IsletsShown:
    """Marks one islet of a measured section."""

    def __init__(self, viewer: Any) -> None:
        self.viewer = viewer

    def at(self, numbers: Numbers, place_um: tuple[float, float]) -> int:
        """Return the number of the islet at a place, 0 where there is none."""
        labels, grid = numbers.islet_labels, numbers.prepared.compartments.grid
        y, x = (int(np.floor(v + 0.5)) for v in grid.to_index(place_um))
        inside = 0 <= y < labels.shape[0] and 0 <= x < labels.shape[1]
        return int(labels[y, x]) if inside else 0

    def go_to(self, numbers: Numbers, number: int) -> None:
        """Mark an islet and centre the view on it."""
        self.mark(numbers, number)
        row = numbers.islets.iloc[number - 1]
        look_at(self.viewer, (float(row["y_um"]), float(row["x_um"])), 2 * float(np.sqrt(row["area_um2"])))

    def mark(self, numbers: Numbers | None, number: int) -> None:
        """Outline an islet; without numbers, or with 0, none."""
        with same_selection(self.viewer):
            layer = find(self.viewer.layers, Purpose.ISLETS)
            if layer is not None:
                self.viewer.layers.remove(layer)
            if numbers is None or not number:
                return
            grid = numbers.prepared.compartments.grid
            lines = [grid.to_um(line) for line in _outlines(numbers.islet_labels, number)]
            options = {
                "name": f"islet {number}",
                "shape_type": "polygon",
                "edge_color": "yellow",
                "face_color": "transparent",
                "edge_width": grid.pixel_um,
                "metadata": mark(Purpose.ISLETS, numbers.prepared.section.section_id, islet=number),
                "scale": (1.0, 1.0),
                "units": UM,
            }
            add(self.viewer, (lines, options, "shapes"))


def _outlines(labels: Any, number: int) -> list[Any]:
    """Return the outlines of an islet, in pixels of the grid."""
    from skimage.measure import find_contours

    rows, columns = np.nonzero(labels == number)
    y, x = int(rows.min()), int(columns.min())
    box = labels[y : rows.max() + 1, x : columns.max() + 1] == number
    return [line[:-1] - 1 + (y, x) for line in find_contours(np.pad(box, 1).astype(np.float32), 0.5)]

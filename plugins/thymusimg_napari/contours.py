"""The junction and the distances from it, as layers that follow the edits."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from thymusimg.section.model import Grid
from thymusimg_napari.layers import Purpose, add, find, junction_layer, mark, on_grid

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from thymusimg.compartments.model import Compartments
    from thymusimg_napari.layers import LayerData

STEP_UM = 50.0
"""Distance between two contours."""
_FURTHEST = 100  # bands on either side
_MOST_PX = 2048  # along a side; lines need no more
_CORTEX, _MEDULLA = (0.75, 0.85, 1.0, 1.0), (1.0, 0.85, 0.6, 1.0)


@contextmanager
def same_selection(viewer: Any) -> Iterator[None]:
    """Leave the selected layer as it is: whoever paints goes on painting."""
    selected, active = set(viewer.layers.selection), viewer.layers.selection.active
    try:
        yield
    finally:
        viewer.layers.selection.clear()
        viewer.layers.selection.update(selected & set(viewer.layers))
        if active is not None and active in viewer.layers:
            viewer.layers.selection.active = active


def distance_lines(bands: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return the bands' codes beside their borders, 0 elsewhere; the junction and the edge are no such border."""
    out = np.zeros_like(bands)
    for first, second in (((slice(1, None),), (slice(None, -1),)), ((..., slice(1, None)), (..., slice(None, -1)))):
        a, b = bands[first], bands[second]
        border = (a != b) & (a > 0) & (b > 0) & ((a <= _FURTHEST) == (b <= _FURTHEST))
        out[first] = np.where(border, a, out[first])
        out[second] = np.where(border, b, out[second])
    return out


def distance_bands(distance_um: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Return the band of every pixel: 0 off the tissue, 100 − n in the nth band of cortex, 101 + n of medulla."""
    bands = np.zeros(distance_um.shape, np.uint8)
    seen = np.isfinite(distance_um)
    steps = np.floor(np.clip(distance_um[seen] / STEP_UM, -_FURTHEST, _FURTHEST - 1))
    bands[seen] = (steps + _FURTHEST + 1).astype(np.uint8)
    return bands


def distance_layer(compartments: Compartments, section_id: str) -> LayerData:
    """Return contours of the distance from the junction, every 50 µm, hidden until they are asked for."""
    from napari.utils.colormaps import DirectLabelColormap

    grid = compartments.grid
    factor = 1
    while max(grid.shape) > _MOST_PX * factor:
        factor *= 2
    bands = distance_lines(distance_bands(compartments.distance_to_cmj_um[::factor, ::factor]))
    colours: dict[int | None, Any] = {None: (0, 0, 0, 0), 0: (0, 0, 0, 0)}
    colours |= {b: _CORTEX if b <= _FURTHEST else _MEDULLA for b in range(1, 2 * _FURTHEST + 1)}
    place = on_grid(Grid(grid.slide_shape, grid.slide_pixel_um, grid.factor * factor))
    place["translate"] = on_grid(grid)["translate"]  # every nth pixel, not the mean of n
    options = {
        "name": f"every {STEP_UM:g} µm from the junction",
        "colormap": DirectLabelColormap(color_dict=colours),
        "opacity": 0.8,
        "visible": False,
        "metadata": mark(Purpose.DISTANCE, section_id),
        **place,
    }
    return bands, options, "labels"


def show_lines(viewer: Any, compartments: Compartments, section_id: str) -> None:
    """Draw the junction and the distance contours, in place of those before."""
    with same_selection(viewer):
        _show_distances(viewer, distance_layer(compartments, section_id))
        show_junction(viewer, compartments.junction_um, section_id)


def show_junction(viewer: Any, lines: Sequence[npt.NDArray[np.float64]], section_id: str) -> None:
    """Draw the junction in place of the one before."""
    data, options, kind = junction_layer(lines, section_id)
    layer = find(viewer.layers, Purpose.JUNCTION, section_id)
    if layer is None:
        add(viewer, (data, options, kind))
        return
    layer.data = []
    if data:
        layer.add_paths(data, edge_width=options["edge_width"], edge_color=options["edge_color"][0])


def _show_distances(viewer: Any, data: LayerData) -> None:
    layer = find(viewer.layers, Purpose.DISTANCE, data[1]["metadata"]["thymusimg"]["section_id"])
    if layer is not None and layer.data.shape == data[0].shape:
        layer.data = data[0]
        return
    layer = add(viewer, data)
    layer.editable = False

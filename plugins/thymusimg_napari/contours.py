"""The junction and the distances from it, as layers that follow the edits."""

from __future__ import annotations

import weakref
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from thymusimg.section.model import Grid
from thymusimg_napari.layers import (
    KEY,
    Purpose,
    add,
    confidence_layer,
    find,
    junction_layer,
    mark,
    on_grid,
    replace_layer,
)

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


@dataclass(frozen=True)
class Contours:
    """Contours of the distance from the junction, on every ``factor``-th pixel of a grid."""

    lines: npt.NDArray[np.uint8]
    factor: int
    grid: Grid


def distance_lines_of(compartments: Compartments) -> Contours:
    """Return the contours of a map, no finer than lines need; may be called in a thread."""
    factor = 1
    while max(compartments.grid.shape) > _MOST_PX * factor:
        factor *= 2
    bands = distance_bands(compartments.distance_to_cmj_um[::factor, ::factor])
    return Contours(distance_lines(bands), factor, compartments.grid)


def distance_layer(contours: Contours, section_id: str) -> LayerData:
    """Return contours of the distance from the junction, every 50 µm, hidden until they are asked for."""
    from napari.utils.colormaps import DirectLabelColormap

    grid, factor = contours.grid, contours.factor
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
    return contours.lines, options, "labels"


def show_lines(viewer: Any, compartments: Compartments, contours: Contours, section_id: str) -> None:
    """Draw the junction and the distance contours, in place of those before."""
    with same_selection(viewer):
        _show_distances(viewer, distance_layer(contours, section_id))
        show_junction(viewer, compartments.junction_um, section_id)


def show_junction(viewer: Any, lines: Sequence[npt.NDArray[np.float64]], section_id: str) -> None:
    """Draw the junction in place of the one before, as wide as that was."""
    data, options, kind = junction_layer(lines, section_id)
    layer = find(viewer.layers, Purpose.JUNCTION, section_id)
    if layer is None:
        add(viewer, (data, options, kind))
        return
    width = float(layer.edge_width[0]) if len(layer.data) else options["edge_width"]
    layer.data = []
    if data:
        layer.add_paths(data, edge_width=width, edge_color=options["edge_color"][0])


def show_confidence(viewer: Any, compartments: Compartments, section_id: str) -> None:
    """Show how sure a map is, in place of the one before; a hidden layer takes it when it is asked for."""
    plane = compartments.confidence
    layer = find(viewer.layers, Purpose.CONFIDENCE, section_id)
    if layer is None or layer.data.shape != plane.shape:
        with same_selection(viewer):
            layer = replace_layer(viewer, confidence_layer(plane, compartments.grid, section_id))
        layer.events.visible.connect(partial(_take_newest, layer))
    layer.metadata[KEY]["newest"] = plane
    _take_newest(layer)


def _take_newest(layer: Any, _event: Any = None) -> None:
    newest = layer.metadata[KEY].pop("newest", None) if layer.visible else None
    if newest is not None and newest is not layer.data:
        layer.data = newest


def _show_distances(viewer: Any, data: LayerData) -> None:
    layer = find(viewer.layers, Purpose.DISTANCE, data[1]["metadata"]["thymusimg"]["section_id"])
    if layer is not None and layer.data.shape == data[0].shape:
        layer.data = data[0]
        return
    layer = add(viewer, data)
    layer.editable = False


_AREAS: list[tuple[weakref.ref[Compartments], dict[int, float]]] = []
_AREAS_KEPT = 4


def known_areas_mm2(compartments: Compartments) -> dict[int, float]:
    """Return the area of every compartment of a map in mm²; counted once a map, in whichever thread asks first."""
    for known, found in tuple(_AREAS):
        if known() is compartments:
            return found
    counts = np.zeros(256, np.int64)
    for rows in np.array_split(compartments.labels, max(1, compartments.labels.shape[0] // 256)):
        counts += np.bincount(rows.ravel(), minlength=256)
    areas = {code: int(count) * compartments.grid.pixel_area_mm2 for code, count in enumerate(counts)}
    _AREAS.append((weakref.ref(compartments), areas))
    del _AREAS[:-_AREAS_KEPT]
    return areas

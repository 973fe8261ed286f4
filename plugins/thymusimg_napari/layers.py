"""Layers: what each one is for, how it is built, how it is found again. Every layer is in µm.

A layer says its purpose in ``layer.metadata["thymusimg"]``, never by its name, which people may change. Functions
here return layer data (``(data, options, kind)``), so that the reader, the widgets and scripts show the same.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np

from thymusimg.compartments.model import Compartment
from thymusimg.report.overlays import COMPARTMENT_COLOURS, JUNCTION_COLOUR, STAIN_COLOURS
from thymusimg_napari.pixels import bound_cache, channel_pyramid, display_limits

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy.typing as npt
    import pandas as pd

    from thymusimg.section.model import Grid, Image

LayerData = tuple[Any, dict[str, Any], str]

UM = ("µm", "µm")
KEY = "thymusimg"
COLOUR_NAMES = {"cd45": "red", "k14": "blue", "k8": "green"}
ROLE_NAMES = {"cd45": "CD45", "k14": "K14", "k8": "K8", "dapi": "DAPI"}


class Purpose(StrEnum):
    """What a layer is for."""

    STAIN = "stain"
    COMPARTMENTS = "compartments"
    CONFIDENCE = "confidence"
    TISSUE = "tissue"
    CELLS = "cells"
    CELL_POINTS = "cell points"
    CELL_OUTLINES = "cell outlines"
    CELL_TRIAL = "cell trial"
    CURRENT = "current"
    POSITIVE = "positive"
    ISLETS = "islets"
    JUNCTION = "junction"
    DISTANCE = "distance"
    SCRIBBLES = "scribbles"
    OUTLINES = "outlines"
    FLAG = "flag"
    SELECTION = "selection"
    PREVIEW = "preview"


def mark(purpose: Purpose, section_id: str = "", **more: Any) -> dict[str, Any]:
    """Return the metadata of a layer."""
    return {KEY: {"purpose": str(purpose), "section_id": section_id, **more}}


def record(layer: Any) -> Mapping[str, Any]:
    """Return what a layer says of itself; empty for a layer that is none of ours."""
    found = layer.metadata.get(KEY, {})
    return found if isinstance(found, dict) else {}


def find_all(layers: Iterable[Any], purpose: Purpose, section_id: str | None = None) -> list[Any]:
    """Return the layers of a purpose, bottom first; of one section where its id is given."""
    return [
        layer
        for layer in layers
        if record(layer).get("purpose") == purpose
        and (section_id is None or record(layer).get("section_id") == section_id)
    ]


def find(layers: Iterable[Any], purpose: Purpose, section_id: str | None = None) -> Any | None:
    """Return the topmost layer of a purpose, or None."""
    found = find_all(layers, purpose, section_id)
    return found[-1] if found else None


def in_um(pixel_um: float, first_um: tuple[float, float] = (0.0, 0.0)) -> dict[str, Any]:
    """Return scale, translation and units of a raster whose first pixel's centre lies at ``first_um`` (y, x)."""
    return {"scale": (pixel_um, pixel_um), "translate": first_um, "units": UM}


def on_grid(grid: Grid) -> dict[str, Any]:
    """Return scale, translation and units of a raster on the coarse grid."""
    return in_um(grid.pixel_um, grid.first_um)


def stain_layers(
    image: Image,
    *,
    section_id: str = "",
    roles: Mapping[str, int] | None = None,
    pixel_size_um: float | None = None,
    limits: Mapping[str, tuple[float, float]] | None = None,
    overviews: Sequence[Sequence[npt.NDArray[Any]]] | None = None,
) -> list[LayerData]:
    """Return one lazy multiscale image a channel: red, blue, green by role, grey without one.

    Parameters
    ----------
    image : Image
    roles : mapping of str to int, optional
        Channel of every role that is settled.
    pixel_size_um : float, optional
        In place of the file's; where neither knows it, the layers are in pixels.
    limits : mapping of str to (low, high), optional
        The section's display limits by role; else from the coarsest level.
    overviews : one list of arrays a channel, optional
        Coarser levels of a slide without a pyramid.
    """
    bound_cache()
    role_of = {channel: role for role, channel in (roles or {}).items()}
    size = pixel_size_um or (image.pixel_size_um or (None,))[0]
    place = in_um(size) if size else {"scale": (1.0, 1.0), "units": ("pixel", "pixel")}
    found = []
    for channel, name in enumerate(image.channel_names):
        role = role_of.get(channel, "")
        levels = channel_pyramid(image, channel, overviews[channel] if overviews else ())
        options = {
            "name": stain_name(role, name, channel),
            "colormap": stain_colourmap(role),
            "blending": "additive",
            "contrast_limits": (limits or {}).get(role) or display_limits(levels),
            # a channel without a role would whiten those that have one
            "visible": bool(role) or not role_of,
            "multiscale": len(levels) > 1,
            "metadata": mark(Purpose.STAIN, section_id, role=role, channel=channel, path=image.path),
            **place,
        }
        found.append((levels if len(levels) > 1 else levels[0], options, "image"))
    # the brightest red lies on top in the list, as people name the stains: CD45, K14, K8
    return found[::-1]


def stain_colourmap(role: str) -> Any:
    """Return CD45 red, K14 blue, K8 green in the report's shades (pure blue vanishes on a screen); others grey."""
    if role not in COLOUR_NAMES:
        return "gray"
    from napari.utils import Colormap

    full = [v / 255 for v in STAIN_COLOURS[role]]
    return Colormap([[0.0, 0.0, 0.0], full], name=f"{ROLE_NAMES[role]} {COLOUR_NAMES[role]}")


def stain_name(role: str, name: str, channel: int) -> str:
    """Return the name of a stain's layer: ``K14 · KRT14``."""
    own = name or f"channel {channel}"
    return f"{ROLE_NAMES[role]} · {own}" if role else own


def compartment_colours() -> dict[int | None, npt.NDArray[np.float32]]:
    """Return the report's colours by code, for a ``DirectLabelColormap``."""
    clear = np.zeros(4, np.float32)
    colours: dict[int | None, npt.NDArray[np.float32]] = {None: clear, 0: clear}
    for compartment, rgb in COMPARTMENT_COLOURS.items():
        colours[int(compartment)] = np.array([*(v / 255 for v in rgb), 1.0], np.float32)
    return colours


def compartment_layer(
    labels: npt.NDArray[np.uint8], grid: Grid, section_id: str, *, name: str = "compartments", visible: bool = True
) -> LayerData:
    """Return the compartments as labels on the coarse grid: one scale, in memory, so that they can be painted."""
    from napari.utils.colormaps import DirectLabelColormap

    codes = [int(c) for c in Compartment]
    options = {
        "name": name,
        "opacity": 0.45,
        "colormap": DirectLabelColormap(color_dict=compartment_colours()),
        "features": {"index": codes, "class": [c.name.lower() for c in Compartment]},
        "metadata": mark(Purpose.COMPARTMENTS, section_id, slide_pixel_um=grid.slide_pixel_um),
        "visible": visible,
        **on_grid(grid),
    }
    return np.ascontiguousarray(labels), options, "labels"


def confidence_layer(confidence: npt.NDArray[Any], grid: Grid, section_id: str) -> LayerData:
    """Return the confidence of the compartments, 0-1, hidden until it is asked for."""
    options = {
        "name": "confidence",
        "colormap": "magma",
        "contrast_limits": (0.0, 1.0),
        "opacity": 0.6,
        "visible": False,
        "metadata": mark(Purpose.CONFIDENCE, section_id),
        **on_grid(grid),
    }
    return np.asarray(confidence, np.float32), options, "image"


def junction_layer(lines: Sequence[npt.NDArray[np.float64]], section_id: str) -> LayerData:
    """Return the corticomedullary junction as lines in µm; ``lines`` are (N, 2) points (y, x)."""
    options = {
        "name": "corticomedullary junction",
        "shape_type": "path",
        "edge_color": [[v / 255 for v in JUNCTION_COLOUR]],
        "edge_width": 3.0,
        "face_color": "transparent",
        "metadata": mark(Purpose.JUNCTION, section_id),
        "scale": (1.0, 1.0),
        "units": UM,
    }
    return [np.asarray(line) for line in lines if len(line) > 1], options, "shapes"


def cell_point_layer(table: pd.DataFrame, section_id: str, *, size_um: float = 8.0) -> LayerData:
    """Return the cells as points in µm, with every column of the table as a feature."""
    options = {
        "name": "CD45+ cells",
        "features": table.reset_index(drop=True),
        "size": size_um,
        "face_color": "transparent",
        "border_color": "white",
        "border_width": 0.15,
        "symbol": "disc",
        "metadata": mark(Purpose.CELL_POINTS, section_id),
        "scale": (1.0, 1.0),
        "units": UM,
    }
    return table[["y_um", "x_um"]].to_numpy(np.float64), options, "points"


def cell_label_layer(labels: Any, pixel_um: float, section_id: str) -> LayerData:
    """Return the cells' masks at full resolution, read-only and lazy; thinned beyond a screen's size."""
    import dask.array as da

    full = da.from_array(labels, chunks=labels.chunks if hasattr(labels, "chunks") else "auto")
    levels = [full]
    while max(levels[-1].shape) > 2048:
        levels.append(levels[-1][::4, ::4])
    options = {
        "name": "cell masks",
        "opacity": 0.5,
        "visible": len(levels) == 1,
        "multiscale": len(levels) > 1,
        "metadata": mark(Purpose.CELLS, section_id),
        **in_um(pixel_um),
    }
    return (levels if len(levels) > 1 else levels[0]), options, "labels"


def add(viewer: Any, data: LayerData) -> Any:
    """Put a layer into a viewer."""
    from napari.layers import Layer

    return viewer.add_layer(Layer.create(*data))


def replace_layer(viewer: Any, data: LayerData) -> Any:
    """Put a layer in place of the one of its purpose and section; place, visibility and opacity stay."""
    said = data[1]["metadata"][KEY]
    old = find(viewer.layers, Purpose(said["purpose"]), said["section_id"])
    if old is None:
        return add(viewer, data)
    index = viewer.layers.index(old)
    visible, opacity = old.visible, old.opacity
    viewer.layers.remove(old)
    layer = add(viewer, data)
    viewer.layers.move(len(viewer.layers) - 1, index)
    layer.visible, layer.opacity = visible, opacity
    return layer

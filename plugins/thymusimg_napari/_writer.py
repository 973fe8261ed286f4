"""File > Save: labels as OME-Zarr, labels and drawn outlines as GeoJSON, as QuPath and the engine read them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from thymusimg.compartments.model import Compartment
from thymusimg.errors import CallError
from thymusimg.export.annotations import Outline, compartment_outlines, write_outlines
from thymusimg.section.store import LabelImage, write_labels
from thymusimg_napari.layers import KEY, Purpose

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    LayerData = tuple[Any, Mapping[str, Any], str]

_CODES = frozenset(int(c) for c in Compartment)
_OUTLINED = ("polygon", "rectangle", "ellipse")
_ROUND = 64


def write_zarr(path: str, layers: Sequence[LayerData]) -> list[str]:
    """Write label layers as OME-Zarr labels; ``thymusimg evaluate`` and ``thymusimg train`` read them.

    Raises
    ------
    CallError
        If a layer is no label image in µm, or two would have one name.
    OutputError
    """
    images: dict[str, LabelImage] = {}
    for data, options, _ in layers:
        name = _label_name(data, options)
        if name in images:
            raise CallError(f"two of the layers are labels '{name}'; save them one by one")
        images[name] = _label_image(data, options)
    write_labels(Path(path), images)
    return [path]


def write_geojson(path: str, layers: Sequence[LayerData]) -> list[str]:
    """Write compartments and drawn outlines as GeoJSON; holes are kept.

    Raises
    ------
    CallError
        If the slide's pixel size is not known, an outline has no known class, or a layer holds other labels.
    OutputError
    """
    outlines: list[Outline] = []
    pixel_um, section_id = 0.0, ""
    for data, options, kind in layers:
        said = options.get("metadata", {}).get(KEY, {})
        pixel_um, section_id = pixel_um or _slide_pixel_um(said), section_id or said.get("section_id", "")
        outlines += _drawn(data, options) if kind == "shapes" else _painted(data, options)
    if not outlines:
        raise CallError("there is nothing to save: the layers hold no outline and no painted pixel")
    write_outlines(Path(path), outlines, pixel_um, section_id)
    return [path]


def _label_name(data: Any, options: Mapping[str, Any]) -> str:
    purpose = options.get("metadata", {}).get(KEY, {}).get("purpose", "")
    if purpose in (Purpose.COMPARTMENTS, Purpose.SCRIBBLES):
        return "compartments"
    if purpose in (Purpose.CELLS, Purpose.TISSUE):
        return str(purpose)
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", str(options.get("name", "labels"))).strip("_").lower() or "labels"
    return "compartments" if not isinstance(data, list) and _is_compartments(data) else name


def _is_compartments(data: Any) -> bool:
    return data.dtype.kind in "iu" and set(np.unique(np.asarray(data)).tolist()) <= _CODES


def _label_image(data: Any, options: Mapping[str, Any]) -> LabelImage:
    full = data[0] if isinstance(data, (list, tuple)) else data
    pixel_um, first_um = _place(options)
    kind = "uint8" if full.dtype.itemsize == 1 else "uint32"
    return LabelImage(
        tuple(full.shape), kind, pixel_um, first_um, lambda w: np.asarray(full[w.slices]).astype(kind, copy=False)
    )


def _place(options: Mapping[str, Any]) -> tuple[float, float]:
    """Return side and first centre of a raster's pixels in µm."""
    name, units = options.get("name", "labels"), [str(u) for u in options.get("units", ())]
    if len(units) != 2 or any(u not in ("micrometer", "µm", "um") for u in units):
        raise CallError(
            f"layer '{name}' is not in µm: draw on a layer of an open section, so that its place is known"
        )
    side, first = (np.asarray(options[key], float) for key in ("scale", "translate"))
    if not np.isclose(side[0], side[1]) or not np.isclose(first[0], first[1]):
        raise CallError(f"layer '{name}': its pixels are not square, or it was moved; undo that before saving")
    return float(side[0]), float(first[0])


def _painted(data: Any, options: Mapping[str, Any]) -> list[Outline]:
    labels = np.asarray(data[0] if isinstance(data, (list, tuple)) else data)
    if not _is_compartments(labels):
        raise CallError(
            f"layer '{options.get('name')}' holds other labels than compartments; save it as OME-Zarr (.zarr)"
        )
    return compartment_outlines(labels.astype(np.uint8, copy=False), *_place(options))


def _drawn(data: Sequence[npt.NDArray[Any]], options: Mapping[str, Any]) -> list[Outline]:
    classes = _classes(options, len(data))
    kinds = options.get("shape_type", "polygon")
    kinds = [kinds] * len(data) if isinstance(kinds, str) else list(kinds)
    scale, first = np.asarray(options["scale"], float), np.asarray(options.get("translate", (0.0, 0.0)), float)
    found = []
    for corners, kind, what in zip(data, kinds, classes, strict=True):
        if kind not in _OUTLINED:
            raise CallError(f"a {kind} outlines nothing: draw polygons, rectangles or ellipses")
        ring = _ellipse(np.asarray(corners)) if kind == "ellipse" else np.asarray(corners, float)
        found.append(Outline(what, [ring * scale + first]))
    return found


def _classes(options: Mapping[str, Any], count: int) -> list[str]:
    """Return the class of every shape: its own feature, else the name of the layer."""
    features = options.get("features")
    if features is not None and "class" in features:
        return [str(value) for value in features["class"]]
    return [str(options.get("name", ""))] * count


def _ellipse(corners: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    centre, a, b = corners.mean(0), (corners[1] - corners[0]) / 2, (corners[3] - corners[0]) / 2
    angle = np.linspace(0, 2 * np.pi, _ROUND, endpoint=False)[:, None]
    ring: npt.NDArray[np.float64] = centre + np.cos(angle) * a + np.sin(angle) * b
    return ring


def _slide_pixel_um(said: Mapping[str, Any]) -> float:
    if said.get("slide_pixel_um"):
        return float(said["slide_pixel_um"])
    from napari import current_viewer

    from thymusimg_napari.session import session_of

    viewer = current_viewer()
    section = session_of(viewer).section if viewer is not None else None
    if section is None:
        raise CallError(
            "GeoJSON counts in the slide's pixels, and no section is open: open it in the Section widget"
        )
    return section.pixel_size_um

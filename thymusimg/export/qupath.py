"""Outlines of a section as GeoJSON that QuPath opens: compartments, islets, junction and cells."""

from __future__ import annotations

import json
import math
import uuid
from typing import TYPE_CHECKING, Any

import numpy as np

from thymusimg.compartments.model import Compartment
from thymusimg.compartments.shapes import closed, components
from thymusimg.export.outlines import Polygon, Ring, outline_mask
from thymusimg.report.overlays import COMPARTMENT_COLOURS, JUNCTION_COLOUR, STAIN_COLOURS
from thymusimg.section.model import Grid
from thymusimg.settings import MeasurementSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy.typing as npt
    import pandas as pd

    from thymusimg.section.store import Bundle

Feature = dict[str, Any]

JUNCTION, CELL, ISLET = "Corticomedullary junction", "CD45+", "Islet"
COLOURS: Mapping[str, tuple[int, int, int]] = {
    **{compartment.name.capitalize(): colour for compartment, colour in COMPARTMENT_COLOURS.items()},
    ISLET: COMPARTMENT_COLOURS[Compartment.MEDULLA],
    JUNCTION: JUNCTION_COLOUR,
    CELL: STAIN_COLOURS["cd45"],
}
"""The colours of the report's pictures."""
_NAMESPACE = uuid.UUID("8f2c1a52-6a0d-5c0e-9a57-7f4e8d1b3c11")
_CROP_PX = 48
_UNMEASURED = ("cell_id",)


def section_features(bundle: Bundle, *, cells: bool = True) -> Iterator[Feature]:
    """Yield the GeoJSON features of a section, in full-resolution pixels from the image's upper left corner.

    Compartments, islets and the junction are annotations, cells are detections; all carry a class with a colour,
    and their measurements. A compartment is one feature of as many polygons as it has pieces.

    Parameters
    ----------
    bundle : Bundle
    cells : bool
        Whether to outline the cells too.
    """
    grid = grid_of(bundle)
    labels = np.asarray(bundle.label("compartments")[:])
    yield from _compartments(bundle, labels, grid)
    yield from _islets(bundle, labels == Compartment.MEDULLA, grid)
    yield from _junction(bundle, grid)
    if cells and "cells" in bundle.attributes["tables"]:
        yield from _cells(bundle, grid)


def grid_of(bundle: Bundle) -> Grid:
    """Return the coarse grid of a bundle."""
    return bundle.grid


def write_geojson(bundle: Bundle, path: Any, *, cells: bool = True) -> int:
    """Write a section's features as a FeatureCollection, one a line; return how many there are.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    count = 0
    with path.open("w", encoding="utf-8") as file:
        file.write('{"type": "FeatureCollection", "features": [')
        for feature in section_features(bundle, cells=cells):
            file.write("\n" if not count else ",\n")
            file.write(json.dumps(feature, ensure_ascii=False, separators=(",", ":")))
            count += 1
        file.write("\n]}\n")
    return count


def feature(
    identity: str, kind: str, name: str, label: str, geometry: dict[str, Any], measurements: Mapping[str, float]
) -> Feature:
    """Return one GeoJSON feature of QuPath's: ``kind`` is annotation or detection, ``name`` the class."""
    red, green, blue = COLOURS[name]
    packed = (255 << 24 | red << 16 | green << 8 | blue) - (1 << 32)  # QuPath below 0.4: a signed 32-bit integer
    return {
        "type": "Feature",
        "id": str(uuid.uuid5(_NAMESPACE, identity)),
        "geometry": geometry,
        "properties": {
            "objectType": kind,
            "name": label,
            "classification": {"name": name, "color": [red, green, blue], "colorRGB": packed},
            "isLocked": False,
            "measurements": {k: float(v) for k, v in measurements.items() if math.isfinite(v)},
        },
    }


def _geometry(polygons: list[Polygon], grid: Grid) -> dict[str, Any]:
    rings = [[_coordinates(ring, grid) for ring in polygon] for polygon in polygons]
    if len(rings) == 1:
        return {"type": "Polygon", "coordinates": rings[0]}
    return {"type": "MultiPolygon", "coordinates": rings}


def _coordinates(ring: Ring, grid: Grid) -> list[list[float]]:
    # index i of the coarse grid is the middle of pixels from i · factor to (i + 1) · factor; the last may be cut
    corner = np.clip((ring + 0.5) * grid.factor + grid.origin, 0, grid.slide_shape)
    return [[float(x), float(y)] for y, x in corner.tolist()]


def _compartments(bundle: Bundle, labels: npt.NDArray[Any], grid: Grid) -> Iterator[Feature]:
    section_id = bundle.attributes["section"]["section_id"]
    rows = bundle.table("compartments").set_index("compartment").select_dtypes("number")
    for compartment in Compartment:
        polygons = outline_mask(labels == compartment) if compartment is not Compartment.BACKGROUND else []
        if polygons:
            name = compartment.name.capitalize()
            numbers = {str(k): float(v) for k, v in rows.loc[[compartment.name.lower()]].iloc[0].items()}
            geometry = _geometry(polygons, grid)
            yield feature(f"{section_id}/{name}", "annotation", name, f"{section_id} {name}", geometry, numbers)


def _islets(bundle: Bundle, medulla: npt.NDArray[np.bool_], grid: Grid) -> Iterator[Feature]:
    settings = MeasurementSettings(**bundle.attributes["settings"]["measurements"])
    section_id = bundle.attributes["section"]["section_id"]
    if not medulla.any():
        return
    pieces, _ = components(closed(medulla, settings.islet_closing_um / 2 / grid.pixel_um))
    pieces = np.where(medulla, pieces, 0)
    areas = np.bincount(pieces.ravel()) * grid.pixel_um**2
    areas[0] = 0
    large = np.flatnonzero((areas >= settings.islet_min_area_um2) & (areas > 0))
    for number, piece in enumerate(large[np.argsort(-areas[large], kind="stable")], 1):
        geometry = _geometry(outline_mask(pieces == piece), grid)
        name = f"{section_id} islet {number}"
        yield feature(name, "annotation", ISLET, name, geometry, {"area_um2": areas[piece]})


def _junction(bundle: Bundle, grid: Grid) -> Iterator[Feature]:
    points = bundle.table("junction")
    if points.empty:
        return
    section_id, pixel = bundle.attributes["section"]["section_id"], grid.slide_pixel_um
    lines = [
        [[x / pixel + 0.5, y / pixel + 0.5] for y, x in zip(piece["y_um"], piece["x_um"], strict=True)]
        for _, piece in points.groupby("piece", sort=True)
    ]
    length = bundle.attributes["section"].get("cmj_length_mm")
    numbers = {} if length is None else {"cmj_length_mm": float(length)}
    geometry = {"type": "MultiLineString", "coordinates": lines}
    yield feature(f"{section_id}/junction", "annotation", JUNCTION, f"{section_id} junction", geometry, numbers)


def _cells(bundle: Bundle, grid: Grid) -> Iterator[Feature]:
    section_id, pixel = bundle.attributes["section"]["section_id"], grid.slide_pixel_um
    table, labels = bundle.table("cells"), bundle.label("cells")
    numeric = [c for c in table.select_dtypes("number") if c not in _UNMEASURED]
    for strip in _strips(table, pixel, labels.chunks[0]):
        top = max(0, int(strip["y_um"].min() / pixel) - 4 * _CROP_PX)
        block = np.asarray(labels[top : int(strip["y_um"].max() / pixel) + 4 * _CROP_PX])
        for row in strip.to_dict("records"):
            number = int(row["cell_id"])
            y, x = row["y_um"] / pixel, row["x_um"] / pixel
            mask, corner = _crop(block, number, y - top, x)
            polygons = [[ring + corner + (top, 0) for ring in polygon] for polygon in outline_mask(mask)]
            if polygons:
                geometry = _geometry(polygons, Grid(grid.slide_shape, grid.slide_pixel_um, 1))
            else:
                geometry = {"type": "Point", "coordinates": [x + 0.5, y + 0.5]}
            numbers = {str(name): float(row[name]) for name in numeric}
            name = f"{section_id} cell {number}"
            yield feature(name, "detection", CELL, name, geometry, numbers)


def _strips(table: pd.DataFrame, pixel_um: float, height: int) -> Iterator[pd.DataFrame]:
    """Yield the cells strip by strip, so that no whole plane is read at once."""
    strip = (table["y_um"] / pixel_um // height).astype(np.int64)
    for _, part in table.groupby(strip, sort=True):
        yield part


def _crop(
    block: npt.NDArray[Any], number: int, y: float, x: float
) -> tuple[npt.NDArray[np.bool_], tuple[int, int]]:
    """Return the mask of one cell around its centroid and the crop's corner; wider if the cell reaches its rim."""
    for reach in (_CROP_PX, 4 * _CROP_PX):
        top, left = max(0, int(y) - reach), max(0, int(x) - reach)
        mask = np.asarray(block[top : int(y) + reach, left : int(x) + reach] == number)
        rim = mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any()
        if not rim:
            break
    return mask, (top, left)

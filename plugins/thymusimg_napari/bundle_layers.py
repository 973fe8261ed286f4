"""A result bundle as layers: coarse stains, compartments, confidence, junction, cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from thymusimg.export.qupath import grid_of
from thymusimg_napari.layers import (
    ROLE_NAMES,
    Purpose,
    cell_label_layer,
    cell_point_layer,
    compartment_layer,
    confidence_layer,
    junction_layer,
    mark,
    on_grid,
    stain_colourmap,
)

if TYPE_CHECKING:
    from thymusimg.section.store import Bundle
    from thymusimg_napari.layers import LayerData


def bundle_layers(bundle: Bundle) -> list[LayerData]:
    """Return the layers of a bundle, bottom first; tables lie in the features and in the metadata of the stains."""
    section_id = str(bundle.attributes["section"]["section_id"])
    return [*coarse_stains(bundle, section_id), *result_layers(bundle, section_id)]


def coarse_stains(bundle: Bundle, section_id: str) -> list[LayerData]:
    """Return the corrected coarse planes that a bundle keeps, one image a role."""
    grid, markers = grid_of(bundle), bundle.attributes["slide"]["markers"]
    found: list[LayerData] = []
    for role, plane in bundle.planes.items():
        options = {
            "name": f"{ROLE_NAMES.get(role, role)} · {markers.get(role, role)}",
            "colormap": stain_colourmap(role),
            "blending": "additive",
            "contrast_limits": _limits(plane),
            "metadata": mark(
                Purpose.STAIN, section_id, role=role, bundle=str(bundle.path), coarse=True, row=_row(bundle)
            ),
            **on_grid(grid),
        }
        found.append((plane, options, "image"))
    return found[::-1]


def result_layers(bundle: Bundle, section_id: str) -> list[LayerData]:
    """Return what was found: compartments, confidence, cells, junction."""
    grid, attributes = grid_of(bundle), bundle.attributes
    names = set(attributes.get("tables", ()))
    labels = np.asarray(bundle.label("compartments")[:])
    found = [compartment_layer(labels, grid, section_id)]
    if (bundle.path / "labels" / "confidence").is_dir():
        confidence = np.asarray(bundle.label("confidence")[:], np.float32) / 100
        found.append(confidence_layer(confidence, grid, section_id))
    if "cells" in names and (bundle.path / "labels" / "cells").is_dir():
        found.append(cell_label_layer(bundle.label("cells"), grid.slide_pixel_um, section_id))
    if "cells" in names:
        table = bundle.table("cells")
        if {"y_um", "x_um"} <= set(table.columns):
            found.append(cell_point_layer(table, section_id))
    if "junction" in names:
        points = bundle.table("junction")
        lines = [piece[["y_um", "x_um"]].to_numpy() for _, piece in points.groupby("piece", sort=True)]
        found.append(junction_layer(lines, section_id))
    for _, options, _ in found:
        options["metadata"]["thymusimg"]["bundle"] = str(bundle.path)
    return found


def _row(bundle: Bundle) -> dict[str, Any]:
    return dict(bundle.attributes["section"])


def _limits(plane: Any) -> tuple[float, float]:
    low, high = (float(v) for v in np.percentile(plane[np.isfinite(plane)], (0.1, 99.9)))
    return low, high if high > low else low + 1.0

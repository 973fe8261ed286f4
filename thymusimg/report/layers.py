"""The layers of a section that the report's viewer switches: stains, compartments, junction, cells."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

from thymusimg.compartments.model import Compartment
from thymusimg.report.overlays import COMPARTMENT_COLOURS, STAIN_COLOURS, display_limits
from thymusimg.report.picture import View

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thymusimg.cells.model import Cells
    from thymusimg.compartments.model import Compartments
    from thymusimg.section.model import FloatPlane, Section

STAINS, LABELS, INDEX = "stains.jpg", "labels.png", "layers.json"
"""Files in a bundle's ``pictures``: stains below one another in grey, labels as grey levels, and what they mean."""
LONGEST_LAYER_PX = 1200
"""Layers are never larger than this, and never larger than the grid they come from."""
MOST_CELLS = 20_000
"""More cells than this are thinned evenly for the eye; the index says of how many."""
NO_COMPARTMENT = 255
NO_DISTANCE = -32768


def draw_layers(
    section: Section, planes: Mapping[str, FloatPlane], compartments: Compartments, cells: Cells | None
) -> dict[str, bytes]:
    """Return the layers of a section as files by name.

    The stains lie below one another in one grey JPEG, so that none bleeds into another when it is
    compressed, as the colours of a JPEG do. Their limits are those of the section's composite.

    Returns
    -------
    dict of str to bytes
        :data:`STAINS`, :data:`LABELS` and :data:`INDEX`.
    """
    view = layer_view(compartments)
    mask = compartments.mask()
    limits = display_limits(
        planes, mask if mask.any() else compartments.tissue, cells.gate if cells is not None else None
    )
    roles = [role for role in STAIN_COLOURS if role in planes]
    levels = [_grey(view, planes[role], limits[role]) for role in roles]
    labels = view.show(compartments.labels, nearest=True).astype(np.uint8)
    height, width = view.shape
    index = {
        "version": 1,
        "width": width,
        "height": height,
        "um_per_px": round(view.pixel_um, 6),
        # µm of the middle of the first pixel
        "origin_um": [round(float(v), 3) for v in _origin_um(view)],
        "stains": [
            {"role": role, "marker": section.markers.get(role, ""), "limits": [round(v, 4) for v in limits[role]]}
            for role in roles
        ],
        "compartments": [
            {"code": int(c), "name": c.name.lower()} for c in COMPARTMENT_COLOURS if np.any(labels == c)
        ],
        "junction": [
            np.round(view.from_um(line)[:, ::-1].ravel(), 1).tolist() for line in compartments.junction_um
        ],
        "cells": None if cells is None else pack_cells(view, cells),
    }
    files = {LABELS: _png(labels), INDEX: json.dumps(index, separators=(",", ":")).encode()}
    return {STAINS: grey_jpeg(np.vstack(levels)), **files} if levels else files


def layer_view(compartments: Compartments) -> View:
    """Return the view of the tissue at which layers are drawn: the composite's window, never enlarged."""
    view = View.of(compartments.grid, compartments.tissue)
    return View(view.grid, view.window, min(1.0, LONGEST_LAYER_PX / max(view.window.shape)))


def pack_cells(view: View, cells: Cells) -> dict[str, Any]:
    """Return the cells' places in sixteenths of a layer pixel, compartments and distances, packed.

    Arrays are little-endian and base64: ``xy`` uint16 pairs, ``compartment`` uint8, ``distance`` int16 in whole µm
    to the corticomedullary junction (:data:`NO_DISTANCE` where there is none).
    """
    table = cells.table
    step = max(1, -(-len(table) // MOST_CELLS))
    # Every n-th in the order of place: the same ones every time, spread as the cells are.
    part = table.iloc[::step]
    places = view.from_um(part[["y_um", "x_um"]].to_numpy(np.float64))[:, ::-1]
    codes = {c.name.lower(): int(c) for c in Compartment}
    named = part["compartment"] if "compartment" in part else [""] * len(part)
    distance = part["distance_to_cmj_um"] if "distance_to_cmj_um" in part else np.full(len(part), np.nan)
    rounded = np.clip(np.rint(np.asarray(distance, np.float64)), -32767, 32767)
    fine = np.clip(np.rint((places + 0.5) * PER_PIXEL), 0, 65535)
    return {
        "total": len(table),
        "step": step,
        "per_px": PER_PIXEL,
        "xy": _packed(fine.astype("<u2")),
        "compartment": _packed(np.array([codes.get(str(n), NO_COMPARTMENT) for n in named], np.uint8)),
        "distance": _packed(np.where(np.isfinite(rounded), rounded, NO_DISTANCE).astype("<i2")),
    }


PER_PIXEL = 16
"""Cells' places are kept in this fraction of a layer pixel: 65,535 / 16 is beyond the largest layer."""


def grey_jpeg(picture: npt.NDArray[np.uint8], quality: int = 82) -> bytes:
    """Encode a (H, W) uint8 picture as grey JPEG."""
    settings = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_OPTIMIZE, 1]
    return bytes(cv2.imencode(".jpg", picture, settings)[1].tobytes())


def _png(labels: npt.NDArray[np.uint8]) -> bytes:
    return bytes(cv2.imencode(".png", labels, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].tobytes())


def _grey(view: View, plane: FloatPlane, limits: tuple[float, float]) -> npt.NDArray[np.uint8]:
    low, high = limits
    level = np.clip(np.nan_to_num((view.show(plane).astype(np.float32) - low) / (high - low)), 0, 1)
    grey: npt.NDArray[np.uint8] = np.rint(level * 255).astype(np.uint8)
    return grey


def _origin_um(view: View) -> npt.NDArray[np.float64]:
    first = np.array([view.window.y0, view.window.x0]) - 0.5 + 0.5 / view.scale
    place: npt.NDArray[np.float64] = np.asarray(view.grid.to_um(first), np.float64)
    return place


def _packed(values: npt.NDArray[np.generic]) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode("ascii")

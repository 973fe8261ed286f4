"""Annotations as GeoJSON: what people drew or corrected, for QuPath, evaluation and training."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from thymusimg.compartments.model import Compartment
from thymusimg.errors import CallError, OutputError
from thymusimg.export.outlines import outline_mask
from thymusimg.export.qupath import CELL, COLOURS, feature

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Ring = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Outline:
    """One outlined thing.

    Attributes
    ----------
    what : str
        A compartment's name, any case (``medulla``), or ``CD45+``.
    rings_um : list of (N, 2) float64
        Outer ring, then holes, (y, x) in µm; the centre of the slide's first pixel is 0.
    """

    what: str
    rings_um: list[Ring]


def compartment_outlines(labels: npt.NDArray[np.uint8], pixel_um: float, first_um: float) -> list[Outline]:
    """Return the outlines of every piece of every compartment.

    They pass half-way between pixels inside and outside: drawn again on the same grid, they give ``labels`` back.

    Parameters
    ----------
    labels : (Y, X) uint8
        Codes of :class:`thymusimg.compartments.model.Compartment`.
    pixel_um, first_um : float
        Side of a pixel, and where the centre of the first one lies, in µm.
    """
    return [
        Outline(compartment.name.lower(), [ring * pixel_um + first_um for ring in polygon])
        for compartment in Compartment
        if compartment is not Compartment.BACKGROUND
        for polygon in outline_mask(labels == compartment)
    ]


def write_outlines(path: Path, outlines: Sequence[Outline], slide_pixel_um: float, name: str = "") -> None:
    """Write outlines as a GeoJSON FeatureCollection in full-resolution pixels from the slide's corner.

    Raises
    ------
    CallError
        If a class is not known; those that are get listed.
    OutputError
        If the file cannot be written.
    """
    known = {said.lower(): said for said in COLOURS if said.lower() in _CLASSES}
    features = []
    for number, outline in enumerate(outlines, 1):
        what = known.get(outline.what.strip().lower())
        if what is None:
            raise CallError(
                f"outline {number} has the class '{outline.what}'; known are {', '.join(known.values())}"
            )
        rings = [_closed(ring / slide_pixel_um + 0.5) for ring in outline.rings_um]
        coordinates = [[[float(x), float(y)] for y, x in ring] for ring in rings]
        geometry = {"type": "Polygon", "coordinates": coordinates}
        kind = "detection" if what == CELL else "annotation"
        features.append(feature(f"{name}/{what}/{number}", kind, what, f"{name} {what}".strip(), geometry, {}))
    text = json.dumps({"type": "FeatureCollection", "features": features}, ensure_ascii=False)
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_text(text + "\n", encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror or error})") from None
    finally:
        partial.unlink(missing_ok=True)


_CLASSES = {*(c.name.lower() for c in Compartment if c is not Compartment.BACKGROUND), CELL.lower()}


def _closed(ring: Ring) -> Ring:
    return ring if np.array_equal(ring[0], ring[-1]) else np.concatenate([ring, ring[:1]])

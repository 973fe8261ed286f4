"""Outlines of a section on a shared slide, as QuPath and other programs save them in GeoJSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from thymusimg.errors import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from thymusimg.section.model import Grid, Mask

MAX_GEOJSON_BYTES = 4 * 10**9
"""A million cells with 30 corners each are 1 GB."""
MAX_WRAPS = 8
BROKEN = (TypeError, ValueError, LookupError, AttributeError, OverflowError, RecursionError)
"""What coordinates that are none raise."""

SUBPIXEL_BITS = 4
"""OpenCV draws polygons on a grid of 1/16 pixel."""


def read_roi(path: Path, pixel_size_um: float, name: str | None = None) -> tuple[npt.NDArray[np.float64], ...]:
    """Read the outlines of a section from a GeoJSON file.

    Parameters
    ----------
    path : Path
        Polygons and multipolygons; x, y in full-resolution pixels from the slide's corner, as QuPath counts.
    pixel_size_um : float
        Side of a full-resolution pixel in µm.
    name : str, optional
        Take only the features of this name, where the file has one; else all of them.

    Returns
    -------
    tuple of (N, 2) float64
        Rings (y, x in µm; the centre of the first pixel is 0), the first point not repeated. Outer rings have a
        positive signed area in (x, y), holes a negative one.

    Raises
    ------
    UnreadableError
        If the file is missing, no GeoJSON, or holds no polygon.
    """
    features = read_features(path)
    named = [f for f in features if name and _name(f) == name]
    try:
        polygons = [polygon for feature in named or features for polygon in _polygons(feature)]
        rings = [_ring(points, i > 0) for polygon in polygons for i, points in enumerate(polygon)]
    except BROKEN as error:
        raise UnreadableError(f"{path}: a polygon's coordinates are broken ({error}).") from error
    if not rings:
        raise UnreadableError(
            f"{path}: holds no polygon. Draw the section's outline as a polygon and export it as GeoJSON."
        )
    # Corners count from the edge of the first pixel, µm from its centre.
    return tuple((ring[:, ::-1] - 0.5) * pixel_size_um for ring in rings)


def roi_mask(outlines: Sequence[npt.NDArray[np.float64]], grid: Grid) -> Mask:
    """Draw outlines on the coarse grid; overlapping outlines join, holes are cut out afterwards.

    Parameters
    ----------
    outlines : sequence of (N, 2) float64
        As :func:`read_roi` returns them; an empty sequence means the whole slide.
    """
    if not outlines:
        return np.ones(grid.shape, dtype=bool)
    drawn = np.zeros(grid.shape, dtype=np.uint8)
    outer = [ring for ring in outlines if _signed_area(ring[:, ::-1]) >= 0]
    holes = [ring for ring in outlines if _signed_area(ring[:, ::-1]) < 0]
    for rings, value in ((outer, 1), (holes, 0)):
        for ring in rings:
            points = np.rint(grid.to_index(ring)[:, ::-1] * 2**SUBPIXEL_BITS).astype(np.int32)
            cv2.fillPoly(drawn, [points], value, lineType=cv2.LINE_8, shift=SUBPIXEL_BITS)
    return drawn.astype(bool)


def read_features(path: Path) -> list[dict[str, Any]]:
    """Read the features of a GeoJSON file, however wrapped; a bare geometry is one without properties.

    Properties and geometry of every feature are mappings (empty where the file has none).

    Raises
    ------
    UnreadableError
        If the file is missing, no GeoJSON, nested without end, or larger than any outline.
    """
    try:
        size = path.stat().st_size
        if size > MAX_GEOJSON_BYTES:
            raise UnreadableError(f"{path}: has {size / 1e9:.1f} GB, more than any set of outlines.")
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        return list(geojson_features(content))
    except FileNotFoundError:
        raise UnreadableError(f"{path}: there is no such ROI file.") from None
    except UnreadableError:
        raise
    except (OSError, ValueError) as error:
        raise UnreadableError(f"{path}: is no GeoJSON file ({str(error)[:200]}).") from error
    except RecursionError:
        raise UnreadableError(f"{path}: is no GeoJSON file (nested without end).") from None


def geojson_features(content: Any, depth: int = 0) -> Iterator[dict[str, Any]]:
    """Yield the features of GeoJSON content, however wrapped; a bare geometry is one without properties.

    Raises
    ------
    ValueError
        If collections lie in one another without end, or a feature is none.
    """
    if depth > MAX_WRAPS:
        raise ValueError("collections nested without end")
    if isinstance(content, dict) and content.get("type") == "FeatureCollection":
        content = content.get("features") or []
    if isinstance(content, list):
        for item in content:
            yield from geojson_features(item, depth + 1)
    elif isinstance(content, dict) and content.get("type") == "Feature":
        parts = {key: content.get(key) or {} for key in ("properties", "geometry")}
        for key, part in parts.items():
            if not isinstance(part, dict):
                raise ValueError(f"the {key} of a feature are no mapping")
        yield {**content, **parts}
    elif isinstance(content, dict) and "coordinates" in content:
        yield {"properties": {}, "geometry": content}


def _name(feature: dict[str, Any]) -> str:
    return str(feature["properties"].get("name") or "")


def _polygons(feature: dict[str, Any]) -> list[Any]:
    geometry = feature["geometry"]
    if geometry.get("type") == "Polygon":
        return [geometry["coordinates"]]
    if geometry.get("type") == "MultiPolygon":
        return list(geometry["coordinates"])
    return []


def _ring(points: Any, is_hole: bool) -> npt.NDArray[np.float64]:
    ring = np.array([(float(point[0]), float(point[1])) for point in points], dtype=np.float64)
    if len(ring) > 1 and np.array_equal(ring[0], ring[-1]):
        ring = ring[:-1]
    if len(ring) < 3 or not np.isfinite(ring).all():
        raise ValueError(f"a ring of {len(ring)} points")
    return ring if (_signed_area(ring) < 0) == is_hole else ring[::-1].copy()


def _signed_area(xy: npt.NDArray[np.float64]) -> float:
    x, y = xy[:, 0], xy[:, 1]
    return float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2

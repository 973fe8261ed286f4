"""Outlines that people draw (GeoJSON of QuPath and others), and how they become labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from thymusimg.compartments.model import Compartment
from thymusimg.errors import UnreadableError
from thymusimg.section.roi import BROKEN, read_features

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from thymusimg.section.model import LabelPlane, Mask

TISSUE, CELL = "tissue", "cell"
NAMES: dict[str, Compartment | str] = {
    "cortex": Compartment.CORTEX,
    "medulla": Compartment.MEDULLA,
    "indeterminate": Compartment.INDETERMINATE,
    "cyst": Compartment.CYST,
    "other": Compartment.OTHER,
    "capsule": Compartment.OTHER,
    "septum": Compartment.OTHER,
    "septa": Compartment.OTHER,
    "vessel": Compartment.OTHER,
    "artefact": Compartment.ARTEFACT,
    "artifact": Compartment.ARTEFACT,
    "ignore*": Compartment.ARTEFACT,
    "tissue": TISSUE,
    "cell": CELL,
    "cell_cd45": CELL,
    "cd45": CELL,
    "cd45+": CELL,
}
"""Class names, lower case; QuPath's own ``Ignore*`` is what is not to be judged."""
DERIVED = frozenset({"islet", "corticomedullary junction"})
"""What ``thymusimg export`` draws beside its compartments: the medulla's pieces and its border, once more."""


@dataclass(frozen=True)
class Shape:
    """A polygon with holes and what it is.

    Attributes
    ----------
    what : Compartment or {"tissue", "cell"}
    rings : tuple of (N, 2) float64
        Corners (y, x) in full-resolution pixels from the slide's corner, as QuPath counts; even-odd rule.
    """

    what: Compartment | str
    rings: tuple[npt.NDArray[np.float64], ...]

    @property
    def area(self) -> float:
        """Area in square pixels, holes taken off."""
        first, *holes = (_area(ring) for ring in self.rings)
        return first - sum(holes)


def read_shapes(path: Path, names: Mapping[str, Compartment | str] = NAMES) -> tuple[Shape, ...]:
    """Read the outlines of a GeoJSON file; the class is the ``classification`` (or ``name``) of a feature.

    What follows from the compartments (:data:`DERIVED`) is passed over. ``names`` says what the class names mean,
    lower case.

    Raises
    ------
    UnreadableError
        If the file is missing, no GeoJSON, holds no polygon, or names a class that is not known here.
    """
    shapes: list[Shape] = []
    unknown: set[str] = set()
    for feature in read_features(path):
        name = _class_of(feature)
        if name.strip().lower() in DERIVED:
            continue
        what = names.get(name.strip().lower())
        if what is None:
            unknown.add(name or "(no class)")
            continue
        try:
            shapes += [Shape(what, tuple(_ring(r) for r in polygon)) for polygon in _polygons(feature)]
        except BROKEN as error:
            raise UnreadableError(f"{path}: the outline of '{name}' is broken ({error}).") from None
    if unknown:
        raise UnreadableError(
            f"{path}: holds outlines of unknown class: {', '.join(sorted(unknown))}. Known are "
            f"{', '.join(names)}: rename or delete the others, so that nothing is left out in silence."
        )
    if not shapes:
        raise UnreadableError(f"{path}: holds no polygon.")
    return tuple(shapes)


def draw_compartments(shapes: Sequence[Shape], shape: tuple[int, int], pixels: float) -> tuple[LabelPlane, Mask]:
    """Draw outlines on a grid whose pixel is ``pixels`` full-resolution pixels wide; return labels and tissue.

    A pixel belongs to the outline that holds its centre. Smaller outlines lie on larger ones, so a medulla drawn
    into a cortex cuts it out. What only a tissue outline holds is OTHER; without one, all classes but artefact make
    the tissue.
    """
    drawn = [s for s in shapes if s.what != CELL]
    drawn.sort(key=lambda s: (s.what != TISSUE, -s.area))
    labels = np.zeros(shape, np.uint8)
    outlined = np.zeros(shape, bool)
    for s in drawn:
        inside = fill(s.rings, shape, pixels)
        labels[inside] = Compartment.OTHER if s.what == TISSUE else s.what
        outlined |= inside & (s.what == TISSUE)
    if not outlined.any():
        outlined = (labels != Compartment.BACKGROUND) & (labels != Compartment.ARTEFACT)
    return labels, outlined


def draw_cells(shapes: Sequence[Shape], shape: tuple[int, int]) -> npt.NDArray[np.uint32]:
    """Draw the outlines of cells at full resolution, one label each; smaller ones lie on larger ones."""
    labels = np.zeros(shape, np.uint32)
    cells = sorted((s for s in shapes if s.what == CELL), key=lambda s: -s.area)
    for number, s in enumerate(cells, start=1):
        corners = np.concatenate(s.rings)
        top, left = (max(0, int(v)) for v in np.floor(corners.min(0)))
        bottom, right = (int(v) + 1 for v in np.ceil(corners.max(0)))
        box = labels[top:bottom, left:right]
        if box.size:
            box[fill([r - (top, left) for r in s.rings], box.shape, 1.0)] = number
    return labels


def fill(rings: Sequence[npt.NDArray[np.float64]], shape: tuple[int, int], pixels: float) -> Mask:
    """Return which pixel centres lie inside rings (even-odd rule, exact).

    >>> import numpy as np
    >>> square = np.array([[0.0, 1.0], [0.0, 3.0], [2.0, 3.0], [2.0, 1.0]])  # rows 0-2, columns 1-3
    >>> fill([square], (3, 4), 1.0).astype(int)
    array([[0, 1, 1, 0],
           [0, 1, 1, 0],
           [0, 0, 0, 0]])
    """
    height, width = shape
    crossings = np.zeros((height, width + 1), np.int32)
    for ring in rings:
        a = ring / pixels - 0.5  # centres of pixels stand at whole numbers
        b = np.roll(a, -1, axis=0)
        first = np.ceil(np.minimum(a[:, 0], b[:, 0])).astype(np.int64)
        last = np.ceil(np.maximum(a[:, 0], b[:, 0])).astype(np.int64)  # half-open: a corner counts once
        first, last = np.clip(first, 0, height), np.clip(last, 0, height)
        edge = np.repeat(np.arange(len(a)), last - first)
        row = np.arange(len(edge)) - np.repeat(np.cumsum(last - first) - (last - first), last - first) + first[edge]
        rise = b[edge, 0] - a[edge, 0]
        x = a[edge, 1] + (row - a[edge, 0]) / rise * (b[edge, 1] - a[edge, 1])
        np.add.at(crossings, (row, np.clip(np.ceil(x), 0, width).astype(np.int64)), 1)
    inside: Mask = (np.cumsum(crossings[:, :-1], axis=1) % 2).astype(bool)
    return inside


def _class_of(feature: dict[str, Any]) -> str:
    properties = feature.get("properties") or {}
    found = properties.get("classification") or properties.get("compartment") or properties.get("name") or ""
    return str(found.get("name") or "" if isinstance(found, dict) else found)


def _polygons(feature: dict[str, Any]) -> list[Any]:
    geometry = feature.get("geometry") or {}
    if geometry.get("type") == "Polygon":
        return [geometry["coordinates"]]
    if geometry.get("type") == "MultiPolygon":
        return list(geometry["coordinates"])
    return []


def _ring(points: Any) -> npt.NDArray[np.float64]:
    ring = np.array([(float(p[1]), float(p[0])) for p in points], dtype=np.float64)
    if len(ring) > 1 and np.array_equal(ring[0], ring[-1]):
        ring = ring[:-1]
    if len(ring) < 3 or not np.isfinite(ring).all():
        raise ValueError(f"a ring of {len(ring)} points")
    return ring


def _area(ring: npt.NDArray[np.float64]) -> float:
    y, x = ring.T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2

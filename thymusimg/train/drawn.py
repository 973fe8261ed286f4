"""What somebody drew on one section, brought onto the section's own pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from thymusimg.errors import CallError, PixelSizeError, UnreadableError
from thymusimg.evaluate.grids import align
from thymusimg.evaluate.load import load
from thymusimg.evaluate.model import Labelled, Raster
from thymusimg.evaluate.outlines import CELL, NAMES, TISSUE, draw_cells, draw_compartments, fill, read_shapes
from thymusimg.section.model import Window
from thymusimg.section.store import Bundle

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from thymusimg.evaluate.outlines import Shape
    from thymusimg.models.card import Task
    from thymusimg.section.model import Grid, LabelPlane, Mask
    from thymusimg.train.folder import Annotation

REGION = "region"
REGION_NAMES = dict.fromkeys(("region", "region*", "roi", "annotated", "looked at"), REGION)
"""Class names of an outline that says what was looked at; QuPath's own ``Region*`` among them."""
OUTLINES = (".geojson", ".json")
MARGIN_UM = 20.0
"""So much of the slide is kept around what was looked at."""
_STRIP = 2048


@dataclass(frozen=True)
class DrawnCells:
    """Cells on the slide's own pixels, and what was looked at.

    Attributes
    ----------
    window : Window
        The part of the slide: what was looked at and a margin, so that cells at its rim are whole.
    labels : (Y, X) uint32
    annotated : (Y, X) bool
    notes : tuple of str
    """

    window: Window
    labels: npt.NDArray[np.uint32]
    annotated: Mask
    notes: tuple[str, ...] = ()


def read_cells(annotation: Annotation, grid: Grid) -> DrawnCells:
    """Read the cells that somebody drew on a section.

    What was looked at is the outline of class ``region`` in the same GeoJSON file or in ``ID_region.geojson``; the
    whole slide for synthetic truth; else the box around the cells, which a note says.

    Raises
    ------
    CallError
        If the labels are not on the slide's pixels.
    UnreadableError
        If the file cannot be read, or holds neither cells nor a region.
    """
    path, shape = annotation.path, grid.slide_shape
    source: Any
    if path.suffix.lower() in OUTLINES:
        source = [s for s in _shapes(path) if s.what in (CELL, REGION)]
        regions = [s for s in source if s.what == REGION]
        box = _bounds([s for s in source if s.what == CELL], shape)
    else:
        source, regions = _cell_labels(path, grid), []
        box = Window(0, shape[0], 0, shape[1]) if _is_synthetic(path) else _around(source)
    if annotation.region is not None:
        regions += [s for s in _shapes(annotation.region) if s.what == REGION]
    looked_at = _bounds(regions, shape) if regions else box
    if looked_at is None:
        what = "the outline of class 'region' lies off the slide" if regions else "holds no cell on the slide"
        raise UnreadableError(
            f"{path}: {what}. Draw cells (class 'cell') and what was looked at (class 'region') on this section, "
            "and export them in pixels."
        )
    window = looked_at.grown(math.ceil(MARGIN_UM / grid.slide_pixel_um), shape)
    labels = _in_window(source, window)
    if regions:
        return DrawnCells(window, labels, _drawn(regions, window))
    annotated = np.zeros(window.shape, bool)
    annotated[
        looked_at.y0 - window.y0 : looked_at.y1 - window.y0, looked_at.x0 - window.x0 : looked_at.x1 - window.x0
    ] = True
    if _is_synthetic(path):
        return DrawnCells(window, labels, annotated)
    note = (
        f"{annotation.row.section_id}: no outline of class 'region' says what was looked at; the box around its "
        "cells was taken, as if no cell in it was left out"
    )
    return DrawnCells(window, labels, annotated, (note,))


def read_compartments(annotation: Annotation, grid: Grid) -> tuple[LabelPlane, tuple[str, ...]]:
    """Read the compartments that somebody drew on a section, as codes on its coarse grid; 0: nothing was drawn.

    Raises
    ------
    CallError
        If the labels are not on the section's grid.
    UnreadableError
        If the file cannot be read, or holds no compartment.
    """
    path = annotation.path
    if path.suffix.lower() in OUTLINES:
        # an outline of the tissue alone says nothing about what lies in it
        drawn = [s for s in _shapes(path) if s.what not in (CELL, REGION, TISSUE)]
        labels, _ = draw_compartments(drawn, grid.shape, grid.factor)
    else:
        labels = _codes(path, grid)
    if not labels.any():
        raise UnreadableError(f"{path}: holds no compartment on the section. Is it of this section's pixels?")
    return labels, ()


def _shapes(path: Path) -> tuple[Shape, ...]:
    return read_shapes(path, NAMES | REGION_NAMES)


def _in_window(source: Any, window: Window) -> npt.NDArray[np.uint32]:
    if isinstance(source, list):
        return draw_cells([_moved(s, window) for s in source], window.shape)
    return np.asarray(source[window.slices]).astype(np.uint32)


def _cell_labels(path: Path, grid: Grid) -> Any:
    """Return the label image, lazily where the file is."""
    found = _load(path, grid, "cells")
    if found.cells is None:
        raise UnreadableError(f"{path}: holds no cells.")
    own = Raster(np.broadcast_to(np.uint32(0), grid.slide_shape), grid.slide_pixel_um)
    return align("cells", Labelled("", "the slide", cells=own), found).other


def _codes(path: Path, grid: Grid) -> LabelPlane:
    found = _load(path, grid, "compartments")
    if found.compartments is None:
        raise UnreadableError(f"{path}: holds no compartments.")
    own = Raster(np.broadcast_to(np.uint8(0), grid.shape), grid.pixel_um, grid.translation_um)
    aligned = align("compartments", Labelled("", "the section's grid", own), found)
    codes = np.asarray(aligned.other).astype(np.uint8)
    return most_frequent(codes, round(grid.pixel_um / aligned.pixel_um))


def _load(path: Path, grid: Grid, what: Task) -> Labelled:
    """Read label images; those without a pixel size are on the slide's pixels, or on the grid if of its shape."""
    try:
        found = load(path, what=what)
    except PixelSizeError:
        found = load(path, grid.slide_pixel_um, what)
        raster = getattr(found[0], what)
        if what == "compartments" and raster is not None and raster.shape == grid.shape:
            found = [replace(found[0], compartments=replace(raster, pixel_um=grid.pixel_um))]
    if len(found) != 1:
        raise CallError(f"{path}: holds {len(found)} sections; the annotation of one is one bundle or file.")
    return found[0]


def most_frequent(codes: LabelPlane, factor: int) -> LabelPlane:
    """Return the code that most pixels of every block of ``factor × factor`` pixels have, the lowest of several.

    >>> import numpy as np
    >>> most_frequent(np.array([[1, 1, 2], [2, 1, 2]], np.uint8), 2)
    array([[1, 2]], dtype=uint8)
    """
    if factor == 1:
        return codes
    height, width = (-(-n // factor) for n in codes.shape)
    best = np.zeros((height, width), np.int64)
    chosen = np.zeros((height, width), np.uint8)
    missing = [(0, n * factor - m) for n, m in zip((height, width), codes.shape, strict=True)]
    whole = np.pad(codes, missing, mode="edge")
    blocks = whole.reshape(height, factor, width, factor)
    for code in np.unique(codes):
        count = np.count_nonzero(blocks == code, axis=(1, 3))
        better = count > best
        chosen[better], best[better] = code, count[better]
    return chosen


def _drawn(shapes: Sequence[Shape], window: Window) -> Mask:
    inside = np.zeros(window.shape, bool)
    for one in shapes:
        inside |= fill(_moved(one, window).rings, window.shape, 1.0)
    return inside


def _moved(shape: Shape, window: Window) -> Shape:
    return replace(shape, rings=tuple(ring - (window.y0, window.x0) for ring in shape.rings))


def _bounds(shapes: Sequence[Shape], shape: tuple[int, int]) -> Window | None:
    """Return the part of the slide that outlines lie in; None where there is none."""
    if not shapes:
        return None
    corners = np.concatenate([ring for s in shapes for ring in s.rings])
    (y0, x0), (y1, x1) = np.floor(corners.min(0)), np.ceil(corners.max(0))
    window = Window(max(0, int(y0)), min(shape[0], int(y1)), max(0, int(x0)), min(shape[1], int(x1)))
    return window if window.y1 > window.y0 and window.x1 > window.x0 else None


def _around(labels: Any) -> Window | None:
    """Return the box around all labels, reading strip by strip."""
    rows: list[int] = []
    columns = np.zeros(labels.shape[1], bool)
    for top in range(0, labels.shape[0], _STRIP):
        strip = np.asarray(labels[top : top + _STRIP]) > 0
        rows += (np.flatnonzero(strip.any(1)) + top).tolist()
        columns |= strip.any(0)
    if not rows:
        return None
    across = np.flatnonzero(columns)
    return Window(rows[0], rows[-1] + 1, int(across[0]), int(across[-1]) + 1)


def _is_synthetic(path: Path) -> bool:
    if not path.is_dir():
        return False
    try:
        return bool(Bundle.open(path).attributes.get("synthetic"))
    except UnreadableError:  # labels of another program
        return False

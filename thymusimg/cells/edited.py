"""Cells that a person corrected: added, deleted, split, merged; measured and numbered as detection does.

Every function returns other :class:`Cells` and leaves the given ones as they are. Masks stay disjoint, ``cell_id``
stays the row in the order of ``y_um, x_um``, and untouched cells keep their values to the last bit. What a person
drew has a ``score`` of 1. What adds cells gives them as detection does: not yet assigned to compartments
(:func:`thymusimg.pipeline.place_cells`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from thymusimg.cells.collect import Found, arrange, empty
from thymusimg.cells.cutting import cut_along, cut_in_two
from thymusimg.cells.labels import find_labelled
from thymusimg.cells.model import CellMasks, Cells
from thymusimg.cells.region import Region, bridged
from thymusimg.errors import CallError
from thymusimg.progress import silent
from thymusimg.section.model import Window
from thymusimg.section.tiles import tile_grid

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from thymusimg.cells.light import CellLight
    from thymusimg.progress import Progress
    from thymusimg.section.model import FloatPlane

EDITED = "edited"
"""Stands after the method's name, where people changed what it found: ``classical, edited``."""
PLACED = ("compartment", "distance_to_cmj_um", "depth_from_capsule_um", "axis", "cma2", "cma3")
"""Columns that the compartments give."""
GAP_UM = 2.0
"""Cells that are merged may lie so far apart; the gap is filled."""
FARTHEST_UM = 64.0
"""No labelled cell reaches farther from its centroid than this."""


def add_cell(cells: Cells, region: Region, light: CellLight, *, least_um2: float = 0.0) -> Cells:
    """Return the cells and one more: what of ``region`` no other cell owns, its biggest piece.

    Parameters
    ----------
    cells : Cells
    region : Region
        From :func:`~thymusimg.cells.region.disc_region` or ``polygon_region``.
    light : CellLight
        The section's stains, whose means are taken.
    least_um2 : float
        Smallest cell.

    Raises
    ------
    CallError
        If less than ``least_um2`` is left of it.
    """
    free = Region(region.window, region.mask & (cells.masks.paint(region.window) == 0)).biggest()
    area = free.pixels * light.section.pixel_size_um**2
    if not free.pixels or area < least_um2:
        raise CallError(
            f"other cells leave {area:.3g} µm² of the new one, and a cell has at least {least_um2:g} µm². "
            "Draw it where there is none, or delete the other first."
        )
    return _changed(cells, (), (free,), light)


def delete_cells(cells: Cells, ids: Iterable[int]) -> Cells:
    """Return the cells without those of these ``cell_id``.

    Raises
    ------
    CallError
        If there is no such cell.
    """
    gone = _rows(cells, ids)
    kept = np.setdiff1d(np.arange(len(cells.table)), gone)
    return _named(cells, cells.table.iloc[kept], arrange(cells.masks, kept))


def split_cell(
    cells: Cells,
    cell_id: int,
    light: CellLight,
    *,
    line_um: npt.ArrayLike | None = None,
    least_um2: float = 0.0,
) -> Cells:
    """Return the cells with one of them cut in two; of a side in several pieces the biggest stays.

    Parameters
    ----------
    cells, light, least_um2
        As in :func:`add_cell`.
    cell_id : int
    line_um : (2, 2), optional
        Two places (y, x in µm) of a straight line to cut along; without it, where shape and membrane say
        (:func:`~thymusimg.cells.cutting.cut_in_two`).

    Raises
    ------
    CallError
        If there is no such cell, or a part would be smaller than ``least_um2``.
    """
    (row,) = _rows(cells, [cell_id])
    whole, pixel_um = region_of(cells, cell_id), light.section.pixel_size_um
    if line_um is None:
        cd45 = light.read(["cd45"], light.section.in_section(whole.window))["cd45"]
        parts = cut_in_two(whole.mask, cd45, pixel_um)
    else:
        corner = np.array([whole.window.y0, whole.window.x0])
        start, end = np.asarray(line_um, np.float64).reshape(2, 2) / pixel_um - corner
        parts = cut_along(whole.mask, start, end)
    halves = [Region(whole.window, parts == side).biggest() for side in (1, 2)]
    smallest = min(half.pixels for half in halves) * pixel_um**2
    if smallest < max(least_um2, pixel_um**2):
        raise CallError(
            f"cell {cell_id} was not split: one part would have {smallest:.3g} µm², and a cell has at least "
            f"{least_um2:g} µm²."
        )
    return _changed(cells, [row], halves, light)


def merge_cells(cells: Cells, ids: Sequence[int], light: CellLight) -> Cells:
    """Return the cells with several of them joined to one; gaps of up to 2 µm between them are filled.

    Raises
    ------
    CallError
        If there is no such cell, fewer than two, or they do not touch.
    """
    rows = _rows(cells, ids)
    if len(rows) < 2:
        raise CallError("merging needs two cells")
    parts = [region_of(cells, int(row) + 1) for row in rows]
    boxes = cells.masks.boxes[rows]
    (y0, x0), (y1, x1) = boxes[:, ::2].min(axis=0), boxes[:, 1::2].max(axis=0)
    window = Window(int(y0), int(y1), int(x0), int(x1))
    free = cells.masks.paint(window) == 0
    joined = bridged(parts, free, window, GAP_UM / light.section.pixel_size_um)
    if joined is None:
        names = ", ".join(str(int(row) + 1) for row in rows)
        raise CallError(f"cells {names} lie more than {GAP_UM:g} µm apart: a cell's profile is one region.")
    return _changed(cells, rows, (Region(window, joined),), light)


def region_of(cells: Cells, cell_id: int) -> Region:
    """Return the pixels of a cell.

    Raises
    ------
    CallError
        If there is no such cell.
    """
    (row,) = _rows(cells, [cell_id])
    y0, y1, x0, x1 = (int(edge) for edge in cells.masks.boxes[row])
    return Region(Window(y0, y1, x0, x1), cells.masks.mask(int(row)))


def cell_at(cells: Cells, place_um: Sequence[float], pixel_um: float) -> int:
    """Return the ``cell_id`` of the cell that owns a place (y, x in µm), 0 where there is none."""
    y, x = (round(float(v) / pixel_um) for v in place_um)
    return int(cells.masks.paint(Window(y, y + 1, x, x + 1))[0, 0])


def cells_of_labels(
    labels: Any,
    light: CellLight,
    fraction: FloatPlane,
    *,
    method: str = "labels",
    scores: FloatPlane | None = None,
    tile_px: int = 2048,
    progress: Progress = silent,
) -> Cells:
    """Return the cells of a label image of the whole slide, measured as detection measures.

    Of a label in several pieces the biggest is the cell. No gate is asked: what somebody labelled is a cell.

    Parameters
    ----------
    labels : (Y, X) integers
        An array, or what is sliced like one; 0 is no cell.
    light : CellLight
    fraction : (Y, X) float32
        The section's ``positive_fraction``.
    scores : (highest label + 1,) float32, optional
        Confidence of every label; without it, NaN.
    tile_px : int
        No result depends on it.

    Returns
    -------
    Cells
        Not yet assigned to compartments.
    """
    found: list[Found] = []
    tiles = [tile.core for tile in tile_grid(light.section.shape, tile_px)]
    halo = int(FARTHEST_UM / light.section.pixel_size_um) + 1
    for index, core in enumerate(tiles):
        progress("cells", index / len(tiles))
        window = core.grown(halo, light.section.shape)
        part = np.ascontiguousarray(labels[light.section.on_slide(window).slices], np.int32)
        if part.any():
            planes = light.read(light.stains, window)
            stains = [planes[role] for role in light.stains]
            found.append(find_labelled(part, (window.y0, window.x0), core, stains, scores=scores))
    table, masks = light.join(found or [empty(len(light.stains))])
    return Cells(table, masks, fraction, light.gate, method)


def _changed(
    cells: Cells, gone: Sequence[int] | npt.NDArray[np.intp], regions: Sequence[Region], light: CellLight
) -> Cells:
    """Return the cells without some rows and with new regions, in order; no longer placed."""
    kept = np.setdiff1d(np.arange(len(cells.table)), np.asarray(gone, np.intp))
    new = [_measured(region, light) for region in regions]
    rows, masks = light.join(new)
    old = cells.table.iloc[kept]
    old = old.drop(columns=[name for name in PLACED if name in old])
    table = pd.concat([old, rows[list(old.columns)]], ignore_index=True) if len(old) else rows
    before = cells.masks
    starts = np.concatenate([before.starts, before.starts[-1] + masks.starts[1:]])
    boxes, bits = np.concatenate([before.boxes, masks.boxes]), np.concatenate([before.bits, masks.bits])
    order = np.lexsort((table["x_um"].to_numpy(), table["y_um"].to_numpy()))
    chosen = np.concatenate([kept, len(before) + np.arange(len(masks))])[order]
    return _named(cells, table.iloc[order], arrange(CellMasks(boxes, starts, bits), chosen))


def _measured(region: Region, light: CellLight) -> Found:
    """Return a region as detection's tiles give their cells."""
    window = light.section.in_section(region.window)
    planes = light.read(light.stains, window)
    stains = [planes[role] for role in light.stains]
    corner = (window.y0, window.x0)
    everywhere = Window(*(v for size in light.section.shape for v in (0, size)))
    scores = np.ones(2, np.float32)
    return find_labelled(region.mask.astype(np.int32), corner, everywhere, stains, scores=scores)


def _named(cells: Cells, table: pd.DataFrame, masks: CellMasks) -> Cells:
    table = table.reset_index(drop=True).assign(cell_id=np.arange(1, len(table) + 1, dtype=np.int64))
    method = f"{cells.method.removesuffix(f', {EDITED}')}, {EDITED}"
    return replace(cells, table=table, masks=masks, method=method)


def _rows(cells: Cells, ids: Iterable[int]) -> npt.NDArray[np.intp]:
    """Return the rows of cells, each once, in order."""
    rows = np.unique(np.array([int(one) - 1 for one in ids], np.intp))
    strange = rows[(rows < 0) | (rows >= len(cells.table))]
    if len(strange):
        raise CallError(f"there is no cell {strange[0] + 1}; the section has {len(cells.table)}")
    return rows

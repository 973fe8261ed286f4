"""Bringing two sides onto one grid, or saying why they are not on one. Nothing is resampled in silence."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from thymusimg.errors import CallError
from thymusimg.evaluate.model import Labelled, Raster
from thymusimg.evaluate.outlines import CELL, draw_cells, draw_compartments

if TYPE_CHECKING:
    import numpy.typing as npt

_SAME = 1e-6


@dataclass(frozen=True)
class Aligned:
    """Two label images on one grid."""

    one: Any
    other: Any
    pixel_um: float
    first_um: float
    note: str = ""


def align(what: str, one: Labelled, other: Labelled) -> Aligned:
    """Return the label images ``what`` of both sides on one grid.

    The same shape, pixel and place: as they are. Pixels that are a whole number of the other's, over the same
    ground: every coarse pixel is repeated over the fine ones that it covers, and the note says so.

    Raises
    ------
    CallError
        For anything else; both grids are named.
    """
    a, b = getattr(one, what), getattr(other, what)
    same_place = a.first_um is None or b.first_um is None or abs(a.first_um - b.first_um) < _SAME
    if a.shape == b.shape and _near(a.pixel_um, b.pixel_um) and same_place:
        first = next((f for f in (b.first_um, a.first_um) if f is not None), 0.0)
        return Aligned(a.pixels, b.pixels, b.pixel_um, first)
    fine, coarse = (a, b) if a.pixel_um < b.pixel_um else (b, a)
    factor = round(coarse.pixel_um / fine.pixel_um)
    if what != "cells" and factor > 1 and _covers(coarse, fine, factor):
        repeated = repeat(coarse.array(), factor, fine.shape)
        pair = (fine.array(), repeated) if fine is a else (repeated, fine.array())
        note = (
            f"{what}: every pixel of {coarse.pixel_um:g} µm was repeated over {factor} × {factor} of "
            f"{fine.pixel_um:g} µm"
        )
        return Aligned(pair[0], pair[1], fine.pixel_um, fine.first_um or 0.0, note)
    raise CallError(
        f"{what} of {one.source} ({a.words}{_place(a)}) and of {other.source} ({b.words}{_place(b)}) are not on "
        "one grid; labels are not resampled in silence. Export both from the same image at the same pixel size."
    )


def _place(raster: Raster) -> str:
    return "" if raster.first_um is None else f", first at {raster.first_um:g} µm"


def _near(a: float, b: float) -> bool:
    return abs(a - b) <= 1e-4 * max(a, b)


def _covers(coarse: Raster, fine: Raster, factor: int) -> bool:
    if not _near(coarse.pixel_um, fine.pixel_um * factor):
        return False
    if coarse.shape != tuple(-(-n // factor) for n in fine.shape):
        return False
    if coarse.first_um is None or fine.first_um is None:
        return True  # a file without a place begins where the other begins
    return abs(coarse.first_um - fine.first_um - (factor - 1) / 2 * fine.pixel_um) < _SAME


def repeat(labels: npt.NDArray[Any], factor: int, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Repeat every pixel over a square of ``factor`` pixels, cut to ``shape``."""
    return np.repeat(np.repeat(labels, factor, 0), factor, 1)[: shape[0], : shape[1]]


def with_shapes_drawn(one: Labelled, other: Labelled, pixel_size_um: float | None) -> Labelled:
    """Return ``one`` with its outlines drawn on the grid of ``other``.

    Parameters
    ----------
    pixel_size_um : float, optional
        Side of the pixel that the outlines count in; the slide's where the other side is a bundle.

    Raises
    ------
    CallError
        If neither side has a grid, or the pixel that the outlines count in is not known.
    """
    if not one.shapes:
        return one
    like, cells = other.compartments or other.tissue, other.cells
    if like is None and cells is None:
        raise CallError(
            f"{one.source}: outlines have no pixels of their own, and {other.source} has none either. "
            "Compare outlines with a bundle or a label image."
        )
    slide = _slide_pixel(one, other, pixel_size_um)
    drawn = replace(one, shapes=(), notes=(*one.notes, f"outlines of {one.source} count in pixels of {slide:g} µm"))
    if like is not None and any(s.what != CELL for s in one.shapes):
        labels, tissue = draw_compartments(one.shapes, like.shape, like.pixel_um / slide)
        drawn = replace(
            drawn,
            compartments=Raster(labels, like.pixel_um, like.first_um),
            tissue=Raster(tissue, like.pixel_um, like.first_um),
        )
    if cells is not None and any(s.what == CELL for s in one.shapes):
        drawn = replace(drawn, cells=Raster(draw_cells(one.shapes, cells.shape), cells.pixel_um, cells.first_um))
    return drawn


def _slide_pixel(one: Labelled, other: Labelled, given: float | None) -> float:
    if given is not None:
        return given
    recorded = other.row.get("pixel_size_um")
    if isinstance(recorded, (int, float)) and np.isfinite(recorded):
        return float(recorded)
    if other.cells is not None:
        return other.cells.pixel_um
    raise CallError(
        f"{one.source}: outlines count in pixels of the slide, whose size neither side records. "
        "Give it with --pixel-size UM."
    )

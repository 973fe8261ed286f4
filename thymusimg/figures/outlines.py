"""Outlines of compartments, junction and cells as lines in a panel's pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from thymusimg.figures.frame import sample
from thymusimg.report.overlays import COMPARTMENT_COLOURS, JUNCTION_COLOUR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thymusimg.figures.frame import Frame
    from thymusimg.figures.source import Shown
    from thymusimg.report.picture import Colour
    from thymusimg.section.model import FloatPlane

CELL_COLOUR: Colour = (255, 255, 255)
_SMOOTH_PX = 0.8
_TINT = 0.22
_MOST_CELLS = 5000
"""Inside an inset; more would be a grey mat."""


@dataclass(frozen=True)
class Lines:
    """Lines of one colour: ``paths`` are (N, 2) of (y, x) in pixels of the panel, ``points`` places of cells."""

    name: str
    colour: Colour
    width_pt: float
    paths: tuple[npt.NDArray[np.float64], ...] = ()
    points: npt.NDArray[np.float64] | None = None


def find_lines(section: Shown, frame: Frame, pitch_um: float, drawn: Sequence[str], *, close: bool) -> list[Lines]:
    """Return what is drawn over a panel.

    Parameters
    ----------
    drawn : sequence of str
        Of ``compartments``, ``junction`` and ``cells``.
    close : bool
        A magnified panel: cells are outlined at full resolution; elsewhere each is a dot.
    """
    found: list[Lines] = []
    if "compartments" in drawn:
        found += _compartments(section, frame, pitch_um)
    if "junction" in drawn and section.junction_um:
        paths = tuple(frame.to_panel(line, pitch_um) for line in section.junction_um)
        found.append(Lines("corticomedullary junction", JUNCTION_COLOUR, 1.0, paths))
    if "cells" in drawn and len(section.cells_um):
        if close:
            found.append(Lines("CD45+ cells", CELL_COLOUR, 0.5, _cell_outlines(section, frame, pitch_um)))
        else:
            found.append(Lines("CD45+ cells", CELL_COLOUR, 0, points=frame.to_panel(section.cells_um, pitch_um)))
    return found


def tint(ground: FloatPlane, section: Shown, frame: Frame, pitch_um: float) -> None:
    """Tint an (H, W, 3) float32 picture in place: an outline alone does not say which side is the cortex."""
    grid = section.grid
    window = frame.window(grid.shape, grid.pixel_um, grid.first_um)
    part = section.labels[window.slices]
    labels = sample(
        part, (window.y0, window.x0), grid.pixel_um, grid.first_um, frame, pitch_um, nearest=True
    )  # fmt: skip
    for compartment, colour in COMPARTMENT_COLOURS.items():
        here = labels == compartment
        ground[here] = (1 - _TINT) * ground[here] + _TINT * np.array(colour, np.float32)


def _compartments(section: Shown, frame: Frame, pitch_um: float) -> list[Lines]:
    from scipy.ndimage import gaussian_filter
    from skimage.measure import approximate_polygon, find_contours

    grid = section.grid
    window = frame.window(grid.shape, grid.pixel_um, grid.first_um)
    labels = np.pad(section.labels[window.slices], 1)
    corner = np.array([window.y0, window.x0]) - 1
    found = []
    for compartment, colour in COMPARTMENT_COLOURS.items():
        mask = labels == compartment
        if not mask.any():
            continue
        # Pixel steps are the grid's, not the tissue's; less than a pixel of smoothing takes them away.
        smooth = gaussian_filter(mask.astype(np.float32), _SMOOTH_PX)
        paths = [approximate_polygon(line, 0.15) for line in find_contours(smooth, 0.5)]
        placed = tuple(frame.to_panel(grid.to_um(line + corner), pitch_um) for line in paths if len(line) > 2)
        if placed:
            found.append(Lines(compartment.name.lower(), colour, 0.6, placed))
    return found


def _cell_outlines(section: Shown, frame: Frame, pitch_um: float) -> tuple[npt.NDArray[np.float64], ...]:
    from scipy.ndimage import find_objects
    from skimage.measure import find_contours

    window = frame.window(section.shape, section.pixel_um)
    labels = np.asarray(section.bundle.label("cells")[window.slices])
    if not labels.any():
        return ()
    ids, small = np.unique(labels, return_inverse=True)
    small = small.reshape(labels.shape) + (0 if ids[0] == 0 else 1)
    lines = []
    for code, box in enumerate(find_objects(small.astype(np.int32))[:_MOST_CELLS], start=1):
        mask = np.pad(small[box] == code, 1).astype(np.float32)
        corner = np.array([box[0].start + window.y0, box[1].start + window.x0]) - 1
        lines += [frame.to_panel((line + corner) * section.pixel_um, pitch_um) for line in find_contours(mask, 0.5)]
    return tuple(lines)

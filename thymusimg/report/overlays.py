"""Pictures of a whole section: its stains as the field prints them, and what was found drawn on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from thymusimg.compartments.model import Compartment
from thymusimg.report.inset import CLEARLY_POSITIVE, draw_inset
from thymusimg.report.palette import NAMES, SCREEN
from thymusimg.report.picture import RGB, Colour, View, draw_lines, to_jpeg, with_footer
from thymusimg.report.words import stands_in

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from thymusimg.cells.model import Cells, Gate
    from thymusimg.compartments.model import Compartments
    from thymusimg.section.model import FloatPlane, Mask, Section

__all__ = [
    "COMPARTMENT_COLOURS",
    "STAIN_COLOURS",
    "View",
    "display_limits",
    "draw_compartments",
    "draw_composite",
    "draw_inset",
    "draw_section",
    "to_jpeg",
    "write_pictures",
]

STAIN_COLOURS = SCREEN

COMPARTMENT_COLOURS: dict[Compartment, Colour] = {
    Compartment.CORTEX: (86, 180, 233),
    Compartment.MEDULLA: (255, 170, 20),
    Compartment.INDETERMINATE: (226, 140, 190),
    Compartment.CYST: (0, 190, 140),
    Compartment.OTHER: (150, 150, 150),
    Compartment.ARTEFACT: (220, 70, 40),
}
"""After Okabe and Ito, brightened for a dark ground; told apart with every common colour blindness."""
JUNCTION_COLOUR: Colour = (250, 240, 90)
CELL_COLOUR: Colour = (255, 255, 255)

_SAMPLE = 250_000
_BAND_ROWS = 128


def display_limits(
    planes: Mapping[str, FloatPlane], tissue: Mask | None = None, gate: Gate | None = None
) -> dict[str, tuple[float, float]]:
    """Return one (black, white) pair a stain for the whole section, from percentiles of its tissue.

    Keratins run from the 2nd to the 98.5th, so that a bright capsule does not darken the rest; CD45, which may be
    sparse, to the 99.7th.

    Parameters
    ----------
    planes : mapping of str to (Y, X) float32
        Background-subtracted coarse planes by role.
    tissue : (Y, X) bool, optional
        Where to look; everywhere without it.
    gate : Gate, optional
        Keeps CD45-negative tissue dark: black is its background, and white is never nearer to it than three times
        the gate, so that noise is not stretched into what looks like cells.
    """
    limits = {}
    for role, plane in planes.items():
        values = plane[tissue] if tissue is not None and tissue.any() else plane.ravel()
        # A fixed stride: limits for the eye need no more, and the same pixels are taken every time.
        values = values[:: max(1, values.size // _SAMPLE)]
        values = values[np.isfinite(values)]
        ends = (2, 99.7 if role == "cd45" else 98.5)
        low, high = (float(v) for v in np.percentile(values, ends)) if values.size else (0.0, 1.0)
        if role == "cd45" and gate is not None:
            low, high = (
                gate.background,
                max(high, gate.background + CLEARLY_POSITIVE * (gate.threshold - gate.background)),
            )
        limits[role] = (low, high if high > low else low + 1.0)
    return limits


def draw_composite(
    planes: Mapping[str, FloatPlane],
    view: View,
    limits: Mapping[str, tuple[float, float]] | None = None,
    *,
    markers: Mapping[str, str] | None = None,
) -> RGB:
    """Draw the stains over one another on black: CD45 red, K14 blue, K8 green.

    Parameters
    ----------
    planes : mapping of str to (Y, X) float32
        Coarse planes by role; roles without a colour (``dapi``) are left out, missing ones are black.
    view : View
    limits : mapping of str to (black, white), optional
        One pair a role for the whole section; from :func:`display_limits` without it.
    markers : mapping of str to str, optional
        What really stands in a role (``{"k14": "CD11c"}``), for the legend.

    Returns
    -------
    (H, W, 3) uint8
        ``view.shape`` pixels and a footer with scale bar and legend below.
    """
    limits = limits or display_limits(planes)
    colours = np.zeros((3, *view.shape), np.float32)
    legend = []
    for role, colour in STAIN_COLOURS.items():
        if role not in planes:
            continue
        low, high = limits[role]
        shown = view.show(planes[role]).astype(np.float32)
        level = np.clip(np.nan_to_num((shown - low) / (high - low)), 0, 1)
        for plane, share in zip(colours, colour, strict=True):
            plane += level * np.float32(share)
        legend.append((_marker(role, markers), colour))
    picture = cv2.merge([cv2.convertScaleAbs(plane) for plane in colours])  # rounds, and ends at 255
    return with_footer(np.asarray(picture, np.uint8), view.pixel_um, legend)


def draw_compartments(composite: RGB, view: View, compartments: Compartments, cells: Cells | None = None) -> RGB:
    """Draw the outlines of the compartments, the junction and the cells over a paled composite.

    Parameters
    ----------
    composite : (H, W, 3) uint8
        From :func:`draw_composite` with the same ``view``.
    view : View
    compartments : Compartments
    cells : Cells, optional
        Each is a dot at its place; the junction is drawn thicker than the outlines.
    """
    picture = _paled(composite[: view.shape[0]])
    labels = compartments.labels[view.window.slices]
    present = [c for c in COMPARTMENT_COLOURS if np.any(labels == c)]
    _tint(picture, view.show(compartments.labels, nearest=True), present)
    for compartment in present:
        outlines = _outlines(labels == compartment, view)
        draw_lines(picture, outlines, COMPARTMENT_COLOURS[compartment], 1, closed=True)
    legend = [(c.name.lower(), COMPARTMENT_COLOURS[c]) for c in present]
    if compartments.junction_um:
        lines = [view.from_um(line) for line in compartments.junction_um]
        draw_lines(picture, lines, (0, 0, 0), 5, closed=False)
        draw_lines(picture, lines, JUNCTION_COLOUR, 3, closed=False)
        legend.append(("corticomedullary junction", JUNCTION_COLOUR))
    if cells is not None and len(cells.table):
        _dot_cells(picture, view, cells)
        legend.append((f"CD45+ cells ({len(cells.table):,})", CELL_COLOUR))
    return with_footer(picture, view.pixel_um, legend)


def draw_section(
    section: Section, planes: Mapping[str, FloatPlane], compartments: Compartments, cells: Cells | None
) -> dict[str, RGB]:
    """Draw every picture of a section that the report shows.

    Returns
    -------
    dict of str to (H, W, 3) uint8
        ``composite``, ``compartments`` and, where cells were looked for, ``cells``.
    """
    view = View.of(compartments.grid, compartments.tissue)
    gate = cells.gate if cells is not None else None
    mask = compartments.mask()
    limits = display_limits(planes, mask if mask.any() else compartments.tissue, gate)
    composite = draw_composite(planes, view, limits, markers=section.markers)
    pictures = {
        "composite": composite,
        "compartments": draw_compartments(composite, view, compartments, cells),
    }
    inset = draw_inset(section, cells, compartments)
    return pictures if inset is None else {**pictures, "cells": inset}


def write_pictures(pictures: Mapping[str, RGB], folder: Path, quality: int = 82) -> None:
    """Write every picture as ``folder/NAME.jpg``, making the folder.

    Raises
    ------
    OSError
        If the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures.items():
        (folder / f"{name}.jpg").write_bytes(to_jpeg(picture, quality))


def _marker(role: str, markers: Mapping[str, str] | None) -> str:
    plain = NAMES.get(role, role)
    real = (markers or {}).get(role, "")
    return f"{real} (as {plain})" if stands_in(role, real) else plain


def _paled(composite: RGB) -> RGB:
    grey = cv2.cvtColor(cv2.cvtColor(composite, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return np.asarray(cv2.addWeighted(composite, 0.55 * 0.25, grey, 0.55 * 0.75, 0), np.uint8)


def _tint(picture: RGB, shown: npt.NDArray[np.generic], present: list[Compartment]) -> None:
    table = np.zeros((256, 3), np.float32)
    share = np.zeros(256, np.float32)
    for compartment in present:
        table[compartment] = COMPARTMENT_COLOURS[compartment]
        share[compartment] = 0.24
    for y in range(0, len(picture), _BAND_ROWS):  # a picture's worth of float32 colours is a hundred megabytes
        band = picture[y : y + _BAND_ROWS]
        codes = shown[y : y + _BAND_ROWS]
        part = share[codes][..., None]
        band[...] = np.rint(band * (1 - part) + table[codes] * part).astype(np.uint8)


def _outlines(mask: Mask, view: View) -> list[npt.NDArray[np.float64]]:
    found, _ = cv2.findContours(mask.view(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    origin = np.array([view.window.y0, view.window.x0])
    return [view.from_index(line[:, 0, ::-1] + origin) for line in found]


def _dot_cells(picture: RGB, view: View, cells: Cells) -> None:
    places = np.rint(view.from_um(cells.table[["y_um", "x_um"]].to_numpy(np.float64))).astype(np.intp)
    inside = np.all((places >= 0) & (places < view.shape), axis=1)
    y, x = places[inside].T
    picture[y, x] = CELL_COLOUR
    # A dot of one pixel is lost on paper; where cells are few they get a cross, where many a cross would fill all.
    if len(places) * 400 < picture.shape[0] * picture.shape[1]:
        for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)):
            cross_y, cross_x = np.clip(y + dy, 0, view.shape[0] - 1), np.clip(x + dx, 0, view.shape[1] - 1)
            picture[cross_y, cross_x] = CELL_COLOUR

"""Panels of a section: the merge, single stains in grey, outlines; as a whole or magnified."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from thymusimg.errors import CallError
from thymusimg.figures.detail import coarse_detail, full_detail
from thymusimg.figures.outlines import find_lines, tint
from thymusimg.figures.page import Panel
from thymusimg.figures.palettes import NAMES, PALETTES, grey, merge, other_marker

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from thymusimg.figures.frame import Frame
    from thymusimg.figures.limits import Limits
    from thymusimg.figures.request import Look
    from thymusimg.figures.source import Shown
    from thymusimg.report.picture import RGB, Colour
    from thymusimg.section.model import FloatPlane

WHITE: Colour = (255, 255, 255)


@dataclass(frozen=True)
class View:
    """What is shown of a section, and how large.

    ``boxes`` are the frames of its insets with their numbers; ``close`` is True for an inset itself.
    """

    section: Shown
    frame: Frame
    pitch_um: float
    bar_um: float
    limits: Limits
    boxes: Sequence[tuple[str, Frame]] = ()
    close: bool = False


def kinds_of(sections: Sequence[Shown], look: Look) -> tuple[str, ...]:
    """Return the panels to draw: those asked for, else the merge and every stain that all sections have.

    Raises
    ------
    CallError
        If a stain is asked for that a section has not.
    """
    for kind in look.panels:
        for section in sections:
            if kind in NAMES and kind not in section.planes:
                raise CallError(
                    f"--panels {kind}: section '{section.section_id}' has no {NAMES[kind]}; it has "
                    f"{', '.join(section.planes)}"
                )
    common = [role for role in NAMES if role != "dapi" and all(role in s.planes for s in sections)]
    return look.panels or ("merge", *common)


def draw_view(view: View, kinds: Sequence[str], look: Look) -> tuple[list[Panel], str]:
    """Draw the panels of a view, and say where its pixels were read.

    Returns
    -------
    panels : list of Panel
    source : str
    """
    roles = [role for role in NAMES if role in view.section.planes]
    read = full_detail if view.close else coarse_detail
    detail = read(view.section, view.frame, view.pitch_um, roles)
    levels = {
        role: _level(plane, view.limits[role]) for role, plane in detail.planes.items() if role in view.limits
    }
    panels = [_panel(view, kind, levels, look, first=i == 0) for i, kind in enumerate(kinds)]
    return panels, detail.source


def marker(section: Shown, role: str) -> str:
    """Return what a panel of a stain is called: the role, or the marker that stands in for it."""
    other = other_marker(role, section.markers.get(role, ""))
    return f"{other} (as {NAMES[role]})" if other else NAMES[role]


def _level(plane: FloatPlane, limits: tuple[float, float]) -> FloatPlane:
    low, high = limits
    level: FloatPlane = np.clip(np.nan_to_num((plane - np.float32(low)) / np.float32(high - low)), 0, 1)
    return level


def _panel(view: View, kind: str, levels: Mapping[str, FloatPlane], look: Look, *, first: bool) -> Panel:
    boxes = []
    for number, frame in view.boxes if first else ():
        y, x = view.frame.to_panel((frame.y_um, frame.x_um), view.pitch_um)
        boxes.append((number, float(y), float(x), frame.width_um / view.pitch_um))
    bar = view.bar_um if first else None
    if kind in NAMES:
        legend = [(marker(view.section, kind), WHITE)]
        return Panel(grey(levels[kind]), view.pitch_um, legend, boxes=boxes, bar_um=bar)
    together = merge(levels, look.palette)
    if kind == "merge":
        colours = PALETTES[look.palette]
        legend = [(marker(view.section, role), colours[role]) for role in colours if role in levels]
        return Panel(together, view.pitch_um, legend, boxes=boxes, bar_um=bar)
    lines = find_lines(view.section, view.frame, view.pitch_um, look.outlines, close=view.close)
    ground = _paled(together)
    if "compartments" in look.outlines:
        tint(ground, view.section, view.frame, view.pitch_um)
    return Panel(np.rint(ground).astype(np.uint8), view.pitch_um, (), lines, boxes, bar)


def _paled(picture: RGB) -> FloatPlane:
    """Return a picture half-dark and nearly grey, so that no outline drowns in a stain of its own colour."""
    full = picture.astype(np.float32)
    return np.asarray(0.55 * (0.2 * full + 0.8 * full.mean(axis=2, keepdims=True)), np.float32)

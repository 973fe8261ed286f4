"""Figures of sections: a row a section, its insets below it; or sections side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from thymusimg.errors import CallError
from thymusimg.figures.caption import caption_sections
from thymusimg.figures.frame import Frame, panel_shape
from thymusimg.figures.limits import clipped, limits_of_all
from thymusimg.figures.page import Row, Sheet, bar_length, draw_page
from thymusimg.figures.palettes import NAMES
from thymusimg.figures.panels import View, draw_view, kinds_of
from thymusimg.figures.request import Inset, Look
from thymusimg.figures.save import Drawing, styled
from thymusimg.figures.source import find_sections, is_synthetic
from thymusimg.report.edited import mask_edits

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from thymusimg.figures.limits import Limits
    from thymusimg.figures.source import Shown

_MOST = 24


@dataclass(frozen=True)
class Layout:
    """Sections with one frame size and one scale, so that sizes can be compared by eye."""

    sections: Sequence[Shown]
    limits: Sequence[Limits]
    frames: Sequence[Frame]
    pitch_um: float
    bar_um: float


def section_figure(
    folder: Path, ids: Sequence[str], look: Look | None = None, insets: Sequence[Inset] = ()
) -> Drawing:
    """Draw sections of a run, a row a section with its panels side by side; insets follow in rows of their own.

    All sections are drawn at one magnification and, unless ``look.auto_contrast``, between the same display limits.

    Parameters
    ----------
    folder : Path
        Folder that a run left.
    ids : sequence of str
        Sections, in the order of the figure.
    look : Look, optional
    insets : sequence of Inset
        Squares to magnify; read from the slide at full resolution where it is still there.

    Returns
    -------
    Drawing

    Raises
    ------
    UnreadableError
        If the folder is not one that a run left.
    CallError
        If there is no such section, stain or place, or the figure fits no page.
    """
    look = look or Look()
    if not 0 < len(ids) <= _MOST:
        raise CallError(f"{len(ids)} sections: a figure holds 1 to {_MOST}")
    sections = find_sections(folder, ids)
    kinds = kinds_of(sections, look)
    sheet = Sheet(look.width_mm, look.dpi, len(kinds))
    sheet.check()
    layout = _lay_out(sections, sheet, look)
    numbered = _number_insets(sections, insets)
    rows, shown = [], []
    for section, frame, limits in zip(sections, layout.frames, layout.limits, strict=True):
        own = [(number, inset) for number, inset in numbered if inset.section_id == section.section_id]
        boxes = [(number, Frame.square(inset.y_um, inset.x_um, inset.size_um)) for number, inset in own]
        panels, _ = draw_view(View(section, frame, layout.pitch_um, layout.bar_um, limits, boxes), kinds, look)
        rows.append(Row(panels, title_of(section)))
        magnified = []
        for number, inset in own:
            box = Frame.square(inset.y_um, inset.x_um, inset.size_um)
            bar_um = bar_length(inset.size_um, look.inset_bar_um, "--inset-bar")
            view = View(section, box, inset.size_um / sheet.panel_px, bar_um, limits, close=True)
            panels, source = draw_view(view, kinds, look)
            rows.append(Row(panels, f"Box {number}"))
            magnified.append(_inset_record(number, inset, bar_um, source))
        shown.append(section_record(section, limits, magnified))
    record = sections_record(folder, kinds, look, layout, shown)
    seed = "section_" + "_".join(ids)
    with styled(seed):
        figure = draw_page(sheet, rows, look.letters)
    return Drawing(figure, look.dpi, caption_sections(record), record, seed[:80])


def side_by_side(folder: Path, ids: Sequence[str], titles: Sequence[str], look: Look, name: str) -> Drawing:
    """Draw sections side by side, a row a kind of panel, under titles of their own.

    Raises
    ------
    CallError, UnreadableError
        As :func:`section_figure`.
    """
    sections = find_sections(folder, ids)
    kinds = kinds_of(sections, look) if look.panels else ("merge",)
    sheet = Sheet(look.width_mm, look.dpi, len(sections))
    sheet.check()
    layout = _lay_out(sections, sheet, look)
    drawn = [
        draw_view(View(section, frame, layout.pitch_um, layout.bar_um, limits), kinds, look)[0]
        for section, frame, limits in zip(sections, layout.frames, layout.limits, strict=True)
    ]
    rows = []
    for index in range(len(kinds)):
        # the bar stands in every row's first panel: all panels have one scale
        panels = [column[index] for column in drawn]
        rows.append(Row(panels, titles=titles if index == 0 else ()))
    shown = [section_record(s, limits, []) for s, limits in zip(sections, layout.limits, strict=True)]
    record = sections_record(folder, kinds, look, layout, shown)
    with styled(name):
        figure = draw_page(sheet, rows, look.letters if len(rows) > 1 else "none")
    return Drawing(figure, look.dpi, caption_sections(record), record, name)


def title_of(section: Shown) -> str:
    """Return what stands over a section: its group and its id."""
    return ", ".join(dict.fromkeys(part for part in (section.group, section.section_id) if part))


def _lay_out(sections: Sequence[Shown], sheet: Sheet, look: Look) -> Layout:
    frames = [Frame.around(section.tissue, section.grid) for section in sections]
    height, width = max(f.height_um for f in frames), max(f.width_um for f in frames)
    # A whole number of pixels wide, so that every panel is exactly as wide as its column.
    pitch = width / sheet.panel_px
    bar = bar_length(width, look.scale_bar_um, "--scale-bar")
    limits = limits_of_all(sections, look.limits, own=look.auto_contrast)
    return Layout(sections, limits, [f.grown_to(height, width) for f in frames], pitch, bar)


def _number_insets(sections: Sequence[Shown], insets: Sequence[Inset]) -> list[tuple[str, Inset]]:
    known = {section.section_id: section for section in sections}
    numbered = []
    for number, inset in enumerate(insets, start=1):
        name = inset.section_id or (sections[0].section_id if len(sections) == 1 else "")
        where = f"--inset {inset.x_um:g},{inset.y_um:g},{inset.size_um:g}"
        if name not in known:
            raise CallError(
                f"{where}: say of which section, like {next(iter(known))}:{inset.x_um:g},{inset.y_um:g},"
                f"{inset.size_um:g}; the figure shows {', '.join(known)}"
            )
        height, width = (length * known[name].pixel_um for length in known[name].shape)
        if not (0 <= inset.x_um <= width and 0 <= inset.y_um <= height):
            raise CallError(
                f"{where}: the slide of '{name}' runs from 0 to {width:.0f} µm in x and to {height:.0f} µm in y"
            )
        numbered.append((str(number), Inset(inset.x_um, inset.y_um, inset.size_um, name)))
    return numbered


def _inset_record(number: str, inset: Inset, bar_um: float, source: str) -> dict[str, Any]:
    place = {"x_um": inset.x_um, "y_um": inset.y_um, "size_um": inset.size_um}
    return {"box": number, **place, "scale_bar_um": bar_um, "pixels": source}


def section_record(section: Shown, limits: Limits, insets: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return what the caption says of one section, as data."""
    return {
        "section_id": section.section_id,
        "animal": section.animal,
        "group": section.group,
        "slide": section.slide["path"],
        "pixel_size_um": section.pixel_um,
        "plane_pixel_um": section.grid.pixel_um,
        "markers": dict(section.markers),
        "semi_quantitative": bool(section.slide["semi_quantitative"]),
        "cells": len(section.cells_um),
        "edited": bool(mask_edits(section.bundle.attributes)),
        "limits": {role: list(ends) for role, ends in limits.items()},
        "clipped_share_of_tissue": {
            role: round(clipped(section.planes[role], section.tissue, ends[1]), 4)
            for role, ends in limits.items()
            if role in section.planes
        },
        "insets": list(insets),
    }


def sections_record(
    folder: Path, kinds: Sequence[str], look: Look, layout: Layout, shown: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """Return what the caption says of the figure, as data."""
    height, width = panel_shape(layout.frames[0], layout.pitch_um)
    return {
        "panels": list(kinds),
        "outlines": list(look.outlines) if "outlines" in kinds else [],
        "palette": look.palette,
        "stains": [role for role in NAMES if any(role in s["limits"] for s in shown)],
        "limits_shared": not look.auto_contrast,
        "limits_given": sorted(look.limits),
        "scale_bar_um": layout.bar_um,
        "width_mm": look.width_mm,
        "dpi": look.dpi,
        "panel_px": [height, width],
        "panel_pixel_um": layout.pitch_um,
        "synthetic": is_synthetic(folder),
        "sections": list(shown),
    }

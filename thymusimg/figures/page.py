"""A page of panels in exact millimetres: where each lies, its letter, its scale bar and its legend."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from thymusimg.errors import CallError
from thymusimg.figures.save import SMALLEST_PT, printable
from thymusimg.report.picture import length_words, scale_bar_um

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from thymusimg.figures.outlines import Lines
    from thymusimg.report.picture import RGB, Colour

MM = 25.4
GAP_MM = 1.0
STRIP_MM = 4.4
"""Height of the strip over a row, for its letter and its title."""
SMALLEST_PANEL_MM = 14.0
TALLEST_MM = 240.0
"""A printed page holds no more, and the caption needs a place."""
_LETTER_PT = 8.0
_TEXT_PT = 6.5
_INK = "white"
_BOX = {"facecolor": "black", "edgecolor": "none", "alpha": 0.6, "boxstyle": "square,pad=0.15"}
_MANY_CELLS = 2000


@dataclass(frozen=True)
class Panel:
    """One panel: its pixels and what is drawn over them.

    Attributes
    ----------
    picture : (H, W, 3) uint8
        At the resolution of print.
    pitch_um : float
        Side of a pixel in µm.
    legend : sequence of (text, colour)
    lines : sequence of Lines
    boxes : sequence of (number, y, x, side)
        Places of insets, in the panel's pixels.
    bar_um : float or None
        Length of the scale bar; None for none.
    """

    picture: RGB
    pitch_um: float
    legend: Sequence[tuple[str, Colour]] = ()
    lines: Sequence[Lines] = ()
    boxes: Sequence[tuple[str, float, float, float]] = ()
    bar_um: float | None = None


@dataclass(frozen=True)
class Row:
    """Panels side by side, under one letter and one title; ``titles`` stand over single panels instead."""

    panels: Sequence[Panel]
    title: str = ""
    titles: Sequence[str] = field(default=())


@dataclass(frozen=True)
class Sheet:
    """Width of the page, the resolution of its pixels, and the panels that stand side by side."""

    width_mm: float
    dpi: int
    columns: int

    def px(self, mm: float) -> int:
        """Return whole pixels of a length in mm."""
        return round(mm / MM * self.dpi)

    @property
    def panel_px(self) -> int:
        """Width of a panel in pixels: the page's width less the gaps, in equal parts."""
        return (self.px(self.width_mm) - (self.columns - 1) * self.px(GAP_MM)) // self.columns

    def check(self) -> None:
        """Refuse panels too narrow to see anything in.

        Raises
        ------
        CallError
        """
        width = self.panel_px / self.dpi * MM
        if width < SMALLEST_PANEL_MM:
            raise CallError(
                f"{self.columns} panels side by side on {self.width_mm:g} mm are {width:.0f} mm wide each, too "
                f"narrow for letters; expected at least {SMALLEST_PANEL_MM:g} mm. Show fewer, or give a larger "
                "--width"
            )


def draw_page(sheet: Sheet, rows: Sequence[Row], letters: str) -> Figure:
    """Draw a page.

    Every panel lies on whole pixels, so that a raster of the page holds its pixels as they are.

    Raises
    ------
    CallError
        If the page would be taller than paper.
    """
    from matplotlib.figure import Figure

    gap, strip = sheet.px(GAP_MM), sheet.px(STRIP_MM)
    heights = [max(panel.picture.shape[0] for panel in row.panels) for row in rows]
    key = _Key.of(rows, sheet)
    foot = key.height_px
    total = sum(heights) + strip * len(rows) + gap * (len(rows) - 1) + foot
    if total / sheet.dpi * MM > TALLEST_MM:
        raise CallError(
            f"the figure would be {total / sheet.dpi * MM:.0f} mm tall; a page holds {TALLEST_MM:g}. Show fewer "
            "sections or insets, more panels side by side, or a smaller --width"
        )
    page = (sheet.px(sheet.width_mm), total)
    figure = Figure(figsize=(page[0] / sheet.dpi, page[1] / sheet.dpi), dpi=sheet.dpi)
    top = 0
    for index, (row, height) in enumerate(zip(rows, heights, strict=True)):
        _head(figure, sheet, row, letter(index, letters), top, page)
        for column, panel in enumerate(row.panels):
            left = column * (sheet.panel_px + gap)
            tall, wide = panel.picture.shape[:2]
            axes = figure.add_axes(
                (left / page[0], 1 - (top + strip + tall) / page[1], wide / page[0], tall / page[1])
            )
            _fill(axes, panel, sheet.dpi)
        top += strip + height + gap
    key.draw(figure, total - foot, page)
    return figure


@dataclass(frozen=True)
class _Key:
    """The colours of the outlines, below all panels: over the tissue they would hide it."""

    sheet: Sheet
    entries: Sequence[tuple[str, Colour]]

    @classmethod
    def of(cls, rows: Sequence[Row], sheet: Sheet) -> _Key:
        entries = {lines.name: lines.colour for row in rows for panel in row.panels for lines in panel.lines}
        return cls(sheet, tuple(entries.items()))

    @property
    def _places_mm(self) -> list[tuple[int, float]]:
        """Line and left end of every entry; letters of 6 pt are at most 1.25 mm wide on average."""
        places, line, left = [], 0, 0.0
        for name, _ in self.entries:
            wide = 4.5 + 1.25 * len(name) + 2.5
            if left and left + wide > self.sheet.width_mm:
                line, left = line + 1, 0.0
            places.append((line, left))
            left += wide
        return places

    @property
    def height_px(self) -> int:
        return self.sheet.px(3.2 * (self._places_mm[-1][0] + 1) + 0.8) if self.entries else 0

    def draw(self, figure: Figure, top: int, page: tuple[int, int]) -> None:
        from matplotlib.patches import Rectangle

        px = self.sheet.px
        for (name, colour), (line, left) in zip(self.entries, self._places_mm, strict=True):
            base = top + px(3.2 * line + 2.9)
            box = (px(left) / page[0], 1 - base / page[1], px(3.4) / page[0], px(1.7) / page[1])
            figure.add_artist(
                Rectangle(
                    box[:2], *box[2:], transform=figure.transFigure, linewidth=0.4, edgecolor="black",
                    facecolor=np.array(colour) / 255,
                )
            )  # fmt: skip
            figure.text(
                px(left + 4.5) / page[0], 1 - base / page[1], name, fontsize=SMALLEST_PT, ha="left", va="baseline"
            )


def letter(index: int, style: str) -> str:
    """Return the letter of a row: A, B … Z, AA.

    Examples
    --------
    >>> letter(1, "upper"), letter(26, "lower"), letter(0, "none")
    ('B', 'aa', '')
    """
    if style == "none":
        return ""
    text, left = "", index + 1
    while left:
        left, place = divmod(left - 1, 26)
        text = chr(ord("A") + place) + text
    return text.lower() if style == "lower" else text


def _head(figure: Figure, sheet: Sheet, row: Row, mark: str, top: int, page: tuple[int, int]) -> None:
    base = 1 - (top + sheet.px(STRIP_MM) - sheet.px(1.1)) / page[1]
    if mark:
        figure.text(0, base, mark, fontsize=_LETTER_PT, fontweight="bold", ha="left", va="baseline")
    offset = sheet.px(4.0 if mark else 0.0)
    if row.title:
        figure.text(offset / page[0], base, printable(row.title), fontsize=_TEXT_PT, ha="left", va="baseline")
    for column, title in enumerate(row.titles):
        left = column * (sheet.panel_px + sheet.px(GAP_MM)) + (offset if column == 0 else 0)
        figure.text(left / page[0], base, printable(title), fontsize=_TEXT_PT, ha="left", va="baseline")


def _fill(axes: Axes, panel: Panel, dpi: int) -> None:
    from matplotlib.patches import Rectangle

    tall, wide = panel.picture.shape[:2]
    axes.set_axis_off()
    axes.imshow(panel.picture, extent=(0, wide, tall, 0), interpolation="none", aspect="auto")
    for lines in panel.lines:
        _draw_lines(axes, lines)
    for number, y, x, side in panel.boxes:
        axes.add_patch(Rectangle((x, y), side, side, fill=False, edgecolor=_INK, linewidth=0.8))
        at = (x + side + 0.4 / MM * dpi, y + side / 2)
        axes.text(*at, number, color=_INK, fontsize=_TEXT_PT, ha="left", va="center", clip_on=True)
    axes.set_xlim(0, wide)
    axes.set_ylim(tall, 0)
    if panel.legend:
        _draw_legend(axes, panel.legend)
    if panel.bar_um is not None:
        _draw_bar(axes, panel, dpi)


def _draw_lines(axes: Axes, lines: Lines) -> None:
    from matplotlib.collections import LineCollection

    colour = tuple(part / 255 for part in lines.colour)
    if lines.paths:
        segments = [path[:, ::-1] for path in lines.paths]
        axes.add_collection(LineCollection(segments, colors=[colour], linewidths=lines.width_pt), autolim=False)
    if lines.points is not None and len(lines.points):
        # Tens of thousands of vector dots choke every drawing program: they become pixels.
        axes.scatter(
            lines.points[:, 1], lines.points[:, 0], s=0.5, color=[colour], linewidths=0,
            rasterized=len(lines.points) > _MANY_CELLS,
        )  # fmt: skip


def _draw_legend(axes: Axes, legend: Sequence[tuple[str, Colour]]) -> None:
    from matplotlib.offsetbox import AnchoredOffsetbox, TextArea, VPacker

    words: list[Artist] = [
        TextArea(printable(text), textprops={"color": np.array(colour) / 255, "fontsize": _TEXT_PT})
        for text, colour in legend
    ]
    packed = VPacker(children=words, pad=0, sep=1.0, align="left")
    box = AnchoredOffsetbox("upper left", child=packed, pad=0.25, borderpad=0.3)
    box.patch.set(facecolor="black", edgecolor="none", alpha=0.6)
    axes.add_artist(box)


def _draw_bar(axes: Axes, panel: Panel, dpi: int) -> None:
    from matplotlib.patches import Rectangle

    tall, wide = panel.picture.shape[:2]
    length = float(panel.bar_um or 0) / panel.pitch_um
    edge, thick = 1.4 / MM * dpi, 0.6 / MM * dpi
    right, bottom = wide - edge, tall - edge
    axes.add_patch(
        Rectangle(
            (right - length, bottom - thick), length, thick, facecolor=_INK, edgecolor="none", gid="scale-bar"
        )
    )
    options: dict[str, Any] = {"color": _INK, "fontsize": SMALLEST_PT, "va": "bottom", "bbox": _BOX, "zorder": 3}
    # Set off from the panel's edge as the bar is: a short bar has a longer word.
    axes.text(right, bottom - 2.6 * thick, length_words(float(panel.bar_um or 0)), ha="right", **options)


def bar_length(width_um: float, asked: float | None, option: str) -> float:
    """Return the length of a scale bar in µm: the one asked for, else a round one of at most a quarter.

    Raises
    ------
    CallError
        If it does not fit.
    """
    if asked is None:
        return scale_bar_um(width_um)
    if asked > 0.8 * width_um:
        raise CallError(f"{option} {asked:g}: the panel is only {width_um:.0f} µm wide; give a shorter bar")
    return asked

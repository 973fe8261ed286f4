"""Group panels for papers: a dot an animal, its sections faint, and the interval of the difference beside them."""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from thymusimg.errors import CallError
from thymusimg.figures.axes import LETTER_MM, name_ticks, plain_axes, ratio_ticks, wrapped
from thymusimg.figures.caption import SYNTHETIC
from thymusimg.figures.comparisons import Comparison, read_comparisons
from thymusimg.figures.page import MM, TALLEST_MM, letter
from thymusimg.figures.representative import check_column
from thymusimg.figures.request import LETTERS, WIDTHS_MM, check_paper
from thymusimg.figures.save import SMALLEST_PT, Drawing, printable, styled
from thymusimg.figures.source import is_synthetic
from thymusimg.report.figures import GROUP_COLOURS, GROUP_MARKS, estimate_mean, shared_scale
from thymusimg.report.finished_run import FinishedRun, numbers
from thymusimg.report.words import label, listed, number, unit_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROW_MM = 46.0
_HEAD_MM = 4.4
_LINE_MM = 2.7
_LEFT_MM, _RIGHT_MM, _FOOT_MM = 11.0, 1.0, 11.0
_TICK_MM = 15.0
_MOST = 6


@dataclass(frozen=True)
class _Paper:
    """What the rows of a figure share."""

    run: FinishedRun
    figure: Figure
    width_mm: float
    height_mm: float
    confidence: float

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Return axes at a place in mm from the upper left corner."""
        box = (
            left / self.width_mm,
            1 - (top + height) / self.height_mm,
            width / self.width_mm,
            height / self.height_mm,
        )
        return self.figure.add_axes(box)

    def text(self, left: float, base: float, words: str, size: float, **options: Any) -> None:
        """Write at a place in mm from the upper left corner."""
        self.figure.text(
            left / self.width_mm, 1 - base / self.height_mm, printable(words), fontsize=size, **options
        )


def group_figure(
    folder: Path,
    columns: Sequence[str],
    *,
    width_mm: float = WIDTHS_MM["single"],
    dpi: int = 600,
    letters: str = "upper",
    sentences: bool = True,
) -> Drawing:
    """Draw a row a column: every animal, and the differences from the reference with their intervals.

    Parameters
    ----------
    folder : Path
        Folder that a run left.
    columns : sequence of str
        Columns of ``animals.csv``; empty: the declared primary endpoints.
    width_mm : float
    dpi : int
        For PNG and TIFF; everything here is a vector in SVG and PDF.
    letters : str
        ``upper``, ``lower`` or ``none``.
    sentences : bool
        Whether the sentence about each comparison stands below its row; it always stands in the caption.

    Returns
    -------
    Drawing

    Raises
    ------
    CallError
        If the folder is not a run's, has no groups, or there is no such column.
    """
    from matplotlib.figure import Figure

    check_paper(width_mm, dpi)
    if letters not in LETTERS:
        raise CallError(f"--letters {letters}: expected {', '.join(LETTERS)}")
    run = FinishedRun.read(folder)
    wanted = _columns(run, columns)
    compared = {column: read_comparisons(run, column) for column in wanted}
    lines = {column: _sentences(compared[column], width_mm) if sentences else [] for column in wanted}
    heights = [_HEAD_MM + _ROW_MM + _LINE_MM * len(lines[c]) + 2 * bool(lines[c]) for c in wanted]
    if sum(heights) > TALLEST_MM:
        raise CallError(
            f"{len(wanted)} columns are {sum(heights):.0f} mm tall; a page holds {TALLEST_MM:g}. Give fewer"
        )
    seed = "groups_" + "_".join(wanted)
    with styled(seed):
        figure = Figure(figsize=(width_mm / MM, sum(heights) / MM), dpi=dpi)
        paper = _Paper(run, figure, width_mm, sum(heights), float(run.setting("study", "confidence", 0.95)))
        top = 0.0
        for index, (column, height) in enumerate(zip(wanted, heights, strict=True)):
            _row(paper, column, compared[column], top, letter(index, letters), lines[column])
            top += height
    caption = _caption(paper, wanted, compared)
    return Drawing(figure, dpi, caption, _record(paper, wanted, compared, dpi), seed[:80])


def _columns(run: FinishedRun, columns: Sequence[str]) -> tuple[str, ...]:
    if not run.groups:
        raise CallError(f"{run.path}: a single section has no groups to draw")
    wanted = tuple(dict.fromkeys(columns)) or run.primary
    if not wanted:
        raise CallError(f"{run.path}: no primary endpoint was declared; name the columns to draw")
    if len(wanted) > _MOST:
        raise CallError(f"{len(wanted)} columns: a figure holds at most {_MOST}")
    for column in wanted:
        check_column(run, column)
    return wanted


def _row(
    paper: _Paper, column: str, compared: Sequence[Comparison], top: float, mark: str, lines: Sequence[str]
) -> None:
    if mark:
        paper.text(0, top + 3.2, mark, 8.0, fontweight="bold")
    paper.text(4.0 if mark else 0.0, top + 3.2, label(column), 7.0)
    shown = [one for one in compared if one.shown]
    room = paper.width_mm - _LEFT_MM - _RIGHT_MM
    gap = 11.0
    kinds = list(dict.fromkeys(one.effect_words for one in shown))
    free = room - gap * len(kinds)
    groups = len(paper.run.groups)
    # enough for a group's name under each interval, but never most of the row
    first = free if not shown else max(free - _TICK_MM * len(shown), free * groups / (groups + len(shown)))
    height = _ROW_MM - _FOOT_MM - 1.0
    _draw_animals(paper, paper.axes(_LEFT_MM, top + _HEAD_MM + 1.0, first, height), column, first)
    left = _LEFT_MM + first
    for kind in kinds:  # a ratio and a difference have no axis in common
        same = [one for one in shown if one.effect_words == kind]
        width = (free - first) * len(same) / len(shown)
        _draw_differences(paper, paper.axes(left + gap, top + _HEAD_MM + 1.0, width, height), same, width)
        left += gap + width
    for index, line in enumerate(lines):
        paper.text(0, top + _HEAD_MM + _ROW_MM + _LINE_MM * (index + 0.8), line, SMALLEST_PT)


def _draw_animals(paper: _Paper, axes: Axes, column: str, width_mm: float) -> None:
    run, meaning = paper.run, paper.run.meanings.get(column)
    scale = shared_scale(run, column)
    ticks = []
    for place, group in enumerate(run.groups):
        colour, mark = GROUP_COLOURS[place % len(GROUP_COLOURS)], GROUP_MARKS[place % len(GROUP_MARKS)]
        sections, animals = _values(run, "sections", group, column), _values(run, "animals", group, column)
        for values, size, alpha, order in ((sections, 4, 0.4, 2), (animals, 14, 1.0, 3)):
            x = place - 0.12 + _offsets(len(values), 0.36)
            axes.scatter(x, values, s=size, c=colour, alpha=alpha, marker=mark, linewidths=0, zorder=order)
        mean = estimate_mean(animals, scale, paper.confidence)
        if math.isfinite(mean.mean):
            at = place + 0.28
            axes.plot([at - 0.09, at + 0.09], [mean.mean] * 2, color="black", linewidth=1.2, solid_capstyle="butt")
            if math.isfinite(mean.low):
                axes.plot([at, at], [mean.low, mean.high], color="black", linewidth=0.8, solid_capstyle="butt")
        ticks.append(f"{wrapped(group, width_mm / len(run.groups))}\nn = {len(animals)}")
    unit = meaning.unit if meaning else ""
    axes.set_xlim(-0.6, len(run.groups) - 0.4)
    name_ticks(axes, ticks)
    axes.set_ylabel("fraction" if unit == "fraction" else printable(unit_of(unit)), fontsize=6.5, labelpad=2)
    plain_axes(axes)


def _draw_differences(paper: _Paper, axes: Axes, shown: Sequence[Comparison], width_mm: float) -> None:
    ratio = shown[0].ratio
    null = 1.0 if ratio else 0.0
    names = list(paper.run.groups)
    axes.axhline(null, color="black", linewidth=0.6, linestyle=(0, (3, 2)))
    for place, one in enumerate(shown):
        at = names.index(one.group) if one.group in names else place
        colour = GROUP_COLOURS[at % len(GROUP_COLOURS)]
        axes.plot([place, place], [one.low, one.high], color=colour, linewidth=1.2, solid_capstyle="butt")
        axes.scatter([place], [one.difference], s=16, c=colour, marker="D", linewidths=0, zorder=3)
    if ratio:
        axes.set_yscale("log")
        ends = [value for one in shown for value in (one.low, one.high)] + [null]
        ratio_ticks(axes, min(ends), max(ends))
    axes.set_xlim(-0.5, len(shown) - 0.5)
    ticks = [
        "\n".join((wrapped(one.group, width_mm / len(shown)), one.p_words.replace("p ", "p\n", 1))) for one in shown
    ]
    name_ticks(axes, ticks)
    axes.set_ylabel(printable(f"{shown[0].effect_words} to {shown[0].reference}"), fontsize=6.5, labelpad=2)
    plain_axes(axes)


def _values(run: FinishedRun, table: str, group: str, column: str) -> npt.NDArray[np.float64]:
    frame = run.tables[table]
    if "group" not in frame:
        return np.empty(0)
    values = np.array(numbers(frame[frame["group"] == group], column), dtype=np.float64)
    return np.sort(values[np.isfinite(values)])


def _offsets(count: int, width: float) -> npt.NDArray[np.float64]:
    """Return sideways places that alternate around 0 with the rank."""
    rank = np.arange(count)
    return np.asarray(np.where(rank % 2, 1, -1) * np.ceil(rank / 2) * (width / max(count - 1, 1)), np.float64)


def _sentences(compared: Sequence[Comparison], width_mm: float) -> list[str]:
    letters = max(20, int(width_mm / LETTER_MM))
    return [line for one in compared if one.sentence for line in textwrap.wrap(one.sentence, letters)]


def _caption(paper: _Paper, columns: Sequence[str], compared: dict[str, list[Comparison]]) -> str:
    run = paper.run
    shown = [f"{label(column)} ({column})" for column in columns]
    percent = f"{paper.confidence:.0%}"
    parts = [SYNTHETIC] if is_synthetic(run.path) else []
    parts.append(
        f"{listed(shown)}. Large marks, one animal each; small pale marks, its sections; black, mean of the "
        f"animals with its {percent} interval (t); n, animals with a value. The animal is the unit of every "
        "comparison."
    )
    if any(one.shown for found in compared.values() for one in found):
        parts.append(
            f"Diamonds, difference from {run.reference} with its {percent} interval; dashed, no difference."
        )
    for column in columns:
        parts += [f"{label(column)}, {one.in_words}" if one.shown else one.sentence for one in compared[column]]
        if not compared[column]:
            parts.append(f"{label(column)}: not compared.")
    return printable(" ".join(parts))


def _record(
    paper: _Paper, columns: Sequence[str], compared: dict[str, list[Comparison]], dpi: int
) -> dict[str, Any]:
    run = paper.run
    return {
        "columns": list(columns),
        "groups": list(run.groups),
        "reference": run.reference,
        "confidence": paper.confidence,
        "width_mm": paper.width_mm,
        "dpi": dpi,
        "synthetic": is_synthetic(run.path),
        "n": {c: {g: len(_values(run, "animals", g, c)) for g in run.groups} for c in columns},
        "comparisons": {
            column: [
                {"group": one.group, "shown": number(one.difference), "sentence": one.sentence} for one in found
            ]
            for column, found in compared.items()
        },
    }

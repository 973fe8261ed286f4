"""Figures of the groups' curves: the mean of the animals at every x, with its interval as a band."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from thymusimg.report.figures import GROUP_COLOURS, GroupFigure
from thymusimg.report.finished_run import FinishedRun, numbers
from thymusimg.report.svg import describe_svg, figure_style, to_svg
from thymusimg.report.words import unit_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GROUP_LINES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 3)))
"""A kind of line a group too, so that nothing depends on colour alone."""
LEAST_SHARE = 0.8
"""A group's curve is drawn where at least this share of its animals has a value: one animal is no group."""
LEAST_ANIMALS = 2
LOG_TICKS = (5, 10, 25, 50, 100, 200, 400, 800, 1600)
HEADROOM = 1.6
"""Bands of two animals are enormous; the axis ends this far above the highest mean."""


class Shown(NamedTuple):
    """A curve that the report draws: its name in the tables, its title, and what its axes are called."""

    curve: str
    x_name: str
    title: str
    x_label: str


SHOWN = (
    Shown(
        "cd45_profile_cmj",
        "signed distance to the corticomedullary junction (cortex negative)",
        "CD45⁺ density across the junction",
        "cortex < 0 < medulla, µm",
    ),
    Shown("cd45_profile_depth", "depth under the capsule", "CD45⁺ density by depth", "µm under the capsule"),
    Shown("cd45_l", "distance", "CD45⁺ clustering, L(r) − r", "r in µm"),
    Shown("segregation_index", "tile side", "Segregation index by scale", "side of the tiles in µm"),
    Shown("cd45_profile_cma", "CMA3", "CD45⁺ density along the axis", "outer < CMA₃ < inner"),
    Shown("k14_spectrum", "wavelength", "Spectrum of K14", "wavelength in µm"),
)


class _Line(NamedTuple):
    x: npt.NDArray[np.float64]
    mean: npt.NDArray[np.float64]
    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]
    animals: int


def draw_curve_figures(run: FinishedRun) -> list[GroupFigure]:
    """Draw those of :data:`SHOWN` that ``group_curves.csv`` holds for some group."""
    found = ((shown, _lines(run, shown.curve)) for shown in SHOWN)
    return [_draw(run, shown, lines) for shown, lines in found if lines]


def _lines(run: FinishedRun, curve: str) -> dict[str, _Line]:
    table = run.tables["group_curves"]
    if "curve" not in table:
        return {}
    part = table[(table["curve"] == curve) & (table["compartment"] == "")]
    lines = {}
    for group in run.groups:
        mine = part[part["group"] == group]
        x, mean, low, high, n = (
            np.array(numbers(mine, name), np.float64) for name in ("x", "mean", "low", "high", "n_animals")
        )
        most = n.max(initial=0)
        kept = np.isfinite(x) & np.isfinite(mean) & (n >= max(LEAST_ANIMALS, LEAST_SHARE * most))
        if kept.sum() > 1:
            lines[group] = _Line(x[kept], mean[kept], low[kept], high[kept], int(most))
    return lines


def _draw(run: FinishedRun, shown: Shown, lines: dict[str, _Line]) -> GroupFigure:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    meaning = run.meanings.get(f"{shown.curve}({shown.x_name})")
    unit = unit_of(meaning.unit) if meaning else ""
    style: dict[str, Any] = figure_style(shown.curve)
    with mpl.rc_context(style):  # type: ignore[arg-type]  # matplotlib lists every key as a literal
        figure = Figure(figsize=(3.4, 2.7))
        axes = figure.subplots()
        tips: list[str] = []
        for group, line in lines.items():
            _draw_line(axes, run.groups.index(group), group, line, tips)
        _dress(axes, shown, list(lines.values()))
        width, height = figure.get_size_inches()
        figure.subplots_adjust(left=0.62 / width, right=0.98, top=0.97, bottom=0.5 / height)
        svg = to_svg(figure, tips)
    missing = [group for group in run.groups if group not in lines]
    note = f"undefined in {', '.join(missing)}" if missing else ""
    alt = f"{shown.title}{f' in {unit}' if unit else ''} against {shown.x_label}. " + " ".join(
        f"{group}: {line.mean.min():.3g} to {line.mean.max():.3g}, mean of up to {line.animals} animals."
        for group, line in lines.items()
    )
    return GroupFigure(f"{shown.curve}({shown.x_name})", shown.title, unit, alt, describe_svg(svg, alt), note)


def _draw_line(axes: Axes, place: int, group: str, line: _Line, tips: list[str]) -> None:
    colour = GROUP_COLOURS[place % len(GROUP_COLOURS)]
    axes.fill_between(line.x, line.low, line.high, color=colour, alpha=0.16, linewidth=0)
    style = GROUP_LINES[place % len(GROUP_LINES)]
    (drawn,) = axes.plot(line.x, line.mean, color=colour, linestyle=style, linewidth=1.8)
    drawn.set_gid(f"tip{len(tips)}")
    tips.append(f"{group}: mean of up to {line.animals} animals, with its interval at every place by itself")


def _dress(axes: Axes, shown: Shown, lines: list[_Line]) -> None:
    axes.set_xlabel(shown.x_label)
    top = max(float(line.mean.max()) for line in lines)
    bottom = min(float(line.mean.min()) for line in lines)
    span = max(top - min(bottom, 0.0), 1e-12)
    # densities and shares end at 0; L(r) - r may lie below
    axes.set_ylim(0 if bottom >= 0 else bottom - 0.3 * span, top + (HEADROOM - 1) * span)
    if shown.x_label.startswith(("wavelength", "side")):
        axes.set_xscale("log")
        ends = [float(end(line.x)) for end in (np.min, np.max) for line in lines]
        axes.set_xticks([tick for tick in LOG_TICKS if min(ends) * 0.99 <= tick <= max(ends) * 1.01])
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.xaxis.set_minor_formatter("")
    if any(float(line.x.min()) < 0 < float(line.x.max()) for line in lines):
        axes.axvline(0, linewidth=0.8, alpha=0.5, color=axes.spines["left"].get_edgecolor())
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_alpha(0.4)
    axes.spines["left"].set_alpha(0.4)

"""Group figures: one dot an animal, its sections behind it, mean and interval beside it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from thymusimg.report.finished_run import FinishedRun, numbers
from thymusimg.report.svg import INK, PAPER, describe_svg, figure_style, to_svg
from thymusimg.report.words import REORGANISATION, REPOPULATION, counted, label, number, unit_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from thymusimg.measurements.schema import Scale

GROUP_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6BB1")
"""After Okabe and Ito: told apart with every common colour blindness, on white and on black."""
GROUP_MARKS = ("o", "s", "^", "D", "v", "P", "X")
"""A shape a group too, so that nothing depends on colour alone."""

BY_KEYBOARD = "Marks answer to the pointer; the table of animals has the same values and links, by keyboard too."

_Dots = tuple[list[str], npt.NDArray[np.float64]]
"""Names and values, lowest first."""


@dataclass(frozen=True)
class Estimate:
    """Mean of a group's animals with its t interval; NaN where there are too few."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class GroupFigure:
    """One figure of the report.

    Attributes
    ----------
    column : str
    title, unit, alt : str
        What it shows, in which unit, and the same in words for those who cannot see it.
    svg : str
        The figure, ready to stand in HTML.
    note : str
        What is missing from it, "" if nothing.
    """

    column: str
    title: str
    unit: str
    alt: str
    svg: str
    note: str = ""


def figure_columns(run: FinishedRun) -> tuple[str, ...]:
    """Return which columns are drawn: the primary endpoints, then those of both questions that have values."""
    animals = run.tables["animals"]
    wanted = dict.fromkeys((*run.primary, *REORGANISATION, *REPOPULATION))
    return tuple(c for c in wanted if c in animals and bool(numbers(animals, c).notna().any()))


def draw_group_figures(run: FinishedRun) -> list[GroupFigure]:
    """Draw a figure for every column of :func:`figure_columns`."""
    return [draw_group_figure(run, column) for column in figure_columns(run)]


def draw_group_figure(run: FinishedRun, column: str) -> GroupFigure:
    """Draw one column: animals as dots, sections as faint small dots, mean and 95 % interval.

    The interval is Student's t on the animals, on the column's scale (log or logit where the dictionary says so),
    turned back to its unit; one scale for all groups. Animals are spread sideways by their rank, never at random.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    animals, sections = run.tables["animals"], run.tables["sections"]
    meaning = run.meanings.get(column)
    unit = unit_of(meaning.unit) if meaning else ""
    confidence = float(run.setting("study", "confidence", 0.95))
    style = figure_style(column)
    with mpl.rc_context(style):  # type: ignore[arg-type]  # matplotlib lists every key as a literal
        figure = Figure(figsize=(max(3.1, 1.0 + 0.75 * len(run.groups)), 2.6))
        axes = figure.subplots()
        tips: list[tuple[str, str]] = []
        places = _places(run)
        words = []
        scale = shared_scale(run, column)
        for place, group in enumerate(run.groups):
            mine = _of_group(animals, group, column)
            estimate = estimate_mean(mine[1], scale, confidence)
            _draw_group(axes, place, mine, _of_group(sections, group, column), estimate, tips, places)
            words.append(_in_words(group, mine[1], estimate, confidence))
        _dress(figure, axes, run.groups, [len(_of_group(animals, g, column)[1]) for g in run.groups])
        svg = to_svg(figure, [tip for tip, _ in tips], [target for _, target in tips])
    undefined = int(numbers(animals, column).isna().sum())
    notes = [f"{counted(undefined, 'animal')} without a value"] if undefined else []
    if meaning and scale != (meaning.scale or scale):
        limit = "0" if meaning.scale == "log" else "0 or 1"
        notes.append(f"some animals are at {limit}: plain means, whose intervals may pass the limits")
    note = "; ".join(notes)
    alt = f"{label(column)}{f' in {unit}' if unit else ''}, one dot an animal. {' '.join(words)} {BY_KEYBOARD}"
    return GroupFigure(column, label(column), unit, alt, describe_svg(svg, alt), note)


def shared_scale(run: FinishedRun, column: str) -> Scale:
    """Return the scale of a column's means: its own where every animal of all groups has a place on it.

    One figure has one scale, so that the means of its groups can be compared.
    """
    from thymusimg.study.scales import choose_scale

    values = np.array(numbers(run.tables["animals"], column), dtype=np.float64)
    meaning = run.meanings.get(column)
    return choose_scale(values[np.isfinite(values)], _declared(meaning.scale if meaning else "")).scale


def _declared(scale: str) -> Scale:
    return "log" if scale == "log" else "logit" if scale == "logit" else "identity"


def estimate_mean(values: npt.NDArray[np.float64], scale: str, confidence: float = 0.95) -> Estimate:
    """Return mean and t interval of animals on ``scale``, turned back to the values' unit.

    Values that do not exist on the scale (0 on a log) keep it from being used; the plain scale is taken then, as in
    the comparisons.
    """
    from scipy.special import expit, stdtrit

    from thymusimg.study.scales import choose_scale, onto

    finite = values[np.isfinite(values)]
    if not finite.size:
        return Estimate(math.nan, math.nan, math.nan)
    chosen = choose_scale(finite, _declared(scale)).scale
    on_scale = onto(finite, chosen)
    mean = float(on_scale.mean())
    if finite.size < 2:
        return Estimate(float(finite[0]), math.nan, math.nan)
    half = float(stdtrit(finite.size - 1, 0.5 + confidence / 2) * on_scale.std(ddof=1) / math.sqrt(finite.size))
    ends = np.array([mean, mean - half, mean + half])
    return Estimate(*(np.exp(ends) if chosen == "log" else expit(ends) if chosen == "logit" else ends).tolist())


def _places(run: FinishedRun) -> dict[str, dict[str, str]]:
    """Return where in the page every animal and section stands: animals in the order in which they come first."""
    frame = run.tables["sections"]
    animals = dict.fromkeys(str(a) for a in frame.get("animal", ()))
    return {
        "animal": {name: f"#animal-{i}" for i, name in enumerate(animals, 1) if name},
        "section": {name: f"#section-{i}" for i, name in enumerate(run.section_ids, 1)},
    }


def _of_group(frame: pd.DataFrame, group: str, column: str) -> tuple[list[str], npt.NDArray[np.float64]]:
    """Return names and finite values of a group's rows, lowest first."""
    if "group" not in frame:
        return [], np.empty(0)
    part = frame[frame["group"] == group]
    name = "section_id" if "section_id" in part else "animal"
    values = np.array(numbers(part, column), dtype=np.float64)
    order = [int(i) for i in np.argsort(values, kind="stable") if np.isfinite(values[i])]
    return [str(part[name].iloc[i]) for i in order], values[order]


def _spread(count: int, width: float) -> npt.NDArray[np.float64]:
    """Return sideways offsets that alternate around 0 with the rank, so that equal animals stand apart."""
    rank = np.arange(count)
    step = width / max(count - 1, 1)
    return np.where(rank % 2, 1, -1) * np.ceil(rank / 2) * step


def _draw_group(
    axes: Axes,
    place: int,
    animals: _Dots,
    sections: _Dots,
    estimate: Estimate,
    tips: list[tuple[str, str]],
    places: Mapping[str, Mapping[str, str]],
) -> None:
    colour, mark = GROUP_COLOURS[place % len(GROUP_COLOURS)], GROUP_MARKS[place % len(GROUP_MARKS)]
    for dots, size, alpha, word in ((sections, 11, 0.55, "section"), (animals, 58, 1.0, "animal")):
        names, values = dots
        for name, value, offset in zip(names, values, _spread(len(values), 0.34), strict=True):
            x = place - 0.13 + offset
            dot = axes.scatter(x, value, s=size, c=colour, alpha=alpha, marker=mark, linewidths=0)
            if word == "animal":
                dot.set_edgecolor(PAPER)
                dot.set_linewidth(0.7)
            dot.set_zorder(3 if word == "animal" else 2)
            dot.set_gid(f"tip{len(tips)}")
            tips.append((f"{word} {name}: {number(float(value))}", places[word].get(name, "")))
    if math.isfinite(estimate.mean):
        x = place + 0.33
        axes.plot([x - 0.09, x + 0.09], [estimate.mean] * 2, color=INK, linewidth=2, solid_capstyle="butt")
        if math.isfinite(estimate.low):
            axes.plot([x, x], [estimate.low, estimate.high], color=INK, linewidth=1.2, solid_capstyle="butt")


def _dress(figure: Figure, axes: Axes, groups: Sequence[str], counts: Sequence[int]) -> None:
    axes.set_xlim(-0.6, len(groups) - 0.35)
    axes.set_xticks(range(len(groups)), [_wrapped(g, n) for g, n in zip(groups, counts, strict=True)])
    axes.tick_params(axis="x", length=0)
    axes.margins(y=0.08)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_alpha(0.4)
    axes.spines["left"].set_alpha(0.4)
    # Fixed margins, so that all figures have one scale and one size of letters.
    width, height = figure.get_size_inches()
    lines = max(_wrapped(g, 0).count("\n") for g in groups)
    figure.subplots_adjust(left=0.62 / width, right=0.99, top=0.97, bottom=(0.3 + 0.17 * lines) / height)
    if not any(counts):
        axes.set_yticks([])


def _wrapped(group: str, count: int) -> str:
    words = group.replace("_", " ").split(" ")
    lines = [words[0]]
    for word in words[1:]:
        if len(lines[-1]) + len(word) < 11:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return "\n".join([*lines, f"n = {count}"])


def _in_words(group: str, values: npt.NDArray[np.float64], estimate: Estimate, confidence: float) -> str:
    animals = counted(len(values), "animal")
    if not len(values):
        return f"{group}: no animal with a value."
    words = f"{group}: {animals}, mean {number(estimate.mean)}"
    if math.isfinite(estimate.low):
        words += f", {confidence:.0%} interval {number(estimate.low)} to {number(estimate.high)}"
    return f"{words}, values {number(float(values[0]))} to {number(float(values[-1]))}."

"""Axes for print: plain, with names that stay apart and round ratios."""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING

from thymusimg.figures.save import SMALLEST_PT, printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

LETTER_MM = 1.12
"""Width of a letter of 6 pt, on average."""


def ratio_ticks(axes: Axes, low: float, high: float) -> None:
    """Mark round ratios, few enough to read, with plain numbers in place of powers of ten."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    low, high = low / 1.15, high * 1.15
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1, 1.5, 2, 3, 5, 7), (1, 2, 5), (1,)):
        ticks = [step * 10.0**power for power in powers for step in steps if low <= step * 10.0**power <= high]
        if len(ticks) <= 6:
            break
    axes.set_ylim(low, high)
    axes.yaxis.set_major_locator(FixedLocator(ticks))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def name_ticks(axes: Axes, names: Sequence[str]) -> None:
    """Write names of several lines, every line a text of its own: it stays centred in whatever font it is shown."""
    axes.set_xticks(range(len(names)), [""] * len(names))
    for place, name in enumerate(names):
        for index, line in enumerate(name.split("\n")):
            axes.annotate(
                line, (place, 0), xycoords=("data", "axes fraction"), xytext=(0, -3.0 - 1.2 * SMALLEST_PT * index),
                textcoords="offset points", ha="center", va="top", fontsize=SMALLEST_PT, annotation_clip=False,
            )  # fmt: skip


def plain_axes(axes: Axes) -> None:
    """Take away what carries no number."""
    axes.tick_params(axis="y", labelsize=SMALLEST_PT, width=0.6, length=2, pad=1.5)
    axes.tick_params(axis="x", length=0, pad=2)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def wrapped(group: str, width_mm: float) -> str:
    """Break a group's name where it would run into the next one's; at most three lines."""
    letters = max(5, int(width_mm / LETTER_MM))
    lines: list[str] = []
    for line in textwrap.wrap(printable(group).replace("_", " "), letters, break_long_words=False):
        rest = line
        while len(rest) > letters:
            lines.append(f"{rest[: letters - 1]}-")
            rest = rest[letters - 1 :]
        lines.append(rest)
    return "\n".join(lines[:3]) + ("…" if len(lines) > 3 else "")

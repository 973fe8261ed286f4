"""The figures of the validation report."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from thymusimg.errors import OutputError
from thymusimg.evaluate.picture import draw_agreement
from thymusimg.report.figures import GROUP_COLOURS, GROUP_MARKS
from thymusimg.validate.plan import SWEEPS
from thymusimg.validate.sections import METHODS, draw, maps_of, ours
from thymusimg.validate.tables import part_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd
    from matplotlib.axes import Axes

    from thymusimg.validate.case import Case

_STYLE = dict(zip(METHODS, zip(GROUP_COLOURS, GROUP_MARKS, strict=False), strict=False))
_SALT = "thymusimg validation"


def save(figure: Figure, path: Path) -> None:
    """Write a figure as SVG, the same bytes for the same numbers.

    Raises
    ------
    OutputError
    """
    FigureCanvasAgg(figure)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with matplotlib.rc_context({"svg.hashsalt": _SALT, "svg.fonttype": "none"}):
            figure.savefig(path, format="svg", metadata={"Date": None})
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror or error})") from None


def draw_sweeps(table: pd.DataFrame, path: Path) -> bool:
    """Draw medulla Dice and cell F1 against every degradation; say whether there was anything to draw."""
    generators = list(dict.fromkeys(table.loc[table["part"].str.startswith("sweep"), "generator"]))
    if not generators:
        return False
    scores = (("dice_medulla", "Dice of medulla"), ("f1_iou_50", "F1 of cells, IoU 0.5"))
    rows = [(g, s, words) for g in generators for s, words in scores]
    figure = Figure(figsize=(2.6 * len(SWEEPS), 2.1 * len(rows)), layout="constrained")
    grid = figure.subplots(len(rows), len(SWEEPS), squeeze=False, sharey=True)
    for number, (axes_row, (generator, score, words)) in enumerate(zip(grid, rows, strict=True)):
        for axes, (name, (_, _, levels)) in zip(axes_row, SWEEPS.items(), strict=True):
            found = part_of(table, f"sweep {name}")
            _lines(axes, found[found["generator"] == generator], score, [f"{v:g}" for v in levels])
            axes.set_ylim(-0.03, 1.03)
            axes.set_title(name.replace(": ", "\n") if number == 0 else "", fontsize=8)
        axes_row[0].set_ylabel(f"{generator}\n{words}", fontsize=8)
    _legend(figure, grid[0, 0])
    save(figure, path)
    return True


def draw_series(table: pd.DataFrame, path: Path) -> bool:
    """Draw F1 and the bias of the count against density."""
    found = part_of(table, "density")
    if not len(found):
        return False
    generators = list(dict.fromkeys(found["generator"]))
    levels = sorted(dict.fromkeys(found["label"]), key=float)
    figure = Figure(figsize=(3.4 * len(generators) + 1, 5), layout="constrained")
    grid = figure.subplots(2, len(generators), squeeze=False, sharey="row")
    for column, generator in zip(grid.T, generators, strict=True):
        part = found[found["generator"] == generator]
        for axes, score, words in zip(
            column, ("f1_iou_50", "count_bias"), ("F1 at IoU 0.5", "bias of the count"), strict=True
        ):
            _lines(axes, part, score, levels)
            axes.set_ylabel(words, fontsize=8)
        column[0].set_title(generator, fontsize=9)
        column[1].axhline(0, color="0.6", linewidth=0.8)
        column[1].set_xlabel("cells per mm²", fontsize=8)
    _legend(figure, grid[0, 0])
    save(figure, path)
    return True


def draw_orders(table: pd.DataFrame, path: Path) -> bool:
    """Draw the segregation index of every section against λ."""
    found = part_of(table, "order")
    if not len(found):
        return False
    figure = Figure(figsize=(4.6, 3.2), layout="constrained")
    axes = figure.subplots()
    for i, generator in enumerate(dict.fromkeys(found["generator"])):
        part = found[found["generator"] == generator]
        axes.plot(
            part["label"].astype(float), part["segregation_index_50um"], GROUP_MARKS[i], color=GROUP_COLOURS[i],
            markersize=4, alpha=0.7, label=generator,
        )  # fmt: skip
    axes.set_xlabel("order λ that was drawn")
    axes.set_ylabel("segregation index (50 µm)")
    axes.legend(frameon=False, fontsize=8)
    save(figure, path)
    return True


def _lines(axes: Axes, part: pd.DataFrame, score: str, levels: Sequence[str]) -> None:
    places = {level: i for i, level in enumerate(levels)}
    for method, (colour, mark) in _STYLE.items():
        own = part[part["method"] == method]
        if score not in own or not own[score].notna().any():
            continue
        x = own["label"].map(places).to_numpy(float)
        axes.plot(x, own[score], mark, color=colour, markersize=3, alpha=0.5)
        mean = own.groupby(x)[score].mean()
        axes.plot(mean.index, mean, "-", color=colour, linewidth=1.4, label=method)
    axes.set_xticks(range(len(levels)), levels, fontsize=7)
    axes.tick_params(axis="y", labelsize=7)


def _legend(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels) or 1, frameon=False, fontsize=8)


def draw_worst_compartments(case: Case, path: Path) -> None:
    """Draw a section whose compartments fall short: truth, result, and where they part."""
    phantom = draw(case)
    labels, _ = ours(phantom)
    title = f"{case.generator}, {case.preset}, {case.optics} optics, {case.label}, seed {case.seed}"
    draw_agreement(maps_of(phantom, labels), title, path, names=("thymusimg", "truth"))


def draw_worst_cells(case: Case, path: Path) -> None:
    """Draw the part of a section where cells go wrong most: CD45 with the outlines of the truth and the result.

    Raises
    ------
    OutputError
    """
    phantom = draw(case)
    _, cells = ours(phantom)
    truth = phantom.truth.instances
    side = min(round(60 / phantom.pixel_size_um), *truth.shape)
    y, x = _most_wrong(truth, cells, side)
    window = (slice(y, y + side), slice(x, x + side))
    plane = phantom.plane("cd45")[window]
    figure = Figure(figsize=(9, 3.4), layout="constrained", dpi=110)
    FigureCanvasAgg(figure)
    extent = (0, side * phantom.pixel_size_um, side * phantom.pixel_size_um, 0)
    panels = ((None, "CD45"), (truth[window], "truth"), (cells[window], "thymusimg"))
    for place, (labels, words) in enumerate(panels):
        axes = figure.add_subplot(1, 3, place + 1)
        low, high = np.quantile(plane, (0.02, 0.995))
        axes.imshow(plane, cmap="gray", vmin=low, vmax=high, extent=extent, interpolation="nearest")
        if labels is not None:
            edges = np.zeros((*labels.shape, 4))
            edges[_edges(labels)] = (1, 0.75, 0, 1)
            axes.imshow(edges, extent=extent, interpolation="nearest")
        axes.set_title(words, fontsize=9)
        axes.tick_params(labelsize=7)
    figure.suptitle(f"{case.generator}, {case.optics} optics, {case.label}, seed {case.seed}; µm", fontsize=9)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Software": None})
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror or error})") from None


def _edges(labels: np.ndarray) -> np.ndarray:
    edges = np.zeros(labels.shape, bool)
    edges[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    edges[1:] |= labels[1:] != labels[:-1]
    return edges


def _most_wrong(truth: np.ndarray, found: np.ndarray, side: int) -> tuple[int, int]:
    wrong = np.pad(((truth > 0) != (found > 0)).astype(np.int64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    sums = wrong[side:, side:] - wrong[:-side, side:] - wrong[side:, :-side] + wrong[:-side, :-side]
    y, x = np.unravel_index(int(sums.argmax()), sums.shape)
    return int(y), int(x)

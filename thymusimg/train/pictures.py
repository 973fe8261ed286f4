"""Pictures of a training: its curves, and outlines before and after on what was held out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from thymusimg.compartments.model import Compartment
from thymusimg.evaluate.picture import COLOURS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Any

    import numpy.typing as npt

    from thymusimg.section.model import FloatPlane, LabelPlane
    from thymusimg.train.annotated import AnnotatedCells, AnnotatedCompartments

DRAWN, FOUND = (255, 200, 0), (0, 200, 255)
"""Outlines of what somebody drew, and of what a method found."""
TILE_UM = 120.0
_TILE_PX = 480
_FROM_BLACK, _TO_WHITE = 2.0, 99.7
_CURVES = ("#0072b2", "#d55e00")


def draw_history(rows: Sequence[dict[str, float]], path: Path) -> None:
    """Draw the loss and the validation score over the epochs, with the best epoch marked."""
    epochs = [row["epoch"] for row in rows]
    figure = Figure(figsize=(7.5, 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, key, colour, title in zip(
        figure.subplots(1, 2), ("loss", "score"), _CURVES, ("training loss", "validation score"), strict=True
    ):
        values = [row.get(key, float("nan")) for row in rows]
        axes.plot(epochs, values, color=colour, marker="o", markersize=3)
        axes.set_xlabel("epoch")
        axes.set_title(title, fontsize=10)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        if key == "score" and np.isfinite(values).any():
            best = int(np.nanargmax(values))
            axes.axvline(epochs[best], color="0.6", linewidth=1)
            axes.annotate(f"best {values[best]:.3f}", (epochs[best], values[best]), xytext=(4, -12),
                          textcoords="offset points", fontsize=8)  # fmt: skip
    figure.savefig(path, dpi=120)


def draw_cells_before_after(
    region: AnnotatedCells, before: npt.NDArray[Any], after: npt.NDArray[Any], path: Path
) -> None:
    """Draw a tile of a held-out region twice, with what was drawn and what was found before and after."""
    rows, columns = _fullest(region)
    grey = _grey(region.planes["cd45"])[rows, columns]
    panels = []
    for found, words in ((before, "before"), (after, "after")):
        panel = _enlarged(grey)
        for labels, colour in ((region.labels, DRAWN), (found, FOUND)):
            _outlined(panel, labels[rows, columns], colour)
        panels.append((panel, words))
    legend = f"{region.section_id} ({region.animal}): drawn yellow, found blue"
    _write(panels, legend, path)


def draw_compartments_before_after(
    section: AnnotatedCompartments, before: LabelPlane, after: LabelPlane, path: Path
) -> None:
    """Draw a held-out section as it was annotated, and as it was divided before and after."""
    paint = np.full((256, 3), 255, np.uint8)
    for code, colour in COLOURS.items():
        paint[code] = colour
    panels = [(_shrunk(paint[labels]), words) for labels, words in
              ((section.labels, "drawn"), (before, "before"), (after, "after"))]  # fmt: skip
    names = ", ".join(code.name.lower() for code in Compartment if code in section.classes)
    _write(panels, f"{section.section_id} ({section.animal}): {names}", path)


def _fullest(region: AnnotatedCells) -> tuple[slice, slice]:
    """Return the tile with most annotated cells around it."""
    side = max(16, round(TILE_UM / region.pixel_um))
    inside = (region.labels > 0) & region.annotated
    density = cv2.boxFilter(inside.astype(np.float32), -1, (side, side), borderType=cv2.BORDER_CONSTANT)
    y, x = np.unravel_index(int(density.argmax()), density.shape)
    place = []
    for at, length in ((int(y), region.labels.shape[0]), (int(x), region.labels.shape[1])):
        first = min(max(at - side // 2, 0), max(0, length - side))
        place.append(slice(first, min(first + side, length)))
    return place[0], place[1]


def _grey(plane: FloatPlane) -> npt.NDArray[np.uint8]:
    low, high = np.percentile(plane, (_FROM_BLACK, _TO_WHITE))
    scaled = np.clip((plane - low) / max(high - low, 1e-6), 0, 1) * 255
    return np.asarray(scaled, np.uint8)


def _enlarged(grey: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    factor = _TILE_PX / max(grey.shape)
    size = (round(grey.shape[1] * factor), round(grey.shape[0] * factor))
    picture = cv2.cvtColor(cv2.resize(grey, size, interpolation=cv2.INTER_CUBIC), cv2.COLOR_GRAY2RGB)
    return np.asarray(picture, np.uint8)


def _outlined(panel: npt.NDArray[np.uint8], labels: npt.NDArray[Any], colour: tuple[int, int, int]) -> None:
    size = (panel.shape[1], panel.shape[0])
    for number in np.unique(labels[labels > 0]):
        mask = cv2.resize((labels == number).astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
        lines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(panel, lines, -1, colour, 1, cv2.LINE_AA)


def _shrunk(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    factor = _TILE_PX / max(picture.shape[:2])
    size = (max(1, round(picture.shape[1] * factor)), max(1, round(picture.shape[0] * factor)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_NEAREST), np.uint8)


def _write(panels: Sequence[tuple[npt.NDArray[np.uint8], str]], legend: str, path: Path) -> None:
    figure = Figure(figsize=(4 * len(panels), 4.4), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (panel, words) in zip(np.atleast_1d(figure.subplots(1, len(panels))), panels, strict=True):
        axes.imshow(panel, interpolation="nearest")
        axes.set_title(words, fontsize=10)
        axes.set_axis_off()
    figure.suptitle(legend, fontsize=9)
    figure.savefig(path, dpi=120)

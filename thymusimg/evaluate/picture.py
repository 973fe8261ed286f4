"""A picture of where two sides agree and where they do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from thymusimg.compartments.model import Compartment
from thymusimg.errors import OutputError
from thymusimg.evaluate.boundary import outline

if TYPE_CHECKING:
    from pathlib import Path

    from thymusimg.evaluate.section_scores import Maps

COLOURS: dict[int, tuple[int, int, int]] = {
    Compartment.BACKGROUND: (255, 255, 255),
    Compartment.CORTEX: (86, 180, 233),
    Compartment.MEDULLA: (255, 170, 20),
    Compartment.INDETERMINATE: (226, 140, 190),
    Compartment.CYST: (0, 190, 140),
    Compartment.OTHER: (150, 150, 150),
    Compartment.ARTEFACT: (220, 70, 40),
}
"""After Okabe and Ito; the same classes look the same in the report."""
DISAGREE = (60, 0, 80)
LEFT_OUT = (250, 236, 160)
_LARGEST = 900


def agreement_image(maps: Maps) -> npt.NDArray[np.uint8]:
    """Return an RGB image: pale where both agree, dark where they do not, yellow where nothing is scored."""
    paint = np.full((256, 3), 255, np.uint8)
    for code, colour in COLOURS.items():
        paint[code] = [round(255 - (255 - c) * 0.45) for c in colour]
    image = paint[maps.truth]
    image[maps.result != maps.truth] = DISAGREE
    image[maps.left_out] = LEFT_OUT
    return image


def draw_agreement(maps: Maps, title: str, path: Path, *, names: tuple[str, str] = ("result", "truth")) -> None:
    """Draw both sides and their agreement beside each other as PNG.

    Raises
    ------
    OutputError
        If the picture cannot be written.
    """
    paint = np.full((256, 3), 255, np.uint8)
    for code, colour in COLOURS.items():
        paint[code] = colour
    panels = (paint[maps.truth], paint[maps.result], agreement_image(maps))
    height, width = maps.truth.shape
    box = _box(maps)
    side = 4.2
    tall = side * max(0.4, min(1.6, (box[1] - box[0]) / (box[3] - box[2])))
    figure = Figure(figsize=(3 * side, tall + 1.0), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    extent = (0, width * maps.grid.pixel_um, height * maps.grid.pixel_um, 0)
    for place, (panel, words) in enumerate(zip(panels, (names[1], names[0], "agreement"), strict=True)):
        axes = figure.add_subplot(1, 3, place + 1)
        axes.imshow(_small(panel), extent=extent, interpolation="nearest")
        axes.set_title(words)
        axes.set_xlabel("µm")
        axes.set_xlim(box[2], box[3])
        axes.set_ylim(box[1], box[0])
        axes.tick_params(labelsize=7)
        if place == 2:
            for labels, style in ((maps.truth, "-"), (maps.result, ":")):
                line = outline(labels == Compartment.MEDULLA, labels == Compartment.CORTEX)
                ends = (np.stack([line.start, line.end, np.full_like(line.start, np.nan)], 1) + 0.5).reshape(-1, 2)
                axes.plot(*(ends[:, ::-1] * maps.grid.pixel_um).T, style, color="black", linewidth=0.8)
    present = [c for c in COLOURS if c and ((maps.truth == c).any() or (maps.result == c).any())]
    handles = [Patch(color=_unit(COLOURS[c]), label=Compartment(c).name.lower()) for c in present]
    handles += [
        Patch(color=_unit(DISAGREE), label="they disagree"),
        Patch(color=_unit(LEFT_OUT), label="not scored"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=8, frameon=False)
    figure.suptitle(
        f"{title}. Agreement is pale; cortex-medulla border: {names[1]} solid, {names[0]} dotted",
        fontsize=9,
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Software": None})
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror or error})") from None


def _box(maps: Maps) -> tuple[float, float, float, float]:
    """Return what to show, in µm: everything that either side calls something, and a margin."""
    px = maps.grid.pixel_um
    rows, columns = np.nonzero((maps.truth > 0) | (maps.result > 0))
    if not len(rows):
        return 0.0, maps.truth.shape[0] * px, 0.0, maps.truth.shape[1] * px
    margin = 0.04 * max(np.ptp(rows), np.ptp(columns)) + 2
    low_y, high_y, low_x, high_x = (
        float(v) * px
        for v in (rows.min() - margin, rows.max() + margin, columns.min() - margin, columns.max() + margin)
    )
    return low_y, high_y, low_x, high_x


def _small(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    scale = _LARGEST / max(image.shape[:2])
    if scale >= 1:
        return image
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _unit(colour: tuple[int, int, int]) -> tuple[float, float, float]:
    red, green, blue = colour
    return red / 255, green / 255, blue / 255

"""A full-resolution crop of a section in which single cells, and what was drawn around them, can be judged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from thymusimg.report.picture import RGB, Colour, draw_lines, with_footer, write_text
from thymusimg.section.model import Window

if TYPE_CHECKING:
    from thymusimg.cells.model import Cells
    from thymusimg.compartments.model import Compartments
    from thymusimg.section.model import Section

PANEL_PX = 528
"""Side of each of the three panels."""
MAX_CROP_PX = 1600
"""A crop is never read larger than this, whatever the pixel size: memory stays bounded."""
NEAR_JUNCTION_UM = 100.0
CLEARLY_POSITIVE = 3.0
"""CD45 is shown white from at least so many times the gate's height above the background."""
_OUTLINE: Colour = (255, 150, 0)
_JUNCTION: Colour = (90, 200, 255)
_STAINS: dict[str, Colour] = {"cd45": (255, 38, 38), "k14": (64, 110, 255), "k8": (30, 205, 60)}


def draw_inset(
    section: Section, cells: Cells | None, compartments: Compartments, *, size_um: float = 130.0
) -> RGB | None:
    """Draw a full-resolution crop three times: all stains, CD45 alone, CD45 with the cells outlined.

    The crop is the place with most CD45+ area within 100 µm of the corticomedullary junction, or in the parenchyma
    where there is no junction; ties go to the first in reading order.

    Parameters
    ----------
    section : Section
    cells : Cells or None
    compartments : Compartments
    size_um : float
        Side of the crop, at most 400 µm.

    Returns
    -------
    (H, W, 3) uint8 or None
        None where cells were not looked for.
    """
    if cells is None or "cd45" not in section.roles:
        return None
    window = choose_window(section, cells, compartments, size_um)
    raw = {role: section.read(role, window).astype(np.float32) for role in _STAINS if role in section.roles}
    shown = {role: _level(plane, *_limits(role, plane, cells)) for role, plane in raw.items()}
    composite = sum(level[..., None] * np.array(_STAINS[role], np.float32) for role, level in shown.items())
    scale = PANEL_PX / max(window.shape)
    size = (max(1, round(window.shape[1] * scale)), max(1, round(window.shape[0] * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    stains = cv2.resize(np.clip(np.rint(composite), 0, 255).astype(np.uint8), size, interpolation=how)
    grey = cv2.resize(np.rint(shown["cd45"] * 255).astype(np.uint8), size, interpolation=how)
    plain = np.repeat(grey[..., None], 3, axis=2)
    outlined = (plain * 0.6).astype(np.uint8)
    _draw_cells(outlined, cells.masks.paint(section.on_slide(window)), size)
    _draw_junction(outlined, section, compartments, window, scale)
    panels = [
        _captioned(stains, "all stains, full resolution"),
        _captioned(plain, "CD45 as recorded"),
        _captioned(outlined, "CD45 with the cells found"),
    ]
    gap = np.full((panels[0].shape[0], 8, 3), 14, np.uint8)
    row = np.hstack([panels[0], gap, panels[1], gap, panels[2]])
    legend = [("cell", _OUTLINE), ("corticomedullary junction", _JUNCTION)]
    return with_footer(row, section.pixel_size_um / scale, legend)


def choose_window(section: Section, cells: Cells, compartments: Compartments, size_um: float) -> Window:
    """Return the full-resolution window of the crop; see :func:`draw_inset` for the rule."""
    grid = compartments.grid
    side_px = min(round(min(size_um, 400.0) / section.pixel_size_um), MAX_CROP_PX, *section.shape)
    side = max(1, round(side_px / grid.factor))
    parenchyma = compartments.mask()
    near = parenchyma & (np.abs(np.nan_to_num(compartments.distance_to_cmj_um, nan=np.inf)) <= NEAR_JUNCTION_UM)
    place = near if near.any() else parenchyma if parenchyma.any() else compartments.tissue
    content = np.where(parenchyma, np.nan_to_num(cells.positive_fraction), 0).astype(np.float32)
    if not content.any():
        content = parenchyma.astype(np.float32)
    density = cv2.blur(content, (side, side), borderType=cv2.BORDER_CONSTANT)
    if place.any():
        density = np.where(place, density, -1)
    # Rounded, so that the last bit of a blur's running sum never decides where the crop lies.
    y, x = np.unravel_index(int(np.argmax(np.round(density, 5))), density.shape)
    top = int(np.clip(y * grid.factor - side_px // 2, 0, section.shape[0] - side_px))
    left = int(np.clip(x * grid.factor - side_px // 2, 0, section.shape[1] - side_px))
    return Window(top, top + side_px, left, left + side_px)


def _limits(role: str, plane: npt.NDArray[np.float32], cells: Cells) -> tuple[float, float]:
    low, high = (float(v) for v in np.percentile(plane[np.isfinite(plane)], (1, 99.7)))
    if role == "cd45":
        # Tied to the gate: the noise of a section without human cells must stay dark. Raw pixels carry an offset
        # that the gate does not, so only the gate's height above its background is used.
        high = max(high, low + CLEARLY_POSITIVE * (cells.gate.threshold - cells.gate.background))
    return low, high if high > low else low + 1.0


def _level(plane: npt.NDArray[np.float32], low: float, high: float) -> npt.NDArray[np.float32]:
    level: npt.NDArray[np.float32] = np.clip(np.nan_to_num((plane - low) / (high - low)), 0, 1)
    return level


def _draw_cells(panel: RGB, labels: npt.NDArray[np.uint32], size: tuple[int, int]) -> None:
    # Labels above 2^24 would not survive float32; a crop holds few cells, so they are renumbered.
    _, small = np.unique(labels, return_inverse=True)
    small = small.reshape(labels.shape).astype(np.float32)
    large = cv2.resize(small, size, interpolation=cv2.INTER_NEAREST)
    edge = np.zeros(large.shape, bool)
    edge[:, 1:] |= large[:, 1:] != large[:, :-1]
    edge[1:] |= large[1:] != large[:-1]
    edge = cv2.dilate(edge.view(np.uint8), np.ones((2, 2), np.uint8)).view(bool)
    panel[edge] = _OUTLINE


def _draw_junction(panel: RGB, section: Section, compartments: Compartments, window: Window, scale: float) -> None:
    origin = np.array([window.y0, window.x0]) + section.origin
    lines = [(line / section.pixel_size_um - origin + 0.5) * scale - 0.5 for line in compartments.junction_um]
    draw_lines(panel, lines, _JUNCTION, 2, closed=False)


def _captioned(panel: RGB, words: str) -> RGB:
    header = np.full((26, panel.shape[1], 3), 14, np.uint8)
    write_text(header, words, (8, 18), size=0.46)
    return np.vstack([header, panel])

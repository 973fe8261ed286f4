"""Where on a big slide the section lies: a frame of the slide in which all of it, and glass around it, is analysed.

A section covers a small part of its slide. Memory and time of everything that follows then grow with the section,
and not with the glass around it.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from thymusimg.section.filling import find_filling
from thymusimg.section.model import Window

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thymusimg.section.model import FloatPlane, Mask, Section

WHOLE_PX = 6_000_000
"""Slides of at most so many coarse pixels are analysed whole: 9,800 × 9,800 px of 0.5 µm."""

STEP_PX = 512
"""A frame begins at multiples of this many full-resolution pixels, which statistics tiles do too."""

LARGEST_STEP_PX = 4096
"""Stored tiles that no such step is a multiple of are not kept whole."""

GLANCE = 16
"""Coarse pixels to a pixel of the first look, along a side: at most 32 µm. The smallest piece of tissue has 140."""

SHOWING_TISSUE = ("k14", "k8", "dapi")
"""The stains that may show tissue; CD45 is not asked, as in finding tissue."""

MARGIN_UM = 400.0
"""Glass around the tissue that its detection measures the background on."""

ROI_MARGIN_UM = 100.0
"""What lies outside the outlines takes no part; smoothing does not reach farther in than this."""

NOISE_SD = 8.0
"""Signal is so many SD of the glass above it; tissue's own detection asks for 5 and smooths less."""

FAINT = 0.02
"""Signal is at least this share of the brightest 0.1 % above the glass: a sixth of what tissue has at least."""

QUARTER = 0.3186
"""A quarter of the values of unit Gaussian noise are smaller than this, whatever their sign."""

LEAST_UM2 = 5_000.0
"""Smaller specks of signal alone are no tissue: a quarter of the smallest piece that counts by default."""

LEAST_SHARE = 0.005
"""Nor are pieces below this share of the largest: a quarter of what counts by default."""


def needs_frame(section: Section) -> bool:
    """Tell whether a slide is so big that its section is looked for first."""
    return section.frame is None and math.prod(section.grid.shape) > WHOLE_PX


def frame_of_outlines(section: Section) -> Section:
    """Return the section in the frame that holds its outlines; outlines off the slide leave it as it is."""
    points = np.concatenate(section.roi) / section.pixel_size_um + 0.5
    margin = ROI_MARGIN_UM / section.pixel_size_um
    (y0, x0), (y1, x1) = np.floor(points.min(axis=0) - margin), np.ceil(points.max(axis=0) + margin)
    return _framed(section, Window(int(y0), int(y1), int(x0), int(x1)))


def frame_of_signal(section: Section, glance: Mapping[str, FloatPlane]) -> Section:
    """Return the section in the frame that holds everything that may be tissue.

    Parameters
    ----------
    section : Section
        Without a frame.
    glance : mapping of str to (Y, X) float32
        Means over blocks of ``GLANCE`` × ``GLANCE`` coarse pixels of the whole slide.

    Returns
    -------
    Section
        As it was where nothing stands out: what follows says so better.
    """
    seen = signal(glance, (section.grid.pixel_um * GLANCE) ** 2)
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    if not len(rows):
        return section
    side = section.grid.factor * GLANCE
    margin = math.ceil(MARGIN_UM / section.pixel_size_um)
    found = Window(
        int(rows[0]) * side - margin, (int(rows[-1]) + 1) * side + margin,
        int(columns[0]) * side - margin, (int(columns[-1]) + 1) * side + margin,
    )  # fmt: skip
    return _framed(section, found)


def signal(glance: Mapping[str, FloatPlane], pixel_um2: float) -> Mask:
    """Return where any stain of a first look may show tissue.

    Every stain is compared with its own glass: the level of the darkest twentieth, and the noise of the differences
    of neighbours, which neither tissue nor a slow gradient widens. The filling between scanned tiles takes no part.
    """
    shown = {role: glance[role] for role in SHOWING_TISSUE if role in glance} or glance
    scanned = ~find_filling(shown)
    seen = np.zeros(scanned.shape, np.bool_)
    if not scanned.any():
        return seen
    for plane in shown.values():
        seen |= scanned & (plane > _cut(plane, scanned))
    # pieces that touch a neighbour by its dark rim hang together with it
    count, labels, stats, _ = cv2.connectedComponentsWithStats(seen.view(np.uint8), connectivity=8)
    if count == 1:
        return seen
    area = stats[:, cv2.CC_STAT_AREA].astype(np.float64)
    area[0] = 0
    kept = area >= max(1.0, LEAST_UM2 / pixel_um2, LEAST_SHARE * area.max())
    kept |= area == area.max()
    kept[0] = False
    return np.asarray(kept[labels], np.bool_)


def _cut(plane: FloatPlane, scanned: Mask) -> float:
    values = plane[scanned]
    dark, glass, bright = np.quantile(values, (0.005, 0.05, 0.999))
    both = scanned[:, 1:] & scanned[:, :-1]
    steps = np.abs(np.diff(plane, axis=1)[both])
    # the smallest quarter of the differences is that of glass, how little of it there may be
    noise = float(np.quantile(steps, 0.25)) / QUARTER / math.sqrt(2) if len(steps) else 0.0
    return float(glass + max(NOISE_SD * noise, glass - dark, FAINT * (bright - glass)))


def _framed(section: Section, wanted: Window) -> Section:
    """Return the section in a frame of whole steps around ``wanted``, cut to the slide."""
    ends = []
    for low, high, length, tile in (
        (wanted.y0, wanted.y1, section.slide_shape[0], section.image.tile_shape[0]),
        (wanted.x0, wanted.x1, section.slide_shape[1], section.image.tile_shape[1]),
    ):
        step = math.lcm(STEP_PX, section.grid.factor)
        whole = math.lcm(step, tile)
        step = whole if whole <= LARGEST_STEP_PX else step
        first, last = max(0, low // step * step), min(length, -(-high // step) * step)
        if first >= last:
            return section
        ends += [first, last]
    frame = Window(*ends)
    return section if frame.shape == section.slide_shape else replace(section, frame=frame)

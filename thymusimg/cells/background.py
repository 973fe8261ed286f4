"""The CD45 level of tissue without human cells, whatever share of the tissue they fill."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from thymusimg.errors import GateError
from thymusimg.section.tiles import map_tiles, tile_grid

if TYPE_CHECKING:
    from thymusimg.channels.correct import Correction
    from thymusimg.compartments.model import Compartments
    from thymusimg.section.model import FloatPlane, Mask, Section, Window
    from thymusimg.settings import GateSettings

BLOCK_UM = 2.0
"""Pixels are averaged over blocks of this side: smaller than the gaps between packed cells, bigger than the
noise."""
NEGATIVE_SHARE = 0.08
"""The background is where this share of the blocks lies closest together: at least so much tissue must be
negative."""
NEIGHBOUR_BLOCKS = 3
"""A block is compared with those this far on either side: beyond the edge of a cell."""
LEAST_BLOCKS = 200
LEAST_SD_OF_EXPORT = 0.01
"""Least SD of a display export, as a part of its range: its background may be clipped to one value."""

HAZE = 0.02
"""The SDs are at least this part of the height of the tissue's 95th percentile: where cells fill more than 5 % of
the tissue, their stray light lies between them, however small the camera's noise."""


class Level(NamedTuple):
    """Background and SD of single pixels of negative tissue, and the gate quantile of all its pixels.

    ``local_sd`` is the SD over the size of a cell, without the slow changes over the section that ``sd`` holds.
    """

    background: float
    sd: float
    local_sd: float
    quantile: float
    notes: tuple[str, ...]


class _Sample(NamedTuple):
    means: npt.NDArray[np.float64]
    deviations: npt.NDArray[np.float64]
    neighbours: npt.NDArray[np.float64]
    pixels: FloatPlane


def measure_background(
    section: Section,
    correction: Correction,
    compartments: Compartments,
    settings: GateSettings,
    *,
    threads: int = 2,
) -> Level:
    """Measure the CD45 background of a section's negative tissue on evenly spread full-resolution tiles.

    Block means of negative tissue lie close together, those of cells far apart; the background is the middle of the
    shortest interval that holds 8 % of them (Grübel's shorth, at a fixed share), so that it is found with
    nothing and with 90 % of the tissue positive. The SD of its pixels joins the noise inside blocks like it and
    the spread of the blocks below it; blocks above it may hold cells and do not count.

    Raises
    ------
    GateError
        If there is no CD45, too little tissue, or no variation.
    """
    if "cd45" not in section.roles:
        raise GateError(f"{section.section_id}: no CD45 stain, so no CD45 threshold")
    analysable = compartments.analysable
    windows = sample_windows(analysable, section, settings)
    samples = list(map_tiles(lambda w: _sample(section, correction, analysable, w), windows, threads))
    means = np.concatenate([sample.means for sample in samples]) if samples else np.zeros(0)
    if len(means) < LEAST_BLOCKS:
        raise GateError(
            f"{section.section_id}: too little analysable tissue for a CD45 threshold "
            f"({len(means)} blocks of 2 µm, {LEAST_BLOCKS} needed)"
        )
    deviations = np.concatenate([sample.deviations for sample in samples])
    pixels = np.concatenate([sample.pixels for sample in samples])
    background = _densest(means)
    below = background - means[means < background]
    spread = 1.4826 * float(np.median(below)) if len(below) else 0.0
    like_it = np.abs(means - background) <= max(spread, np.finfo(np.float32).eps)
    noise = float(np.median(deviations[like_it])) if like_it.any() else 0.0
    haze = HAZE * (float(np.quantile(pixels, 0.95)) - background)
    least = max(_least_sd(section), haze)
    sd = max(float(np.hypot(noise, spread)), least)
    neighbours = np.concatenate([sample.neighbours for sample in samples])
    local_sd = min(sd, max(float(np.hypot(noise, _local_spread(neighbours, background + spread))), least))
    if sd <= 0:
        raise GateError(f"{section.section_id}: CD45 is constant on the tissue; is the channel right?")
    note = (
        f"CD45 background {background:.4g} ± {sd:.4g} (over the size of a cell ± {local_sd:.4g}), "
        f"from {len(means)} blocks of 2 µm in {len(windows)} tiles"
    )
    return Level(background, sd, local_sd, float(np.quantile(pixels, settings.control_quantile)), (note,))


def sample_windows(analysable: Mask, section: Section, settings: GateSettings) -> list[Window]:
    """Choose full-resolution windows that lie in tissue, evenly over it and always the same ones."""
    factor = section.grid.factor
    tiles = [tile.core for tile in tile_grid(section.shape, max(settings.sample_tile_px, factor))]
    share = np.array([analysable[_coarse(tile, factor)].mean() for tile in tiles])
    good = np.flatnonzero(share > 0)
    if len(good) > settings.sample_tiles:  # else all tissue is read, however the tiles lie on it
        good = good[share[good] >= min(0.5, share.max() * 0.9)]
    if len(good) > settings.sample_tiles:
        good = good[np.linspace(0, len(good) - 1, settings.sample_tiles).round().astype(np.intp)]
    return [tiles[i] for i in good]


def _sample(section: Section, correction: Correction, analysable: Mask, window: Window) -> _Sample:
    roles = correction.roles if correction.unmixing is not None else ("cd45",)
    cd45 = correction.apply({role: section.read(role, window) for role in roles}, window)["cd45"]
    factor = section.grid.factor
    rows = np.arange(window.y0, window.y1) // factor
    columns = np.arange(window.x0, window.x1) // factor
    inside = analysable[np.ix_(rows, columns)]
    side = max(2, round(BLOCK_UM / section.pixel_size_um))
    height, width = (edge // side * side for edge in cd45.shape)
    if not height or not width:
        return _Sample(np.zeros(0), np.zeros(0), np.zeros((0, 3)), cd45[inside])
    shape = (height // side, side, width // side, side)
    blocks = cd45[:height, :width].reshape(shape)
    whole = inside[:height, :width].reshape(shape).all(axis=(1, 3))
    means = blocks.mean(axis=(1, 3), dtype=np.float64)
    deviations = blocks.std(axis=(1, 3), dtype=np.float64, ddof=1)
    row = np.where(whole, means, np.nan)
    lag = NEIGHBOUR_BLOCKS
    # along rows and along columns, so that a turned slide has the same background
    neighbours = np.concatenate(
        [
            np.stack([line[:, lag:-lag], line[:, : -2 * lag], line[:, 2 * lag :]], axis=-1).reshape(-1, 3)
            for line in (row, row.T)
        ]
    )
    return _Sample(means[whole], deviations[whole], neighbours[np.isfinite(neighbours).all(axis=1)], cd45[inside])


def _local_spread(neighbours: npt.NDArray[np.float64], highest: float) -> float:
    """Return the SD of negative blocks about the mean of the two on either side of them."""
    negative = neighbours[(neighbours <= highest).all(axis=1)]
    if len(negative) < LEAST_BLOCKS // 4:
        return float("inf")
    difference = negative[:, 0] - negative[:, 1:].mean(axis=1)
    # Var(a - (b + c) / 2) is 1.5 Var(a)
    return float(1.4826 * np.median(np.abs(difference)) / np.sqrt(1.5))


def _least_sd(section: Section) -> float:
    """Return the rounding error of the pixel type: an SD below it is an accident."""
    if section.image.semi_quantitative:
        return LEAST_SD_OF_EXPORT * section.image.max_value
    return 0.5 if np.issubdtype(section.image.dtype, np.integer) else 0.0


def _densest(values: npt.NDArray[np.float64]) -> float:
    ordered: npt.NDArray[np.float64] = np.sort(values)
    held = max(2, int(NEGATIVE_SHARE * len(ordered)))
    lengths = ordered[held - 1 :] - ordered[: len(ordered) - held + 1]
    first = int(np.argmin(lengths))
    return float(np.median(ordered[first : first + held]))


def _coarse(window: Window, factor: int) -> tuple[slice, slice]:
    return slice(window.y0 // factor, -(-window.y1 // factor)), slice(window.x0 // factor, -(-window.x1 // factor))

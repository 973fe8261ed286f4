"""Streaming a slide once: coarse planes and tile statistics, without ever holding a full-resolution plane."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from thymusimg.errors import PixelValueError
from thymusimg.section.coarse import block_mean, tile_statistics
from thymusimg.section.framing import GLANCE, SHOWING_TISSUE
from thymusimg.section.model import Window
from thymusimg.section.survey_cache import Surveyed
from thymusimg.section.tiles import map_tiles, tile_grid

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from thymusimg.progress import Progress
    from thymusimg.section.model import FloatPlane, Section

TILE_PX = 512
"""Side of a statistics tile; fixed, so that the numbers do not depend on the processing tile."""

SAMPLE_TILES = 64
"""Full-resolution tiles looked at on a pyramidal slide."""

SIGNAL_SHARE = 0.1
"""A tile has signal if a stain's mean rises this far from the darkest tile towards the brightest."""

BAND_BYTES = 64 * 2**20
"""A window of a streamed strip file holds at most about this much of one stain."""


def coarse_level(section: Section) -> int:
    """Return the pyramid level that serves the coarse grid: the coarsest whose downsampling divides its factor."""
    factor = section.grid.factor
    best, best_factor = 0, 1
    for index, level in enumerate(section.image.levels):
        whole = int(level.downsample)
        if whole == level.downsample and factor % whole == 0 and whole > best_factor:
            best, best_factor = index, whole
    return best


class Streamed(NamedTuple):
    """What a window gave: where it lies, the coarse means of every stain, and the rows of its statistics tiles."""

    window: Window
    means: dict[str, FloatPlane]
    rows: dict[str, list[tuple[float, ...]]]


def stream(section: Section, roles: Sequence[str], threads: int, progress: Progress) -> Iterator[Streamed]:
    """Read every full-resolution pixel of some stains once, window by window."""
    factor, max_value = section.grid.factor, section.image.max_value

    def work(window: Window) -> Streamed:
        done = Streamed(window, {}, {})
        for role in roles:
            pixels = section.read(role, window)
            done.means[role] = _finite_mean(section, role, pixels, factor, window)
            done.rows[role] = _statistics(section, pixels, window, max_value)
        return done

    return map_tiles(work, _windows(section, 0, factor), threads, progress=progress, stage="survey")


def stream_full(section: Section, roles: Sequence[str], threads: int, progress: Progress) -> dict[str, Surveyed]:
    """Read every full-resolution pixel of some stains once; coarse planes and all statistics tiles."""
    planes = {role: np.empty(section.grid.shape, dtype=np.float32) for role in roles}
    found: dict[str, list[tuple[float, ...]]] = {role: [] for role in roles}
    for window, means, rows in stream(section, roles, threads, progress):
        for role in roles:
            planes[role][coarse_slices(window, section.grid.factor)] = means[role]
            found[role] += rows[role]
    return {role: Surveyed(planes[role], as_table(found[role])) for role in roles}


def glance_level(section: Section) -> int:
    """Return the pyramid level of a first look: the coarsest that blocks of it can be averaged from."""
    side = section.grid.factor * GLANCE
    whole = [(int(level.downsample), i) for i, level in enumerate(section.image.levels)]
    whole = [(down, i) for down, i in whole if down == section.image.levels[i].downsample and side % down == 0]
    return max(whole, default=(1, 0))[1]


def glance_pyramid(section: Section, threads: int, progress: Progress) -> dict[str, FloatPlane]:
    """Return means of every stain that may show tissue over blocks of ``GLANCE`` coarse pixels, from one level."""
    level = glance_level(section)
    roles = [role for role in SHOWING_TISSUE if role in section.roles] or list(section.roles)
    inner = section.grid.factor * GLANCE // int(section.image.levels[level].downsample)
    height, width = section.level_shape(level)
    planes = {role: np.empty((-(-height // inner), -(-width // inner)), np.float32) for role in roles}

    def work(window: Window) -> None:
        for role in roles:
            pixels = section.read(role, window, level)
            planes[role][coarse_slices(window, inner)] = block_mean(pixels, inner)

    for _ in map_tiles(work, _windows(section, level, inner), threads, progress=progress, stage="glance"):
        pass
    return planes


def stream_pyramid(section: Section, level: int, threads: int, progress: Progress) -> dict[str, Surveyed]:
    """Read the coarse planes from a pyramid level, and an even sample of full-resolution tiles."""
    planes = {role: np.empty(section.grid.shape, dtype=np.float32) for role in section.roles}
    downsample = int(section.image.levels[level].downsample)
    inner = section.grid.factor // downsample
    shape = section.level_shape(level)
    # Blocks cut by the edge, or that the level was rounded down to miss, are averaged from full resolution.
    rows, columns = (min(section.shape[i] // section.grid.factor, shape[i] // inner) for i in (0, 1))

    def work(window: Window) -> None:
        for role in section.roles:
            pixels = section.read(role, window, level)
            planes[role][coarse_slices(window, inner)] = _finite_mean(section, role, pixels, inner, window)

    if rows and columns:
        inside = Window(0, rows * inner, 0, columns * inner)
        windows = _windows(section, level, inner, inside)
        for _ in map_tiles(work, windows, threads, progress=progress, stage="survey"):
            pass
    _fill_edges(section, planes, rows, columns)
    sample = _sampled_tiles(section, planes)
    tiles: dict[str, list[tuple[float, ...]]] = {role: [] for role in section.roles}
    max_value = section.image.max_value

    def measure(window: Window) -> dict[str, list[tuple[float, ...]]]:
        return {role: _statistics(section, section.read(role, window), window, max_value) for role in section.roles}

    for found in map_tiles(measure, sample, threads, progress=progress, stage="survey"):
        for role in section.roles:
            tiles[role] += found[role]
    return {role: Surveyed(planes[role], as_table(tiles[role])) for role in section.roles}


def _windows(section: Section, level: int, step: int, inside: Window | None = None) -> list[Window]:
    """Return the windows to stream a level by, on the slide's own tiles, in the section's pixels of that level.

    They are cut to ``inside``, in the same pixels, and lie on multiples of ``step`` of them.
    """
    height, width = section.level_shape(level)
    inside = inside or Window(0, height, 0, width)
    size = _window_size(section, level, step)
    if section.frame is None:
        return [tile.core.overlap(inside) for tile in tile_grid((inside.y1, inside.x1), size)]
    down = int(section.image.levels[level].downsample)
    # a frame may begin in the middle of a tile of a coarser level: counted from the slide, no tile is cut
    top, left = section.frame.y0 // down, section.frame.x0 // down
    slide = inside.moved(top, left)
    first = slide.y0 // size[0] * size[0], slide.x0 // size[1] * size[1]
    tiles = tile_grid((slide.y1 - first[0], slide.x1 - first[1]), size)
    return [tile.core.moved(*first).overlap(slide).moved(-top, -left) for tile in tiles]


def _window_size(section: Section, level: int, step: int) -> tuple[int, int]:
    """Return the window to stream by: whole statistics tiles, whole stored blocks where that stays small."""
    width = section.image.levels[level].shape[1]
    stored = section.image.tile_shape if level == 0 else (TILE_PX, TILE_PX)
    unit = math.lcm(TILE_PX, step)
    rows, columns = (_multiple(unit, side) for side in stored)
    if level == 0 and stored[1] >= width > columns:  # strips: whole rows, or each strip would be decoded again
        row_bytes = width * section.image.dtype.itemsize
        columns = -(-width // unit) * unit
        rows = max(unit, min(rows, BAND_BYTES // (row_bytes * unit) * unit))
    return rows, columns


def _multiple(unit: int, stored: int) -> int:
    both = math.lcm(unit, stored)
    largest = max(2 * unit, 2048)
    return max(unit, 1024 // both * both, both) if both <= largest else max(unit, 1024 // unit * unit)


def coarse_slices(window: Window, factor: int) -> tuple[slice, slice]:
    """Return the blocks of ``factor`` pixels that a window covers."""
    return (
        slice(window.y0 // factor, -(-window.y1 // factor)),
        slice(window.x0 // factor, -(-window.x1 // factor)),
    )


def mean_of(section: Section, role: str, window: Window) -> FloatPlane:
    """Read a full-resolution window, which begins with coarse pixels, and return its coarse means."""
    return _finite_mean(section, role, section.read(role, window), section.grid.factor, window)


def _finite_mean(
    section: Section, role: str, pixels: npt.NDArray[np.generic], factor: int, window: Window
) -> FloatPlane:
    _check_finite(section, role, pixels, window)
    return block_mean(pixels, factor)


def _check_finite(section: Section, role: str, pixels: npt.NDArray[np.generic], window: Window) -> None:
    if pixels.dtype.kind != "f":
        return
    bad = np.argwhere(~np.isfinite(pixels))
    if len(bad):
        y, x = np.array([window.y0, window.x0]) + section.origin + bad[0]
        raise PixelValueError(
            f"{section.image.path}: the {role} channel holds NaN or infinite pixels (first at row {y}, "
            f"column {x}). Export the raw intensities."
        )


def _statistics(
    section: Section, pixels: npt.NDArray[np.generic], window: Window, max_value: float
) -> list[tuple[float, ...]]:
    rows: list[tuple[float, ...]] = []
    for tile in tile_grid(window.shape, TILE_PX):
        core = tile.core
        numbers = tile_statistics(pixels[core.slices], max_value)
        y, x = window.y0 + section.origin[0], window.x0 + section.origin[1]
        rows.append((y + core.y0, x + core.x0, y + core.y1, x + core.x1, *numbers))
    return rows


def as_table(rows: list[tuple[float, ...]]) -> npt.NDArray[np.float64]:
    """Return the rows of statistics tiles, row by row of the slide."""
    return np.array(sorted(rows), dtype=np.float64).reshape(-1, 10)


def _fill_edges(section: Section, planes: dict[str, FloatPlane], rows: int, columns: int) -> None:
    """Average the coarse rows and columns past ``rows`` and ``columns`` from full resolution."""
    factor, (height, width) = section.grid.factor, section.shape
    edges = []
    if rows * factor < height:
        edges += [tile.core for tile in tile_grid((height, width), (height, 4 * TILE_PX))]
        edges = [Window(rows * factor, height, core.x0, core.x1) for core in edges]
    if columns * factor < width and rows:
        cores = [tile.core for tile in tile_grid((rows * factor, width), (4 * TILE_PX, width))]
        edges += [Window(core.y0, core.y1, columns * factor, width) for core in cores]
    for window in edges:
        for role, plane in planes.items():
            pixels = section.read(role, window)
            plane[coarse_slices(window, factor)] = _finite_mean(section, role, pixels, factor, window)


def _sampled_tiles(section: Section, planes: dict[str, FloatPlane]) -> list[Window]:
    """Choose at most :data:`SAMPLE_TILES` statistics tiles with signal, evenly in raster order."""
    windows = [tile.core for tile in tile_grid(section.shape, TILE_PX)]
    step = max(1, TILE_PX // section.grid.factor)
    score = np.zeros(len(windows))
    for plane in planes.values():
        means = block_mean(plane, step).ravel().astype(np.float64)
        if len(means) == len(windows) and means.max() > means.min():
            score = np.maximum(score, (means - means.min()) / (means.max() - means.min()))
    bright = np.flatnonzero(score > SIGNAL_SHARE)
    chosen = bright if len(bright) else np.arange(len(windows))
    if len(chosen) > SAMPLE_TILES:
        chosen = chosen[np.round(np.linspace(0, len(chosen) - 1, SAMPLE_TILES)).astype(int)]
    return [windows[i] for i in chosen]

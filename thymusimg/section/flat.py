"""A big slide without a pyramid: the section is found, and its planes are kept, in one pass over the file."""

from __future__ import annotations

import heapq
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from thymusimg.section import survey_cache
from thymusimg.section.coarse import block_mean
from thymusimg.section.framing import GLANCE, frame_of_signal
from thymusimg.section.memory import require_memory
from thymusimg.section.model import Window
from thymusimg.section.streaming import as_table, coarse_slices, mean_of, stream
from thymusimg.section.survey_cache import Surveyed
from thymusimg.section.tiles import map_tiles, tile_grid

if TYPE_CHECKING:
    from pathlib import Path

    from thymusimg.progress import Progress
    from thymusimg.section.model import FloatPlane, Section

BLOCK_PX = 256
"""Side of a block of coarse pixels that is kept or dropped as one."""

KEPT_BYTES = 192 * 2**20
"""At most so much of the planes is kept before it is known where the section lies."""


class Block(NamedTuple):
    """A block of the coarse grid: how much it varies, where it lies (its corner), and the means of every stain."""

    variation: float
    y: int
    x: int
    means: tuple[FloatPlane, ...]


class Kept:
    """The blocks of the coarse grid that vary most, as many as there is room for."""

    def __init__(self, room_bytes: int) -> None:
        self.room = room_bytes
        self.heap: list[Block] = []

    def add(self, window: Window, means: dict[str, FloatPlane], factor: int) -> None:
        """Take the blocks of a window, and drop the evenest ones: they are glass, of which there is most."""
        stains = list(means.values())
        for tile in tile_grid(stains[0].shape, BLOCK_PX):
            parts = tuple(np.ascontiguousarray(stain[tile.core.slices]) for stain in stains)
            y, x = window.y0 // factor + tile.core.y0, window.x0 // factor + tile.core.x0
            variation = max(float(np.std(part) / (abs(float(np.mean(part))) + 1.0)) for part in parts)
            # places differ: no two blocks are ever compared by their pixels
            heapq.heappush(self.heap, Block(variation, y, x, parts))
            self.room -= sum(part.nbytes for part in parts)
            while self.room < 0 and self.heap:
                self.room += sum(part.nbytes for part in heapq.heappop(self.heap).means)


def survey_flat(
    section: Section, threads: int, progress: Progress, cache: Path | None
) -> tuple[Section, dict[str, Surveyed]]:
    """Find the frame of a section on a big flat slide, and survey it there.

    Returns
    -------
    section : Section
        In its frame.
    parts : dict of str to Surveyed
        Planes and statistics tiles of the frame.
    """
    known = survey_cache.load_frame(cache, section)
    if known is not None:
        framed = replace(section, frame=known)
        parts = {role: survey_cache.load(survey_cache.place(cache, framed, role), framed) for role in section.roles}
        whole = {role: part for role, part in parts.items() if part is not None}
        if len(whole) == len(parts):
            return framed, whole
    framed, found = _streamed(section, threads, progress)
    if framed.frame is not None:
        for role, surveyed in found.items():
            survey_cache.save(survey_cache.place(cache, framed, role), surveyed)
        survey_cache.save_frame(cache, section, framed.frame)
    return framed, found


def _streamed(section: Section, threads: int, progress: Progress) -> tuple[Section, dict[str, Surveyed]]:
    grid, roles = section.grid, list(section.roles)
    glance = {role: np.empty([-(-n // GLANCE) for n in grid.shape], np.float32) for role in roles}
    rows: dict[str, list[tuple[float, ...]]] = {role: [] for role in roles}
    kept = Kept(KEPT_BYTES)
    for window, means, tiles in stream(section, roles, threads, progress):
        place = coarse_slices(window, grid.factor * GLANCE)
        for role in roles:
            glance[role][place] = block_mean(means[role], GLANCE)
            rows[role] += tiles[role]
        kept.add(window, means, grid.factor)
    framed = frame_of_signal(section, glance)
    require_memory(framed)
    planes = _planes(framed, roles, kept.heap, threads, progress)
    y0, x0 = framed.origin
    y1, x1 = y0 + framed.shape[0], x0 + framed.shape[1]
    inside = {role: [r for r in rows[role] if y0 <= r[0] < y1 and x0 <= r[1] < x1] for role in roles}
    return framed, {role: Surveyed(planes[role], as_table(inside[role])) for role in roles}


def _planes(
    framed: Section, roles: list[str], blocks: list[Block], threads: int, progress: Progress
) -> dict[str, FloatPlane]:
    """Put the frame's planes together, emptying ``blocks``, and read what was not kept again."""
    grid = framed.grid
    planes = {role: np.empty(grid.shape, np.float32) for role in roles}
    missing = np.ones(grid.shape, np.bool_)
    place = grid.place
    while blocks:
        block = blocks.pop()
        height, width = block.means[0].shape
        own = Window(block.y, block.y + height, block.x, block.x + width)
        both = own.overlap(place)
        if all(both.shape):
            to, source = both.moved(-place.y0, -place.x0).slices, both.moved(-own.y0, -own.x0).slices
            missing[to] = False
            for role, part in zip(roles, block.means, strict=True):
                planes[role][to] = part[source]
    holes = [t.core for t in tile_grid(grid.shape, BLOCK_PX) if missing[t.core.slices].any()]

    def read(core: Window) -> None:
        f, (height, width) = grid.factor, framed.shape
        window = Window(core.y0 * f, min(core.y1 * f, height), core.x0 * f, min(core.x1 * f, width))
        for role in roles:
            planes[role][core.slices] = mean_of(framed, role, window)

    for _ in map_tiles(read, holes, threads, progress=progress, stage="survey"):
        pass
    return planes

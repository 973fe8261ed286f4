"""Human CD45+ cells without training: edges vote for centres, outlines are traced, the best ones stay."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from thymusimg.cells.autofluorescence import likeness
from thymusimg.cells.collect import Found, empty
from thymusimg.cells.company import SUPPORT_UM as COMPANY_UM
from thymusimg.cells.company import count_company
from thymusimg.cells.contours import LARGEST_UM, MARGIN_UM, Outlines, trace_outlines
from thymusimg.cells.evenness import FLOOR_SD, even_out
from thymusimg.cells.evidence import is_autofluorescent, score_outlines
from thymusimg.cells.light import CellLight, TooCoarseError, one_thread_in_opencv, refuse_coarse
from thymusimg.cells.model import Cells
from thymusimg.cells.overlap import REACH_UM, keep_best, paint, sum_under
from thymusimg.cells.seeds import SUPPORT_UM, find_seeds
from thymusimg.progress import silent
from thymusimg.section.model import Window
from thymusimg.section.tiles import map_tiles, tile_grid

if TYPE_CHECKING:
    from thymusimg.cells.model import Gate
    from thymusimg.channels.correct import Correction
    from thymusimg.compartments.model import Compartments
    from thymusimg.progress import Progress
    from thymusimg.section.model import FloatPlane, Section
    from thymusimg.settings import CellSettings

__all__ = ["TooCoarseError", "detect_cells"]

WORKING_UM = 0.5
"""Finer sections are binned by a whole factor to pixels of at most this side; outlines do not need finer ones."""
SEED_UM = 0.6
"""Working pixels of at most this side are binned 2 × 2 for the search of seeds."""
SMOOTHING_UM = 0.3
"""SD of the blur before seeds and outlines are looked for: below the width of a membrane's image."""
LEAST_VOTES = 2.0
"""Fewest votes of a seed."""
SLOP_PX = 16
"""Working pixels at a window's rim that are not used: vectorised filters round the ends of rows differently."""

OUTLINES_UM = REACH_UM + 2 * LARGEST_UM + COMPANY_UM
"""A tile's cells depend on outlines no farther away than this."""
JOINED_PX, TILES_A_THREAD = 2048, 4
"""Smaller tiles are joined to this side where every thread still gets so many: a tile reads 80 µm around itself."""
LEAST_SEEN = 0.6
"""Part of a cell's outline that must not be covered by others."""


@dataclass(frozen=True)
class _Scales:
    """Pixel sizes of a section's grids: ``bin`` full-resolution pixels a working pixel, ``block`` a seed pixel."""

    pixel_um: float
    bin: int
    block: int

    @classmethod
    def of(cls, pixel_um: float) -> _Scales:
        binned = max(1, math.floor(WORKING_UM / pixel_um + 1e-9))
        return cls(pixel_um, binned, binned * (2 if binned * pixel_um <= SEED_UM else 1))

    @property
    def halo_px(self) -> int:
        """Full-resolution pixels around a tile on which its cells depend."""
        support_um = max(MARGIN_UM + 5 * SMOOTHING_UM, SUPPORT_UM)
        return math.ceil((OUTLINES_UM + support_um) / self.pixel_um) + SLOP_PX * self.block


def detect_cells(
    section: Section,
    correction: Correction,
    compartments: Compartments,
    gate: Gate,
    settings: CellSettings,
    *,
    tile_px: int = 1024,
    threads: int = 2,
    progress: Progress = silent,
) -> Cells:
    """Find the human CD45+ cells of a section at full resolution.

    Parameters
    ----------
    section : Section
    correction : Correction
    compartments : Compartments
        Cells are looked for in its analysable tissue only.
    gate : Gate
        Cells whose membrane lies below its threshold are not human.
    settings : CellSettings
    tile_px : int
        Side of a processing tile; no result depends on it. Bigger tiles waste less on their halo (about 50 µm).
    threads : int
    progress : callable

    Returns
    -------
    Cells
        Not yet assigned to compartments. A section without cells gives an empty table, not an error.

    Raises
    ------
    TooCoarseError
        If the pixels are coarser than ``settings.coarsest_pixel_um``: too coarse for cells. The rest of the section
        can be measured; the pipeline makes it NaN and a reason.
    """
    refuse_coarse(section, settings.coarsest_pixel_um)
    light = CellLight(section, correction, compartments.analysable, gate)
    work = _Work(light, settings, _Scales.of(section.pixel_size_um))
    wanted = _with_tissue(light, max(tile_px, JOINED_PX))
    if len(wanted) < TILES_A_THREAD * threads:
        wanted = _with_tissue(light, tile_px)
    fraction = np.zeros(section.grid.shape, np.float32)
    found: list[Found] = []
    with one_thread_in_opencv():
        for core, (cells, positive, where) in zip(
            wanted, map_tiles(work.tile, wanted, threads, progress=progress, stage="cells"), strict=True
        ):
            del core
            fraction[where] = positive
            found.append(cells)
    fraction[~light.analysable] = 0
    table, masks = light.join(found)
    return Cells(table, masks, fraction, gate)


@dataclass(frozen=True)
class _Work:
    """All that a tile needs; ``tile`` is safe in several threads."""

    light: CellLight
    settings: CellSettings
    scales: _Scales

    def tile(self, core: Window) -> tuple[Found, FloatPlane, tuple[slice, slice]]:
        """Return the cells whose centre lies in ``core``, and its positive fraction with where it belongs."""
        window = self._aligned(core)
        cd45 = self.light.read(("cd45",), window)["cd45"]
        positive, where = self.light.positive(cd45, window, core)
        if not np.any(cd45 >= self.light.gate.threshold):
            return empty(len(self.light.stains)), positive, where
        outlines, scores = self._outlines(cd45, window, core)
        good = (scores >= self.settings.minimum_score) & self._on_tissue(outlines.centres, window)
        centres, radii, scores = outlines.centres[good], outlines.radii[good], scores[good]
        px = self.scales.pixel_um
        kept = keep_best(centres, radii, scores, px, self.settings.maximum_overlap)
        # in the order of the section, whatever the tile: paint() settles ties by it
        order = np.flatnonzero(kept)
        order = order[np.lexsort((centres[order, 1], centres[order, 0]))]
        centres, radii, scores = centres[order] + (window.y0, window.x0), radii[order], scores[order]
        mine = np.flatnonzero(
            (centres[:, 0] >= core.y0 - 0.5)
            & (centres[:, 0] < core.y1 - 0.5)
            & (centres[:, 1] >= core.x0 - 0.5)
            & (centres[:, 1] < core.x1 - 0.5)
        )
        if len(mine) == 0:
            return empty(len(self.light.stains)), positive, where
        return self._weighed(centres, radii, scores, mine, cd45, window, core), positive, where

    def _weighed(
        self,
        centres: npt.NDArray[np.float64],
        radii: FloatPlane,
        scores: FloatPlane,
        mine: npt.NDArray[np.intp],
        cd45: FloatPlane,
        window: Window,
        core: Window,
    ) -> Found:
        """Paint and measure the outlines ``mine``, less the autofluorescent ones."""
        px = self.scales.pixel_um
        inner = core.grown(math.ceil(MARGIN_UM / px) + 2, self.light.section.shape)
        rows, columns = (
            slice(inner.y0 - window.y0, inner.y1 - window.y0),
            slice(inner.x0 - window.x0, inner.x1 - window.x0),
        )
        others = self.light.read(self.light.stains[1:], inner)
        planes = [np.ascontiguousarray(cd45[rows, columns]), *(others[role] for role in self.light.stains[1:])]
        centres = centres - np.array([inner.y0, inner.x0])
        mine = mine[~is_autofluorescent(*likeness(planes, centres[mine], radii[mine], px))]
        boxes, starts, bits, sums = paint(centres, radii, px, mine, (inner.y0, inner.x0), inner.shape)
        light = [sum_under(boxes, starts, bits, plane) for plane in planes]
        sums = np.concatenate([sums, np.stack(light, axis=1)], axis=1)
        boxes += np.array([inner.y0, inner.y0, inner.x0, inner.x0], np.int32)
        seen = (sums[:, 0] * px**2 >= self.settings.minimum_area_um2) & (sums[:, 0] >= LEAST_SEEN * sums[:, 1])
        return Found(boxes, starts, bits, sums, scores[mine]).select(seen)

    def _aligned(self, core: Window) -> Window:
        """Return the window to read: the halo, on whole blocks counted from the slide's origin."""
        halo, block = self.scales.halo_px, max(self.scales.block, self.light.section.grid.factor)
        height, width = self.light.section.shape
        return Window(
            max(0, (core.y0 - halo) // block * block),
            min(height, -(-(core.y1 + halo) // block) * block),
            max(0, (core.x0 - halo) // block * block),
            min(width, -(-(core.x1 + halo) // block) * block),
        )

    def _outlines(self, cd45: FloatPlane, window: Window, core: Window) -> tuple[Outlines, FloatPlane]:
        """Return the outlines that the cells of ``core`` depend on, and their scores."""
        scales = self.scales
        padded, top, left = self._padded(cd45, window)
        level = even_out(_binned(padded, scales.bin), self.light.gate.background, self.light.local_sd)
        working_um = scales.pixel_um * scales.bin
        fold = scales.block // scales.bin
        smooth = cv2.GaussianBlur(level, (0, 0), SMOOTHING_UM / working_um)
        seeds = _binned(smooth, fold)
        places, votes = find_seeds(seeds, working_um * fold, LEAST_VOTES)
        near = self._near(places, core, (window.y0 - top, window.x0 - left))
        places, votes = places[near], votes[near]
        outlines = trace_outlines(smooth, (places.astype(np.float64) + 0.5) * fold - 0.5, votes, working_um)
        excess = self.light.least_excess / (FLOOR_SD * self.light.local_sd)
        alone = score_outlines(outlines, excess)
        scores = score_outlines(outlines, excess, count_company(places, alone, seeds.shape, working_um * fold))
        full = (outlines.centres + 0.5) * scales.bin - 0.5 - (top, left)
        return Outlines(full, outlines.radii, outlines.evidence), scores

    def _near(self, places: npt.NDArray[np.intp], core: Window, corner: tuple[int, int]) -> npt.NDArray[np.bool_]:
        """Tell which seeds lie near enough to ``core`` to matter to its cells."""
        block, reach = self.scales.block, math.ceil(OUTLINES_UM / self.scales.pixel_um) + 2 * self.scales.block
        y, x = places[:, 0] * block + corner[0], places[:, 1] * block + corner[1]
        near: npt.NDArray[np.bool_] = (
            (y >= core.y0 - reach) & (y < core.y1 + reach) & (x >= core.x0 - reach) & (x < core.x1 + reach)
        )
        return near

    def _padded(self, cd45: FloatPlane, window: Window) -> tuple[FloatPlane, int, int]:
        """Continue the plane where the window ends with the slide, and complete its last blocks."""
        block = self.scales.block
        margin = SLOP_PX * block
        height, width = self.light.section.shape
        top, left = margin * (window.y0 == 0), margin * (window.x0 == 0)
        bottom = margin * (window.y1 == height) + -cd45.shape[0] % block
        right = margin * (window.x1 == width) + -cd45.shape[1] % block
        if not (top or left or bottom or right):
            return cd45, 0, 0
        # not mirrored: half a blob and its mirror image would make a ring
        return cv2.copyMakeBorder(cd45, top, bottom, left, right, cv2.BORDER_REPLICATE), top, left

    def _on_tissue(self, centres: npt.NDArray[np.float64], window: Window) -> npt.NDArray[np.bool_]:
        corner = np.array([window.y0, window.x0])
        pixels = np.floor(centres + 0.5).astype(np.intp) + corner
        inside = np.all((pixels >= 0) & (pixels < np.array(self.light.section.shape)), axis=1)
        coarse = np.where(inside[:, None], pixels, 0) // self.light.section.grid.factor
        wanted: npt.NDArray[np.bool_] = inside & self.light.analysable[coarse[:, 0], coarse[:, 1]]
        return wanted


def _with_tissue(light: CellLight, tile_px: int) -> list[Window]:
    cores = (tile.core for tile in tile_grid(light.section.shape, tile_px))
    return [core for core in cores if light.has_tissue(core)]


def _binned(plane: FloatPlane, factor: int) -> FloatPlane:
    if factor == 1:
        return plane
    size = (plane.shape[1] // factor, plane.shape[0] // factor)
    binned: FloatPlane = cv2.resize(plane, size, interpolation=cv2.INTER_AREA)
    return binned

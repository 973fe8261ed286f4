"""The network of a slide, traced tile by tile at full resolution (R9); no number depends on the tiles."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numba
import numpy as np
import numpy.typing as npt

from thymusimg.compartments.distance import distance_within
from thymusimg.measurements.network import ridge, skeleton
from thymusimg.measurements.network.graph import (
    COUNTS,
    CorePieces,
    Graph,
    Pieces,
    as_graph,
    core_pieces,
    count_core,
)
from thymusimg.measurements.network.mesh import WIDEST_UM, mesh_width_px, width_histogram
from thymusimg.progress import silent
from thymusimg.section.coarse import block_mean
from thymusimg.section.model import Window
from thymusimg.section.tiles import Team, Tile, map_tiles, tile_grid

if TYPE_CHECKING:
    from thymusimg.channels.correct import Correction
    from thymusimg.measurements.network.graph import CorePieces
    from thymusimg.measurements.network.plane import KeratinScale
    from thymusimg.progress import Progress
    from thymusimg.section.model import FloatPlane, Grid, LabelPlane, Mask, Section

Kind = TypeVar("Kind", bound=np.generic)
_Place = tuple[slice, slice]

COARSEST_UM = 0.5
"""Strands cannot be told apart on coarser pixels."""
CONTRAST = 0.18
"""A strand's ridge strength is at least this share of the local level of keratin."""
POSITIVE = 1.5
"""Keratin-positive pixels are brighter than the local level by this factor: about half as bright as a strand."""
POSITIVE_UM = 0.5
"""Keratin is compared with its local level after a blur of this sigma."""
SPUR_UM, PIECE_UM = 1.5, 5.0
"""Side branches and pieces shorter than this are noise."""
NEAR_UM = 12.0
"""Distances to the network are exact up to this and at least this beyond."""
DISTANCE_STEP_UM = 0.25
JOINED_PX, TILES_A_THREAD = 2048, 4
"""Smaller tiles are joined to this side where every thread still gets so many: a tile reads 60 µm around itself."""
CODES = 4
"""Compartments told apart: 0 anything else, then the codes of cortex, medulla and indeterminate."""


@dataclass(frozen=True)
class Network:
    """The keratin network of a section.

    Attributes
    ----------
    pixel_um : float
        Side of the pixels it was traced on.
    graphs : tuple of Graph
        By compartment code (0: off the parenchyma).
    area_mm2 : (4,) float64
        Area traced, by compartment code.
    positive : (Y, X) float32
        Share of every coarse pixel that is keratin-positive; 0 where nothing was traced.
    distances : (4, B) int64
        Pixels by compartment and distance to the network, in steps of ``DISTANCE_STEP_UM``; the last holds the
        rest. All 0 if no points were asked for.
    widths : (4, B) int64
        Pixels by compartment and mesh width, as :func:`thymusimg.measurements.network.mesh.width_histogram`.
    at_points_um : (N,) float64
        Distance to the network at the points asked for, at most ``NEAR_UM``.
    """

    pixel_um: float
    graphs: tuple[Graph, ...]
    area_mm2: npt.NDArray[np.float64]
    positive: FloatPlane
    distances: npt.NDArray[np.int64]
    widths: npt.NDArray[np.int64]
    at_points_um: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))


class Traced(NamedTuple):
    """One window's planes, for looking at: the keratin plane, positive pixels and skeleton."""

    keratin: FloatPlane
    positive: Mask
    skeleton: Mask
    labels: LabelPlane


class Tracer:
    """Traces windows of one section; its working pixels are blocks of whole slide pixels, of at most 0.5 µm."""

    def __init__(self, section: Section, correction: Correction, labels: LabelPlane, scale: KeratinScale) -> None:
        self.section, self.correction, self.scale = section, correction, scale
        self.grid: Grid = section.grid
        self.labels = np.where(labels < CODES, labels, 0).astype(np.uint8)
        self.bin = max(1, math.floor(COARSEST_UM / section.pixel_size_um + 1e-9))
        self.pixel_um = section.pixel_size_um * self.bin
        self.shape = (-(-section.shape[0] // self.bin), -(-section.shape[1] // self.bin))
        self.spur, self.piece = round(SPUR_UM / self.pixel_um), round(PIECE_UM / self.pixel_um)
        # unmixing needs every stain
        self.roles = tuple(section.roles) if correction.unmixing is not None else tuple(scale.weights)

    @property
    def halo_px(self) -> int:
        """Working pixels around a tile on which its part of the network depends."""
        # a mesh's disc touches keratin, and the skeleton, as far away as it is wide
        beyond = max(math.ceil(NEAR_UM / self.pixel_um), math.ceil(WIDEST_UM / self.pixel_um)) + 2
        return ridge.reach_px(self.pixel_um) + skeleton.reach_px(self.spur, self.piece) + beyond

    def trace(self, window: Window) -> Traced:
        """Trace a window of working pixels; its rim of ``halo_px`` holds for nothing."""
        keratin = self._read(window)
        level = spread(self.scale.level, window, self.bin, self.grid.factor)
        strands = ridge.ridge_strength(keratin, self.pixel_um) >= np.float32(CONTRAST) * level
        thin = skeleton.skeletonise(strands, spur_px=self.spur, piece_px=self.piece)
        # in confluent epithelium the local level is that of keratin itself: there the section's level is the limit
        limit = np.float32(POSITIVE) * np.minimum(level, np.float32(self.scale.middle))
        positive = ridge.smooth_once(keratin, POSITIVE_UM / self.pixel_um) >= limit
        return Traced(keratin, positive, thin, spread(self.labels, window, self.bin, self.grid.factor))

    def _read(self, window: Window) -> FloatPlane:
        b = self.bin
        height, width = self.section.shape
        full = Window(window.y0 * b, min(window.y1 * b, height), window.x0 * b, min(window.x1 * b, width))
        pixels = {role: self.section.read(role, full) for role in self.roles}
        return block_mean(self.scale.add_up(self.correction.apply(pixels, full)), b)


class _Part(NamedTuple):
    core: Window
    sums: npt.NDArray[np.int64]
    pieces: CorePieces
    area: npt.NDArray[np.int64]
    positive: npt.NDArray[np.int32]
    distances: npt.NDArray[np.int64]
    widths: npt.NDArray[np.int64]
    points: npt.NDArray[np.intp]
    at_points: npt.NDArray[np.float64]


def trace_network(
    section: Section,
    correction: Correction,
    labels: LabelPlane,
    scale: KeratinScale,
    *,
    points_um: npt.NDArray[np.float64] | None = None,
    tile_px: int = 1024,
    threads: int | Team = 1,
    progress: Progress = silent,
) -> Network:
    """Trace the keratin network of a section (R9).

    Parameters
    ----------
    section : Section
        Pixels of at most 0.5 µm.
    correction : Correction
    labels : (Y, X) uint8
        Compartments on the coarse grid.
    scale : KeratinScale
    points_um : (N, 2) float64, optional
        Places (y, x) whose distance to the network is wanted.
    tile_px : int
    threads : int or Team
        No result depends on them.
    progress : callable
        Told how many of the tiles are done.

    Returns
    -------
    Network
    """
    tracer = Tracer(section, correction, labels, scale)
    places = np.zeros((0, 2)) if points_um is None else np.asarray(points_um, np.float64)
    # the working pixel that holds a point: the first slide pixel's centre is 0
    at = np.floor((places / section.pixel_size_um - section.origin + 0.5) / tracer.bin).astype(np.intp)
    at = np.clip(at, 0, np.array(tracer.shape) - 1)
    tiles = _tiles(tracer, max(tile_px, JOINED_PX))
    if len(tiles) < TILES_A_THREAD * (threads.threads if isinstance(threads, Team) else threads):
        tiles = _tiles(tracer, tile_px)

    def work(index: int) -> _Part:
        tile = tiles[index]
        return _measure(tracer, tile.core, tile.outer, at)

    sums, area = np.zeros((CODES, COUNTS), np.int64), np.zeros(CODES, np.int64)
    steps = math.ceil(NEAR_UM / DISTANCE_STEP_UM) + 1
    distances = np.zeros((CODES, steps), np.int64)
    positive = np.zeros(tracer.grid.shape, np.int32)
    widths: npt.NDArray[np.int64] | None = None
    found, pieces = np.full(len(places), math.nan), Pieces()
    for part in map_tiles(work, range(len(tiles)), threads, progress=progress, stage="network"):
        sums += part.sums
        area += part.area
        distances += part.distances
        widths = part.widths if widths is None else widths + part.widths
        pieces.add(part.pieces, part.core.y0, part.core.x0)
        positive[_coarse(part.core, tracer)] += part.positive
        found[part.points] = part.at_points
    graphs = tuple(as_graph(sums[code], pieces.count(code)) for code in range(CODES))
    whole = _block_counts(tracer)
    share = np.divide(positive, whole, out=np.zeros(positive.shape, np.float32), where=whole > 0, dtype=np.float32)
    if widths is None:
        widths = np.zeros((CODES, 1), np.int64)
    mm2 = np.asarray(area * tracer.pixel_um**2 * 1e-6, np.float64)
    return Network(tracer.pixel_um, graphs, mm2, share, distances, widths, found)


def spread(plane: npt.NDArray[Kind], window: Window, binned: int, factor: int) -> npt.NDArray[Kind]:
    """Return a coarse plane at the working pixels of a window: the value of the block that holds their centre."""
    rows = ((np.arange(window.y0, window.y1) + 0.5) * binned // factor).astype(np.intp)
    cols = ((np.arange(window.x0, window.x1) + 0.5) * binned // factor).astype(np.intp)
    rows, cols = np.minimum(rows, plane.shape[0] - 1), np.minimum(cols, plane.shape[1] - 1)
    # line by line is quicker than pixel by pixel
    lines = np.take(plane[rows[0] : rows[-1] + 1], cols, axis=1)
    found: npt.NDArray[Kind] = np.take(lines, rows - rows[0], axis=0)
    return found


def _tiles(tracer: Tracer, side: int) -> list[Tile]:
    tiles = tile_grid(tracer.shape, side, tracer.halo_px)
    return [tile for tile in tiles if (tracer.labels[_coarse(tile.core, tracer)] > 0).any()]


def _coarse(core: Window, tracer: Tracer) -> tuple[slice, slice]:
    """Return the coarse pixels that hold the centres of a core's working pixels."""
    ends = []
    for low, high, size in ((core.y0, core.y1, tracer.labels.shape[0]), (core.x0, core.x1, tracer.labels.shape[1])):
        first, last = (int((i + 0.5) * tracer.bin // tracer.grid.factor) for i in (low, high - 1))
        ends.append(slice(min(first, size - 1), min(last, size - 1) + 1))
    return ends[0], ends[1]


def _block_counts(tracer: Tracer) -> npt.NDArray[np.int64]:
    """Return how many working pixels have their centre in every coarse pixel."""
    counts = []
    for size, coarse in zip(tracer.shape, tracer.labels.shape, strict=True):
        index = ((np.arange(size) + 0.5) * tracer.bin // tracer.grid.factor).astype(np.intp)
        counts.append(np.bincount(np.minimum(index, coarse - 1), minlength=coarse))
    return np.outer(counts[0], counts[1])


def _measure(tracer: Tracer, core: Window, outer: Window, at: npt.NDArray[np.intp]) -> _Part:
    traced = tracer.trace(outer)
    y0, x0 = core.y0 - outer.y0, core.x0 - outer.x0
    height, width = core.shape
    labels = np.pad(traced.labels, 2)
    thin = np.pad(traced.skeleton, 2).view(np.uint8)
    rim = tracer.spur + 1  # so near the image's border a strand may end because the image does
    low_y, low_x = rim - outer.y0 + 2, rim - outer.x0 + 2
    high_y, high_x = tracer.shape[0] - rim - outer.y0 + 2, tracer.shape[1] - rim - outer.x0 + 2
    sums = count_core(thin, labels, y0 + 2, x0 + 2, height, width, (low_y, high_y, low_x, high_x), CODES)
    pieces = core_pieces(thin, labels, y0 + 2, x0 + 2, height, width)
    inner = (slice(y0, y0 + height), slice(x0, x0 + width))
    mine = traced.labels[inner]
    near = math.ceil(NEAR_UM / tracer.pixel_um) + 1
    around, core_of = _around(inner, near)
    # only contact needs distances
    far = distance_within(~traced.skeleton[around], near)[core_of] if len(at) else np.zeros(core.shape, np.float32)
    steps = math.ceil(NEAR_UM / DISTANCE_STEP_UM) + 1
    area, distances = _histogram(mine, far, tracer.pixel_um / DISTANCE_STEP_UM, CODES, steps)
    inside = (at >= (core.y0, core.x0)) & (at < (core.y1, core.x1))
    points = np.flatnonzero(inside.all(1))
    there = far[at[points, 0] - core.y0, at[points, 1] - core.x0].astype(np.float64) * tracer.pixel_um
    positive = _per_block(traced.positive[inner], core, tracer)
    # faint strands part meshes too
    around, core_of = _around(inner, math.ceil(WIDEST_UM / tracer.pixel_um) + 2)
    free = ~traced.positive[around] & ~traced.skeleton[around] & (traced.labels[around] > 0)
    meshes = mesh_width_px(free, WIDEST_UM / tracer.pixel_um)[core_of]
    widths = width_histogram(meshes, mine, tracer.pixel_um, CODES)
    return _Part(core, sums, pieces, area, positive, distances, widths, points, np.minimum(there, NEAR_UM))


def _around(inner: _Place, margin: int) -> tuple[_Place, _Place]:
    """Return where a core with a margin lies in its window, as far as that goes, and the core in that."""
    rows, cols = (slice(max(part.start - margin, 0), part.stop + margin) for part in inner)
    y0, x0 = inner[0].start - rows.start, inner[1].start - cols.start
    height, width = inner[0].stop - inner[0].start, inner[1].stop - inner[1].start
    return (rows, cols), (slice(y0, y0 + height), slice(x0, x0 + width))


def _per_block(positive: Mask, core: Window, tracer: Tracer) -> npt.NDArray[np.int32]:
    rows, cols = _coarse(core, tracer)
    index = []
    for low, high, part in ((core.y0, core.y1, rows), (core.x0, core.x1, cols)):
        block = ((np.arange(low, high) + 0.5) * tracer.bin // tracer.grid.factor).astype(np.intp)
        index.append(np.minimum(block, part.stop - 1) - part.start)
    out = np.zeros((rows.stop - rows.start, cols.stop - cols.start), np.int32)
    _add_blocks(positive, index[0], index[1], out)
    return out


@numba.njit(cache=True, nogil=True)
def _add_blocks(positive, rows, cols, out):  # type: ignore[no-untyped-def]  # compiled
    for y in range(positive.shape[0]):
        for x in range(positive.shape[1]):
            out[rows[y], cols[x]] += positive[y, x]


@numba.njit(cache=True, nogil=True)
def _histogram(labels, far, per_px, codes, steps):  # type: ignore[no-untyped-def]  # compiled
    area = np.zeros(codes, np.int64)
    distances = np.zeros((codes, steps), np.int64)
    for y in range(labels.shape[0]):
        for x in range(labels.shape[1]):
            code = labels[y, x]
            area[code] += 1
            if code:
                step = far[y, x] * per_px
                distances[code, steps - 1 if step >= steps - 1 else int(step)] += 1
    return area, distances

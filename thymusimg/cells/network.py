"""Human CD45+ cells from a trained network: one grid of tiles a slide, whatever the other settings are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from thymusimg.cells.autofluorescence import likeness
from thymusimg.cells.claims import settle
from thymusimg.cells.collect import Found, empty
from thymusimg.cells.cover import cover
from thymusimg.cells.decode import EXTENT_PX, REACH_PX, Decoding, find_centres, join_pixels, score_cells
from thymusimg.cells.evidence import is_autofluorescent
from thymusimg.cells.labels import centroids, find_labelled, on_tissue
from thymusimg.cells.light import CellLight, TooCoarseError, one_thread_in_opencv, refuse_coarse
from thymusimg.cells.model import Cells
from thymusimg.cells.normalise import input_levels, network_input
from thymusimg.cells.overlap import sum_under
from thymusimg.cells.rays import is_human, radii_of
from thymusimg.errors import ModelError, PixelSizeError
from thymusimg.networks.engine import load_network
from thymusimg.networks.stream import stream
from thymusimg.progress import silent
from thymusimg.section.model import Window
from thymusimg.section.resample import Resampling

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from thymusimg.cells.model import Gate
    from thymusimg.cells.normalise import InputLevels
    from thymusimg.channels.correct import Correction
    from thymusimg.compartments.model import Compartments
    from thymusimg.models.find import InstalledModel
    from thymusimg.networks.engine import Network
    from thymusimg.progress import Progress
    from thymusimg.section.model import FloatPlane, Mask, Section
    from thymusimg.settings import CellSettings

    Planes = npt.NDArray[np.float32]

CPU_WINDOW_PX, DEVICE_WINDOW_PX = 1408, 2048
"""Side of what the network is given at most, in its pixels: a bigger window leaves a processor's caches, a smaller
one is mostly halo (a section of 8192² px took 15.8 s of processor with 1408 and 18.6 s with 2048)."""
BLOCK_PX = 64
"""Tissue is looked for in blocks of at least this side."""
CHANNELS = ("cd45", "dapi")
CLASSES = ("foreground", "centre", "offset_y", "offset_x")
SLACK_PX = 1.0
"""A tile claims cells this far outside its core too: rounding may not leave one on the border to nobody."""


def detect_with_network(
    section: Section,
    correction: Correction,
    compartments: Compartments,
    gate: Gate,
    settings: CellSettings,
    *,
    model: InstalledModel,
    device: str = "auto",
    planes: Mapping[str, FloatPlane] | None = None,
    tile_px: int = 1024,
    threads: int = 2,
    progress: Progress = silent,
    window_px: int | None = None,
) -> Cells:
    """Find the human CD45+ cells of a section with a trained network.

    Parameters
    ----------
    section, correction, compartments, gate, settings
        As in :func:`thymusimg.cells.classical.detect_cells`.
    model : InstalledModel
        A network for cells, verified.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
    planes : mapping of str to (Y, X) float32, optional
        Corrected coarse planes; DAPI is scaled by that of the whole section, and not used without it.
    tile_px : int
        Not used: the network's tiles depend on the slide and the model alone.
    threads : int
        No result depends on it.
    progress : callable
    window_px : int, optional
        Side of what the network is given at most, in its pixels.

    Returns
    -------
    Cells
        Not yet assigned to compartments.

    Raises
    ------
    TooCoarseError
        If the section's pixels are coarser than ``settings.coarsest_pixel_um`` or than the model was made for.
    ModelError
        If the model is no network of this kind, or cannot be read.
    DeviceError
        If the device is not there, or its memory does not hold one tile.
    """
    del tile_px
    check_model(model)
    refuse_coarse(section, settings.coarsest_pixel_um)
    _refuse_pixels(section, model)
    light = CellLight(section, correction, compartments.analysable, gate)
    dapi = None if planes is None or "dapi" not in section.roles else planes.get("dapi")
    levels = input_levels(gate, dapi, compartments.tissue)
    network = load_network(model, device)
    grid = NetworkGrid.of(light, network, model.card.pixel_size_um, window_px)
    work = _Work(light, settings, levels, grid, Decoding.of(model.card.inference))
    tasks = [_Task(core) for core in grid.cores]
    fraction = np.zeros(section.grid.shape, np.float32)
    found: list[Found] = []
    with one_thread_in_opencv():
        results = stream(network, tasks, work.read, work.finish, threads=threads, progress=progress, stage="cells")
        for cells, positive, where in results:
            fraction[where] = positive
            found.append(cells)
    fraction[~light.analysable] = 0
    cores = [grid.on_slide(task.core) for task in tasks]
    settled = settle(found, cores, len(light.stains), work.least_px)
    for index in np.flatnonzero(settled.trimmed):
        _weigh_again(settled.cells, int(index), light)
    table, masks = light.join([settled.cells])
    return Cells(table, masks, fraction, gate, method=model.card.name, notes=(f"cells: {model.identity}",))


def check_model(model: InstalledModel) -> None:
    """Refuse a model that is not a network for cells of this kind.

    Raises
    ------
    ModelError
    """
    card = model.card
    if card.kind != "unet" or card.channels != CHANNELS or card.classes != CLASSES:
        raise ModelError(
            f"{model.folder}: '{card.name}' ({card.kind}) takes {', '.join(card.channels)} and gives "
            f"{', '.join(card.classes) or 'nothing'}; a cell network takes {', '.join(CHANNELS)} and gives "
            f"{', '.join(CLASSES)}."
        )


def _refuse_pixels(section: Section, model: InstalledModel) -> None:
    card, pixel = model.card, section.pixel_size_um
    if pixel > card.coarsest_pixel_um * (1 + 1e-6):
        raise TooCoarseError(
            f"{section.section_id}: pixels of {pixel:.3g} µm are too coarse for the model '{card.name}'; at most "
            f"{card.coarsest_pixel_um:.3g} µm is needed"
        )
    if pixel < card.finest_pixel_um * (1 - 1e-6):
        raise PixelSizeError(
            f"{section.section_id}: pixels of {pixel:.3g} µm are finer than the model '{card.name}' was made for "
            f"({card.finest_pixel_um:.3g} µm or more). Use --cells classical, or another model."
        )


@dataclass(frozen=True)
class NetworkGrid:
    """How a slide is cut for a network, in the network's pixels; all counted from the slide's origin.

    Attributes
    ----------
    cores : tuple of Window
        What the tiles answer for. They begin at whole blocks, so that every pixel lies at one place of the
        network's own coarser grids in whatever tile; they share none and cover all tissue.
    halo : int
        What is read around them: the reach of the network and of the decoding.
    """

    resampling: Resampling
    cores: tuple[Window, ...]
    halo: int

    @classmethod
    def of(cls, light: CellLight, network: Network, pixel_um: float, window_px: int | None = None) -> NetworkGrid:
        """Cut the tissue of a section into tiles: of one size for a device that takes them in batches."""
        section = light.section
        resampling = Resampling(section.shape, section.pixel_size_um, pixel_um)
        stride = network.stride
        halo = -(-(network.reach_px + REACH_PX) // stride) * stride
        block = -(-BLOCK_PX // stride) * stride
        window_px = window_px or (CPU_WINDOW_PX if network.on_cpu else DEVICE_WINDOW_PX)
        most = max(1, (window_px - 2 * halo) // block)
        wanted = _blocks_with_tissue(light, resampling, block)
        if network.on_cpu:
            parts = [Window(*part) for part in cover(wanted, halo / block, most)]
        else:
            sides = tuple(-(-extent // -(-extent // most)) for extent in wanted.shape)
            parts = [
                Window(y, y + sides[0], x, x + sides[1])
                for y in range(0, wanted.shape[0], sides[0])
                for x in range(0, wanted.shape[1], sides[1])
                if wanted[y : y + sides[0], x : x + sides[1]].any()
            ]
        return cls(resampling, tuple(Window(*(block * edge for edge in part)) for part in parts), halo)

    def window(self, core: Window) -> Window:
        """Return what the network is given for a core; it may reach past the slide."""
        return Window(core.y0 - self.halo, core.y1 + self.halo, core.x0 - self.halo, core.x1 + self.halo)

    def on_slide(self, core: Window) -> Window:
        """Return the slide's pixels whose centres lie in a core; every pixel lies in one."""
        height, width = self.resampling.slide_shape
        y0, y1, x0, x1 = (math.ceil(edge * self.resampling.scale - 0.5) for edge in core)
        return Window(y0, min(y1, height), x0, min(x1, width))

    def under(self, start: int, stop: int) -> npt.NDArray[np.float64]:
        """Return where the slide's rows or columns lie on the network's grid."""
        centres = (np.arange(start, stop, dtype=np.float64) + 0.5) / self.resampling.scale
        return np.asarray(centres - 0.5, np.float64)

    def margin(self, px: float) -> int:
        """Return how many slide pixels cover so many of the network's."""
        return math.ceil(px * self.resampling.scale) + 1


def _blocks_with_tissue(light: CellLight, resampling: Resampling, block: int) -> Mask:
    """Tell which blocks of the network's grid hold analysable tissue."""
    wanted = light.analysable
    for axis in (0, 1):
        length, extent, factor = light.section.shape[axis], wanted.shape[axis], light.section.grid.factor
        count = -(-resampling.shape[axis] // block)
        first = np.arange(extent) * factor
        last = np.minimum(first + factor, length) - 1
        held = [np.minimum(np.floor((n + 0.5) / resampling.scale / block), count - 1) for n in (first, last)]
        # a coarse pixel on the border of two blocks is in both
        reached = [
            np.searchsorted(held[1], np.arange(count), "left"),
            np.searchsorted(held[0], np.arange(count), "right"),
        ]
        runs = [wanted.take(range(a, b), axis).any(axis=axis) for a, b in zip(*reached, strict=True)]
        wanted = np.stack(runs, axis=axis)
    return wanted


@dataclass
class _Task:
    """A tile, and what is read before the network and needed after it."""

    core: Window
    place: Window | None = None
    cd45: FloatPlane | None = None


@dataclass(frozen=True)
class _Work:
    """What happens to a tile before and after the network; safe in several threads."""

    light: CellLight
    settings: CellSettings
    levels: InputLevels
    grid: NetworkGrid
    decoding: Decoding

    @property
    def least_px(self) -> float:
        """Smallest cell in slide pixels."""
        return self.settings.minimum_area_um2 / self.light.section.pixel_size_um**2

    def read(self, task: _Task) -> Planes | None:
        """Return the network's input, or None where nothing reaches the gate."""
        window = self.grid.window(task.core)
        task.place = self.grid.resampling.needed(window)
        roles = ["cd45", "dapi"] if self.levels.has_dapi else ["cd45"]
        planes = self.light.read(roles, task.place)
        task.cd45 = planes["cd45"]
        if not np.any(task.cd45 >= self.light.gate.threshold):
            return None
        there = {role: self.grid.resampling.sample(planes[role], task.place, window) for role in roles}
        return network_input(there["cd45"], there.get("dapi"), self.levels)

    def finish(self, task: _Task, outputs: Planes | None) -> tuple[Found, FloatPlane, tuple[slice, slice]]:
        """Return the cells of a tile, and its positive fraction with where it belongs."""
        core, cd45, place = self.grid.on_slide(task.core), task.cd45, task.place
        if cd45 is None or place is None:
            raise ValueError("a tile is finished before it was read")
        task.cd45 = None  # the list of tasks lives as long as the work on the section
        positive, where = self.light.positive(cd45, place, core)
        if outputs is None:
            return empty(len(self.light.stains)), positive, where
        near, first = self._trusted(task.core, outputs)
        return self._cells(near, first, core, cd45, place), positive, where

    def _cells(self, near: Planes, first: tuple[int, int], core: Window, read: FloatPlane, place: Window) -> Found:
        """Return the cells of a core, from outputs that begin at ``first`` and the CD45 of ``place``."""
        light, px = self.light, self.light.section.pixel_size_um
        centres = find_centres(near, self.decoding)
        if len(centres.places) == 0:
            return empty(len(light.stains))
        inner = core.grown(self.grid.margin(EXTENT_PX), light.section.shape)
        rows = self.grid.under(inner.y0, inner.y1) - first[0]
        columns = self.grid.under(inner.x0, inner.x1) - first[1]
        labels, foreground = join_pixels(near, centres, self.decoding, rows, columns)
        scores = score_cells(centres, foreground)
        y, x = inner.y0 - place.y0, inner.x0 - place.x0
        cd45 = np.ascontiguousarray(read[y : y + inner.shape[0], x : x + inner.shape[1]])
        others = light.read(light.stains[1:], inner)
        stains = [cd45, *(others[role] for role in light.stains[1:])]
        found = find_labelled(
            labels, (inner.y0, inner.x0), core, stains, scores=scores, least_px=self.least_px, slack_px=SLACK_PX
        )
        found = found.select(
            (found.scores >= self.settings.minimum_score)
            & on_tissue(found, light.analysable, light.section.grid.factor)
        )
        places, radii = centroids(found) - (inner.y0, inner.x0), radii_of(found, px)
        human = is_human(cd45, places, radii, px, light.gate.background, light.least_excess)
        return found.select(human & ~is_autofluorescent(*likeness(stains, places, radii, px)))

    def _trusted(self, core: Window, outputs: Planes) -> tuple[Planes, tuple[int, int]]:
        """Return the outputs that the tile's cells depend on, and the network pixel at which they begin."""
        rim = self.grid.halo - REACH_PX
        height, width = core.shape
        part = outputs[:, rim : rim + height + 2 * REACH_PX, rim : rim + width + 2 * REACH_PX]
        return np.ascontiguousarray(part), (core.y0 - REACH_PX, core.x0 - REACH_PX)


def _weigh_again(cells: Found, index: int, light: CellLight) -> None:
    """Take the stains' sums of one cell anew, in place: it lost pixels to another tile's cell."""
    box = cells.boxes[index : index + 1]
    y0, y1, x0, x1 = (int(edge) for edge in box[0])
    planes = light.read(light.stains, Window(y0, y1, x0, x1))
    at_origin = box - np.array([y0, y0, x0, x0], np.int32)
    begin, end = int(cells.starts[index]), int(cells.starts[index + 1])
    starts = np.array([0, end - begin], np.int64)
    for k, role in enumerate(light.stains):
        cells.sums[index, 4 + k] = sum_under(at_origin, starts, cells.bits[begin:end], planes[role])[0]

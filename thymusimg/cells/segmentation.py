"""Cells of a section from a foreign segmenter: our tiles, our scale, our gate, our masks."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from skimage.segmentation import expand_labels

from thymusimg.cells.autofluorescence import likeness
from thymusimg.cells.claims import settle
from thymusimg.cells.collect import Found, empty
from thymusimg.cells.evidence import is_autofluorescent
from thymusimg.cells.labels import centroids, find_labelled, labels_on_slide, on_tissue
from thymusimg.cells.light import CellLight, refuse_coarse
from thymusimg.cells.limits import Limits, measure_limits
from thymusimg.cells.model import Cells
from thymusimg.cells.overlap import sum_under
from thymusimg.cells.rays import is_human, radii_of
from thymusimg.cells.segmenter import load_segmenter, segment_checked
from thymusimg.errors import CellsError
from thymusimg.progress import silent
from thymusimg.section.model import Window
from thymusimg.section.resample import Resampling
from thymusimg.section.tiles import map_tiles

if TYPE_CHECKING:
    import numpy.typing as npt

    from thymusimg.cells.claims import Settled
    from thymusimg.cells.labels import Labels
    from thymusimg.cells.model import Gate
    from thymusimg.cells.segmenter import Planes, Segment, Segmenter
    from thymusimg.channels.correct import Correction
    from thymusimg.compartments.model import Compartments
    from thymusimg.progress import Progress
    from thymusimg.section.model import FloatPlane, Section
    from thymusimg.settings import CellSettings

SLACK_UM = 2.0
"""A tile also claims cells whose centroid lies outside its core by so much: two tiles may draw one cell so
differently that each sees it in the other's core."""


def detect_with_segmenter(
    section: Section,
    correction: Correction,
    compartments: Compartments,
    gate: Gate,
    settings: CellSettings,
    *,
    segmenter: Segmenter,
    tile_px: int = 1024,
    threads: int = 2,
    device: str = "auto",
    progress: Progress = silent,
) -> Cells:
    """Find the human CD45+ cells of a section with a segmenter of somebody else's.

    The section is resampled to the segmenter's pixel size, scaled with one pair of limits a channel and cut into
    tiles that are counted from the slide's origin. A label is a cell if its membrane rises above its surroundings
    as the gate asks, it is not autofluorescent, and its centroid lies on analysable tissue, in the tile's core;
    what two tiles claim is settled by place.

    Parameters
    ----------
    section, correction, compartments, gate, settings
        As in :func:`thymusimg.cells.classical.detect_cells`; of the settings ``minimum_area_um2`` and
        ``coarsest_pixel_um`` hold. Labels come without confidence: ``score`` is NaN.
    segmenter : Segmenter
    tile_px : int
        Not used: a foreign segmenter's labels may depend on what its tile shows, so its tiles are its own.
    threads : int
        Threads that read and measure; the segmenter is called by one at a time.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:N``, handed to the segmenter when it is loaded.
    progress : callable

    Raises
    ------
    CellsError
        If the section lacks a channel that the segmenter needs, or its pixels are too coarse.
    ModelError
        If the segmenter fails, or gives no labels.
    DeviceError
        If the device is not there.
    """
    del tile_px
    _check(section, settings, segmenter)
    call = load_segmenter(segmenter, device)
    roles = [role for role in segmenter.channels if role in section.roles]
    limits = measure_limits(section, correction, compartments.analysable, gate, roles, threads)
    resampling = Resampling(section.shape, section.pixel_size_um, segmenter.pixel_size_um)
    light = CellLight(section, correction, compartments.analysable, gate)
    work = _Work(light, settings, segmenter, call, limits, resampling)
    tiles = [tile for tile in work.tiles() if light.has_tissue(work.core_on_slide(tile))]
    fraction = np.zeros(section.grid.shape, np.float32)
    claims: list[Found] = []
    for found, positive, where in map_tiles(work.claim, tiles, threads, progress=progress, stage="cells"):
        claims.append(found)
        fraction[where] = positive
    fraction[~light.analysable] = 0
    cores = [work.core_on_slide(tile) for tile in tiles]
    settled = settle(claims, cores, len(light.stains), work.least_px)
    work.weigh_again(settled, threads)
    table, masks = light.join([settled.cells])
    notes = (f"cells drawn by {segmenter.identity} at {segmenter.pixel_size_um:g} µm/px; no confidence",)
    return Cells(table, masks, fraction, gate, method=segmenter.name, notes=notes)


def _check(section: Section, settings: CellSettings, segmenter: Segmenter) -> None:
    refuse_coarse(section, settings.coarsest_pixel_um)
    needed = [role for role in segmenter.channels if role not in segmenter.optional_channels]
    missing = [role for role in dict.fromkeys(("cd45", *needed)) if role not in section.roles]
    if missing:
        raise CellsError(
            f"{section.section_id}: --cells {segmenter.name} needs {', '.join(needed)} and CD45 for the gate; "
            f"the section has no {' and no '.join(missing)}"
        )


@dataclass(frozen=True)
class _Work:
    """All that a tile needs. Tiles are windows of the segmenter's grid: their cores."""

    light: CellLight
    settings: CellSettings
    segmenter: Segmenter
    segment: Segment
    limits: dict[str, Limits]
    resampling: Resampling
    one_at_a_time: threading.Lock = field(default_factory=threading.Lock)

    @property
    def least_px(self) -> float:
        """Smallest cell, in slide pixels."""
        return self.settings.minimum_area_um2 / self.resampling.pixel_um**2

    def tiles(self) -> list[Window]:
        """Return the cores of the tiles; all of one size, so the last ones reach beyond the slide."""
        side = self.segmenter.core_px
        height, width = self.resampling.shape
        return [Window(y, y + side, x, x + side) for y in range(0, height, side) for x in range(0, width, side)]

    def core_on_slide(self, core: Window) -> Window:
        """Return the slide pixels whose centres lie in a core: every one is in exactly one core."""
        y0, y1, x0, x1 = (max(0, math.ceil(edge * self.resampling.scale - 0.5)) for edge in core)
        height, width = self.light.section.shape
        return Window(min(y0, height), min(y1, height), min(x0, width), min(x1, width))

    def claim(self, core: Window) -> tuple[Found, FloatPlane, tuple[slice, slice]]:
        """Return what the segmenter finds in a core, and the positive fraction with where it belongs."""
        halo = self.segmenter.halo_px
        outer = Window(core.y0 - halo, core.y1 + halo, core.x0 - halo, core.x1 + halo)
        place, on_slide = self.resampling.needed(outer), self.core_on_slide(core)
        planes = self.light.read(list(dict.fromkeys(("cd45", *self.limits))), place)
        cd45 = planes["cd45"]
        positive, where = self.light.positive(cd45, place, on_slide)
        nothing = empty(len(self.light.stains)), positive, where
        if not np.any(cd45 >= self.light.gate.threshold):
            return nothing
        labels = self._labels(self._given(planes, place, outer))
        if not labels.any():
            return nothing
        labels = labels_on_slide(labels, outer, self.resampling, place)
        planes |= self.light.read([role for role in self.light.stains if role not in planes], place)
        return self._human(labels, [planes[role] for role in self.light.stains], place, on_slide), positive, where

    def _human(self, labels: Labels, stains: list[FloatPlane], place: Window, core: Window) -> Found:
        """Return the labels that are human cells on tissue, by the same gate as every other method's."""
        px, gate = self.light.section.pixel_size_um, self.light.gate
        found = find_labelled(
            labels, (place.y0, place.x0), core, stains, least_px=self.least_px, slack_px=SLACK_UM / px
        )
        found = found.select(on_tissue(found, self.light.analysable, self.light.section.grid.factor))
        places, radii = centroids(found) - (place.y0, place.x0), radii_of(found, px)
        human = is_human(stains[0], places, radii, px, gate.background, self.light.least_excess)
        return found.select(human & ~is_autofluorescent(*likeness(stains, places, radii, px)))

    def weigh_again(self, settled: Settled, threads: int) -> None:
        """Measure the stains anew, in place, under the cells that lost pixels to another tile's."""
        cells, tile = settled.cells, settled.tile

        def weigh(which: npt.NDArray[np.intp]) -> None:
            boxes = cells.boxes[which]
            y0, x0 = (int(v) for v in boxes[:, ::2].min(axis=0))
            y1, x1 = (int(v) for v in boxes[:, 1::2].max(axis=0))
            planes = self.light.read(self.light.stains, Window(y0, y1, x0, x1))
            boxes = boxes - np.array([y0, y0, x0, x0], np.int32)
            for k, role in enumerate(self.light.stains):
                cells.sums[which, 4 + k] = sum_under(boxes, cells.starts[which], cells.bits, planes[role])

        groups = [np.flatnonzero(settled.trimmed & (tile == one)) for one in np.unique(tile[settled.trimmed])]
        for _ in map_tiles(weigh, groups, threads):
            pass

    def _given(self, planes: dict[str, FloatPlane], place: Window, outer: Window) -> Planes:
        """Return the channels as the segmenter takes them; zeros where there is nothing to give."""
        given = np.zeros((len(self.segmenter.channels), *outer.shape), np.float32)
        height, width = self.resampling.shape
        rows = slice(max(0, -outer.y0), height - outer.y0)
        columns = slice(max(0, -outer.x0), width - outer.x0)
        for index, role in enumerate(self.segmenter.channels):
            if role in self.limits:
                plane = self.resampling.sample(planes[role], place, outer)
                given[index, rows, columns] = self.limits[role].scale(plane)[rows, columns]
        return given

    def _labels(self, given: Planes) -> Labels:
        with self.one_at_a_time:
            labels = segment_checked(self.segmenter.name, self.segment, given)
        labels = _whole(labels)
        if self.segmenter.expand_um:
            labels = expand_labels(labels, self.segmenter.expand_um / self.segmenter.pixel_size_um)
        return labels


def _whole(labels: Labels) -> Labels:
    """Return the labels without those that the tile's rim cuts: how far they go is not known here."""
    cut = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    if not cut.any():
        return labels
    return np.where(np.isin(labels, cut), 0, labels).astype(np.int32)

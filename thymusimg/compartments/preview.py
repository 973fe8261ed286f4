"""A section seen coarsely enough that settings can be tried on it while a slider moves."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from thymusimg.compartments.frame import Surroundings, find_surroundings, keratins, label_within
from thymusimg.compartments.junction import junction_contours
from thymusimg.compartments.keratin import divide_by_keratins
from thymusimg.compartments.model import Compartment, Tissue

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from thymusimg.compartments.frame import Divide
    from thymusimg.section.model import FloatPlane, Grid, LabelPlane
    from thymusimg.settings.compartments import CompartmentSettings

MOST_PIXELS = 1_300_000
"""Pixels of a preview; beyond, blocks of the coarse grid are seen as one."""


@dataclass(frozen=True)
class Tried:
    """What settings would give.

    Attributes
    ----------
    labels : (Y, X) uint8
        Codes of :class:`Compartment`.
    grid : Grid
        Of ``labels``; the section's own, or a coarser one.
    junction_um : tuple of (N, 2) float64
        As in :class:`thymusimg.compartments.model.Compartments`.
    medulla_share : float
        Of cortex and medulla; NaN without either.
    note : str
        What the method says of the section.
    """

    labels: LabelPlane
    grid: Grid
    junction_um: tuple[npt.NDArray[np.float64], ...]
    medulla_share: float
    note: str


@dataclass
class Sketch:
    """Both keratins of a section on a grid of at most about a million pixels.

    Attributes
    ----------
    k14, k8 : (Y, X) float32
    tissue : Tissue
    grid : Grid
    """

    k14: FloatPlane
    k8: FloatPlane
    tissue: Tissue
    grid: Grid
    _around: tuple[tuple[float, float], Surroundings] | None = field(default=None, repr=False)

    def around(self, settings: CompartmentSettings) -> Surroundings:
        """Return what can be judged; worked out again only where a setting of the capsule changed."""
        key = (settings.capsule_um, settings.capsule_gain)
        if self._around is None or self._around[0] != key:
            self._around = key, find_surroundings(self.k14, self.k8, self.tissue, self.grid, settings)
        return self._around[1]

    def attempt(self, settings: CompartmentSettings, divide: Divide = divide_by_keratins) -> Tried:
        """Divide the section with other settings; on the section's own grid the labels are the method's to the bit.

        Parameters
        ----------
        settings : CompartmentSettings
        divide : callable
            The rule, unless another method is given, as in :func:`thymusimg.compartments.frame.segment_with`.
        """
        labels, found = label_within(self.around(settings), divide, self.k14, self.k8, self.grid.pixel_um, settings)
        lines = junction_contours(labels, self.grid, settings.junction_smoothing_um)
        medulla, cortex = (int(np.count_nonzero(labels == c)) for c in (Compartment.MEDULLA, Compartment.CORTEX))
        share = medulla / (medulla + cortex) if medulla + cortex else float("nan")
        return Tried(labels, self.grid, lines, share, found.note)


def sketch_section(
    planes: Mapping[str, FloatPlane], tissue: Tissue, grid: Grid, *, most_pixels: int = MOST_PIXELS
) -> Sketch:
    """Return a section for trying settings on.

    Where the coarse grid has more than ``most_pixels``, blocks of 2 × 2, 4 × 4 … pixels are averaged: borders move
    by less than such a block, and strands finer than it no longer vote by themselves.

    Raises
    ------
    RoleError
        If a keratin is missing.
    """
    k14, k8 = keratins(planes)
    factor = 1
    while grid.shape[0] * grid.shape[1] > most_pixels * factor**2:
        factor *= 2
    if factor == 1:
        return Sketch(k14, k8, tissue, grid)
    seen = Tissue(
        _blocks(tissue.mask, factor) >= 0.5, _blocks(tissue.artefact, factor) >= 0.5,
        tissue.background, tissue.background_sd, tissue.notes,
    )  # fmt: skip
    coarser = replace(grid, factor=grid.factor * factor)
    return Sketch(_blocks(k14, factor), _blocks(k8, factor), seen, coarser)


def _blocks(plane: npt.NDArray[np.generic], factor: int) -> FloatPlane:
    """Return the means of blocks counted from the origin; the last ones see the border's pixels again."""
    height, width = plane.shape
    single = np.asarray(plane, np.float32)
    full = cv2.copyMakeBorder(single, 0, -height % factor, 0, -width % factor, cv2.BORDER_REPLICATE)
    size = (full.shape[1] // factor, full.shape[0] // factor)
    return np.asarray(cv2.resize(full, size, interpolation=cv2.INTER_AREA), np.float32)

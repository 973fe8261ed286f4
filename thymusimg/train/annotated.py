"""What people have drawn on sections, as data that training takes: cells at full size, compartments coarse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from thymusimg.compartments.model import Compartment

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from thymusimg.cells.model import Gate
    from thymusimg.cells.normalise import InputLevels
    from thymusimg.compartments.model import Tissue
    from thymusimg.section.model import FloatPlane, Grid, LabelPlane, Mask


@dataclass(frozen=True)
class AnnotatedCells:
    """The annotated region of a section, with every human CD45+ cell in it that somebody drew.

    Attributes
    ----------
    section_id, animal : str
        Data are split by ``animal``, never by section or tile.
    planes : mapping of str to (Y, X) float32
        Stains by role at full resolution over the region and a margin of 20 µm, corrected as
        :meth:`thymusimg.channels.correct.Correction.apply` does; always ``cd45``, others where the slide has them.
    pixel_um : float
        Side of a pixel in µm.
    labels : (Y, X) uint32
        One number a cell, 0 off the cells.
    annotated : (Y, X) bool
        What was looked at: off ``labels`` but inside it there is no cell; outside it nothing is known.
    gate : Gate
        The section's CD45 gate, in the units of ``planes``.
    levels : InputLevels
        Statistics of the whole section that scale a network's input, as an analysis takes them.
    corner_px : (int, int)
        Row and column of the first pixel on the slide.
    notes : tuple of str
        What a reader must know of how the annotation was read.
    """

    section_id: str
    animal: str
    planes: Mapping[str, FloatPlane]
    pixel_um: float
    labels: npt.NDArray[np.uint32]
    annotated: Mask
    gate: Gate
    levels: InputLevels
    corner_px: tuple[int, int] = (0, 0)
    notes: tuple[str, ...] = ()

    @property
    def roles(self) -> tuple[str, ...]:
        """The stains that there are."""
        return tuple(self.planes)

    @property
    def cells(self) -> int:
        """Cells with at least one pixel in what was looked at."""
        found = np.unique(self.labels[self.annotated])
        return int(np.count_nonzero(found))

    @property
    def area_mm2(self) -> float:
        """Area of what was looked at, in mm²."""
        return float(np.count_nonzero(self.annotated)) * self.pixel_um**2 * 1e-6


@dataclass(frozen=True)
class AnnotatedCompartments:
    """A section on its coarse grid, with what somebody drew of its compartments: all of it, or scribbles.

    Attributes
    ----------
    section_id, animal : str
        Data are split by ``animal``, never by section or tile.
    planes : mapping of str to (Y, X) float32
        ``k14`` and ``k8``, corrected as :meth:`thymusimg.channels.correct.Correction.apply_coarse` does.
    tissue : Tissue
        Found as in an analysis.
    grid : Grid
    labels : (Y, X) uint8
        Codes of :class:`thymusimg.compartments.model.Compartment`; 0 where nothing was annotated.
    notes : tuple of str
        What a reader must know of how the annotation was read.
    """

    section_id: str
    animal: str
    planes: Mapping[str, FloatPlane]
    tissue: Tissue
    grid: Grid
    labels: LabelPlane
    notes: tuple[str, ...] = ()

    @property
    def classes(self) -> tuple[Compartment, ...]:
        """The compartments that were annotated, in the order of their codes."""
        return tuple(Compartment(code) for code in np.unique(self.labels).tolist() if code)

    @property
    def area_mm2(self) -> float:
        """Area of what was annotated, in mm²."""
        return float(np.count_nonzero(self.labels)) * self.grid.pixel_area_mm2

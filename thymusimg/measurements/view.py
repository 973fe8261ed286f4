"""What the families of measurements share of one section."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from thymusimg.compartments.model import Compartment
from thymusimg.measurements.population.placing import CellPlaces, cell_places
from thymusimg.measurements.stains.coexpression import Coexpression, measure_coexpression
from thymusimg.progress import silent
from thymusimg.settings.compute import ComputeSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thymusimg.cells.model import Cells
    from thymusimg.channels.correct import Correction
    from thymusimg.compartments.model import Compartments
    from thymusimg.progress import Progress
    from thymusimg.section.model import FloatPlane, Mask, Section
    from thymusimg.section.tiles import Team
    from thymusimg.settings import MeasurementSettings

NO_PARENCHYMA = "no parenchyma (cortex, medulla or indeterminate) was found"
NO_CORTEX = "no cortex was found"
NO_MEDULLA = "no medulla was found"
NO_CONTROLS = "no section is marked negative_control"
NO_CELLS = "no human CD45+ cell was found in the parenchyma"


@dataclass(frozen=True)
class SectionView:
    """One section as the measurements see it.

    Attributes
    ----------
    section : Section
        The slide at full resolution, read lazily by window.
    compartments : Compartments
    planes : mapping of str to (Y, X) float32
        Corrected planes by role on the compartments' grid; a role may be missing.
    cells : Cells or None
        Assigned cells; None when they were not looked for.
    correction : Correction or None
        What corrects full-resolution windows; None where only the coarse planes are at hand (a result that is
        measured again from its bundle): what needs full resolution then is undefined.
    compute : ComputeSettings
        Threads and tile size; no number depends on them.
    team : Team or None
        The threads that families with many pieces of work share, where they are measured at once.
    progress : callable
        Told by such families how far they are.
    """

    section: Section
    compartments: Compartments
    planes: Mapping[str, FloatPlane]
    settings: MeasurementSettings
    cells: Cells | None = None
    correction: Correction | None = None
    compute: ComputeSettings = field(default_factory=ComputeSettings)
    team: Team | None = None
    progress: Progress = silent

    @property
    def threads(self) -> int | Team:
        """What a family gives its pieces of work to."""
        return self.compute.threads if self.team is None else self.team

    @property
    def pixel_um(self) -> float:
        """Side of a pixel of the coarse grid."""
        return self.compartments.grid.pixel_um

    @cached_property
    def cortex(self) -> Mask:
        """Where cortex lies."""
        return self.compartments.mask(Compartment.CORTEX)

    @cached_property
    def medulla(self) -> Mask:
        """Where medulla lies."""
        return self.compartments.mask(Compartment.MEDULLA)

    @cached_property
    def parenchyma(self) -> Mask:
        """Where cortex, medulla or indeterminate parenchyma lies."""
        return self.compartments.mask()

    @cached_property
    def cortex_mm2(self) -> float:
        """Area of the cortex."""
        return self._mm2(self.cortex)

    @cached_property
    def medulla_mm2(self) -> float:
        """Area of the medulla."""
        return self._mm2(self.medulla)

    @cached_property
    def parenchyma_mm2(self) -> float:
        """Area of the parenchyma."""
        return self._mm2(self.parenchyma)

    @cached_property
    def whole_mm2(self) -> float:
        """Area of tissue and cyst lumen together: what the shares of the compartments are of."""
        return self._mm2(self.compartments.analysable) + self.compartments.area_mm2(Compartment.CYST)

    @cached_property
    def places(self) -> CellPlaces | None:
        """Where the cells lie; None without cells."""
        return None if self.cells is None else cell_places(self.cells, self.compartments)

    @cached_property
    def coexpression(self) -> Coexpression:
        """Where K8 and K14 are positive, at the scale of co-expression; both stains must be there."""
        return measure_coexpression(
            self.planes["k8"],
            self.planes["k14"],
            self.parenchyma,
            self.compartments.tissue,
            self.pixel_um,
            sigma_um=self.settings.coexpression_sigma_um,
        )

    def _mm2(self, mask: Mask) -> float:
        return float(np.count_nonzero(mask) * self.compartments.grid.pixel_area_mm2)


def over(above: float, below: float) -> float:
    """Return a quotient, NaN where there is nothing to divide by."""
    return above / below if below > 0 else math.nan


def no_stain(role: str) -> str:
    """Say that a stain is missing."""
    return f"no {role.upper()} channel was given"

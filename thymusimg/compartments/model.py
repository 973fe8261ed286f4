"""The compartments of a section, as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from thymusimg.section.model import FloatPlane, Grid, LabelPlane, Mask


class Compartment(IntEnum):
    """Codes of ``labels/compartments``."""

    BACKGROUND = 0
    CORTEX = 1
    MEDULLA = 2
    INDETERMINATE = 3
    CYST = 4
    OTHER = 5
    ARTEFACT = 255


PARENCHYMA = (Compartment.CORTEX, Compartment.MEDULLA, Compartment.INDETERMINATE)
"""What densities and area fractions are per."""


@dataclass(frozen=True)
class Tissue:
    """Where tissue lies on the coarse grid.

    Attributes
    ----------
    mask : (Y, X) bool
        All tissue: capsule, cysts and artefacts included, holes and detached debris not.
    artefact : (Y, X) bool
        Folds, tears' rims, debris, non-thymic fat; a subset of ``mask`` or outside it.
    background, background_sd : mapping of str to float
        Level and SD of each role off the tissue, in raw units of the coarse planes.
    """

    mask: Mask
    artefact: Mask
    background: Mapping[str, float]
    background_sd: Mapping[str, float]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Compartments:
    """The compartments of a section on its coarse grid.

    Attributes
    ----------
    grid : Grid
    labels : (Y, X) uint8
        Codes of :class:`Compartment`.
    tissue : (Y, X) bool
        All tissue, as in :class:`Tissue`.
    confidence : (Y, X) float32
        Confidence of the label in [0, 1]; 0 off the tissue.
    distance_to_cmj_um : (Y, X) float32
        Signed distance to the corticomedullary junction, negative in cortex, positive in medulla; elsewhere in
        the tissue signed by the nearer compartment. NaN off the tissue and everywhere when there is no junction.
    depth_from_capsule_um : (Y, X) float32
        Distance to the outer edge of the tissue (holes, tears and cysts do not count as edge); NaN off the tissue.
    axis : (Y, X) float32
        Normalised corticomedullary axis in [0, 1], d_capsule / (d_capsule + d_medulla): 0 at the capsule, 1 at and
        inside the medulla. NaN off the tissue and where there is no medulla.
    junction_um : tuple of (N, 2) float64
        Sub-pixel contours of the corticomedullary junction, (y, x) in µm; the cortex-medulla border only.
    reasons : mapping of str to str
        Why something is undefined: ``{"junction": "no medulla was found"}``.
    cuts : mapping of str to float
        The thresholds that were really used, for the methods paragraph and the report.
    """

    grid: Grid
    labels: LabelPlane
    tissue: Mask
    confidence: FloatPlane
    distance_to_cmj_um: FloatPlane
    depth_from_capsule_um: FloatPlane
    axis: FloatPlane
    junction_um: tuple[npt.NDArray[np.float64], ...]
    method: str = "keratin"
    reasons: Mapping[str, str] = field(default_factory=dict)
    cuts: Mapping[str, float] = field(default_factory=dict)

    def mask(self, *which: Compartment) -> Mask:
        """Return where any of ``which`` lies; without arguments, the parenchyma."""
        return lies_in(self.labels, which or PARENCHYMA)

    def area_mm2(self, *which: Compartment) -> float:
        """Return the area of ``which`` (of the parenchyma without arguments) in mm²."""
        return float(np.count_nonzero(self.mask(*which))) * self.grid.pixel_area_mm2

    @property
    def analysable(self) -> Mask:
        """Tissue less artefact and cyst lumen: the T of the metric catalogue."""
        return self.tissue & ~lies_in(self.labels, (Compartment.ARTEFACT, Compartment.CYST))


def lies_in(labels: LabelPlane, which: Iterable[int]) -> Mask:
    """Return where labels are any of ``which``: looked up by their code, seven times as quick as ``np.isin``.

    Examples
    --------
    >>> lies_in(np.array([[0, 1, 255]], np.uint8), [Compartment.CORTEX, Compartment.ARTEFACT])
    array([[False,  True,  True]])
    """
    wanted = np.zeros(256, np.bool_)
    wanted[list(which)] = True
    return wanted[labels]

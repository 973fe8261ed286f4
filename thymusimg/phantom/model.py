"""A synthetic section and everything that is known about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from thymusimg.phantom.spec import PhantomSpec
    from thymusimg.section.model import FloatPlane, Grid, LabelPlane, Mask

CHANNELS = {"cd45": "hCD45", "k14": "KRT14", "k8": "KRT8", "dapi": "DAPI"}
"""Channel names of a synthetic slide, by role."""


@dataclass(frozen=True)
class Truth:
    """The known answer of a synthetic section.

    Attributes
    ----------
    grid : Grid
        Coarse grid of ``labels``, ``tissue`` and ``artefact``.
    labels : (Y, X) uint8
        Codes of :class:`thymusimg.compartments.model.Compartment`.
    tissue : (Y, X) bool
        All tissue: capsule, cysts and folds included, tears and what lies off the section not.
    artefact : (Y, X) bool
        Folds, debris and fat, on the tissue or off it.
    cells : DataFrame
        One row a body, sorted by ``y_um, x_um`` within a type, human first: ``instance`` (label in ``instances``;
        0 for what is not human), ``y_um, x_um, z_um``, ``radius_um`` (of the visible profile), ``body_radius_um``,
        ``type`` (``human``, ``mouse``, ``macrophage``), ``compartment`` (code), ``brightness``,
        ``visible_area_um2`` (area of the label: what other profiles leave of it).
    instances : (Y, X) uint32
        Full-resolution label image of the human profiles; where two overlap in projection, the power diagram
        divides them.
    clean : (C, Y, X) float32
        Stain before background, bleed-through, blur and camera; 1 is a typical signal.
    psf : mapping
        ``core_um, defocus_um, defocus_share`` of the two-Gaussian point spread function and ``shift_um``, one
        (y, x) a channel.
    mixing : (C, C) float64
        What the microscope sees is ``mixing @ stain``.
    parameters : mapping
        Spec, seed and what was drawn from them, as plain values.
    values : mapping of str to float
        True value of every ``sections.csv`` column that follows from the truth alone.
    """

    grid: Grid
    labels: LabelPlane
    tissue: Mask
    artefact: Mask
    cells: pd.DataFrame
    instances: npt.NDArray[np.uint32]
    clean: npt.NDArray[np.float32]
    psf: Mapping[str, Any]
    mixing: npt.NDArray[np.float64]
    parameters: Mapping[str, Any]
    values: Mapping[str, float]

    @property
    def human(self) -> pd.DataFrame:
        """The human cells only."""
        return self.cells[self.cells["type"] == "human"]


@dataclass(frozen=True)
class Phantom:
    """A synthetic section: pixels as a microscope would leave them, and the truth.

    Attributes
    ----------
    pixels : (C, Y, X) uint16 or uint8
    channel_names : tuple of str
        As a microscope names them (``hCD45`` …).
    roles : mapping of str to int
        Channel index of every role.
    pixel_size_um : float
        Side of a pixel in µm.
    """

    pixels: npt.NDArray[np.uint16] | npt.NDArray[np.uint8]
    channel_names: tuple[str, ...]
    roles: Mapping[str, int]
    pixel_size_um: float
    spec: PhantomSpec
    seed: int
    truth: Truth

    def plane(self, role: str) -> FloatPlane:
        """Return one stain's pixels as float32."""
        plane: FloatPlane = self.pixels[self.roles[role]].astype("float32")
        return plane

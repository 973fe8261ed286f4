"""Sections at the pixel size at which a compartment network works, with what is known of their compartments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from thymusimg.compartments.frame import find_surroundings
from thymusimg.compartments.model import Compartment
from thymusimg.compartments.network import CLASSES, PIXEL_UM, levelled, to_network_grid
from thymusimg.section.resample import Resampling

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy.typing as npt

    from thymusimg.compartments.model import Tissue
    from thymusimg.section.model import FloatPlane, Grid, LabelPlane, Mask
    from thymusimg.settings.compartments import CompartmentSettings

UNKNOWN = 255
"""Class of pixels of which nothing is known; they weigh nothing."""
_CLASS_OF = np.full(256, UNKNOWN, np.uint8)
for _number, _code in enumerate(CLASSES):
    _CLASS_OF[_code] = _number
_CLASS_OF[[Compartment.CYST, Compartment.ARTEFACT]] = CLASSES.index(Compartment.OTHER)


@dataclass(frozen=True)
class TrainingSection:
    """A section as a compartment network sees it.

    Attributes
    ----------
    name, animal : str
    k14, k8 : (Y, X) float16
        Keratins over their own level in the section (:func:`thymusimg.compartments.network.levelled`).
    where : (Y, X) uint8
        0 off the tissue, 1 tissue that is not judged, 2 tissue that is.
    wanted : (Y, X) uint8
        Place of the true class in :data:`thymusimg.compartments.network.CLASSES`; :data:`UNKNOWN` elsewhere.
    """

    name: str
    animal: str
    k14: npt.NDArray[np.float16]
    k8: npt.NDArray[np.float16]
    where: npt.NDArray[np.uint8]
    wanted: npt.NDArray[np.uint8]

    @property
    def judged(self) -> Mask:
        """Where a network is asked."""
        return np.asarray(self.where == 2, bool)

    def save(self, path: Path) -> None:
        """Write the section as a file of arrays, in one step."""
        part = path.with_suffix(".part.npz")
        np.savez_compressed(
            part, name=self.name, animal=self.animal, k14=self.k14, k8=self.k8, where=self.where, wanted=self.wanted
        )
        part.replace(path)

    @classmethod
    def load(cls, path: Path) -> TrainingSection:
        """Read what :meth:`save` wrote."""
        with np.load(path) as found:
            arrays = [found[name] for name in ("k14", "k8", "where", "wanted")]
            return cls(str(found["name"]), str(found["animal"]), *arrays)


def as_training_section(
    name: str,
    animal: str,
    planes: Mapping[str, FloatPlane],
    tissue: Tissue,
    grid: Grid,
    labels: LabelPlane,
    settings: CompartmentSettings,
) -> TrainingSection:
    """Bring a section and its labels to the network's pixel size.

    Parameters
    ----------
    planes : mapping of str to (Y, X) float32
        Corrected coarse planes with ``k14`` and ``k8``.
    tissue : Tissue
    grid : Grid
    labels : (Y, X) uint8
        Codes of :class:`Compartment`; 0 where nothing is known.
    settings : CompartmentSettings
        Of the capsule and its like, which are judged by no network.
    """
    judged = find_surroundings(planes["k14"], planes["k8"], tissue, grid, settings).judged
    resampling = Resampling(grid.shape, grid.pixel_um, PIXEL_UM)
    k14, k8 = (to_network_grid(levelled(planes[role], judged), resampling) for role in ("k14", "k8"))
    where = _nearest((tissue.mask.astype(np.uint8) + judged), resampling)
    return TrainingSection(
        name, animal, k14.astype(np.float16), k8.astype(np.float16), where, _CLASS_OF[_nearest(labels, resampling)]
    )


def _nearest(labels: npt.NDArray[np.uint8], resampling: Resampling) -> npt.NDArray[np.uint8]:
    rows, columns = (
        np.minimum(((np.arange(n) + 0.5) * resampling.scale).astype(np.intp), old - 1)
        for n, old in zip(resampling.shape, labels.shape, strict=True)
    )
    return np.asarray(labels[np.ix_(rows, columns)], np.uint8)

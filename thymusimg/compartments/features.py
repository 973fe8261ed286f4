"""What a trained forest is told of every place: the keratins at several scales, freed of exposure and pixel size.

Every feature comes from K14 and K8 inside the tissue that can be judged; CD45 is never looked at. Each keratin is
divided by its own level over the section, so that neither exposure nor fluorophore counts; scales are in µm;
averages run over the part of a window that lies in the tissue (normalised convolution: Knutsson and Westin 1993),
so that dark glass does not leak in. A model names the features that it takes, and only these are worked out.

Names are a word and, where it has one, a scale in µm (Gaussian sigma):

=====================  ============================================================================================
``k14 S``, ``k8 S``    log density over the section's level
``ratio S``            log K14 / K8, 0 half-way between the lowest and the highest of the section
``vote S``             share of the strands around that are rather K14 than K8, each weighted with its keratin
``step WHAT S-T``      difference of a density or ratio between two scales: no slow drift of stain is left in it
``sd ratio S``         scatter of the strands' own ratio: compartments have little, a mosaic of cells much
``cv k14 S``           coefficient of variation of a keratin at the scale of a mesh
``correlation S``      correlation of both keratins from strand to strand
``gradient S``         slope of the ratio, per 100 µm
``bend high|low S``    principal curvatures of the ratio, per (100 µm)²
``coherence S``        alignment of the strands, 0 to 1, by the structure tensor (Bigün and Granlund 1987)
``depth``              distance to the edge of the tissue in µm, at most 500
``section WHAT``       spread of ratio and densities over the section, the same everywhere
=====================  ============================================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from thymusimg.compartments.scales import Scales
from thymusimg.compartments.shapes import depth_px, fill_holes
from thymusimg.compartments.smooth import magnified, shrunken
from thymusimg.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thymusimg.section.model import FloatPlane, Mask

WORKING_UM = 4.0
"""Features are worked out on pixels of at most this side."""
_DEEPEST_UM = 500.0
_PAD = (
    2  # working pixels without tissue all round: a slope at the border of the image is one at the border of tissue
)

STAINS = ("k14", "k8")
_DENSITIES = tuple(f"{stain} {s}" for stain in STAINS for s in (8, 16, 32, 64))
_RATIOS = tuple(f"ratio {s}" for s in (8, 16, 24, 32, 64, 128))
_VOTES = tuple(f"vote {s}" for s in (12, 24, 48))
_STEPS = (
    "step ratio 16-64", "step ratio 24-128", "step ratio 32-256", "step k14 16-128", "step k8 16-128",
    "step k14 32-256", "step k8 32-256",
)  # fmt: skip
_TEXTURE = (
    "sd ratio 16", "sd ratio 32", "cv k14 16", "cv k14 32", "cv k8 16", "cv k8 32", "correlation 24",
    "gradient 16", "gradient 32", "bend high 32", "bend low 32", "coherence 16",
)  # fmt: skip
_SECTION = ("section ratio high", "section ratio low", "section k14 high", "section k14 low",
            "section k8 high", "section k8 low")  # fmt: skip
WITHOUT_PLACE = (*_DENSITIES, *_RATIOS, *_VOTES, *_STEPS, *_TEXTURE, *_SECTION)
"""All features but the depth: how near to the capsule medulla lies is measured, and must not be presumed."""
FEATURES = (*WITHOUT_PLACE, "depth")
"""Every feature that there is."""


@dataclass(frozen=True)
class FeatureTable:
    """The features of the places of a section, on a working grid of at most 4 µm.

    Attributes
    ----------
    names : tuple of str
    values : (N, F) float32
        One row a working pixel with tissue that can be judged, in the order of ``where``.
    where : (Y', X') bool
    box : pair of slice
        Part of the coarse grid that the working grid stands for.
    factor : int
        Coarse pixels along a working pixel.
    pixel_um : float
        Side of a working pixel.
    """

    names: tuple[str, ...]
    values: npt.NDArray[np.float32]
    where: Mask
    box: tuple[slice, slice]
    factor: int
    pixel_um: float

    def at(self, rows: npt.NDArray[np.intp], cols: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
        """Return the rows of ``values`` that coarse pixels belong to; -1 where they cannot be judged."""
        number = np.full(self.where.shape, -1, np.intp)
        number[self.where] = np.arange(len(self.values))
        out = np.full(len(rows), -1, np.intp)
        top, left = self._first()
        inside = np.ones(len(rows), bool)
        for at, part in ((rows, self.box[0]), (cols, self.box[1])):
            inside &= (at >= part.start) & (at < part.stop)
        out[inside] = number[(rows[inside] - top) // self.factor, (cols[inside] - left) // self.factor]
        return out

    def spread(self, plane: FloatPlane, shape: tuple[int, ...]) -> FloatPlane:
        """Return a plane on the working grid, interpolated to a coarse grid of ``shape``; 0 outside."""
        out = np.zeros(shape, np.float32)
        inner = tuple(part.stop - part.start for part in self.box)
        out[self.box] = magnified(plane, inner, self.factor)
        return out

    def _first(self) -> tuple[int, int]:
        """Return the coarse pixel at which the working grid begins; it may lie off the grid."""
        starts = []
        for part in self.box:
            missing = -(part.stop - part.start) % self.factor
            starts.append(part.start - missing // 2)
        return starts[0], starts[1]


def check_names(names: Sequence[str], where: str) -> None:
    """Refuse features that are not known here.

    Raises
    ------
    ModelError
    """
    unknown = [name for name in names if name not in FEATURES]
    if unknown:
        raise ModelError(
            f"{where}: takes features that this version does not know ({', '.join(unknown[:3])}). Update "
            "thymusimg, or fit the model again."
        )


def measure_features(
    k14: FloatPlane, k8: FloatPlane, judged: Mask, px: float, names: Sequence[str] = FEATURES
) -> FeatureTable:
    """Work out the features of every place that can be judged.

    Parameters
    ----------
    k14, k8 : (Y, X) float32
        Background-subtracted coarse planes.
    judged : (Y, X) bool
        Tissue without cysts, folds and capsule; at least one pixel.
    px : float
        Pixel size in µm.
    names : sequence of str
        Of :data:`FEATURES`.
    """
    factor = 1 << max(0, int(np.log2(WORKING_UM / px + 1e-9)))
    depth = None
    if "depth" in names:
        depth = np.minimum((depth_px(fill_holes(judged)) - np.float32(0.5)) * np.float32(px), _DEEPEST_UM)
    box = _box(judged)
    pad = ((_PAD * factor,) * 2,) * 2
    inside = np.pad(judged[box], pad)
    scales = Scales(np.pad(k14[box], pad), np.pad(k8[box], pad), inside, px, factor)
    values = np.empty((int(np.count_nonzero(scales.where)), len(names)), np.float32)
    for i, name in enumerate(names):
        if name == "depth" and depth is not None:
            plane: FloatPlane | np.float32 = _mean(np.pad(depth[box], pad), inside, scales.weight, factor)
        else:
            plane = scales.feature(name)
        values[:, i] = plane[scales.where] if isinstance(plane, np.ndarray) else plane
    inner = (slice(_PAD, -_PAD),) * 2
    return FeatureTable(tuple(names), values, scales.where[inner], box, factor, px * factor)


def _box(mask: Mask) -> tuple[slice, slice]:
    rows, cols = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(cols[0]), int(cols[-1]) + 1)


def _mean(plane: FloatPlane, mask: Mask, weight: FloatPlane, factor: int) -> FloatPlane:
    return np.asarray(shrunken(np.where(mask, plane, 0), factor) / np.maximum(weight, np.float32(1e-3)), np.float32)

"""The keratin plane whose strands are traced: K8 and K14 together, and what counts as bright in it (R9)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from thymusimg.measurements.smoothing import smooth_to

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thymusimg.section.model import FloatPlane, Mask

KERATINS = ("k8", "k14")
LOCAL_UM = 25.0
"""Keratin is compared with its mean over this sigma: several meshes."""
LOWEST, HIGHEST = 0.5, 2.0
"""The local mean counts within these multiples of its median over the parenchyma."""
TOP_PERCENT = 99.0


@dataclass(frozen=True)
class KeratinScale:
    """How the stains add up to one plane, and the local level that strands are compared with.

    Attributes
    ----------
    weights : mapping of str to float
        What each stain is multiplied by: one over its 99th percentile in the parenchyma.
    level : (Y, X) float32
        The plane's local mean on the coarse grid, within section-wide limits; > 0.
    middle : float
        Median of the local mean over the parenchyma.
    """

    weights: Mapping[str, float]
    level: FloatPlane
    middle: float = 1.0

    def add_up(self, planes: Mapping[str, FloatPlane]) -> FloatPlane:
        """Return Σ weight · plane over the keratins."""
        total: FloatPlane | None = None
        for role, weight in self.weights.items():
            part = planes[role] * np.float32(weight)
            total = part if total is None else np.add(total, part, out=total)
        if total is None:
            raise ValueError("no keratin has a weight")
        return total


def scale_keratin(planes: Mapping[str, FloatPlane], parenchyma: Mask, pixel_um: float) -> KeratinScale | None:
    """Say how K8 and K14 add up to one keratin plane (R9).

    E = K8 / q₉₉(K8) + K14 / q₉₉(K14), percentiles over the parenchyma: the whole epithelium, whichever keratin a
    cell makes; in the cortex, which makes no K14, that is K8. A stain's gain changes nothing. The local level is
    the mean of E over the parenchyma within 25 µm, but never below half or above twice its median: so strands are
    found in dim and bright parts alike, and none in the noise of tissue without keratin.

    Parameters
    ----------
    planes : mapping of str to (Y, X) float32
        Background-subtracted coarse planes; one keratin may be missing.
    parenchyma : (Y, X) bool
    pixel_um : float

    Returns
    -------
    KeratinScale or None
        None if no keratin is present or none is above its background.
    """
    if not parenchyma.any():
        return None
    tops = {
        role: float(np.percentile(planes[role][parenchyma], TOP_PERCENT)) for role in KERATINS if role in planes
    }
    weights = {role: 1 / top for role, top in tops.items() if top > 0}
    if not weights:
        return None
    unit = KeratinScale(weights, np.ones((1, 1), np.float32))
    keratin = np.where(parenchyma, unit.add_up(planes), np.float32(0))
    share = smooth_to(parenchyma.astype(np.float32), LOCAL_UM, pixel_um)
    local = smooth_to(keratin, LOCAL_UM, pixel_um) / np.maximum(share, np.float32(1e-6))
    middle = float(np.median(local[parenchyma]))
    if not middle > 0:
        return None
    local[share < 1e-3] = middle
    return KeratinScale(weights, np.clip(local, LOWEST * middle, HIGHEST * middle).astype(np.float32), middle)

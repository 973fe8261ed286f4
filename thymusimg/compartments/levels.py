"""How much of each keratin the compartments of one section hold, and the cuts that follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from thymusimg.compartments.glass import otsu

if TYPE_CHECKING:
    from thymusimg.section.model import FloatPlane
    from thymusimg.settings.compartments import CompartmentSettings

_ROUNDS = 5
_MIN_K14_STEP = 1.5
_MAX_LOW_K8 = 0.25
_MIN_PIXELS = 20


@dataclass(frozen=True)
class Cuts:
    """The thresholds of a section, on densities in units of its background-subtracted planes.

    Attributes
    ----------
    ratio : float
        Medulla where K14 density / K8 density is above it, cortex where it is below.
    k14, k8 : float
        Densities above which the keratins are present.
    contrast : float
        Factor between the K14 / K8 ratios of the two populations.
    k14_medulla, k8_cortex : float
        Typical densities of the compartments, NaN where a compartment is missing.
    missing : mapping of str to str
        ``medulla`` or ``cortex`` with the reason, where the section has one population only.
    """

    ratio: float
    k14: float
    k8: float
    contrast: float
    k14_medulla: float
    k8_cortex: float
    note: str = ""

    @property
    def k14_share(self) -> float:
        """The ratio's cut as a K14 share of the summed densities."""
        return self.ratio / (1 + self.ratio) if np.isfinite(self.ratio) else 1.0


def measure_cuts(k14: FloatPlane, k8: FloatPlane, settings: CompartmentSettings) -> Cuts:
    """Find the cuts of a section from the densities of its parenchyma.

    The ratio K14 / K8 does not change where a tile is darker as a whole, so the two populations are looked for on
    its logarithm. Their typical densities then place the cut at the ratio of a pixel half in cortex and half in
    medulla, which is where a blurred straight border lies.

    Parameters
    ----------
    k14, k8 : (N,) float32
        Local densities, background-subtracted.
    settings : CompartmentSettings
    """
    k14, k8 = (np.maximum(d, 0.02 * float(np.quantile(d, 0.9)) + 1e-6) for d in (k14, k8))
    ratio = np.log(k14 / k8)
    low, high = np.quantile(ratio, (0.002, 0.998))
    cut = otsu(np.clip(ratio, low, high))
    found = _levels(k14, k8, ratio > cut, settings)
    for _ in range(_ROUNDS):
        if found is None:
            break
        found = _levels(k14, k8, ratio > np.log(found.ratio), settings)
    if found is None or found.contrast < settings.min_contrast:
        return _one_population(k14, k8, settings)
    return found


def _levels(
    k14: FloatPlane, k8: FloatPlane, medullary: npt.NDArray[np.bool_], settings: CompartmentSettings
) -> Cuts | None:
    if min(np.count_nonzero(medullary), np.count_nonzero(~medullary)) < _MIN_PIXELS:
        return None
    k14_cortex, k14_medulla = float(np.median(k14[~medullary])), float(np.median(k14[medullary]))
    _, k8_present = _k8_presence(k8, k8[~medullary], settings)
    cortical = ~medullary & (k8 > k8_present)
    k14_present = k14_cortex + settings.k14_cut * (k14_medulla - k14_cortex)
    medullary = medullary & (k14 > k14_present)
    if min(np.count_nonzero(medullary), np.count_nonzero(cortical)) < _MIN_PIXELS:
        return None
    k14_cortex, k14_medulla = float(np.median(k14[cortical])), float(np.median(k14[medullary]))
    k8_medulla, k8_cortex = float(np.median(k8[medullary])), float(np.median(k8[cortical]))
    if k14_medulla < _MIN_K14_STEP * k14_cortex:
        return None
    return Cuts(
        ratio=(k14_cortex + k14_medulla) / (k8_cortex + k8_medulla),
        k14=k14_cortex + settings.k14_cut * (k14_medulla - k14_cortex),
        k8=k8_present,
        contrast=(k14_medulla / k8_medulla) / (k14_cortex / k8_cortex),
        k14_medulla=k14_medulla,
        k8_cortex=k8_cortex,
    )


def _k8_presence(k8: FloatPlane, cortical: FloatPlane, settings: CompartmentSettings) -> tuple[float, float]:
    """Place the cut between tissue without K8 and cortex.

    Tissue without epithelium may be missing; then the darkest tissue is medulla or dim cortex, and not a sign that
    the rest is bright. So the lower level is held to a quarter of the cortical one (autofluorescence is less).
    """
    typical = float(np.median(cortical))
    for _ in range(_ROUNDS):
        low = min(float(np.quantile(k8, 0.02)), _MAX_LOW_K8 * typical)
        cut = low + settings.k8_cut * (typical - low)
        typical = float(np.median(cortical[cortical > cut]))
    return low, cut


def _one_population(k14: FloatPlane, k8: FloatPlane, settings: CompartmentSettings) -> Cuts:
    """Judge a section whose K14 / K8 is the same everywhere.

    It has no inner reference, so the intensities count as they were recorded: a keratin is absent when the other is
    ``single_ratio`` times brighter. Between the two the section stays indeterminate.
    """
    level14, level8 = float(np.median(k14)), float(np.median(k8))
    _, k8_present = _k8_presence(k8, k8, settings)
    ratio = level14 / level8
    if ratio < 1 / settings.single_ratio:
        return Cuts(np.inf, np.inf, k8_present, 1.0, np.nan, level8, "no K14-rich population: no medulla")
    if ratio > settings.single_ratio:
        return Cuts(
            0.0, settings.k14_cut * level14, np.inf, 1.0, level14, np.nan, "no K8-rich population: no cortex"
        )
    note = "K14 and K8 are mixed at one ratio throughout: neither cortex nor medulla can be told"
    return Cuts(1.0, np.inf, np.inf, 1.0, np.nan, np.nan, note)

"""How much of each keratin the compartments of one section hold, and the cuts that follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from thymusimg.compartments.glass import otsu
from thymusimg.section.quantile import quantiles

if TYPE_CHECKING:
    from thymusimg.section.model import FloatPlane
    from thymusimg.settings.compartments import CompartmentSettings

_ROUNDS = 6
_MIN_K14_STEP = 1.2  # while the populations are looked for; in the end it must be a real step
_K14_STEP = 1.4
_CLEAR_CONTRAST = 2.0  # a random mosaic of cells of both kinds has less at the scale of twenty cells
_MAX_LOW_K8 = 0.25
_MIN_PIXELS = 20
_BINS = 1024
_BIN_WIDTH = 0.01


@dataclass(frozen=True)
class Levels:
    """What the compartments of a section hold, as densities of its background-subtracted planes.

    Attributes
    ----------
    k14_cortex, k14_medulla, k8_cortex, k8_medulla : float
        Typical densities.
    k14_present, k8_present : float
        Densities above which the keratins are present.
    """

    k14_cortex: float
    k14_medulla: float
    k8_cortex: float
    k8_medulla: float
    k14_present: float
    k8_present: float

    @property
    def steps(self) -> bool:
        """Whether K14 alone rises from cortex to medulla by a factor of 1.4 or more."""
        return self.k14_medulla >= _K14_STEP * self.k14_cortex

    @property
    def clear(self) -> bool:
        """Whether the levels differ by more than a random mosaic of cells of both kinds gives."""
        return self.steps and self.contrast >= _CLEAR_CONTRAST

    @property
    def contrast(self) -> float:
        """Factor between the K14 / K8 ratios of medulla and cortex."""
        return (self.k14_medulla / self.k8_medulla) / (self.k14_cortex / self.k8_cortex)

    @property
    def ratio_cut(self) -> float:
        """K14 / K8 of a pixel half in cortex and half in medulla."""
        return (self.k14_cortex + self.k14_medulla) / (self.k8_cortex + self.k8_medulla)

    def medullary_share(self, k14: FloatPlane, k8: FloatPlane) -> FloatPlane:
        """Return the share of medulla that a mixture with cortex needs to show the ratio K14 / K8.

        With ρ = K14 / K8: t = (ρ c₈ - c₁₄) / ((m₁₄ - c₁₄) + ρ (c₈ - m₈)), c and m the levels of cortex and medulla.
        A common factor on both keratins (a dark tile corner, a thick spot) cancels.
        """
        above = k14 * np.float32(self.k8_cortex) - k8 * np.float32(self.k14_cortex)
        below = k8 * np.float32(self.k14_medulla - self.k14_cortex) + k14 * np.float32(
            self.k8_cortex - self.k8_medulla
        )
        return np.asarray(np.clip(above / np.maximum(below, np.float32(1e-12)), -1, 2), np.float32)


def measure_levels(k14: FloatPlane, k8: FloatPlane, settings: CompartmentSettings) -> Levels | None:
    """Find the levels of a section from the densities of its parenchyma; None if it has one population only.

    The ratio K14 / K8 does not change where a tile is darker as a whole, so the two populations are looked for on
    its logarithm. Their levels place the cut for the next round at the ratio of a pixel half in cortex and half in
    medulla, which is where a blurred straight border lies.

    Parameters
    ----------
    k14, k8 : (N,) float32
        Local densities, background-subtracted.
    settings : CompartmentSettings
    """
    table = _Table.of(k14, k8)
    cut = table.split_ratio()
    found = _levels(table, table.ratio > cut, table.ratio <= cut, settings)
    for _ in range(_ROUNDS):
        if found is None:
            return None
        share = found.medullary_share(table.k14, table.k8)
        margin = settings.mixed_share / 2
        found = _levels(table, share > 0.5 + margin, share < 0.5 - margin, settings)
    return found if found is not None and found.contrast >= settings.min_contrast else None


@dataclass(frozen=True)
class _Table:
    """The joint distribution of both densities, in cells of 1 %, so that millions of pixels are looked at once."""

    k14: FloatPlane
    k8: FloatPlane
    count: npt.NDArray[np.int64]

    @classmethod
    def of(cls, k14: FloatPlane, k8: FloatPlane) -> _Table:
        first, low14 = _binned(k14)
        second, low8 = _binned(k8)
        code = first * _BINS + second
        count = np.bincount(code, minlength=1)
        cell = np.flatnonzero(count)
        centre = np.exp((np.arange(_BINS) + 0.5) * _BIN_WIDTH)
        return cls(
            np.asarray(low14 * centre[cell // _BINS], np.float32),
            np.asarray(low8 * centre[cell % _BINS], np.float32),
            count[cell],
        )

    @property
    def ratio(self) -> FloatPlane:
        return np.asarray(np.log(self.k14 / self.k8), np.float32)

    def median(self, values: FloatPlane, where: npt.NDArray[np.bool_]) -> float:
        return weighted_quantile(values[where], self.count[where], 0.5)

    def pixels(self, where: npt.NDArray[np.bool_]) -> int:
        return int(self.count[where].sum())

    def split_ratio(self) -> float:
        ratio = self.ratio
        low, high = (weighted_quantile(ratio, self.count, q) for q in (0.002, 0.998))
        return otsu(np.clip(ratio, low, high), weights=self.count)


def _binned(values: FloatPlane) -> tuple[npt.NDArray[np.int64], float]:
    """Return logarithmic bins; what lies below a fiftieth of the 90th percentile (noise round 0) is the first."""
    low = 0.02 * max(quantiles(values, (0.9,))[0], 1e-6)
    bins = np.log(np.maximum(values, low) / low) / _BIN_WIDTH
    return np.minimum(bins, _BINS - 1).astype(np.int64), low


def weighted_quantile(values: FloatPlane, weights: npt.NDArray[np.int64], q: float) -> float:
    """Return the value below which a share ``q`` of the weights lies."""
    order = np.argsort(values, kind="stable")
    total = np.cumsum(weights[order])
    return float(values[order[np.searchsorted(total, q * total[-1])]])


def _levels(
    table: _Table, medullary: npt.NDArray[np.bool_], cortical: npt.NDArray[np.bool_], settings: CompartmentSettings
) -> Levels | None:
    if min(table.pixels(medullary), table.pixels(cortical)) < _MIN_PIXELS:
        return None
    k14, k8 = table.k14, table.k8
    k14_cortex, k14_medulla = table.median(k14, cortical), table.median(k14, medullary)
    k8_present = _k8_presence(table, cortical, settings)
    cortical = cortical & (k8 > k8_present)
    medullary = medullary & (k14 > k14_cortex + settings.k14_cut * (k14_medulla - k14_cortex))
    if min(table.pixels(medullary), table.pixels(cortical)) < _MIN_PIXELS:
        return None
    k14_cortex, k14_medulla = table.median(k14, cortical), table.median(k14, medullary)
    if k14_medulla < _MIN_K14_STEP * k14_cortex:
        return None
    return Levels(
        k14_cortex=k14_cortex,
        k14_medulla=k14_medulla,
        k8_cortex=table.median(k8, cortical),
        k8_medulla=table.median(k8, medullary),
        k14_present=k14_cortex + settings.k14_cut * (k14_medulla - k14_cortex),
        k8_present=k8_present,
    )


def _k8_presence(table: _Table, cortical: npt.NDArray[np.bool_], settings: CompartmentSettings) -> float:
    """Place the cut between tissue without K8 and cortex.

    Tissue without epithelium may be missing; then the darkest tissue is medulla or dim cortex, and not a sign that
    the rest is bright. So the lower level is held to a quarter of the cortical one (autofluorescence is less).
    """
    typical = table.median(table.k8, cortical)
    lowest = weighted_quantile(table.k8, table.count, 0.02)
    cut = 0.0
    for _ in range(_ROUNDS):
        low = min(lowest, _MAX_LOW_K8 * typical)
        cut = low + settings.k8_cut * (typical - low)
        typical = table.median(table.k8, cortical & (table.k8 > cut))
    return cut


def judge_one_population(k14: FloatPlane, k8: FloatPlane, settings: CompartmentSettings) -> tuple[str, float, str]:
    """Judge a section whose K14 / K8 is the same everywhere.

    It has no inner reference, so the intensities count as they were recorded: a keratin is absent when the other is
    ``single_ratio`` times brighter. Between the two the section stays indeterminate.

    Returns
    -------
    tuple
        ``cortex``, ``medulla`` or ``mixed``; the density above which the present keratin is present; a plain note.
    """
    level14, level8 = float(np.median(k14)), float(np.median(k8))
    if level8 > settings.single_ratio * max(level14, 0):
        table = _Table.of(k14, k8)
        cut = _k8_presence(table, np.ones(table.k8.shape, bool), settings)
        return "cortex", cut, "one population, rich in K8 and without K14: no medulla"
    if level14 > settings.single_ratio * max(level8, 0):
        return "medulla", settings.k14_cut * level14, "one population, rich in K14 and without K8: no cortex"
    return "mixed", np.inf, "K14 and K8 keep one ratio throughout: neither cortex nor medulla can be told"

"""The keratins of a section at several scales: the planes behind the features of a forest (``features.py``)."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import cv2
import numpy as np

from thymusimg.compartments.smooth import blur, masked_blur, shrunken
from thymusimg.section.quantile import mean_above_zero, quantiles

if TYPE_CHECKING:
    from collections.abc import Callable

    from thymusimg.section.model import FloatPlane, Mask

STRAND_UM = 4.0
"""Within which a strand's own K14 / K8 is read: less than one epithelial cell."""
_SECTION_UM = 24  # scale at which the section's own span is read
_BRIGHTEST = 0.995  # specks and macrophages beyond it must not make a density
_DARKEST = np.float32(0.03)  # of the level; below it lies noise around zero
_STEEP = 2.0  # of a vote: a strand whose ratio is e^0.5 times the middle is K14's by 73 %
_SPAN = (0.05, 0.5, 0.95)
_TINY = np.float32(1e-3)


class Scales:
    """Both keratins, each over its level in the section, on a working grid.

    Parameters
    ----------
    k14, k8 : (Y, X) float32
    mask : (Y, X) bool
        Where they count.
    px : float
        Pixel size in µm.
    factor : int
        Pixels along a working pixel.
    """

    def __init__(self, k14: FloatPlane, k8: FloatPlane, mask: Mask, px: float, factor: int) -> None:
        self._fine = {"k14": _over_level(k14, mask), "k8": _over_level(k8, mask)}
        self._mask, self._px, self._factor = mask, px, factor
        self._working = px * factor
        self.weight: FloatPlane = shrunken(mask, factor)
        self.where: Mask = np.asarray(self.weight > 0)
        self._sums = {stain: shrunken(plane, factor) for stain, plane in self._fine.items()}
        self._weights: dict[float, FloatPlane] = {}
        self._densities: dict[tuple[str, float], FloatPlane] = {}

    def feature(self, name: str) -> FloatPlane | np.float32:
        """Return a feature by its name, as ``features.py`` lists them; a plain number is the same everywhere."""
        what, _, scale = name.rpartition(" ")
        if what.startswith("step "):
            near, _, wide = scale.partition("-")
            kind = what.removeprefix("step ")
            return self._level(kind, float(near)) - self._level(kind, float(wide))
        if what.startswith("section "):
            return self._section(what.removeprefix("section "), scale)
        if what in ("k14", "k8", "ratio"):
            return self._level(what, float(scale))
        return self._KINDS[what](self, float(scale))

    def _level(self, kind: str, sigma_um: float) -> FloatPlane:
        if kind == "ratio":
            return self._log_ratio(sigma_um) - np.float32(self._middle)
        return self._log_density(kind, sigma_um)

    def _section(self, kind: str, end: str) -> np.float32:
        if kind == "ratio":
            low, middle, high = self._span
        else:
            low, middle, high = quantiles(self._log_density(kind, _SECTION_UM), _SPAN, self.where)
        return np.float32(high - middle if end == "high" else middle - low)

    def _weight(self, sigma_um: float) -> FloatPlane:
        if sigma_um not in self._weights:
            self._weights[sigma_um] = np.maximum(blur(self.weight, sigma_um / self._working), _TINY)
        return self._weights[sigma_um]

    def _smooth(self, sums: FloatPlane, sigma_um: float) -> FloatPlane:
        """Return the mean over the part of a window that lies in the mask, of blocks already summed within it."""
        return np.asarray(blur(sums, sigma_um / self._working) / self._weight(sigma_um), np.float32)

    def _log_density(self, stain: str, sigma_um: float) -> FloatPlane:
        if (stain, sigma_um) not in self._densities:
            density = self._smooth(self._sums[stain], sigma_um)
            self._densities[stain, sigma_um] = np.log(np.maximum(density, _DARKEST))
        return self._densities[stain, sigma_um]

    def _log_ratio(self, sigma_um: float) -> FloatPlane:
        return self._log_density("k14", sigma_um) - self._log_density("k8", sigma_um)

    @cached_property
    def _span(self) -> tuple[float, ...]:
        return quantiles(self._log_ratio(_SECTION_UM), _SPAN, self.where)

    @property
    def _middle(self) -> float:
        return (self._span[0] + self._span[2]) / 2

    @cached_property
    def _strands(self) -> dict[str, FloatPlane]:
        """Sums over working pixels of what every strand says, and of the keratin that it says it with."""
        s14, s8 = (masked_blur(self._fine[stain], self._mask, STRAND_UM / self._px) for stain in ("k14", "k8"))
        ratio = np.log(np.maximum(s14, _DARKEST)) - np.log(np.maximum(s8, _DARKEST)) - np.float32(self._middle)
        keratin = np.clip((s14 + s8) / 2, 0, 1) * self._mask
        planes = {
            "keratin": keratin,
            "vote": keratin / (1 + np.exp(np.float32(-_STEEP) * ratio)),
            "ratio": keratin * ratio,
            "ratio2": keratin * ratio * ratio,
            "k14": s14 * self._mask,
            "k8": s8 * self._mask,
            "k14k14": s14 * s14 * self._mask,
            "k8k8": s8 * s8 * self._mask,
            "k14k8": s14 * s8 * self._mask,
        }
        return {name: shrunken(plane, self._factor) for name, plane in planes.items()}

    def _by_keratin(self, name: str, sigma_um: float) -> FloatPlane:
        sigma_px = sigma_um / self._working
        below = np.maximum(blur(self._strands["keratin"], sigma_px), _TINY)
        return np.asarray(blur(self._strands[name], sigma_px) / below, np.float32)

    def _vote(self, sigma_um: float) -> FloatPlane:
        return self._by_keratin("vote", sigma_um)

    def _sd_ratio(self, sigma_um: float) -> FloatPlane:
        mean = self._by_keratin("ratio", sigma_um)
        return np.sqrt(np.maximum(self._by_keratin("ratio2", sigma_um) - mean * mean, 0))

    def _moments(self, first: str, second: str, sigma_um: float) -> tuple[FloatPlane, FloatPlane, FloatPlane]:
        """Return both means and the covariance of two keratins from strand to strand."""
        a, b = self._smooth(self._strands[first], sigma_um), self._smooth(self._strands[second], sigma_um)
        return a, b, self._smooth(self._strands[first + second], sigma_um) - a * b

    def _cv(self, stain: str, sigma_um: float) -> FloatPlane:
        mean, _, variance = self._moments(stain, stain, sigma_um)
        return np.asarray(np.sqrt(np.maximum(variance, 0)) / np.maximum(mean, _DARKEST), np.float32)

    def _correlation(self, sigma_um: float) -> FloatPlane:
        _, _, both = self._moments("k14", "k8", sigma_um)
        variances = [self._moments(stain, stain, sigma_um)[2] for stain in ("k14", "k8")]
        below = np.sqrt(np.maximum(variances[0] * variances[1], 1e-8))
        return np.asarray(np.clip(both / below, -1, 1), np.float32)

    def _gradient(self, sigma_um: float) -> FloatPlane:
        ratio = self._log_ratio(sigma_um)
        return np.asarray(np.hypot(*_slopes(ratio)) * np.float32(100 / self._working), np.float32)

    def _bend(self, sigma_um: float, sign: float) -> FloatPlane:
        ratio = self._log_ratio(sigma_um)
        yy, xx, xy = (
            cv2.Sobel(ratio, cv2.CV_32F, dx, dy, ksize=3, scale=0.25) for dx, dy in ((0, 2), (2, 0), (1, 1))
        )
        bend = (yy + xx) / 2 + np.float32(sign) * np.sqrt(((yy - xx) / 2) ** 2 + xy * xy)
        return np.asarray(bend * np.float32((100 / self._working) ** 2), np.float32)

    def _coherence(self, sigma_um: float) -> FloatPlane:
        total = self._smooth(self._strands["k14"] + self._strands["k8"], STRAND_UM)
        y, x = _slopes(np.log(np.maximum(total, _DARKEST)))
        yy, xx, xy = (self._smooth(product * self.weight, sigma_um) for product in (y * y, x * x, x * y))
        return np.asarray(np.sqrt((yy - xx) ** 2 + 4 * xy * xy) / np.maximum(yy + xx, np.float32(1e-6)), np.float32)

    _KINDS: dict[str, Callable[[Scales, float], FloatPlane]] = {  # noqa: RUF012  never changed
        "vote": _vote,
        "sd ratio": _sd_ratio,
        "cv k14": lambda self, s: self._cv("k14", s),
        "cv k8": lambda self, s: self._cv("k8", s),
        "correlation": _correlation,
        "gradient": _gradient,
        "bend high": lambda self, s: self._bend(s, 1.0),
        "bend low": lambda self, s: self._bend(s, -1.0),
        "coherence": _coherence,
    }


def _over_level(plane: FloatPlane, mask: Mask) -> FloatPlane:
    """Return a stain over its mean in the section, its brightest specks cut; 0 off the mask."""
    top = max(quantiles(plane, (_BRIGHTEST,), mask)[0], 1e-6)
    cut = np.where(mask, np.minimum(plane, np.float32(top)), np.float32(0))
    return np.asarray(cut / np.float32(max(mean_above_zero(cut, mask), 1e-6)), np.float32)


def _slopes(plane: FloatPlane) -> tuple[FloatPlane, FloatPlane]:
    """Return the slopes along y and x, per working pixel."""
    y, x = (cv2.Sobel(plane, cv2.CV_32F, dx, dy, ksize=3, scale=0.125) for dx, dy in ((0, 1), (1, 0)))
    return np.asarray(y), np.asarray(x)

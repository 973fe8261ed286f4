"""The bare glass of a section: where it lies and how bright it is, stain by stain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from thymusimg.compartments.smooth import blur, density, shrinking, shrunken, shrunken_blur
from thymusimg.section.quantile import quantiles

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from thymusimg.section.model import FloatPlane, Mask

STAINS = ("k14", "k8", "dapi")
"""What may show tissue. CD45 is left out: human cells must not shape the area that they are counted per."""

_ROUNDS = 2
_LEAST_PX = 1.0  # sigma on the coarser grid on which glass and tissue are told apart
_MAX_WEIGHT = 20.0  # SD of the glass; a stain that stands out more is not the better witness of faint tissue


@dataclass(frozen=True)
class Glass:
    """Brightness of a section against its bare glass.

    Attributes
    ----------
    brightness : (Y, X) float32
        Weighted mean over the stains of (intensity - glass) / (typical tissue - glass): 0 on glass, about 1 in
        tissue.
    noise : float
        SD of ``brightness`` on the glass.
    found : bool
        False where the field of view holds no bare glass.
    mask : (Y, X) bool
        The glass.
    cut : float
        ``brightness`` above which there is tissue.
    scales : mapping of str to Scale
        What ``brightness`` takes of each stain.
    """

    brightness: FloatPlane
    noise: float
    found: bool
    mask: Mask
    cut: float
    scales: Mapping[str, Scale]

    def light(self, planes: Mapping[str, FloatPlane], where: Mask) -> FloatPlane:
        """Return the brightness of the pixels ``where``, not smoothed, so that walls do not light their gaps."""
        return _mixed((planes[role][where] for role in self.scales), list(self.scales.values()))


def otsu(
    values: npt.NDArray[np.floating], bins: int = 256, weights: npt.NDArray[np.integer] | None = None
) -> float:
    """Return the threshold that splits ``values`` into the two most compact groups (Otsu 1979).

    Examples
    --------
    >>> round(otsu(np.r_[np.zeros(50), np.ones(50)]), 1)
    0.5
    """
    low, high = float(values.min()), float(values.max())
    if high <= low:
        return low
    count, edge = np.histogram(values, bins=bins, range=(low, high), weights=weights)
    centre = (edge[:-1] + edge[1:]) / 2
    below = np.cumsum(count).astype(float)
    above = below[-1] - below
    moment = np.cumsum(count * centre)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (moment / below - (moment[-1] - moment) / above) ** 2
    between = np.nan_to_num(between)
    # Between two separate groups every cut is as good: take the middle of the gap.
    best = np.flatnonzero(between >= between.max() * (1 - 1e-9))
    return float((edge[best[0] + 1] + edge[best[-1] + 1]) / 2)


def median_sd(values: FloatPlane, where: Mask | None = None) -> tuple[float, float]:
    """Return the median and the SD that the lower half of ``values`` implies (glare widens the upper half)."""
    middle, low = quantiles(values, (0.5, 0.1587), where)
    return middle, middle - low


def find_glass(
    planes: Mapping[str, FloatPlane], valid: Mask, sigma_px: float, fraction: float, noise_sd: float
) -> Glass:
    """Tell bare glass from tissue.

    Starts from the split of the summed, range-scaled stains on a logarithmic axis, then measures glass and tissue
    in each stain and repeats the split at ``fraction`` of the tissue's brightness.

    Parameters
    ----------
    planes : mapping of str to (Y, X) float32
        Raw planes; only those of :data:`STAINS` are looked at.
    valid : (Y, X) bool
    sigma_px : float
        Smoothing before the split.
    fraction, noise_sd : float
        Tissue is brighter than this fraction of typical tissue and than so many SD of the glass.
    """
    smooth = _coarse_densities(planes, valid, sigma_px)
    total = np.mean([_unit_range(values) for values in smooth], axis=0, dtype=np.float32)
    level = np.log(np.maximum(total, 0) + np.float32(0.02))
    bright = total > np.exp(otsu(level)) - 0.02
    cut, noise = np.float32(0.5), 0.0
    scales = [Scale(0.0, 0.0, 1.0)] * len(smooth)
    for _ in range(_ROUNDS):
        if bright.all() or not bright.any():
            break
        scales = [_scale(values, bright) for values in smooth]
        total = _mixed(smooth, scales)
        zero, noise = median_sd(total, ~bright)
        cut = np.float32(zero + max(fraction, noise_sd * noise))
        bright = total > cut
    found = _is_glass(smooth, bright)
    weight = blur(valid, sigma_px)
    # One stain at a time: a large slide has room for few planes.
    fine = (density(planes[role], valid, weight, sigma_px) for role in STAINS if role in planes)
    brightness = _mixed(fine, scales) * valid
    named = dict(zip((role for role in STAINS if role in planes), scales, strict=True))
    return Glass(brightness, noise, found, valid & (brightness <= cut), float(cut), named)


def _coarse_densities(planes: Mapping[str, FloatPlane], valid: Mask, sigma_px: float) -> list[FloatPlane]:
    """Return the smoothed stains where a grid coarse enough to be judged quickly holds any valid pixel."""
    factor = shrinking(sigma_px, _LEAST_PX)
    weight = np.maximum(shrunken_blur(valid, sigma_px, factor), np.float32(1e-3))
    inside = shrunken(valid, factor) > 0
    roles = [role for role in STAINS if role in planes]
    stains = (shrunken_blur(planes[role] * valid, sigma_px, factor) for role in roles)
    return [np.asarray((stain / weight)[inside], np.float32) for stain in stains]


def _unit_range(values: FloatPlane) -> FloatPlane:
    low, high = quantiles(values, (0.005, 0.998))
    return np.asarray(np.clip((values - np.float32(low)) / np.float32(max(high - low, 1e-6)), 0, 1), np.float32)


class Scale(NamedTuple):
    """How much a stain counts, the level of its glass, and how far its typical tissue lies above it."""

    weight: float
    glass: float
    step: float


def _scale(values: FloatPlane, bright: Mask) -> Scale:
    """Return a stain's glass, how far its typical tissue lies above it, and how much it counts.

    Each stain weighs as much as its tissue stands out from the unevenness of its glass, so that a stain that shows
    hardly any tissue (K14 where there is no medulla) does not add its seams at full gain.
    """
    glass, spread = median_sd(values, ~bright)
    step = quantiles(values, (0.5,), bright)[0] - glass
    weight = min(step / max(spread, 1e-6 * step), _MAX_WEIGHT) if step > 0 else 0.0
    return Scale(weight, glass, step)


def _mixed(stains: Iterable[FloatPlane], scales: Sequence[Scale]) -> FloatPlane:
    """Return the weighted mean over the stains of (intensity - glass) / (tissue - glass)."""
    weights = max(sum(scale.weight for scale in scales), 1e-6)
    total = None
    for values, scale in zip(stains, scales, strict=True):
        if scale.weight > 0:
            part = (values - np.float32(scale.glass)) * np.float32(1 / scale.step)
            np.clip(part, -2, 2, out=part)
            part *= np.float32(scale.weight / weights)
            total = part if total is None else np.add(total, part, out=total)
        elif total is None:
            total = np.zeros_like(values)
    return np.zeros(0, np.float32) if total is None else total


def _is_glass(smooth: list[FloatPlane], bright: Mask) -> bool:
    """Glass stands apart from tissue in one stain at least and is not the brighter in any.

    The darkest tissue of a crop fails this: where one keratin is low the other is high, or just as low elsewhere.
    """
    if bright.all() or not bright.any():
        return False
    apart, darker = False, True
    for values in smooth:
        middle, upper = quantiles(values, (0.5, 0.75), ~bright)
        low, quarter = quantiles(values, (0.1, 0.25), bright)
        apart |= upper < low
        darker &= middle <= quarter
    return apart and darker

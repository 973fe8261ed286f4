"""The bare glass of a section: where it lies and how bright it is, stain by stain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from thymusimg.compartments.smooth import blur, density

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thymusimg.section.model import FloatPlane, Mask

STAINS = ("k14", "k8", "dapi")
"""What may show tissue. CD45 is left out: human cells must not shape the area that they are counted per."""

_ROUNDS = 2
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
    """

    brightness: FloatPlane
    noise: float
    found: bool
    mask: Mask


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


def median_sd(values: npt.NDArray[np.floating]) -> tuple[float, float]:
    """Return the median and the SD that the lower half of ``values`` implies (glare widens the upper half)."""
    middle, low = (float(v) for v in np.quantile(values, (0.5, 0.1587)))
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
    weight = blur(valid, sigma_px)
    smooth = [density(planes[role], valid, weight, sigma_px) for role in STAINS if role in planes]
    scaled = [_unit_range(plane[valid]) for plane in smooth]
    total = np.mean(scaled, axis=0)
    level = np.log(np.maximum(total, 0) + 0.02)
    bright = total > np.exp(otsu(level)) - 0.02
    noise = 0.0
    for _ in range(_ROUNDS):
        if bright.all() or not bright.any():
            break
        total = _against_glass([plane[valid] for plane in smooth], bright)
        zero, noise = median_sd(total[~bright])
        bright = total - zero > max(fraction, noise_sd * noise)
    brightness = np.zeros(valid.shape, np.float32)
    brightness[valid] = total
    mask = np.zeros(valid.shape, bool)
    mask[valid] = ~bright
    found = _is_glass([plane[valid] for plane in smooth], bright)
    return Glass(brightness, noise, found, mask)


def _unit_range(values: FloatPlane) -> FloatPlane:
    low, high = np.quantile(values, (0.005, 0.998))
    return np.asarray(np.clip((values - low) / max(high - low, 1e-6), 0, 1), np.float32)


def _against_glass(smooth: list[FloatPlane], bright: Mask) -> FloatPlane:
    """Return the mean over the stains of (intensity - glass) / (tissue - glass).

    Each stain weighs as much as its tissue stands out from the unevenness of its glass, so that a stain that shows
    hardly any tissue (K14 where there is no medulla) does not add its seams at full gain.
    """
    total = np.zeros(bright.shape, np.float32)
    weights = 0.0
    for values in smooth:
        glass, spread = median_sd(values[~bright])
        step = float(np.median(values[bright])) - glass
        if step > 0:
            weight = min(step / max(spread, 1e-6 * step), _MAX_WEIGHT)
            total += np.float32(weight) * np.clip((values - np.float32(glass)) / np.float32(step), -2, 2)
            weights += weight
    return total / np.float32(max(weights, 1e-6))


def _is_glass(smooth: list[FloatPlane], bright: Mask) -> bool:
    """Glass stands apart from tissue in one stain at least and is not the brighter in any.

    The darkest tissue of a crop fails this: where one keratin is low the other is high, or just as low elsewhere.
    """
    if bright.all() or not bright.any():
        return False
    apart = any(float(np.quantile(p[~bright], 0.75)) < float(np.quantile(p[bright], 0.1)) for p in smooth)
    darker = all(float(np.median(p[~bright])) <= float(np.quantile(p[bright], 0.25)) for p in smooth)
    return apart and darker

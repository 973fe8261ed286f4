"""Per-tile vignetting of stitched slides: found by its period, used only where it helps.

The logarithm of vignetting is, to second order, a sum of one term along the tile's height and one along its
width, so each axis is found and corrected on its own. A scanner may shift its tiles from row to row; the rows
still repeat.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from thymusimg.channels.fold import BINS, find_period, fold, half_doubt, template, without_trend
from thymusimg.channels.gain import Gain

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from thymusimg.section.model import FloatPlane, Mask
    from thymusimg.section.survey import Survey
    from thymusimg.settings import CorrectionSettings

    Vector = npt.NDArray[np.float64]
    Periods = tuple[float | None, float | None]

_AXES = ("rows", "columns")
_GLARE = 4.0
_SECOND_AXIS = 0.6
"""Share of the proof that is asked of the second axis once the first is found."""


@dataclass(frozen=True)
class Vignetting:
    """The gain of every role that is flattened, and what was found.

    Attributes
    ----------
    gains : mapping of str to Gain
    notes : tuple of str
    periods : (float or None, float or None)
        Height and width of a tile in coarse pixels.
    """

    gains: Mapping[str, Gain] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    periods: Periods = (None, None)


class TilePattern(NamedTuple):
    """A stain's brightness across a tile along one axis.

    Attributes
    ----------
    pattern : (BINS,) float64
        Relative brightness less its mean: 0.1 is 10 % brighter than the tile's mean.
    doubt : float
        Standard error of the pattern (root mean square over the tile), from two halves of the tiles.
    """

    pattern: Vector
    doubt: float

    @property
    def depth(self) -> float:
        """Share by which the brightness varies across a tile."""
        return float(self.pattern.max() - self.pattern.min())

    @property
    def certainty(self) -> float:
        """Share of the pattern's variance that is no chance: what flattening would remove; 0 for noise."""
        return 1 - self.doubt**2 / max(float(np.mean(self.pattern**2)), self.doubt**2, 1e-12)


def estimate_vignetting(
    survey: Survey, tissue_mask: Mask, offset: Mapping[str, float], settings: CorrectionSettings
) -> Vignetting:
    """Find the vignetting of a stitched slide's tiles.

    Parameters
    ----------
    survey : Survey
    tissue_mask : (Y, X) bool
    offset : mapping of str to float
        Background of each role, in raw units.
    settings : CorrectionSettings

    Returns
    -------
    Vignetting
        Without gains where no pattern repeats at a tile period, or where flattening would not help.
    """
    inside = tissue_mask & survey.valid
    clipped = {role: clipped_signal(plane, offset.get(role, 0.0), inside) for role, plane in survey.planes.items()}
    signal = {role: plane for role, plane in clipped.items() if plane is not None}
    if not signal:
        return Vignetting(notes=("illumination: off, too little tissue to judge it",))
    periods, notes = find_tiles(signal, inside, survey.grid.factor, settings)
    if periods == (None, None):
        return Vignetting(notes=(*notes, "illumination: off, no pattern repeats at a tile period"))
    gains: dict[str, Gain] = {}
    for role, plane in signal.items():
        along: list[Vector | None] = [None, None]
        for axis, period in enumerate(periods):
            if period is None:
                continue
            found = tile_pattern(plane, inside, axis, periods)
            used = found.depth >= settings.minimum_gain and found.certainty >= settings.minimum_help
            notes.append(
                f"illumination: {role}, {_AXES[axis]}: {100 * found.depth:.0f} % across a tile, "
                f"{100 * found.certainty:.0f} % of it beyond chance: {'flattened' if used else 'left'}"
            )
            if used:
                along[axis] = _along(found.pattern, period, survey.grid.shape[axis])
        if any(profile is not None for profile in along):
            gains[role] = _gain(along, survey.grid.shape)
    return Vignetting(gains, tuple(notes), periods)


def find_tiles(
    signal: Mapping[str, FloatPlane], inside: Mask, factor: int, settings: CorrectionSettings
) -> tuple[Periods, list[str]]:
    """Find the height and width of the stitched tiles, in coarse pixels, from all stains together.

    Illumination moves every stain the same way; compartments move them apart and cancel in the sum of the logs.
    """
    weights = [np.count_nonzero(inside, axis=1 - axis).astype(np.float64) for axis in (0, 1)]
    sums = [np.zeros(weight.size) for weight in weights]
    places = np.flatnonzero(inside)[:: max(1, inside.size // 500_000)]
    for plane in signal.values():
        # Bright structures say little about the light; the upper quartile is cut to its edge.
        even = np.minimum(plane, float(np.percentile(plane.ravel()[places], 75)))
        for axis, weight in enumerate(weights):
            sums[axis] += _log_profile(even, weight, axis)
    extents = [_extent(weight) for weight in weights]
    profiles = [(total[part], weight[part]) for total, weight, part in zip(sums, weights, extents, strict=True)]
    best = _best_periods(profiles, settings, factor)
    notes = [
        f"illumination: the brightness of the {name} repeats every {period * factor:.0f} px (F {score:.0f})"
        for name, (period, score) in zip(_AXES, best, strict=True)
        if period is not None
    ]
    return (best[0][0], best[1][0]), notes


def _best_periods(
    profiles: list[tuple[Vector, Vector]], settings: CorrectionSettings, factor: int
) -> list[tuple[float | None, float]]:
    """Find the period of each axis; what is known of the tile lowers the proof that is asked for."""
    need = settings.minimum_repeat
    if settings.tile_px is not None:
        known = settings.tile_px / factor
        # No search among a thousand periods, hence a third of the proof.
        found = [find_period(*profile, between=(0.97 * known, 1.03 * known)) for profile in profiles]
        return [(period, score) if score >= need / 3 else (None, score) for period, score in found]
    found = [find_period(*profile) for profile in profiles]
    best: list[tuple[float | None, float]] = [(p, score) if score >= need else (None, score) for p, score in found]
    for this, other in ((0, 1), (1, 0)):
        period = best[other][0]
        if best[this][0] is None and period is not None and found[other][1] >= need:
            # A camera's field is at most about twice as long as wide.
            again = find_period(*profiles[this], between=(period / 2, 2 * period))
            if again[1] >= _SECOND_AXIS * need:
                best[this] = again
    return best


def tile_pattern(plane: FloatPlane, inside: Mask, axis: int, periods: Periods) -> TilePattern:
    """Measure a stain's brightness across a tile along one axis.

    Each pixel is divided by its surroundings of one tile, which takes tissue larger than a tile away and leaves
    the pattern as it is; what is smaller averages out over the tiles.

    Returns
    -------
    TilePattern
    """
    import cv2

    either = [p for p in periods if p is not None]
    height, width = (p if p is not None else either[0] for p in periods)
    size = (2 * int(width / 2) + 1, 2 * int(height / 2) + 1)
    held = inside.astype(np.float32)
    level = cv2.blur(plane, size) / np.maximum(cv2.blur(held, size), 1e-3)
    ratio = np.where(inside, np.minimum(plane / np.maximum(level, 1e-6), _GLARE), 0)
    weight = np.count_nonzero(inside, axis=1 - axis).astype(np.float64)
    profile = ratio.sum(axis=1 - axis, dtype=np.float64) / np.maximum(weight, 1)
    period = periods[axis]
    if period is None:
        raise ValueError(f"the tiles have no known period along axis {axis}")
    # The coordinate stays anchored at the slide's origin: no shift to the tissue's extent here.
    folded = fold(without_trend(profile, weight, period), weight, period)
    return TilePattern(_smoothed(template(folded)), half_doubt(folded))


def clipped_signal(plane: FloatPlane, offset: float, inside: Mask) -> FloatPlane | None:
    """Return a role above its background, glare cut at the tissue's 99th percentile, 0 off the tissue.

    None where the tissue is too small (under 4096 coarse pixels) or no brighter than the background.
    """
    values = plane[inside]
    if values.size < 4096:
        return None
    top = float(np.percentile(values[:: max(1, values.size // 200_000)], 99)) - offset
    if top <= 0:
        return None
    return np.where(inside, np.clip(plane - np.float32(offset), 0, top), 0).astype(np.float32)


def _log_profile(plane: FloatPlane, weight: Vector, axis: int) -> Vector:
    mean = plane.sum(axis=1 - axis, dtype=np.float64) / np.maximum(weight, 1)
    typical = float(np.average(mean, weights=weight))
    return np.asarray(np.log(np.maximum(mean, 0.02 * typical + 1e-9) / (typical + 1e-9)), dtype=np.float64)


def _extent(weight: Vector) -> slice:
    """Return the stretch with enough tissue; a few stray pixels carry no mean."""
    held = np.flatnonzero(weight > 0.05 * weight.max())
    return slice(int(held[0]), int(held[-1]) + 1)


def _smoothed(pattern: Vector) -> Vector:
    """Smooth a pattern a little around the tile (the seam joins its ends)."""
    return np.asarray((np.roll(pattern, 1) + 2 * pattern + np.roll(pattern, -1)) / 4, dtype=np.float64)


def _along(pattern: Vector, period: float, size: int) -> Vector:
    """Return the relative gain, mean 1 over a tile, at ``size`` pixels from the slide's origin."""
    place = (np.arange(size) / period % 1) * BINS - 0.5
    return 1 + np.interp(place, np.arange(BINS), pattern, period=BINS)


def _gain(along: list[Vector | None], shape: tuple[int, int]) -> Gain:
    """Return the gain along both axes; 1 along one that is left as it is."""
    rows, columns = (
        np.ones(size, np.float32) if profile is None else profile.astype(np.float32)
        for profile, size in zip(along, shape, strict=True)
    )
    return Gain(rows, columns)

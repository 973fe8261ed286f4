"""Macrophages, lipofuscin and debris: bright in every stain at one and the same place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba
import numpy as np
import numpy.typing as npt

from thymusimg.cells.contours import RAYS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thymusimg.section.model import FloatPlane

INSIDE_AT = (0.3, 0.6, 0.9)
"""Where an outline is probed inside, in parts of its radius."""
OUTSIDE_UM = (1.0, 1.75, 2.5)
"""Where its surroundings are probed, in µm beyond it."""
PLACES = len(INSIDE_AT) + len(OUTSIDE_UM)
LEAST_CONTRAST = 0.1
"""CD45 contrast below which the ratio of contrasts would be noise."""

_ANGLES = np.arange(RAYS) * (2 * np.pi / RAYS)
_DIRECTIONS = np.stack([np.sin(_ANGLES), np.cos(_ANGLES)], axis=1)
_INSIDE_AT, _OUTSIDE_UM = np.array(INSIDE_AT), np.array(OUTSIDE_UM)


def likeness(
    planes: Sequence[FloatPlane], centres: npt.NDArray[np.float64], radii: FloatPlane, pixel_um: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Tell how much an outline stands out in the other stains as it does in CD45.

    A thymocyte lies in a hole of the keratin network; an autofluorescent body stands out in all stains, with one
    outline. The contrast of a stain is (in − out) / (in + out), which a stain's gain does not change, over the
    directions in which CD45 is brighter inside. A strand of epithelium that crosses a cell stands out as well, but
    with another picture: it is bright where it lies and not all round. So the stains' signals at all probed places,
    inside and outside, are correlated with those of CD45 too (Pearson).

    Parameters
    ----------
    planes : R × (Y, X) float32
        CD45 first, then the other stains, background-subtracted.
    centres : (N, 2) float64
        y, x in pixels.
    radii : (N, RAYS) float32
        In µm.
    pixel_um : float

    Returns
    -------
    ratio : (N,) float64
        Lowest contrast of the other stains over that of CD45: about 1 for autofluorescence, 0 or less for cells; 0
        where there is no other stain.
    share : (N,) float64
        Share of those directions in which another stain is brighter inside too: the least over the stains.
    correlation : (N,) float64
        Of another stain with CD45 in those directions: the least over the stains.
    """
    if len(planes) < 2 or len(centres) == 0:
        return np.zeros(len(centres)), np.zeros(len(centres)), np.zeros(len(centres))
    at = np.empty((len(centres), PLACES, RAYS), np.uint32)
    scaled, shape = radii / np.float32(pixel_um), planes[0].shape
    _place(centres, scaled, _DIRECTIONS, _INSIDE_AT, _OUTSIDE_UM / pixel_um, *shape, at)
    flat = [np.ascontiguousarray(plane).reshape(-1) for plane in planes]
    lowest, fewest, loosest = (np.full(len(centres), np.inf) for _ in range(3))
    for other in flat[1:]:
        ratio, share, correlation = (np.empty(len(centres)) for _ in range(3))
        _compare(flat[0], other, at, ratio, share, correlation)
        lowest, fewest = np.minimum(lowest, ratio), np.minimum(fewest, share)
        loosest = np.minimum(loosest, correlation)
    return lowest, fewest, loosest


@numba.njit(cache=True, nogil=True)
def _place(  # type: ignore[no-untyped-def]  # compiled
    centres, radii, directions, parts, beyond, height, width, at
):
    """Write which pixels are probed around every outline, inwards to outwards; the same in all stains."""
    for i in range(len(centres)):
        y, x = centres[i]
        for s in range(PLACES):
            for t in range(RAYS):
                reach = radii[i, t] * parts[s] if s < len(parts) else radii[i, t] + beyond[s - len(parts)]
                row = min(max(np.floor(y + reach * directions[t, 0] + 0.5), 0.0), height - 1.0)
                column = min(max(np.floor(x + reach * directions[t, 1] + 0.5), 0.0), width - 1.0)
                at[i, s, t] = np.uint32(row * width + column)


@numba.njit(cache=True, nogil=True)
def _compare(cd45, plane, at, ratio, share, correlation):  # type: ignore[no-untyped-def]  # compiled
    """Write how a stain is like CD45 at every outline: its contrast over that of CD45, directions, correlation."""
    inside, outside = len(INSIDE_AT), len(OUTSIDE_UM)
    own = np.empty((PLACES, RAYS))
    other = np.empty((PLACES, RAYS))
    falls = np.empty(RAYS, np.bool_)
    for i in range(len(at)):
        for s in range(PLACES):
            for t in range(RAYS):
                own[s, t], other[s, t] = cd45[at[i, s, t]], plane[at[i, s, t]]
        falling, brighter, own_near, own_far, other_near, other_far = 0, 0, 0.0, 0.0, 0.0, 0.0
        for t in range(RAYS):
            near, far = _sums(own, t)
            # where CD45 does not fall outwards lies a neighbour, or the rest of a macrophage
            falls[t] = near / inside > far / outside
            if not falls[t]:
                continue
            own_near, own_far = own_near + near, own_far + far
            near, far = _sums(other, t)
            other_near, other_far = other_near + near, other_far + far
            brighter += near / inside > far / outside
            falling += 1
        contrast = max(_contrast(own_near / inside, own_far / outside), LEAST_CONTRAST)
        ratio[i] = _contrast(other_near / inside, other_far / outside) / contrast
        share[i] = brighter / max(falling, 1)
        count = max(falling * PLACES, 1)
        own_mean, other_mean = (own_near + own_far) / count, (other_near + other_far) / count
        a2, b2, ab = 0.0, 0.0, 0.0
        for t in range(RAYS):
            if not falls[t]:
                continue
            for s in range(PLACES):
                a, b = own[s, t] - own_mean, other[s, t] - other_mean
                a2, b2, ab = a2 + a * a, b2 + b * b, ab + a * b
        correlation[i] = ab / max(np.sqrt(a2 * b2), 1e-12)  # 0 if one is even


@numba.njit(cache=True, nogil=True)
def _sums(values, t):  # type: ignore[no-untyped-def]  # compiled
    """Return the sums inside and outside the outline in one direction."""
    near, far = 0.0, 0.0
    for s in range(len(INSIDE_AT)):
        near += values[s, t]
    for s in range(len(INSIDE_AT), PLACES):
        far += values[s, t]
    return near, far


@numba.njit(cache=True, nogil=True)
def _contrast(inside, outside):  # type: ignore[no-untyped-def]  # compiled
    return (inside - outside) / (abs(inside) + abs(outside) + 1e-6)

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
    cd45 = _probed(planes[0], centres, radii, pixel_um)
    near, far = _inside_and_outside(cd45)
    # where CD45 does not fall outwards lies a neighbour, or the rest of a macrophage
    falls = near > far
    own = np.maximum(_contrast(near, far, falls), LEAST_CONTRAST)
    lowest, fewest, loosest = (np.full(len(centres), np.inf) for _ in range(3))
    for plane in planes[1:]:
        other = _probed(plane, centres, radii, pixel_um)
        near, far = _inside_and_outside(other)
        loosest = np.minimum(loosest, _correlation(cd45, other, falls))
        lowest = np.minimum(lowest, _contrast(near, far, falls))
        brighter = np.count_nonzero(falls & (near > far), axis=1)
        fewest = np.minimum(fewest, brighter / np.maximum(np.count_nonzero(falls, axis=1), 1))
    return lowest / own, fewest, loosest


def _contrast(
    near: npt.NDArray[np.float64], far: npt.NDArray[np.float64], where: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    inside, outside = (near * where).sum(axis=1), (far * where).sum(axis=1)
    contrast: npt.NDArray[np.float64] = (inside - outside) / (np.abs(inside) + np.abs(outside) + 1e-6)
    return contrast


def _correlation(
    first: npt.NDArray[np.float64], second: npt.NDArray[np.float64], where: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    """Return the correlation of two stains over the probed places of the directions ``where``; 0 if one is even."""
    weight = where[:, :, None].astype(np.float64)
    count = np.maximum(weight.sum(axis=(1, 2)) * first.shape[2], 1)[:, None, None]
    a, b = ((x - (x * weight).sum(axis=(1, 2), keepdims=True) / count) * weight for x in (first, second))
    spread = np.sqrt((a * a).sum(axis=(1, 2)) * (b * b).sum(axis=(1, 2)))
    correlation: npt.NDArray[np.float64] = (a * b).sum(axis=(1, 2)) / np.maximum(spread, 1e-12)
    return correlation


def _inside_and_outside(
    probed: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the mean signal just inside and just outside every outline in every direction, (N, RAYS) each."""
    inside = len(INSIDE_AT)
    return probed[:, :, :inside].mean(axis=2), probed[:, :, inside:].mean(axis=2)


def _probed(
    plane: FloatPlane, centres: npt.NDArray[np.float64], radii: FloatPlane, pixel_um: float
) -> npt.NDArray[np.float64]:
    """Return the signal at every probed place, inwards to outwards, (N, RAYS, 6)."""
    out = np.empty((*radii.shape, len(INSIDE_AT) + len(OUTSIDE_UM)))
    _probe(plane, centres, radii / np.float32(pixel_um), _DIRECTIONS, _INSIDE_AT, _OUTSIDE_UM / pixel_um, out)
    return out


@numba.njit(cache=True, nogil=True)
def _probe(plane, centres, radii, directions, parts, beyond, out):  # type: ignore[no-untyped-def]  # compiled
    height, width = plane.shape
    for i in range(len(centres)):
        for t in range(RAYS):
            for s in range(len(parts) + len(beyond)):
                reach = radii[i, t] * parts[s] if s < len(parts) else radii[i, t] + beyond[s - len(parts)]
                y = min(max(int(np.floor(centres[i, 0] + reach * directions[t, 0] + 0.5)), 0), height - 1)
                x = min(max(int(np.floor(centres[i, 1] + reach * directions[t, 1] + 0.5)), 0), width - 1)
                out[i, t, s] = plane[y, x]

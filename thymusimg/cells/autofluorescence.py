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
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Tell how much an outline stands out in the other stains as it does in CD45.

    A thymocyte lies in a hole of the keratin network; an autofluorescent body stands out in all stains, with one
    outline. The contrast of a stain is (in − out) / (in + out), which a stain's gain does not change, over the
    directions in which CD45 is brighter inside.

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
    """
    if len(planes) < 2 or len(centres) == 0:
        return np.zeros(len(centres)), np.zeros(len(centres))
    near, far = _inside_and_outside(planes[0], centres, radii, pixel_um)
    # where CD45 does not fall outwards lies a neighbour, or the rest of a macrophage
    falls = near > far
    own = np.maximum(_contrast(near, far, falls), LEAST_CONTRAST)
    lowest, fewest = np.full(len(centres), np.inf), np.full(len(centres), np.inf)
    for plane in planes[1:]:
        near, far = _inside_and_outside(plane, centres, radii, pixel_um)
        lowest = np.minimum(lowest, _contrast(near, far, falls))
        brighter = np.count_nonzero(falls & (near > far), axis=1)
        fewest = np.minimum(fewest, brighter / np.maximum(np.count_nonzero(falls, axis=1), 1))
    return lowest / own, fewest


def _contrast(
    near: npt.NDArray[np.float64], far: npt.NDArray[np.float64], where: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    inside, outside = (near * where).sum(axis=1), (far * where).sum(axis=1)
    contrast: npt.NDArray[np.float64] = (inside - outside) / (np.abs(inside) + np.abs(outside) + 1e-6)
    return contrast


def _inside_and_outside(
    plane: FloatPlane, centres: npt.NDArray[np.float64], radii: FloatPlane, pixel_um: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the mean signal just inside and just outside every outline in every direction, (N, RAYS) each."""
    near, far = np.zeros(radii.shape), np.zeros(radii.shape)
    _probe(plane, centres, radii / np.float32(pixel_um), _DIRECTIONS, _INSIDE_AT, _OUTSIDE_UM / pixel_um, near, far)
    return near, far


@numba.njit(cache=True, nogil=True)
def _probe(plane, centres, radii, directions, parts, beyond, near, far):  # type: ignore[no-untyped-def]  # compiled
    height, width = plane.shape
    for i in range(len(centres)):
        for t in range(RAYS):
            for s in range(len(parts) + len(beyond)):
                within = s < len(parts)
                reach = radii[i, t] * parts[s] if within else radii[i, t] + beyond[s - len(parts)]
                y = min(max(int(np.floor(centres[i, 0] + reach * directions[t, 0] + 0.5)), 0), height - 1)
                x = min(max(int(np.floor(centres[i, 1] + reach * directions[t, 1] + 0.5)), 0), width - 1)
                if within:
                    near[i, t] += plane[y, x] / len(parts)
                else:
                    far[i, t] += plane[y, x] / len(beyond)

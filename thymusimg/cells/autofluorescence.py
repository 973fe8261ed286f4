"""Macrophages, lipofuscin and debris: bright in every stain at one and the same place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba
import numpy as np
import numpy.typing as npt

from thymusimg.cells.contours import RAYS

if TYPE_CHECKING:
    from thymusimg.section.model import FloatPlane

INSIDE_AT = (0.3, 0.6, 0.9)
"""Where an outline is probed inside, in parts of its radius."""
OUTSIDE_UM = (1.0, 1.75, 2.5)
"""Where its surroundings are probed, in µm beyond it."""
LEAST_CONTRAST = 0.1
"""CD45 contrast below which the ratio of contrasts would be noise."""

_ANGLES = np.arange(RAYS) * (2 * np.pi / RAYS)


def likeness(
    planes: FloatPlane, centres: npt.NDArray[np.float64], radii: FloatPlane, pixel_um: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Tell how much an outline stands out in the other stains as it does in CD45.

    A thymocyte lies in a hole of the keratin network; an autofluorescent body stands out in all stains, with one
    outline. The contrast of a stain is (in − out) / (in + out), which a stain's gain does not change, over the
    directions in which CD45 is brighter inside.

    Parameters
    ----------
    planes : (R, Y, X) float32
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
    ratio, share = np.zeros(len(centres)), np.zeros(len(centres))
    if len(planes) > 1 and len(centres):
        _compare(
            planes, centres, radii / np.float32(pixel_um), np.sin(_ANGLES), np.cos(_ANGLES),
            np.array(INSIDE_AT), np.array(OUTSIDE_UM) / pixel_um, LEAST_CONTRAST, ratio, share,
        )  # fmt: skip
    return ratio, share


@numba.njit(cache=True, nogil=True)
def _compare(
    planes: FloatPlane,
    centres: npt.NDArray[np.float64],
    radii: FloatPlane,
    sines: npt.NDArray[np.float64],
    cosines: npt.NDArray[np.float64],
    parts: npt.NDArray[np.float64],
    beyond: npt.NDArray[np.float64],
    least: float,
    ratio: npt.NDArray[np.float64],
    share: npt.NDArray[np.float64],
) -> None:
    stains, height, width = planes.shape
    near, far = np.empty(stains), np.empty(stains)
    inside, outside, brighter = np.empty(stains), np.empty(stains), np.empty(stains)
    for i in range(len(centres)):
        inside[:], outside[:], brighter[:] = 0, 0, 0
        falls = 0
        for t in range(RAYS):
            near[:], far[:] = 0, 0
            for s in range(len(parts) + len(beyond)):
                within = s < len(parts)
                reach = radii[i, t] * parts[s] if within else radii[i, t] + beyond[s - len(parts)]
                y = min(max(int(np.floor(centres[i, 0] + reach * sines[t] + 0.5)), 0), height - 1)
                x = min(max(int(np.floor(centres[i, 1] + reach * cosines[t] + 0.5)), 0), width - 1)
                for p in range(stains):
                    if within:
                        near[p] += planes[p, y, x]
                    else:
                        far[p] += planes[p, y, x]
            # where CD45 does not fall outwards lies a neighbour, or the rest of a macrophage
            if near[0] / len(parts) <= far[0] / len(beyond):
                continue
            falls += 1
            for p in range(stains):
                inside[p] += near[p] / len(parts)
                outside[p] += far[p] / len(beyond)
                brighter[p] += near[p] / len(parts) > far[p] / len(beyond)
        own, lowest, fewest = least, np.inf, np.inf
        for p in range(stains):
            contrast = (inside[p] - outside[p]) / (abs(inside[p]) + abs(outside[p]) + 1e-6)
            if p == 0:
                own = max(contrast, least)
            else:
                lowest = min(lowest, contrast)
                fewest = min(fewest, brighter[p] / max(falls, 1))
        ratio[i] = lowest / own
        share[i] = fewest

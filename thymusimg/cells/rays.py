"""Masks as outlines over polar rays, so that cells drawn by any method are held against the gate in one way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba
import numpy as np
import numpy.typing as npt

from thymusimg.cells.contours import RAYS
from thymusimg.cells.evidence import rises_above

if TYPE_CHECKING:
    from thymusimg.cells.collect import Found
    from thymusimg.section.model import FloatPlane

CREST_UM = (0.25, 0.75)
"""Where a membrane is looked for, in µm inside the outline; the brighter of both places counts."""
AROUND_UM = (0.75, 1.0, 1.25, 1.5, 1.75, 2.0)
"""Where the surroundings are looked at, in µm outside it; the darkest place counts, as in :mod:`.contours`."""

_ANGLES = np.arange(RAYS) * (2 * np.pi / RAYS)
_DIRECTIONS = np.stack([np.sin(_ANGLES), np.cos(_ANGLES)], axis=1)


def radii_of(found: Found, pixel_um: float) -> FloatPlane:
    """Return how far every cell reaches from its centroid in :data:`RAYS` directions, (N, RAYS) in µm."""
    radii = np.zeros((len(found.boxes), RAYS), np.float32)
    _measure(found.boxes, found.starts, found.bits, _centroids(found), _DIRECTIONS, radii)
    radii *= np.float32(pixel_um)
    return radii


def is_human(
    plane: FloatPlane,
    centres: npt.NDArray[np.float64],
    radii: FloatPlane,
    pixel_um: float,
    background: float,
    excess: float,
) -> npt.NDArray[np.bool_]:
    """Tell which cells' membranes rise above their surroundings as a human cell's must.

    Parameters
    ----------
    plane : (Y, X) float32
        Corrected CD45.
    centres : (N, 2) float64
        y, x in pixels of ``plane``.
    radii : (N, RAYS) float32
        In µm.
    pixel_um : float
    background : float
        Of CD45-negative tissue; surroundings darker than that count as that.
    excess : float
        As :attr:`thymusimg.cells.light.CellLight.least_excess`.
    """
    rims = np.zeros((len(centres), 2))
    _rims(
        plane, centres, radii / np.float32(pixel_um), _DIRECTIONS, np.array(CREST_UM) / pixel_um,
        np.array(AROUND_UM) / pixel_um, rims,
    )  # fmt: skip
    return rises_above(rims[:, 0] - np.maximum(rims[:, 1], background), excess)


def _centroids(found: Found) -> npt.NDArray[np.float64]:
    return np.ascontiguousarray(found.sums[:, 2:4] / found.sums[:, :1])


@numba.njit(cache=True, nogil=True)
def _measure(boxes, starts, bits, centres, directions, radii):  # type: ignore[no-untyped-def]  # compiled
    for m in range(len(boxes)):
        y0, y1, x0, x1 = boxes[m]
        width = x1 - x0
        reach = 2 * int(np.sqrt((y1 - y0) ** 2 + width**2)) + 2
        for t in range(RAYS):
            for half in range(reach):  # steps of half a pixel, outwards; the last one in the cell counts
                y = int(np.floor(centres[m, 0] + 0.5 * half * directions[t, 0] + 0.5)) - y0
                x = int(np.floor(centres[m, 1] + 0.5 * half * directions[t, 1] + 0.5)) - x0
                if 0 <= y < y1 - y0 and 0 <= x < width and bits[starts[m] + y * width + x]:
                    radii[m, t] = 0.5 * half + 0.25


@numba.njit(cache=True, nogil=True)
def _rims(plane, centres, radii, directions, crest, around, rims):  # type: ignore[no-untyped-def]  # compiled
    height, width = plane.shape
    bright = np.empty(RAYS)
    dark = np.empty(RAYS)
    for m in range(len(centres)):
        for t in range(RAYS):
            bright[t], dark[t] = -np.inf, np.inf
            for s in range(len(crest) + len(around)):
                inside = s < len(crest)
                reach = max(radii[m, t] - crest[s], 0.0) if inside else radii[m, t] + around[s - len(crest)]
                y = int(np.floor(centres[m, 0] + reach * directions[t, 0] + 0.5))
                x = int(np.floor(centres[m, 1] + reach * directions[t, 1] + 0.5))
                value = plane[min(max(y, 0), height - 1), min(max(x, 0), width - 1)]
                if inside:
                    bright[t] = max(bright[t], value)
                else:
                    dark[t] = min(dark[t], value)
        # as in contours: the rim without its best quarter, of the surroundings the darkest eighth
        bright.sort()
        dark.sort()
        rims[m, 0] = bright[: RAYS - RAYS // 4].mean()
        rims[m, 1] = dark[: RAYS // 8].mean()

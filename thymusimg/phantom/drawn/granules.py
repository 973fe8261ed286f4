"""Macrophages and lipofuscin: granules bright in every channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numba import njit

from thymusimg.phantom.streams import stream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thymusimg.phantom.drawn.scene import Scene
    from thymusimg.phantom.spec import PhantomSpec
    from thymusimg.section.model import FloatPlane


@njit(cache=True, nogil=True)
def _specks(ys, xs, sizes, levels, pixel, out):  # type: ignore[no-untyped-def]
    """Add round specks with a soft edge."""
    height, width = out.shape
    for n in range(len(ys)):
        size = max(sizes[n], 0.6 * pixel)
        level = levels[n] * (sizes[n] / size) ** 2
        reach = 1.6 * size + pixel
        for i in range(max(0, int((ys[n] - reach) / pixel)), min(height, int((ys[n] + reach) / pixel) + 2)):
            for j in range(max(0, int((xs[n] - reach) / pixel)), min(width, int((xs[n] + reach) / pixel) + 2)):
                q = ((i * pixel - ys[n]) ** 2 + (j * pixel - xs[n]) ** 2) / (size * size)
                if q < 2.5:
                    out[i, j] += np.float32(level * np.exp(-q * q))


def draw_granules(spec: PhantomSpec, seed: int, scene: Scene, planes: Sequence[FloatPlane]) -> pd.DataFrame:
    """Add macrophages and lipofuscin to every channel, in place, and return the macrophages as cells.

    A macrophage is a long body with a faint cytoplasm; its granules lie along a random walk and differ in size and
    colour. Lipofuscin comes in pinches of one to four specks.
    """
    rng = stream(seed, "drawn", "granules")
    places = np.argwhere(scene.parenchyma)
    area = len(places) * scene.grid.pixel_area_mm2
    big = int(rng.poisson(spec.optics.macrophages_per_mm2 * area))
    small = int(rng.poisson(spec.optics.lipofuscin_per_mm2 * area))
    if big + small == 0:
        return pd.DataFrame()
    index = places[rng.integers(len(places), size=big + small)]
    centre = scene.grid.to_um(index + rng.random((big + small, 2)) - 0.5)
    radius = np.concatenate([rng.gamma(18, 0.38, big), np.full(small, 0.9)])
    level = np.concatenate([rng.gamma(5, 0.3, big) + 0.3, rng.gamma(4, 0.35, small) + 0.2])
    grains = np.concatenate([rng.integers(5, 18, big), rng.integers(1, 5, small)])
    owner = np.repeat(np.arange(big + small), grains)
    steps = rng.normal(0, 1, (len(owner), 2)) * (0.38 * radius[owner])[:, None]
    walk = np.cumsum(steps, axis=0)
    first = np.concatenate([[0], np.cumsum(grains)[:-1]])
    walk -= np.repeat(np.add.reduceat(walk, first) / grains[:, None], grains, axis=0)
    # a walk that would leave its cell is pulled together
    far = np.maximum.reduceat(np.hypot(walk[:, 0], walk[:, 1]), first)
    walk *= np.minimum(1, radius / np.maximum(far, 1e-6))[owner][:, None]
    size = np.where(owner < big, rng.gamma(4, 0.3, len(owner)) + 0.4, rng.gamma(6, 0.12, len(owner)) + 0.2)
    y, x = centre[owner, 0] + walk[:, 0], centre[owner, 1] + walk[:, 1]
    own = rng.gamma(6, 1 / 6, len(owner))
    for channel, plane in enumerate(planes):
        tint = stream(seed, "drawn", "tint", channel).uniform(0.45, 1.25, big + small)
        pixel = scene.grid.slide_pixel_um
        _specks(centre[:big, 0], centre[:big, 1], radius[:big] * 0.8, 0.15 * (level * tint)[:big], pixel, plane)
        _specks(y, x, size, (level * tint)[owner] * own, pixel, plane)
    return pd.DataFrame(
        {
            "y_um": centre[:big, 0],
            "x_um": centre[:big, 1],
            "z_um": 0.5 * spec.section_um,
            "radius_um": radius[:big],
            "body_radius_um": radius[:big],
            "type": "macrophage",
            "compartment": scene.labels[index[:big, 0], index[:big, 1]].astype(np.int64),
            "brightness": level[:big],
        }
    ).sort_values(["y_um", "x_um"], kind="stable")

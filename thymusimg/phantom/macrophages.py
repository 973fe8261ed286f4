"""Macrophages and lipofuscin: what shines by itself in every channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from thymusimg.phantom.anatomy import nearest_pixel, thrown_at_um
from thymusimg.phantom.bodies import Bodies
from thymusimg.phantom.streams import stream

if TYPE_CHECKING:
    from thymusimg.phantom.anatomy import Anatomy
    from thymusimg.phantom.spec import PhantomSpec

REACH_UM = 20.0
"""No granule lies farther from its macrophage."""


@dataclass(frozen=True)
class Granules:
    """Autofluorescent granules by y, their ``levels`` (channels, granules), and the macrophages as bodies."""

    bodies: Bodies
    levels: np.ndarray
    macrophages: pd.DataFrame


def draw_granules(spec: PhantomSpec, seed: int, anatomy: Anatomy, channels: int) -> Granules:
    """Throw macrophages, bags of granules of 10-18 µm, and single lipofuscin specks into the parenchyma."""
    rng = stream(seed, "macrophages")
    big = _throw(rng, spec.optics.macrophages_per_mm2, anatomy)
    small = _throw(rng, spec.optics.lipofuscin_per_mm2, anatomy)
    centre = np.concatenate([big, small])
    radius = np.concatenate([rng.uniform(5, 9, len(big)), rng.uniform(0.6, 1.3, len(small))])
    level = np.concatenate([rng.uniform(0.8, 2.2, len(big)), rng.uniform(0.8, 2.5, len(small))])
    owner = np.repeat(
        np.arange(len(centre)), np.concatenate([rng.integers(6, 14, len(big)), np.ones(len(small), int)])
    )
    single = owner >= len(big)
    offset = np.where(
        single[:, None], 0.0, np.clip(rng.normal(0, 0.42, (len(owner), 2)), -2, 2) * radius[owner, None]
    )
    size = np.where(single, radius[owner], radius[owner] * rng.uniform(0.25, 0.5, len(owner)))
    y, x = (centre[owner] + offset).T
    z = rng.uniform(0.3, 0.7, len(owner)) * spec.section_um
    tint = np.stack([stream(seed, "tint", c).uniform(0.5, 1.2, len(centre)) for c in range(channels)])
    order = np.argsort(y, kind="stable")
    bodies = Bodies(y[order], x[order], z[order], size[order], size[order])
    at = nearest_pixel(big, anatomy.grid)
    table = pd.DataFrame(
        {
            "y_um": big[:, 0],
            "x_um": big[:, 1],
            "z_um": 0.5 * spec.section_um,
            "radius_um": radius[: len(big)],
            "body_radius_um": radius[: len(big)],
            "type": "macrophage",
            "compartment": anatomy.labels[at[:, 0], at[:, 1]].astype(np.int64),
            "brightness": level[: len(big)],
        }
    )
    return Granules(
        bodies,
        (level * tint)[:, owner[order]],
        table.sort_values(["y_um", "x_um"], kind="stable", ignore_index=True),
    )


def _throw(rng: np.random.Generator, per_mm2: float, anatomy: Anatomy) -> np.ndarray:
    extent = thrown_at_um(anatomy.grid)
    place = rng.random((int(rng.poisson(per_mm2 * extent.prod() * 1e-6)), 2)) * extent
    at = nearest_pixel(place, anatomy.grid)
    inside: np.ndarray = place[np.isin(anatomy.labels[at[:, 0], at[:, 1]], (1, 2, 3))]
    return inside

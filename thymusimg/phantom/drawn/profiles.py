"""Human and mouse cells as profiles in one plane: how many, where, how large, and of what outline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from thymusimg.compartments.model import Compartment
from thymusimg.phantom.drawn.mosaic import soft_lumps
from thymusimg.phantom.drawn.spacing import relax, scatter
from thymusimg.phantom.streams import stream

if TYPE_CHECKING:
    from thymusimg.phantom.drawn.scene import Scene
    from thymusimg.phantom.spec import PhantomSpec
    from thymusimg.section.model import FloatPlane

CLUSTER_CELLS = 7.0
CLUSTER_RADIUS_UM = 17.0
"""Matérn clusters: a Poisson number of cells, evenly in a disc."""
SOFTNESS = 0.95
"""Neighbours flatten against each other: they lie as near as this share of the sum of their radii."""
ROUNDS = 45
SWALLOWED = 0.45
"""A profile nearer to a neighbour than this share of the larger radius lies under it and does not show."""
HARMONICS = (2, 3, 5)


@dataclass(frozen=True)
class Outlines:
    """How the outline of each profile departs from a circle, and how its ring is lit.

    ``waves`` (N, 3, 2): amplitude and phase of the Fourier terms of :data:`HARMONICS`; ``cap`` (N, 2): strength and
    direction of the bright side; ``filled`` (N,): light inside the ring, as a share of the rim.
    """

    waves: np.ndarray
    cap: np.ndarray
    filled: np.ndarray


def place_profiles(spec: PhantomSpec, seed: int, scene: Scene) -> pd.DataFrame:
    """Return the cells of a section, human first: profiles that hardly overlap, each with a visible part."""
    points = _sow(spec, seed, scene)
    human = len(points)
    if spec.dapi:
        rate = np.where(scene.parenchyma, spec.mouse_per_mm2, 0.3 * spec.mouse_per_mm2 * _room(scene))
        mouse = scatter(stream(seed, "drawn", "mouse"), rate.astype(np.float32), scene)
        points = np.concatenate([points, mouse])
    body, z, radius = _sizes(spec, stream(seed, "drawn", "sizes"), len(points))
    ground = np.where(_room(scene), scene.labels, 254).astype(np.uint8)
    points = relax(points, radius, ground, scene, softness=SOFTNESS, rounds=ROUNDS)
    shape = 1 / max(spec.cd45_cv, 1e-3) ** 2
    bright = stream(seed, "drawn", "brightness").gamma(shape, 1 / shape, len(points))
    table = pd.DataFrame(
        {
            "y_um": points[:, 0],
            "x_um": points[:, 1],
            "z_um": z,
            "radius_um": radius,
            "body_radius_um": body,
            "type": np.where(np.arange(len(points)) < human, "human", "mouse"),
            "compartment": scene.labels[scene.at(points)].astype(np.int64),
            "brightness": bright,
        }
    )
    table = table[~_swallowed(points, radius)]
    return table.sort_values(["type", "y_um", "x_um"], kind="stable").reset_index(drop=True)


def _room(scene: Scene) -> np.ndarray:
    room: np.ndarray = scene.tissue & (scene.labels != Compartment.CYST) & ~scene.vessel
    return room


def human_rate(spec: PhantomSpec, seed: int, scene: Scene) -> FloatPlane:
    """Return the expected human profiles per mm² of every coarse pixel.

    The Cox field is a mosaic: patches of ``patch_um``, each with a gamma factor of the variance that the log-normal
    field of SD ``patchiness`` would have; the mean of each compartment is kept.
    """
    labels = scene.labels
    rates = {
        Compartment.CORTEX: spec.cd45_cortex_per_mm2,
        Compartment.MEDULLA: spec.cd45_medulla_per_mm2,
        Compartment.INDETERMINATE: float(np.sqrt(spec.cd45_cortex_per_mm2 * spec.cd45_medulla_per_mm2)),
        Compartment.OTHER: 0.05 * spec.cd45_medulla_per_mm2,
    }
    factor = np.ones(labels.shape, np.float32)
    if spec.patchiness > 0:
        side = spec.patch_um / scene.grid.pixel_um
        rng = stream(seed, "drawn", "patches")
        blurred = soft_lumps(rng, labels.shape, 1.3 * side, 0.2 * side)
        spread = float(np.sqrt(np.expm1(spec.patchiness**2)))
        # a chi-square-like factor from the mosaic's normal numbers: never negative, mean 1
        factor = np.square(np.maximum(0, 1 + 0.5 * spread * blurred)).astype(np.float32)
    rate = np.zeros(labels.shape, np.float32)
    ceiling = 0.98 * 0.36 / spec.packing(1.0)
    for code, mean in rates.items():
        zone = (labels == code) & ~scene.vessel
        if mean > 0 and zone.any():
            rate[zone] = np.minimum(mean * factor[zone] / max(float(factor[zone].mean()), 1e-6), ceiling)
    return rate


def _sow(spec: PhantomSpec, seed: int, scene: Scene) -> np.ndarray:
    """Throw single cells and Matérn clusters."""
    rate = human_rate(spec, seed, scene)
    single = scatter(stream(seed, "drawn", "single"), rate * np.float32(1 - spec.clustered), scene)
    rng = stream(seed, "drawn", "clusters")
    parents = scatter(rng, rate * np.float32(spec.clustered / CLUSTER_CELLS), scene)
    sizes = rng.poisson(CLUSTER_CELLS, len(parents))
    total = int(sizes.sum())
    reach, turn = CLUSTER_RADIUS_UM * np.sqrt(rng.random(total)), rng.uniform(0, 2 * np.pi, total)
    home = np.repeat(parents, sizes, axis=0)
    young = home + reach[:, None] * np.stack([np.sin(turn), np.cos(turn)], 1)
    # a cluster stays in its compartment: who lands elsewhere stands by its parent
    elsewhere = scene.labels[scene.at(young)] != scene.labels[scene.at(home)]
    young[elsewhere] = home[elsewhere] + 0.15 * (young - home)[elsewhere]
    points = np.concatenate([single, young])
    inside: np.ndarray = points[_room(scene)[scene.at(points)]]
    return inside


def _sizes(spec: PhantomSpec, rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return radius of the body (gamma), height of its centre and radius of the profile that the section shows."""
    mean, sd = spec.cell_diameter_um, max(spec.cell_diameter_sd_um, 1e-3)
    body = np.clip(rng.gamma((mean / sd) ** 2, sd**2 / mean, count), 5.0, 11.0) / 2
    reach = body - spec.lost_cap_um
    z = -reach + rng.random(count) * (spec.section_um + 2 * reach)
    beyond = np.maximum(np.maximum(-z, z - spec.section_um), 0.0)
    return body, z, np.sqrt(np.maximum(body**2 - beyond**2, 0.25))


def _swallowed(points: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Return which profiles lie under a larger one."""
    under = np.zeros(len(points), bool)
    if len(points) < 2:
        return under
    pairs = cKDTree(points).query_pairs(SWALLOWED * float(radius.max()), output_type="ndarray")
    apart = np.hypot(*(points[pairs[:, 0]] - points[pairs[:, 1]]).T)
    near = pairs[apart < SWALLOWED * radius[pairs].max(1)]
    smaller = np.where(radius[near[:, 0]] < radius[near[:, 1]], near[:, 0], near[:, 1])
    under[smaller] = True
    return under


def draw_outlines(seed: int, cells: pd.DataFrame, section_um: float) -> Outlines:
    """Draw the outline and the lighting of every profile."""
    rng = stream(seed, "drawn", "outlines")
    count = len(cells)
    waves = np.empty((count, len(HARMONICS), 2))
    waves[..., 0] = np.abs(rng.normal(0, 1, (count, len(HARMONICS)))) * np.array([0.085, 0.045, 0.025])
    waves[..., 0] = np.minimum(waves[..., 0], [0.22, 0.1, 0.06])
    waves[..., 1] = rng.uniform(0, 2 * np.pi, (count, len(HARMONICS)))
    cap = np.stack([rng.beta(1.2, 4.0, count), rng.uniform(0, 2 * np.pi, count)], 1)
    capped = rng.random(count) < 0.12
    cap[capped, 0] = rng.uniform(0.6, 0.95, int(capped.sum()))
    body = cells["body_radius_um"].to_numpy(float)
    z = cells["z_um"].to_numpy(float)
    beyond = np.maximum(np.maximum(-z, z - section_um), 0.0)
    # a cap of a cell is seen face on: the membrane fills its profile
    filled = np.clip(rng.normal(0.22, 0.05, count) + 0.55 * (beyond / body) ** 2, 0.08, 0.85)
    return Outlines(waves, cap, filled)

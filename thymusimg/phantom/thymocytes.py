"""Human and mouse cells: how many, where, and packed so that no two bodies share space."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numba import njit

from thymusimg.compartments.model import PARENCHYMA, Compartment
from thymusimg.phantom.anatomy import nearest_pixel, thrown_at_um
from thymusimg.phantom.bodies import profile_radius
from thymusimg.phantom.hashing import uniform
from thymusimg.phantom.patch import Patch
from thymusimg.phantom.spec import MAX_PACKING
from thymusimg.phantom.streams import key, smooth_noise, stream

if TYPE_CHECKING:
    from thymusimg.phantom.anatomy import Anatomy
    from thymusimg.phantom.spec import PhantomSpec
    from thymusimg.section.model import FloatPlane

CLUSTER_CELLS = 8.0
CLUSTER_SD_UM = 9.0
TRIES = 60
"""Attempts to place a body: the first ones only move it in depth, later ones sideways too."""


@njit(cache=True, nogil=True)
def _pack(ys, xs, radii, thickness, cap, allowed, pixel, translation, tries, seed, z_out, kept):  # type: ignore[no-untyped-def]
    """Random sequential addition with short walks; bins of one largest diameter hold the placed bodies."""
    bin_um = 2.0 * radii.max()
    rows = int(ys.max() / bin_um) + 6
    columns = int(xs.max() / bin_um) + 6
    head = np.full((rows, columns), -1, np.int64)
    following = np.full(len(ys), -1, np.int64)
    for n in range(len(ys)):
        base = seed + np.uint64(n) * np.uint64(1024)
        for attempt in range(tries):
            counter = base + np.uint64(attempt * 4)
            spread = 0.0 if attempt < 4 else 0.25 * (attempt - 3)
            y = ys[n] + spread * (uniform(counter) - 0.5) * 2.0
            x = xs[n] + spread * (uniform(counter + np.uint64(1)) - 0.5) * 2.0
            reach = radii[n] - cap
            z = -reach + uniform(counter + np.uint64(2)) * (thickness + 2.0 * reach)
            i = int(np.floor((y - translation) / pixel + 0.5))
            j = int(np.floor((x - translation) / pixel + 0.5))
            if i < 0 or j < 0 or i >= allowed.shape[0] or j >= allowed.shape[1] or not allowed[i, j]:
                continue
            a, b = int(y / bin_um) + 2, int(x / bin_um) + 2
            free = True
            for u in range(max(0, a - 1), min(rows, a + 2)):
                for v in range(max(0, b - 1), min(columns, b + 2)):
                    m = head[u, v]
                    while m >= 0 and free:
                        touch = radii[n] + radii[m]
                        d = (ys[m] - y) ** 2 + (xs[m] - x) ** 2 + (z_out[m] - z) ** 2
                        if d < touch * touch:
                            free = False
                        m = following[m]
            if free and a < rows and b < columns:
                ys[n], xs[n], z_out[n] = y, x, z
                kept[n] = True
                following[n] = head[a, b]
                head[a, b] = n
                break


def densest(spec: PhantomSpec) -> float:
    """Return the profiles per mm² that can still be packed."""
    return 0.98 * MAX_PACKING / spec.packing(1.0)


def human_density(spec: PhantomSpec, seed: int, anatomy: Anatomy) -> FloatPlane:
    """Return the expected human profiles per mm² on the coarse grid (Cox process, mean kept per compartment)."""
    labels = anatomy.labels
    between = float(np.sqrt(spec.cd45_cortex_per_mm2 * spec.cd45_medulla_per_mm2))
    rates = {
        Compartment.CORTEX: spec.cd45_cortex_per_mm2,
        Compartment.MEDULLA: spec.cd45_medulla_per_mm2,
        Compartment.INDETERMINATE: between,
        Compartment.OTHER: 0.05 * spec.cd45_medulla_per_mm2,
    }
    if not any(rates.values()):
        return np.zeros(labels.shape, np.float32)
    density = smooth_noise(key(seed, "patches"), spec.patch_um / 2, Patch.coarse(anatomy.grid))
    density *= np.float32(spec.patchiness)
    np.exp(density, out=density)
    scale = np.zeros(256, np.float32)
    for code, rate in rates.items():
        zone = labels == code
        if rate > 0 and zone.any():
            scale[code] = rate / float(density.mean(where=zone, dtype=np.float64))
    density *= scale[labels]
    return np.minimum(density, np.float32(densest(spec)), out=density)


def place_cells(spec: PhantomSpec, seed: int, anatomy: Anatomy) -> pd.DataFrame:
    """Return the human and (with DAPI) mouse cells: bodies that do not overlap, each with a visible profile."""
    rng = stream(seed, "cells")
    y, x = _scatter(spec, rng, human_density(spec, seed, anatomy), anatomy)
    human = len(y)
    if spec.dapi:
        rate = np.zeros(256, np.float32)
        rate[[int(c) for c in PARENCHYMA]] = spec.mouse_per_mm2
        rate[Compartment.OTHER] = 0.3 * spec.mouse_per_mm2
        my, mx = _sample(stream(seed, "mouse"), rate[anatomy.labels], anatomy, spec.mouse_per_mm2)
        y, x = np.concatenate([y, my]), np.concatenate([x, mx])
    columns = ["y_um", "x_um", "z_um", "radius_um", "body_radius_um", "type", "compartment", "brightness"]
    if len(y) == 0:
        return pd.DataFrame({c: pd.Series(dtype="str" if c == "type" else "float64") for c in columns})
    radius = _radii(spec, stream(seed, "diameters"), len(y))
    z = np.zeros(len(y))
    kept = np.zeros(len(y), np.bool_)
    allowed = anatomy.tissue & (anatomy.labels != Compartment.CYST) & ~anatomy.vessel
    _pack(
        y, x, radius, spec.section_um, spec.lost_cap_um, allowed, anatomy.grid.pixel_um,
        anatomy.grid.translation_um, TRIES, np.uint64(key(seed, "pack")), z, kept,
    )  # fmt: skip
    at = nearest_pixel(np.stack([y, x], 1), anatomy.grid)
    sigma = np.sqrt(np.log1p(spec.cd45_cv**2))
    table = pd.DataFrame(
        {
            "y_um": y,
            "x_um": x,
            "z_um": z,
            "radius_um": profile_radius(z, radius, spec.section_um),
            "body_radius_um": radius,
            "type": np.where(np.arange(len(y)) < human, "human", "mouse"),
            "compartment": anatomy.labels[at[:, 0], at[:, 1]].astype(np.int64),
            "brightness": rng.lognormal(-(sigma**2) / 2, sigma, len(y)),
        }
    )
    return table[kept].sort_values(["type", "y_um", "x_um"], kind="stable").reset_index(drop=True)


def _radii(spec: PhantomSpec, rng: np.random.Generator, count: int) -> np.ndarray:
    mean, sd = spec.cell_diameter_um, spec.cell_diameter_sd_um
    sigma = np.sqrt(np.log1p((sd / mean) ** 2))
    diameters = rng.lognormal(np.log(mean) - sigma**2 / 2, sigma, count)
    return np.clip(diameters, 5.0, 11.0) / 2


def _sample(
    rng: np.random.Generator, density: FloatPlane, anatomy: Anatomy, highest: float, share: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a Poisson process of a share of the density (per mm², nowhere above ``highest``) by thinning."""
    extent = thrown_at_um(anatomy.grid)
    thrown = int(rng.poisson(highest * share * extent.prod() * 1e-6))
    place = rng.random((thrown, 2)) * extent
    at = nearest_pixel(place, anatomy.grid)
    kept = rng.random(thrown) * highest < density[at[:, 0], at[:, 1]]
    return place[kept, 0].copy(), place[kept, 1].copy()


def _scatter(
    spec: PhantomSpec, rng: np.random.Generator, density: FloatPlane, anatomy: Anatomy
) -> tuple[np.ndarray, np.ndarray]:
    """Draw single cells and clusters from the density."""
    most = float(density.max())
    if most == 0:
        return np.empty(0), np.empty(0)
    y, x = _sample(rng, density, anatomy, most, 1 - spec.clustered)
    py, px = _sample(rng, density, anatomy, most, spec.clustered / CLUSTER_CELLS)
    sizes = rng.poisson(CLUSTER_CELLS, len(py))
    cy = np.repeat(py, sizes) + rng.normal(0, CLUSTER_SD_UM, sizes.sum())
    cx = np.repeat(px, sizes) + rng.normal(0, CLUSTER_SD_UM, sizes.sum())
    order = rng.permutation(len(y) + len(cy))
    return np.concatenate([y, cy])[order], np.concatenate([x, cx])[order]

"""Epithelial cells: where each lies, which compartment it comes from, and which keratins it makes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import cKDTree

from thymusimg.compartments.model import Compartment
from thymusimg.phantom.drawn.lobe import depth_um
from thymusimg.phantom.drawn.mosaic import lumps, soft_lumps
from thymusimg.phantom.drawn.spacing import even_points
from thymusimg.phantom.streams import stream

if TYPE_CHECKING:
    from thymusimg.phantom.drawn.scene import Scene
    from thymusimg.phantom.spec import PhantomSpec

CELL_UM = 14.0
"""Spacing of epithelial cells: the scale at which K8 and K14 mix."""
STRAYS = 0.4
"""Share of the cells that trade places with another one at order 0."""
PRESENT_IN_POOR = 0.22
POOR_STAIN = 0.45
"""Epithelium-poor tissue keeps this share of its epithelial cells, and they stain this much as strongly."""
OFF = 0.03
"""The keratin that a cell does not make."""


@dataclass(frozen=True)
class Epithelium:
    """Epithelial cells: centre (y, x in µm), kind, keratins (1 is a typical cortical K8 or medullary K14)."""

    centres: np.ndarray
    medullary: np.ndarray
    k8: np.ndarray
    k14: np.ndarray

    def owner(self, points_um: np.ndarray) -> np.ndarray:
        """Return which cell each point belongs to."""
        return np.asarray(cKDTree(self.centres).query(points_um)[1], np.int64)


def draw_epithelium(spec: PhantomSpec, seed: int, scene: Scene) -> Epithelium:
    """Draw the epithelial cells of a section.

    A cell is of the kind of the place it comes from. It has wandered from there by a normal step with the SD of the
    fuzz on each axis, half of it (in variance) together with its clump, so that the two kinds interdigitate. Then
    a share 0.4 (1 − λ) of all cells trades places at random: order is lost, the number of each kind is not. In a
    mixed zone a cell is of either kind.
    """
    grid = scene.grid
    spacing = np.full(grid.shape, CELL_UM, np.float32)
    centres = even_points(seed, "epithelium", spacing, scene.parenchyma, scene)
    rng = stream(seed, "drawn", "kinds")
    rows, columns = scene.at(centres)
    inside = depth_um(scene.labels == Compartment.MEDULLA, grid)
    step = rng.standard_normal((len(centres), 2)) * spec.boundary_fuzz_um / np.sqrt(2)
    if spec.boundary_fuzz_um > 0:
        clump = [lumps(rng, grid.shape, max(2.0, 34 / grid.pixel_um))[rows, columns] for _ in range(2)]
        step += np.stack(clump, 1) * spec.boundary_fuzz_um / np.sqrt(2)
    medullary = inside[scene.at(centres - step)] > 0
    mixed = scene.mixed[rows, columns]
    medullary[mixed] = rng.random(int(mixed.sum())) < 0.5
    strays = np.flatnonzero(rng.random(len(centres)) < STRAYS * (1 - spec.order))
    medullary[strays] = medullary[rng.permutation(strays)]
    both = rng.random(len(centres)) < spec.double_positive
    keeps = POOR_STAIN * (rng.random(len(centres)) < PRESENT_IN_POOR)
    here = np.where(scene.poor[rows, columns], keeps, 1.0)
    bright = here * rng.gamma(9.0, 1 / 9.0, (2, len(centres)))
    # the medullary net is finer and its bodies plumper: for the same K8 a mm² each strand carries less
    finer = 0.85 * spec.mesh_medulla_um / spec.mesh_cortex_um
    k8 = np.where(medullary, np.where(both, 0.8, spec.k8_in_medulla) * finer, 1.0) * bright[0]
    k14 = np.where(medullary, 1.0, np.where(both, 0.6, OFF)) * bright[1]
    # stain varies from field to field by a fifth
    patch = soft_lumps(rng, grid.shape, 60 / grid.pixel_um, 20 / grid.pixel_um)
    level = np.clip(1 + 0.5 * patch[rows, columns], 0.5, 1.6)
    return Epithelium(centres, medullary, k8 * level, k14 * level)

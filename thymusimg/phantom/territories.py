"""Epithelial cells: where each lies, of which kind it is, and how much of either keratin it makes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numba import njit
from scipy.special import ndtr, ndtri

from thymusimg.compartments.model import Compartment
from thymusimg.phantom.anatomy import is_parenchyma, nearest_pixel
from thymusimg.phantom.bodies import Bodies
from thymusimg.phantom.hashing import lattice_uniforms
from thymusimg.phantom.streams import key, smooth_noise

if TYPE_CHECKING:
    import numpy.typing as npt

    from thymusimg.phantom.anatomy import Anatomy
    from thymusimg.phantom.patch import Patch
    from thymusimg.phantom.spec import PhantomSpec

TERRITORY_UM = 15.0
"""Spacing of epithelial cells: the scale at which K8 and K14 mix."""
FAINT = 0.03
"""The keratin that a cell does not make."""
_REACH = 3
"""Lattice squares of margin around a window: farther than the warp (5 SD) and a body reach."""


@dataclass(frozen=True)
class Territories:
    """The epithelial cells around a window, one a square of the lattice ``corner + shape``, flattened.

    ``centres`` (y, x in µm), ``k8`` and ``k14`` (relative strength), whether ``medullary`` in kind; the plump ones
    as ``bodies``, and whose they are.
    """

    corner: tuple[int, int]
    shape: tuple[int, int]
    centres: np.ndarray
    k8: np.ndarray
    k14: np.ndarray
    medullary: np.ndarray
    bodies: Bodies
    body_owner: np.ndarray


def lattice_window(patch: Patch, spacing_um: float, margin: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return corner and shape of the lattice squares that touch a patch, with a margin."""
    ends = [(c[0] / spacing_um, c[-1] / spacing_um) for c in (patch.rows_um, patch.columns_um)]
    low = [int(np.floor(a)) - margin for a, _ in ends]
    high = [int(np.floor(b)) + margin + 1 for _, b in ends]
    return (low[0], low[1]), (high[0] - low[0], high[1] - low[1])


def jittered_points(
    uniforms: npt.NDArray[np.float64], corner: tuple[int, int], spacing_um: float, jitter: float
) -> npt.NDArray[np.float64]:
    """Return one point a lattice square from two uniform numbers each: (rows, columns, 2) in µm."""
    rows, columns = uniforms.shape[:2]
    square = np.stack(np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij"), -1) + np.array(corner)
    points: npt.NDArray[np.float64] = (square + 0.5 + jitter * (uniforms - 0.5)) * spacing_um
    return points


def draw_territories(spec: PhantomSpec, seed: int, anatomy: Anatomy, patch: Patch) -> Territories:
    """Return the epithelial cells in and around a window.

    A cell is medullary in kind with the probability Φ(d/s) that the fuzzy boundary gives at its place; a share
    0.4 (1 − λ) of the cells in cortex and medulla, and every cell of a mixed zone, forgets where it lies.
    """
    corner, shape = lattice_window(patch, TERRITORY_UM, _REACH)
    u = lattice_uniforms(key(seed, "territories"), corner, shape, 11)
    centres = jittered_points(u[..., :2], corner, TERRITORY_UM, 0.9).reshape(-1, 2)
    rolls = np.moveaxis(u[..., 2:], -1, 0).reshape(9, -1)
    at = nearest_pixel(centres, anatomy.grid)
    inside = anatomy.medulla_um[at[:, 0], at[:, 1]].astype(np.float64)
    labels, poor = anatomy.labels[at[:, 0], at[:, 1]], anatomy.poor[at[:, 0], at[:, 1]]
    mixed = (labels == Compartment.INDETERMINATE) & ~poor
    chance = ndtr(inside / max(spec.boundary_fuzz_um, 0.1))
    forgets = rolls[0] < np.where(mixed, 1.0, 0.4 * (1 - spec.order))
    medullary = np.where(forgets, rolls[1] < 0.5, rolls[2] < chance)
    both = rolls[3] < spec.double_positive
    bright = np.exp(0.3 * ndtri(np.clip(rolls[4:6], 1e-9, 1 - 1e-9)) - 0.045)
    # the medullary net is finer: for the same K8 a mm² each strand carries less
    finer = spec.mesh_medulla_um / spec.mesh_cortex_um
    k8 = np.where(medullary, np.where(both, 0.8, spec.k8_in_medulla) * finer, 1.0) * bright[0]
    k14 = np.where(medullary, 1.0, np.where(both, 0.6, FAINT)) * bright[1]
    # plump bodies: most medullary cells, a quarter of the others
    plump = is_parenchyma(labels) & ~poor & (rolls[6] < np.where(medullary, 0.65, 0.25))
    owner = np.flatnonzero(plump)
    radius = np.clip(4.6 + 0.9 * ndtri(np.clip(rolls[7, owner], 1e-9, 1 - 1e-9)), 2.5, 8)
    # the cytoplasm is a thick shell: keratin spares the nucleus
    bodies = Bodies(
        centres[owner, 0], centres[owner, 1], rolls[8, owner] * spec.section_um, radius, 0.45 * radius, 0.55
    )
    return Territories(corner, shape, centres, k8, k14, medullary, bodies, owner)


@njit(cache=True, nogil=True)
def _nearest(centres, corner, shape, spacing, rows, columns, dy, dx, out):  # type: ignore[no-untyped-def]
    for i in range(len(rows)):
        for j in range(len(columns)):
            y, x = rows[i] + dy[i, j], columns[j] + dx[i, j]
            cy, cx = int(np.floor(y / spacing)) - corner[0], int(np.floor(x / spacing)) - corner[1]
            best = 1e18
            for a in range(cy - 1, cy + 2):
                for b in range(cx - 1, cx + 2):
                    n = a * shape[1] + b
                    d = (centres[n, 0] - y) ** 2 + (centres[n, 1] - x) ** 2
                    if d < best:
                        best = d
                        out[i, j] = n


def owners(cells: Territories, seed: int, patch: Patch) -> npt.NDArray[np.int64]:
    """Return which epithelial cell owns each pixel of a patch: the nearest, in a plane warped by 3 µm."""
    warp = [3 * smooth_noise(key(seed, "territory warp", axis), 6.0, patch) for axis in range(2)]
    out = np.zeros(patch.window.shape, np.int64)
    _nearest(cells.centres, cells.corner, cells.shape, TERRITORY_UM, patch.rows_um, patch.columns_um, *warp, out)
    return out

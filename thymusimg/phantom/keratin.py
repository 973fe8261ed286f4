"""Keratin 8 and 14: the networks that epithelial cells draw, their plump bodies, and the linings of cysts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numba import njit
from scipy.special import ndtr

from thymusimg.compartments.model import Compartment
from thymusimg.phantom.anatomy import is_parenchyma
from thymusimg.phantom.bodies import draw_bodies
from thymusimg.phantom.hashing import lattice_uniforms, scramble
from thymusimg.phantom.patch import Patch, coarse_patch, gauss, reach_px, upsample_patch
from thymusimg.phantom.streams import key, smooth_noise, stream
from thymusimg.phantom.territories import draw_territories, jittered_points, lattice_window, owners
from thymusimg.section.coarse import block_mean
from thymusimg.section.model import Window

if TYPE_CHECKING:
    import numpy.typing as npt

    from thymusimg.phantom.anatomy import Anatomy
    from thymusimg.phantom.spec import PhantomSpec
    from thymusimg.section.model import FloatPlane

LINING_UM = 6.0
"""Thickness of the epithelium that lines a cyst."""
POOR = 0.1
"""Keratin of epithelium-poor tissue, as a share of the cortex."""
_HAZE_UM = (7.0, -5.0)
"""Where the layer above is taken from."""
_HAZE_BLUR_UM = 1.6
_WARP_UM = 26.0
"""Farther than this no strand is warped: five SD of both warps together."""


@njit(cache=True, nogil=True)
def _mesh(seeds, corner, spacing, table, widths, reach, pixel, y0, x0, dy, dx, weight, out):  # type: ignore[no-untyped-def]
    """Add the edges of a jittered Voronoi diagram, each as bright as its pair of cells, where ``weight`` is."""
    height, width = out.shape
    near_d = np.empty(9, np.float64)
    apart_most = 9.0 * reach * reach
    for i in range(height):
        for j in range(width):
            w = weight[i, j]
            if w < 0.02:
                continue
            y = (y0 + i) * pixel + dy[i, j]
            x = (x0 + j) * pixel + dx[i, j]
            cy, cx = int(np.floor(y / spacing)) - corner[0], int(np.floor(x / spacing)) - corner[1]
            first = 0
            for k in range(9):
                sy = seeds[cy - 1 + k // 3, cx - 1 + k % 3, 0] - y
                sx = seeds[cy - 1 + k // 3, cx - 1 + k % 3, 1] - x
                near_d[k] = sy * sy + sx * sx
                if near_d[k] < near_d[first]:
                    first = k
            a, b = cy - 1 + first // 3, cx - 1 + first % 3
            one = (a + corner[0]) * 65536 + b + corner[1]
            total = 0.0
            for k in range(9):
                if k == first:
                    continue
                # the bisector lies gap / (2 √apart) away; no strand is wider than 1.5 times the usual
                gap = near_d[k] - near_d[first]
                c, d = cy - 1 + k // 3, cx - 1 + k % 3
                apart = (seeds[c, d, 0] - seeds[a, b, 0]) ** 2 + (seeds[c, d, 1] - seeds[a, b, 1]) ** 2
                if gap * gap >= apart_most * apart:
                    continue
                other = (c + corner[0]) * 65536 + d + corner[1]
                pair = scramble(np.uint64((one + other) * 7919 + one * other)) & np.uint64(1023)
                wide = widths[pair] * reach
                t = gap * gap / (4.0 * wide * wide * apart)
                if t < 1.0:
                    total += table[pair] * (1.0 - t) * (1.0 - t)
            out[i, j] += np.float32(w * total)


def draw_keratin(spec: PhantomSpec, seed: int, anatomy: Anatomy, patch: Patch) -> tuple[FloatPlane, FloatPlane]:
    """Return a window of the clean K8 and K14 stains at full resolution; 1 is a typical strand."""
    coarse = coarse_patch(anatomy.grid, patch)
    labels, poor = anatomy.labels[coarse.window.slices], anatomy.poor[coarse.window.slices]
    density = is_parenchyma(labels).astype(np.float32)
    density[poor] = POOR
    density *= np.exp(np.float32(0.18) * smooth_noise(key(seed, "keratin density"), 25.0, coarse))
    cells = draw_territories(spec, seed, anatomy, coarse)
    owner = owners(cells, seed, coarse)
    lining = _cyst_lining(anatomy, seed, coarse, patch)
    network = _network_and_haze(spec, seed, anatomy, patch)
    origin = patch.window.y0, patch.window.x0
    planes = []
    for made, bright, strength in ((cells.k8, 1.3, spec.k8_strength), (cells.k14, 2.2, spec.k14_strength)):
        plane = upsample_patch(made[owner].astype(np.float32) * density, coarse, patch)
        plane *= network
        draw_bodies(cells.bodies, made[cells.body_owner], spec.section_um, patch.pixel_um, plane, origin)
        if lining is not None:
            plane += np.float32(bright) * lining
        plane *= np.float32(strength)
        planes.append(plane)
    return planes[0], planes[1]


def _network_and_haze(spec: PhantomSpec, seed: int, anatomy: Anatomy, patch: Patch) -> FloatPlane:
    """Return the net, and the strands of the layers above and below: another part of the same net, blurred.

    A section of 7 µm holds about one mesh in depth, so that next to nothing is seen through an empty mesh.
    """
    grid = anatomy.grid
    steps = tuple(round(s / grid.pixel_um) for s in _HAZE_UM)
    sigma = _HAZE_BLUR_UM / grid.pixel_um
    haze_at = coarse_patch(grid, patch)
    blurred_from = haze_at.grown(reach_px(sigma) * grid.pixel_um)
    y0, y1, x0, x1 = blurred_from.window
    moved = Window(y0 - steps[0], y1 - steps[0], x0 - steps[1], x1 - steps[1])
    height, width = grid.shape
    under = Window(
        max(0, min(moved.y0, y0)),
        min(height, max(moved.y1, y1)),
        max(0, min(moved.x0, x0)),
        min(width, max(moved.x1, x1)),
    )
    f = grid.factor
    fine = Window(under.y0 * f, min(under.y1 * f, grid.slide_shape[0]),
                  under.x0 * f, min(under.x1 * f, grid.slide_shape[1]))  # fmt: skip
    whole = Patch.slide(grid, fine)
    network = _network(spec, seed, anatomy, whole)
    # beyond the slide's edge there is nothing
    layer = np.zeros(moved.shape, np.float32)
    means = block_mean(network, f)
    here = Window(max(moved.y0, 0), min(moved.y1, height), max(moved.x0, 0), min(moved.x1, width))
    layer[here.y0 - moved.y0 : here.y1 - moved.y0, here.x0 - moved.x0 : here.x1 - moved.x0] = means[
        here.y0 - under.y0 : here.y1 - under.y0, here.x0 - under.x0 : here.x1 - under.x0
    ]
    haze = np.asarray(blurred_from.cut(gauss(layer, sigma), haze_at), np.float32)
    net = np.ascontiguousarray(whole.cut(network, patch), np.float32)
    # a strand is no tube: filaments bundle here and splay there
    knots = np.float32(0.4) * smooth_noise(key(seed, "knots"), 2.5, haze_at)
    net *= upsample_patch(np.maximum(np.float32(0.15), 1 + knots), haze_at, patch)
    net += np.float32(0.4) * upsample_patch(haze, haze_at, patch)
    return net


def _network(spec: PhantomSpec, seed: int, anatomy: Anatomy, patch: Patch) -> FloatPlane:
    """Return the strands: edges of two jittered Voronoi diagrams that fade over into each other at the border."""
    coarse = coarse_patch(anatomy.grid, patch)
    inside = is_parenchyma(anatomy.labels[coarse.window.slices])
    network = np.zeros(patch.window.shape, np.float32)
    if not inside.any():
        return network
    # wandering strands: the plane is warped by 1.2 µm over 5 µm and 4 µm over 40 µm
    warp = [
        upsample_patch(
            np.float32(1.2) * smooth_noise(key(seed, "warp", axis), 4.0, coarse)
            + np.float32(4) * smooth_noise(key(seed, "wide warp", axis), 40.0, coarse),
            coarse,
            patch,
        )
        for axis in range(2)
    ]
    inside_um = anatomy.medulla_um[coarse.window.slices].astype(np.float32)
    medullary = ndtr(inside_um / max(spec.boundary_fuzz_um, 1.0)).astype(np.float32)
    reach = spec.strand_um / 1.08  # (1 − t²)² is at half its height at t = 0.54
    for kind, share, mesh in (
        ("cortex", 1 - medullary, spec.mesh_cortex_um),
        ("medulla", medullary, spec.mesh_medulla_um),
    ):
        weight = upsample_patch(share * inside, coarse, patch)
        if weight.max() < 0.02:
            continue
        # the mean cell of a jittered square lattice is as wide as its spacing
        corner, shape = lattice_window(patch, mesh, 2 + math.ceil(_WARP_UM / mesh))
        seeds = jittered_points(lattice_uniforms(key(seed, "mesh", kind), corner, shape, 2), corner, mesh, 0.85)
        table, widths = _strands(seed, kind)
        _mesh(
            seeds, corner, float(mesh), table, widths, float(reach), patch.pixel_um, patch.window.y0,
            patch.window.x0, *warp, weight, network,
        )  # fmt: skip
    return network


def _strands(seed: int, kind: str) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return how bright and how wide strands are, 1024 of them."""
    rng = stream(seed, "strands", kind)
    table = rng.lognormal(-0.06, 0.6, 1024)
    table[rng.random(1024) < 0.25] *= 0.1  # strands that leave the section
    return table.astype(np.float32), np.clip(rng.normal(1.0, 0.25, 1024), 0.5, 1.5).astype(np.float32)


def _cyst_lining(anatomy: Anatomy, seed: int, coarse: Patch, patch: Patch) -> FloatPlane | None:
    """Return the flat epithelium around every cyst, thick here and thin there, brighter in some cells."""
    cyst = anatomy.labels[coarse.window.slices] == Compartment.CYST
    if not cyst.any():
        return None
    half = LINING_UM / 2 * np.exp(0.3 * smooth_noise(key(seed, "lining width"), 20.0, coarse))
    t = (anatomy.cysts.depth_um(coarse) - half) / half
    lining = np.clip(1 - t * t, 0, 1) * cyst
    lining *= np.exp(0.35 * smooth_noise(key(seed, "lining cells"), 5.0, coarse))
    return upsample_patch(lining.astype(np.float32), coarse, patch)

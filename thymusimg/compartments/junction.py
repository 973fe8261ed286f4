"""The corticomedullary junction, and how far every pixel lies from it and from the capsule."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba
import numpy as np
import numpy.typing as npt
from skimage.measure import find_contours

from thymusimg.compartments.model import Compartment
from thymusimg.compartments.shapes import depth_px, dilate, fill_holes
from thymusimg.compartments.smooth import blur

if TYPE_CHECKING:
    from thymusimg.section.model import FloatPlane, Grid, LabelPlane, Mask

Contours = tuple[npt.NDArray[np.float64], ...]

_TOUCH_UM = 10.0  # both compartments lie within this distance of a true piece of junction
_MIN_PIECE_UM = 10.0
_EXACT_UM = 12.0  # nearer than this, distances are taken to the contour and not to its pixels


def junction_contours(labels: LabelPlane, grid: Grid, smoothing_um: float) -> Contours:
    """Draw the border between cortex and medulla.

    The contour is the 0.5 level of G(medulla) / (G(medulla) + G(cortex)), G a Gaussian of fixed sigma, by marching
    squares. Pieces are kept where both compartments lie within 10 µm, so that borders on the capsule, a cyst or
    indeterminate tissue do not count.

    Parameters
    ----------
    labels : (Y, X) uint8
        Codes of :class:`Compartment`.
    grid : Grid
    smoothing_um : float
        Sigma in µm. The length depends on it (catalogue R3).

    Returns
    -------
    tuple of (N, 2) float64
        Open or closed lines, (y, x) in µm.
    """
    medulla, cortex = labels == Compartment.MEDULLA, labels == Compartment.CORTEX
    if not medulla.any() or not cortex.any():
        return ()
    window = _around(medulla, cortex, grid, smoothing_um)
    inner, outer = medulla[window], cortex[window]
    sigma = smoothing_um / grid.pixel_um
    share_m, share_c = blur(inner, sigma), blur(outer, sigma)
    reach = _TOUCH_UM / grid.pixel_um
    near = dilate(inner, reach) & dilate(outer, reach)
    share_c += share_m
    field = np.full(inner.shape, np.nan, np.float32)
    np.divide(share_m, share_c, out=field, where=near & (share_c > 0.3))
    del share_m, share_c
    corner = np.array([window[0].start, window[1].start], float)
    lines = [line + corner for line in find_contours(field, 0.5)]
    lines = [line for line in lines if contour_length(line) * grid.pixel_um >= _MIN_PIECE_UM]
    return tuple(grid.to_um(line) for line in sorted(lines, key=lambda line: (-len(line), line[0, 0], line[0, 1])))


def contour_length(line: npt.NDArray[np.float64]) -> float:
    """Return the length of an (N, 2) line, in its own units."""
    return float(np.hypot(*np.diff(line, axis=0).T).sum())


def signed_distance_um(labels: LabelPlane, tissue: Mask, lines: Contours, grid: Grid) -> FloatPlane:
    """Return the distance to the junction in µm, negative in cortex and positive in medulla.

    Elsewhere in the tissue the nearer of the two compartments gives the sign. NaN off the tissue, and everywhere
    without a junction.
    """
    out = np.full(labels.shape, np.nan, np.float32)
    if not lines:
        return out
    medulla, cortex = labels == Compartment.MEDULLA, labels == Compartment.CORTEX
    points = np.concatenate([_dense(grid.to_index(line)) for line in lines])
    drawn = np.ones(labels.shape, bool)
    index = np.clip(np.rint(points).astype(int), 0, np.array(labels.shape) - 1)
    drawn[index[:, 0], index[:, 1]] = False
    distance = depth_px(drawn)
    _refine(distance, points, _EXACT_UM / grid.pixel_um)
    inside = medulla.copy()
    if (tissue & ~medulla & ~cortex).any():
        inside |= ~cortex & (depth_px(~medulla) < depth_px(~cortex))
    np.negative(distance, out=distance, where=~inside)
    return np.multiply(distance, np.float32(grid.pixel_um), out=out, where=tissue)


def _refine(distance: FloatPlane, points: npt.NDArray[np.float64], reach_px: float) -> None:
    """Put the distance to the nearest of ``points`` where ``distance`` is at most ``reach_px``."""
    squares = np.full(distance.shape, np.float32(np.inf))
    _spread(squares, points, int(reach_px) + 3)
    # Beyond the reach of the search, the nearest point drawn is farther than what is put right.
    np.sqrt(squares, out=distance, where=(distance <= reach_px) & np.isfinite(squares))


@numba.njit(cache=True, nogil=True)
def _spread(squares, points, reach):  # type: ignore[no-untyped-def]  # compiled
    rows, cols = squares.shape
    for i in range(len(points)):
        y, x = points[i]
        middle, centre = round(y), round(x)
        for b in range(max(0, middle - reach), min(rows, middle + reach + 1)):
            for a in range(max(0, centre - reach), min(cols, centre + reach + 1)):
                square = np.float32((b - y) * (b - y) + (a - x) * (a - x))
                if square < squares[b, a]:
                    squares[b, a] = square


def depth_from_capsule_um(tissue: Mask, grid: Grid) -> FloatPlane:
    """Return the distance in µm to the outer edge of the tissue; NaN off the tissue.

    Holes, tears and cysts are no edge, and neither is the border of the image. NaN everywhere if the field of view
    holds no edge.
    """
    out = np.full(tissue.shape, np.nan, np.float32)
    depth = depth_px(fill_holes(tissue))
    if np.isfinite(depth).all():
        # Distances run between pixel centres; the edge lies half a pixel before the first centre off the tissue.
        out[tissue] = (depth[tissue] - np.float32(0.5)) * np.float32(grid.pixel_um)
    return out


def corticomedullary_axis(labels: LabelPlane, depth_um: FloatPlane, grid: Grid) -> FloatPlane:
    """Return d_capsule / (d_capsule + d_medulla): 0 at the capsule, 1 in the medulla; NaN without a medulla."""
    medulla = labels == Compartment.MEDULLA
    if not medulla.any():
        return np.full(labels.shape, np.nan, np.float32)
    away = np.maximum(depth_px(~medulla) - np.float32(0.5), 0) * np.float32(grid.pixel_um)
    axis = depth_um / np.maximum(depth_um + away, np.float32(1e-6))
    axis[medulla & np.isfinite(depth_um)] = 1
    return np.asarray(axis, np.float32)


def _around(medulla: Mask, cortex: Mask, grid: Grid, smoothing_um: float) -> tuple[slice, slice]:
    margin = int(np.ceil((4 * smoothing_um + _TOUCH_UM) / grid.pixel_um)) + 2
    either = medulla | cortex
    rows, cols = np.flatnonzero(either.any(1)), np.flatnonzero(either.any(0))
    return (
        slice(max(0, int(rows[0]) - margin), int(rows[-1]) + margin + 1),
        slice(max(0, int(cols[0]) - margin), int(cols[-1]) + margin + 1),
    )


def _dense(line: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Put a point halfway between neighbours, so that the nearest point is as good as the nearest segment."""
    between = (line[:-1] + line[1:]) / 2
    return np.concatenate([line, between])

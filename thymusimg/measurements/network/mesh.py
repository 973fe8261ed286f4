"""The meshes between keratin strands: their width, areas without epithelium, lacunarity (R10)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from thymusimg.compartments.distance import distance_within
from thymusimg.compartments.shapes import components, opened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thymusimg.section.model import FloatPlane, Mask

WIDEST_UM = 48.0
"""Meshes this wide and wider are told apart no more."""
VOID_UM2 = 1000.0
"""Places without keratin larger than this are voids (epithelium-free areas, cysts) and not meshes."""
BOXES_UM = (8.0, 16.0, 32.0, 64.0, 128.0)
"""Sides of the boxes of the lacunarity."""
HALF_PIXEL = 0.25
"""A disc reaches to the centre of the first pixel outside: a quarter of a pixel too far, on average."""

_VOID_WIDTH_UM = 20.0
_FREE = 0.25
_FILLED = 0.5
_STEPS_UM = 0.25
_COVERS, _LEAST = np.float32(0.8), np.float32(1.5)


def mesh_width_px(mask: Mask, widest_px: float) -> FloatPlane:
    """Return the local thickness of a mask in pixels: the diameter of the largest disc that covers a place (R10).

    Hildebrand & Rüegsegger 1997 (J Microsc 185:67), by painting the disc of every centre that lies in no larger
    disc beside it, but for a fifth of a pixel. The border of the image is no edge. Wider than ``widest_px`` counts
    as that; 0 off the mask.

    Parameters
    ----------
    mask : (Y, X) bool
    widest_px : float

    Examples
    --------
    Stripes eight pixels wide.

    >>> stripes = np.zeros((40, 48), bool)
    >>> stripes[:, 4:12] = stripes[:, 16:24] = stripes[:, 28:36] = True
    >>> float(np.median(mesh_width_px(stripes, 40)[stripes]))
    7.5
    """
    depth = distance_within(mask, widest_px / 2)
    out = np.zeros(mask.shape, np.float32)
    _paint(depth, _COVERS, out)
    _as_width(depth, np.float32(HALF_PIXEL), out)
    return out


@numba.njit(cache=True, nogil=True)
def _paint(depth, covers, out):  # type: ignore[no-untyped-def]  # compiled
    height, width = depth.shape
    straight, diagonal = covers, covers * np.float32(math.sqrt(2.0))
    row = np.zeros(width, np.uint8)
    for y in range(height):
        up, here, down = depth[max(y - 1, 0)], depth[y], depth[min(y + 1, height - 1)]
        _centres(up, here, down, straight, diagonal, row)
        for x in range(width):
            if not row[x]:
                continue
            r = here[x]
            square, reach = r * r, math.ceil(r) - 1
            for dy in range(reach + 1):
                # the pixels nearer than r; its square is a whole number, but where it was cut to the widest
                across = math.ceil(math.sqrt(max(square - dy * dy, 0.0)) - 1e-4) - 1
                low, high = max(x - across, 0), min(x + across + 1, width)
                if y + dy < height:
                    _raise(out[y + dy, low:high], r)
                if dy and y >= dy:
                    _raise(out[y - dy, low:high], r)


@numba.njit(cache=True, nogil=True)
def _as_width(depth, less, out):  # type: ignore[no-untyped-def]  # compiled
    """Turn the radius of the disc over every place into a width of at least a pixel; 0 where there is no depth."""
    one, two, none = np.float32(1), np.float32(2), np.float32(0)
    for y in range(out.shape[0]):
        row, deep = out[y], depth[y]
        for x in range(len(row)):
            width = two * (max(row[x], deep[x]) - less)
            row[x] = max(width, one) if deep[x] > none else none


@numba.njit(cache=True, nogil=True)
def _raise(run, r):  # type: ignore[no-untyped-def]  # compiled
    for x in range(len(run)):
        run[x] = max(run[x], r)


@numba.njit(cache=True, nogil=True)
def _centres(up, here, down, straight, diagonal, found):  # type: ignore[no-untyped-def]  # compiled
    """Mark the places of a row whose disc no disc beside covers."""
    # depth grows by 1 a pixel straight up the slope; the best of eight neighbours lies at most 22.5° off it
    width = len(here)
    for x in range(width):
        r, left, right = here[x], max(x - 1, 0), min(x + 1, width - 1)
        beside = max(max(up[x], down[x]), max(here[left], here[right]))
        corners = max(max(up[left], up[right]), max(down[left], down[right]))
        # discs of a pixel and its neighbours are not worth painting
        found[x] = r > _LEAST and beside < r + straight and corners < r + diagonal


def width_histogram(width_px: FloatPlane, labels: npt.NDArray[np.uint8], pixel_um: float, codes: int) -> Counts:
    """Count pixels by compartment and mesh width, in steps of a quarter of a micrometre; 0 px wide is no mesh."""
    steps = round(WIDEST_UM / _STEPS_UM) + 1
    return np.asarray(_count(width_px, labels, pixel_um / _STEPS_UM, codes, steps), np.int64)


Counts = npt.NDArray[np.int64]


@numba.njit(cache=True, nogil=True)
def _count(width, labels, per_px, codes, steps):  # type: ignore[no-untyped-def]  # compiled
    counts = np.zeros((codes, steps), np.int64)
    for y in range(width.shape[0]):
        for x in range(width.shape[1]):
            if width[y, x] > 0:
                counts[labels[y, x], min(int(width[y, x] * per_px), steps - 1)] += 1
    return counts


def width_quantile_um(counts: npt.NDArray[np.int64], share: float) -> float:
    """Return the mesh width in µm below which ``share`` of the mesh area lies; NaN without any."""
    total = counts.sum()
    if total == 0:
        return math.nan
    step = int(np.searchsorted(np.cumsum(counts), share * total))
    return (step + 0.5) * _STEPS_UM


class Voids(NamedTuple):
    """Places without keratin larger than a mesh.

    Attributes
    ----------
    number : int
    area_mm2 : float
        All of them.
    filled_mm2 : float
        Those that cells fill (epithelium-free areas); the rest is empty, like a cyst or tear. NaN without DAPI.
    """

    number: int
    area_mm2: float
    filled_mm2: float


def find_voids(positive: FloatPlane, parenchyma: Mask, dapi: FloatPlane | None, pixel_um: float) -> Voids:
    """Find keratin-free places of the parenchyma of more than 1,000 µm² (R10).

    Keratin-free: less than a quarter of the pixel is keratin-positive; opened by a disc of 20 µm, so that the
    meshes of a net do not join up into one. A void is filled where its mean DAPI is at least half of the
    parenchyma's median.

    Parameters
    ----------
    positive : (Y, X) float32
        Keratin-positive share of every pixel of the coarse grid.
    parenchyma : (Y, X) bool
    dapi : (Y, X) float32, optional
        Background-subtracted.
    pixel_um : float

    Examples
    --------
    >>> positive = np.ones((100, 100), np.float32)
    >>> positive[20:60, 20:60] = 0
    >>> voids = find_voids(positive, np.ones((100, 100), bool), None, 2.0)
    >>> voids.number, round(voids.area_mm2, 4)
    (1, 0.0062)
    """
    free = opened(parenchyma & (positive < _FREE), _VOID_WIDTH_UM / 2 / pixel_um)
    labels, areas = components(free)
    large = areas * pixel_um**2 > VOID_UM2
    large[0] = False
    mm2 = pixel_um**2 * 1e-6
    area = float(areas[large].sum()) * mm2
    if dapi is None:
        return Voids(int(large.sum()), area, math.nan)
    if not large.any():
        return Voids(0, 0.0, 0.0)
    level = float(np.median(dapi[parenchyma]))
    sums = np.bincount(labels.ravel(), weights=dapi.ravel().astype(np.float64), minlength=len(areas))
    filled = large & (sums >= _FILLED * level * areas)
    return Voids(int(large.sum()), area, float(areas[filled].sum()) * mm2)


class Lacunarity(NamedTuple):
    """Λ at every box side, and the area in mm² over which the boxes lay."""

    side_um: npt.NDArray[np.float64]
    value: npt.NDArray[np.float64]
    weight_mm2: npt.NDArray[np.float64]


def lacunarity(
    positive: FloatPlane, inside: Mask, pixel_um: float, *, sides_um: Sequence[float] = BOXES_UM
) -> Lacunarity:
    """Return the gliding-box lacunarity Λ = E[m²] / E[m]² of the keratin-positive area (R10).

    m is the positive area in a square box; every box that lies wholly in the mask counts (Allain & Cloitre 1991,
    Phys Rev A 44:3552). 1 is even; a plane of independent pixels with share p has 1 + (1 − p) / (p n²) in boxes of
    n² pixels. NaN where no box fits or nothing is positive.

    Parameters
    ----------
    positive : (Y, X) float32
    inside : (Y, X) bool
    pixel_um : float

    Examples
    --------
    Stripes 8 µm wide, 8 µm apart, in boxes of one pixel: half is positive, so Λ = 0.5 / 0.25.

    >>> stripes = np.tile(np.repeat([1, 0], 4), (64, 8)).astype(np.float32)
    >>> found = lacunarity(stripes, np.ones(stripes.shape, bool), 2.0, sides_um=(2.0, 16.0))
    >>> found.value.round(6).tolist()
    [2.0, 1.0]
    """
    mass = _integral(np.where(inside, positive, np.float32(0)), np.float64)
    area = _integral(inside, np.int32)
    values, weights = [], []
    for side in sides_um:
        n = max(1, round(side / pixel_um))
        if n > min(inside.shape):
            values.append(math.nan)
            weights.append(0.0)
            continue
        held = _held(mass, area, n)
        mean = float(held.mean()) if held.size else 0.0
        weights.append(held.size * pixel_um**2 * 1e-6)
        values.append(float(np.square(held, out=held).mean()) / mean**2 if mean > 0 else math.nan)
    return Lacunarity(np.asarray(sides_um, np.float64), np.array(values), np.array(weights))


def _integral(plane: Mask | FloatPlane, dtype: npt.DTypeLike) -> npt.NDArray[np.generic]:
    """Return the sum of everything above and to the left of every corner of a pixel."""
    sums = np.zeros((plane.shape[0] + 1, plane.shape[1] + 1), dtype)
    _sum_up(plane, sums)
    return sums


@numba.njit(cache=True, nogil=True)
def _sum_up(plane, sums):  # type: ignore[no-untyped-def]  # compiled
    # down every column first, then along the rows
    column = np.zeros(plane.shape[1], sums.dtype)
    for y in range(plane.shape[0]):
        row = sums[y + 1]
        for x in range(plane.shape[1]):
            column[x] += plane[y, x]
            row[x + 1] = row[x] + column[x]


@numba.njit(cache=True, nogil=True)
def _held(mass, area, n):  # type: ignore[no-untyped-def]  # compiled
    """Return what every box of n × n pixels holds that lies in the mask as a whole, row by row."""
    height, width = mass.shape[0] - n, mass.shape[1] - n
    held = np.empty(height * width)
    found = 0
    for y in range(height):
        above, below, first, last = mass[y], mass[y + n], area[y], area[y + n]
        for x in range(width):
            held[found] = below[x + n] - above[x + n] - below[x] + above[x]
            found += last[x + n] - first[x + n] - last[x] + first[x] == n * n
    return held[:found]

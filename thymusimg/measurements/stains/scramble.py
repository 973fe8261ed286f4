"""What co-localisation chance alone gives: one stain cut into blocks that are shuffled (R6)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from thymusimg.measurements.smoothing import bounding_box

if TYPE_CHECKING:
    from thymusimg.section.model import FloatPlane, Mask

Values = npt.NDArray[np.float64]

_MIN_BLOCKS = 10  # fewer have too few arrangements to speak of chance


class ScrambleNull(NamedTuple):
    """Manders' coefficients and Pearson's r of scrambled sections, one value a scramble.

    ``blocks`` is the number of blocks; with fewer than 10 nothing is scrambled and the arrays are empty.
    """

    m1: Values
    m2: Values
    pearson: Values
    blocks: int

    def mean(self, name: str) -> float:
        """Return what chance gives on average; NaN if nothing was scrambled."""
        values: Values = getattr(self, name)
        return float(values.mean()) if values.size else math.nan

    def p_above(self, name: str, observed: float) -> float:
        """Return the share of arrangements, the observed one included, that reach what was observed."""
        values: Values = getattr(self, name)
        if not values.size or math.isnan(observed):
            return math.nan
        return (1 + int(np.count_nonzero(values >= observed - 1e-6))) / (1 + values.size)


def scramble_null(
    first: FloatPlane,
    second: FloatPlane,
    inside: Mask,
    first_threshold: float,
    second_threshold: float,
    pixel_um: float,
    *,
    block_um: float,
    scrambles: int = 200,
    seed: int = 0,
) -> ScrambleNull:
    """Scramble blocks of the second stain inside a mask and measure co-localisation again (Costes 2004; R6).

    The mask's bounding box is cut into square blocks, symmetrically; the second stain's blocks change places at
    random. Pixels count where the mask holds both the place and the pixel that came there, so that nothing from
    outside takes part. Blocks at least as wide as the stain's autocorrelation keep its texture: without that,
    neighbouring pixels count as independent and every section is "significant".

    Parameters
    ----------
    first, second : (Y, X) float32
    inside : (Y, X) bool
    first_threshold, second_threshold : float
        As in :func:`thymusimg.measurements.stains.manders.colocalise`.
    pixel_um : float
    block_um : float
        Least side of a block; it becomes an odd number of pixels.
    scrambles, seed : int

    Returns
    -------
    ScrambleNull

    Examples
    --------
    A stain in random spots, the other in the same spots: no arrangement by chance comes near.

    >>> import numpy as np
    >>> spots = np.random.default_rng(0).random((20, 20)) < 0.3
    >>> plane = np.kron(spots, np.ones((5, 5))).astype(np.float32)
    >>> null = scramble_null(plane, plane, np.ones((100, 100), bool), 0.5, 0.5, 1.0, block_um=5)
    >>> null.blocks, bool(abs(null.mean("m1") - spots.mean()) < 0.02), round(null.p_above("m1", 1.0), 3)
    (400, True, 0.005)
    """
    empty = np.zeros(0)
    if not inside.any() or not math.isfinite(block_um):
        return ScrambleNull(empty, empty, empty, 0)
    box = bounding_box(inside)
    side = max(1, math.ceil(block_um / pixel_um - 1e-6))
    side += 1 - side % 2
    # NaN marks what lies beside the mask: one plane a stain is all that the sums need
    a, b = (_blocks(np.where(inside[box], plane[box], np.float32(np.nan)), side) for plane in (first, second))
    kept = ~np.isnan(a).all(axis=1)
    count = int(kept.sum())
    if count < _MIN_BLOCKS:
        return ScrambleNull(empty, empty, empty, count)
    # in the order of their contents: the same arrangements are drawn however the section is turned
    signal = [np.nansum(np.maximum(blocks[kept], 0), axis=1, dtype=np.float64) for blocks in (a, b)]
    order = np.flatnonzero(kept)[np.lexsort([np.round(sums, 3) for sums in signal])]
    means = [np.float32(plane[box][inside[box]].mean(dtype=np.float64)) for plane in (first, second)]
    cuts = np.float32(first_threshold), np.float32(second_threshold)
    rng = np.random.default_rng(seed)
    moves = np.stack([rng.permutation(count) for _ in range(scrambles)])
    sums = _scrambled_sums(a[order], b[order], *means, *cuts, moves)
    n, sa, sb, saa, sbb, sab, pa, pb, pa_in_b, pb_in_a = sums.T
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.sqrt((saa - sa * sa / n) * (sbb - sb * sb / n))
        found = (pa_in_b / pa, pb_in_a / pb, (sab - sa * sb / n) / spread)
    m1, m2, pearson = (values[np.isfinite(values)] for values in found)
    return ScrambleNull(m1, m2, pearson, count)


def _blocks(plane: FloatPlane, side: int) -> FloatPlane:
    """Return a plane as (blocks, side²), the blocks laid symmetrically around its middle; NaN beside it."""
    counts = [-(-length // side) for length in plane.shape]
    # an odd side: one block more or less makes what is left over even
    counts = [n + (n * side - length) % 2 for n, length in zip(counts, plane.shape, strict=True)]
    before = [(n * side - length) // 2 for n, length in zip(counts, plane.shape, strict=True)]
    padded = np.pad(plane, [(edge, edge) for edge in before], constant_values=np.nan)
    rows, cols = counts
    cut = padded.reshape(rows, side, cols, side).swapaxes(1, 2)
    return np.ascontiguousarray(cut).reshape(rows * cols, side * side)


# sums within a block run in lanes (reassoc): the order is the compiler's, but always the same
_LANES = {"reassoc", "contract", "nsz"}


@numba.njit(cache=True, nogil=True, fastmath=_LANES)
def _edge_sums(a, b, mean_a, mean_b, cut_a, cut_b, out):  # type: ignore[no-untyped-def]  # compiled
    """Add up a pair of blocks, one of which the mask's edge cuts."""
    zero, one = np.float32(0), np.float32(1)
    s0, s1, s2, s3, s4, s5, s6, s7, s8, s9 = zero, zero, zero, zero, zero, zero, zero, zero, zero, zero
    for p in range(len(a)):
        # NaN, beside the mask, is no number equal to itself
        both = (a[p] == a[p]) & (b[p] == b[p])
        x, y = (a[p] - mean_a if both else zero), (b[p] - mean_b if both else zero)
        above_a, above_b = (a[p] if both & (a[p] > zero) else zero), (b[p] if both & (b[p] > zero) else zero)
        s0 += one if both else zero
        s1 += x
        s2 += y
        s3 += x * x
        s4 += y * y
        s5 += x * y
        s6 += above_a
        s7 += above_b
        s8 += above_a if b[p] > cut_b else zero
        s9 += above_b if a[p] > cut_a else zero
    for k, value in enumerate((s0, s1, s2, s3, s4, s5, s6, s7, s8, s9)):
        out[k] += value


@numba.njit(cache=True, nogil=True, fastmath=_LANES)
def _inner_sums(a, b, mean_a, mean_b, cut_a, cut_b, out):  # type: ignore[no-untyped-def]  # compiled
    """Add up the products of a pair of whole blocks; everything else is known beforehand."""
    zero = np.float32(0)
    s5, s8, s9 = zero, zero, zero
    for p in range(len(a)):
        s5 += (a[p] - mean_a) * (b[p] - mean_b)
        s8 += a[p] if (b[p] > cut_b) & (a[p] > zero) else zero
        s9 += b[p] if (a[p] > cut_a) & (b[p] > zero) else zero
    out[5] += s5
    out[8] += s8
    out[9] += s9


@numba.njit(cache=True, nogil=True)
def _scrambled_sums(a, b, mean_a, mean_b, cut_a, cut_b, moves):  # type: ignore[no-untyped-def]  # compiled
    """Return n, Σa, Σb, Σa², Σb², Σab, Σa⁺, Σb⁺, Σa⁺[b > t], Σb⁺[a > t] of every arrangement.

    Block after block, so that one of the two stays in the processor's nearest memory for all arrangements.
    """
    blocks, size = a.shape
    own = np.zeros((blocks, 10), np.float64)
    whole = np.empty(blocks, np.bool_)
    for i in range(blocks):
        _edge_sums(a[i], b[i], mean_a, mean_b, cut_a, cut_b, own[i])
        whole[i] = own[i, 0] == size
    sums = np.zeros((len(moves), 10), np.float64)
    for i in range(blocks):
        for s in range(len(moves)):
            j = moves[s, i]
            if whole[i] and whole[j]:
                sums[s, 0] += size
                sums[s, 1] += own[i, 1]
                sums[s, 2] += own[j, 2]
                sums[s, 3] += own[i, 3]
                sums[s, 4] += own[j, 4]
                sums[s, 6] += own[i, 6]
                sums[s, 7] += own[j, 7]
                _inner_sums(a[i], b[j], mean_a, mean_b, cut_a, cut_b, sums[s])
            else:
                _edge_sums(a[i], b[j], mean_a, mean_b, cut_a, cut_b, sums[s])
    return sums

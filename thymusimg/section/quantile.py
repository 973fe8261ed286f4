"""Exact quantiles of millions of pixels, without sorting or copying them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thymusimg.section.model import FloatPlane, Mask

_HALF = 1 << 16
_FEW = 20_000  # below, sorting is as fast


def quantiles(values: FloatPlane, shares: Sequence[float], where: Mask | None = None) -> tuple[float, ...]:
    """Return the values below which ``shares`` of the pixels lie, as ``numpy.quantile`` interpolates them.

    The bits of a float sort as the float does. Pixels are counted by the upper half of their bits, and then by the
    lower half where a quantile falls.

    Parameters
    ----------
    values : float32
        Any shape, no NaN.
    shares : sequence of float
        In [0, 1].
    where : bool, optional
        Same shape; the pixels that count.

    Raises
    ------
    ValueError
        If no pixel counts.

    Examples
    --------
    >>> quantiles(np.arange(11, dtype=np.float32), (0.5, 0.05))
    (5.0, 0.5)
    """
    flat = np.ascontiguousarray(values, np.float32).ravel()
    mask = np.ones(0, bool) if where is None else np.ascontiguousarray(where).ravel()
    total = flat.size if where is None else int(np.count_nonzero(mask))
    if total == 0:
        raise ValueError("quantiles: no pixel counts")
    if flat.size <= _FEW:
        few = flat if where is None else flat[mask]
        return tuple(float(v) for v in np.quantile(few.astype(np.float64), shares))
    bits = flat.view(np.uint32)
    upper = np.zeros(_HALF, np.int64)
    _count_upper(bits, mask, upper)
    below = np.cumsum(upper)
    place = [share * (total - 1) for share in shares]
    ranks = sorted({rank for p in place for rank in (int(p), min(int(p) + 1, total - 1))})
    bins = np.searchsorted(below, ranks, side="right")
    wanted, slot = np.unique(bins, return_inverse=True)
    slots = np.full(_HALF, -1, np.int64)
    slots[wanted] = np.arange(len(wanted))
    lower = np.zeros((len(wanted), _HALF), np.int64)
    _count_lower(bits, mask, slots, lower)
    lower.cumsum(1, out=lower)
    value = {
        rank: _as_float(int(b), int(np.searchsorted(lower[s], rank - (below[b] - upper[b]), side="right")))
        for rank, b, s in zip(ranks, bins, slot, strict=True)
    }
    return tuple(value[int(p)] + (p - int(p)) * (value[min(int(p) + 1, total - 1)] - value[int(p)]) for p in place)


def mean_above_zero(plane: FloatPlane, mask: Mask) -> float:
    """Return the mean over ``mask``, with what lies below zero as zero; NaN where the mask is empty."""
    return float(_mean_above_zero(np.ascontiguousarray(plane, np.float32), np.ascontiguousarray(mask)))


@numba.njit(cache=True, nogil=True)
def _mean_above_zero(plane, mask):  # type: ignore[no-untyped-def]  # compiled
    total, count = 0.0, 0
    for y in range(plane.shape[0]):
        for x in range(plane.shape[1]):
            if mask[y, x]:
                count += 1
                total += max(plane[y, x], np.float32(0))
    return total / count if count else np.nan


def _as_float(upper: int, lower: int) -> float:
    key = (upper << 16) | lower
    bits = key ^ 0x80000000 if key & 0x80000000 else key ^ 0xFFFFFFFF
    return float(np.array([bits], np.uint32).view(np.float32)[0])


@numba.njit(cache=True, nogil=True)
def _key(bits):  # type: ignore[no-untyped-def]  # compiled
    """Turn the bits of a float into a number of the same order."""
    return bits ^ (np.uint32(0xFFFFFFFF) if bits & np.uint32(0x80000000) else np.uint32(0x80000000))


@numba.njit(cache=True, nogil=True)
def _count_upper(bits, mask, count):  # type: ignore[no-untyped-def]  # compiled
    for i in range(len(bits)):
        if len(mask) == 0 or mask[i]:
            count[_key(bits[i]) >> np.uint32(16)] += 1


@numba.njit(cache=True, nogil=True)
def _count_lower(bits, mask, slots, count):  # type: ignore[no-untyped-def]  # compiled
    for i in range(len(bits)):
        if len(mask) == 0 or mask[i]:
            key = _key(bits[i])
            slot = slots[key >> np.uint32(16)]
            if slot >= 0:
                count[slot, key & np.uint32(0xFFFF)] += 1

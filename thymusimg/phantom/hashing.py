"""Counter-based random numbers: what is drawn at a place depends on the seed and the place, on nothing else."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit
from scipy.special import ndtri

_STEPS = 4096


def _normal_table() -> npt.NDArray[np.float64]:
    """Return quantiles of the normal law at k/4096, scaled so that linear steps between them have unit variance."""
    inner = ndtri(np.arange(1, _STEPS) / _STEPS)
    end = ndtri(1 / (8 * _STEPS))
    table = np.concatenate([[end], inner, [-end]])
    low, high = table[:-1], table[1:]
    variance = ((low * low + low * high + high * high) / 3).mean()
    scaled: npt.NDArray[np.float64] = table / np.sqrt(variance)
    return scaled


NORMAL = _normal_table()
"""Quantiles for :func:`normal`; pass it to compiled loops, so that they need no global."""


@njit(inline="always")
def scramble(counter: np.uint64) -> np.uint64:
    """Return 64 random bits for a counter (the splitmix64 finaliser, Steele 2014)."""
    z = counter * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@njit(inline="always")
def uniform(counter: np.uint64) -> float:
    """Return a uniform number in [0, 1) for a counter."""
    return float(scramble(counter) >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@njit(inline="always")
def normal(bits: np.uint64, table: npt.NDArray[np.float64]) -> float:
    """Return a standard normal number for 32 random bits (in the low half of ``bits``)."""
    step = (bits >> np.uint64(20)) & np.uint64(0xFFF)
    part = float(bits & np.uint64(0xFFFFF)) * (1.0 / 1048576.0)
    low = table[step]
    drawn: float = low + part * (table[step + np.uint64(1)] - low)
    return drawn


@njit(cache=True, nogil=True)
def _fill_normals(key, i0, j0, table, out):  # type: ignore[no-untyped-def]
    # numba compiles by the arguments' types; annotations would only be decoration here
    for i in range(out.shape[0]):
        row = scramble(key + np.uint64(i0 + i))
        for j in range(out.shape[1]):
            out[i, j] = normal(scramble(row + np.uint64(j0 + j)) >> np.uint64(32), table)


@njit(cache=True, nogil=True)
def _fill_uniforms(key, i0, j0, out):  # type: ignore[no-untyped-def]
    for i in range(out.shape[0]):
        row = scramble(key + np.uint64(i0 + i))
        for j in range(out.shape[1]):
            node = scramble(row + np.uint64(j0 + j))
            for k in range(out.shape[2]):
                out[i, j, k] = uniform(node + np.uint64(k))


def lattice_normals(key: int, corner: tuple[int, int], shape: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Return standard normal numbers of the nodes ``corner`` … ``corner + shape`` of an endless lattice.

    Examples
    --------
    >>> whole = lattice_normals(7, (-3, 5), (6, 6))
    >>> bool((whole[2:4, 1:] == lattice_normals(7, (-1, 6), (2, 5))).all())
    True
    """
    out = np.empty(shape, np.float32)
    _fill_normals(np.uint64(key), *corner, NORMAL, out)
    return out


def lattice_uniforms(
    key: int, corner: tuple[int, int], shape: tuple[int, int], count: int
) -> npt.NDArray[np.float64]:
    """Return ``count`` uniform numbers a node, (rows, columns, count)."""
    out = np.empty((*shape, count), np.float64)
    _fill_uniforms(np.uint64(key), *corner, out)
    return out

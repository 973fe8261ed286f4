"""Block means of full-resolution pixels, and the statistics of one tile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numba
import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from thymusimg.section.model import FloatPlane

LAPLACIAN_NOISE = 20**0.5
"""SD of the 3 × 3 Laplacian (centre −4, four neighbours 1) of unit white noise."""

MAD_TO_SD = 1.4826


def block_mean(pixels: npt.NDArray[Any], factor: int) -> FloatPlane:
    """Average blocks of ``factor × factor`` pixels, anchored at the first pixel.

    Parameters
    ----------
    pixels : (Y, X) array
        Integers or floats.
    factor : int
        Side of a block in pixels.

    Returns
    -------
    (⌈Y / factor⌉, ⌈X / factor⌉) float32
        Blocks cut by the edge are averaged over the pixels there are.

    Notes
    -----
    Integers are summed exactly and floats in a fixed order, so the result does not depend on how the image was cut
    into windows, as long as these begin at multiples of ``factor``.

    Examples
    --------
    >>> block_mean(np.array([[1, 3, 5]], dtype=np.uint8), 2)
    array([[2., 5.]], dtype=float32)
    """
    if factor == 1:
        return pixels.astype(np.float32)
    if pixels.dtype.kind in "ui" and pixels.dtype.itemsize <= 2:
        return np.asarray(_mean_blocks(np.ascontiguousarray(pixels), factor))
    kind = np.int64 if pixels.dtype.kind == "i" else np.uint64 if pixels.dtype.kind == "u" else np.float64
    total = _sum_rows(np.ascontiguousarray(_sum_rows(pixels, factor, kind).T), factor, kind).T
    rows, columns = (_block_sizes(side, factor) for side in pixels.shape)
    mean: FloatPlane = (total / np.outer(rows, columns)).astype(np.float32)
    return mean


@numba.njit(cache=True, nogil=True)
def _mean_blocks(pixels: npt.NDArray[Any], factor: int) -> FloatPlane:
    height, width = pixels.shape
    out = np.empty((-(-height // factor), -(-width // factor)), np.float32)
    column = np.empty(width, np.int32)  # holds 32,768 rows of 16 bits
    for row in range(out.shape[0]):
        top, bottom = row * factor, min((row + 1) * factor, height)
        column[:] = 0
        for y in range(top, bottom):
            for x in range(width):
                column[x] += pixels[y, x]
        for block in range(out.shape[1]):
            left, right = block * factor, min((block + 1) * factor, width)
            total = np.int64(0)
            for x in range(left, right):
                total += column[x]
            out[row, block] = total / ((bottom - top) * (right - left))
    return out


def _sum_rows(pixels: npt.NDArray[Any], factor: int, kind: type[np.generic]) -> npt.NDArray[Any]:
    out = np.zeros((-(-pixels.shape[0] // factor), pixels.shape[1]), dtype=kind)
    for offset in range(min(factor, pixels.shape[0])):
        rows = pixels[offset::factor]
        np.add(out[: len(rows)], rows, out=out[: len(rows)])
    return out


def _block_sizes(side: int, factor: int) -> npt.NDArray[np.float64]:
    sizes = np.full(-(-side // factor), float(factor))
    sizes[-1] = side - (len(sizes) - 1) * factor
    return sizes


class TileStatistics(NamedTuple):
    """Statistics of the full-resolution pixels of one tile."""

    mean: float
    sd: float
    maximum: float
    saturated_fraction: float
    laplacian_variance: float
    noise_sd: float


def tile_statistics(pixels: npt.NDArray[Any], max_value: float) -> TileStatistics:
    """Measure brightness, saturation, sharpness and noise of a tile.

    Parameters
    ----------
    pixels : (Y, X) array
    max_value : float
        Value of a saturated pixel.

    Returns
    -------
    TileStatistics
        ``laplacian_variance`` and ``noise_sd`` (1.4826 · median |L| / √20, from every 5th row and 7th column) use
        the inner pixels only and are NaN for tiles under 3 px a side.
    """
    half = pixels.dtype == np.float16
    pixels = np.ascontiguousarray(pixels, np.float32 if half else pixels.dtype)
    total, square, bend, bend_square = _moments(pixels)
    mean, sd = _mean_and_sd(total, square, pixels.size)
    maximum = float(pixels.max())
    saturated = float(np.count_nonzero(pixels >= max_value)) / pixels.size if maximum >= max_value else 0.0
    sharpness, noise = np.nan, np.nan
    height, width = pixels.shape
    if min(height, width) >= 3:
        sharpness = _mean_and_sd(bend, bend_square, (height - 2) * (width - 2))[1] ** 2
        whole = pixels.dtype.kind in "ui" and pixels.dtype.itemsize <= 2  # single precision holds these
        bends = np.empty((-(-(height - 2) // 5), -(-(width - 2) // 7)), np.float32 if whole else np.float64)
        _sample_bends(pixels, bends)
        noise = MAD_TO_SD * _median(bends) / LAPLACIAN_NOISE
    return TileStatistics(mean, sd, maximum, saturated, sharpness, noise)


# Sums may be taken in any order: those of 8 and 16 bits are whole numbers that float64 holds.
@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "nsz"})
def _moments(pixels: npt.NDArray[Any]) -> tuple[float, float, float, float]:
    """Return the sums and the sums of squares of the pixels and of their Laplacian, in one pass."""
    height, width = pixels.shape
    total = square = bend = bend_square = 0.0
    for y in range(height):
        for x in range(width):
            value = np.float64(pixels[y, x])
            total += value
            square += value * value
        if 0 < y < height - 1:
            for x in range(1, width - 1):
                around = np.float64(pixels[y - 1, x]) + np.float64(pixels[y + 1, x])
                around += np.float64(pixels[y, x - 1]) + np.float64(pixels[y, x + 1])
                laplacian = around - 4.0 * np.float64(pixels[y, x])
                bend += laplacian
                bend_square += laplacian * laplacian
    return total, square, bend, bend_square


@numba.njit(cache=True, nogil=True)
def _sample_bends(pixels: npt.NDArray[Any], out: npt.NDArray[Any]) -> None:
    """Write |Laplacian| of every 5th row and 7th column, which visit every phase of JPEG's 8 × 8 blocks."""
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            y, x = 1 + 5 * row, 1 + 7 * column
            around = np.float64(pixels[y - 1, x]) + np.float64(pixels[y + 1, x])
            around = around + np.float64(pixels[y, x - 1]) + np.float64(pixels[y, x + 1])
            out[row, column] = abs(around - 4 * np.float64(pixels[y, x]))


def _median(values: npt.NDArray[np.floating]) -> float:
    """Return the median; NumPy's looks for NaN first, which takes longer than the median."""
    half = values.size // 2
    ordered = np.partition(values, half, axis=None)
    return float(ordered[half] if values.size % 2 else (ordered[:half].max() + ordered[half]) / 2)


def _mean_and_sd(total: float, square: float, count: int) -> tuple[float, float]:
    mean = total / count
    variance = square / count - mean**2
    # Rounding of the two sums leaves a constant tile a variance of about 1e-15 of its square.
    return mean, float(np.sqrt(variance)) if variance > 1e-12 * mean**2 else 0.0

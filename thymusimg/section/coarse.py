"""Block means of full-resolution pixels, and the statistics of one tile."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from thymusimg.section.model import FloatPlane

LAPLACIAN_NOISE = 20**0.5
"""SD of the 3 × 3 Laplacian (centre −4, four neighbours 1) of unit white noise."""

MAD_TO_SD = 1.4826


def block_mean(pixels: npt.NDArray[np.generic], factor: int) -> FloatPlane:
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
    kind = _accumulator(pixels.dtype)
    total = _sum_rows(np.ascontiguousarray(_sum_rows(pixels, factor, kind).T), factor, kind).T
    rows, columns = (_block_sizes(side, factor) for side in pixels.shape)
    return (total / np.outer(rows, columns)).astype(np.float32)


def _sum_rows(pixels: npt.NDArray[np.generic], factor: int, kind: type[np.generic]) -> npt.NDArray[np.generic]:
    out = np.zeros((-(-pixels.shape[0] // factor), pixels.shape[1]), dtype=kind)
    for offset in range(min(factor, pixels.shape[0])):
        rows = pixels[offset::factor]
        np.add(out[: len(rows)], rows, out=out[: len(rows)])
    return out


def _accumulator(dtype: np.dtype[np.generic]) -> type[np.generic]:
    if dtype.kind == "f":
        return np.float64
    if dtype.kind == "u" and dtype.itemsize <= 2:
        return np.uint32  # 65,535 × 256² still fits
    return np.uint64 if dtype.kind == "u" else np.int64


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


def tile_statistics(pixels: npt.NDArray[np.generic], max_value: float) -> TileStatistics:
    """Measure brightness, saturation, sharpness and noise of a tile.

    Parameters
    ----------
    pixels : (Y, X) array
    max_value : float
        Value of a saturated pixel.

    Returns
    -------
    TileStatistics
        ``laplacian_variance`` and ``noise_sd`` (1.4826 · median |L| / √20, from every 3rd row and 5th column) use
        the inner pixels only and are NaN for tiles under 3 px a side.
    """
    plain = pixels if pixels.dtype in (np.uint8, np.uint16, np.int16, np.float32) else pixels.astype(np.float64)
    mean, sd = cv2.meanStdDev(plain)
    maximum = float(plain.max())
    saturated = float(np.count_nonzero(plain >= max_value)) / plain.size if maximum >= max_value else 0.0
    sharpness, noise = np.nan, np.nan
    if min(plain.shape) >= 3:
        depth = cv2.CV_64F if plain.dtype == np.float64 else cv2.CV_32F
        laplacian = cv2.Laplacian(plain, depth, ksize=1)[1:-1, 1:-1]
        sharpness = float(cv2.meanStdDev(laplacian)[1][0, 0]) ** 2
        # Steps of 3 and 5 visit every phase of JPEG's 8 × 8 blocks.
        sample = np.abs(laplacian[::3, ::5])
        noise = MAD_TO_SD * float(np.median(sample)) / LAPLACIAN_NOISE
    return TileStatistics(float(mean[0, 0]), float(sd[0, 0]), maximum, saturated, sharpness, noise)

"""Block means of full-resolution pixels, and the statistics of one tile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from thymusimg.section.model import FloatPlane

LAPLACIAN_NOISE = 20**0.5
"""SD of the 3 × 3 Laplacian (centre −4, four neighbours 1) of unit white noise."""

MAD_TO_SD = 1.4826


def block_mean(pixels: npt.NDArray[Any], factor: int, plain: npt.NDArray[Any] | None = None) -> FloatPlane:
    """Average blocks of ``factor × factor`` pixels, anchored at the first pixel.

    Parameters
    ----------
    pixels : (Y, X) array
        Integers or floats.
    factor : int
        Side of a block in pixels.
    plain : (Y, X) array, optional
        The pixels as :func:`plain_floats` gives them, to spare a second conversion.

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
    if not _fits_float32(pixels.dtype, factor):
        return _slow_mean(pixels, factor)
    height, width = (side // factor for side in pixels.shape)
    out = np.empty((-(-pixels.shape[0] // factor), -(-pixels.shape[1] // factor)), dtype=np.float32)
    y, x = height * factor, width * factor
    if height and width:
        whole = pixels[:y, :x].astype(np.float32) if plain is None else plain[:y, :x]
        out[:height, :width] = cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA)
    if y < pixels.shape[0]:
        out[height:] = _slow_mean(pixels[y:], factor)
    if x < pixels.shape[1] and height:
        out[:height, width:] = _slow_mean(pixels[:y, x:], factor)
    return out


def plain_floats(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the pixels as float32, or as float64 where that is what holds them exactly."""
    small = pixels.dtype.kind in "ui" and pixels.dtype.itemsize <= 2
    return pixels.astype(np.float32 if small or pixels.dtype == np.float32 else np.float64, copy=False)


def _fits_float32(dtype: np.dtype[Any], factor: int) -> bool:
    """Tell whether every block sum is a whole number that float32 holds: then no order of summing matters."""
    power_of_two = factor & (factor - 1) == 0
    return dtype.kind in "ui" and power_of_two and factor**2 * 2.0 ** (8 * dtype.itemsize) <= 2.0**24


def _slow_mean(pixels: npt.NDArray[Any], factor: int) -> FloatPlane:
    kind = np.int64 if pixels.dtype.kind == "i" else np.uint64 if pixels.dtype.kind == "u" else np.float64
    total = _sum_rows(np.ascontiguousarray(_sum_rows(pixels, factor, kind).T), factor, kind).T
    rows, columns = (_block_sizes(side, factor) for side in pixels.shape)
    mean: FloatPlane = (total / np.outer(rows, columns)).astype(np.float32)
    return mean


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
    plain = plain_floats(pixels)
    mean, sd = _moments(plain)
    maximum = float(plain.max())
    saturated = float(np.count_nonzero(plain >= max_value)) / plain.size if maximum >= max_value else 0.0
    sharpness, noise = np.nan, np.nan
    if min(plain.shape) >= 3:
        depth = cv2.CV_64F if plain.dtype == np.float64 else cv2.CV_32F
        laplacian = cv2.Laplacian(plain, depth, ksize=1)[1:-1, 1:-1]
        sharpness = _moments(laplacian)[1] ** 2
        # Steps of 5 and 7 visit every phase of JPEG's 8 × 8 blocks.
        noise = MAD_TO_SD * float(np.median(np.abs(laplacian[::5, ::7]))) / LAPLACIAN_NOISE
    return TileStatistics(mean, sd, maximum, saturated, sharpness, noise)


def _moments(values: npt.NDArray[Any]) -> tuple[float, float]:
    """Return mean and SD; sums and squares are ten times as fast as OpenCV's meanStdDev."""
    mean = cv2.sumElems(values)[0] / values.size
    variance = cv2.norm(values, cv2.NORM_L2SQR) / values.size - mean**2
    # Rounding of the two sums leaves a constant tile a variance of about 1e-15 of its square.
    return float(mean), float(np.sqrt(variance)) if variance > 1e-12 * mean**2 else 0.0

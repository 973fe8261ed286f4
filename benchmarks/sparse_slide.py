"""A big slide that is mostly glass: one synthetic section somewhere on it, written tile by tile.

The glass is background and camera noise. A few tiles of it are drawn and compressed once and stand again and again, so
that 65,536 × 65,536 × 4 takes seconds to draw and no memory; reading it decodes every tile as of any slide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
import tifffile

from thymusimg.phantom import PRESETS, make_phantom

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt

CHANNELS = ("hCD45", "KRT14", "KRT8", "DAPI")
TILE_PX = 512
PIXEL_UM = 0.5
GLASS_TILES = 8
"""So many different tiles of glass a stain and level."""
BAND_ROWS = 16
"""Noise comes again after so many rows, which deflate sees: glass takes little of the disk, and is decoded as ever."""


def tissue_pixels(side: int, seed: int = 0) -> npt.NDArray[np.uint16]:
    """Return (4, side, side) uint16: synthetic sections of 2048 px side by side in a square, glass around each.

    ``side`` is a multiple of 2048. A phantom is drawn once and set out with flips, in seconds instead of minutes.
    """
    block = 2048
    spec = PRESETS["progenitor_10wk"].draw(seed).model_copy(update={"dapi": True, "area_mm2": 0.6})
    cell = make_phantom(spec, seed, pixel_size_um=PIXEL_UM, size_mm=block * PIXEL_UM * 1e-3).pixels
    rows = []
    for row in range(side // block):
        turned = [cell[:, :: 1 - 2 * (row % 2), :: 1 - 2 * (column % 2)] for column in range(side // block)]
        rows.append(np.concatenate(turned, axis=2))
    return np.concatenate(rows, axis=1)


def write_sparse_slide(
    path: Path, side: int, tissue: npt.NDArray[np.uint16], corner: tuple[int, int], *, pyramid: bool, seed: int = 0
) -> None:
    """Write a slide of ``side`` × ``side`` × 4 with ``tissue`` at ``corner``, a multiple of 512 px, deflate tiles.

    Parameters
    ----------
    path : Path
    side : int
        A multiple of 512.
    tissue : (4, Y, X) uint16
        Its sides are multiples of 512; its first corner is glass, whose level and noise the slide takes.
    corner : (int, int)
        Row and column of the tissue's first pixel.
    pyramid : bool
        Levels that halve, down to one of at most four tiles a side.
    """
    levels = [side]
    while pyramid and levels[-1] > 4 * TILE_PX:
        levels.append(levels[-1] // 2)
    options: dict[str, Any] = {
        "dtype": "uint16", "photometric": "minisblack", "tile": (TILE_PX, TILE_PX), "compression": "zlib",
    }  # fmt: skip
    metadata = {
        "axes": "CYX", "Channel": {"Name": list(CHANNELS)}, "PhysicalSizeX": PIXEL_UM, "PhysicalSizeXUnit": "µm",
        "PhysicalSizeY": PIXEL_UM, "PhysicalSizeYUnit": "µm",
    }  # fmt: skip
    glass = tissue[:, :64, :64].reshape(len(CHANNELS), -1)
    rng = np.random.default_rng(seed)
    with tifffile.TiffWriter(path, bigtiff=True, ome=True) as writer:
        for level, size in enumerate(levels):
            down = 2**level
            tiles = _level_tiles(
                size, _halved(tissue, down), (corner[0] // down, corner[1] // down), glass, down, rng
            )
            first = {"subifds": len(levels) - 1, "metadata": metadata} if level == 0 else {"subfiletype": 1}
            writer.write(tiles, shape=(len(CHANNELS), size, size), **options, **first)


def _level_tiles(
    size: int,
    tissue: npt.NDArray[np.uint16],
    corner: tuple[int, int],
    glass: npt.NDArray[np.uint16],
    down: int,
    rng: np.random.Generator,
) -> Iterator[bytes]:
    """Yield the compressed tiles of a level, channel by channel."""
    height, width = tissue.shape[1:]
    for channel, values in enumerate(glass):
        # averaged noise is smaller by the side of what was averaged
        level, spread = float(values.mean()), float(values.std()) / down
        drawn = [_noise(level, spread, rng) for _ in range(GLASS_TILES)]
        packed = [_packed(tile) for tile in drawn]
        for number, (y, x) in enumerate(_corners(size)):
            if (
                y + TILE_PX <= corner[0]
                or y >= corner[0] + height
                or x + TILE_PX <= corner[1]
                or x >= corner[1] + width
            ):
                yield packed[number * 7 % GLASS_TILES]
                continue
            tile = drawn[0].copy()
            top, left = max(y, corner[0]), max(x, corner[1])
            bottom, right = min(y + TILE_PX, corner[0] + height), min(x + TILE_PX, corner[1] + width)
            tile[top - y : bottom - y, left - x : right - x] = tissue[
                channel, top - corner[0] : bottom - corner[0], left - corner[1] : right - corner[1]
            ]
            yield _packed(tile)


def _corners(size: int) -> Sequence[tuple[int, int]]:
    return [(y, x) for y in range(0, size, TILE_PX) for x in range(0, size, TILE_PX)]


def _noise(level: float, spread: float, rng: np.random.Generator) -> npt.NDArray[np.uint16]:
    band = np.clip(np.rint(rng.normal(level, spread, (BAND_ROWS, TILE_PX))), 0, 65535).astype(np.uint16)
    return np.tile(band, (TILE_PX // BAND_ROWS, 1))


def _packed(tile: npt.NDArray[np.uint16]) -> bytes:
    return bytes(imagecodecs.zlib_encode(tile.tobytes(), level=1))


def _halved(pixels: npt.NDArray[np.uint16], down: int) -> npt.NDArray[np.uint16]:
    if down == 1:
        return pixels
    channels, height, width = pixels.shape
    blocks = pixels.reshape(channels, height // down, down, width // down, down)
    mean: npt.NDArray[np.uint16] = np.rint(blocks.mean((2, 4), dtype=np.float32)).astype(np.uint16)
    return mean

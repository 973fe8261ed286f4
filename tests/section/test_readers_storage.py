"""How pixels are stored: the same as tifffile's own, each stored block decoded once, memory bounded by a block."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile

from thymusimg.section.model import Window
from thymusimg.section.readers import open_image
from thymusimg.section.readers.tiff_pixels import TiffPixels

if TYPE_CHECKING:
    from pathlib import Path

RNG = np.random.default_rng(5)
SMOOTH = np.add.outer(np.arange(300), np.arange(260)) * 5
STACK = (SMOOTH[None] + RNG.integers(0, 300, (3, 300, 260))).astype(np.uint16)
LAYOUTS: list[dict[str, Any]] = [{"tile": (64, 64)}, {"rowsperstrip": 32}, {"rowsperstrip": 300}]
CODECS: list[dict[str, Any]] = [
    {},
    {"compression": "deflate"},
    {"compression": "deflate", "predictor": True},
    {"compression": "lzw"},
    {"compression": "lzw", "predictor": True},
    {"compression": "zstd"},
    {"compression": "lzma"},
    {"compression": "packbits"},
    {"compression": "jpeg2000"},
    {"compression": "jpeg", "compressionargs": {"level": 90}},
]
CODEC_IDS = [f"{c.get('compression', 'none')}{'-predictor' if 'predictor' in c else ''}" for c in CODECS]


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Collect the index of every block that is decoded."""
    found: list[int] = []
    decode = TiffPixels._decode

    def counting(self: TiffPixels, plan: Any, where: Any, index: int) -> Any:
        found.append(index)
        return decode(self, plan, where, index)

    monkeypatch.setattr(TiffPixels, "_decode", counting)
    return found


def aligned(image: Any, channel: int) -> np.ndarray[Any, Any]:
    """Read a channel in windows of its own blocks."""
    (height, width), (rows, columns) = image.levels[0].shape, image.tile_shape
    out = np.zeros((height, width), image.dtype)
    for y in range(0, height, rows):
        for x in range(0, width, columns):
            window = Window(y, min(height, y + rows), x, min(width, x + columns))
            out[window.slices] = image.read(0, channel, window)
    return out


@pytest.mark.parametrize("big", [False, True], ids=["classic", "bigtiff"])
@pytest.mark.parametrize("layout", LAYOUTS, ids=["tiles", "strips", "one-strip"])
@pytest.mark.parametrize("codec", CODECS, ids=CODEC_IDS)
def test_pixels_are_tifffiles_and_each_block_is_decoded_once(
    tmp_path: Path, codec: dict[str, Any], layout: dict[str, Any], big: bool, decoded: list[int]
) -> None:
    stack = (STACK >> 4).astype(np.uint8) if codec.get("compression") == "jpeg" else STACK
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, stack, bigtiff=big, photometric="minisblack", **layout, **codec)
    truth = tifffile.imread(path)
    image = open_image(path)
    assert decoded == []
    for channel in range(3):
        np.testing.assert_array_equal(aligned(image, channel), truth[channel])
    with tifffile.TiffFile(path) as file:
        blocks = len(file.pages[0].dataoffsets)
    if codec or "tile" in layout:
        assert sorted(decoded) == sorted(list(range(blocks)) * 3)
    decoded.clear()
    image = open_image(path)
    image.read(0, 1, Window(70, 90, 70, 90))
    assert len(decoded) <= 1  # a corner of one tile or strip asks for that one only
    image.close()


@pytest.mark.parametrize("layout", LAYOUTS, ids=["tiles", "strips", "one-strip"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_samples_side_by_side_or_plane_by_plane(
    tmp_path: Path, planar: str, layout: dict[str, Any], decoded: list[int]
) -> None:
    data = STACK if planar == "separate" else np.ascontiguousarray(STACK.transpose(1, 2, 0))
    path = tmp_path / "a.tif"
    options = {"photometric": "rgb", "planarconfig": planar, "compression": "zstd"}
    tifffile.imwrite(path, data, **options, **layout)
    image = open_image(path)
    for channel in range(3):
        np.testing.assert_array_equal(aligned(image, channel), STACK[channel])
    with tifffile.TiffFile(path) as file:
        assert sorted(decoded) == list(range(len(file.pages[0].dataoffsets)))  # once, for all channels together


def test_a_huge_strip_is_decoded_once_and_leaves_memory(tmp_path: Path, decoded: list[int]) -> None:
    """One strip of 72 MB: beyond 64 MB it waits in a temporary file, and the windows copy what they need."""
    import tracemalloc

    plane = np.zeros((6000, 6000), np.uint16)
    plane[::7] = 9
    tifffile.imwrite(tmp_path / "a.tif", plane, compression="zstd", rowsperstrip=6000)
    image = open_image(tmp_path / "a.tif")
    assert any("temporary file" in warning for warning in image.warnings)
    tracemalloc.start()
    image.read(0, 0, Window(0, 512, 0, 512))
    most = tracemalloc.get_traced_memory()[1]
    for y in range(0, 6000, 1000):
        np.testing.assert_array_equal(image.read(0, 0, Window(y, y + 10, 0, 6000)), plane[y : y + 10])
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert decoded == [0]
    assert most < 3 * plane.nbytes
    assert kept < plane.nbytes / 4
    image.close()

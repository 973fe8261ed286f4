"""Chunks of an OME-Zarr that decode to more than they declare: refused, with no memory taken for them."""

from __future__ import annotations

import bz2
import gzip
import lzma
import tracemalloc
import zlib
from typing import TYPE_CHECKING

import imagecodecs
import numcodecs
import numpy as np
import pytest
import zarr
from zarr.codecs import BloscCodec, Crc32cCodec, GzipCodec, ZstdCodec

from thymusimg.errors import UnreadableError
from thymusimg.section.model import Window
from thymusimg.section.readers import open_image

if TYPE_CHECKING:
    from pathlib import Path

PIXELS = np.random.default_rng(0).integers(0, 4000, (150, 130)).astype(np.uint16)
ZEROS = bytes(200 * 2**20)
THREE = {
    "none": {"compressors": None},
    "zstd": {"compressors": ZstdCodec()},
    "gzip": {"compressors": GzipCodec()},
    "blosc": {"compressors": BloscCodec()},
    "checksum": {"compressors": [ZstdCodec(), Crc32cCodec()]},
    "sharded": {"compressors": ZstdCodec(), "shards": (128, 128)},
}
TWO = {
    "zstd": numcodecs.Zstd(),
    "blosc": numcodecs.Blosc(),
    "zlib": numcodecs.Zlib(),
    "gzip": numcodecs.GZip(),
    "lzma": numcodecs.LZMA(),
    "lz4": numcodecs.LZ4(),
    "bz2": numcodecs.BZ2(),
}
BOMBS = {
    "zstd": lambda: imagecodecs.zstd_encode(ZEROS),
    "gzip": lambda: gzip.compress(ZEROS, 9),
    "zlib": lambda: zlib.compress(ZEROS, 9),
    "bz2": lambda: bz2.compress(ZEROS),
    "lzma": lambda: lzma.compress(ZEROS, preset=0),
    "blosc": lambda: numcodecs.Blosc().encode(ZEROS),
    "lz4": lambda: numcodecs.LZ4().encode(ZEROS),
}
CASES = [(3, name) for name in THREE] + [(2, name) for name in TWO]


def write(folder: Path, version: int, name: str) -> Path:
    options = THREE[name] if version == 3 else {"compressors": TWO[name]}
    group = zarr.open_group(str(folder), mode="w", zarr_format=version)
    group.create_array("0", shape=PIXELS.shape, chunks=(64, 64), dtype="u2", **options)[...] = PIXELS
    entry = {"version": "0.4", "axes": [{"name": "y"}, {"name": "x"}], "datasets": [{"path": "0"}]}
    if version == 3:
        group.attrs["ome"] = {"version": "0.5", "multiscales": [entry]}
    else:
        group.attrs["multiscales"] = [entry]
    return folder


@pytest.mark.parametrize(("version", "name"), CASES)
def test_every_codec_reads_what_was_written(tmp_path, version, name):
    image = open_image(write(tmp_path / "a.zarr", version, name))
    assert np.array_equal(image.read(0, 0, Window(0, 150, 0, 130)), PIXELS)
    assert np.array_equal(image.read(0, 0, Window(60, 70, 3, 129)), PIXELS[60:70, 3:129])


@pytest.mark.parametrize(
    ("version", "name"), [case for case in CASES if case[1] in BOMBS and case not in ((3, "none"), (3, "checksum"))]
)
def test_a_chunk_that_swells_is_refused_without_memory_for_it(tmp_path, version, name):
    folder = write(tmp_path / "a.zarr", version, name)
    chunk = folder / ("0/c/0/0" if version == 3 else "0/0.0")
    chunk.write_bytes(BOMBS[name]())
    image = open_image(folder)
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableError, match=f"{name}.*decodes to more than the 8,192 bytes"):
            image.read(0, 0, Window(0, 10, 0, 10))
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()
    assert np.array_equal(image.read(0, 0, Window(64, 100, 64, 100)), PIXELS[64:100, 64:100])


def test_a_frame_of_zstd_that_does_not_say_its_size_is_bounded_too(tmp_path):
    folder = write(tmp_path / "a.zarr", 3, "zstd")
    raw = bytes((0x28, 0xB5, 0x2F, 0xFD, 0x00, 0x58))  # no content size; a window of 2 MB
    block = ((2**17) << 3 | 1 << 1).to_bytes(3, "little") + b"\0"  # 128 kB of one byte
    last = ((2**17) << 3 | 1 << 1 | 1).to_bytes(3, "little") + b"\0"
    (folder / "0/c/0/0").write_bytes(raw + block * 1599 + last)
    with pytest.raises(UnreadableError, match="decodes to more"):
        open_image(folder).read(0, 0, Window(0, 10, 0, 10))

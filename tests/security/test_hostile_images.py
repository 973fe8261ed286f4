"""Images that lie about their size, lead elsewhere, or go round in circles: refused, in little memory and time."""

from __future__ import annotations

import json
import os
import struct
import tracemalloc
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
import zarr

from thymusimg.errors import SectionError, UnreadableError, UnsupportedFormatError
from thymusimg.section.model import Window
from thymusimg.section.readers import base, open_image

OME = '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">{}</OME>'


def tiff(path, width, height, tile, compression, block, blocks, *, again=0):
    """Write a TIFF of one page of which every tile is the same bytes; ``again`` is where its next page lies."""
    tags = {256: width, 257: height, 258: 8, 259: compression, 262: 1, 277: 1, 322: tile, 323: tile}
    offsets = 8 + 2 + 12 * (len(tags) + 2) + 4
    counts, start = offsets + 4 * blocks, offsets + 8 * blocks
    several = blocks > 1
    tags |= {324: offsets if several else start, 325: counts if several else len(block)}
    out = struct.pack("<2sHIH", b"II", 42, 8, len(tags))
    for tag, value in sorted(tags.items()):
        out += struct.pack("<HHII", tag, 4, blocks if tag in (324, 325) else 1, value)
    out += struct.pack("<I", again)
    if several:
        out += struct.pack(f"<{blocks}I", *[start] * blocks) + struct.pack(f"<{blocks}I", *[len(block)] * blocks)
    path.write_bytes(out + block)
    return path


def refusal(path, error=UnreadableError):
    """Open and read the first corner; return what is said, and the most memory that Python took."""
    tracemalloc.start()
    try:
        with pytest.raises(error) as told:
            open_image(path).read(0, 0, Window(0, 64, 0, 64))
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 200e6
    assert "\n" not in str(told.value)
    assert Path(path).name in str(told.value)
    return str(told.value)


@pytest.mark.parametrize("extra", [0, 3_000_000])
def test_a_small_file_that_declares_a_million_by_a_million(tmp_path, extra):
    path = tiff(tmp_path / "a.tif", 10**6, 10**6, 16384, 8, zlib.compress(bytes(100)) + bytes(extra), 3844)
    assert "The header is damaged" in refusal(path)


def test_a_zarr_that_declares_a_million_by_a_million(tmp_path):
    group = zarr.open_group(str(tmp_path / "a.zarr"), mode="w")
    group.create_array("0", shape=(10**6, 10**6), chunks=(512, 512), dtype="u2")
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": ["y", "x"], "datasets": [{"path": "0"}]}]}
    assert "more than fit on a slide" in refusal(tmp_path / "a.zarr")


def test_a_zarr_of_one_huge_chunk(tmp_path):
    group = zarr.open_group(str(tmp_path / "a.zarr"), mode="w")
    group.create_array("0", shape=(200_000, 200_000), chunks=(200_000, 200_000), dtype="u2")
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": ["y", "x"], "datasets": [{"path": "0"}]}]}
    assert "one block would decode to 80,000,000,000 bytes" in refusal(tmp_path / "a.zarr")


@pytest.mark.parametrize(
    ("compression", "make"),
    [
        (8, lambda: zlib.compress(bytes(50_000_000), 9)),
        (50000, lambda: imagecodecs.zstd_encode(bytes(50_000_000), 1)),
    ],
)
def test_a_tile_that_swells_is_cut_off(tmp_path, compression, make):
    path = tiff(tmp_path / "a.tif", 128, 128, 64, compression, make(), 4)
    assert "cannot be decoded" in refusal(path)


@pytest.mark.parametrize(
    ("compression", "make"),
    [
        (7, lambda a: imagecodecs.jpeg_encode(a)),
        (34712, lambda a: imagecodecs.jpeg2k_encode(a, codecformat="j2k")),
        (34712, lambda a: imagecodecs.jpeg2k_encode(a, codecformat="jp2")),
        (34933, lambda a: imagecodecs.png_encode(a)),
        (50001, lambda a: imagecodecs.webp_encode(np.dstack([a] * 3), lossless=True)),
    ],
)
def test_a_tile_that_is_a_huge_picture_is_not_decoded(tmp_path, compression, make):
    path = tiff(tmp_path / "a.tif", 128, 128, 64, compression, make(np.zeros((1500, 1500), np.uint8)), 4)
    assert "a block declares 1500 × 1500 px where the file has blocks of 64 × 64 px" in refusal(path)


def test_compressions_whose_size_nobody_can_ask_are_refused(tmp_path):
    said = refusal(tiff(tmp_path / "a.tif", 128, 128, 64, 34887, b"Lerc2 ", 4), UnsupportedFormatError)
    assert "compressed as LERC, which is not read" in said


def test_a_png_that_declares_what_it_does_not_hold(tmp_path):
    head = struct.pack(">IIBBBBB", 60_000, 60_000, 16, 0, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + head + struct.pack(">I", zlib.crc32(b"IHDR" + head))
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk)
    with pytest.raises(SectionError, match=r"too large|damaged"):
        open_image(tmp_path / "a.png")


def test_a_block_larger_than_the_memory_is_refused_by_its_size(tmp_path, monkeypatch):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((9000, 9000), np.uint8), compression="deflate", rowsperstrip=9000)
    free = type("Free", (), {"available": 100 * 2**20})
    monkeypatch.setattr(base.psutil, "virtual_memory", lambda: free)
    said = refusal(path)
    assert "blocks of 0.1 GB, each decoded whole" in said
    assert "Save it in tiles" in said


@pytest.mark.parametrize("again", [8, 2])
def test_pages_in_a_circle(tmp_path, again):
    path = tiff(tmp_path / "a.tif", 64, 64, 64, 8, zlib.compress(bytes(64 * 64)), 1, again=again)
    try:
        assert open_image(path).read(0, 0, Window(0, 64, 0, 64)).shape == (64, 64)
    except SectionError as error:
        assert "\n" not in str(error)  # noqa: PT017  either is right, and both end


def test_a_plane_that_lists_fewer_blocks_than_it_needs(tmp_path):
    path = tiff(tmp_path / "a.tif", 6400, 6400, 64, 8, zlib.compress(bytes(64 * 64)), 4)
    assert "lists 4 of its 10,000 blocks" in refusal(path)


LAUGHS = (
    '<!DOCTYPE OME [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True))
    + "]>"
)


@pytest.mark.parametrize("dtd", [LAUGHS, '<!DOCTYPE OME [<!ENTITY i SYSTEM "file:///etc/passwd">]>'])
def test_xml_entities_are_refused_before_they_are_parsed(tmp_path, dtd):
    xml = OME.format('<Image Name="&i;"/>').replace("<OME", f"{dtd}<OME")
    tifffile.imwrite(tmp_path / "a.ome.tif", np.zeros((64, 64), np.uint8), description=xml, metadata=None)
    assert "declares entities" in refusal(tmp_path / "a.ome.tif")


def test_entities_in_a_lif(tmp_path):
    text = f'{LAUGHS}<LMSDataContainerHeader Version="2"><Element Name="&i;"/></LMSDataContainerHeader>'
    code = text.encode("utf-16-le")
    head = b"\x70\0\0\0" + (len(code) + 5).to_bytes(4, "little") + b"\x2a" + len(text).to_bytes(4, "little")
    (tmp_path / "a.lif").write_bytes(head + code)
    assert "declares entities" in refusal(tmp_path / "a.lif")


@pytest.mark.parametrize(
    "name",
    [
        "../b.ome.tif",
        "/etc/passwd",
        "sub/b.ome.tif",
        "..\\b.ome.tif",
        "C:b.tif",
        "&#46;&#46;&#47;b.tif",
        "\\\\h\\s\\b",
    ],
)
def test_a_set_of_files_stays_in_its_folder(tmp_path, name):
    data = f'<TiffData><UUID FileName="{name}">urn:uuid:1</UUID></TiffData>'
    pixels = '<Image ID="Image:0"><Pixels DimensionOrder="XYCZT" Type="uint8" SizeX="64" SizeY="64" '
    pixels += f'SizeC="1" SizeZ="1" SizeT="1">{data}</Pixels></Image>'
    tifffile.imwrite(
        tmp_path / "a.ome.tif", np.zeros((64, 64), np.uint8), description=OME.format(pixels), metadata=None
    )
    assert "names a file outside its folder" in refusal(tmp_path / "a.ome.tif")


@pytest.mark.parametrize("key", ["../b.zarr/0", "/etc", "0/../../b", "..", "C:/x", "a\\..\\..\\b"])
def test_a_zarr_stays_in_its_folder(tmp_path, key):
    zarr.open_group(str(tmp_path / "b.zarr"), mode="w").create_array("0", shape=(64, 64), dtype="u2")
    group = zarr.open_group(str(tmp_path / "a.zarr"), mode="w")
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": ["y", "x"], "datasets": [{"path": key}]}]}
    assert "leads out of the store" in refusal(tmp_path / "a.zarr")
    group.attrs["ome"] = {"version": "0.5", "series": [key]}
    assert "leads out of the store" in refusal(tmp_path / "a.zarr")


def test_metadata_nested_without_end(tmp_path):
    zarr.open_group(str(tmp_path / "a.zarr"), mode="w")
    (tmp_path / "a.zarr/zarr.json").write_text("[" * 100_000)
    assert "broken" in refusal(tmp_path / "a.zarr")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes here")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.tif")
    assert "is no file" in refusal(tmp_path / "a.tif")
    with pytest.raises(UnreadableError, match="is no file"):
        open_image("/dev/zero")


def test_geojson_nested_without_end_or_odd(tmp_path):
    from thymusimg.section.roi import read_roi

    ring = [[0, 0], [9, 0], [9, 9]]
    for content in (
        "[" * 200_000,
        json.dumps({"type": "Feature", "properties": [], "geometry": 3}),
        json.dumps({"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": {"a": 1}}}),
        json.dumps({"type": "Polygon", "coordinates": [[[1e999, 0], [1, 1], [2, 2]]]}),
        json.dumps({"type": "Polygon"}),
    ):
        (tmp_path / "a.geojson").write_text(content)
        with pytest.raises(UnreadableError, match=r"a\.geojson"):
            read_roi(tmp_path / "a.geojson", 0.5)
    (tmp_path / "a.geojson").write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    assert len(read_roi(tmp_path / "a.geojson", 0.5)[0]) == 3

"""Write the corpus, small valid files of every kind: ``python tests/fuzz/make_corpus.py``."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile
import zarr

CORPUS = Path(__file__).parent / "corpus"
RNG = np.random.default_rng(1)
STACK = RNG.integers(0, 4000, (3, 40, 48)).astype(np.uint16)


def tiffs(folder: Path) -> None:
    options = {
        "ome": {"ome": True, "metadata": {"axes": "CYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}},
        "imagej": {"imagej": True, "metadata": {"axes": "CYX", "unit": "um"}},
        "tiled": {"tile": (16, 16), "compression": "deflate", "predictor": True},
        "lzw": {"rowsperstrip": 8, "compression": "lzw"},
        "zstd": {"rowsperstrip": 40, "compression": "zstd"},
        "bigtiff": {"bigtiff": True, "tile": (16, 16)},
        "big_endian": {"byteorder": ">", "rowsperstrip": 7},
        "planar": {"planarconfig": "separate", "photometric": "rgb"},
    }
    for name, option in options.items():
        option = {"photometric": "minisblack"} | option
        tifffile.imwrite(folder / f"{name}.tif", STACK[:, ::2, ::2] if name != "ome" else STACK, **option)
    grey = (STACK[0] // 16).astype(np.uint8)
    for name in ("jpeg", "jpeg2000"):
        tifffile.imwrite(folder / f"{name}.tif", grey, tile=(16, 16), compression=name)
    with tifffile.TiffWriter(folder / "pyramid.ome.tif", ome=True) as writer:
        writer.write(STACK, subifds=1, tile=(16, 16), photometric="minisblack", metadata={"axes": "CYX"})
        writer.write(STACK[:, ::2, ::2], subfiletype=1, tile=(16, 16), photometric="minisblack")


def main() -> None:
    shutil.rmtree(CORPUS, ignore_errors=True)
    for name in (
        "tiff",
        "picture",
        "lif",
        "zarr_json",
        "array_json",
        "roi",
        "table",
        "study_toml",
        "ome_xml",
        "address",
    ):
        (CORPUS / name).mkdir(parents=True)
    tiffs(CORPUS / "tiff")
    rgb = np.ascontiguousarray((STACK.transpose(1, 2, 0)[::2, ::2] // 16).astype(np.uint8))
    (CORPUS / "picture/a.png").write_bytes(imagecodecs.png_encode(rgb))
    (CORPUS / "picture/b.png").write_bytes(imagecodecs.png_encode(STACK[0]))
    (CORPUS / "picture/a.jpg").write_bytes(imagecodecs.jpeg_encode(rgb))
    xml = tifffile.TiffFile(CORPUS / "tiff/ome.tif").ome_metadata or ""
    (CORPUS / "ome_xml/a.xml").write_text(xml, encoding="utf-8")
    with tempfile.TemporaryDirectory() as temporary:
        group = zarr.open_group(temporary, mode="w")
        group.create_array("0", shape=(8, 8), chunks=(4, 4), dtype="u2")
        (CORPUS / "array_json/a.json").write_bytes((Path(temporary) / "0/zarr.json").read_bytes())
        group.create_array("1", shape=(8, 8), chunks=(2, 2), shards=(4, 4), dtype="u2")
        (CORPUS / "array_json/b.json").write_bytes((Path(temporary) / "1/zarr.json").read_bytes())
        entry = {
            "name": "lobe",
            "axes": [{"name": n, "type": "space", "unit": "micrometer"} for n in "yx"],
            "datasets": [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [0.5, 0.5]}]}],
        }
        group.attrs["ome"] = {"version": "0.5", "multiscales": [entry], "omero": {"channels": [{"label": "K14"}]}}
        (CORPUS / "zarr_json/a.json").write_bytes((Path(temporary) / "zarr.json").read_bytes())
    ring = [[0, 0], [9, 0], [9, 9], [0, 9], [0, 0]]
    feature = {
        "type": "Feature",
        "properties": {"name": "lobe", "classification": {"name": "cortex"}},
        "geometry": {"type": "Polygon", "coordinates": [ring, [[1, 1], [2, 1], [2, 2], [1, 1]]]},
    }
    several = {
        "type": "FeatureCollection",
        "features": [feature, {"type": "MultiPolygon", "coordinates": [[ring]]}],
    }
    (CORPUS / "roi/a.geojson").write_text(json.dumps(feature))
    (CORPUS / "roi/b.geojson").write_text(json.dumps(several))
    lines = "section_id,path,animal,group,scene,pixel_size_um,exclude,notes\n"
    lines += 's1,a.tif,1,x,0,0.5,no,"a, b"\ns2,a.tif,2,y,,,1,\n'
    (CORPUS / "table/a.csv").write_text(lines)
    (CORPUS / "table/b.csv").write_bytes(("sep=;\n" + lines.replace(",", ";")).encode("utf-16"))
    (CORPUS / "study_toml/a.toml").write_text(
        '[study]\ntable = "study.csv"\nreference = "x"\n[compute]\ntile_px = 1024\n[cells]\nmethod = "classical"\n'
    )
    (CORPUS / "address/a.txt").write_text("https://example.org/lab//slides/a.ome.zarr/")
    (CORPUS / "address/b.txt").write_text("s3://key:secret@bucket/a.zarr?x=1#y")
    (CORPUS / "lif/a.lif").write_bytes(lif())


def lif() -> bytes:
    """The head of a LIF with an XML that tells of one image; enough for the parser."""
    text = (
        '<LMSDataContainerHeader Version="2"><Element Name="p"><Children><Element Name="s"><Data><Image>'
        '<ImageDescription><Channels><ChannelDescription BytesInc="0" Resolution="8"/></Channels><Dimensions>'
        '<DimensionDescription DimID="1" NumberOfElements="8" BytesInc="1" Length="7e-6"/>'
        '<DimensionDescription DimID="2" NumberOfElements="8" BytesInc="8" Length="7e-6"/></Dimensions>'
        '</ImageDescription></Image></Data><Memory Size="64" MemoryBlockID="MemBlock_1"/></Element></Children>'
        "</Element></LMSDataContainerHeader>"
    )
    code = text.encode("utf-16-le")
    head = b"\x70\0\0\0" + (len(code) + 5).to_bytes(4, "little") + b"\x2a" + len(text).to_bytes(4, "little") + code
    name = "MemBlock_1"
    block = (
        b"\x2a" + (64).to_bytes(8, "little") + b"\x2a" + len(name).to_bytes(4, "little") + name.encode("utf-16-le")
    )
    return head + b"\x70\0\0\0" + len(block).to_bytes(4, "little") + block + bytes(range(64))


if __name__ == "__main__":
    main()

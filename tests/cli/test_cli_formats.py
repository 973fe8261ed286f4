"""The same section from every way in which a lab may hand it over."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import tifffile
import zarr
from cli_runner import plain_refusal, thymusimg
from PIL import Image as Picture

SIZE = ("--pixel-size", "0.65")
MAPPED = ("--channel", "cd45=0", "--channel", "k14=1", "--channel", "k8=2")
RGB = ("--channel", "cd45=red", "--channel", "k14=blue", "--channel", "k8=green")


def measured(out):
    return pd.read_csv(out / "tables" / "sections.csv").iloc[0]


@pytest.fixture(scope="module")
def reference(slide, tmp_path_factory):
    out = tmp_path_factory.mktemp("reference")
    assert thymusimg("section", slide, "--out", out).status == 0
    return measured(out)


def assert_same(row, reference, rel=1e-9):
    for name in ("cortex_area_mm2", "medulla_area_mm2", "cd45_count", "segregation_index_50um"):
        assert row[name] == pytest.approx(reference[name], rel=rel), name


@pytest.mark.parametrize("kind", ["plain", "imagej", "big endian strips", "predictor", "pyramid"])
def test_tiff_as_others_write_it(phantom, reference, tmp_path, kind):
    path = tmp_path / "s.tif"
    pixels = phantom.pixels
    if kind == "plain":
        tifffile.imwrite(path, pixels, photometric="minisblack", metadata=None)
    elif kind == "imagej":
        tifffile.imwrite(path, pixels, imagej=True, metadata={"axes": "CYX"})
    elif kind == "big endian strips":
        tifffile.imwrite(path, pixels, byteorder=">", rowsperstrip=7, photometric="minisblack", bigtiff=True)
    elif kind == "predictor":
        options = {"compression": "zstd", "predictor": True, "tile": (256, 256)}
        tifffile.imwrite(path, pixels, photometric="minisblack", **options)
    else:
        from thymusimg.phantom import write_ome_tiff

        write_ome_tiff(phantom, path, pyramid=True)
    said = thymusimg("section", path, *MAPPED, *SIZE, "--out", tmp_path / "out")
    assert said.status == 0, said.err
    # the pyramid's levels are rounded to whole grey levels
    assert_same(measured(tmp_path / "out"), reference, rel=0.02 if kind == "pyramid" else 1e-9)


@pytest.mark.parametrize("version", [2, 3], ids=["OME-Zarr 0.4", "OME-Zarr 0.5"])
def test_ome_zarr(phantom, reference, tmp_path, version):
    path = tmp_path / "s.zarr"
    group = zarr.open_group(path, mode="w", zarr_format=version)
    options = {"chunk_key_encoding": {"name": "v2", "separator": "/"}} if version == 2 else {}
    array = group.create_array("0", shape=phantom.pixels.shape, dtype="uint16", chunks=(1, 256, 256), **options)
    array[:] = phantom.pixels
    scale = {"type": "scale", "scale": [1.0, 0.65, 0.65]}
    multiscale = {
        "axes": [{"name": "c", "type": "channel"}]
        + [{"name": a, "type": "space", "unit": "micrometer"} for a in "yx"],
        "datasets": [{"path": "0", "coordinateTransformations": [scale]}],
    }
    omero = {"channels": [{"label": n, "color": "FFFFFF"} for n in phantom.channel_names]}
    if version == 2:
        group.attrs.update({"multiscales": [multiscale | {"version": "0.4"}], "omero": omero})
    else:
        group.attrs["ome"] = {"version": "0.5", "multiscales": [multiscale], "omero": omero}
    said = thymusimg("section", path, "--out", tmp_path / "out")
    assert said.status == 0, said.err
    assert_same(measured(tmp_path / "out"), reference)


def as_rgb(phantom):
    high = [np.percentile(plane, 99.8) for plane in phantom.pixels]
    scaled = [np.clip((p - 100.0) / (h - 100.0), 0, 1) * 255 for p, h in zip(phantom.pixels, high, strict=True)]
    return np.stack([scaled[0], scaled[2], scaled[1]], -1).astype(np.uint8)  # CD45 red, K8 green, K14 blue


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_composite_as_papers_print_it(phantom, reference, tmp_path, suffix):
    path = tmp_path / f"figure.{suffix}"
    Picture.fromarray(as_rgb(phantom)).save(path, **({"quality": 92} if suffix == "jpg" else {}))
    plain_refusal(thymusimg("section", path, *SIZE, "--out", tmp_path / "no"), "--channel")  # a colour is no stain
    said = thymusimg("section", path, *RGB, *SIZE, "--out", tmp_path / "out")
    assert said.status == 0, said.err
    assert_same(measured(tmp_path / "out"), reference, rel=0.2)
    quality = pd.read_csv(tmp_path / "out" / "tables" / "quality.csv")
    assert "semi-quantitative" in " ".join(quality.loc[quality["check"] == "format", "reason"])
    if suffix == "jpg":
        assert "JPEG" in " ".join(quality["reason"].astype(str))


def test_stack_is_refused_until_a_projection_is_chosen(phantom, reference, tmp_path):
    path = tmp_path / "stack.ome.tif"
    dim = (phantom.pixels // 2).astype(np.uint16)
    stack = np.stack([dim, phantom.pixels, dim])  # ZCYX
    tifffile.imwrite(path, stack, photometric="minisblack", metadata={"axes": "ZCYX"})
    plain_refusal(thymusimg("section", path, *MAPPED, *SIZE, "--out", tmp_path / "no"), "3", "--projection")
    said = thymusimg("section", path, *MAPPED, *SIZE, "--projection", "max", "--out", tmp_path / "out")
    assert said.status == 0, said.err
    assert_same(measured(tmp_path / "out"), reference)


def test_one_file_a_stain_and_two_sections_on_a_slide(phantom, reference, tmp_path):
    for role, plane in zip(("cd45", "k14", "k8"), phantom.pixels, strict=True):
        tifffile.imwrite(tmp_path / f"{role}.tif", plane)
    pair = np.concatenate([phantom.pixels, phantom.pixels[..., ::-1]], axis=-1)
    tifffile.imwrite(tmp_path / "pair.tif", pair, photometric="minisblack")
    height, width = phantom.pixels.shape[1:]
    for name, left in (("left", 0), ("right", width)):
        ring = [[left, 0], [left + width, 0], [left + width, height], [left, height], [left, 0]]
        outline = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": {}}
        (tmp_path / f"{name}.geojson").write_text(json.dumps(outline), encoding="utf-8")
    (tmp_path / "study.csv").write_text(
        "section_id,animal,group,path,path_cd45,path_k14,path_k8,roi,pixel_size_um,cd45,k14,k8\n"
        "apart,m1,A,,cd45.tif,k14.tif,k8.tif,,0.65,,,\n"
        "left,m2,A,pair.tif,,,,left.geojson,0.65,0,1,2\n"
        "right,m3,A,pair.tif,,,,right.geojson,0.65,0,1,2\n",
        encoding="utf-8",
    )
    said = thymusimg("run", tmp_path / "study.csv", "--out", tmp_path / "out", "--workers", 1)
    assert said.status == 0, said.err
    rows = pd.read_csv(tmp_path / "out" / "tables" / "sections.csv").set_index("section_id")
    assert_same(rows.loc["apart"], reference)
    assert_same(rows.loc["left"], reference, rel=0.05)
    assert_same(rows.loc["right"], reference, rel=0.05)

"""``thymusimg section`` and ``inspect``: what comes out, and what is said of what cannot be used."""

from __future__ import annotations

import json
import os

import numpy as np
import pandas as pd
import pytest
import tifffile
from cli_runner import plain_refusal, thymusimg

from thymusimg.measurements.columns import TABLES, check_columns
from thymusimg.phantom import make_phantom, write_ome_tiff

CHANNELS = ("hCD45", "KRT14", "KRT8")


def write(path, pixels, names=CHANNELS, size_um=0.65, **options):
    metadata = {"axes": "CYX", "Channel": {"Name": list(names)}}
    if size_um:
        metadata |= {
            "PhysicalSizeX": size_um,
            "PhysicalSizeY": size_um,
            "PhysicalSizeXUnit": "µm",
            "PhysicalSizeYUnit": "µm",
        }
    tifffile.imwrite(path, pixels, metadata=metadata, photometric="minisblack", **options)
    return path


@pytest.fixture(scope="module")
def result(slide, tmp_path_factory):
    out = tmp_path_factory.mktemp("résultats 1")
    said = thymusimg("section", slide, "--out", out)
    assert said.status == 0, said.err
    return out


def test_section_leaves_the_layout_of_a_run(result):
    tables = {p.name for p in (result / "tables").glob("*.csv")}
    written = {*TABLES, "dictionary"} - {"cells", "sensitivity"}  # Parquet alone; only on request
    assert tables == {f"{name}.csv" for name in written}
    assert (result / "tables" / "cells.parquet").exists()
    assert (result / "report.html").stat().st_size > 50_000
    assert json.loads((result / "run.json").read_text(encoding="utf-8"))["inputs"][0]["sha256"]
    assert [p.suffix for p in (result / "sections").iterdir()] == [".zarr"]


@pytest.mark.parametrize("table", [name for name in TABLES if name != "sensitivity"])
def test_every_column_is_declared(result, table):
    check_columns(table, pd.read_parquet(result / "tables" / f"{table}.parquet"))


def test_numbers_are_near_the_truth(lobe_spec, tmp_path):
    """On a lobe of 0.5 mm²: in one of 0.1 mm² tongues of medulla are as wide as the smoothing."""
    phantom = make_phantom(lobe_spec.model_copy(update={"area_mm2": 0.5}), seed=3, pixel_size_um=0.65)
    write_ome_tiff(phantom, tmp_path / "lobe.ome.tif")
    said = thymusimg("section", tmp_path / "lobe.ome.tif", "--out", tmp_path / "out")
    assert said.status == 0, said.err
    row = pd.read_csv(tmp_path / "out" / "tables" / "sections.csv").iloc[0]
    for name, rel in {
        "tissue_area_mm2": 0.05,
        "medulla_area_mm2": 0.1,
        "cortex_area_mm2": 0.12,
        "cd45_count": 0.1,
    }.items():
        assert row[name] == pytest.approx(phantom.truth.values[name], rel=rel), name
    assert row["pixel_size_um"] == 0.65


def test_without_cd45_the_cells_are_skipped_and_said_so(slide, phantom, tmp_path):
    two = write(tmp_path / "two.ome.tif", phantom.pixels[1:], CHANNELS[1:])
    said = thymusimg("section", two, "--out", tmp_path / "out")
    assert said.status == 0, said.err
    assert "no CD45 channel" in said.err
    row = pd.read_csv(tmp_path / "out" / "tables" / "sections.csv").iloc[0]
    assert np.isnan(row["cd45_count"])
    assert "no CD45 channel" in row["cd45_count_reason"]
    assert row["cortex_area_mm2"] > 0


def test_no_cells_is_a_result(untreated_slide, tmp_path):
    said = thymusimg("section", untreated_slide, "--out", tmp_path / "out")
    assert said.status == 0, said.err
    row = pd.read_csv(tmp_path / "out" / "tables" / "sections.csv").iloc[0]
    assert row["cd45_density_per_mm2"] < 100
    assert np.isfinite(row["cd45_log_ratio_cortex_medulla"])  # P3 is finite at 0 cells


def test_inspect(slide):
    said = thymusimg("inspect", slide)
    assert said.status == 0
    for word in ("OME-TIFF", "0.65 µm", "KRT14", "k14", "cd45"):
        assert word in said.out
    facts = json.loads(thymusimg("inspect", slide, "--json").out)
    assert facts["pixel_size_um"] == [0.65, 0.65]
    assert facts["roles"]["k8"]["channel"] == 2


# what cannot be used: one or two plain lines, exit status 2


@pytest.mark.parametrize("command", ["inspect", "section"])
@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("missing.tif", None, ("missing.tif",)),
        ("empty.tif", b"", ("empty.tif", "empty")),
        ("text.tif", b"Dear colleague,\nthe slides are in the other folder.\n", ("text.tif",)),
        ("archive.zip", b"PK\x03\x04" + bytes(60), ("archive.zip",)),
    ],
)
def test_no_image(command, name, content, words, tmp_path):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    options = () if command == "inspect" else ("--out", tmp_path / "out")
    plain_refusal(thymusimg(command, path, *options), *words)
    assert not (tmp_path / "out").exists()


def test_folder(tmp_path):
    plain_refusal(thymusimg("section", tmp_path, "--out", tmp_path / "out"), str(tmp_path))


def test_truncated(slide, tmp_path):
    data = slide.read_bytes()
    path = tmp_path / "cut.ome.tif"
    path.write_bytes(data[: len(data) * 2 // 3])
    plain_refusal(thymusimg("section", path, "--out", tmp_path / "out"), "cut.ome.tif")


@pytest.mark.skipif(os.geteuid() == 0, reason="the administrator may read everything")
def test_no_permission(slide, tmp_path):
    path = tmp_path / "locked.ome.tif"
    path.write_bytes(slide.read_bytes())
    path.chmod(0)
    plain_refusal(thymusimg("section", path, "--out", tmp_path / "out"), "ermission")


def test_one_channel(phantom, tmp_path):
    path = write(tmp_path / "one.ome.tif", phantom.pixels[1:2], ("KRT14",))
    plain_refusal(thymusimg("section", path, "--out", tmp_path / "out"), "K8", "--channel")


def test_ambiguous_channels(phantom, tmp_path):
    path = write(tmp_path / "twice.ome.tif", phantom.pixels[[1, 1, 2]], ("KRT14", "CK14", "KRT8"))
    plain_refusal(thymusimg("section", path, "--out", tmp_path / "out"), "KRT14", "CK14", "--channel")


def test_channels_named_wrongly(slide, tmp_path):
    out = ("--out", tmp_path / "out")
    plain_refusal(thymusimg("section", slide, "--channel", "k14=KRT15", *out), "KRT15", "KRT14")
    plain_refusal(thymusimg("section", slide, "--channel", "k15=1", *out), "k15", "k14")
    plain_refusal(thymusimg("section", slide, "--channel", "k14=1", "--channel", "k8=1", *out), "k14", "k8")


@pytest.mark.parametrize("size_um", [None, 0.001, 40.0])
def test_pixel_size_missing_or_implausible(phantom, tmp_path, size_um):
    path = write(tmp_path / "size.ome.tif", phantom.pixels, size_um=size_um)
    plain_refusal(thymusimg("section", path, "--out", tmp_path / "out"), "--pixel-size")


def test_nan(phantom, tmp_path):
    pixels = phantom.pixels.astype(np.float32)
    pixels[1, 100:110, 100:110] = np.nan
    path = write(tmp_path / "nan.ome.tif", pixels)
    plain_refusal(thymusimg("section", path, "--out", tmp_path / "out"), "nan.ome.tif", "NaN")


def test_constant(phantom, tmp_path):
    path = write(tmp_path / "flat.ome.tif", np.full_like(phantom.pixels, 7))
    plain_refusal(thymusimg("section", path, "--out", tmp_path / "out"), "constant")


def test_one_pixel(tmp_path):
    path = tmp_path / "pixel.tif"
    tifffile.imwrite(path, np.arange(3, dtype=np.uint16).reshape(3, 1, 1), photometric="minisblack")
    channels = [f"--channel={role}={i}" for i, role in enumerate(("cd45", "k14", "k8"))]
    plain_refusal(thymusimg("section", path, *channels, "--pixel-size", "0.5", "--out", tmp_path / "out"))


def test_no_tissue(tmp_path):
    noise = np.random.default_rng(0).poisson(100, (3, 600, 600)).astype(np.uint16)
    path = write(tmp_path / "glass.ome.tif", noise)
    plain_refusal(thymusimg("section", path, "--out", tmp_path / "out"), "tissue")


def test_method_that_is_not_installed(slide, tmp_path):
    plain_refusal(
        thymusimg("section", slide, "--cells", "cellpsoe", "--out", tmp_path / "out"), "cellpsoe", "classical"
    )


def test_device_that_is_not_there(slide, tmp_path):
    said = thymusimg("section", slide, "--device", "cuda:99", "--out", tmp_path / "out")
    plain_refusal(said, "cuda:99", "--device cpu")


def test_output_that_is_a_file(slide, tmp_path):
    (tmp_path / "out").write_text("mine", encoding="utf-8")
    plain_refusal(thymusimg("section", slide, "--out", tmp_path / "out"), "out")
    assert (tmp_path / "out").read_text(encoding="utf-8") == "mine"


def test_unknown_setting(slide, tmp_path):
    (tmp_path / "s.toml").write_text("[cells]\ndiametre_um = 6\n", encoding="utf-8")
    said = thymusimg("section", slide, "--settings", tmp_path / "s.toml", "--out", tmp_path / "out")
    plain_refusal(said, "cells.diametre_um")


def test_debug_shows_the_traceback(tmp_path):
    said = thymusimg("inspect", tmp_path / "missing.tif", "--debug")
    assert said.status == 2
    assert "Traceback" in said.err

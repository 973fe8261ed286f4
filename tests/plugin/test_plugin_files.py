"""Reader, writer, sample data and manifest: what people open and save with the File menu."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from thymusimg.compartments.model import Compartment
from thymusimg.evaluate import evaluate
from thymusimg.evaluate.outlines import draw_compartments, read_shapes
from thymusimg.phantom import make_phantom, write_ome_tiff
from thymusimg.section.model import Window as Part

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def pyramid_slide(lobe_spec: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pyramid") / "pyramid.ome.tif"
    write_ome_tiff(make_phantom(lobe_spec, 6, pixel_size_um=0.325), path, pyramid=True)
    return path


@pytest.fixture(scope="session")
def bundle(slide: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle that the command line leaves of the lobe."""

    out = tmp_path_factory.mktemp("one")
    command = [sys.executable, "-m", "thymusimg", "section", str(slide), "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return next((out / "sections").glob("*.zarr"))


def test_the_manifest_is_valid():
    pytest.importorskip("npe2")
    done = subprocess.run([sys.executable, "-m", "npe2", "validate", "thymusimg"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_command_of_the_manifest_is_there():
    npe2 = pytest.importorskip("npe2")
    from importlib import import_module

    manifest = npe2.PluginManifest.from_distribution("thymusimg")
    for command in manifest.contributions.commands:
        module, name = command.python_name.split(":")
        assert callable(getattr(import_module(module), name)), command.id


def test_a_slide_is_shown_lazily_in_um(window, pyramid_slide):
    from thymusimg.section.readers import open_image

    layers = window.viewer.open(str(pyramid_slide), plugin="thymusimg")
    image = open_image(pyramid_slide)
    assert len(layers) == 3
    for layer in layers:
        said = layer.metadata["thymusimg"]
        assert layer.multiscale
        assert [level.shape for level in layer.data] == [level.shape for level in image.levels]
        assert tuple(map(str, layer.units)) == ("micrometer", "micrometer")
        np.testing.assert_allclose(layer.scale, 0.325)
        part = Part(100, 164, 200, 300)
        read = image.read(0, said["channel"], part)
        np.testing.assert_array_equal(np.asarray(layer.data[0][part.slices]), read)
        low, high = layer.contrast_limits
        assert image.dtype.type(0) < low < high < image.max_value
    assert [layer.name for layer in layers] == ["K8 · KRT8", "K14 · KRT14", "CD45 · hCD45"]
    image.close()
    window.picture("reader_slide", canvas_only=True)


def test_a_large_flat_slide_is_shown_with_overviews(window, tmp_path, monkeypatch, slide):
    from thymusimg_napari import pixels

    from thymusimg.section.readers import open_image

    monkeypatch.setattr(pixels, "SCREEN_PX", 300)
    layers = window.viewer.open(str(slide), plugin="thymusimg")
    window.idle()
    image = open_image(slide)
    height, width = image.levels[0].shape
    for layer in layers:
        channel = layer.metadata["thymusimg"]["channel"]
        full = image.read(0, channel, Part(0, height, 0, width)).astype(float)
        small = np.asarray(layer.data[1])
        assert small.shape == (-(-height // 4), -(-width // 4))
        blocks = full[: height // 4 * 4, : width // 4 * 4].reshape(height // 4, 4, width // 4, 4).mean((1, 3))
        np.testing.assert_allclose(small[: height // 4, : width // 4], blocks, atol=0.51)
        assert layer.contrast_limits[1] > 1
    image.close()


def test_a_bundle_is_shown_whole(window, bundle):
    from thymusimg.section.store import Bundle

    window.viewer.open(str(bundle), plugin="thymusimg")
    layers = {layer.metadata["thymusimg"]["purpose"]: layer for layer in window.viewer.layers}
    assert set(layers) == {"stain", "compartments", "confidence", "cells", "cell points", "junction"}
    kept = Bundle.open(bundle)
    np.testing.assert_array_equal(layers["compartments"].data, kept.label("compartments")[:])
    table = kept.table("cells")
    np.testing.assert_allclose(layers["cell points"].data, table[["y_um", "x_um"]])
    assert set(table.columns) <= set(layers["cell points"].features.columns)
    # a mask lies under its centroid: labels and points are in one frame
    first = table.iloc[len(table) // 2]
    value = layers["cells"].get_value((first["y_um"], first["x_um"]), world=True)
    assert value in (first["cell_id"], 0)
    assert {tuple(map(str, layer.units)) for layer in window.viewer.layers} == {("micrometer", "micrometer")}
    window.picture("reader_bundle")


def test_labels_are_saved_as_zarr_and_measured_as_the_same(window, bundle, tmp_path):
    window.viewer.open(str(bundle), plugin="thymusimg")
    layer = next(x for x in window.viewer.layers if x.metadata["thymusimg"]["purpose"] == "compartments")
    saved = tmp_path / "annotation.zarr"
    assert layer.save(str(saved), plugin="thymusimg") == [str(saved)]
    classes = evaluate(saved, bundle).classes
    present = classes[classes["area_truth_mm2"] > 0]
    assert (present["dice"] == 1).all()


def test_labels_are_saved_as_geojson_and_drawn_back_the_same(window, bundle, tmp_path):
    window.viewer.open(str(bundle), plugin="thymusimg")
    layer = next(x for x in window.viewer.layers if x.metadata["thymusimg"]["purpose"] == "compartments")
    saved = tmp_path / "annotation.geojson"
    layer.save(str(saved), plugin="thymusimg")
    classes = evaluate(saved, bundle).classes
    present = classes[classes["area_truth_mm2"] > 0]
    assert (present["dice"] == 1).all()
    names = {f["properties"]["classification"]["name"] for f in json.loads(saved.read_text())["features"]}
    assert names <= {c.name.capitalize() for c in Compartment}


def test_drawn_outlines_are_saved_where_they_lie(window, slide, tmp_path):
    import pandas as pd
    from thymusimg_napari.layers import UM, Purpose, mark

    square = np.array([[0.0, 0.0], [0.0, 65.0], [65.0, 65.0], [65.0, 0.0]]) + 32.5 - 0.325
    shapes = window.viewer.add_shapes(
        [square], shape_type="polygon", scale=(1.0, 1.0), units=UM, features=pd.DataFrame({"class": ["medulla"]}),
        metadata=mark(Purpose.OUTLINES, "a", slide_pixel_um=0.65),
    )  # fmt: skip
    saved = tmp_path / "drawn.geojson"
    shapes.save(str(saved), plugin="thymusimg")
    labels, _ = draw_compartments(read_shapes(saved), (200, 200), 1.0)
    expected = np.zeros((200, 200), bool)
    expected[50:150, 50:150] = True
    np.testing.assert_array_equal(labels == Compartment.MEDULLA, expected)


def test_an_outline_without_a_class_is_refused(window, tmp_path):
    from thymusimg_napari._writer import write_geojson

    from thymusimg.errors import CallError

    options = {"name": "Shapes", "scale": (1, 1), "metadata": {"thymusimg": {"slide_pixel_um": 0.5}}}
    with pytest.raises(CallError, match="has the class 'Shapes'; known are Cortex"):
        write_geojson(str(tmp_path / "a.geojson"), [([np.eye(3, 2)], options, "shapes")])


def test_samples_open_from_the_menu(window):
    layers = window.viewer.open_sample("thymusimg", "progenitor_10wk")
    assert [layer.metadata["thymusimg"]["role"] for layer in layers] == ["k8", "k14", "cd45"]
    window.picture("sample")
    widget = window.dock("Section")
    window.idle()
    assert widget.open.isEnabled()  # the slide that is shown is looked at
    assert "progenitor_10wk" in widget.facts.text()


def test_there_is_a_sample_of_every_preset():
    npe2 = pytest.importorskip("npe2")
    from thymusimg.phantom import PRESETS

    manifest = npe2.PluginManifest.from_distribution("thymusimg")
    assert {sample.key for sample in manifest.contributions.sample_data} == set(PRESETS)

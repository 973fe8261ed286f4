from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from thymusimg.errors import OutputError, UnreadableError
from thymusimg.section.model import Grid
from thymusimg.section.store import Bundle, BundleContent, LabelImage, plain, write_bundle

GRID = Grid.of((1200, 900), 0.5)


def content(marker: int = 1) -> BundleContent:
    rng = np.random.default_rng(0)
    planes = {role: rng.random(GRID.shape, dtype=np.float32) for role in ("cd45", "k14", "k8")}
    compartments = (rng.random(GRID.shape) * 3).astype(np.uint8)
    cells = np.zeros(GRID.slide_shape, np.uint32)
    cells[100:110, 200:210] = marker
    return BundleContent(
        grid=GRID,
        planes=planes,
        channel_names={"cd45": "hCD45", "k14": "CD11c", "k8": "CD205"},
        limits=dict.fromkeys(planes, (0.0, 1.0)),
        labels={
            "tissue": LabelImage.on_grid((compartments > 0).astype(np.uint8), GRID),
            "compartments": LabelImage.on_grid(compartments, GRID),
            "cells": LabelImage(GRID.slide_shape, "uint32", 0.5, 0.0, lambda w: cells[w.slices]),
        },
        tables={"cells": pd.DataFrame({"cell_id": [1], "x_um": [102.25]})},
        pictures={"composite.jpg": b"\xff\xd8"},
        attributes={"key": "abc"},
    )


def test_what_is_written_is_read_back(tmp_path):
    path = tmp_path / "Schnitt é 1.zarr"
    wanted = content()
    write_bundle(path, wanted)
    bundle = Bundle.open(path)
    assert bundle.attributes["key"] == "abc"
    for role, plane in wanted.planes.items():
        np.testing.assert_array_equal(bundle.planes[role], plane)
    cells = bundle.label("cells")
    assert cells.shape == (1200, 900)
    assert np.asarray(cells[100:110, 200:210]).min() == 1
    assert int(np.count_nonzero(np.asarray(cells[:]))) == 100
    pd.testing.assert_frame_equal(bundle.table("cells"), wanted.tables["cells"])
    assert bundle.picture("composite.jpg") == b"\xff\xd8"
    assert bundle.picture("other.jpg") is None


def test_bundle_is_valid_ome_zarr(tmp_path):
    models = pytest.importorskip("ome_zarr_models")
    import zarr

    path = tmp_path / "s.zarr"
    write_bundle(path, content())
    image = models.open_ome_zarr(zarr.open_group(path, mode="r"), version="0.5")
    assert image.ome_attributes.multiscales[0].datasets[0].path == "0"
    assert sorted(image.labels.ome_attributes.labels) == ["cells", "compartments", "tissue"]
    label = models.open_ome_zarr(zarr.open_group(path / "labels" / "cells", mode="r"), version="0.5")
    assert label.ome_attributes.image_label is not None


def test_coarse_labels_carry_their_translation(tmp_path):
    import zarr

    path = tmp_path / "s.zarr"
    write_bundle(path, content())
    ome = zarr.open_group(path / "labels" / "compartments", mode="r").attrs["ome"]
    scale, translation = ome["multiscales"][0]["datasets"][0]["coordinateTransformations"]
    assert scale["scale"] == [2.0, 2.0]  # factor 4 of 0.5 µm
    assert translation["translation"] == [0.75, 0.75]  # mean of the pixel centres 0, 0.5, 1, 1.5


def test_a_second_write_replaces_the_first_whole(tmp_path):
    path = tmp_path / "s.zarr"
    write_bundle(path, content(1))
    write_bundle(path, content(7))
    assert np.asarray(Bundle.open(path).label("cells")[100, 200]) == 7
    assert [p.name for p in tmp_path.iterdir()] == ["s.zarr"]


def test_a_failed_write_leaves_the_old_bundle(tmp_path):
    path = tmp_path / "s.zarr"
    write_bundle(path, content(1))
    broken = content(2)

    def full(window):
        raise OSError(28, "No space left on device")

    broken.labels["cells"] = LabelImage(GRID.slide_shape, "uint32", 0.5, 0.0, full)
    with pytest.raises(OutputError, match="No space left"):
        write_bundle(path, broken)
    assert np.asarray(Bundle.open(path).label("cells")[100, 200]) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["s.zarr"]


def test_a_folder_that_is_no_bundle_is_refused(tmp_path):
    with pytest.raises(UnreadableError, match="not a result bundle"):
        Bundle.open(tmp_path)


def test_plain_turns_nan_and_numpy_into_json():
    assert plain({"a": np.float32("nan"), "b": (np.int64(2), np.True_)}) == {"a": None, "b": [2, True]}

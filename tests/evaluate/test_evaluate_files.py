"""Every kind of file on either side; grids that do not match; what is left out."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile
import zarr

from thymusimg.errors import CallError, PixelSizeError, UnreadableError
from thymusimg.evaluate import as_json, as_text, evaluate, write_evaluation
from thymusimg.evaluate.outlines import fill
from thymusimg.phantom.truth_bundle import write_truth


@pytest.fixture(scope="module")
def bundle(phantom, tmp_path_factory):
    path = tmp_path_factory.mktemp("truth") / "truth" / "sections" / "s1.zarr"
    path.parent.mkdir(parents=True)
    write_truth(phantom, path, "s1")
    return path


def tiff(path, labels, pixel_um):
    tifffile.imwrite(
        path, labels, metadata={"axes": "YX", "PhysicalSizeX": pixel_um, "PhysicalSizeY": pixel_um}, ome=True
    )
    return path


def outlines(path, labels, factor):
    """Outline every row's runs: exact, however ragged."""
    features = []
    names = {1: "Cortex", 2: "medulla", 3: "Indeterminate", 4: "Cyst", 5: "Other"}
    for code, name in names.items():
        rings = []
        for y, row in enumerate(labels == code):
            edges = np.flatnonzero(np.diff(np.concatenate([[0], row.view(np.int8), [0]])))
            for x0, x1 in edges.reshape(-1, 2) * factor:
                y0, y1 = int(y * factor), int((y + 1) * factor)
                x0, x1 = int(x0), int(x1)
                rings.append([[[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]]])
        if rings:
            geometry = {"type": "MultiPolygon", "coordinates": rings}
            properties = {"objectType": "annotation", "classification": {"name": name}}
            features.append({"type": "Feature", "geometry": geometry, "properties": properties})
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    return path


def dices(found):
    return found.classes.set_index("class")["dice"].drop("cortex-medulla border").dropna()


def test_a_bundle_against_itself_is_perfect(bundle):
    found = evaluate(bundle, bundle)
    assert (dices(found) == 1).all()
    border = found.classes.set_index("class").loc["cortex-medulla border"]
    assert border["boundary_mean_um"] == border["boundary_p95_um"] == 0
    row = found.cells.iloc[0]
    assert row["count_bias"] == 0
    assert row["f1_iou_90"] == row["detection_f1_4um"] == row["kappa_classes"] == 1
    assert row["density_bias"] == 0


def test_run_folder_and_truth_folder(bundle, phantom, tmp_path):
    folder = bundle.parents[2]
    found = evaluate(folder, bundle)  # the folder that holds truth/
    assert list(found.cells["section_id"]) == ["s1"]
    other = tmp_path / "sections" / "elsewhere.zarr"
    other.parent.mkdir()
    write_truth(phantom, other, "s9")
    write_truth(phantom, tmp_path / "sections" / "s8.zarr", "s8")
    with pytest.raises(CallError, match="no section_id in common"):
        evaluate(tmp_path, folder)


def test_tiff_and_outlines_say_the_same_as_the_bundle(bundle, phantom, tmp_path):
    truth = phantom.truth
    labels = truth.labels.copy()
    labels[labels == 255] = 5
    file = tiff(tmp_path / "labels.tif", labels, truth.grid.pixel_um)
    drawn = outlines(tmp_path / "outlines.geojson", labels, truth.grid.factor)
    for one in (file, drawn):
        found = evaluate(one, bundle)
        assert (dices(found).drop("tissue") == 1).all(), one
        assert found.classes["boundary_mean_um"].max() < 1e-9
    assert "pixels of 0.65 µm" in " ".join(found.notes)


def test_a_finer_annotation_over_the_same_ground_is_taken_and_said(bundle, phantom, tmp_path):
    truth, factor = phantom.truth, phantom.truth.grid.factor
    height, width = truth.grid.slide_shape
    fine = np.repeat(np.repeat(truth.labels, factor, 0), factor, 1)[:height, :width]
    found = evaluate(tiff(tmp_path / "fine.tif", fine, phantom.pixel_size_um), bundle)
    assert (dices(found) == 1).all()
    assert any("was repeated over" in n for n in found.notes)


def test_other_grids_are_refused_by_name(bundle, phantom, tmp_path):
    labels = phantom.truth.labels
    for one in (
        tiff(tmp_path / "cut.tif", labels[:-3], phantom.truth.grid.pixel_um),
        tiff(tmp_path / "scaled.tif", labels, 1.5),
    ):
        with pytest.raises(CallError, match="not resampled in silence") as refused:
            evaluate(one, bundle)
        assert str(one) in str(refused.value)
        assert str(bundle) in str(refused.value)


def test_pixel_size_is_asked_for(bundle, phantom, tmp_path):
    path = tmp_path / "bare.tif"
    tifffile.imwrite(path, phantom.truth.labels)
    with pytest.raises(PixelSizeError, match="--pixel-size"):
        evaluate(path, bundle)
    found = evaluate(path, bundle, pixel_size_um=phantom.truth.grid.pixel_um)
    assert dices(found)["medulla"] == 1


def test_labels_of_cells(bundle, phantom, tmp_path):
    path = tiff(tmp_path / "cells.tif", phantom.truth.instances.astype(np.uint16), phantom.pixel_size_um)
    found = evaluate(path, bundle)
    assert found.classes.empty
    row = found.cells.iloc[0]
    assert row["f1_iou_90"] == 1
    assert "holds no compartments" in row["reason"]
    alone = evaluate(bundle / "labels" / "cells", bundle)
    assert alone.cells.iloc[0]["count_bias"] == 0


def test_ome_zarr_labels_of_another_program(bundle, tmp_path):
    store = zarr.open_group(tmp_path / "other.zarr", mode="w", zarr_format=2)
    source = zarr.open_group(bundle / "labels" / "compartments", mode="r")
    array = np.asarray(source["0"])
    store.create_array("0", data=array)
    scale = source.attrs["ome"]["multiscales"]
    store.attrs["multiscales"] = [{**scale[0], "version": "0.4"}]
    assert dices(evaluate(tmp_path / "other.zarr", bundle))["cortex"] == 1


def test_artefact_of_the_truth_is_left_out_or_scored(bundle, phantom, tmp_path):
    labels = phantom.truth.labels.copy()
    spoilt = labels.copy()
    spoilt[: labels.shape[0] // 2][labels[: labels.shape[0] // 2] > 0] = 255
    pixel = phantom.truth.grid.pixel_um
    result, truth = tiff(tmp_path / "r.tif", labels, pixel), tiff(tmp_path / "t.tif", spoilt, pixel)
    assert dices(evaluate(result, truth))["cortex"] == 1
    assert dices(evaluate(result, truth, score_artefact=True))["cortex"] < 0.8
    assert dices(evaluate(result, truth))["artefact"] == 0
    assert dices(evaluate(truth, result))["cortex"] < 0.8  # the result's artefact is an error, the truth's is not
    assert dices(evaluate(truth, result, annotators=True))["cortex"] == 1
    cells = evaluate(bundle, bundle).cells.iloc[0]["count_truth"]
    assert cells > 0


def test_absent_classes(bundle, phantom, tmp_path):
    labels = phantom.truth.labels.copy()
    labels[labels == 2] = 1
    pixel = phantom.truth.grid.pixel_um
    found = evaluate(tiff(tmp_path / "r.tif", labels, pixel), bundle).classes.set_index("class")
    assert found.loc["medulla", "dice"] == 0
    assert "absent in result" in found.loc["medulla", "reason"]
    assert np.isnan(found.loc["cyst", "dice"])
    assert "absent in both" in found.loc["cyst", "reason"]
    assert "no cortex borders on medulla in result" in found.loc["cortex-medulla border", "reason"]


@pytest.mark.parametrize(
    ("name", "content", "error", "words"),
    [
        ("no.zarr", None, CallError, "no such file"),
        ("x.geojson", "{", UnreadableError, "no GeoJSON"),
        ("y.geojson", '{"type": "FeatureCollection", "features": []}', UnreadableError, "no polygon"),
        ("z.geojson", '{"type": "Feature", "geometry": {"type": "Polygon", "coordinates": []}, "properties": '
         '{"classification": {"name": "Tumor"}}}', UnreadableError, "Tumor"),
        ("w.tif", "not a tiff", UnreadableError, "w.tif"),
    ],
)  # fmt: skip
def test_bad_files_are_named(bundle, tmp_path, name, content, error, words):
    path = tmp_path / name
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(error, match=words):
        evaluate(path, bundle)


def test_an_empty_folder_is_refused(bundle, tmp_path):
    with pytest.raises(CallError, match="is none of what can be compared"):
        evaluate(tmp_path, bundle)


def test_fill_against_a_disc():
    angle = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    ring = 50 + 30 * np.stack([np.sin(angle), np.cos(angle)], axis=1)
    hole = 50 + 10 * np.stack([np.sin(angle), np.cos(angle)], axis=1)
    y, x = np.indices((100, 100)) + 0.5
    r = np.hypot(y - 50, x - 50)
    found = fill([ring, hole], (100, 100), 1.0)
    assert np.count_nonzero(found != ((r < 30) & (r > 10))) <= 8


def test_output(bundle, tmp_path):
    found = evaluate(bundle, bundle)
    text = as_text(found)
    assert "cortex-medulla border" in text
    assert "Note: what the truth calls artefact" in text
    record = json.loads(as_json(found))
    assert record["cells"][0]["f1_iou_50"] == 1
    names = {p.name for p in write_evaluation(found, tmp_path / "out")}
    assert names == {"classes.csv", "cells.csv", "evaluation.json"}


def test_of_two_annotators_neither_is_the_truth(bundle, phantom, tmp_path):
    labels = phantom.truth.labels.copy()
    labels[labels == 2] = 1
    found = evaluate(tiff(tmp_path / "a.tif", labels, phantom.truth.grid.pixel_um), bundle, annotators=True)
    text, record = as_text(found), as_json(found)
    assert "annotator A" in text
    assert "absent in annotator A" in text
    for word in ("truth", "result"):
        tables = {k: v for k, v in json.loads(record).items() if k != "notes"}
        assert word not in json.dumps(tables).replace(str(bundle), "")


def test_labels_may_be_any_numbers(bundle, phantom, tmp_path):
    far = phantom.truth.instances.astype(np.int64)
    far[far > 0] += 3_000_000_000
    path = tiff(tmp_path / "far.tif", far.astype(np.uint32), phantom.pixel_size_um)
    assert evaluate(path, bundle).cells.iloc[0]["f1_iou_90"] == 1

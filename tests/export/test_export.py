from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from thymusimg.cells.model import CellMasks
from thymusimg.errors import CallError, MissingExtraError, UnreadableError
from thymusimg.export import objects
from thymusimg.export.outlines import outline_mask, polygon_area
from thymusimg.export.write import export_run
from thymusimg.section.model import Grid
from thymusimg.section.roi import read_roi
from thymusimg.section.store import BundleContent, LabelImage, write_bundle
from thymusimg.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

PIXEL_UM = 0.5
CENTRES = np.array([(100, 120), (101, 133), (310, 200), (500, 640)])


def cell_masks() -> CellMasks:
    disc = np.hypot(*(np.mgrid[-6:7, -6:7])) < 6.2
    boxes = np.stack([CENTRES[:, 0] - 6, CENTRES[:, 0] + 7, CENTRES[:, 1] - 6, CENTRES[:, 1] + 7], axis=1)
    starts = np.arange(len(CENTRES) + 1, dtype=np.int64) * disc.size
    return CellMasks(boxes.astype(np.int32), starts, np.tile(disc.ravel(), len(CENTRES)))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as a run leaves it: one section with a ring of cortex, two islets with a hole, four cells."""
    folder = tmp_path_factory.mktemp("run")
    grid = Grid.of((610, 810), PIXEL_UM)  # the last block is cut
    labels = np.zeros(grid.shape, np.uint8)
    labels[10:, 10:190] = 1
    labels[30:80, 30:90], labels[50:60, 50:60] = 2, 4
    labels[30:50, 120:150] = 2
    cells = pd.DataFrame(
        {
            "cell_id": np.arange(4) + 1,
            "y_um": CENTRES[:, 0] * PIXEL_UM,
            "x_um": CENTRES[:, 1] * PIXEL_UM,
            "area_um2": np.full(4, 121 * PIXEL_UM**2),
            "compartment": ["cortex"] * 4,
            "mean_cd45": [90.0, 80.0, 70.0, 60.0],
            "mean_k14": [1.0, 2.0, 3.0, 4.0],
        }
    )
    names = ("background", "cortex", "medulla", "indeterminate", "cyst", "other")
    rows = [
        {"section_id": "s 1", "animal": "m1", "group": "g", "compartment": name, "reason": ""}
        | {"area_mm2": float((labels == code).sum()) * grid.pixel_area_mm2}
        for code, name in enumerate(names)
        if code
    ]
    junction = pd.DataFrame({"piece": [0, 0, 1, 1, 1], "y_um": [60.0] * 5, "x_um": [60.0, 80, 240, 250, 260]})
    masks = cell_masks()
    content = BundleContent(
        grid=grid,
        planes={"cd45": np.ones(grid.shape, np.float32), "k14": np.zeros(grid.shape, np.float32)},
        channel_names={"cd45": "hCD45", "k14": "K14"},
        limits={"cd45": (0.0, 1.0), "k14": (0.0, 1.0)},
        labels={
            "compartments": LabelImage.on_grid(labels, grid),
            "cells": LabelImage((610, 810), "uint32", PIXEL_UM, 0.0, masks.paint),
        },
        tables={"compartments": pd.DataFrame(rows), "junction": junction, "cells": cells},
        pictures={},
        attributes={
            "section": {"section_id": "s 1", "cmj_length_mm": 0.2},
            "slide": {"shape": [610, 810], "pixel_size_um": PIXEL_UM},
            "settings": Settings().model_dump(mode="json"),
        },
    )
    write_bundle(folder / "sections" / "s 1.zarr", content)
    write_tables(folder / "tables", cells, pd.DataFrame(rows))
    return folder


def write_tables(tables: Path, cells: pd.DataFrame, compartments: pd.DataFrame) -> None:
    tables.mkdir()
    sections = pd.DataFrame(
        {
            "section_id": ["s 1"],
            "animal": ["m1"],
            "group": ["g"],
            "cd45_count": pd.array([4], "Int64"),
            "cd45_count_reliable": pd.array([True], "boolean"),
            "cmj_width_um": [np.nan],
            "cmj_width_um_reason": ["no medulla was found"],
        }
    )
    animals = pd.DataFrame({"animal": ["m1"], "group": ["g"], "cd45_count": [4.0]})
    curves = pd.DataFrame(
        {
            "section_id": ["s 1"],
            "animal": ["m1"],
            "group": ["g"],
            "curve": ["cd45_profile_cmj"],
            "compartment": [""],
        }
        | {"x": [12.5], "value": [7.0], "low": [1.0], "high": [9.0], "weight": [0.1], "reason": [""]}
    )
    frames = {"sections": sections, "compartments": compartments, "animals": animals, "curves": curves}
    for name, frame in (frames | {"cells": cells.assign(section_id="s 1")}).items():
        frame.to_parquet(tables / f"{name}.parquet")


@pytest.fixture(scope="module")
def features(run: Path) -> list[dict[str, Any]]:
    (path,) = export_run(run, "geojson")
    assert path == run / "export" / "s 1.geojson"
    collection = json.loads(path.read_text(encoding="utf-8"))
    assert collection["type"] == "FeatureCollection"
    return collection["features"]


def named(features: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [f for f in features if f["properties"]["classification"]["name"] == name]


def area_px(feature: dict[str, Any]) -> float:
    geometry = feature["geometry"]
    polygons = geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]
    return sum(polygon_area([np.array(ring)[:, ::-1] for ring in polygon]) for polygon in polygons)


def test_outlines_enclose_the_mask_to_half_a_pixel_a_ring() -> None:
    rng = np.random.default_rng(0)
    from scipy import ndimage

    for seed in range(5):
        mask = ndimage.gaussian_filter(rng.normal(size=(80, 90)), 2 + seed) > 0
        polygons = outline_mask(mask)
        rings = sum(len(p) for p in polygons)
        holes = rings - len(polygons)
        # every ring encloses half a pixel too little, those of holes too
        assert sum(map(polygon_area, polygons)) == pytest.approx(mask.sum() - len(polygons) / 2 + holes / 2)
        for polygon in polygons:
            for ring in polygon:
                assert (ring[0] == ring[-1]).all()
                assert len(np.unique(ring[:-1], axis=0)) == len(ring) - 1 >= 4  # a simple ring
    assert outline_mask(np.zeros((4, 4), bool)) == []


def test_pieces_that_touch_at_a_corner_are_two_polygons() -> None:
    mask = np.zeros((6, 6), bool)
    mask[1:3, 1:3] = mask[3:5, 3:5] = True
    assert [len(p) for p in outline_mask(mask)] == [1, 1]


def test_every_area_is_that_of_its_label(features: list[dict[str, Any]]) -> None:
    for name in ("Cortex", "Medulla", "Cyst"):
        (feature,) = named(features, name)
        wanted = feature["properties"]["measurements"]["area_mm2"] * 1e6 / PIXEL_UM**2
        # the last blocks of the grid are cut by the image: the label counts them whole
        assert area_px(feature) == pytest.approx(wanted, rel=0.01)
    assert len(named(features, "Cortex")[0]["geometry"]["coordinates"]) >= 2  # rings: cortex has holes


def test_outlines_lie_on_the_image_in_full_resolution_pixels(features: list[dict[str, Any]]) -> None:
    (feature,) = named(features, "Cortex")
    x, y = np.concatenate([np.array(ring) for ring in feature["geometry"]["coordinates"]]).T
    # rows and columns from 10 of blocks of 4 pixels; the image ends at 610
    assert (x.min(), x.max(), y.min(), y.max()) == (40, 760, 40, 610)


def test_islets_junction_and_cells(features: list[dict[str, Any]]) -> None:
    islets = named(features, "Islet")
    assert [f["properties"]["measurements"]["area_um2"] for f in islets] == [(3000 - 100) * 4.0, 600 * 4.0]
    (junction,) = named(features, "Corticomedullary junction")
    assert junction["geometry"]["type"] == "MultiLineString"
    # the centre of the first pixel is 0 µm, and half a pixel from the corner
    assert junction["geometry"]["coordinates"][0][0] == [60 / PIXEL_UM + 0.5, 60 / PIXEL_UM + 0.5]
    cells = named(features, "CD45+")
    assert [f["properties"]["objectType"] for f in cells] == ["detection"] * 4
    for feature, (y, x) in zip(cells, CENTRES, strict=True):
        ring = np.array(feature["geometry"]["coordinates"][0])
        assert (ring.min(0) + ring.max(0)) / 2 == pytest.approx([x + 0.5, y + 0.5])
        assert area_px(feature) == pytest.approx(121, rel=0.01)
    assert cells[0]["properties"]["measurements"]["mean_cd45"] == 90


def test_features_are_what_qupath_reads(features: list[dict[str, Any]]) -> None:
    ids = [f["id"] for f in features]
    assert len(set(ids)) == len(ids)
    for feature in features:
        properties = feature["properties"]
        red, green, blue = properties["classification"]["color"]
        assert properties["classification"]["colorRGB"] & 0xFFFFFF == red << 16 | green << 8 | blue
        assert properties["classification"]["colorRGB"] < 0  # opaque, as Java packs it
        assert all(isinstance(v, float) for v in properties["measurements"].values())


def test_the_outlines_are_read_back_as_a_region(run: Path, features: list[dict[str, Any]]) -> None:
    (feature,) = named(features, "Medulla")
    rings = read_roi(run / "export" / "s 1.geojson", PIXEL_UM, feature["properties"]["name"])
    assert len(rings) == 3


def test_same_run_same_bytes(run: Path, tmp_path: Path) -> None:
    (first,) = export_run(run, "geojson")
    (second,) = export_run(run, "geojson", tmp_path / "again")
    assert first.read_bytes() == second.read_bytes()
    (few,) = export_run(run, "geojson", tmp_path / "few", cells=False)
    assert not named(json.loads(few.read_text(encoding="utf-8"))["features"], "CD45+")


def test_tidy_table_holds_every_value_with_unit_and_reason(run: Path, tmp_path: Path) -> None:
    paths = list(export_run(run, "csv", tmp_path))
    table = pd.read_parquet(paths[1])
    assert [p.name for p in paths] == ["tidy.csv", "tidy.parquet"]
    one = table[table["level"] == "section"].set_index("column")
    assert one.loc["cd45_count", ["value", "unit"]].tolist() == [4, "count"]
    assert one.loc["cd45_count_reliable", "value"] == 1
    assert np.isnan(one.loc["cmj_width_um", "value"])
    assert one.loc["cmj_width_um", "reason"] == "no medulla was found"
    curve = table[table["level"] == "curve"].iloc[0]
    assert (curve["column"], curve["x"], curve["value"], curve["unit"]) == ("cd45_profile_cmj", 12.5, 7.0, "1/mm²")
    assert set(table["level"]) == {"section", "compartment", "animal", "curve"}
    assert len(pd.read_csv(paths[0])) == len(table)


def test_wrong_calls_are_refused_in_plain_words(run: Path, tmp_path: Path) -> None:
    with pytest.raises(CallError, match="--to xml: not a format"):
        list(export_run(run, "xml"))
    with pytest.raises(UnreadableError, match="thymusimg run"):
        list(export_run(tmp_path, "csv"))


def test_a_missing_library_is_answered_with_the_line_to_type(monkeypatch: pytest.MonkeyPatch, run: Path) -> None:
    def missing(name: str) -> None:
        raise ImportError(f"No module named '{name}'")

    monkeypatch.setattr(objects, "import_module", missing)
    for format_name in ("anndata", "spatialdata"):
        with pytest.raises(MissingExtraError, match=r"pip install 'thymusimg\[export\]'"):
            list(export_run(run, format_name))


def test_anndata_holds_cells_by_stains(run: Path, tmp_path: Path) -> None:
    anndata = pytest.importorskip("anndata")
    (path,) = export_run(run, "anndata", tmp_path)
    cells = anndata.read_h5ad(path)
    assert cells.shape == (4, 2)
    assert cells.var_names.tolist() == ["mean_cd45", "mean_k14"]
    assert np.array_equal(cells.obsm["spatial"], CENTRES[:, ::-1] * PIXEL_UM)
    assert cells.obs["animal"].tolist() == ["m1"] * 4
    assert cells.uns["units"]["area_um2"] == "µm²"

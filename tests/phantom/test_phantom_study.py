from __future__ import annotations

import csv
import hashlib
import tomllib
from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
import tifffile

from thymusimg.errors import CallError, CancelledError, OutputError, SettingsError
from thymusimg.phantom import PhantomSpec, make_phantom, write_ome_tiff
from thymusimg.phantom.recipe import read_recipes, write_recipes
from thymusimg.phantom.sample_study import find_sample_data, write_sample_study
from thymusimg.phantom.study import write_phantoms
from thymusimg.section.store import Bundle

if TYPE_CHECKING:
    from pathlib import Path


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_file_is_an_ome_tiff_as_microscopes_write_it(tmp_path: Path) -> None:
    phantom = make_phantom(PhantomSpec(area_mm2=0.02), 1, pixel_size_um=0.65)
    path = tmp_path / "section.ome.tif"
    write_ome_tiff(phantom, path)
    with tifffile.TiffFile(path) as tif:
        assert tif.is_ome
        assert np.array_equal(tif.asarray(), phantom.pixels)
        page = tif.pages[0]
        assert page.is_tiled
        assert page.tilewidth == 512
        ome = tifffile.xml2dict(tif.ome_metadata)["OME"]["Image"]["Pixels"]
    assert [c["Name"] for c in ome["Channel"]] == ["hCD45", "KRT14", "KRT8"]
    assert ome["PhysicalSizeX"] == pytest.approx(0.65)
    assert ome["PhysicalSizeYUnit"] == "µm"
    assert ome["SignificantBits"] == 16


def test_same_phantom_same_file(tmp_path: Path) -> None:
    phantom = make_phantom(PhantomSpec(area_mm2=0.02), 1, pixel_size_um=1.0)
    for name in ("a", "b"):
        write_ome_tiff(phantom, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_pyramids_halve(tmp_path: Path) -> None:
    phantom = make_phantom(PhantomSpec(area_mm2=0.02), 1, size_mm=1.3, pixel_size_um=1.0)
    write_ome_tiff(phantom, tmp_path / "p.ome.tif", pyramid=True)
    with tifffile.TiffFile(tmp_path / "p.ome.tif") as tif:
        shapes = [level.shape for level in tif.series[0].levels]
    assert shapes == [(3, 1300, 1300), (3, 650, 650)]


def test_write_phantoms_leaves_table_images_and_truth(tmp_path: Path) -> None:
    table = write_phantoms("cd34_10wk", tmp_path / "out", seed=3, count=3, size_mm=0.4, pixel_size_um=1.0)
    rows = _rows(table)
    assert len(rows) == 3
    assert len({r["animal"] for r in rows}) == 2
    assert all((table.parent / r["path"]).is_file() for r in rows)
    bundle = Bundle.open(tmp_path / "out" / "truth" / "sections" / f"{rows[0]['section_id']}.zarr")
    assert bundle.label("compartments").shape == (200, 200)
    assert bundle.label("cells").shape == (400, 400)
    assert np.asarray(bundle.label("tissue")[:]).any()
    assert bundle.planes["k8"].max() > 0.5
    assert bundle.attributes["section"]["cortex_area_mm2"] > 0
    cells = pd.read_parquet(tmp_path / "out" / "truth" / "tables" / "cells.parquet")
    assert set(cells["section_id"]) <= {r["section_id"] for r in rows}
    sections = pd.read_csv(tmp_path / "out" / "truth" / "tables" / "sections.csv")
    assert list(sections["section_id"]) == [r["section_id"] for r in rows]


def test_bytes_do_not_depend_on_the_count(tmp_path: Path) -> None:
    write_phantoms("cd34_10wk", tmp_path / "one", seed=3, count=1, size_mm=0.2, pixel_size_um=1.0)
    table = write_phantoms("cd34_10wk", tmp_path / "two", seed=3, count=2, size_mm=0.2, pixel_size_um=1.0)
    name = _rows(table)[0]["path"]
    assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.mark.parametrize(("preset", "cd34"), [("null", "cd34_10wk"), ("reversed", "progenitor_10wk")])
def test_presets_that_keep_the_software_honest_are_two_groups(tmp_path: Path, preset: str, cd34: str) -> None:
    rows = _rows(write_phantoms(preset, tmp_path, seed=1, count=4, size_mm=0.2, pixel_size_um=1.5))
    groups = defaultdict(set)
    for row in rows:
        groups[row["group"]].add(row["notes"].split("preset ")[1].split(",")[0])
    assert groups == {"CD34": {cd34}, "progenitors": {"cd34_10wk"}}


def test_wrong_calls_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no preset"):
        write_phantoms("wildtype", tmp_path)
    with pytest.raises(CallError, match="count"):
        write_phantoms("null", tmp_path, count=0)
    blocked = tmp_path / "file"
    blocked.write_text("x")
    with pytest.raises(OutputError, match="file"):
        write_phantoms("null", blocked, size_mm=0.2, pixel_size_um=1.5)


def test_the_recipe_is_a_sound_study() -> None:
    recipes = read_recipes(find_sample_data() / "recipe.csv")
    animals = defaultdict(set)
    batches = defaultdict(set)
    for r in recipes:
        animals[r.group].add(r.animal)
        batches[r.group].add(r.batch)
    assert {g: len(a) for g, a in animals.items()} == {"untreated NSG": 3, "CD34": 5, "progenitors": 5}
    assert len(recipes) == 2 * sum(map(len, animals.values()))
    assert len({r.section_id for r in recipes}) == len(recipes)
    assert len({r.seed for r in recipes}) == len(recipes)
    assert all(b == {"B1", "B2"} for b in batches.values())


def test_recipes_survive_the_table(tmp_path: Path) -> None:
    recipes = read_recipes(find_sample_data() / "recipe.csv")
    write_recipes(tmp_path / "again.csv", recipes)
    assert read_recipes(tmp_path / "again.csv") == recipes


def test_the_sample_study_names_its_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # three small sections stand for the 26: the drawing itself is tested elsewhere
    recipe = tmp_path / "recipe"
    recipe.mkdir()
    whole = read_recipes(find_sample_data() / "recipe.csv")
    small = [
        type(r)(**{**vars(r), "area_mm2": 0.02, "pixel_size_um": 1.3}) for r in (whole[0], whole[6], whole[-1])
    ]
    write_recipes(recipe / "recipe.csv", small)
    (recipe / "study.toml").write_bytes((find_sample_data() / "study.toml").read_bytes())
    monkeypatch.setattr("thymusimg.phantom.sample_study.find_sample_data", lambda: recipe)
    seen: list[float] = []
    toml = write_sample_study(tmp_path / "run", progress=lambda _stage, fraction: seen.append(fraction))
    settings = tomllib.loads(toml.read_text(encoding="utf-8"))["study"]
    rows = _rows(toml.parent / settings["table"])
    assert settings["reference"] in {r["group"] for r in rows}
    assert len(settings["primary"]) == 3
    assert [r["negative_control"] for r in rows] == ["yes", "", ""]
    assert seen[-1] == 1
    first = toml.parent / rows[0]["path"]
    digest = hashlib.sha256(first.read_bytes()).hexdigest()
    again = write_sample_study(tmp_path / "again").parent / rows[0]["path"]
    assert hashlib.sha256(again.read_bytes()).hexdigest() == digest


def test_progress_can_cancel(tmp_path: Path) -> None:
    def stop(_stage: str, _fraction: float) -> None:
        raise CancelledError("enough")

    with pytest.raises(CancelledError):
        write_phantoms("null", tmp_path, count=4, size_mm=0.2, pixel_size_um=1.5, progress=stop)

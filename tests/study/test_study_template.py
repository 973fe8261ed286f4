from __future__ import annotations

import csv
import io
import tomllib
from typing import TYPE_CHECKING

import pytest

from thymusimg.errors import CallError, StudyTableError
from thymusimg.settings import Settings
from thymusimg.study.design import load_study
from thymusimg.study.template import init_study

if TYPE_CHECKING:
    from pathlib import Path


def slides(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".zarr"):
            path.mkdir()
            (path / "0.tif").write_bytes(b"")
        else:
            path.write_bytes(b"")


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_slides_become_rows_and_nothing_is_guessed(tmp_path: Path) -> None:
    slides(tmp_path, "CD34 m10.ome.tif", "CD34 m2.OME.TIF", "x.zarr", "notes.txt", ".hidden.tif", "sub/é.czi")
    _, text = init_study(tmp_path)
    table = rows(text)
    assert [row["section_id"] for row in table] == ["CD34_m2", "CD34_m10", "é", "x"]
    assert [row["path"] for row in table] == ["CD34 m2.OME.TIF", "CD34 m10.ome.tif", "sub/é.czi", "x.zarr"]
    assert all(row["animal"] == row["group"] == "" for row in table)


def test_ids_differ_and_are_safe(tmp_path: Path) -> None:
    slides(tmp_path, "a/s.tif", "b/s.tif", "c/S.czi", "con.tif", "a_s.tif", "+.tiff")
    ids = [row["section_id"] for row in rows(init_study(tmp_path)[1])]
    assert len({name.casefold() for name in ids}) == 6
    assert {"a_s", "b_s", "c_S", "section_con", "section"} <= set(ids)


def test_the_toml_is_one_and_its_comments_are_settings(tmp_path: Path) -> None:
    slides(tmp_path, "a.tif")
    toml, _ = init_study(tmp_path)
    assert Settings.from_mapping(tomllib.loads(toml)).study.table == "study.csv"
    uncommented = "\n".join(line.removeprefix("# ") if " = " in line else line for line in toml.splitlines())
    settings = Settings.from_mapping(tomllib.loads(uncommented))
    assert len(settings.study.primary) == 3


def test_a_run_waits_until_it_is_filled_in(tmp_path: Path) -> None:
    slides(tmp_path, "a.tif", "b.tif")
    toml, text = init_study(tmp_path)
    (tmp_path / "study.toml").write_text(toml, encoding="utf-8")
    (tmp_path / "study.csv").write_text(text, encoding="utf-8-sig")
    with pytest.raises(StudyTableError, match="rows 2-3, column 'animal': empty"):
        load_study(tmp_path / "study.toml")
    filled = text.replace("a.tif,,", "a.tif,m1,g").replace("b.tif,,", "b.tif,m2,h")
    (tmp_path / "study.csv").write_text(filled, encoding="utf-8-sig")
    assert load_study(tmp_path / "study.toml").groups == ("g", "h")


def test_no_folder_no_slides(tmp_path: Path) -> None:
    with pytest.raises(CallError, match="no slides found"):
        init_study(tmp_path)
    with pytest.raises(CallError, match="is not a folder"):
        init_study(tmp_path / "none")

from __future__ import annotations

import csv
import io
import tomllib
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from thymusimg.errors import CallError, StudyTableError
from thymusimg.settings import Settings
from thymusimg.study.design import load_study
from thymusimg.study.template import Template, init_study
from thymusimg.study.template_look import Looked, look_at

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


def unread(path: Path) -> list[Looked]:
    return [Looked()]


def init(folder: Path, *looked: Looked, **options: object) -> Template:
    """Start a study without opening the slides: each says ``looked``, or nothing."""
    return init_study(folder, look=(lambda _: list(looked)) if looked else unread, **options)


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def write_ome(path: Path, names: tuple[str, ...], pixel_um: float | None) -> None:
    size = {} if pixel_um is None else {
        "PhysicalSizeX": pixel_um, "PhysicalSizeY": pixel_um, "PhysicalSizeXUnit": "µm", "PhysicalSizeYUnit": "µm",
    }  # fmt: skip
    pixels = np.zeros((len(names), 32, 40), np.uint16)
    tifffile.imwrite(path, pixels, photometric="minisblack",
                     metadata={"axes": "CYX", "Channel": {"Name": list(names)}, **size})  # fmt: skip


def test_slides_become_rows_and_nothing_is_guessed(tmp_path: Path) -> None:
    slides(tmp_path, "CD34 m10.ome.tif", "CD34 m2.OME.TIF", "x.zarr", "notes.txt", ".hidden.tif", "sub/é.czi")
    table = rows(init(tmp_path).table)
    assert [row["section_id"] for row in table] == ["CD34_m2", "CD34_m10", "é", "x"]
    assert [row["path"] for row in table] == ["CD34 m2.OME.TIF", "CD34 m10.ome.tif", "sub/é.czi", "x.zarr"]
    assert all(row["animal"] == row["group"] == "" for row in table)
    flat = rows(init(tmp_path, subfolders=False).table)
    assert [row["section_id"] for row in flat] == ["CD34_m2", "CD34_m10", "x"]


def test_ids_differ_and_are_safe(tmp_path: Path) -> None:
    slides(tmp_path, "a/s.tif", "b/s.tif", "c/S.czi", "con.tif", "a_s.tif", "+.tiff")
    ids = [row["section_id"] for row in rows(init(tmp_path).table)]
    assert len({name.casefold() for name in ids}) == 6
    assert {"a_s", "b_s", "c_S", "section_con", "section"} <= set(ids)


def test_previews_are_left_out_unless_there_is_nothing_else(tmp_path: Path) -> None:
    slides(tmp_path, "thumbnails/a.jpg", "b.png")
    assert len(rows(init(tmp_path).table)) == 2
    slides(tmp_path, "a.czi", "staining.txt")
    template = init(tmp_path)
    assert [row["path"] for row in rows(template.table)] == ["a.czi"]
    assert "Left out: 2 JPEG or PNG (previews) and 1 other file." in template.said


def test_the_results_of_a_run_are_no_slides(tmp_path: Path) -> None:
    slides(tmp_path, "a.czi", "results/sections/a.zarr", "results/run.json")
    assert [row["path"] for row in rows(init(tmp_path).table)] == ["a.czi"]


def test_the_toml_is_one_and_its_comments_are_settings(tmp_path: Path) -> None:
    slides(tmp_path, "a.tif")
    toml = init(tmp_path, Looked(channels=("a # b", "]\\"))).toml
    assert Settings.from_mapping(tomllib.loads(toml)).study.table == "study.csv"
    uncommented = "\n".join(line.removeprefix("# ") if " = " in line else line for line in toml.splitlines())
    settings = Settings.from_mapping(tomllib.loads(uncommented))
    assert len(settings.study.primary) == 3


def test_a_run_waits_until_it_is_filled_in(tmp_path: Path) -> None:
    slides(tmp_path, "a.tif", "b.tif")
    template = init(tmp_path)
    (tmp_path / "study.toml").write_text(template.toml, encoding="utf-8")
    (tmp_path / "study.csv").write_text(template.table, encoding="utf-8-sig", newline="")
    with pytest.raises(StudyTableError, match="rows 2-3, column 'animal': empty"):
        load_study(tmp_path / "study.toml")
    filled = template.table.replace("a.tif,,", "a.tif,m1,g").replace("b.tif,,", "b.tif,m2,h")
    (tmp_path / "study.csv").write_text(filled, encoding="utf-8-sig", newline="")
    assert load_study(tmp_path / "study.toml").groups == ("g", "h")


def test_no_folder_no_slides(tmp_path: Path) -> None:
    with pytest.raises(CallError, match="no slides found"):
        init_study(tmp_path)
    with pytest.raises(CallError, match="is not a folder"):
        init_study(tmp_path / "none")


def test_what_the_slide_says_stands_in_the_table(tmp_path: Path) -> None:
    write_ome(tmp_path / "named.ome.tif", ("hCD45", "KRT14 AF488", "K8"), 0.65)
    write_ome(tmp_path / "odd.ome.tif", ("Ch1-T1", "Ch2-T2", "405"), None)
    template = init_study(tmp_path)
    named, odd = rows(template.table)
    assert [named[role] for role in ("cd45", "k14", "k8", "dapi", "pixel_size_um")] == [
        "hCD45", "KRT14 AF488", "K8", "", "",
    ]  # fmt: skip
    assert [odd[role] for role in ("cd45", "k14", "k8", "dapi", "pixel_size_um")] == ["?", "?", "?", "", "?"]
    said = "\n".join(template.said)
    assert "0 'Ch1-T1', 1 'Ch2-T2', 2 '405'" in said
    assert "CD45, K14 or K8" in said
    assert "odd.ome.tif has no pixel size" in said
    assert "the other slides say 0.65" in said
    assert "# Channels of 1 section: 0 'Ch1-T1'" in template.toml


def test_the_cells_left_open_are_named(tmp_path: Path) -> None:
    write_ome(tmp_path / "odd.ome.tif", ("Ch1-T1", "Ch2-T2", "405"), None)
    table = init_study(tmp_path).table.replace("odd.ome.tif,?,,", "odd.ome.tif,?,m1,g")
    (tmp_path / "study.csv").write_text(table, encoding="utf-8-sig", newline="")
    with pytest.raises(StudyTableError) as refused:
        load_study(tmp_path / "study.csv")
    text = str(refused.value)
    assert "row 2, column 'pixel_size_um': still '?': type µm per pixel" in text
    assert "row 2, column 'k14': still '?': type the number (from 0)" in text
    assert "dapi" not in text
    for what, answer in (("?,m1", "0.5,m1"), (",?,?,?,", ",0,1,2,")):
        table = table.replace(what, answer)
    (tmp_path / "study.csv").write_text(table, encoding="utf-8-sig", newline="")
    (row,) = load_study(tmp_path / "study.csv").rows
    assert row.channels == {"cd45": 0, "k14": 1, "k8": 2}
    assert row.pixel_size_um == 0.5


def test_a_question_in_an_excluded_row_holds_nothing_up(tmp_path: Path) -> None:
    slides(tmp_path, "a.tif", "b.tif")
    (tmp_path / "s.csv").write_text("section_id,path,animal,group,k14,exclude\na,a.tif,m,g,0,\nb,b.tif,m,g,?,yes\n")
    assert len(load_study(tmp_path / "s.csv").rows) == 2


def test_scenes_are_rows(tmp_path: Path) -> None:
    slides(tmp_path, "a.czi")
    scenes = [Looked("P1", ("K14", "K8"), {"k14": "K14", "k8": "K8"}), Looked("P2", projection="?")]
    table = rows(init(tmp_path, *scenes).table)
    assert [(row["section_id"], row["scene"]) for row in table] == [("a_P1", "P1"), ("a_P2", "P2")]
    assert table[1]["projection"] == "?"


def test_what_the_user_says_fills_every_row(tmp_path: Path) -> None:
    slides(tmp_path, "a.czi", "b.czi")
    template = init(tmp_path, Looked("", ("x", "y"), {"k14": "?", "k8": "?"}), channels={"k14": 1, "k8": "x"})
    assert [(row["k14"], row["k8"]) for row in rows(template.table)] == [("1", "x")] * 2
    assert not any("type the channel" in line for line in template.said)


def test_a_slide_that_cannot_be_opened_keeps_its_row(tmp_path: Path) -> None:
    (tmp_path / "broken.ome.tif").write_bytes(b"II*\0 not a slide")
    template = init_study(tmp_path)
    assert len(rows(template.table)) == 1
    assert any(line.startswith("Cannot be opened: broken.ome.tif") for line in template.said)


def test_a_spreadsheet_of_another_country(tmp_path: Path) -> None:
    write_ome(tmp_path / "a;b.ome.tif", ("CD45", "K14", "K8"), 0.5)
    table = init_study(tmp_path, semicolon=True).table
    filled = table.replace('"a;b.ome.tif";;', '"a;b.ome.tif";m1;g')
    (tmp_path / "study.csv").write_text(filled, encoding="utf-8-sig", newline="")
    (row,) = load_study(tmp_path / "study.csv").rows
    assert row.path is not None
    assert (row.path.name, row.subject.animal) == ("a;b.ome.tif", "m1")


@pytest.mark.parametrize("name", ["488", "?", "none", "=1+1", "K14"])
def test_a_name_that_a_table_would_misread_becomes_its_number(tmp_path: Path, name: str) -> None:
    from thymusimg.study.template_look import _spelled

    image = type("Named", (), {"channel_names": (name, "x")})()
    assert _spelled(image, 0) == ("K14" if name == "K14" else "0")


def test_looking_reads_no_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from thymusimg.section.readers.base import LazyImage

    write_ome(tmp_path / "a.ome.tif", ("K14", "K8"), 0.5)
    monkeypatch.setattr(LazyImage, "read", lambda *_: pytest.fail("pixels were read"))
    (looked,) = look_at(tmp_path / "a.ome.tif")
    assert looked.size_um == 0.5

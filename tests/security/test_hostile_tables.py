"""Study tables that would lead out of the output folder, look alike, or run as formulas."""

from __future__ import annotations

import pytest

from thymusimg.errors import SettingsError, StudyTableError, ThymusimgError
from thymusimg.study import sheet
from thymusimg.study.design import load_study

HEADER = "section_id,path,animal,group,notes\n"


def study(folder, *lines, header=HEADER):
    (folder / "a.tif").touch()
    (folder / "study.csv").write_text(header + "\n".join(lines), encoding="utf-8")
    return load_study(folder / "study.csv")


def said(folder, *lines):
    with pytest.raises(StudyTableError, match="nothing was run") as told:
        study(folder, *lines)
    return str(told.value)


@pytest.mark.parametrize(
    "name",
    [
        *("../../x", "/etc/x", "..", ".", ".hidden", "a/b", "a\\b", "C:x", "\\\\server\\x", "x."),
        *("CON", "nul.txt", "Com1", "lpt9.zarr", "a" * 300, "<script>", "a|b", "a:b", "a*", "a?"),
        *("a\u202eb", "a\u200bb", "\ufeffx\u2066", "a\u0085b", "a\x7fb"),
    ],
)
def test_ids_that_name_no_folder_of_their_own(tmp_path, name):
    assert "column 'section_id'" in said(tmp_path, f'"{name}",a.tif,1,x,')


def test_a_nul_in_a_table_is_no_text(tmp_path):
    with pytest.raises(StudyTableError):
        study(tmp_path, "a\0b,a.tif,1,x,")
    with pytest.raises(StudyTableError):
        study(tmp_path, *[f"s{i},a.tif,1,x," for i in range(1000)], "z,a.tif\0,1,x,")


@pytest.mark.parametrize(("one", "other"), [("S1", "s1"), ("Straße", "STRASSE"), ("é", "e\u0301"), ("ﬁ", "fi")])
def test_ids_that_some_disks_take_for_one(tmp_path, one, other):
    assert "are one folder on Windows and macOS" in said(tmp_path, f"{one},a.tif,1,x,", f"{other},a.tif,2,x,")


@pytest.mark.parametrize("text", ["=1+1", "=cmd|'/C calc'!A0", "@SUM(1)", "+cmd|' /C calc'!A0", "-HYPERLINK(1)"])
@pytest.mark.parametrize("column", [0, 2, 3, 4])
def test_formulas_are_refused(tmp_path, text, column):
    cells = ["s", "a.tif", "1", "x", ""]
    cells[column] = f'"{text}"'
    assert "run as a formula" in said(tmp_path, ",".join(cells))


@pytest.mark.parametrize("group", ["+/+", "-/-", "-KO", "-1.5", "+", "<b>x</b>", "a=b"])
def test_genotypes_are_no_formulas(tmp_path, group):
    assert study(tmp_path, f"s,a.tif,1,{group},").groups == (group,)


def test_a_giant_table_is_refused_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(sheet, "MAX_BYTES", 1000)
    with pytest.raises(StudyTableError, match="has 0 MB"):
        study(tmp_path, *[f"s{i},a.tif,1,x," for i in range(1000)])
    monkeypatch.undo()
    with pytest.raises(StudyTableError):
        study(tmp_path, f'"s{"a" * 200_000}",a.tif,1,x,')


@pytest.mark.parametrize("text", ["a = " + "[" * 50_000, "a" * 100_000, "\0", '[study]\ntable = "/etc/passwd"'])
def test_hostile_settings(tmp_path, text):
    (tmp_path / "study.toml").write_text(text)
    with pytest.raises((SettingsError, StudyTableError, ThymusimgError)):
        load_study(tmp_path / "study.toml")

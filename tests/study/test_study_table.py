from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import hypothesis
import pytest
from hypothesis import strategies

from thymusimg.errors import CallError, SettingsError, StudyTableError
from thymusimg.study.design import load_study

HEADER = "section_id,path,animal,group"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.tif", "b.tif", "c.tif", "d.tif", "é µ x.tif"):
        (tmp_path / name).write_bytes(b"slide")
    return tmp_path


def table(folder: Path, *lines: str, name: str = "study.csv", encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes("\n".join(lines).encode(encoding))
    return path


def faults(path: Path) -> str:
    with pytest.raises(StudyTableError) as caught:
        load_study(path)
    return str(caught.value)


def test_a_plain_table_becomes_rows(folder: Path) -> None:
    path = table(
        folder,
        f"{HEADER},donor,k14,cd45,negative_control,exclude,pixel_size_um,scene,projection,notes",
        "s1,a.tif,m1,treated,D1,2,hCD45,,no,0.325,1,max,",
        "s2,gone.tif,m2,treated,D1,,,,x,,,,torn",
        "s3,c.tif,m3,control,,,488,Yes,,,,,",
    )
    study = load_study(path)
    one, two, three = study.rows
    assert one.path == folder / "a.tif"
    assert one.channels == {"k14": 2, "cd45": "hCD45"}
    assert (one.pixel_size_um, one.scene, one.projection) == (0.325, "1", "max")
    assert one.subject.donor == "D1"
    assert two.subject.exclude  # its file may be gone
    assert three.channels == {"cd45": "488"}  # a wavelength is a name, not the 489th channel
    assert three.subject.negative_control
    assert study.analysed == (one, three)
    assert study.excluded == (two,)
    assert study.controls == (three,)
    assert study.groups == ("treated", "control")
    assert [row.number for row in study.rows] == [2, 3, 4]
    assert study.folder == folder


def test_one_file_a_stain(folder: Path) -> None:
    path = table(folder, "section_id,path_k14,path_k8,animal,group,k14,k8", "s1,a.tif,b.tif,m1,g,0,0")
    (row,) = load_study(path).rows
    assert row.path is None
    assert row.paths == {"k14": folder / "a.tif", "k8": folder / "b.tif"}
    assert row.files == (folder / "a.tif", folder / "b.tif")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_every_dialect_reads_the_same(folder: Path, encoding: str, separator: str) -> None:
    lines = (
        " Section_ID , path,animal,group ,notes",
        "s1,é µ x.tif,m1,Zürich,",
        "",
        ",,,,",
        "s2, b.tif ,m2,Zürich,ok",
    )
    path = table(folder, *(line.replace(",", separator) for line in lines), encoding=encoding)
    study = load_study(path)
    assert [row.section_id for row in study.rows] == ["s1", "s2"]
    assert [row.number for row in study.rows] == [2, 5]
    assert study.rows[0].path == folder / "é µ x.tif"
    assert study.groups == ("Zürich",)
    assert any("Windows-1252" in text for text in study.warnings) == (encoding == "cp1252")


def test_excel_sep_line_and_decimal_commas(folder: Path) -> None:
    path = table(folder, "sep=;", f"{HEADER},pixel_size_um,notes".replace(",", ";"), 's1;a.tif;m1;g;0,325;"a;b"')
    (row,) = load_study(path).rows
    assert row.pixel_size_um == 0.325
    assert row.number == 2  # a spreadsheet does not show the sep line
    assert row.subject.notes == "a;b"


def test_decomposed_accents_and_windows_slashes_are_found(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "e.tif").write_bytes(b"")
    path = table(folder, HEADER, "s1,e\u0301 µ x.tif,m1,g", "s2,sub\\e.tif,m2,g")
    assert [row.path for row in load_study(path).rows] == [folder / "é µ x.tif", folder / "sub/e.tif"]


def test_every_fault_is_named_at_once(folder: Path) -> None:
    path = table(
        folder,
        "section_id,path,animal,grup,pixel_size_um,negative_control,exclude,k14,k8",
        "s1,missing.tif,m1,g,0.3,,,0,0",
        "s1,a.tif,m2,g,7,maybe,,0,1",
        "../up,b.tif,,g,abc,,ja,,",
        "CON,c.tif,m4,g,nan,,,,",
    )
    message = faults(path)
    for part in (
        "row 1, column 'grup': unknown column, did you mean 'group'?",
        "column 'group': missing from the header",
        "row 2, column 'path': 'missing.tif' does not exist",
        "row 2, column 'k8': the same channel 0 as 'k14'",
        "rows 2-3, column 'section_id': 's1' stands in 2 rows",
        "row 3, column 'pixel_size_um': 7 µm per pixel is not plausible",
        "row 3, column 'negative_control': 'maybe' is neither yes nor no",
        "row 4, column 'section_id': '../up' begins or ends with a dot",
        "row 4, column 'animal': empty",
        "row 4, column 'pixel_size_um': 'abc' is not a number",
        "row 4, column 'exclude': 'ja'",
        "row 5, column 'section_id': 'CON' is a name that Windows reserves",
        "row 5, column 'pixel_size_um': nan µm",
    ):
        assert part in message, part
    assert f"{path}: 13 faults; nothing was run" in message


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["section_id,path,animal", "s1,a.tif,m1"], "column 'group': missing from the header"),
        ([HEADER + ",group", "s1,a.tif,m1,g,g"], "column 'group': stands twice in the header"),
        ([HEADER], "no sections below the header"),
        ([HEADER + ",exclude", "s1,a.tif,m1,g,1"], "every section is excluded"),
        ([HEADER, "s1,a.tif,m1,g", "S1,b.tif,m2,g"], "'s1' and 'S1' are one folder on Windows and macOS"),
        ([HEADER, ",a.tif,m1,g"], "column 'section_id': empty"),
        ([HEADER, "a:b,a.tif,m1,g"], "'a:b' holds ':'"),
        ([HEADER, "..,a.tif,m1,g"], "begins or ends with a dot"),
        ([HEADER, "nul.x,a.tif,m1,g"], "Windows reserves"),
        ([HEADER, f"{'x' * 200},a.tif,m1,g"], "too long"),
        ([HEADER, "s1,,m1,g"], "column 'path': empty; every section needs its file"),
        ([HEADER, "s1,a.tif,m1,"], "column 'group': empty; every section needs its group"),
        ([HEADER, "s1,a.tif,m1,g", "s2,b.tif,m1,h"], "animal 'm1' is in 2 groups (g, h)"),
        ([HEADER + ",path_k14", "s1,a.tif,m1,g,b.tif"], "beside 'path_k14'"),
        ([HEADER + ",path_k14", "s1,,m1,g,z.tif"], "column 'path_k14': 'z.tif' does not exist"),
        ([HEADER + ",roi", "s1,a.tif,m1,g,z.geojson"], "column 'roi': 'z.geojson' does not exist"),
        ([HEADER + ",notes", "s1,a.tif,m1,g,one, two"], "'two' stands under no header"),
        ([HEADER + ",pixel_size_um", 's1,a.tif,m1,g,"0,325"'], "write µm per pixel with a decimal point"),
        ([HEADER + ",operator", "s1,a.tif,m1,g,me"], "unknown column; put other information in 'notes'"),
        ([HEADER + ",roi", "s1,a.tif,m1,g,s3://lab/a.geojson"], "is an address; expected a file"),
        ([HEADER, "s1,ftp://lab/a.zarr,m1,g"], "addresses of this kind are not read"),
    ],
)
def test_each_fault(folder: Path, lines: list[str], said: str) -> None:
    assert said in faults(table(folder, *lines))


def test_the_same_fault_in_many_rows_is_one_line(folder: Path) -> None:
    path = table(folder, HEADER, "s1,a.tif,,g", "s2,b.tif,,g", "s3,c.tif,m,g", "s4,d.tif,,g")
    assert "rows 2-3, 5, column 'animal': empty" in faults(path)


def test_warnings_do_not_stop(folder: Path) -> None:
    path = table(
        folder,
        f"{HEADER},donor,negative_control",
        "s1,a.tif,m1,CD34,D1,yes",
        "s2,a.tif,m2,cd34,D1,",
        "s3,b.tif,m3,CD34,D1,",
        "s4,c.tif,m3,CD34,D2,",
    )
    said = "\n".join(load_study(path).warnings)
    assert "rows 2-3 are the same image (a.tif)" in said
    assert "column 'group': 'CD34' and 'cd34' are taken as different" in said
    assert "animal 'm3' has several donors (D1, D2)" in said
    assert "group 'CD34': row 2 alone is marked negative_control" in said


def test_settings_and_table_from_a_toml(folder: Path) -> None:
    table(folder, HEADER, "s1,a.tif,m1,g", "s2,b.tif,m2,h")
    toml = folder / "study.toml"
    body = (
        '[study]\ntable = "study.csv"\nreference = "g"\nprimary = ["medulla_fraction"]\n[compute]\ntile_px = 512\n'
    )
    toml.write_text("\ufeff" + body, encoding="utf-8")
    study = load_study(toml)
    assert study.settings.study.reference == "g"
    assert study.settings.compute.tile_px == 512
    assert study.table == folder / "study.csv"


def test_declarations_are_checked_with_the_table(folder: Path) -> None:
    table(folder, HEADER, "s1,gone.tif,m1,NSG", "s2,b.tif,m2,CD34")
    toml = folder / "study.toml"
    toml.write_text('[study]\ntable = "study.csv"\nreference = "nsgg"\nprimary = ["medula_fraction", "group"]')
    message = faults(toml)
    assert "reference = 'nsgg' is no group of the table, did you mean 'NSG'?" in message
    assert "primary: 'medula_fraction' is no column of sections.csv that can be compared, did you mean" in message
    assert "primary: 'group' is no column" in message
    assert "'gone.tif' does not exist" in message
    with pytest.raises(StudyTableError):
        load_study(toml, endpoints=["other"])


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("[study]\ntabel = 'x'", "unknown key 'study.tabel'"),
        ("[study\n", "not a TOML file"),
        ("[study]\nprimary = ['a', 'b', 'c', 'd']", "study.primary"),
        ("[study]\nprimary = ['a', 'a']", "named twice"),
        ("[study]\n", "names no table"),
        ("[study]\ntable = 'none.csv'", "no such file"),
    ],
)
def test_bad_tomls(folder: Path, body: str, said: str) -> None:
    (folder / "study.toml").write_text(body)
    with pytest.raises((SettingsError, StudyTableError)) as caught:
        load_study(folder / "study.toml")
    assert said in str(caught.value)
    assert isinstance(caught.value, CallError)


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("t.xlsx", b"PK\x03\x04rest", "save it as 'CSV UTF-8'"),
        ("t.csv", b"PK\x03\x04rest", "workbook"),
        ("t.csv", b"\xd0\xcf\x11\xe0rest", "workbook"),
        ("t.csv", b"", "is empty"),
        ("t.csv", b"\n\n ,,\n", "is empty"),
        ("t.csv", b"\x89PNG\r\n\x1a\n\x00\x01\x02\x03", "not a text file"),
        ("t.csv", b"\xff\xfea", "begins like utf-16"),
    ],
)
def test_no_tables(folder: Path, name: str, data: bytes, said: str) -> None:
    (folder / name).write_bytes(data)
    assert said in faults(folder / name)


@hypothesis.given(
    data=strategies.one_of(
        strategies.binary(max_size=200),
        strategies.text(strategies.sampled_from('section_id,path;animal\tgroup"\n\r é0x/.'), max_size=120).map(
            str.encode
        ),
        strategies.lists(
            strategies.lists(strategies.text(max_size=6), min_size=4, max_size=5).map(",".join), max_size=4
        ).map(lambda lines: "\n".join([HEADER, *lines]).encode("utf-8", "replace")),
    )
)
@hypothesis.settings(max_examples=150, deadline=None)
def test_any_file_is_read_or_refused_plainly(data: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv"
        path.write_bytes(data)
        with pytest.raises(StudyTableError):
            load_study(path)


def test_without_a_reference_it_is_said_before_the_run(folder: Path) -> None:
    (said,) = load_study(table(folder, HEADER, "s1,a.tif,m1,g", "s2,b.tif,m2,h")).warnings
    assert "2 groups (g, h) and no reference" in said
    assert not load_study(table(folder, HEADER, "s1,a.tif,m1,g")).warnings


def test_missing_and_folder(folder: Path) -> None:
    assert "no such file" in faults(folder / "nothing.csv")
    assert "is a folder" in faults(folder)

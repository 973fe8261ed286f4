"""``thymusimg run``: a study with faults in it, resuming, and an output that cannot be written."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from cli_runner import in_a_process, plain_refusal, thymusimg

from thymusimg.batch.folder import RunFolder
from thymusimg.phantom import make_phantom, write_ome_tiff

SPEC_CHANGES = {"area_mm2": 0.05, "islets": 1}


@pytest.fixture(scope="module")
def slides(tmp_path_factory, lobe_spec):
    """Four tiny lobes: two animals in each of two groups."""
    folder = tmp_path_factory.mktemp("slides é à")
    for i in range(4):
        cells = {"cd45_cortex_per_mm2": 1000.0 * (i + 1)}
        write_ome_tiff(
            make_phantom(lobe_spec.model_copy(update={**SPEC_CHANGES, **cells}), seed=i, pixel_size_um=0.65),
            folder / f"lobe {i}.ome.tif",
        )
    return folder


def write_table(folder, *rows, name="study.csv", header="section_id,path,animal,group", encoding="utf-8"):
    path = folder / name
    path.write_text("\n".join((header, *rows)) + "\n", encoding=encoding)
    return path


def four(separator=","):
    return [separator.join((f"s{i}", f"lobe {i}.ome.tif", f"m{i}", "AB"[i // 2])) for i in range(4)]


def csvs(out):
    return {p.name: p.read_bytes() for p in sorted((out / "tables").glob("*.csv"))}


@pytest.fixture(scope="module")
def finished(slides, tmp_path_factory):
    """A run of a study with a reference and a primary endpoint, in one process."""
    write_table(slides, *four())
    toml = slides / "study.toml"
    toml.write_text(
        '[study]\ntable = "study.csv"\nreference = "A"\nprimary = ["cd45_area_fraction"]\n', encoding="utf-8"
    )
    out = tmp_path_factory.mktemp("run") / "out"
    said = thymusimg("run", toml, "--out", out, "--workers", 1)
    assert said.status == 0, said.err
    return out


def test_a_study_runs_to_its_report(finished):
    sections = pd.read_csv(finished / "tables" / "sections.csv")
    assert sections["section_id"].tolist() == ["s0", "s1", "s2", "s3"]
    comparisons = pd.read_csv(finished / "tables" / "comparisons.csv")
    primary = comparisons[comparisons["role"] == "primary"].iloc[0]
    assert (primary["endpoint"], primary["reference"], primary["group"]) == ("cd45_area_fraction", "A", "B")
    assert (primary["n_reference"], primary["n_group"]) == (2, 2)
    report = (finished / "report.html").read_text(encoding="utf-8")
    assert all(name in report for name in ("s0", "s3", "m2"))
    assert "http://" not in report.replace("http://www.w3.org", "")
    cells = pd.read_parquet(finished / "tables" / "cells.parquet")
    in_parenchyma = cells["compartment"].isin(["cortex", "medulla", "indeterminate"])
    assert cells[in_parenchyma].groupby("section_id").size().tolist() == sections["cd45_count"].tolist()


def test_workers_change_nothing(slides, finished, tmp_path):
    said = in_a_process("run", slides / "study.toml", "--out", tmp_path / "out", "--workers", "2")
    assert said.status == 0, said.err
    assert csvs(tmp_path / "out") == csvs(finished)


def test_a_second_run_reuses_what_is_there(slides, finished):
    before = csvs(finished)
    said = thymusimg("run", slides / "study.toml", "--out", finished, "--workers", 1)
    assert said.status == 0
    assert said.err.count("reused") == 4
    assert csvs(finished) == before


def test_changed_settings_measure_again(slides, finished, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(finished, out)
    said = thymusimg("run", slides / "study.toml", "--out", out, "--workers", 1, "--cells", "none")
    assert said.status == 0
    assert ": reused" not in said.err
    assert "s0: compartments reused, cells found and measured again" in said.err
    row = pd.read_csv(out / "tables" / "sections.csv").iloc[0]
    assert np.isnan(row["cd45_count"])
    assert "--cells none" in row["cd45_count_reason"]


def test_a_bad_section_does_not_stop_the_others(slides, tmp_path):
    (slides / "broken.tif").write_bytes(b"II*\x00" + bytes(20))
    table = write_table(slides, *four()[:1], "bad,broken.tif,m9,A", name="broken.csv")
    said = thymusimg("run", table, "--out", tmp_path / "out", "--workers", 1)
    assert said.status == 1
    assert "Traceback" not in said.err
    failures = pd.read_csv(tmp_path / "out" / "tables" / "failures.csv")
    assert failures["section_id"].tolist() == ["bad"]
    assert "broken.tif" in failures["message"][0]
    assert pd.read_csv(tmp_path / "out" / "tables" / "sections.csv")["section_id"].tolist() == ["s0"]
    assert "broken.tif" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_every_section_bad_still_leaves_tables_and_report(slides, tmp_path):
    (slides / "empty.tif").write_bytes(b"")
    table = write_table(slides, "e,empty.tif,m9,A", name="allbad.csv")
    said = thymusimg("run", table, "--out", tmp_path / "out", "--workers", 1)
    assert said.status == 1
    assert pd.read_csv(tmp_path / "out" / "tables" / "sections.csv").empty
    assert len(pd.read_csv(tmp_path / "out" / "tables" / "failures.csv")) == 1
    assert (tmp_path / "out" / "report.html").exists()


def test_semicolons_latin_1_and_one_excluded_section(slides, tmp_path):
    rows = [f"{r};;" for r in four(";")[:1]] + [f"{four(';')[1]};x;Schnitt gerissen, Gruppe zurückgestellt"]
    header = "section_id;path;animal;group;exclude;notes"
    table = write_table(slides, *rows, name="excel.csv", header=header, encoding="latin-1")
    said = thymusimg("run", table, "--out", tmp_path / "out", "--workers", 1)
    assert said.status == 0, said.err
    assert pd.read_csv(tmp_path / "out" / "tables" / "sections.csv")["section_id"].tolist() == ["s0"]
    assert "zurückgestellt" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_every_bad_row_is_named_and_nothing_is_run(slides, tmp_path):
    table = write_table(slides, *four(), "s1,gone.tif,m1,", "../s,lobe 0.ome.tif,m1,A", name="faulty.csv")
    said = thymusimg("run", table, "--out", tmp_path / "out")
    assert said.status == 2
    for word in ("s1", "gone.tif", "../s", "group"):
        assert word in said.err
    assert not (tmp_path / "out").exists()


def test_misspelt_column(slides, tmp_path):
    table = write_table(slides, *four(), name="spelt.csv", header="section_id,path,animal,gruop")
    said = thymusimg("run", table, "--out", tmp_path / "out")
    assert said.status == 2
    assert "gruop" in said.err
    assert "group" in said.err


def test_unknown_reference_group(slides, tmp_path):
    write_table(slides, *four())
    toml = slides / "wrong.toml"
    toml.write_text('[study]\ntable = "study.csv"\nreference = "C"\n', encoding="utf-8")
    plain_refusal(thymusimg("run", toml, "--out", tmp_path / "out"), "'C'", "A")


def test_missing_table(tmp_path):
    plain_refusal(thymusimg("run", tmp_path / "none.csv", "--out", tmp_path / "out"), "none.csv")


def test_two_runs_in_one_folder(slides, finished):
    folder = RunFolder(finished)
    with folder.locked():
        plain_refusal(thymusimg("run", slides / "study.toml", "--out", finished), "another run")


def test_report_and_compare_from_the_tables_alone(finished, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(finished, out)
    (out / "report.html").unlink()
    assert thymusimg("report", out).status == 0
    assert (out / "report.html").exists()
    said = thymusimg("compare", out, "--reference", "B", "--primary", "medulla_fraction")
    assert said.status == 0, said.err
    comparisons = pd.read_csv(out / "tables" / "comparisons.csv")
    assert set(comparisons["reference"]) == {"B"}
    assert "medulla_fraction" in set(comparisons.loc[comparisons["role"] == "primary", "endpoint"])


@pytest.mark.parametrize("command", ["report", "compare"])
def test_folder_that_no_run_left(command, tmp_path):
    plain_refusal(thymusimg(command, tmp_path), str(tmp_path))


def test_init_writes_a_table_to_fill_in(slides, tmp_path):
    shutil.copy(slides / "lobe 0.ome.tif", tmp_path)
    assert thymusimg("init", tmp_path).status == 0
    table = pd.read_csv(tmp_path / "study.csv")
    assert table["path"].tolist() == ["lobe 0.ome.tif"]
    assert table["animal"].isna().all()
    said = thymusimg("run", tmp_path / "study.toml", "--out", tmp_path / "out")
    assert said.status == 2  # animal and group are never guessed
    plain_refusal(thymusimg("init", tmp_path), "already")


@pytest.mark.skipif(os.geteuid() == 0, reason="the administrator may write everywhere")
def test_read_only_output(slides, tmp_path):
    tmp_path.chmod(0o500)
    plain_refusal(thymusimg("run", slides / "study.toml", "--out", tmp_path / "out"), "cannot be written", "--out")


def test_disk_full(slides, tmp_path):
    full = tmp_path / "full"
    full.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(full)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        said = thymusimg("run", slides / "study.toml", "--out", full / "out", "--workers", 1)
        assert said.status in (1, 2)
        assert "No space left" in said.err
        assert "Traceback" not in said.err
    finally:
        subprocess.run(["umount", str(full)], check=True)


def test_phantoms(tmp_path):
    said = thymusimg("phantom", "cd34_10wk", "--out", tmp_path, "--seed", 1, "--count", 1, "--size-mm", 0.3)
    assert said.status == 0, said.err
    assert (tmp_path / "study.csv").exists()
    assert (tmp_path / "truth").is_dir()
    plain_refusal(thymusimg("phantom", "cd34", "--out", tmp_path / "b"), "cd34_10wk")


def test_negative_controls_set_the_gate_and_say_how_many_cells_are_false(slides, untreated_slide, tmp_path):
    shutil.copy(untreated_slide, slides / "untreated.ome.tif")
    rows = [*(f"{row}," for row in four()[:2]), "u1,untreated.ome.tif,mu,untreated,yes"]
    table = write_table(slides, *rows, name="controls.csv", header="section_id,path,animal,group,negative_control")
    said = thymusimg("run", table, "--out", tmp_path / "out", "--workers", 1)
    assert said.status == 0, said.err
    sections = pd.read_csv(tmp_path / "out" / "tables" / "sections.csv").set_index("section_id")
    control = sections.loc["u1"]
    wanted = control["cd45_count"] / control["parenchyma_area_mm2"]
    assert sections["cd45_false_cells_per_mm2"].tolist() == pytest.approx([wanted] * 3)
    assert wanted < sections.loc["s1", "cd45_density_per_mm2"] / 10
    quality = pd.read_csv(tmp_path / "out" / "tables" / "quality.csv")
    assert (quality["check"] == "false_cells").sum() == 3
    assert "negative_control" in str(pd.read_json(tmp_path / "out" / "run.json", typ="series")["study"])


def test_without_controls_false_cells_are_undefined(finished):
    row = pd.read_csv(finished / "tables" / "sections.csv").iloc[0]
    assert np.isnan(row["cd45_false_cells_per_mm2"])
    assert "negative_control" in row["cd45_false_cells_per_mm2_reason"]


def test_what_a_killed_run_left_is_swept_away(slides, finished, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(finished, out)
    (out / "sections" / "s2.zarr").rename(out / "sections" / ".s2.zarr.partial-999")
    said = thymusimg("run", slides / "study.toml", "--out", out, "--workers", 1)
    assert said.status == 0
    assert said.err.count("reused") == 3
    assert sorted(p.name for p in (out / "sections").iterdir()) == [f"s{i}.zarr" for i in range(4)]
    assert csvs(out) == csvs(finished)


def test_interrupted_run_keeps_what_is_done_and_goes_on(slides, finished, tmp_path):
    out = tmp_path / "out"
    command = [
        sys.executable,
        "-m",
        "thymusimg",
        "run",
        str(slides / "study.toml"),
        "--out",
        str(out),
        "--workers",
        "1",
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            if "s0: measured" in line:
                process.send_signal(signal.SIGINT)
                break
        rest = process.stderr.read()
    assert process.returncode == 130, rest
    assert "Traceback" not in rest
    assert "Stopped" in rest
    done = pd.read_csv(out / "tables" / "sections.csv")["section_id"].tolist()
    assert done[:1] == ["s0"]
    assert len(done) < 4
    said = thymusimg("run", slides / "study.toml", "--out", out, "--workers", 1)
    assert said.err.count("reused") == len(done)
    assert csvs(out) == csvs(finished)


def test_controls_that_cannot_be_used_are_not_replaced_in_silence(slides, tmp_path):
    (slides / "torn.tif").write_bytes(b"II*\x00" + bytes(20))
    rows = [f"{four()[0]},", "u1,torn.tif,mu,untreated,yes"]
    table = write_table(slides, *rows, name="torn.csv", header="section_id,path,animal,group,negative_control")
    said = thymusimg("run", table, "--out", tmp_path / "out", "--workers", 1)
    assert said.status == 1
    row = pd.read_csv(tmp_path / "out" / "tables" / "sections.csv").iloc[0]
    assert np.isnan(row["cd45_count"])
    assert "torn.tif" in row["cd45_count_reason"]
    assert row["cortex_area_mm2"] > 0


def test_scheduler_that_does_not_answer_leaves_the_tables_alone(slides, finished):
    before = csvs(finished)
    with socket.socket() as nobody:  # bound, but nobody listens
        nobody.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{nobody.getsockname()[1]}"
        said = thymusimg("run", slides / "study.toml", "--out", finished, "--scheduler", address)
    plain_refusal(said, address)
    assert csvs(finished) == before

"""The exit status of a run over a bundle that is damaged and holds corrections: 1, and nothing is overwritten."""

from __future__ import annotations

import subprocess
import sys

import pandas as pd
import zarr

from thymusimg.section.manifest import seal


def run(table, out):
    command = [sys.executable, "-m", "thymusimg", "run", str(table), "--out", str(out)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_status_one_and_the_bundle_stays(slide, tmp_path):
    table = tmp_path / "study.csv"
    table.write_text(f'section_id,path,animal,group\ns1,"{slide}",1,a\n', encoding="utf-8")
    out = tmp_path / "out"
    assert run(table, out).returncode == 0
    bundle = out / "sections" / "s1.zarr"
    group = zarr.open_group(str(bundle), mode="a")
    group.attrs["thymusimg"] = {**dict(group.attrs["thymusimg"]), "edits": [{"target": "compartments"}]}
    (bundle / "manifest.json").unlink()
    seal(bundle)
    hurt = bundle / "stages" / "prepared.zip"
    hurt.write_bytes(hurt.read_bytes()[:-40])
    left = {file: file.read_bytes() for file in bundle.rglob("*") if file.is_file()}
    done = run(table, out)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "damaged (stages/prepared.zip is missing or short), and it holds corrections by people" in done.stderr
    failures = pd.read_csv(out / "tables" / "failures.csv")
    assert list(failures["section_id"]) == ["s1"]
    assert {file: file.read_bytes() for file in bundle.rglob("*") if file.is_file()} == left

"""A run that is killed with all its processes, and what the same command makes of it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

pytest.importorskip("distributed")


def begin(folder, out, workers):
    command = [sys.executable, "-m", "thymusimg", "run", "study.csv", "--out", out, "--workers", str(workers)]
    return subprocess.Popen(
        command, cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, start_new_session=True
    )


def csvs(out):
    return {p.name: p.read_bytes() for p in sorted((out / "tables").glob("*.csv"))}


def test_a_killed_run_goes_on_to_the_tables_of_one_that_was_not(slide, tmp_path):
    rows = ["section_id,path,animal,group"]
    for i in range(3):
        shutil.copy(slide, tmp_path / f"s{i}.ome.tif")
        rows.append(f"s{i},s{i}.ome.tif,m{i},{'AB'[i // 2]}")
    (tmp_path / "study.csv").write_text("\n".join(rows) + "\n")
    with begin(tmp_path, "killed", 2) as run:
        for line in run.stderr:
            if " 1/3 " in line:
                os.killpg(run.pid, signal.SIGKILL)
    assert run.returncode == -signal.SIGKILL
    assert gone(run.pid)  # no worker is left that could go on writing
    with begin(tmp_path, "killed", 1) as again:
        said = again.stderr.read()
    assert again.returncode == 0, said
    assert ": reused" in said
    assert "Traceback" not in said
    with begin(tmp_path, "whole", 1) as whole:
        assert "reused" not in whole.stderr.read()
    assert csvs(tmp_path / "killed") == csvs(tmp_path / "whole")
    hidden = {p.name for p in (tmp_path / "killed").rglob(".*")}
    assert hidden <= {".lock"}


def gone(group):
    for _ in range(300):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from report_fixtures import GROUPS, PRIMARY, Analysed, make_section, write_run

from thymusimg.report import overlays
from thymusimg.report.finished_run import FinishedRun
from thymusimg.report.html import render
from thymusimg.report.layers import draw_layers

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def analysed() -> Analysed:
    return make_section()


@pytest.fixture(scope="session")
def jpegs(analysed: Analysed) -> dict[str, bytes]:
    """Pictures as the pipeline draws them, made small: the report's code is tested, not its size."""
    drawn = overlays.draw_section(analysed.section, analysed.planes, analysed.compartments, analysed.cells)
    return {name: overlays.to_jpeg(picture[::3, ::3], 60) for name, picture in drawn.items()}


@pytest.fixture(scope="session")
def layers(analysed: Analysed) -> dict[str, bytes]:
    return draw_layers(analysed.section, analysed.planes, analysed.compartments, analysed.cells)


@pytest.fixture(scope="session")
def finished_run(
    tmp_path_factory: pytest.TempPathFactory, jpegs: dict[str, bytes], layers: dict[str, bytes]
) -> Path:
    folder = tmp_path_factory.mktemp("finished") / "out"
    write_run(folder, primary=PRIMARY, groups=GROUPS, pictures=jpegs, layers=layers)
    return folder


@pytest.fixture
def run_dir(tmp_path: Path, finished_run: Path) -> Path:
    shutil.copytree(finished_run, tmp_path / "out")
    return tmp_path / "out"


@pytest.fixture(scope="session")
def finished_html(finished_run: Path) -> str:
    """The report of the untouched run, for tests that only read it."""
    return render(FinishedRun.read(finished_run))

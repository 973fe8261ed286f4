"""Segmenters that other packages register."""

from __future__ import annotations

import importlib
import sys

import pytest

from thymusimg.cells.methods import find_detector, identity_of
from thymusimg.cells.segmenters import find_segmenter, installed_segmenters, segmenter_names
from thymusimg.errors import ModelError
from thymusimg.settings.compute import ComputeSettings

GOOD = """
import numpy as np
from thymusimg.cells.methods import find_detector, identity_of
from thymusimg.cells.segmenters import segmenter

@segmenter(channels=("cd45",), pixel_size_um=0.5, summary="Nothing")
def nothing(planes):
    return np.zeros(planes.shape[1:], np.int32)
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a package of one module with its entry points, as pip leaves it."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def make(package, code, entry_points):
        (tmp_path / f"{package}.py").write_text(code)
        info = tmp_path / f"{package}-1.5.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.5\n")
        (info / "entry_points.txt").write_text("[thymusimg.segmenters]\n" + entry_points)
        importlib.invalidate_caches()

    yield make
    for name in set(sys.modules) - before:
        if name.startswith("made_up"):
            del sys.modules[name]


def test_none_are_registered_here():
    assert installed_segmenters() == ([], [])
    with pytest.raises(ModelError, match="no package registers a segmenter of that name \\(registered: none\\)"):
        find_segmenter("stardist")


def test_the_entry_points_name_counts(install):
    install("made_up_one", GOOD, "my-cells = made_up_one:nothing\n")
    found, faults = installed_segmenters()
    assert faults == []
    assert [one.identity for one in found] == ["my-cells made_up_one 1.5"]
    assert found[0].summary == "Nothing"
    assert segmenter_names() == ["my-cells"]
    assert find_segmenter("my-cells") == found[0]  # so that it is loaded once
    assert identity_of("my-cells") == found[0].identity
    find_detector("my-cells", compute=ComputeSettings(device="cpu"))


def test_faults_name_the_package_and_do_not_hide_the_others(install):
    install(
        "made_up_one", GOOD, "good = made_up_one:nothing\nmissing = made_up_one:other\nplain = made_up_one:np\n"
    )
    install("made_up_two", "raise RuntimeError('no licence')", "raises = made_up_two:x\nnetwork = made_up_two:x\n")
    declared = GOOD.replace("0.5,", "50,")
    install("made_up_three", declared, "bad = made_up_three:nothing\n")
    found, faults = installed_segmenters()
    assert [one.name for one in found] == ["good"]
    said = "\n".join(faults)
    assert len(faults) == 5
    assert "'missing' (made_up_one 1.5) cannot be imported" in said
    assert "made_up_one:np is module, no Segmenter" in said
    assert "RuntimeError: no licence" in said
    assert "'network' (made_up_two 1.5): the name is taken" in said
    assert "its pixel size is 50 µm" in said
    assert "made_up_three 1.5" in said
    assert segmenter_names() == ["bad", "good", "missing", "plain", "raises"]


def test_a_name_that_two_packages_take_is_nobodys(install):
    install("made_up_one", GOOD, "same = made_up_one:nothing\n")
    install("made_up_two", GOOD, "same = made_up_two:nothing\n")
    with pytest.raises(ModelError, match="uninstall all but one"):
        find_segmenter("same")

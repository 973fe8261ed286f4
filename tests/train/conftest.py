"""Annotated sections that several tests of training share."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path += [str(Path(__file__).parents[1] / room) for room in ("cli", "models")]


@pytest.fixture(scope="session")
def annotated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four small synthetic sections of two animals with their truth, as ``thymusimg phantom`` leaves them."""
    from thymusimg.phantom.study import write_phantoms

    folder = tmp_path_factory.mktemp("annotated") / "sections"
    write_phantoms("progenitor_10wk", folder, seed=7, count=4, size_mm=0.3, pixel_size_um=0.5)
    return folder


@pytest.fixture(scope="session")
def beginner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cell network of a few hundred weights to begin with."""
    from model_folders import small_model

    folder = tmp_path_factory.mktemp("beginner") / "beginner"
    small_model(folder)
    return folder

"""A bundle of a framed section: on the whole slide for every reader, on the frame for us, and no larger on disk."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
import zarr

from thymusimg.export.qupath import grid_of, section_features
from thymusimg.section.model import Grid, Level, Section, Subject, Window
from thymusimg.section.store import Bundle, BundleContent, LabelImage, write_bundle

if TYPE_CHECKING:
    from pathlib import Path

SLIDE, FRAME = (40_000, 30_000), Window(20_480, 22_528, 9_216, 10_752)
GRID = Grid.of(SLIDE, 0.5, FRAME)
PLACE = GRID.place


class Slide:
    """A slide of which only the size is asked for."""

    levels = (Level(SLIDE, 1.0),)


@pytest.fixture(scope="module")
def labels() -> np.ndarray:
    drawn = np.zeros(GRID.shape, np.uint8)
    drawn[100:200, 50:120] = 1
    drawn[140:160, 60:90] = 2
    return drawn


@pytest.fixture(scope="module")
def plane() -> np.ndarray:
    return np.random.default_rng(0).random(GRID.shape, np.float32)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory, labels: np.ndarray, plane: np.ndarray) -> Bundle:
    section = Section(Subject("s"), Slide(), {"k14": 0}, {"k14": "k14"}, 0.5, frame=FRAME)  # type: ignore[arg-type]

    def cells(window: Window) -> np.ndarray:
        out = np.zeros(window.shape, np.uint32)
        cell = Window(21_000, 21_010, 9_800, 9_810).overlap(window)
        out[cell.moved(-window.y0, -window.x0).slices] = 1
        return out

    slide = {"shape": list(SLIDE), "pixel_size_um": 0.5, "frame": list(FRAME)}
    content = BundleContent(
        GRID, {"k14": plane}, {"k14": "k14"}, {"k14": (0.0, 1.0)},
        {"compartments": LabelImage.on_grid(labels, GRID), "cells": LabelImage.on_pixels(section, cells)},
        {
            "junction": pd.DataFrame({"piece": [0, 0], "y_um": [10_300.0, 10_310.0], "x_um": [4_700.0, 4_700.0]}),
            "compartments": pd.DataFrame({"compartment": ["cortex", "medulla"], "area_mm2": [1.0, 2.0]}),
        },
        {}, {"slide": slide, "section": {"section_id": "s"}, "settings": {"measurements": {}}},
    )  # fmt: skip
    path: Path = tmp_path_factory.mktemp("bundle") / "s.zarr"
    write_bundle(path, content)
    return Bundle.open(path)


def test_ours_is_the_frame(bundle: Bundle, labels: np.ndarray, plane: np.ndarray) -> None:
    assert bundle.grid == GRID == grid_of(bundle)
    np.testing.assert_array_equal(bundle.planes["k14"], plane)
    np.testing.assert_array_equal(bundle.label("compartments"), labels)
    assert bundle.label("cells").shape == SLIDE
    assert np.all(np.asarray(bundle.label("cells")[21_000:21_010, 9_800:9_810]) == 1)


def test_a_stranger_s_is_the_slide(bundle: Bundle, labels: np.ndarray) -> None:
    whole = zarr.open_array(bundle.path / "labels" / "compartments" / "0", mode="r")
    assert whole.shape == GRID.whole.shape == (10_000, 7_500)
    np.testing.assert_array_equal(whole[PLACE.slices], labels)
    assert np.count_nonzero(whole[:]) == np.count_nonzero(labels)
    image = json.loads((bundle.path / "labels" / "compartments" / "zarr.json").read_text())
    transformations = image["attributes"]["ome"]["multiscales"][0]["datasets"][0]["coordinateTransformations"]
    assert transformations[0]["scale"] == [2.0, 2.0]
    assert transformations[1]["translation"] == [0.75, 0.75]


def test_empty_glass_takes_no_room(bundle: Bundle) -> None:
    chunks = [f for f in bundle.path.rglob("*") if f.is_file() and "c" in f.relative_to(bundle.path).parts]
    assert len(chunks) < 20


def test_outlines_lie_on_the_slide(bundle: Bundle) -> None:
    by_class = {f["properties"]["classification"]["name"]: f for f in section_features(bundle, cells=False)}
    rings = by_class["Cortex"]["geometry"]["coordinates"]
    corners = np.array(rings[0])
    # rows 100 to 200 and columns 50 to 120 of the frame, four slide pixels each
    assert corners.min(axis=0).tolist() == [FRAME.x0 + 50 * 4, FRAME.y0 + 100 * 4]
    assert corners.max(axis=0).tolist() == [FRAME.x0 + 120 * 4, FRAME.y0 + 200 * 4]


def test_a_frame_moves_no_um() -> None:
    index = np.random.default_rng(1).integers(0, 300, (50, 2))
    um = GRID.to_um(index)
    np.testing.assert_array_equal(um, GRID.whole.to_um(index + np.array([PLACE.y0, PLACE.x0])))
    np.testing.assert_allclose(GRID.to_index(um), index, atol=1e-9)
    np.testing.assert_array_equal(GRID.to_um(index[:, 1], axis=1), um[:, 1])
    assert GRID.to_um([0, 0]).tolist() == list(GRID.first_um)
    assert GRID.origin == (20_480, 9_216)
    assert GRID.extent == FRAME.shape


def test_bare_numbers_make_a_frame() -> None:
    assert Grid(SLIDE, 0.5, 4, tuple(FRAME)) == GRID  # type: ignore[arg-type]


def test_a_frame_reads_the_slide_s_pixels() -> None:
    seen = []

    class Image(Slide):
        levels = (Level(SLIDE, 1.0), Level((10_000, 7_500), 4.0))

        def read(self, level: int, channel: int, window: Window) -> np.ndarray:
            seen.append((level, window))
            return np.zeros(window.shape, np.uint16)

    section = Section(Subject("s"), Image(), {"k14": 0}, {"k14": ""}, 0.5, frame=FRAME)  # type: ignore[arg-type]
    window = Window(0, 10, 5, 20)
    section.read("k14", window)
    section.read("k14", window, level=1)
    assert seen == [(0, window.moved(20_480, 9_216)), (1, window.moved(5_120, 2_304))]
    assert section.shape == FRAME.shape
    assert section.slide_shape == SLIDE
    assert section.level_shape(1) == (512, 384)
    assert section.in_section(section.on_slide(window)) == window

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pandas as pd
import pytest
from cell_fakes import Scene, matched, scattered, scene, surroundings

from thymusimg.cells.classical import TooCoarseError, detect_cells
from thymusimg.cells.gate import estimate_gate
from thymusimg.errors import CancelledError, CellsError, PixelSizeError
from thymusimg.section.model import Window
from thymusimg.settings import CellSettings, GateSettings


def find(section, labels=None, tile_px=1024, threads=1, gate=None, **settings):
    correction, compartments = surroundings(section, labels)
    gate = gate or estimate_gate(section, correction, compartments, GateSettings(), threads=1)
    return detect_cells(
        section, correction, compartments, gate, CellSettings(**settings), tile_px=tile_px, threads=threads
    )


def painted(cells, section):
    return cells.masks.paint(Window(0, section.shape[0], 0, section.shape[1])).astype(int)


@pytest.fixture(scope="module")
def medium() -> Scene:
    return scene(*scattered(45), texture=0.15)


@pytest.mark.parametrize("pixel_um", [0.2, 0.325, 0.5, 0.65, 1.0])
def test_single_rings_have_their_place_area_and_roundness(pixel_um):
    centres = np.array([[20.0, 20.0], [20.3, 60.1], [60.0, 20.2], [61.7, 63.3]])
    radii = np.array([2.6, 3.2, 3.8, 4.6])
    drawn = scene(centres, radii, size_um=80, pixel_um=pixel_um)
    centres = drawn.centres
    table = find(drawn.expose()).table
    order = np.lexsort((centres[:, 1], centres[:, 0]))
    assert len(table) == 4
    np.testing.assert_allclose(table[["y_um", "x_um"]], centres[order], atol=0.45)
    np.testing.assert_allclose(np.sqrt(table["area_um2"] / np.pi), radii[order], atol=0.4)
    assert (table["score"].between(0.5, 1)).all()


def test_table_and_masks_agree(medium):
    section = medium.expose()
    cells = find(section)
    labels = painted(cells, section)
    assert cells.table["cell_id"].tolist() == list(range(1, len(cells.table) + 1))
    assert cells.table[["y_um", "x_um"]].apply(tuple, axis=1).is_monotonic_increasing
    index = cells.table["cell_id"]
    y, x = np.indices(labels.shape)
    count = np.bincount(labels.ravel())[1:]
    np.testing.assert_allclose(count * 0.25, cells.table["area_um2"])
    np.testing.assert_allclose(np.bincount(labels.ravel(), y.ravel())[1:] / count * 0.5, cells.table["y_um"])
    np.testing.assert_allclose(np.bincount(labels.ravel(), x.ravel())[1:] / count * 0.5, cells.table["x_um"])
    for role, channel in section.roles.items():
        mean = np.bincount(labels.ravel(), section.image.planes[channel].ravel() - 100.0)[1:] / count
        np.testing.assert_allclose(cells.table[f"mean_{role}"], mean, rtol=1e-9)
    for i, (y0, y1, x0, x1) in enumerate(cells.masks.boxes):
        box = np.argwhere(labels == index[i])
        assert (box.min(0).tolist(), (box.max(0) + 1).tolist()) == ([y0, x0], [y1, x1])


def test_finds_what_is_there_and_nothing_else(medium):
    section = medium.expose()
    true, there, found = matched(medium.labels, painted(find(section), section))
    assert true >= 0.97 * there
    assert found <= there + 1


@pytest.mark.parametrize("tile_px", [64, 130, 256, 512])
def test_tiles_do_not_show(tile_px):
    crowd = scene(*scattered(330, size_um=260, apart_um=5.0), size_um=260, texture=0.2)
    section = crowd.expose()
    whole, tiled = find(section, tile_px=4096), find(section, tile_px=tile_px, threads=2)
    assert len(whole.table) > 250
    pd.testing.assert_frame_equal(whole.table, tiled.table, check_exact=True)
    for name in ("boxes", "starts", "bits"):
        np.testing.assert_array_equal(getattr(whole.masks, name), getattr(tiled.masks, name))
    np.testing.assert_array_equal(whole.positive_fraction, tiled.positive_fraction)


def test_tiles_do_not_show_when_pixels_are_binned():
    section = scene(*scattered(45), pixel_um=0.16).expose()
    pd.testing.assert_frame_equal(
        find(section, tile_px=4096).table, find(section, tile_px=333, threads=2).table, check_exact=True
    )


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_section_has_the_same_cells(medium, turns):
    straight, turned = medium.expose(), medium.expose(turns=turns)
    labels, other = painted(find(straight), straight), painted(find(turned), turned)
    true, there, found = matched(np.rot90(labels, turns), other)
    assert true == there == found


@pytest.mark.parametrize("gain", [0.5, 2.0])
def test_gain_changes_nothing_but_the_intensities(medium, gain):
    plain, bright = medium.expose(), medium.expose(gain=gain)
    one, other = find(plain), find(bright)
    true, there, found = matched(painted(one, plain), painted(other, bright))
    assert true >= there - 1
    assert abs(found - there) <= 1
    assert other.table["mean_cd45"].mean() == pytest.approx(gain * one.table["mean_cd45"].mean(), rel=0.02)


def test_an_empty_section_has_no_cells_and_no_error():
    section = scene([], [], size_um=300, texture=0.35).expose()
    cells = find(section)
    assert len(cells.table) == 0
    assert len(cells.masks) == 0
    assert list(cells.table.columns[:4]) == ["cell_id", "y_um", "x_um", "area_um2"]
    assert cells.positive_fraction.max() < 0.8
    assert cells.positive_fraction.mean() < 0.01


def test_packed_cells_share_their_membranes():
    pitch = 6.4
    rows, columns = np.mgrid[0:14, 0:13]
    centres = np.stack([8 + rows * pitch * np.sqrt(0.75), 8 + columns * pitch + rows % 2 * pitch / 2], -1).reshape(
        -1, 2
    )
    packed = scene(centres, np.full(len(centres), pitch / 2), size_um=100)
    section = packed.expose()
    true, there, found = matched(packed.labels, painted(find(section), section))
    assert true >= 0.95 * there
    assert found == pytest.approx(there, rel=0.05)


def test_doublets_are_two_cells():
    section = scene([[20, 20], [20, 25.6], [50, 50], [54, 54]], [3.2, 3.2, 3.4, 3.0], size_um=80).expose()
    assert len(find(section).table) == 4


def test_macrophages_and_debris_are_no_cells():
    two = scene([[20, 20], [80, 80]], [3.3, 3.3])
    y, x = np.indices(two.labels.shape) * 0.5
    grain = cv2.GaussianBlur(np.random.default_rng(3).normal(size=two.labels.shape), (0, 0), 2)
    for cy, cx, radius, level in ((50, 50, 8, 700), (25, 70, 6, 500), (75, 25, 1.2, 900), (60, 85, 3.2, 600)):
        blob = level / (1 + np.exp(np.minimum((np.hypot(y - cy, x - cx) - radius) / 0.4, 50))) * (1 + 2 * grain)
        two.stains += np.array([1.0, 0.6, 1.4])[:, None, None] * blob  # every stain has its own exposure
    flake = np.hypot(y - 85, x - 50) < 7
    two.stains[:, flake] += 60_000
    section = two.expose()
    true, there, found = matched(two.labels, painted(find(section), section))
    assert (true, there, found) == (2, 2, 2)


def test_cells_in_artefacts_and_off_the_tissue_do_not_count(medium):
    section = medium.expose()
    labels = np.ones((50, 50), np.uint8)
    labels[:20] = 255
    labels[20:25] = 0
    labels[:, 40:] = 4
    cells = find(section, labels)
    inside = (medium.centres[:, 0] > 52) & (medium.centres[:, 1] < 78)
    assert len(cells.table) == pytest.approx(inside.sum(), abs=2)
    assert cells.table["y_um"].min() > 48
    assert not cells.positive_fraction[labels != 1].any()


def test_positive_fraction_is_the_share_of_pixels_at_the_gate(medium):
    section = medium.expose()
    cells = find(section)
    positive = section.image.planes[0] - 100.0 >= cells.gate.threshold
    expected = positive.reshape(50, 4, 50, 4).mean(axis=(1, 3))
    np.testing.assert_allclose(cells.positive_fraction, expected, atol=1e-6)


def test_a_slide_that_ends_within_a_block(medium):
    section = medium.expose()
    section = replace(section, image=replace(section.image, planes=section.image.planes[:, :157, :190]))
    cells = find(section, tile_px=64)
    assert cells.positive_fraction.shape == section.grid.shape == (40, 48)
    assert cells.masks.boxes[:, 1].max() <= 157
    assert cells.masks.boxes[:, 3].max() <= 190


def test_too_coarse_is_said_and_is_no_failure_of_the_section():
    section = scene([[50, 50]], [3], pixel_um=1.3).expose()
    with pytest.raises(TooCoarseError, match="too coarse for cells") as error:
        find(section)
    assert isinstance(error.value, PixelSizeError)
    assert isinstance(error.value, CellsError)


def test_cancel_stops_between_tiles(medium):
    section = medium.expose()
    correction, compartments = surroundings(section)
    gate = estimate_gate(section, correction, compartments, GateSettings())

    def cancel(stage, fraction):
        raise CancelledError("stop")

    with pytest.raises(CancelledError):
        detect_cells(section, correction, compartments, gate, CellSettings(), tile_px=64, progress=cancel)


def test_cd45_alone_is_enough(medium):
    section = replace(medium.expose(), roles={"cd45": 0})
    table = find(section).table
    assert len(table) >= 43
    assert not {"mean_k14", "mean_k8"} & set(table.columns)

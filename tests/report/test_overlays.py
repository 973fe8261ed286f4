from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from thymusimg.compartments.model import Compartment
from thymusimg.report import overlays
from thymusimg.report.inset import MAX_CROP_PX, choose_window
from thymusimg.report.picture import LONGEST_PX, length_words, scale_bar_um, write_text
from thymusimg.section.model import Grid


def _body(analysed, picture):
    view = overlays.View.of(analysed.compartments.grid, analysed.compartments.tissue)
    return picture[: view.shape[0]], view


def test_stains_have_the_colours_of_the_field(analysed) -> None:
    grid = analysed.compartments.grid
    view = overlays.View.of(grid)
    for role, strongest in (("cd45", 0), ("k8", 1), ("k14", 2)):
        plane = np.zeros(grid.shape, np.float32)
        plane[50:100, 50:100] = 1
        picture = overlays.draw_composite({role: plane}, view, {role: (0.0, 1.0)})
        y, x = np.rint(view.from_index((75, 75))).astype(int)
        assert picture[y, x].argmax() == strongest
        assert picture[5, 5].tolist() == [0, 0, 0]


def test_gain_does_not_change_the_composite(analysed) -> None:
    view = overlays.View.of(analysed.compartments.grid, analysed.compartments.tissue)
    louder = {role: plane * 4 for role, plane in analysed.planes.items()}
    assert np.array_equal(overlays.draw_composite(analysed.planes, view), overlays.draw_composite(louder, view))


def test_noise_of_a_negative_section_stays_dark(analysed) -> None:
    noise = np.random.default_rng(0).normal(0, 20, analysed.planes["cd45"].shape).astype(np.float32)
    limits = overlays.display_limits({"cd45": noise}, None, analysed.cells.gate)
    gate = analysed.cells.gate
    assert limits["cd45"][0] == gate.background
    assert limits["cd45"][1] >= gate.background + 3 * (gate.threshold - gate.background)


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_flat_and_undefined_planes_are_black(analysed, value) -> None:
    view = overlays.View.of(analysed.compartments.grid)
    plane = np.full(analysed.compartments.grid.shape, value, np.float32)
    assert not overlays.draw_composite({"k8": plane}, view)[: view.shape[0]].any()


@pytest.mark.parametrize("shape", [(60000, 3000), (400, 400), (3, 9000), (1, 1)])
def test_pictures_are_bounded(shape) -> None:
    grid = Grid.of(shape, 0.5)
    assert max(overlays.View.of(grid).shape) <= LONGEST_PX
    assert min(overlays.View.of(grid).shape) >= 1


def test_the_view_shows_the_tissue_and_little_more(analysed) -> None:
    grid = analysed.compartments.grid
    tissue = np.zeros(grid.shape, bool)
    tissue[200:260, 300:340] = True
    window = overlays.View.of(grid, tissue).window
    margin = 60 / grid.pixel_um
    assert window == pytest.approx((200 - margin, 260 + margin, 300 - margin, 340 + margin))


def test_outlines_lie_on_the_compartment(analysed) -> None:
    _, view = _body(analysed, np.zeros((1, 1, 3), np.uint8))
    black = np.zeros((*view.shape, 3), np.uint8)
    drawn, _ = _body(analysed, overlays.draw_compartments(black, view, analysed.compartments))
    labels = view.show(analysed.compartments.labels, nearest=True)
    inner = cv2.erode((labels == Compartment.CORTEX).astype(np.uint8), np.ones((15, 15))) > 0
    # Away from its outline the cortex is tinted evenly, so every other colour is an outline or the junction.
    assert len(np.unique(drawn[inner], axis=0)) == 1
    rim = cv2.dilate((labels == Compartment.CYST).astype(np.uint8), np.ones((3, 3))) > 0
    rim &= ~(cv2.erode((labels == Compartment.CYST).astype(np.uint8), np.ones((9, 9))) > 0)
    assert drawn[rim].max() >= 180


def test_every_cell_is_marked_and_counted(analysed) -> None:
    _, view = _body(analysed, np.zeros((1, 1, 3), np.uint8))
    black = np.zeros((*view.shape, 3), np.uint8)
    drawn, _ = _body(analysed, overlays.draw_compartments(black, view, analysed.compartments, analysed.cells))
    places = view.from_um(analysed.cells.table[["y_um", "x_um"]].to_numpy())
    y, x = np.rint(places).astype(int).T
    assert (drawn[y, x] == 255).all()


def test_a_section_without_compartments_or_cells_is_drawn(analysed) -> None:
    empty = replace(analysed.compartments, labels=np.zeros_like(analysed.compartments.labels), junction_um=())
    pictures = overlays.draw_section(analysed.section, analysed.planes, empty, None)
    assert set(pictures) == {"composite", "compartments"}


def test_the_inset_reads_a_bounded_crop_near_the_junction(analysed) -> None:
    image = analysed.section.image
    image.windows.clear()
    picture = overlays.draw_inset(analysed.section, analysed.cells, analysed.compartments)
    assert picture is not None
    assert max(picture.shape) <= LONGEST_PX + 16
    assert all(max(w.shape) <= MAX_CROP_PX for w in image.windows)
    window = choose_window(analysed.section, analysed.cells, analysed.compartments, 160.0)
    centre = (
        np.array([(window.y0 + window.y1) / 2, (window.x0 + window.x1) / 2]) / analysed.compartments.grid.factor
    )
    distance = analysed.compartments.distance_to_cmj_um[tuple(centre.astype(int))]
    assert abs(distance) <= 110
    fine = replace(analysed.section, pixel_size_um=0.05)
    assert max(choose_window(fine, analysed.cells, analysed.compartments, 400.0).shape) <= MAX_CROP_PX


def test_without_cells_there_is_no_inset(analysed) -> None:
    assert overlays.draw_inset(analysed.section, None, analysed.compartments) is None


def test_pictures_are_the_same_twice_and_readable(analysed, tmp_path) -> None:
    first, second = (
        overlays.draw_section(analysed.section, analysed.planes, analysed.compartments, analysed.cells)
        for _ in range(2)
    )
    assert all(np.array_equal(first[name], second[name]) for name in first)
    overlays.write_pictures(first, tmp_path / "pictures")
    back = cv2.imread(str(tmp_path / "pictures" / "composite.jpg"))[..., ::-1]
    assert np.abs(back.astype(int) - first["composite"]).mean() < 6


@pytest.mark.parametrize(("width", "bar"), [(3100, 500), (4000, 1000), (90, 20), (0.4, 0.1), (8000, 2000)])
def test_scale_bars_are_round_and_a_quarter_at_most(width, bar) -> None:
    assert scale_bar_um(width) == pytest.approx(bar)


def test_long_bars_are_told_in_mm() -> None:
    assert length_words(2000) == "2 mm"
    assert length_words(200) == "200 µm"


def test_text_outside_ascii_does_not_stop_a_picture() -> None:
    picture = np.zeros((40, 300, 3), np.uint8)
    write_text(picture, "PDGFRβ 5 µm", (4, 28))
    assert picture.any()

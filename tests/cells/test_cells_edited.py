"""Cells that a person corrected: numbers as detection's, masks disjoint, ids in order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from thymusimg.cells.cutting import cut_along, cut_in_two
from thymusimg.cells.edited import (
    add_cell,
    cell_at,
    cells_of_labels,
    delete_cells,
    merge_cells,
    region_of,
    split_cell,
)
from thymusimg.cells.light import CellLight
from thymusimg.cells.model import Gate
from thymusimg.cells.region import Region, disc_region, polygon_region
from thymusimg.errors import CallError
from thymusimg.section.model import Grid, Subject, Window

if TYPE_CHECKING:
    from thymusimg.cells.model import Cells

PX = 0.5
SHAPE = (120, 160)


@dataclass(frozen=True)
class FakeSection:
    """A section of random light."""

    light: dict[str, np.ndarray]
    subject: Subject = field(default_factory=lambda: Subject("s"))
    pixel_size_um: float = PX
    shape: tuple[int, int] = SHAPE
    origin: tuple[int, int] = (0, 0)

    def on_slide(self, window: Window) -> Window:
        return window

    in_section = on_slide

    @property
    def roles(self) -> dict[str, int]:
        return {role: i for i, role in enumerate(self.light)}

    @property
    def grid(self) -> Grid:
        return Grid.of(SHAPE, PX)

    def read(self, role: str, window: Window, level: int = 0) -> np.ndarray:
        return self.light[role][window.slices]


class FakeCorrection:
    """Subtracts a tenth."""

    unmixing = None

    def apply(self, pixels: dict[str, np.ndarray], window: Window) -> dict[str, np.ndarray]:
        return {role: (plane - np.float32(0.1)).astype(np.float32) for role, plane in pixels.items()}


@pytest.fixture(scope="module")
def light() -> CellLight:
    random = np.random.default_rng(1)
    planes = {role: random.random(SHAPE, np.float32) for role in ("cd45", "k14", "k8")}
    section = FakeSection(planes)
    analysable = np.ones(section.grid.shape, bool)
    return CellLight(section, FakeCorrection(), analysable, Gate(0.5, 0.1, 0.05, "section"))  # type: ignore[arg-type]


@pytest.fixture
def cells(light: CellLight) -> Cells:
    """Discs in a lattice; 7 and 8 touch."""
    labels = np.zeros(SHAPE, np.int32)
    centres = [(20, 20), (20, 60), (22, 100), (60, 20), (60, 60), (62, 100), (95, 40), (95, 53)]
    for number, (y, x) in enumerate(centres, start=1):
        region = disc_region((y * PX, x * PX), 13 * PX, PX, SHAPE)
        labels[region.window.slices][region.mask] = number
    return cells_of_labels(labels, light, np.zeros((30, 40), np.float32))


def check(cells: Cells, light: CellLight) -> None:
    """Hold the cells against those of their own label image, to the last bit."""
    labels = cells.masks.paint(Window(0, SHAPE[0], 0, SHAPE[1]))
    assert np.bincount(labels.ravel())[1:].tolist() == [cells.masks.mask(i).sum() for i in range(len(cells.masks))]
    assert cells.table["cell_id"].tolist() == list(range(1, len(cells.table) + 1))
    again = cells_of_labels(labels.astype(np.int32), light, cells.positive_fraction, tile_px=64)
    columns = [name for name in cells.table if name != "score"]
    pd.testing.assert_frame_equal(cells.table[columns], again.table[columns], check_exact=True)
    assert np.array_equal(cells.masks.boxes, again.masks.boxes)
    assert np.array_equal(cells.masks.bits, again.masks.bits)
    order = cells.table[["y_um", "x_um"]].to_numpy()
    assert np.array_equal(order, order[np.lexsort((order[:, 1], order[:, 0]))])


def test_an_added_cell_is_measured_as_a_detected_one(cells: Cells, light: CellLight) -> None:
    more = add_cell(cells, disc_region((20.0, 20.0), 6.0, PX, SHAPE), light)
    assert len(more.table) == 9
    assert len(cells.table) == 8
    check(more, light)
    number = cell_at(more, (20.0, 20.0), PX)
    row = more.table.iloc[number - 1]
    region = region_of(more, number)
    plane = light.read(["k14"], region.window)["k14"]
    assert row["mean_k14"] == pytest.approx(float(plane[region.mask].mean(dtype=np.float64)), rel=1e-12)
    assert row["score"] == 1
    assert more.method == "labels, edited"


def test_an_added_cell_takes_no_pixel_of_others(cells: Cells, light: CellLight) -> None:
    more = add_cell(cells, disc_region((10.0, 13.0), 6.0, PX, SHAPE), light)  # beside cell 1 at (10, 10)
    check(more, light)
    before = cells.masks.paint(Window(0, SHAPE[0], 0, SHAPE[1])) > 0
    assert (more.masks.paint(Window(0, SHAPE[0], 0, SHAPE[1])) > 0)[before].all()
    with pytest.raises(CallError, match="other cells leave"):
        add_cell(cells, disc_region((10.0, 10.0), 5.0, PX, SHAPE), light, least_um2=10.0)


def test_deleting_undoes_adding_to_the_last_bit(cells: Cells, light: CellLight) -> None:
    more = add_cell(cells, disc_region((20.0, 20.0), 6.0, PX, SHAPE), light)
    back = delete_cells(more, [cell_at(more, (20.0, 20.0), PX)])
    pd.testing.assert_frame_equal(back.table, cells.table, check_exact=True)
    assert np.array_equal(back.masks.bits, cells.masks.bits)
    assert len(delete_cells(cells, range(1, 9)).table) == 0
    with pytest.raises(CallError, match="no cell 9"):
        delete_cells(cells, [9])


def test_merging_and_splitting_along_the_same_line_are_inverse(cells: Cells, light: CellLight) -> None:
    pair = [7, 8]
    one = merge_cells(cells, pair, light)
    check(one, light)
    assert len(one.table) == 7
    assert one.table["area_um2"].iloc[-1] >= cells.table["area_um2"].iloc[6:].sum()
    two = split_cell(one, 7, light, line_um=[(40.0, 46.5 * PX), (60.0, 46.5 * PX)])
    check(two, light)
    assert two.table["x_um"].to_numpy()[6:] == pytest.approx([40 * PX, 53 * PX], abs=PX)
    by_shape = split_cell(one, 7, light)
    check(by_shape, light)
    assert by_shape.table["x_um"].to_numpy()[6:] == pytest.approx([40 * PX, 53 * PX], abs=1.5 * PX)


def test_cells_that_do_not_touch_are_not_merged(cells: Cells, light: CellLight) -> None:
    with pytest.raises(CallError, match="cells 1, 2 lie more than 2 µm apart"):
        merge_cells(cells, [1, 2], light)
    with pytest.raises(CallError, match="needs two"):
        merge_cells(cells, [1, 1], light)


def test_a_line_beside_a_cell_does_not_split_it(cells: Cells, light: CellLight) -> None:
    with pytest.raises(CallError, match="cell 1 was not split"):
        split_cell(cells, 1, light, line_um=[(0.0, 40.0), (60.0, 40.0)])


def test_a_narrow_gap_is_filled_with_free_pixels_only(light: CellLight) -> None:
    labels = np.zeros(SHAPE, np.int32)
    labels[10:20, 10:20], labels[10:20, 22:32], labels[13:16, 20:22] = 1, 2, 3
    cells = cells_of_labels(labels, light, np.zeros((30, 40), np.float32))
    order = {int(row["x_um"] / PX): int(row["cell_id"]) for _, row in cells.table.iterrows()}
    one = merge_cells(cells, [order[14], order[26]], light)
    check(one, light)
    assert len(one.table) == 2
    assert sorted(one.table["area_um2"] / PX**2)[0] == 6


def test_touching_rings_part_along_their_membranes() -> None:
    y, x = np.mgrid[:40, :60]
    rings = [np.hypot(y - 20, x - 20), np.hypot(y - 20, x - 33)]
    mask = (rings[0] < 9) | (rings[1] < 9)
    cd45 = sum(np.exp(-(((ring - 7.0) / 1.5) ** 2)) for ring in rings).astype(np.float32)
    parts = cut_in_two(mask, cd45, PX)
    assert np.array_equal(parts > 0, mask)
    assert abs(int((parts == 1).sum()) - int((parts == 2).sum())) < 0.1 * mask.sum()
    assert np.abs(np.argwhere(parts == 2)[:, 1].min() - 26.5) <= 3
    round_one = rings[0] < 6
    assert set(np.unique(cut_in_two(round_one, cd45, PX))) == {0, 1, 2}


def test_sides_of_a_line() -> None:
    mask = np.ones((4, 6), bool)
    parts = cut_along(mask, (0.0, 2.5), (3.0, 2.5))
    assert (parts[:, :3] == 1).all()
    assert (parts[:, 3:] == 2).all()


def test_regions_hold_the_pixels_whose_centres_they_hold() -> None:
    square = polygon_region([(0.9, 0.9), (0.9, 3.1), (3.1, 3.1), (3.1, 0.9)], PX, SHAPE)
    assert (square.pixels, square.window.y0, square.window.x0) == (25, 1, 1)
    assert disc_region((10.0, 10.0), 8.0, PX, SHAPE).pixels * PX**2 == pytest.approx(np.pi * 16, rel=0.03)
    cut = disc_region((0.0, 0.0), 8.0, PX, SHAPE)
    assert cut.pixels < 70
    assert min(cut.window) == 0
    with pytest.raises(CallError, match="beyond the slide"):
        disc_region((-50.0, 0.0), 8.0, PX, SHAPE)
    with pytest.raises(CallError, match="at least three"):
        polygon_region([(0, 0), (1, 1)], PX, SHAPE)
    assert Region(Window(0, 2, 0, 3), np.array([[1, 0, 1], [0, 0, 1]], bool)).biggest().pixels == 2


def test_two_disjoint_halves_of_a_bow_are_one_piece() -> None:
    bow = polygon_region([(0, 0), (10, 10), (10, 0), (0, 12)], PX, SHAPE)
    assert bow.pixels > 0


def test_a_place_names_its_cell(cells: Cells) -> None:
    assert cell_at(cells, (10.0, 10.0), PX) == 1
    assert cell_at(cells, (20.0, 20.0), PX) == 0

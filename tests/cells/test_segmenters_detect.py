"""Foreign segmenters on sections: tiles, scale, gate, ownership."""

from __future__ import annotations

import numpy as np
import pytest
from cell_fakes import matched, scattered, scene, surroundings
from scipy import ndimage

from thymusimg.cells.claims import settle
from thymusimg.cells.collect import empty
from thymusimg.cells.labels import centroids, find_labelled
from thymusimg.cells.limits import measure_limits
from thymusimg.cells.model import Gate
from thymusimg.cells.segmenters import Segmenter, detect_with_segmenter, segmenter
from thymusimg.errors import CellsError, ModelError
from thymusimg.section.model import Window
from thymusimg.settings import CellSettings

GATE = Gate(threshold=160.0, background=40.0, background_sd=12.0, source="section")


def filled_rings(planes):
    bodies = ndimage.binary_fill_holes(planes[0] > 0.25)
    return ndimage.label(ndimage.binary_opening(bodies, iterations=2))[0]


def declared(function=filled_rings, **changed):
    settings = {"channels": ("cd45",), "pixel_size_um": 0.5, "tile_px": 120} | changed
    return segmenter(**settings)(function)


def detect(section, by, labels=None, *, gate=GATE, settings=None, **call):
    correction, compartments = surroundings(section, labels)
    return detect_with_segmenter(
        section, correction, compartments, gate, settings or CellSettings(), segmenter=by, device="cpu", **call
    )


@pytest.fixture(scope="module")
def cells():
    return scene(*scattered(40, 120.0), size_um=120.0, pixel_um=0.5)


@pytest.fixture(scope="module")
def found(cells):
    return detect(cells.expose(), declared())


def whole(section):
    return Window(0, section.shape[0], 0, section.shape[1])


def test_all_cells_once_with_their_masks(cells, found):
    section = cells.expose()
    painted = found.masks.paint(whole(section))
    hits, truth, count = matched(cells.labels, painted)
    assert (hits, count) == (truth, truth)
    assert found.method == "filled_rings"
    assert found.table["score"].isna().all()
    assert {"mean_cd45", "mean_k14", "mean_k8", "area_um2"} <= set(found.table)
    cd45 = section.image.planes[0] - 100.0
    means = ndimage.mean(cd45, painted, found.table["cell_id"])
    np.testing.assert_allclose(means, found.table["mean_cd45"], rtol=1e-5)
    assert found.positive_fraction.mean() == pytest.approx((cd45 >= GATE.threshold).mean(), rel=1e-5)


def test_neither_threads_nor_our_tile_size_matter(cells, found):
    again = detect(cells.expose(), declared(), threads=3, tile_px=64)
    assert again.table.equals(found.table)
    np.testing.assert_array_equal(again.masks.bits, found.masks.bits)
    np.testing.assert_array_equal(again.positive_fraction, found.positive_fraction)


SIZES = [(90, 0.5), (200, 0.5), (512, 0.5), (200, 0.25), (120, 0.7), (120, 0.37)]


@pytest.mark.parametrize(("tile_px", "pixel"), SIZES)
def test_neither_the_segmenters_tiles_nor_its_pixels_lose_cells(cells, tile_px, pixel):
    by = declared(tile_px=tile_px, pixel_size_um=pixel)
    result = detect(cells.expose(), by)
    hits, truth, count = matched(cells.labels, result.masks.paint(whole(cells.expose())))
    assert count == truth
    assert hits >= truth - 1


def test_its_tiles_are_of_one_shape_and_zero_beyond_the_slide(cells):
    seen = []

    def look(planes):
        seen.append(planes.copy())
        return np.zeros(planes.shape[1:], int)

    detect(cells.expose(), declared(look, channels=("cd45", "dapi"), optional_channels=("dapi",)))
    assert {tile.shape for tile in seen} == {(2, 120, 120)}
    assert not seen[0][:, :24].any()
    assert seen[0][0, 24:].any()
    assert not any(tile[1].any() for tile in seen)  # the section has no DAPI


def test_scale_is_the_sections_not_the_tiles():
    # cells in one corner only: a tile without any must look empty
    places = np.array([[10.0, 10.0], [10.0, 19.0], [19.0, 10.0], [19.0, 19.0]])
    section = scene(places, [3.4] * 4, size_um=200.0, texture=0.1).expose()
    tiles = []

    def look(planes):
        tiles.append(float(planes[0].max()))
        return filled_rings(planes)

    correction, compartments = surroundings(section)
    result = detect(section, declared(look), gate=Gate(80.0, 40.0, 12.0, "section"))
    assert len(result.table) == 4
    assert sum(top > 0.7 for top in tiles) == 1
    assert sum(top < 0.5 for top in tiles) == len(tiles) - 1
    limits = measure_limits(section, correction, compartments.analysable, GATE, ["cd45", "k14"])
    assert limits["cd45"].low == 40.0
    assert limits["k14"].low < 30 < limits["k14"].high


def test_a_section_without_cells_gets_none():
    section = scene(np.zeros((0, 2)), [], size_um=120.0, texture=0.3).expose()
    result = detect(section, declared(lambda planes: ndimage.label(planes[0] > 0.9)[0]))
    assert len(result.table) == 0
    assert len(result.masks) == 0


def test_cells_below_the_gate_are_not_human():
    places, radii = scattered(20, 80.0)
    bright, dim = scene(places[:10], radii[:10], 80.0), scene(places[10:], radii[10:], 80.0, height=90.0)
    bright.stains[:] = np.maximum(bright.stains, dim.stains)
    section = bright.expose(noise=False)
    drawn = []

    def all_rings(planes):
        labels = ndimage.label(ndimage.binary_fill_holes(planes[0] > 0.06))[0]
        drawn.append(labels.max())
        return labels

    strict = detect(section, declared(all_rings, tile_px=256), gate=Gate(300.0, 40.0, 12.0, "section"))
    assert drawn == [20]
    assert matched(bright.labels, strict.masks.paint(whole(section))) == (10, 10, 10)
    lenient = detect(section, declared(all_rings, tile_px=256), gate=Gate(70.0, 40.0, 12.0, "section"))
    assert len(lenient.table) == 20


def test_bodies_that_shine_in_every_stain_are_no_cells(cells):
    section = cells.expose(noise=False)
    section.image.planes[1:] = section.image.planes[0]
    assert len(detect(section, declared()).table) == 0


def test_only_on_analysable_tissue(cells):
    section = cells.expose()
    labels = np.ones(section.grid.shape, np.uint8)
    labels[:, labels.shape[1] // 2 :] = 0
    result = detect(section, declared(), labels)
    middle = labels.shape[1] // 2 * section.grid.pixel_um
    assert 0 < len(result.table) < 40
    assert (result.table["x_um"] < middle + 0.5).all()
    assert not result.positive_fraction[:, labels.shape[1] // 2 :].any()


def test_a_segmenter_that_sees_its_tile_differently_still_gives_every_cell_once(cells):
    # grows and moves its labels by what the tile holds: neighbours draw border cells differently
    def unsteady(planes):
        labels = filled_rings(planes)
        shift = int(planes[0].sum() * 10) % 5 - 2
        return ndimage.grey_dilation(np.roll(labels, (shift, -shift), (0, 1)), size=1 + int(planes[0].sum()) % 3)

    by = declared(unsteady, tile_px=80)
    result = detect(cells.expose(), by)
    section = cells.expose()
    painted = result.masks.paint(whole(section))
    truth = int(cells.labels.max())
    assert abs(len(result.table) - truth) <= 1
    # disjoint: every pixel of every mask is painted with its own number
    assert np.array_equal(
        np.bincount(painted.ravel(), minlength=truth + 1)[1:], np.round(result.table["area_um2"] / 0.25)
    )
    means = ndimage.mean(section.image.planes[0] - 100.0, painted, result.table["cell_id"])
    np.testing.assert_allclose(means, result.table["mean_cd45"], rtol=1e-5)


def test_nuclei_are_grown_to_the_membrane(cells):
    def nuclei(planes):
        return ndimage.label(ndimage.binary_erosion(filled_rings(planes) > 0, iterations=3))[0]

    section = cells.expose()
    small = detect(section, declared(nuclei), gate=Gate(420.0, 40.0, 12.0, "section"))
    grown = detect(section, declared(nuclei, expand_um=1.5), gate=Gate(420.0, 40.0, 12.0, "section"))
    assert len(small.table) < len(grown.table)
    assert matched(cells.labels, grown.masks.paint(whole(section)))[0] >= 38


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda p: np.zeros(p.shape[1:], np.float32), "float32"),
        (lambda p: np.ones(p.shape[1:], bool), "bool"),
        (lambda p: np.full(p.shape[1:], -3), "-3"),
        (lambda p: np.zeros((5, 5), int), "5 × 5"),
        (lambda p: np.zeros(p.shape, int), "expected 120 × 120"),
        (lambda p: None, "shape a single number"),
        (lambda p: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda p: [][0], "IndexError"),
    ],
)
def test_what_is_no_label_image_is_refused(cells, answer, said):
    with pytest.raises(ModelError, match="segmenter '<lambda>'") as caught:
        detect(cells.expose(), declared(answer))
    assert said in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 2


def test_any_whole_numbers_will_do(cells, found):
    def huge(planes):
        labels = filled_rings(planes).astype(np.uint64)
        return np.where(labels > 0, labels + np.uint64(2**40), 0).astype(np.uint64)

    for kind in (np.uint8, np.uint16, np.int64):
        assert detect(cells.expose(), declared(lambda p, k=kind: filled_rings(p).astype(k))).table.equals(
            found.table
        )
    assert detect(cells.expose(), declared(huge)).table.equals(found.table)


def test_a_label_that_the_tile_cuts_is_no_cell(cells):
    assert len(detect(cells.expose(), declared(lambda p: np.ones(p.shape[1:], int))).table) == 0


def test_a_missing_channel_and_coarse_pixels_are_said(cells):
    with pytest.raises(CellsError, match="no dapi"):
        detect(cells.expose(), declared(channels=("cd45", "dapi")))
    with pytest.raises(CellsError, match="too coarse"):
        detect(cells.expose(), declared(), settings=CellSettings(coarsest_pixel_um=0.4))


def test_it_is_loaded_once_and_a_failing_load_is_said(cells):
    loads = []

    def load(device):
        loads.append(device)
        return filled_rings

    once = Segmenter("once", load, ("cd45",), 0.5, tile_px=120)
    detect(cells.expose(), once)
    detect(cells.expose(), once)
    assert loads == ["cpu"]
    with pytest.raises(ModelError, match=r"'broken' cannot be loaded \(FileNotFoundError"):
        detect(cells.expose(), Segmenter("broken", lambda d: open("weights.pt"), ("cd45",), 0.5, tile_px=120))  # noqa: PTH123
    with pytest.raises(ModelError, match="which cannot be called"):
        detect(cells.expose(), Segmenter("none", lambda d: 3, ("cd45",), 0.5, tile_px=120))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"channels": ()}, "channels are none"),
        ({"channels": ("cd45", "cd45")}, "each once"),
        ({"channels": ("cd3",)}, "channels are cd3"),
        ({"optional_channels": ("dapi",)}, "not all among"),
        ({"pixel_size_um": 0.0}, "0.05 to 5"),
        ({"diameter_um": 0.0}, "1 to 100"),
        ({"expand_um": 20.0}, "grown by 20"),
        ({"tile_px": 50}, "must be 64 or more"),
    ],
)
def test_a_declaration_that_cannot_be_is_refused(changed, said):
    with pytest.raises(ModelError, match=said):
        declared(**changed)


def squares(*places, side=10, shape=(60, 60)):
    labels = np.zeros(shape, np.int32)
    for index, (y, x) in enumerate(places, 1):
        labels[y : y + side, x : x + side] = index
    return labels


CORES = [Window(0, 60, 0, 30), Window(0, 60, 30, 60)]


def claims(*drawn, slack=4.0):
    return [
        find_labelled(labels, (0, 0), core, [np.ones(labels.shape, np.float32)], slack_px=slack)
        for labels, core in zip(drawn, CORES, strict=True)
    ]


def test_one_cell_drawn_in_its_own_cores_twice_stays_once():
    settled = settle(claims(squares((20, 23)), squares((20, 26))), CORES, 1)
    assert centroids(settled.cells).tolist() == [[24.5, 27.5]]
    assert settled.tile.tolist() == [0]
    assert not settled.trimmed.any()


def test_one_cell_that_each_tile_sees_in_the_others_core_stays_once():
    left, right = squares((20, 27)), squares((20, 23))
    settled = settle(claims(left, right), CORES, 1)
    assert len(settled.cells.boxes) == 1
    assert len(settle(claims(left, right, slack=0.0), CORES, 1).cells.boxes) == 0


def test_the_owner_comes_before_the_stray_whatever_lies_higher():
    settled = settle(claims(squares((18, 27)), squares((21, 27))), CORES, 1)
    assert settled.tile.tolist() == [1]


def test_two_cells_that_touch_part_where_the_upper_one_ends():
    settled = settle(claims(squares((20, 22)), squares((23, 29))), CORES, 1)
    assert settled.cells.sums[:, 0].tolist() == [100, 79]
    assert settled.trimmed.tolist() == [False, True]
    y, x = np.nonzero((squares((23, 29)) > 0) & (squares((20, 22)) == 0))
    assert settled.cells.sums[1, 2:4].tolist() == [y.sum(), x.sum()]


def test_of_a_claim_in_pieces_the_biggest_stays():
    bar = np.zeros((60, 60), np.int32)
    bar[10:40, 28:33] = 1
    settled = settle(claims(squares((16, 22), side=12), bar), CORES, 1)
    assert settled.cells.sums[settled.trimmed, 0].tolist() == [12 * 5]
    assert settled.cells.boxes[settled.trimmed].tolist() == [[28, 40, 28, 33]]
    assert settle([empty(1), empty(1)], CORES, 1).cells.sums.shape == (0, 5)

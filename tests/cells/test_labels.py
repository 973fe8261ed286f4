from __future__ import annotations

import numpy as np
import pytest
from cell_fakes import matched
from skimage.measure import regionprops

from thymusimg.cells.collect import join
from thymusimg.cells.labels import centroids, find_labelled, labels_on_slide, on_tissue
from thymusimg.section.model import Window
from thymusimg.section.resample import Resampling
from thymusimg.section.tiles import tile_grid


def discs(size, count, radius=(5, 9), seed=0):
    rng = np.random.default_rng(seed)
    labels = np.zeros((size, size), np.int32)
    y, x = np.mgrid[:size, :size]
    places = rng.uniform(0, size, (count, 2))
    for index, ((cy, cx), r) in enumerate(zip(places, rng.uniform(*radius, count), strict=True), 1):
        labels[((y - cy) ** 2 + (x - cx) ** 2 < r * r) & (labels == 0)] = index
    return labels


@pytest.fixture(scope="module")
def scene():
    labels = discs(200, 60)
    rng = np.random.default_rng(1)
    return labels, [rng.normal(100, 20, labels.shape).astype(np.float32) for _ in range(2)]


def whole(labels):
    return Window(0, labels.shape[0], 0, labels.shape[1])


def test_sums_are_those_of_scikit_image(scene):
    labels, planes = scene
    found = find_labelled(labels, (0, 0), whole(labels), planes)
    truth = sorted(regionprops(labels, np.stack(planes, -1)), key=lambda r: r.centroid)
    one_piece = [r for r in truth if r.euler_number == 1]
    places = centroids(found)
    for region in one_piece:
        at = np.flatnonzero(np.hypot(*(places - region.centroid).T) < 1e-9)
        assert len(at) == 1
        assert found.sums[at[0], 0] == region.area
        assert found.sums[at[0], 4:] / region.area == pytest.approx(region.intensity_mean)


def test_order_is_that_of_the_slide_and_numbers_mean_nothing(scene):
    labels, planes = scene
    shuffled = np.concatenate([[0], np.random.default_rng(3).permutation(labels.max()) + 7]).astype(np.int32)[
        labels
    ]
    first, second = (find_labelled(image, (0, 0), whole(labels), planes) for image in (labels, shuffled))
    for name in ("boxes", "starts", "bits", "sums"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    assert (np.diff(centroids(first)[:, 0]) >= 0).all()


@pytest.mark.parametrize("tile_px", [37, 64, 150])
def test_tiles_do_not_matter(scene, tile_px):
    labels, planes = scene
    together, masks = join([find_labelled(labels, (0, 0), whole(labels), planes)], ["a", "b"], 0.5)
    parts = []
    for tile in tile_grid(labels.shape, tile_px, 24):
        y, x = tile.outer.slices
        cut = [np.ascontiguousarray(plane[y, x]) for plane in planes]
        parts.append(find_labelled(labels[y, x], (tile.outer.y0, tile.outer.x0), tile.core, cut))
    table, pieces = join(parts, ["a", "b"], 0.5)
    assert together.equals(table)
    np.testing.assert_array_equal(masks.bits, pieces.bits)
    np.testing.assert_array_equal(masks.boxes, pieces.boxes)


def test_masks_painted_back_are_the_labels(scene):
    labels, planes = scene
    _, masks = join([find_labelled(labels, (0, 0), whole(labels), planes)], ["a", "b"], 1.0)
    painted = masks.paint(whole(labels))
    truth, _ = join([find_labelled(labels, (0, 0), whole(labels), [])], [], 1.0)
    assert painted.max() == len(truth)
    kept = painted > 0
    assert not (kept & (labels == 0)).any()
    assert (~kept & (labels > 0)).sum() < 0.02 * kept.sum()  # pieces cut off by a cell in front


def test_the_biggest_piece_is_the_cell():
    labels = np.zeros((30, 40), np.int32)
    labels[2:5, 2:5] = 1
    labels[10:20, 10:20] = 1
    labels[20, 20] = 1  # hangs on by a corner: one region
    found = find_labelled(labels, (100, 200), Window(0, 1000, 0, 1000), [])
    assert found.sums[:, 0].tolist() == [101]
    assert found.boxes.tolist() == [[110, 121, 210, 221]]


def test_equal_pieces_go_to_the_upper_one():
    labels = np.zeros((30, 30), np.int32)
    labels[20:23, 2:5] = labels[2:5, 20:23] = 4
    found = find_labelled(labels, (0, 0), Window(0, 30, 0, 30), [])
    assert found.boxes.tolist() == [[2, 5, 20, 23]]


def test_small_ones_are_dropped_and_scores_go_with_their_labels():
    labels = np.zeros((30, 30), np.int32)
    labels[20:25, 2:7], labels[2:7, 20:25], labels[10, 10] = 1, 2, 3
    scores = np.array([0, 0.25, 0.75, 1.0], np.float32)
    found = find_labelled(labels, (0, 0), Window(0, 30, 0, 30), [], scores=scores, least_px=2)
    assert found.scores.tolist() == [0.75, 0.25]
    assert np.isnan(find_labelled(labels, (0, 0), Window(0, 30, 0, 30), []).scores).all()


def test_a_centroid_belongs_to_one_core_and_slack_reaches_over_it():
    labels = np.zeros((20, 20), np.int32)
    labels[8:12, 8:12] = 1  # centroid 9.5, 9.5: on the border of pixels 9 and 10
    left, right = Window(0, 20, 0, 10), Window(0, 20, 10, 20)
    assert [len(find_labelled(labels, (0, 0), core, []).boxes) for core in (left, right)] == [0, 1]
    assert [len(find_labelled(labels, (0, 0), core, [], slack_px=1).boxes) for core in (left, right)] == [1, 1]


@pytest.mark.parametrize("shape", [(0, 0), (5, 0), (20, 20)])
def test_no_labels_no_cells(shape):
    planes = [np.zeros(shape, np.float32)] * 2
    found = find_labelled(np.zeros(shape, np.int32), (0, 0), Window(0, *shape[:1], 0, shape[1]), planes)
    assert found.sums.shape == (0, 6)


@pytest.mark.parametrize(("other", "least"), [(0.5, 1.0), (0.25, 0.9), (1.0, 0.85), (0.8, 0.85), (0.37, 0.9)])
def test_labels_of_another_grid_cover_the_same_cells(other, least):
    pixel = 0.5
    truth = discs(160, 20, (6, 9))
    resampling = Resampling(truth.shape, pixel, other)
    fine_y, fine_x = (
        np.clip(np.floor((np.arange(n) + 0.5) * resampling.scale).astype(int), 0, 159) for n in resampling.shape
    )
    given = truth[np.ix_(fine_y, fine_x)]
    window = Window(0, resampling.shape[0], 0, resampling.shape[1])
    found = labels_on_slide(given, window, resampling, whole(truth))
    assert found.shape == truth.shape
    for label in range(1, truth.max() + 1):
        a, b = truth == label, found == label
        if a.sum() > 60:
            assert (a & b).sum() / (a | b).sum() >= least - 0.15
    both = (truth > 0) & (found > 0)
    assert both.sum() / ((truth > 0) | (found > 0)).sum() >= least
    hits, cells, _ = matched(truth, found)
    assert hits >= cells - 1


def test_windows_of_another_grid_agree():
    truth = discs(160, 25, (6, 9))
    resampling = Resampling(truth.shape, 0.5, 0.37)
    height, width = resampling.shape
    given = discs(height, 25, (8, 12))[:height, :width]
    full = labels_on_slide(given, Window(0, height, 0, width), resampling, Window(0, 160, 0, 160))
    part = labels_on_slide(given[31:150, 40:160], Window(31, 150, 40, 160), resampling, Window(40, 90, 50, 100))
    np.testing.assert_array_equal(full[40:90, 50:100], part)


def test_outlines_come_out_smooth():
    # a disc drawn at 1 µm and asked for at 0.25 µm: closer to the disc than its big pixels are
    y, x = np.mgrid[:40, :40]
    coarse = ((y - 19.5) ** 2 + (x - 19.5) ** 2 < 8.3**2).astype(np.int32)
    resampling = Resampling((160, 160), 0.25, 1.0)
    found = labels_on_slide(coarse, Window(0, 40, 0, 40), resampling, Window(0, 160, 0, 160))
    y, x = np.mgrid[:160, :160]
    truth = (y - 79.5) ** 2 + (x - 79.5) ** 2 < (8.3 * 4) ** 2
    blocks = np.kron(coarse, np.ones((4, 4), int)) > 0

    def iou(mask):
        return (mask & truth).sum() / (mask | truth).sum()

    assert iou(found > 0) > iou(blocks)


def test_tissue_is_where_the_centroid_lies():
    labels = np.zeros((40, 40), np.int32)
    y, x = np.mgrid[:40, :40]
    labels[np.hypot(y - 12, x - 12) < 8] = 1
    labels[np.hypot(y - 30, x - 30) < 6] = 2
    found = find_labelled(labels, (8, 0), Window(0, 99, 0, 99), [])
    tissue = np.zeros((12, 10), bool)
    tissue[:6] = True
    assert on_tissue(found, tissue, 4).tolist() == [True, False]

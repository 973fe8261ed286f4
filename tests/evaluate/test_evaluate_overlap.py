"""Dice, kappa and instance matching against analytic shapes and independent libraries."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from sklearn.metrics import cohen_kappa_score, f1_score

from thymusimg.evaluate.boundary import boundary_distance, outline
from thymusimg.evaluate.instances import detection_f1, f1_at_iou, measure_overlaps
from thymusimg.evaluate.overlap import confusion, dice, kappa


def disc(radius, centre=(0.0, 0.0), side=161):
    y, x = np.indices((side, side)) - (side - 1) / 2
    return np.hypot(y - centre[0], x - centre[1]) < radius


def lens_dice(radius, apart):
    """Two equal discs whose centres lie ``apart``: their common area over the area of one."""
    half = apart / (2 * radius)
    return 2 / np.pi * (np.arccos(half) - half * np.sqrt(1 - half**2))


@pytest.mark.parametrize("apart", [5, 20, 50])
def test_dice_of_shifted_discs(apart):
    assert dice(disc(40), disc(40, (0, apart))) == pytest.approx(lens_dice(40, apart), abs=0.01)


def test_dice_at_the_edges():
    some, none = disc(10), np.zeros((161, 161), bool)
    assert dice(some, some) == 1
    assert dice(some, none) == dice(none, some) == 0
    assert np.isnan(dice(none, none))


def test_dice_and_kappa_against_scikit_learn():
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 4, (2, 60, 70))
    assert dice(a == 2, b == 2) == pytest.approx(f1_score((a == 2).ravel(), (b == 2).ravel()))
    table = confusion(a, b, range(4))
    assert kappa(table) == pytest.approx(cohen_kappa_score(a.ravel(), b.ravel()))
    quadratic = cohen_kappa_score(a.ravel(), b.ravel(), weights="quadratic")
    assert kappa(table, ordinal=True) == pytest.approx(quadratic)


def test_kappa_is_undefined_for_one_class():
    assert np.isnan(kappa(np.array([[7, 0], [0, 0]])))
    assert np.isnan(kappa(np.zeros((2, 2), int)))


@pytest.mark.parametrize(("inner", "outer"), [(30, 31), (30, 37.5), (20, 60)])
def test_concentric_discs_lie_their_difference_apart(inner, outer):
    found = boundary_distance(outline(disc(inner)), outline(disc(outer)), pixel_um=2.0)
    assert found.mean_um == pytest.approx(2 * (outer - inner), abs=0.5)  # a quarter of a pixel
    assert found.p95_um == pytest.approx(2 * (outer - inner), abs=1.0)


def test_boundary_distance_is_symmetric_and_zero_for_the_same():
    a, b = outline(disc(30)), outline(disc(35, (4, 2)))
    assert boundary_distance(a, b, 1.0) == boundary_distance(b, a, 1.0)
    same = boundary_distance(a, a, 1.0)
    assert (same.mean_um, same.p95_um) == (0, 0)


def test_boundary_distance_against_every_pair_of_points():
    a, b = outline(disc(30)), outline(disc(35, (4, 2)))
    found = boundary_distance(a, b, 1.0)
    apart = cdist(np.concatenate([a.start, a.middle]), np.concatenate([b.start, b.middle]))
    brute = np.concatenate([apart.min(1), apart.min(0)]).mean()
    assert found.mean_um == pytest.approx(brute, abs=0.1)


def test_only_the_shared_border_counts():
    medulla, cortex = np.zeros((2, 40, 40), bool)
    medulla[10:30, 10:20] = True
    cortex[10:30, 20:30] = True
    line = outline(medulla, cortex)
    assert line.length.sum() == pytest.approx(19)
    assert np.allclose(line.start[:, 1], 19.5)


def random_cells(rng, side=120, count=40):
    labels = np.zeros((side, side), np.int32)
    for number, (y, x) in enumerate(rng.uniform(0, side, (count, 2)), start=1):
        yy, xx = np.indices(labels.shape)
        labels[(yy - y) ** 2 + (xx - x) ** 2 < rng.uniform(4, 7) ** 2] = number
    return labels


def test_instances_against_the_hungarian_method():
    rng = np.random.default_rng(3)
    a = random_cells(rng)
    b = np.roll(a, (1, 2), (0, 1))
    b[b == 5] = 0
    overlaps = measure_overlaps(a, b)
    names_a, names_b = (np.setdiff1d(np.unique(x), 0) for x in (a, b))
    assert (overlaps.area == [(a == n).sum() for n in names_a]).all()
    assert np.allclose(overlaps.centre, [np.argwhere(a == n).mean(0) for n in names_a])
    iou = np.array([[((a == i) & (b == j)).sum() / ((a == i) | (b == j)).sum() for j in names_b] for i in names_a])
    for threshold, value in f1_at_iou(overlaps).items():
        good = iou >= threshold
        rows, columns = linear_sum_assignment(-good.astype(float))
        assert value == pytest.approx(2 * good[rows, columns].sum() / (len(names_a) + len(names_b)))
    near = cdist(overlaps.centre, overlaps.other_centre) <= 4.0
    rows, columns = linear_sum_assignment(-near.astype(float))
    expected = 2 * near[rows, columns].sum() / (len(names_a) + len(names_b))
    assert detection_f1(overlaps.centre, overlaps.other_centre, 4.0) == pytest.approx(expected)


def test_strips_do_not_matter(monkeypatch):
    a = random_cells(np.random.default_rng(4))
    b = np.roll(a, 2, 0)
    whole = measure_overlaps(a, b)
    monkeypatch.setattr("thymusimg.evaluate.instances._ROWS", 7)
    strips = measure_overlaps(a, b)
    for name in ("area", "other_area", "pairs", "shared"):
        assert (getattr(whole, name) == getattr(strips, name)).all()
    assert np.allclose(whole.centre, strips.centre)


def test_no_cells_at_all_is_undefined():
    none, some = np.zeros((5, 5), int), np.eye(5, dtype=int)
    assert all(np.isnan(v) for v in f1_at_iou(measure_overlaps(none, none)).values())
    assert set(f1_at_iou(measure_overlaps(none, some)).values()) == {0.0}
    assert detection_f1(np.zeros((0, 2)), np.zeros((3, 2))) == 0


def test_one_half_counts_as_half():
    """An overlap of exactly 0.5 reaches 0.5, and each cell is used once."""
    truth, found = np.array([[1, 1, 2, 2]]), np.array([[1, 1, 1, 1]])
    assert f1_at_iou(measure_overlaps(found, truth), [0.5]) == {0.5: pytest.approx(2 / 3)}

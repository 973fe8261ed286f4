"""Outputs of a cell network become cells: each once, in one piece, wherever the window lies."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from cell_fakes import matched
from network_fakes import perfect_outputs

from thymusimg.cells.decode import (
    APART_PX,
    REACH_PX,
    Centres,
    Decoding,
    decode,
    find_centres,
    join_pixels,
)


def packed(side=120, seed=0, apart=11.0):
    """Return the labels of touching cells: each pixel goes to the nearest centre within 6 px."""
    rng = np.random.default_rng(seed)
    centres: list[np.ndarray] = []
    for _ in range(4000):
        place = rng.uniform(8, side - 8, 2)
        if all(np.hypot(*(place - other)) > apart for other in centres):
            centres.append(place)
    y, x = np.mgrid[:side, :side]
    squared = np.stack([(y - cy) ** 2 + (x - cx) ** 2 for cy, cx in centres])
    return np.where(squared.min(axis=0) <= 36, squared.argmin(axis=0) + 1, 0)


def disturbed(outputs, seed=1, much=0.5):
    rng = np.random.default_rng(seed)
    noise = np.stack([cv2.GaussianBlur(rng.normal(size=outputs.shape[1:]), (0, 0), 1.5) for _ in range(4)])
    noise /= noise.std(axis=(1, 2), keepdims=True)
    return (outputs + much * noise * np.array([3, 2, 0.4, 0.4])[:, None, None]).astype(np.float32)


def same_cells(one, other):
    """Tell whether two label images hold the same cells, whatever their numbers."""
    pairs = np.unique(np.stack([one.ravel(), other.ravel()]), axis=1)
    return len(np.unique(pairs[0])) == len(np.unique(pairs[1])) == pairs.shape[1]


LABELS = packed()


def test_perfect_outputs_give_back_the_labels():
    labels, scores = decode(perfect_outputs(LABELS))
    assert same_cells(labels, LABELS)
    assert len(scores) == LABELS.max() + 1
    assert scores[1:].min() > 0.9
    assert scores.max() <= 1


def test_noise_lowers_the_score_not_the_count():
    labels, scores = decode(disturbed(perfect_outputs(LABELS)))
    assert abs(int(labels.max()) - int(LABELS.max())) <= 2
    assert scores[1:].mean() < 0.95


@pytest.mark.parametrize("turns", [1, 2, 3])
@pytest.mark.parametrize("mirrored", [False, True])
def test_turns_and_mirrors(turns, mirrored):
    outputs = disturbed(perfect_outputs(LABELS))
    turned = outputs[:, ::-1].copy() if mirrored else outputs.copy()
    if mirrored:
        turned[2] *= -1
    for _ in range(turns):
        turned = np.rot90(turned, axes=(1, 2)).copy()
        turned[2], turned[3] = -turned[3].copy(), turned[2].copy()
    labels, scores = decode(outputs)
    there, there_scores = decode(np.ascontiguousarray(turned))
    back = np.rot90(there, -turns)
    back = back[::-1] if mirrored else back
    # votes are rounded to sixteenths of a pixel, which may move a centre by one where two places are nearly equal
    hits, one, other = matched(labels, back)
    assert hits == one == other
    assert np.mean((labels > 0) == (back > 0)) > 0.999
    np.testing.assert_allclose(np.sort(scores), np.sort(there_scores), atol=0.02)


@pytest.mark.parametrize("corner", [(0, 0), (3, 5), (10, 17)])
def test_windows_agree_where_they_overlap(corner):
    outputs = disturbed(perfect_outputs(packed(180)), much=0.8)
    whole, _ = decode(outputs)
    y, x = corner
    part, _ = decode(np.ascontiguousarray(outputs[:, y : y + 150, x : x + 150]))
    inner = slice(REACH_PX, 150 - REACH_PX)
    assert same_cells(part[inner, inner], whole[y : y + 150, x : x + 150][inner, inner])


def test_nothing_and_no_numbers_give_no_cells():
    for value in (-9.0, np.nan, np.inf, -np.inf):
        labels, scores = decode(np.full((4, 40, 40), value, np.float32))
        assert not labels.any()
        assert len(scores) == 1


def test_pixels_that_point_far_away_belong_to_nobody():
    outputs = perfect_outputs(LABELS)
    outputs[2] += 100
    assert not decode(outputs)[0].any()


def test_of_two_near_centres_one_stays():
    outputs = np.full((4, 40, 40), -6.0, np.float32)
    outputs[2:] = 0
    outputs[0, 15:25, 15:25] = 6
    outputs[2, 15:25, 15:25] = ((20 - np.arange(15, 25)) / 8)[:, None]
    outputs[3, 15:25, 15:20], outputs[3, 15:25, 20:25] = (
        ((19 - np.arange(15, 20)) / 8)[None],
        ((21 - np.arange(20, 25)) / 8)[None],
    )
    outputs[1, 20, 18:23] = 6
    assert len(find_centres(outputs, Decoding()).places) == 1
    places = find_centres(perfect_outputs(LABELS), Decoding()).places.astype(float)
    gaps = np.hypot(*(places[:, None] - places[None]).transpose(2, 0, 1))
    assert gaps[gaps > 0].min() > APART_PX


def test_a_cell_is_one_piece_without_holes():
    labels = np.zeros((40, 40), int)
    labels[10:24, 10:24] = 1
    outputs = perfect_outputs(labels)
    outputs[0, 16:18, 12:14] = -6  # a hole
    outputs[0, 26:28, 16:18], outputs[2, 26:28, 16:18] = 6, -10 / 8  # a crumb that points at the cell
    found, _ = decode(outputs)
    assert np.array_equal(found > 0, labels > 0)


def test_a_hole_that_holds_a_cell_is_not_filled():
    labels = np.ones((41, 41), int)
    labels[12:29, 12:29] = 0
    labels[17:24, 17:24] = 2
    outputs = perfect_outputs(labels)
    outputs[2:, labels == 1] = 0
    y, x = np.mgrid[:41, :41]
    ring = labels == 1
    outputs[2, ring], outputs[3, ring] = ((5 - y) / 8)[ring], ((20 - x) / 8)[ring]
    centres = Centres(np.array([[5, 20], [20, 20]], np.int32), np.ones(2, np.float32))
    found, _ = join_pixels(outputs, centres, Decoding())
    assert np.array_equal(np.unique(found[17:24, 17:24]), [2])
    assert not found[14:16, 14:27].any()


def test_on_finer_pixels_outlines_are_smooth():
    y, x = np.mgrid[:48, :48]
    labels = (np.hypot(y - 23.3, x - 24.1) < 7.2).astype(int)
    # a network's logits cross zero at the outline, wherever between pixels it lies
    outputs = perfect_outputs(labels)
    outputs[0] = 2 * (7.2 - np.hypot(y - 23.3, x - 24.1))
    outputs[2], outputs[3] = (23.3 - y) / 8, (24.1 - x) / 8
    centres = find_centres(outputs, Decoding())
    fine = (np.arange(48 * 4) + 0.5) / 4 - 0.5
    found, foreground = join_pixels(outputs, centres, Decoding(), fine, fine)
    gap = np.abs(np.hypot(fine[:, None] - 23.3, fine[None] - 24.1) - 7.2)
    wrong = (found > 0) != (np.hypot(fine[:, None] - 23.3, fine[None] - 24.1) < 7.2)
    assert gap[wrong].max(initial=0) < 0.15
    assert 0.5 < foreground[1] <= 1


def test_on_its_own_pixels_nothing_is_interpolated():
    outputs = disturbed(perfect_outputs(LABELS))
    centres = find_centres(outputs, Decoding())
    plain, _ = join_pixels(outputs, centres, Decoding())
    at = np.arange(120, dtype=np.float64)
    asked, _ = join_pixels(outputs, centres, Decoding(), at, at)
    assert np.array_equal(plain, asked)


def test_a_card_may_say_how():
    assert Decoding.of({"centre_threshold": 0.4, "background_k": 3.0}) == Decoding(centre_threshold=0.4)
    outputs = perfect_outputs(LABELS)
    outputs[2:] *= 2
    assert same_cells(decode(outputs, Decoding(offset_px=4))[0], LABELS)

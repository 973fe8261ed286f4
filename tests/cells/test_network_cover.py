"""Windows where there is tissue: all of it, nothing twice, none too big, and less glass than a plain grid has."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from thymusimg.cells.cover import cover


def lobes(seed, shape=(60, 90)):
    field = cv2.GaussianBlur(np.random.default_rng(seed).normal(size=shape), (0, 0), 6)
    return field > np.quantile(field, 0.65)


def cost(parts, margin):
    return sum((p.y1 - p.y0 + 2 * margin) * (p.x1 - p.x0 + 2 * margin) for p in parts)


@pytest.mark.parametrize("seed", range(6))
def test_all_tissue_once(seed):
    wanted, times = lobes(seed), np.zeros((60, 90), int)
    parts = cover(wanted, 2.5, 25)
    for part in parts:
        times[part.y0 : part.y1, part.x0 : part.x1] += 1
        assert max(part.y1 - part.y0, part.x1 - part.x0) <= 25
        assert wanted[part.y0 : part.y1, part.x0 : part.x1].any()
    assert times.max() == 1
    assert times[wanted].min() == 1


@pytest.mark.parametrize("seed", range(6))
def test_cheaper_than_a_plain_grid(seed):
    wanted = lobes(seed)
    grid = [(y, x) for y in range(0, 60, 20) for x in range(0, 90, 18) if wanted[y : y + 20, x : x + 18].any()]
    assert cost(cover(wanted, 2.5, 25), 2.5) < len(grid) * 25 * 23


def test_a_full_slide_is_cut_evenly():
    sizes = {(p.y1 - p.y0, p.x1 - p.x0) for p in cover(np.ones((50, 50), bool), 2, 25)}
    assert sizes == {(25, 25)}


def test_nothing_wanted_and_one_block():
    assert cover(np.zeros((5, 5), bool), 2, 25) == []
    one = np.zeros((5, 5), bool)
    one[3, 1] = True
    assert cover(one, 2, 25) == [(3, 4, 1, 2)]

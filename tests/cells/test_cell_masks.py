from __future__ import annotations

import numpy as np

from thymusimg.cells.model import CellMasks
from thymusimg.section.model import Window

# an L of three pixels at (2, 3), and a 2 × 2 square at (4, 6)
MASKS = CellMasks(
    boxes=np.array([[2, 4, 3, 5], [4, 6, 6, 8]], np.int32),
    starts=np.array([0, 4, 8], np.int64),
    bits=np.array([1, 0, 1, 1, 1, 1, 1, 1], bool),
)
WHOLE = np.zeros((8, 10), np.uint32)
WHOLE[[2, 3, 3], [3, 3, 4]] = 1
WHOLE[4:6, 6:8] = 2


def test_masks_are_painted_with_their_ids():
    np.testing.assert_array_equal(MASKS.paint(Window(0, 8, 0, 10)), WHOLE)
    np.testing.assert_array_equal(MASKS.mask(0), [[True, False], [True, True]])
    assert len(MASKS) == 2


def test_any_window_shows_its_part():
    for y0 in range(8):
        for x0 in range(10):
            for y1 in range(y0 + 1, 9):
                window = Window(y0, y1, x0, 10)
                np.testing.assert_array_equal(MASKS.paint(window), WHOLE[window.slices])

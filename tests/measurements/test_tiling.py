from __future__ import annotations

import numpy as np
import pytest

from thymusimg.measurements.tiling import lay_tiles


@pytest.mark.parametrize("side_px", [0.6, 1.0, 1.3, 2.0, 7.5, 100.0])
def test_tiles_share_the_pixels_that_their_edges_cut(side_px: float) -> None:
    rng = np.random.default_rng(0)
    mask = rng.random((23, 31)) < 0.6
    mask[:3] = mask[:, -4:] = False
    plane = rng.normal(size=mask.shape).astype(np.float32)
    tiles = lay_tiles(mask, side_px)
    down, across = (
        np.clip(np.minimum(i + 1, edges[1:, None]) - np.maximum(i, edges[:-1, None]), 0, None)
        for edges, i in ((tiles.y_edges, np.arange(23)), (tiles.x_edges, np.arange(31)))
    )
    assert tiles.area == pytest.approx(down @ mask @ across.T)
    assert tiles.sum(plane) == pytest.approx(down @ plane.astype(float) @ across.T)
    assert tiles.sum(plane, mask) == pytest.approx(down @ (plane * mask).astype(float) @ across.T)


def test_what_lies_beside_the_mask_may_be_nothing() -> None:
    plane = np.ones((4, 4), np.float32)
    mask = plane > 0
    plane[0, 0], mask[0, 0] = np.nan, False
    assert lay_tiles(mask, 2.0).sum(plane, mask).tolist() == [[3.0, 4.0], [4.0, 4.0]]

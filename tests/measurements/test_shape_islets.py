from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import ndimage
from skimage.measure import label, regionprops
from skimage.morphology import closing, disk

from thymusimg.measurements.islets import find_islets


def test_islets_are_counted_and_weighed() -> None:
    # 30², 20² and 10² pixels of 4 µm²: 3600, 1600 and 400 µm²; the last is below 1500
    medulla = np.zeros((100, 200), bool)
    medulla[10:40, 10:40] = medulla[10:30, 80:100] = medulla[60:70, 150:160] = True
    islets = find_islets(medulla, 2.0)
    assert islets.areas_um2.tolist() == [3600, 1600]
    assert islets.largest_share == pytest.approx(3600 / 5200)
    assert islets.effective_number == pytest.approx(5200**2 / (3600**2 + 1600**2))
    assert islets.median_area_um2 == 2600


@pytest.mark.parametrize(("gap_px", "count"), [(4, 1), (6, 2)])
def test_gaps_up_to_ten_micrometres_are_closed(gap_px: int, count: int) -> None:
    # 2 µm pixels: 8 µm are closed, 12 µm are not
    medulla = np.zeros((80, 200), bool)
    medulla[20:60, 20:60] = medulla[20:60, 60 + gap_px : 100 + gap_px] = True
    islets = find_islets(medulla, 2.0)
    assert islets.count == count
    # the closed gap is no medulla
    assert islets.areas_um2.sum() == medulla.sum() * 4


def test_islets_touching_at_a_corner_are_one() -> None:
    medulla = np.zeros((80, 80), bool)
    medulla[10:40, 10:40] = medulla[40:70, 40:70] = True
    assert find_islets(medulla, 2.0, closing_um=0).count == 1


def test_islets_at_the_border_count_for_area_and_not_for_size() -> None:
    medulla = np.zeros((100, 100), bool)
    medulla[:40, 20:60] = medulla[60:80, 20:40] = True
    islets = find_islets(medulla, 2.0)
    assert (islets.count, islets.at_border.tolist()) == (2, [True, False])
    assert islets.median_area_um2 == 1600
    assert islets.largest_share == pytest.approx(0.8)


def test_islets_agree_with_scikit_image() -> None:
    noise = ndimage.gaussian_filter(np.random.default_rng(1).normal(size=(300, 300)), 8)
    medulla = noise > noise.std()
    pieces = label(medulla, connectivity=2)
    wanted = sorted((r.area * 4.0 for r in regionprops(pieces) if r.area * 4 >= 1500), reverse=True)
    assert find_islets(medulla, 2.0, closing_um=0).areas_um2.tolist() == wanted
    # the closing itself: a disc of 5 µm radius; scikit-image's discs are digital, so counts may differ by one
    joined = label(closing(np.pad(medulla, 9), disk(2))[9:-9, 9:-9] | medulla, connectivity=2) * medulla
    count = sum(np.bincount(joined.ravel())[1:] * 4 >= 1500)
    assert abs(find_islets(medulla, 2.0).count - count) <= 1


def test_no_medulla_gives_no_islets() -> None:
    islets = find_islets(np.zeros((20, 20), bool), 2.0)
    assert islets.count == 0
    assert math.isnan(islets.largest_share)
    assert math.isnan(islets.effective_number)
    assert math.isnan(islets.median_area_um2)

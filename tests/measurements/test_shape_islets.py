from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy import ndimage
from skimage.measure import label, regionprops
from skimage.morphology import closing, disk

from thymusimg.measurements.shapes.islets import find_islets, isoperimetric_ratio

if TYPE_CHECKING:
    import numpy.typing as npt


def discs(shape: tuple[int, int], *circles: tuple[float, float, float]) -> npt.NDArray[np.bool_]:
    y, x = np.mgrid[: shape[0], : shape[1]]
    mask = np.zeros(shape, bool)
    for cy, cx, r in circles:
        mask |= np.hypot(y - cy, x - cx) <= r
    return mask


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


@pytest.mark.parametrize(("ratio", "expected"), [(1, 1.0), (2, 1.189)])
def test_roundness_of_discs_and_ellipses(ratio: float, expected: float) -> None:
    # P of an ellipse 2 : 1 is 4 a E(3/4) = 4.844 a, so P² / 4πA = 4.844² / (4π · π/2)
    y, x = (np.mgrid[:300, :300] - 149.5) * 2.0
    islet = np.hypot(y * ratio, x) < 200
    assert isoperimetric_ratio(islet, 2.0) == pytest.approx(expected, abs=0.01)


def test_holes_do_not_roughen_an_islet() -> None:
    y, x = (np.mgrid[:300, :300] - 149.5) * 2.0
    r = np.hypot(y, x)
    assert isoperimetric_ratio((r < 200) & (r > 40), 2.0) == isoperimetric_ratio(r < 200, 2.0)


def test_roundness_is_of_whole_islets_only() -> None:
    medulla = discs((300, 300), (0, 150, 40), (200, 150, 40))
    islets = find_islets(medulla, 2.0)
    assert islets.at_border.sum() == 1
    assert np.isnan(islets.roundness[islets.at_border]).all()
    assert islets.median_roundness == pytest.approx(1, abs=0.01)


def test_a_higher_cut_leaves_the_larger_islets() -> None:
    medulla = discs((200, 400), (100, 100, 40), (100, 250, 15))
    every = find_islets(medulla, 2.0, min_area_um2=750)
    assert [every.at_least(area).count for area in (750, 3000)] == [2, 1]
    assert (
        every.at_least(3000).areas_um2.tolist() == find_islets(medulla, 2.0, min_area_um2=3000).areas_um2.tolist()
    )

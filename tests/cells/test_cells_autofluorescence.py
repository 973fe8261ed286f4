from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from thymusimg.cells.autofluorescence import likeness
from thymusimg.cells.contours import RAYS
from thymusimg.cells.evidence import is_autofluorescent

PX = 0.5
Y, X = np.indices((80, 80)) * PX - 20.0
AWAY = np.hypot(Y, X)
CENTRE = np.array([[40.0, 40.0]])
RADII = np.full((1, RAYS), 3.5, np.float32)


def picture(*shapes: np.ndarray, seed: int = 0) -> np.ndarray:
    plane = gaussian_filter(10 + 100.0 * np.sum(shapes, axis=0), 0.8)
    return (plane + np.random.default_rng(seed).normal(0, 1, plane.shape)).astype(np.float32)


MEMBRANE = (np.abs(AWAY - 3.0) < 0.5) + 0.2 * (AWAY < 3.0)
BODY = np.where(AWAY < 3.5, 1.0 + 0.3 * np.sin(2.5 * Y) * np.cos(2 * X), 0)


def judge(*planes: np.ndarray) -> bool:
    return bool(is_autofluorescent(*likeness(planes, CENTRE, RADII, PX))[0])


def test_body_with_one_picture_in_all_stains_is_autofluorescent() -> None:
    assert judge(picture(BODY, seed=1), 0.3 * picture(BODY, seed=2), 4 * picture(BODY, seed=3))


@pytest.mark.parametrize("angle", [0.0, 0.7, 2.0])
def test_strands_across_a_cell_do_not_make_it_autofluorescent(angle: float) -> None:
    across = np.abs(Y * np.cos(angle) - X * np.sin(angle)) < 1.2
    assert not judge(picture(MEMBRANE, seed=1), picture(across, seed=2), picture(0.6 * across, seed=3))


def test_node_of_the_network_in_a_cell_does_not_make_it_autofluorescent() -> None:
    node = np.hypot(Y - 1.2, X) < 1.8
    assert not judge(picture(MEMBRANE, seed=1), picture(node, seed=2), picture(node, seed=3))


def test_cell_in_a_hole_of_the_network_is_none() -> None:
    assert not judge(picture(MEMBRANE, seed=1), picture(AWAY > 4, seed=2), picture(AWAY > 4, seed=3))


def test_all_stains_must_be_alike() -> None:
    assert not judge(picture(BODY, seed=1), picture(BODY, seed=2), picture(AWAY > 4, seed=3))


def test_correlation_is_that_of_the_probed_places_and_no_gain_changes_it() -> None:
    cd45, other = picture(BODY, seed=1), picture(BODY, seed=2)
    once = likeness([cd45, other], CENTRE, RADII, PX)
    again = likeness([2 * cd45, 0.5 * other], CENTRE, RADII, PX)
    assert np.allclose(once, again, rtol=1e-4)
    assert likeness([cd45, cd45], CENTRE, RADII, PX)[2][0] == pytest.approx(1.0)
    assert likeness([cd45, 200 - cd45], CENTRE, RADII, PX)[2][0] == pytest.approx(-1.0)


def test_one_stain_or_no_outline_tells_nothing() -> None:
    plane = picture(BODY)
    assert [float(v[0]) for v in likeness([plane], CENTRE, RADII, PX)] == [0, 0, 0]
    assert all(len(v) == 0 for v in likeness([plane, plane], CENTRE[:0], RADII[:0], PX))

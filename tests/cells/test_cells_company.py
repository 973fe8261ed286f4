"""The company of other cells, and the bright capsule that has none."""

from __future__ import annotations

import numpy as np
import pytest

from thymusimg.cells.company import FARTHEST_UM, NEAREST_UM, count_company
from thymusimg.cells.contours import Outlines
from thymusimg.cells.evidence import score_outlines
from thymusimg.phantom import PRESETS, make_phantom
from thymusimg.phantom.section import as_section
from thymusimg.pipeline import analyse_section
from thymusimg.section.model import Window

SHAPE = (80, 80)


def company_at_centre(others: list[tuple[int, int]], score: float = 1.0) -> float:
    places = np.array([(40, 40), *others], np.intp)
    scores = np.array([1.0, *[score] * len(others)], np.float32)
    return float(count_company(places, scores, SHAPE, 1.0)[0])


def test_a_cell_alone_has_no_company():
    assert company_at_centre([]) == 0


def test_other_seeds_of_the_same_cell_are_no_company():
    assert company_at_centre([(41, 40), (40, 38), (42, 40)]) == 0


def test_a_filled_neighbourhood_is_company_of_one():
    everywhere = np.argwhere(np.ones(SHAPE, bool))
    company = count_company(everywhere, np.ones(len(everywhere), np.float32), SHAPE, 1.0).reshape(SHAPE)
    np.testing.assert_allclose(company[20:-20, 20:-20], 1.0)


def test_one_neighbour_fills_its_disc():
    ring = (2 * FARTHEST_UM + 1) ** 2 - (2 * NEAREST_UM + 1) ** 2
    alone = company_at_centre([(40, 48)])
    assert 9 / ring <= alone <= 21 / ring  # a disc of radius 2 pixels
    assert company_at_centre([(40, 48), (41, 48)]) < 2 * alone
    assert company_at_centre([(40, 48)], score=0.5) == pytest.approx(alone / 2)
    assert company_at_centre([(40, 60)]) == 0


def test_company_turns_with_the_picture():
    rng = np.random.default_rng(1)
    places = rng.permutation(np.argwhere(np.ones(SHAPE, bool)))[:300]
    scores = rng.random(300, np.float32)
    turned = np.stack([places[:, 1], 79 - places[:, 0]], axis=1)
    np.testing.assert_array_equal(
        count_company(places, scores, SHAPE, 1.0), count_company(turned, scores, SHAPE, 1.0)
    )


def test_company_makes_a_weak_outline_likelier():
    evidence = np.array([[0.35, 2.0, 1.2, 3.0, 1.0, 3.0]], np.float32)
    outline = Outlines(np.zeros((1, 2)), np.full((1, 32), 3.0, np.float32), evidence)
    scores = [float(score_outlines(outline, 0.5, np.array([c]))[0]) for c in (0.0, 0.05, 0.1, 0.2, 0.9)]
    assert scores[0] < scores[1] < scores[2] < scores[3] == scores[4]


@pytest.mark.parametrize("density", [0.0, 500.0])
def test_a_bright_capsule_holds_no_cells(density):
    spec = (
        PRESETS["wild_type"]
        .draw(0)
        .model_copy(update={"area_mm2": 0.15, "cd45_cortex_per_mm2": density, "cd45_medulla_per_mm2": density})
    )
    phantom = make_phantom(spec, 1)
    cells = analyse_section(as_section(phantom)).cells
    assert cells is not None
    labelled = cells.masks.paint(Window(0, phantom.pixels.shape[1], 0, phantom.pixels.shape[2]))
    real = np.unique(labelled[phantom.truth.instances > 0])
    false = np.setdiff1d(np.unique(labelled), [*real, 0])
    assert len(false) <= 1

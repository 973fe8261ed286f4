from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from thymusimg.measurements.columns import check_columns
from thymusimg.settings import StudySettings
from thymusimg.study.stereology import (
    Sampling,
    cavalieri_error,
    cavalieri_volume_mm3,
    organ_cells,
    organ_totals,
    with_organ_totals,
)

DECLARED = Sampling(200.0, 10.0, 6.0, systematic=True)


def ball_areas(spacing_mm: float, start: float) -> np.ndarray:
    z = np.arange(-1 + start * spacing_mm, 1, spacing_mm)
    return math.pi * (1 - z**2)


def test_a_ball_has_its_volume_and_the_error_says_how_well() -> None:
    volumes, errors = [], []
    for start in np.random.default_rng(0).random(400):
        areas = ball_areas(0.25, start)
        volumes.append(cavalieri_volume_mm3(areas, 250.0))
        errors.append(cavalieri_error(areas))
    assert np.mean(volumes) == pytest.approx(4 / 3 * math.pi, rel=2e-3)
    # the estimate is of the right order: within a factor of two of what really happens
    assert 0.5 < np.mean(errors) / (np.std(volumes) / np.mean(volumes)) < 2


def test_error_needs_three_sections() -> None:
    assert math.isnan(cavalieri_error([1.0, 1.0]))
    assert math.isnan(cavalieri_error([0.0, 0.0, 0.0]))
    assert cavalieri_error([1.0, 2.0, 1.0], smoothness=0) > cavalieri_error([1.0, 2.0, 1.0])


def test_cells_of_an_organ_from_profiles_on_sections() -> None:
    # balls of 6 µm in a block of 1 mm, cut at 10 µm every 200 µm: each section shows those it reaches into
    rng = np.random.default_rng(1)
    centres, found = np.sort(rng.uniform(50, 950, 50_000)), []
    for start in rng.uniform(0, 200, 200):
        tops = start + np.arange(-1, 6) * 200
        ends = np.searchsorted(centres, [tops - 3, tops + 13])
        found.append(organ_cells(int((ends[1] - ends[0]).sum()), DECLARED))
    assert np.mean(found) == pytest.approx(50_000, rel=0.02)
    assert math.isnan(organ_cells(5, Sampling(200.0, systematic=True)))


def sections(**over: object) -> pd.DataFrame:
    table: dict[str, object] = {
        "animal": ["m1"] * 6,
        "level": ["1", "2", "3", "4", "4", "5"],
        "tissue_area_mm2": [1.0, 2.0, 3.0, 1.0, 1.0, 1.0],
        "cd45_count": [10, 20, 30, 10, 10, 10],
    }
    return pd.DataFrame(table | over)


def test_an_animal_is_its_levels() -> None:
    row = organ_totals(sections(), DECLARED).iloc[0]
    assert row["tissue_volume_mm3"] == pytest.approx(9 * 0.2)
    assert row["tissue_volume_ce"] == cavalieri_error([1, 2, 3, 2, 1])
    assert row["cd45_cells_per_organ"] == pytest.approx(90 * 200 / 16)
    assert row["reason"] == ""


@pytest.mark.parametrize(
    ("frame", "sampling", "why"),
    [
        (sections(), Sampling(200.0, 10.0, 6.0), "systematic"),
        (sections(), Sampling(systematic=True), "spacing"),
        (sections(level=["1", "2", "deep", "4", "4", "5"]), DECLARED, "as a number"),
        (sections(level=["1", "2", "3", "4", "4", "9"]), DECLARED, "equally spaced"),
        (sections(level=["1", "1", "1", "2", "2", "2"]), DECLARED, "2 levels"),
        (sections(tissue_area_mm2=[1.0, math.nan, 3.0, 1.0, 1.0, 1.0]), DECLARED, "area"),
    ],
)
def test_without_declared_sampling_there_is_a_reason_and_no_number(
    frame: pd.DataFrame, sampling: Sampling, why: str
) -> None:
    row = organ_totals(frame, sampling).iloc[0]
    assert why in row["reason"]
    assert math.isnan(row["tissue_volume_mm3"])
    assert math.isnan(row["cd45_cells_per_organ"])


def test_the_volume_stands_without_the_cells() -> None:
    row = organ_totals(sections(), Sampling(200.0, systematic=True)).iloc[0]
    assert row["tissue_volume_mm3"] == pytest.approx(1.8)
    assert "thickness" in row["reason"]


def organ_sections(animal: str, count: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "section_id": [f"{animal}{i}" for i in range(count)],
            "animal": animal,
            "group": "g",
            "level": [str(i + 1) for i in range(count)],
            "tissue_area_mm2": 1.0,
            "cd45_count": 40,
        }
    )


def test_an_organ_stands_in_its_animal_when_the_study_declares_the_sampling() -> None:
    sections = pd.concat([organ_sections("m1", 4), organ_sections("m2", 2)], ignore_index=True)
    animals = pd.DataFrame({"animal": ["m1", "m2"]})
    study = StudySettings(
        systematic_sections=True, section_spacing_um=200, section_thickness_um=10, cell_height_um=6
    )
    found = with_organ_totals(animals, sections, study)
    check_columns("animals", found)
    assert found["tissue_volume_mm3"].iloc[0] == pytest.approx(0.8)
    assert found["cd45_cells_per_organ"].iloc[0] == pytest.approx(160 * 200 / 16)
    assert found["tissue_volume_mm3_reason"].iloc[0] == ""
    assert math.isnan(found["tissue_volume_mm3"].iloc[1])
    assert "at least 3" in found["tissue_volume_mm3_reason"].iloc[1]


def test_an_organ_is_undefined_when_nothing_is_declared() -> None:
    found = with_organ_totals(pd.DataFrame({"animal": ["m1"]}), organ_sections("m1", 4), StudySettings())
    assert found["cd45_cells_per_organ"].isna().all()
    assert "not declared" in found["cd45_cells_per_organ_reason"].iloc[0]


def test_an_excluded_section_leaves_a_gap_that_is_refused() -> None:
    sections = organ_sections("m1", 5).assign(exclude=[False, True, False, False, False])
    study = StudySettings(systematic_sections=True, section_spacing_um=200)
    found = with_organ_totals(pd.DataFrame({"animal": ["m1"]}), sections, study)
    assert "equally spaced" in found["tissue_volume_mm3_reason"].iloc[0]

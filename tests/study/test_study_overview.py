from __future__ import annotations

import pandas as pd

from thymusimg.section.model import Subject
from thymusimg.settings import StudySettings
from thymusimg.study.overview import overview, subjects_of

SUBJECTS = (
    Subject("s1", "m1", "nsg", batch="b1", negative_control=True),
    Subject("s2", "m2", "nsg", batch="b1", negative_control=True),
    Subject("s3", "m3", "cd34", donor="D1", batch="b1"),
    Subject("s4", "m3", "cd34", donor="D1", batch="b2"),
    Subject("s5", "m4", "cd34", donor="D2"),
    Subject("s6", "m4", "cd34", donor="D2", exclude=True, notes="torn"),
    Subject("s7", "m5", "cd34", donor="D2"),
)
MEASURED = {"s1", "s2", "s3", "s4", "s5"}


def test_groups_are_counted_as_measured() -> None:
    found = overview(SUBJECTS, MEASURED, StudySettings(reference="cd34"))
    nsg, cd34 = found.groups
    assert (nsg.animals, nsg.sections, nsg.negative_control) == (("m1", "m2"), (1, 1), True)
    assert (cd34.animals, cd34.sections) == (("m3", "m4"), (2, 1))
    assert (cd34.donors, cd34.batches, cd34.unmarked_batch) == (("D1", "D2"), ("b1", "b2"), 1)
    assert (found.n_animals, found.n_sections) == (4, 5)
    assert cd34.sentence == (
        "cd34: 2 animals, 1 to 2 sections each; 2 donors (D1, D2); 2 batches (b1, b2), not recorded for 1."
    )
    assert nsg.sentence.startswith("nsg: 2 animals, 1 section each; donor not recorded; 1 batch (b1)")


def test_what_is_left_out_is_listed_with_its_note() -> None:
    left = overview(SUBJECTS, MEASURED, StudySettings()).left_out
    assert [one.section_id for one in left] == ["s6", "s7"]
    assert left[0].why == "excluded in the study table: torn"
    assert "failures.csv" in left[1].why


def test_caveats_speak_of_power_donors_and_sections() -> None:
    caveats = "\n".join(overview(SUBJECTS, MEASURED, StudySettings(reference="cd34")).caveats)
    assert "With 2 and 2 animals a difference is found" in caveats
    assert "come from 2 donors" in caveats
    assert "different numbers of sections" in caveats
    assert "power" not in "\n".join(overview(SUBJECTS, MEASURED, StudySettings()).caveats)


def test_subjects_are_read_back_from_the_table() -> None:
    frame = pd.DataFrame(
        {"section_id": ["s1"], "animal": ["m1"], "group": ["nsg"], "batch": ["b1"], "negative_control": [True]}
    )
    assert subjects_of(frame) == SUBJECTS[:1]


def test_an_empty_study() -> None:
    found = overview((), (), StudySettings(reference="a"))
    assert (found.groups, found.left_out, found.n_animals) == ((), (), 0)

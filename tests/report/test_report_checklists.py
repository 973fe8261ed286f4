from __future__ import annotations

import json
from importlib import resources

import pytest

from thymusimg.report.checklists import checklists
from thymusimg.report.edited import edited_caveats, edited_sentence
from thymusimg.report.finished_run import FinishedRun
from thymusimg.report.html import SCRIPTS, TEMPLATE
from thymusimg.report.record import NOT_RECORDED

ARRIVE = (
    "1 Study design", "2 Sample size", "3 Inclusion and exclusion criteria", "4 Randomisation", "5 Blinding",
    "6 Outcome measures", "7 Statistical methods", "8 Experimental animals", "9 Experimental procedures",
    "10 Results",
)  # fmt: skip


def _bundle(run_dir, section_id: str, record: dict) -> None:
    file = run_dir / "sections" / f"{section_id}.zarr" / "zarr.json"
    file.write_text(json.dumps({"attributes": {"thymusimg": record}}))


def _edit(*, blinded: bool) -> dict:
    return {
        "edits": [{"target": "compartments", "who": "AB"}],
        "edited": {"compartments_mm2": 0.02, "compartments_share": 0.01, "blinded": blinded},
    }


def test_every_list_says_whom_it_follows_and_claims_nothing_unrecorded(finished_run) -> None:
    found = checklists(FinishedRun.read(finished_run))
    assert len(found) == 4
    assert all("fter" in one.title for one in found)
    for one in found:
        assert one.filled == sum(text != NOT_RECORDED for _, text in one.items)
        assert all(item and text for item, text in one.items)
    microscopy = dict(found[2].items)
    assert microscopy["Detector"] == microscopy["Light source"] == NOT_RECORDED


def test_the_ten_heads_of_arrive_stand_in_their_order(finished_run) -> None:
    items = checklists(FinishedRun.read(finished_run))[-1].items
    assert all(item.startswith(head) for (item, _), head in zip(items, ARRIVE, strict=True))
    said = dict(items)
    assert said["4 Randomisation"] == said["9 Experimental procedures"] == NOT_RECORDED
    assert "progenitors: 5 animals" in said["2 Sample size"]


def test_a_channel_that_nobody_named_is_no_stain(run_dir) -> None:
    file = run_dir / "tables" / "sections.csv"
    file.write_text(file.read_text().replace(",CD45,", ",T1,"))
    stains = dict(checklists(FinishedRun.read(run_dir))[0].items)["Stains named"]
    assert "CD45: not named in the file" in stains
    assert "CD205" in stains


@pytest.mark.parametrize(("blinded", "words"), [(True, "were hidden"), (False, "were not hidden")])
def test_what_people_edited_is_said_with_who_knew_the_groups(run_dir, blinded, words) -> None:
    _bundle(run_dir, "u01_s1", _edit(blinded=blinded))
    run = FinishedRun.read(run_dir)
    sentence = edited_sentence(run)
    assert sentence.startswith("Compartments were corrected by hand in 1 of 24 sections")
    assert words in sentence
    (head, text), *_ = edited_caveats(run)
    assert head == "1 section of 24 edited by hand."
    assert "u01_s1: compartments on 0.02 mm² (1 % of the tissue) (by AB, 1 edit)" in text
    lists = checklists(run)
    assert "1 section of 24 edited by hand" in dict(lists[1].items)["Manual regions and edits"]
    assert f"{int(blinded)} of 1 edited sections, groups hidden" in dict(lists[-1].items)["5 Blinding"]


def test_a_look_without_an_edit_is_none(run_dir) -> None:
    _bundle(run_dir, "u01_s1", {"edits": [{"target": "forest", "who": "AB"}]})
    assert edited_sentence(FinishedRun.read(run_dir)) == ""


def test_the_package_brings_all_that_the_page_is_made_of() -> None:
    folder = resources.files("thymusimg.report").joinpath("templates")
    held = {entry.name for entry in folder.iterdir()}
    assert {TEMPLATE, "style.css", *SCRIPTS} <= held

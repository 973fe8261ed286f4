from __future__ import annotations

import re

import pandas as pd
import pytest
from report_fixtures import GROUPS, write_run

from thymusimg.report import answer
from thymusimg.report.finished_run import FinishedRun
from thymusimg.report.headline import WAYS, headline
from thymusimg.report.html import made, render

ROW = {
    "endpoint": "cortical_coverage", "unit": "fraction", "role": "primary", "reference": "A", "group": "B",
    "n_reference": 5, "n_group": 5, "mean_reference": 0.2, "mean_group": 0.4, "difference": 0.2, "ci_low": 0.1,
    "ci_high": 0.3, "scale": "identity", "hedges_g": 1.5, "p_welch": 0.01, "p_permutation": 0.02,
    "p_adjusted": 0.03, "adjustment": "Holm over 3", "min_possible_p": 0.002, "note": "", "reason": "",
}  # fmt: skip
OPEN = {"ci_low": -0.1}


def _contrasts(tmp_path, *changes: dict, record: dict | None = None) -> list[answer.Contrast]:
    comparisons = pd.DataFrame([ROW | change for change in changes]).astype(str)
    run = FinishedRun(tmp_path, record or {}, {"comparisons": comparisons, "animals": pd.DataFrame(),
                                               "sections": pd.DataFrame()})  # fmt: skip
    return answer.read_contrasts(run)


def test_it_names_every_group_what_is_seen_and_which_way(tmp_path) -> None:
    said = headline(
        _contrasts(
            tmp_path,
            {},
            {"endpoint": "cd45_area_fraction"},
            {"group": "C", "difference": -0.2, "ci_low": -0.3, "ci_high": -0.1},
        )
    )
    assert said[0] == (
        "Compared with A, the group B has more of the capsule lined with cortex and a larger area of human "
        "CD45⁺ cells."
    )
    assert said[1] == "Compared with A, the group C has less of the capsule lined with cortex."
    assert len(said) == 3


@pytest.mark.parametrize(
    ("sizes", "words"),
    [((3, 5), "3 to 5 animals a group: so few that it needs repeating"), ((5, 5), "on 5 animals a group: few"),
     ((12, 12), "on 12 animals a group.")],
)  # fmt: skip
def test_it_says_how_few_the_animals_are(tmp_path, sizes, words) -> None:
    said = headline(_contrasts(tmp_path, {"n_group": sizes[0], "n_reference": sizes[1]}))
    assert words in said[-1]


def test_nothing_shown_is_never_nothing_there(tmp_path) -> None:
    said = " ".join(headline(_contrasts(tmp_path, OPEN, {**OPEN, "endpoint": "cd45_area_fraction"})))
    assert said.startswith("No difference was shown in cortical coverage or CD45⁺ area fraction between B and A")
    assert "does not show that there is none" in said
    assert "only large differences could have been found" in said
    assert "has" not in said.split()


def test_hints_and_open_questions_stand_apart_from_findings(tmp_path) -> None:
    said = headline(
        _contrasts(
            tmp_path,
            {},
            {"endpoint": "cd45_area_fraction", "p_adjusted": 0.2},
            {"endpoint": "segregation_index_50um", **OPEN},
            {"endpoint": "cmj_width_um", "reason": "n = 1 in 'B'", "ci_low": "nan"},
        )
    )
    assert said[1].startswith("Hints that did not hold up to all checks: the group B has a larger area")
    assert said[2] == "No difference was shown in segregation index (50 µm) between B and A: not settled."
    assert said[-1] == "1 comparison could not be tested."


def test_an_endpoint_without_words_is_called_by_its_name(tmp_path) -> None:
    (first, *_) = headline(_contrasts(tmp_path, {"endpoint": "capsule_length_mm"}))
    assert "a higher “Capsule length”" in first
    assert all(up != down for up, down in WAYS.values())


def test_an_interval_is_printed_once_and_says_how_sure_it_is(tmp_path, jpegs) -> None:
    folder = write_run(
        tmp_path / "out", primary=("islet_count", "cortical_coverage"), groups=GROUPS, pictures=jpegs
    )
    run = FinishedRun.read(folder)
    cards = re.findall(r'<article class="answer.*?</article>', render(run), flags=re.DOTALL)
    assert cards
    for card, contrast in zip(cards, [c for c in answer.read_contrasts(run) if c.primary], strict=True):
        assert card.count(contrast.interval) == (1 if contrast.interval else 0)
        assert "95\N{NO-BREAK SPACE}% interval" in card or not contrast.interval


def test_the_interval_is_named_by_its_own_confidence(tmp_path) -> None:
    record = {"settings": {"study": {"confidence": 0.9}}}
    (contrast,) = _contrasts(tmp_path, {}, record=record)
    assert contrast.interval_name == "90\N{NO-BREAK SPACE}% interval"


def test_jargon_becomes_words_and_stays_in_the_details(tmp_path) -> None:
    (contrast,) = _contrasts(tmp_path, {"note": "permuted within batch; only 5 and 3 animals"})
    assert contrast.notes[0] == "in the permutation test, animals change groups only within their batch"
    assert contrast.notes[1] == "only 5 and 3 animals"
    assert "permut" not in contrast.sentence


def test_a_difference_beside_a_ratio_says_why(tmp_path) -> None:
    note = "some animals are at 0 or 1, which have no logit: compared as a difference"
    plain, odds = _contrasts(tmp_path, {"note": note}, {"group": "C", "scale": "logit", "difference": 3.6})
    assert plain.kind == "difference (an animal at 0 or 1 has no odds)"
    assert (odds.kind, odds.difference) == ("odds ratio", "× 3.6")


@pytest.mark.parametrize(
    ("created", "day"), [("2026-11-03T00:45:38+00:00", "3 November 2026"), ("", ""), ("x", "")]
)
def test_the_day_is_written_out(tmp_path, created, day) -> None:
    assert made(FinishedRun(tmp_path, {"created": created}, {})) == day


def test_a_study_without_a_name_is_called_by_its_groups(finished_html) -> None:
    assert "<h1>Study of 3 groups: untreated, CD34+ and progenitors</h1>" in finished_html

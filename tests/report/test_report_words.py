from __future__ import annotations

import json
import math
import re

import numpy as np
import pandas as pd
import pytest
from report_fixtures import PRIMARY
from scipy import stats

from thymusimg.report import answer, figures, words
from thymusimg.report.cards import fit_jpeg
from thymusimg.report.finished_run import FinishedRun
from thymusimg.report.methods import gate_sources, write_methods


def _comparison(**changes) -> pd.DataFrame:
    row = {
        "endpoint": "cortical_coverage", "unit": "fraction", "role": "primary", "reference": "A", "group": "B",
        "n_reference": 6, "n_group": 6, "mean_reference": 0.2, "mean_group": 0.4, "difference": 0.2, "ci_low": 0.1,
        "ci_high": 0.3, "scale": "identity", "hedges_g": 1.5, "p_welch": 0.01, "p_permutation": 0.02,
        "p_adjusted": 0.03, "adjustment": "Holm over 3", "min_possible_p": 0.002, "note": "", "reason": "",
    }  # fmt: skip
    return pd.DataFrame([row | changes]).astype(str)


def _run(tmp_path, comparisons: pd.DataFrame) -> FinishedRun:
    empty = {name: pd.DataFrame() for name in ("sections", "animals", "quality", "failures", "dictionary")}
    return FinishedRun(tmp_path, {"study": {"primary": list(PRIMARY)}}, {**empty, "comparisons": comparisons})


@pytest.mark.parametrize(
    ("changes", "verdict", "says"),
    [
        ({}, "differs", "is higher in B than in A"),
        ({"difference": -0.2, "ci_low": -0.3, "ci_high": -0.1}, "differs", "is lower in B than in A"),
        ({"p_adjusted": 0.08}, "hints", "a hint, not a finding"),
        ({"p_adjusted": "nan"}, "hints", "a hint, not a finding"),
        ({"ci_low": -0.1}, "open", "do not settle"),
        ({"n_group": 3}, "differs", "needs repeating"),
        ({"p_permutation": 0.2}, "hints", "permutation test of the animals does not confirm"),
        ({"p_permutation": 0.1, "min_possible_p": 0.1}, "differs", "rests on the t interval alone"),
        ({"reason": "n = 1 in 'B'", "ci_low": "nan"}, "refused", "n = 1 in 'B'"),
        ({"scale": "log", "difference": 1.8, "ci_low": 0.9, "ci_high": 3.5}, "open", "do not settle"),
        ({"scale": "logit", "difference": 0.3, "ci_low": 0.1, "ci_high": 0.8}, "differs", "is lower"),
    ],
)
def test_a_sentence_has_no_more_certainty_than_its_interval(tmp_path, changes, verdict, says) -> None:
    (contrast,) = answer.read_contrasts(_run(tmp_path, _comparison(**changes)))
    assert contrast.verdict == verdict
    assert says in contrast.sentence


def test_no_difference_is_never_claimed(tmp_path) -> None:
    (contrast,) = answer.read_contrasts(_run(tmp_path, _comparison(ci_low=-0.1)))
    assert "not evidence that the groups are alike" in contrast.sentence


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.5, "0.5"), (0.12345, "0.123"), (1234.5, "1,234"), (-0.002, "−0.002"), (1e-7, "1.00 × 10⁻⁷"),
     (math.nan, "undefined"), (math.inf, "∞"), (99.96, "100"), (2.5e7, "2.50 × 10⁷")],
)  # fmt: skip
def test_numbers_read_well(value, text) -> None:
    assert words.number(value) == text


@pytest.mark.parametrize(
    ("p", "text"), [(0.0001, "p < 0.001"), (0.0449, "p = 0.045"), (0.5, "p = 0.50"), (1.0, "p = 1.00")]
)
def test_p_values_read_well(p, text) -> None:
    assert words.p_value(p) == text


def test_units_are_printed_once_and_only_where_there_is_one() -> None:
    assert words.with_unit(0.3, "fraction") == "0.3"
    assert words.with_unit(120.0, "1/mm²") == "120 per mm²"
    assert words.with_unit(math.nan, "µm") == "undefined"


@pytest.mark.parametrize("scale", ["identity", "log", "logit"])
def test_a_groups_interval_is_students_on_its_scale(scale) -> None:
    values = np.array([0.2, 0.35, 0.3, 0.5])
    onto = {"identity": values, "log": np.log(values), "logit": np.log(values / (1 - values))}[scale]
    back = {"identity": lambda v: v, "log": np.exp, "logit": lambda v: 1 / (1 + np.exp(-v))}[scale]
    low, high = stats.t.interval(0.95, 3, onto.mean(), stats.sem(onto))
    found = figures.estimate_mean(values, scale)
    assert (found.mean, found.low, found.high) == pytest.approx((back(onto.mean()), back(low), back(high)))


def test_one_animal_has_a_mean_and_no_interval() -> None:
    found = figures.estimate_mean(np.array([0.4]), "log")
    assert found.mean == pytest.approx(0.4)
    assert math.isnan(found.low)


def test_every_animal_is_a_mark_with_its_name_and_value(run_dir) -> None:
    run = FinishedRun.read(run_dir)
    figure = figures.draw_group_figure(run, "cortical_coverage")
    tips = re.findall(r"<title>(.*?)</title>", figure.svg)
    animals = run.tables["animals"]
    for name, value in zip(animals["animal"], animals["cortical_coverage"], strict=True):
        assert f"animal {name}: {words.number(float(value))}" in tips
    assert sum(tip.startswith("section") for tip in tips) == len(run.tables["sections"])
    assert "currentColor" in figure.svg
    assert "#010203" not in figure.svg
    assert 'role="img"' in figure.svg
    assert "untreated: 3 animals" in figure.alt


def test_groups_keep_their_colour_through_all_figures(run_dir) -> None:
    drawn = figures.draw_group_figures(FinishedRun.read(run_dir))
    assert {"cd45_area_fraction", "segregation_index_50um", "cortical_coverage"} <= {f.column for f in drawn}
    for figure in drawn:
        for colour in figures.GROUP_COLOURS[1:3]:
            assert colour.lower() in figure.svg.lower()


@pytest.mark.parametrize("name", ["a$b_c$", "Кролик 兔", "<b>&"])
def test_any_name_of_a_group_can_be_drawn(run_dir, name) -> None:
    file = run_dir / "tables" / "animals.csv"
    file.write_text(file.read_text().replace("untreated", name))
    record = json.loads((run_dir / "run.json").read_text())
    record["study"]["groups"] = [name, "CD34+", "progenitors"]
    (run_dir / "run.json").write_text(json.dumps(record))
    figure = figures.draw_group_figure(FinishedRun.read(run_dir), "cortical_coverage")
    assert "<b>" not in figure.svg


def test_the_methods_say_what_was_really_used(run_dir) -> None:
    record = json.loads((run_dir / "run.json").read_text())
    record["settings"]["correction"]["illumination"] = "off"
    for name, source in (("u01_s1", "controls_sd"), ("C01_s1", "section")):
        root = {"attributes": {"thymusimg": {"gate": {"source": source}}}}
        (run_dir / "sections" / f"{name}.zarr" / "zarr.json").write_text(json.dumps(root))
    (run_dir / "run.json").write_text(json.dumps(record))
    run = FinishedRun.read(run_dir)
    text = " ".join(write_methods(run))
    for said in (
        "24 sections of 12 animals",
        "0.5 µm",
        "CD205 standing in for Keratin 8",
        "illumination was not corrected",
        "in units of the background's SD (1 section)",
        "The animal is the unit",
        "with untreated",
        "95%",
        "thymusimg 0.1.0",
        "numpy 2.1.0",
        "Holm over 6 primary tests",
        "CD45 took no part",
    ):
        assert said in text
    assert gate_sources(run) == {"controls_sd": 1, "section": 1}


def test_the_methods_of_nothing_recorded_say_so(tmp_path) -> None:
    run = FinishedRun(tmp_path, {}, {n: pd.DataFrame() for n in ("sections", "animals", "comparisons")})
    assert " ".join(write_methods(run)).count("not recorded") >= 5


def test_skipped_cells_are_said_to_be_skipped(run_dir) -> None:
    file = run_dir / "tables" / "sections.csv"
    file.write_text(file.read_text().replace("classical", "none"))
    assert "were not looked for" in " ".join(write_methods(FinishedRun.read(run_dir)))


def test_pictures_shrink_only_when_they_must(jpegs) -> None:
    data = jpegs["composite"]
    assert fit_jpeg(data, len(data))[0] == data
    small, width, height = fit_jpeg(data, 40_000)
    assert len(small) < 60_000
    assert min(width, height) > 100
    assert fit_jpeg(b"no picture", 5)[1:] == (0, 0)

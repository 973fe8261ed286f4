from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from report_fixtures import GROUPS

from thymusimg.report.curves import SHOWN, draw_curve_figures
from thymusimg.report.finished_run import FinishedRun
from thymusimg.report.html import render
from thymusimg.report.robustness import read_checks, sensitivity_lines

X = np.arange(-100.0, 125.0, 25.0)


def add_curves(run_dir, animals=5, missing="untreated"):
    rows = [
        {"group": g, "curve": c.curve, "compartment": "", "x": abs(x) + 5 if "spectrum" in c.curve else x,
         "mean": 100.0 + i * 50, "low": 60.0, "high": 400.0, "sd": 10.0, "n_animals": animals, "reason": ""}
        for i, g in enumerate(GROUPS)
        if g != missing
        for c in SHOWN
        for x in X
    ]  # fmt: skip
    pd.DataFrame(rows).to_csv(run_dir / "tables" / "group_curves.csv", index=False)
    return FinishedRun.read(run_dir)


def test_every_curve_is_drawn_for_the_groups_that_have_it(run_dir):
    figures = draw_curve_figures(add_curves(run_dir))
    assert [f.title for f in figures] == [shown.title for shown in SHOWN]
    assert all("undefined in untreated" in f.note for f in figures)
    assert all("progenitors" in f.alt and "untreated" not in f.alt for f in figures)


def test_the_names_of_the_curves_are_those_of_the_dictionary(finished_run):
    run = FinishedRun.read(finished_run)
    assert all(f"{shown.curve}({shown.x_name})" in run.meanings for shown in SHOWN)


def test_a_lone_animal_is_no_group(run_dir):
    assert draw_curve_figures(add_curves(run_dir, animals=1)) == []


def test_a_report_without_curves_says_nothing_of_them(finished_html):
    assert "Across the tissue" not in finished_html


def test_the_report_shows_curves(run_dir):
    html = render(add_curves(run_dir))
    assert "Across the tissue" in html
    ids = re.findall(r' id="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    assert not re.search(r">\s*nan\b", html, flags=re.IGNORECASE)


def test_the_mixed_model_stands_beside_the_answer(run_dir):
    file = run_dir / "tables" / "comparisons.csv"
    table = pd.read_csv(file).assign(
        icc=0.5, design_effect=1.5, mixed_estimate=2.0, mixed_low=1.5, mixed_high=2.5, mixed_note="by REML"
    )
    table.to_csv(file, index=False)
    checks = read_checks(FinishedRun.read(run_dir))
    assert len(checks) == (table["role"] == "primary").sum()
    assert all("2 (" in check.mixed.replace("+", "") for check in checks)
    assert "Does the answer hold?" in render(FinishedRun.read(run_dir))


@pytest.mark.parametrize("held", [True, False])
def test_sensitivity_is_said_in_words(run_dir, held):
    base = {"endpoint": "cortical_coverage", "group": "progenitors", "reference": "untreated", "significant": True}
    own = {"setting": "", "value": "", "is_default": True, "sections_changed": 0, "sign_holds": True,
           "significance_holds": True}  # fmt: skip
    varied = {"setting": "a.b", "value": "2", "is_default": False, "sections_changed": 3, "sign_holds": held,
              "significance_holds": False}  # fmt: skip
    pd.DataFrame([base | own, base | varied]).to_csv(run_dir / "tables" / "sensitivity.csv", index=False)
    (line,) = sensitivity_lines(FinishedRun.read(run_dir))
    assert f"the sign held in {int(held)} of 1 settings, significance in 0" in line
    assert line.startswith("Cortical coverage, progenitors against untreated")

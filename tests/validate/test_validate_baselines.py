"""What the protocol is made of: the baselines, the null studies, the plan, the exact interval."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy import stats

from thymusimg.compartments.model import Compartment
from thymusimg.measurements.columns import columns
from thymusimg.phantom import GENERATORS
from thymusimg.phantom.section import as_section
from thymusimg.pipeline import count_cells, measure_counted, prepare_section
from thymusimg.settings import Settings
from thymusimg.study.summarise import pool_animals
from thymusimg.validate.baselines import gaussian_mixture, mixture_compartments, otsu_cells, otsu_compartments
from thymusimg.validate.null_tables import DESIGNS, PRIMARY, clopper_pearson, simulate_study
from thymusimg.validate.plan import FULL, SHORT, plan
from thymusimg.validate.sections import ROW, maps_of, measured_row, spec_of


def test_mixture_against_scikit_learn():
    mixture = pytest.importorskip("sklearn.mixture")
    rng = np.random.default_rng(1)
    centres = np.array([0.0, 4.0, 9.0, 15.0])
    values = np.concatenate([rng.normal(c, 0.8, 500) for c in centres])
    ours = gaussian_mixture(values, 4)
    model = mixture.GaussianMixture(4, means_init=centres[:, None], random_state=0).fit(values[:, None])
    theirs = np.argsort(np.argsort(model.means_.ravel()))[model.predict(values[:, None])]
    assert (ours == theirs).mean() > 0.99


def test_mixture_of_one_value():
    assert set(gaussian_mixture(np.full(50, 3.0), 4)) <= {0, 1, 2, 3}


def test_the_mixture_takes_its_best_case(phantom):
    labels = mixture_compartments(phantom)
    assert set(np.unique(labels)) <= {0, Compartment.CORTEX, Compartment.MEDULLA}
    assert ((labels > 0) == phantom.truth.tissue).all()
    otsu = otsu_compartments(phantom)
    assert not otsu[~phantom.truth.tissue].any()
    for found in (labels, otsu):
        truth = phantom.truth.labels == Compartment.MEDULLA
        both = (found == Compartment.MEDULLA) & truth
        assert 2 * both.sum() / ((found == Compartment.MEDULLA).sum() + truth.sum()) > 0.5


def test_the_watershed_finds_something(phantom):
    cells = otsu_cells(phantom)
    assert cells.shape == phantom.pixels.shape[1:]
    assert 0 < cells.max() < 5 * len(phantom.truth.human)


def test_the_measured_columns_are_those_of_the_pipeline(phantom):
    counted = count_cells(prepare_section(as_section(phantom, "s"), Settings()))
    measured = measure_counted(counted).measurements
    assert measured_row(counted) == pytest.approx({name: measured[name] for name in ROW}, nan_ok=True)


def test_the_truth_scores_full_marks(phantom):
    maps = maps_of(phantom, phantom.truth.labels)
    assert (maps.result == maps.truth).all()


@pytest.mark.parametrize("design", DESIGNS.values(), ids=DESIGNS)
def test_null_studies_pool_to_what_was_drawn(design):
    sections = simulate_study(design, np.random.default_rng(3))
    assert sections["animal"].nunique() == sum(design.animals)
    chosen = [c for c in columns("sections") if c.name in PRIMARY]
    assert len(chosen) == len(PRIMARY)
    animals = pool_animals(sections, chosen)
    for name in PRIMARY:
        assert animals[name].between(0, 1, inclusive="neither").all()


def test_null_studies_do_not_differ_between_the_groups():
    rng = np.random.default_rng(5)
    means = []
    for _ in range(60):
        sections = simulate_study(DESIGNS["5 + 5 animals, 2 sections"], rng)
        means.append(sections.groupby("group")[list(PRIMARY)].mean().diff().iloc[-1])
    t = stats.ttest_1samp(np.array(means), 0).pvalue
    assert (t > 0.001).all()


def test_clopper_pearson_against_scipy():
    for k, n in ((0, 20), (3, 50), (50, 1000), (20, 20)):
        interval = stats.binomtest(k, n).proportion_ci(0.95, "exact")
        assert clopper_pearson(k, n) == pytest.approx((interval.low, interval.high))


def test_every_case_is_possible_and_its_own():
    cases = plan(FULL)
    assert len({c.key for c in cases}) == len(cases)
    assert {c.generator for c in cases} == {*GENERATORS, "tables"}
    seen = set()
    for case in cases:
        if case.study or case.part == "null tables" or (case.part, case.label) in seen:
            continue
        seen.add((case.part, case.label))
        spec_of(case)  # raises where a change is impossible
    assert sum(c.part == "null tables" for c in cases) * 50 >= 1000 * len(DESIGNS)
    assert len({c.label for c in cases if c.part == "null images"}) == 20
    assert len(plan(SHORT)) < len(cases) / 5


def test_the_key_is_of_the_case_and_the_code(monkeypatch):
    case = plan(SHORT)[0]
    other = dataclasses.replace(case, seed=case.seed + 1)
    assert case.key != other.key
    before = case.key
    monkeypatch.setattr("thymusimg.validate.case.code_hash", lambda: "another")
    assert case.key != before

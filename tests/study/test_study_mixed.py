from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pingouin
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from scipy import stats

from thymusimg.measurements.schema import Column, Ratio
from thymusimg.settings import StudySettings
from thymusimg.study.compare import compare_groups
from thymusimg.study.counts import fit_counts
from thymusimg.study.hierarchy import nesting
from thymusimg.study.mixed import fit_mixed
from thymusimg.study.summarise import pool_animals


def drawn(
    seed: int = 0, animals: int = 5, sections: tuple[int, int] = (2, 6), between: float = 1.0, donors: int = 0
) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    level = draw.normal(0, 1.5, max(donors, 1))
    rows = []
    for group in ("r", "g"):
        for a in range(animals):
            donor = a % donors if donors else 0
            own = draw.normal(0, between) + (group == "g") + (level[donor] if donors else 0.0)
            for _ in range(draw.integers(sections[0], sections[1] + 1)):
                name = f"d{donor}" if donors else ""
                rows.append((f"{group}{a}", group, f"b{a % 2}", name, own + draw.normal()))
    return pd.DataFrame(rows, columns=["animal", "group", "batch", "donor", "y"])


@pytest.mark.parametrize("seed", range(3))
def test_a_balanced_study_is_the_t_test_of_animals(seed: int) -> None:
    table = drawn(seed, sections=(3, 3), between=2.0).assign(batch="")
    means = table.groupby(["group", "animal"])["y"].mean()
    theirs = stats.ttest_ind(means["g"], means["r"])
    fit = fit_mixed(table, "r")
    assert fit.p == pytest.approx(theirs.pvalue, rel=1e-5)
    assert tuple(fit.estimate)[1:] == pytest.approx(tuple(theirs.confidence_interval()), rel=1e-5)
    assert fit.df == 8
    assert fit.converged


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_an_unbalanced_study_is_statsmodels(seed: int) -> None:
    table = drawn(seed, between=1.5)
    fit = fit_mixed(table, "r")
    model = smf.mixedlm("y ~ I(group == 'g') + batch", table, groups=table["animal"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # statsmodels says so where it does not converge
        theirs = model.fit(reml=True)
    assert theirs.converged
    name = "I(group == 'g')[T.True]"
    assert fit.estimate.estimate == pytest.approx(theirs.params[name], abs=2e-4)
    error = (fit.estimate.high - fit.estimate.low) / 2 / stats.t.ppf(0.975, fit.df)
    assert error == pytest.approx(theirs.bse[name], rel=2e-3)
    assert fit.df == 10 - 3


def test_donors_are_a_second_variance() -> None:
    table = drawn(4, animals=8, donors=4, between=1.0).assign(batch="")
    fit = fit_mixed(table, "r")
    groups = np.ones(len(table))
    parts = {"a": "0 + C(animal)", "d": "0 + C(donor)"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = smf.mixedlm("y ~ I(group == 'g')", table, groups=groups, vc_formula=parts).fit(reml=True)
    name = "I(group == 'g')[T.True]"
    assert fit.estimate.estimate == pytest.approx(theirs.params[name], abs=5e-3)
    error = (fit.estimate.high - fit.estimate.low) / 2 / stats.t.ppf(0.975, fit.df)
    assert error == pytest.approx(theirs.bse[name], rel=0.02)
    assert "(1 | donor)" in fit.note
    assert fit.df == 16 - 5  # animals less group and donors, which hold both groups


def test_what_goes_wrong_is_said() -> None:
    boundary = fit_mixed(drawn(0, animals=6, between=0.0).assign(batch=""), "r")
    assert "on the boundary: the variance between animals is estimated as 0" in boundary.note
    assert np.isfinite(boundary.p)
    single = drawn(0, sections=(1, 1))
    assert "one section an animal" in fit_mixed(single, "r").note
    same = drawn(0).assign(y=1.0)
    assert "do not differ" in fit_mixed(same, "r").note
    with_group = drawn(0)
    with_group["batch"] = with_group["group"]
    assert "batch left out, because it goes with group" in fit_mixed(with_group, "r").note
    changing = drawn(0)
    changing["batch"] = [f"b{i % 2}" for i in range(len(changing))]
    assert "changes within an animal" in fit_mixed(changing, "r").note
    alone = drawn(0)
    alone = alone[(alone["group"] == "r") | (alone["animal"] == "g0")]
    assert "at least 2 animals" in fit_mixed(alone, "r").note


def test_neither_order_nor_shift_nor_unit_matters() -> None:
    table = drawn(5)
    one = fit_mixed(table, "r")
    shuffled = fit_mixed(table.sample(frac=1, random_state=1), "r")
    assert shuffled.p == pytest.approx(one.p, rel=1e-6)
    scaled = fit_mixed(table.assign(y=1000 * table["y"] + 7e4), "r")
    assert scaled.p == pytest.approx(one.p, rel=1e-5)
    assert scaled.estimate.low == pytest.approx(1000 * one.estimate.low, rel=1e-5)


def counted(seed: int = 0, ratio: float = 2.0, dispersion: float = 0.5) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    rows = []
    for group, factor in (("r", 1.0), ("g", ratio)):
        for a in range(30):
            for _ in range(3):
                area = draw.uniform(0.5, 3)
                mean = 20 * factor * area * (draw.gamma(1 / dispersion, dispersion) if dispersion else 1.0)
                rows.append((f"{group}{a}", group, draw.poisson(mean), area))
    return pd.DataFrame(rows, columns=["animal", "group", "count", "area"])


def test_counts_have_their_ratio() -> None:
    table = counted()
    fit = fit_counts(table, "r")
    assert fit.converged
    assert fit.estimate.low < np.log(2) < fit.estimate.high
    assert fit.df == 58
    # the generalised linear model at the true dispersion, whose weights are nearly the same
    design = sm.add_constant((table["group"] == "g").astype(float))
    family = sm.families.NegativeBinomial(alpha=0.5)
    theirs = sm.GLM(table["count"], design, family=family, offset=np.log(table["area"])).fit(
        cov_type="cluster", cov_kwds={"groups": pd.factorize(table["animal"])[0]}
    )
    assert fit.estimate.estimate == pytest.approx(theirs.params["group"], abs=5e-3)
    error = (fit.estimate.high - fit.estimate.low) / 2 / stats.t.ppf(0.975, 58)
    assert error == pytest.approx(theirs.bse["group"], rel=0.02)


def test_counts_without_overdispersion_are_poisson() -> None:
    table = counted(3, dispersion=0.0)
    fit = fit_counts(table, "r")
    design = sm.add_constant((table["group"] == "g").astype(float))
    theirs = sm.GLM(table["count"], design, family=sm.families.Poisson(), offset=np.log(table["area"])).fit()
    assert fit.estimate.estimate == pytest.approx(theirs.params["group"], abs=5e-3)


def test_no_cell_in_a_group_has_no_ratio() -> None:
    table = counted()
    table.loc[table["group"] == "r", "count"] = 0
    fit = fit_counts(table, "r")
    assert "no cell at all in 'r'" in fit.note
    assert np.isnan(fit.p)


@pytest.mark.parametrize("seed", range(3))
def test_icc_is_pingouins(seed: int) -> None:
    table = drawn(seed, animals=6, sections=(4, 4), between=1.0)
    one = table[table["group"] == "r"].assign(rater=np.tile(np.arange(4), 6))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pingouin's own, against newer pandas
        theirs = pingouin.intraclass_corr(one, targets="animal", raters="rater", ratings="y").iloc[0]
    found = nesting(one["y"].to_numpy(), one["animal"].to_numpy(object), one["group"].to_numpy(object))
    assert found.icc == pytest.approx(max(0.0, theirs["ICC"]), abs=1e-6)
    assert found.design_effect == pytest.approx(1 + 3 * found.icc)


def test_icc_leaves_the_groups_out() -> None:
    table = drawn(1, animals=40, sections=(3, 5), between=1.0)
    apart = table.assign(y=table["y"] + 100 * (table["group"] == "g"))
    found, far = (
        nesting(t["y"].to_numpy(), t["animal"].to_numpy(object), t["group"].to_numpy(object))
        for t in (table, apart)
    )
    assert found.icc == pytest.approx(0.5, abs=0.12)
    assert far.icc == pytest.approx(found.icc, abs=1e-6)
    alone = nesting(np.array([1.0, 2.0]), np.array(["a", "b"], object), np.array(["g", "g"], object))
    assert np.isnan(alone.icc)
    assert alone.sections_per_animal == 1


def test_the_model_stands_beside_the_contrast_and_moves_nothing() -> None:
    count = Column("n", "sections", "count", "n", dtype="int")
    density = Column("density", "sections", "1/mm²", "n / a", pool=Ratio("n", "a"), scale="log")
    width = Column("width", "sections", "µm", "w", pool=Ratio("w", "a"), scale="log")
    draw = np.random.default_rng(0)
    frame = drawn(2, animals=5, sections=(2, 4))
    frame = frame.assign(a=draw.uniform(1, 2, len(frame)), section_id=[f"s{i}" for i in range(len(frame))])
    frame["n"] = draw.poisson(np.exp(frame["y"] / 4) * 50 * frame["a"])
    frame["density"], frame["width"] = frame["n"] / frame["a"], np.exp(frame["y"])
    frame["w"] = frame["width"] * frame["a"]
    columns, settings = (count, density, width), StudySettings(reference="r", primary=("width",))
    animals = pool_animals(frame, columns)
    alone = compare_groups(animals, settings, columns)
    beside = compare_groups(animals, settings, columns, sections=frame)
    headline = [name for name in alone if not name.startswith("mixed") and name not in NESTED]
    pd.testing.assert_frame_equal(alone[headline], beside[headline], check_exact=True)
    by = beside.set_index("endpoint")
    assert by.loc["density", "mixed_note"].startswith("negative binomial with the offset ln area")
    assert by.loc["width", "mixed_note"].startswith("mixed model y ~ group + batch + (1 | animal) by REML")
    assert by.loc["width", "mixed_low"] < by.loc["width", "difference"] < by.loc["width", "mixed_high"]
    assert by["mixed_converged"].all()
    assert by["design_effect"].ge(1).all()
    assert alone["mixed_converged"].isna().all()


NESTED = ("icc", "sections_per_animal", "design_effect")

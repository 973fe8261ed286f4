from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from thymusimg.measurements.columns import columns
from thymusimg.measurements.schema import Column, Ratio, Sum
from thymusimg.settings import StudySettings
from thymusimg.study.compare import COLUMNS, compare_groups

PLAIN = Column("plain", "sections", "µm", "plain", pool=Ratio("a", "b"))
RATIO = Column("ratio", "sections", "1/mm²", "log", pool=Ratio("a", "b"), scale="log")
SHARE = Column("share", "sections", "fraction", "logit", pool=Ratio("a", "b"), scale="logit")
TOTAL = Column("total", "sections", "mm²", "total", pool=Sum())
LABEL = Column("label", "sections", "text", "label", dtype="str")
ENDPOINTS = (PLAIN, RATIO, SHARE, TOTAL, LABEL)
DECLARED = StudySettings(reference="cd34", primary=("plain", "share"))


def animals(sizes: dict[str, int] | None = None, seed: int = 0, **over: object) -> pd.DataFrame:
    sizes = sizes or {"nsg": 4, "cd34": 4, "pro": 4}
    generator = np.random.default_rng(seed)
    groups = [group for group, n in sizes.items() for _ in range(n)]
    count = len(groups)
    level = np.array([list(sizes).index(group) for group in groups])
    table: dict[str, object] = {
        "animal": [f"m{i}" for i in range(count)],
        "group": groups,
        "donor": "",
        "batch": "",
        "negative_control": [group == "nsg" for group in groups],
        "n_sections": 2,
        "plain": generator.normal(level, 1),
        "ratio": np.exp(generator.normal(level, 0.3)),
        "share": 1 / (1 + np.exp(-generator.normal(level, 0.5))),
        "total": generator.uniform(1, 2, count),
    }
    return pd.DataFrame(table | over)


def row(table: pd.DataFrame, endpoint: str, group: str = "pro") -> pd.Series:
    return table[(table["endpoint"] == endpoint) & (table["group"] == group)].iloc[0]


def values(frame: pd.DataFrame, endpoint: str, group: str) -> np.ndarray:
    return frame.loc[frame["group"] == group, endpoint].to_numpy()


def test_every_group_against_the_reference() -> None:
    frame = animals()
    table = compare_groups(frame, DECLARED, ENDPOINTS)
    assert list(table.columns) == list(COLUMNS)
    assert table["endpoint"].tolist() == ["plain"] * 2 + ["share"] * 2 + ["ratio"] * 2 + ["total"] * 2
    assert table["group"].tolist() == ["nsg", "pro"] * 4
    assert table["role"].tolist() == ["primary"] * 4 + ["exploratory"] * 4
    assert (table["reference"] == "cd34").all()
    assert (table["reason"] == "").all()
    one = row(table, "plain")
    theirs = stats.ttest_ind(values(frame, "plain", "pro"), values(frame, "plain", "cd34"), equal_var=False)
    assert one["p_welch"] == pytest.approx(theirs.pvalue)
    assert (one["ci_low"], one["ci_high"]) == pytest.approx(tuple(theirs.confidence_interval()))
    assert one["difference"] == pytest.approx(one["mean_group"] - one["mean_reference"])
    assert one["effect_label"] == "difference"


def test_ratio_and_odds_ratio() -> None:
    frame = animals()
    table = compare_groups(frame, DECLARED, ENDPOINTS)
    one = row(table, "ratio")
    by_hand = stats.gmean(values(frame, "ratio", "pro")) / stats.gmean(values(frame, "ratio", "cd34"))
    assert one["difference"] == pytest.approx(by_hand)
    assert (one["scale"], one["effect_label"]) == ("log", "ratio")
    assert one["ci_low"] < by_hand < one["ci_high"]
    assert row(table, "share")["effect_label"] == "odds ratio"


def test_the_unit_moves_no_p() -> None:
    frame = animals()
    scaled = frame.assign(plain=frame["plain"] * 1000, ratio=frame["ratio"] * 1e-3)
    one, other = compare_groups(frame, DECLARED, ENDPOINTS), compare_groups(scaled, DECLARED, ENDPOINTS)
    for name in ("p_welch", "p_permutation", "hedges_g", "cliffs_delta", "p_adjusted"):
        np.testing.assert_allclose(one[name], other[name], rtol=1e-9)
    assert row(one, "ratio")["difference"] == pytest.approx(row(other, "ratio")["difference"])


def test_a_third_group_moves_only_the_adjustment() -> None:
    frame = animals()
    both = row(compare_groups(frame, DECLARED, ENDPOINTS), "plain")
    alone = row(compare_groups(frame[frame["group"] != "nsg"], DECLARED, ENDPOINTS), "plain")
    same = [name for name in COLUMNS if name not in ("p_adjusted", "adjustment")]
    pd.testing.assert_series_equal(both[same], alone[same], check_names=False)
    assert alone["p_adjusted"] <= both["p_adjusted"]


def test_holm_for_primaries_and_q_for_the_rest() -> None:
    table = compare_groups(animals(), DECLARED, ENDPOINTS)
    primary, rest = table[table["role"] == "primary"], table[table["role"] == "exploratory"]
    np.testing.assert_allclose(primary["p_adjusted"].min(), min(1, 4 * primary["p_welch"].min()))
    assert set(primary["adjustment"]) == {"Holm over 4 primary tests (p_welch)"}
    np.testing.assert_allclose(rest["p_adjusted"], stats.false_discovery_control(rest["p_welch"]))
    assert set(rest["adjustment"]) == {"Benjamini-Hochberg over 4 exploratory tests (p_welch)"}


def test_zeros_on_a_log_make_it_a_difference() -> None:
    frame = animals()
    frame.loc[frame["group"] == "nsg", "ratio"] = 0.0
    table = compare_groups(frame, DECLARED, ENDPOINTS)
    zero = row(table, "ratio", "nsg")
    assert (zero["scale"], zero["effect_label"]) == ("identity", "difference")
    assert "which has no log" in zero["note"]
    assert zero["difference"] == pytest.approx(-values(frame, "ratio", "cd34").mean())
    assert np.isfinite(zero["p_welch"])
    assert row(table, "ratio", "pro")["scale"] == "log"  # the other contrast keeps its ratio
    frame.loc[frame["group"] == "pro", "share"] = 1.0
    assert row(compare_groups(frame, DECLARED, ENDPOINTS), "share")["scale"] == "identity"


def test_few_animals() -> None:
    three = row(compare_groups(animals({"cd34": 3, "pro": 3}), DECLARED, ENDPOINTS), "plain")
    assert "only 3 and 3 animals" in three["note"]
    assert "no permutation test of these animals can be below 0.10" in three["note"]
    assert three["min_possible_p"] == pytest.approx(0.1)
    assert np.isfinite(three["p_welch"])
    one = row(compare_groups(animals({"cd34": 3, "pro": 1}), DECLARED, ENDPOINTS), "plain")
    assert one["reason"] == "n = 1 in 'pro': at least 2 animals per group are needed"
    assert np.isfinite([one["mean_reference"], one["mean_group"]]).all()
    assert np.isnan([one["p_welch"], one["difference"], one["hedges_g"], one["p_adjusted"], one["ci_low"]]).all()
    enough = row(compare_groups(animals(), DECLARED, ENDPOINTS), "plain")
    assert enough["note"] == ""


def test_undefined_animals_are_left_out_and_said() -> None:
    frame = animals()
    frame.loc[frame["group"] == "nsg", "plain"] = np.nan
    frame.loc[8, "plain"] = np.nan
    frame["plain_reason"] = ["no cortex"] * 4 + [""] * 4 + ["torn"] + [""] * 3
    table = compare_groups(frame, DECLARED, ENDPOINTS)
    none = row(table, "plain", "nsg")
    assert (none["n_reference"], none["n_group"]) == (4, 0)
    assert none["reason"].startswith("n = 0 in 'nsg'")
    assert "undefined in 4 of 4 animals of 'nsg' (no cortex)" in none["note"]
    some = row(table, "plain", "pro")
    assert some["n_group"] == 3
    assert "undefined in 1 of 4 animals of 'pro' (torn)" in some["note"]
    tested = table[(table["role"] == "primary") & table["p_welch"].notna()]
    assert len(tested) == 3
    assert set(tested["adjustment"]) == {"Holm over 4 primary tests (p_welch)"}  # the declared one still counts


def test_no_variance_is_no_inference() -> None:
    table = compare_groups(animals(plain=[1.0] * 4 + [2.0] * 8), DECLARED, ENDPOINTS)
    assert "do not differ within either group" in row(table, "plain", "nsg")["reason"]
    assert np.isnan(row(table, "plain", "nsg")["hedges_g"])


def test_a_batch_of_its_own_is_no_group() -> None:
    batches = ["b1"] * 4 + ["b2"] * 8
    table = compare_groups(animals(batch=batches), DECLARED, ENDPOINTS)
    assert "no batch holds animals of both 'cd34' and 'nsg'" in row(table, "plain", "nsg")["reason"]
    assert row(table, "plain", "pro")["reason"] == ""
    unknown = compare_groups(animals(batch=["b1"] * 3 + [""] + ["b2"] * 8), DECLARED, ENDPOINTS)
    assert row(unknown, "plain", "nsg")["reason"] == ""
    joined = compare_groups(animals(batch=["b1; b2"] + ["b1"] * 3 + ["b2"] * 8), DECLARED, ENDPOINTS)
    assert row(joined, "plain", "nsg")["reason"] == ""


def test_animals_are_exchanged_within_batch_else_donor() -> None:
    halves = ["1", "1", "2", "2"] * 3
    by_batch = row(compare_groups(animals(batch=halves), DECLARED, ENDPOINTS), "plain")
    assert "permuted within batch" in by_batch["note"]
    assert by_batch["min_possible_p"] == pytest.approx(2 / 36)
    by_donor = row(compare_groups(animals(donor=halves), DECLARED, ENDPOINTS), "plain")
    assert "permuted within donor" in by_donor["note"]
    lopsided = ["1", "1", "2", "2"] * 2 + ["1"] * 4
    free = row(compare_groups(animals(batch=lopsided), DECLARED, ENDPOINTS), "plain")
    assert "not permuted within batch, because not every batch holds both groups" in free["note"]
    assert free["min_possible_p"] == pytest.approx(2 / 70)


def test_totals_are_compared_only_over_as_many_sections() -> None:
    sections = [2] * 11 + [3]
    table = compare_groups(animals(n_sections=sections), DECLARED, ENDPOINTS)
    assert "different numbers of sections" in row(table, "total", "pro")["reason"]
    assert row(table, "total", "nsg")["reason"] == ""
    assert row(table, "plain", "pro")["reason"] == ""


@pytest.mark.parametrize(
    ("reference", "sizes", "reason"),
    [
        ("", {"a": 4, "b": 4}, "no reference group is declared"),
        ("a", {"a": 4}, "only one group ('a')"),
        ("", {"a": 4}, "only one group ('a')"),
        ("gone", {"a": 4, "b": 4}, "no animal of the reference group 'gone' was measured"),
    ],
)
def test_nothing_to_compare_leaves_means_and_the_reason(reference: str, sizes: dict[str, int], reason: str) -> None:
    table = compare_groups(animals(sizes), StudySettings(reference=reference, primary=("plain",)), ENDPOINTS)
    assert len(table) == 4 * len(sizes)
    assert table["reason"].str.startswith(reason).all()
    assert table["mean_group"].notna().all()
    assert (table["n_group"] == 4).all()
    assert table["p_welch"].isna().all()


def test_nothing_at_all() -> None:
    table = compare_groups(animals().iloc[:0], StudySettings(reference="a"), ENDPOINTS)
    assert list(table.columns) == list(COLUMNS)
    assert (table["reason"] == "no animal was measured").all()
    assert len(compare_groups(pd.DataFrame(), StudySettings(reference="a", primary=("plain",)), ENDPOINTS)) == 1


def test_a_primary_that_was_not_measured_is_said() -> None:
    table = compare_groups(animals().drop(columns="plain"), DECLARED, ENDPOINTS)
    missing = table[table["endpoint"] == "plain"]
    assert missing["reason"].tolist() == ["measured in no animal"] * 2
    assert missing["group"].tolist() == ["nsg", "pro"]


def test_cd45_endpoints_say_what_is_special() -> None:
    density = Column("cd45_density_per_mm2", "sections", "1/mm²", "d", pool=Ratio("a", "b"), scale="log")
    frame = animals(cd45_density_per_mm2=np.linspace(1, 2, 12), cd45_saturated_share=[0.0] * 8 + [0.2] * 4)
    table = compare_groups(frame, DECLARED, [density])
    assert "'nsg' are the negative controls" in row(table, "cd45_density_per_mm2", "nsg")["note"]
    assert "cells overlap in 4 animals" in row(table, "cd45_density_per_mm2")["note"]


def test_the_same_input_gives_the_same_table() -> None:
    frame = animals({"cd34": 11, "pro": 11})
    settings = StudySettings(reference="cd34", random_permutations=999)
    one, two = compare_groups(frame, settings, ENDPOINTS), compare_groups(frame, settings, ENDPOINTS)
    pd.testing.assert_frame_equal(one, two, check_exact=True)
    assert "999 random arrangements" in one["note"].iloc[0]


def test_the_null_study_is_rarely_significant() -> None:
    hits = 0
    for seed in range(200):
        frame = animals({"cd34": 5, "pro": 5}, seed=seed)
        frame["plain"] = np.random.default_rng(seed).normal(size=10)
        hits += row(compare_groups(frame, StudySettings(reference="cd34"), [PLAIN]), "plain")["p_welch"] < 0.05
    assert hits <= 18  # 5 % of 200, and the 99 % limit of a binomial


def test_every_column_is_declared() -> None:
    assert [c.name for c in columns("comparisons")] == list(COLUMNS)

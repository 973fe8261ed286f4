from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from thymusimg.measurements.columns import check_columns
from thymusimg.study.curves import excluded_sections, group_curves, pool_curves


def curves(sections: dict[str, tuple[str, str]], seed: int = 0, points: int = 5) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    rows = [
        (
            section,
            animal,
            group,
            "profile",
            "",
            25.0 * i,
            draw.normal(10, 2),
            np.nan,
            np.nan,
            draw.uniform(0.1, 1),
            "",
        )
        for section, (animal, group) in sections.items()
        for i in range(points)
    ]
    names = (
        "section_id",
        "animal",
        "group",
        "curve",
        "compartment",
        "x",
        "value",
        "low",
        "high",
        "weight",
        "reason",
    )
    return pd.DataFrame(rows, columns=list(names))


STUDY = {"s1": ("m1", "a"), "s2": ("m1", "a"), "s3": ("m2", "a"), "s4": ("m3", "a"), "s5": ("m4", "b")}


def test_a_profile_pools_as_cells_over_area() -> None:
    table = curves(STUDY)
    cells = table["value"] * table["weight"]  # cells of a bin, where the weight is its area
    pooled = pool_curves(table)
    for x in (0.0, 50.0):
        here = (table["x"] == x) & (table["animal"] == "m1")
        one = pooled[(pooled["x"] == x) & (pooled["animal"] == "m1")].iloc[0]
        assert one["value"] == pytest.approx(cells[here].sum() / table.loc[here, "weight"].sum())
        assert one["n_sections"] == 2
    assert pooled["animal"].drop_duplicates().tolist() == ["m1", "m2", "m3", "m4"]
    assert pooled.groupby("animal")["x"].apply(lambda x: x.is_monotonic_increasing).all()
    check_columns("animal_curves", pooled)


def test_a_group_is_the_mean_of_its_animals_with_its_t_interval() -> None:
    pooled = pool_curves(curves(STUDY))
    groups = group_curves(pooled)
    check_columns("group_curves", groups)
    values = pooled[(pooled["group"] == "a") & (pooled["x"] == 25.0)]["value"].to_numpy()
    one = groups[(groups["group"] == "a") & (groups["x"] == 25.0)].iloc[0]
    theirs = stats.ttest_1samp(values, 0).confidence_interval()
    assert one["mean"] == pytest.approx(values.mean())
    assert (one["low"], one["high"]) == pytest.approx((theirs.low, theirs.high))
    assert one["sd"] == pytest.approx(values.std(ddof=1))
    lone = groups[groups["group"] == "b"].iloc[0]
    assert lone["reason"] == "one animal: no interval"
    assert np.isnan(lone["low"])
    assert np.isfinite(lone["mean"])


def test_what_is_undefined_takes_no_part_and_is_said() -> None:
    table = curves(STUDY)
    table.loc[(table["section_id"] == "s1") & (table["x"] == 0), ["value", "reason"]] = [np.nan, "no tissue"]
    table.loc[(table["section_id"] == "s5"), ["value", "reason"]] = [np.nan, "no junction"]
    table.loc[(table["section_id"] == "s3") & (table["x"] == 0), "weight"] = 0.0
    pooled = pool_curves(table)
    first = pooled[(pooled["animal"] == "m1") & (pooled["x"] == 0)].iloc[0]
    other = table[(table["section_id"] == "s2") & (table["x"] == 0)].iloc[0]
    assert first["value"] == pytest.approx(other["value"])
    assert first["n_sections"] == 1
    assert set(pooled[pooled["animal"] == "m4"]["reason"]) == {"no junction"}
    weightless = pooled[(pooled["animal"] == "m2") & (pooled["x"] == 0)].iloc[0]
    assert np.isnan(weightless["value"])
    assert weightless["reason"] == "no section has a value here"
    none = group_curves(pooled)
    assert none[none["group"] == "b"]["n_animals"].eq(0).all()


def test_a_section_without_the_curve_leaves_its_reason_only_if_the_animal_has_none() -> None:
    table = curves({"s1": ("m1", "a"), "s3": ("m2", "a")})
    absent = table.iloc[[0, 0]].assign(
        section_id=["s2", "s9"], animal=["m1", "m9"], x=np.nan, value=np.nan, weight=np.nan, reason="no cortex"
    )
    pooled = pool_curves(pd.concat([table, absent], ignore_index=True))
    assert pooled[pooled["animal"] == "m1"]["x"].notna().all()
    assert pooled[pooled["animal"] == "m9"]["reason"].tolist() == ["no cortex"]


def test_order_of_rows_and_excluded_sections() -> None:
    table = curves(STUDY)
    mixed = pool_curves(table.sample(frac=1, random_state=0))
    merged = mixed.merge(pool_curves(table), on=["animal", "group", "curve", "compartment", "x"])
    np.testing.assert_allclose(merged["value_x"], merged["value_y"], rtol=1e-12)
    without = pool_curves(table, frozenset({"s2"}))
    assert without[without["animal"] == "m1"]["n_sections"].eq(1).all()
    marked = pd.DataFrame({"section_id": ["s1", "s2"], "animal": "m1", "group": "a", "exclude": ["", "yes"]})
    assert excluded_sections(marked) == {"s2"}


def test_no_curve_at_all() -> None:
    empty = curves({})
    pooled = pool_curves(empty)
    assert len(pooled) == 0
    assert len(group_curves(pooled)) == 0


def test_an_animal_with_next_to_nothing_at_a_place_does_not_speak_for_its_group() -> None:
    table = curves({"s1": ("m1", "a"), "s2": ("m2", "a"), "s3": ("m3", "a")})
    last = table["x"] == table["x"].max()
    odd = last & (table["animal"] == "m3")
    table.loc[odd, ["value", "weight"]] = 1e6, 1e-4
    group = group_curves(pool_curves(table))
    at_end = group[group["x"] == table["x"].max()].iloc[0]
    assert at_end["n_animals"] == 2
    assert at_end["mean"] == pytest.approx(table.loc[last & ~odd, "value"].mean())
    assert (group.loc[group["x"] < table["x"].max(), "n_animals"] == 3).all()

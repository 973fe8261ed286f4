from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.power import TTestIndPower

from thymusimg.measurements.columns import check_columns
from thymusimg.measurements.schema import Column, Ratio, Sum
from thymusimg.settings import StudySettings
from thymusimg.study.next_study import power_table
from thymusimg.study.power import detectable_d, power_of
from thymusimg.study.summarise import pool_animals, pool_lobes

SHARE = Column("share", "sections", "fraction", "s", pool=Ratio("a", "b"), scale="logit")
WIDTH = Column("width", "sections", "µm", "w", pool=Ratio("a", "b"))


def animals(seed: int = 0) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "animal": [f"m{i}" for i in range(11)],
            "group": ["r"] * 5 + ["g"] * 6,
            "share": 1 / (1 + np.exp(-draw.normal(0, 0.5, 11))),
            "width": draw.normal(20, 3, 11),
        }
    )


SETTINGS = StudySettings(reference="r", primary=("width", "share"))


def test_detectable_differences_are_the_known_ones() -> None:
    known = {3: 3.07, 4: 2.38, 5: 2.02, 6: 1.80, 8: 1.51, 10: 1.32, 12: 1.20, 15: 1.06}
    assert {n: round(detectable_d(n, n), 2) for n in known} == known


@pytest.mark.parametrize(("d", "n", "m"), [(0.0, 4, 4), (1.0, 4, 6), (2.5, 3, 8)])
def test_power_is_statsmodels(d: float, n: int, m: int) -> None:
    theirs = TTestIndPower().power(d, n, 0.05, ratio=m / n)
    assert power_of(d, n, m) == pytest.approx(theirs, abs=1e-6)


def test_the_table_on_the_endpoints_scale() -> None:
    frame = animals()
    table = power_table(frame, SETTINGS, (SHARE, WIDTH))
    check_columns("power", table)
    width = table[table["endpoint"] == "width"]
    assert width["n_per_group"].tolist() == [3, 4, 5, 6, 8, 10, 12, 15]
    assert width["this_study"].sum() == 1
    squares = frame.groupby("group")["width"].agg(lambda x: ((x - x.mean()) ** 2).sum()).sum()
    assert width["sd"].iloc[0] == pytest.approx(np.sqrt(squares / 9))
    six = width[width["n_per_group"] == 6].iloc[0]
    assert six["detectable_sd"] == pytest.approx(detectable_d(6, 6, alpha=0.025))
    assert six["detectable_sd_one_test"] == pytest.approx(detectable_d(6, 6))
    assert six["detectable"] == pytest.approx(six["detectable_sd"] * six["sd"])
    assert six["detectable_low"] == pytest.approx(-six["detectable"])
    share = table[table["endpoint"] == "share"].iloc[-1]
    assert share["effect_label"] == "odds ratio"
    assert share["detectable"] == pytest.approx(np.exp(share["detectable_sd"] * share["sd"]))
    assert share["detectable"] * share["detectable_low"] == pytest.approx(1)
    assert (table["sd_low"] < table["sd"]).all()
    assert (table["sd"] < table["sd_high"]).all()


def test_the_interval_of_the_sd_covers() -> None:
    draw = np.random.default_rng(1)
    hits = 0
    for _ in range(300):
        frame = animals().assign(width=draw.normal(0, 3, 11))
        row = power_table(frame, StudySettings(reference="r", primary=("width",)), (WIDTH,)).iloc[0]
        hits += row["sd_low"] <= 3 <= row["sd_high"]
    assert 272 <= hits <= 298  # 95 % of 300, four binomial SDs


def test_nothing_to_tell_is_an_empty_table() -> None:
    assert len(power_table(animals(), StudySettings(primary=("width",)), (WIDTH,))) == 0
    assert len(power_table(pd.DataFrame(), SETTINGS, (WIDTH,))) == 0
    lone = animals().iloc[[0, 5]]
    table = power_table(lone, SETTINGS, (WIDTH, SHARE))
    assert table["sd"].isna().all()
    assert (table["reason"] != "").all()


def test_lobes_pool_apart_and_together_give_the_animal() -> None:
    area = Column("a", "sections", "mm²", "a", pool=Sum())
    part = Column("p", "sections", "mm²", "p", pool=Sum())
    share = Column("s", "sections", "fraction", "p / a", pool=Ratio("p", "a"))
    frame = pd.DataFrame(
        {
            "section_id": ["s1", "s2", "s3", "s4"],
            "animal": ["m1", "m1", "m1", "m2"],
            "group": "g",
            "lobe": ["left", "left", "right", ""],
            "a": [1.0, 2.0, 3.0, 4.0],
            "p": [0.5, 0.5, 3.0, 1.0],
            "s": [0.5, 0.25, 1.0, 0.25],
        }
    )
    lobes = pool_lobes(frame, (area, part, share))
    assert lobes[["animal", "lobe", "n_sections"]].to_numpy().tolist() == [["m1", "left", 2], ["m1", "right", 1]]
    assert lobes["s"].tolist() == pytest.approx([1 / 3, 1.0])
    animal = pool_animals(frame, (area, part, share)).iloc[0]
    assert animal["s"] == pytest.approx((lobes["s"] * lobes["a"]).sum() / lobes["a"].sum())
    assert len(pool_lobes(frame.assign(lobe=""), (area, part, share))) == 0

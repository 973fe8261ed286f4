from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from thymusimg.measurements.columns import check_columns
from thymusimg.measurements.schema import Column, Ratio
from thymusimg.settings import StudySettings
from thymusimg.study.robustness import Measured, compare_variants, not_varied, summary_lines

SHARE = Column("share", "sections", "fraction", "p / a", pool=Ratio("p", "a"), scale="logit")
SETTINGS = StudySettings(reference="r", primary=("share",))


def study(shift: float = 1.5, n: int = 5) -> pd.DataFrame:
    draw = np.random.default_rng(0)
    logit = np.concatenate([draw.normal(-1, 0.3, 2 * n), draw.normal(-1 + shift, 0.3, 2 * n)])
    share = 1 / (1 + np.exp(-logit))
    animals = [f"m{i // 2}" for i in range(4 * n)]
    ids = [f"s{i}" for i in range(4 * n)]
    groups = np.repeat(["r", "g"], 2 * n)
    return pd.DataFrame(
        {"section_id": ids, "animal": animals, "group": groups, "a": 1.0, "p": share, "share": share}
    )


def under(frame: pd.DataFrame, name: str, value: str, change: float, only: str = "") -> Measured:
    """Shift the logit of the sections of a group (all if none is named)."""
    logit = np.log(frame["share"] / (1 - frame["share"])) + change * ((frame["group"] == only) | (only == ""))
    share = 1 / (1 + np.exp(-logit))
    rows = zip(frame["section_id"], share, strict=True)
    return Measured(name, value, {one: {"share": y, "p": y, "a": 1.0} for one, y in rows})


def test_what_holds_is_counted() -> None:
    frame = study()
    variants = [
        under(frame, "default", "", 0.0),
        under(frame, "a.cut", "0.4", 0.5),
        under(frame, "a.cut", "0.6", -1.2, only="g"),
        under(frame, "a.size", "9", -3.0, only="g"),
        under(frame, "a.other", "2", 0.0),
        Measured("a.gone", "1", {}, "in 20 of 20 sections: needs the slide"),
    ]
    table = compare_variants(variants, frame, SETTINGS, [SHARE])
    check_columns("sensitivity", table)
    assert table["sections_changed"].tolist() == [0, 20, 10, 10, 0, 0]
    assert table["sign_holds"].tolist()[:5] == [True, True, True, False, True]
    assert table["significance_holds"].tolist()[:2] == [True, True]
    assert not table["significance_holds"].iloc[2]
    assert table["sign_holds"].isna().iloc[5]
    assert table["reason"].iloc[5] == "not varied: in 20 of 20 sections: needs the slide"
    assert summary_lines(table) == [
        "share, g against r: the sign held in 2 of 3 settings, significance in 2; 1 more change nothing; "
        "1 could not be tried."
    ]
    # a shift of every section alike moves the odds ratio of the animals' pooled values hardly
    assert table["estimate"].iloc[1] == pytest.approx(table["estimate"].iloc[0], rel=0.01)


def test_a_lack_of_significance_may_hold_too() -> None:
    frame = study(shift=0.0)
    variants = [under(frame, "default", "", 0.0), under(frame, "a.cut", "0.4", 2.0, only="g")]
    assert "the lack of significance in 0" in summary_lines(compare_variants(variants, frame, SETTINGS, [SHARE]))[0]


def test_what_is_not_varied_is_a_row() -> None:
    rest = not_varied({"quality.*": "flags only"}, SETTINGS)
    check_columns("sensitivity", rest)
    assert rest.iloc[0]["reason"] == "not varied: flags only"
    frame = study()
    table = compare_variants([under(frame, "default", "", 0.0)], frame, SETTINGS, [SHARE])
    assert summary_lines(pd.concat([table, rest], ignore_index=True)) == []

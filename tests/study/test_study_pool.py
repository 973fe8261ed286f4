from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from thymusimg.measurements.columns import check_columns, columns
from thymusimg.measurements.schema import Column, Ratio, Sum, WeightedMean
from thymusimg.study.summarise import pool_animals, read_sections

if TYPE_CHECKING:
    from pathlib import Path

N = Column("n", "sections", "count", "cells", pool=Sum())
A = Column("a", "sections", "mm²", "area", pool=Sum())
DENSITY = Column("density", "sections", "1/mm²", "n / a", pool=Ratio("n", "a"))
SHARE = Column("share", "sections", "%", "n / (n + a)", pool=Ratio("n", ("n", "a"), 100))
WIDTH = Column("width", "sections", "µm", "width", pool=WeightedMean("a"))
PLAIN = Column("plain", "sections", "µm", "plain")
COLUMNS = (N, A, DENSITY, SHARE, WIDTH, PLAIN)


def sections(**over: object) -> pd.DataFrame:
    table: dict[str, object] = {
        "section_id": ["s1", "s2", "s3"],
        "animal": ["m1", "m1", "m2"],
        "group": ["g", "g", "h"],
        "n": [10, 30, 8],
        "a": [1.0, 9.0, 2.0],
        "density": [10.0, 30 / 9, 4.0],
        "share": [1.0, 2.0, 3.0],
        "width": [20.0, 10.0, 7.0],
        "plain": [1.0, 1.0, 1.0],
    }
    return pd.DataFrame(table | over)


def test_ratios_are_pooled_not_averaged() -> None:
    one = pool_animals(sections(), COLUMNS).set_index("animal").loc["m1"]
    assert one["density"] == 40 / 10  # a mean of ratios would say 6.67
    assert one["share"] == 100 * 40 / 50
    assert one["width"] == (20 * 1 + 10 * 9) / 10
    assert (one["n"], one["a"], one["n_sections"]) == (40, 10, 2)
    assert "plain" not in one


def test_splitting_a_section_moves_no_ratio() -> None:
    whole = pool_animals(sections(), COLUMNS)
    split = pd.concat([sections(), sections().iloc[[1]]], ignore_index=True)
    split.loc[[1, 3], ["n", "a"]] /= 2
    split.loc[3, "section_id"] = "s4"
    halved = pool_animals(split, COLUMNS)
    for name in ("n", "a", "density", "share", "width"):
        np.testing.assert_allclose(halved[name], whole[name], rtol=1e-12)


def test_the_order_of_sections_does_not_matter() -> None:
    forward = pool_animals(sections(), COLUMNS).set_index("animal")
    backward = pool_animals(sections().iloc[::-1], COLUMNS).set_index("animal").loc[forward.index]
    np.testing.assert_allclose(forward[["n", "density", "width"]], backward[["n", "density", "width"]])


def test_an_undefined_section_contributes_nothing() -> None:
    frame = sections(density=[np.nan, 30 / 9, np.nan], width=[np.nan, 10.0, np.nan], n=[np.nan, 30, np.nan])
    frame["density_reason"] = ["no cells were sought", "", "no cortex"]
    animals = pool_animals(frame, COLUMNS).set_index("animal")
    assert animals.loc["m1", "density"] == 30 / 9
    assert animals.loc["m1", "density_reason"] == ""
    assert animals.loc["m1", "width"] == 10
    assert np.isnan(animals.loc["m1", "n"])  # the total of an animal with a section missing is not known
    assert animals.loc["m1", "n_reason"] == "undefined in the section (s1)"
    assert np.isnan(animals.loc["m2", "density"])
    assert animals.loc["m2", "density_reason"] == "no cortex"
    assert animals.loc["m2", "width_reason"] == "undefined in the section"


def test_no_area_is_undefined_not_zero() -> None:
    animals = pool_animals(sections(n=[0, 0, 0], a=[0.0, 0.0, 0.0]), COLUMNS)
    assert animals["density"].isna().all()
    assert (animals["density_reason"] == "the areas or lengths it is per sum to 0").all()


def test_absent_parts_are_said() -> None:
    animals = pool_animals(sections().drop(columns="a"), COLUMNS)
    assert animals["density"].isna().all()
    assert (animals["density_reason"] == "needs column 'a', which is not there").all()


def test_excluded_sections_are_left_out_and_controls_stay() -> None:
    frame = sections(exclude=["no", "yes", ""], negative_control=["", "", "yes"])
    animals = pool_animals(frame, COLUMNS)
    assert animals["density"].tolist() == [10, 4]
    assert animals["n_sections"].tolist() == [1, 1]
    assert animals["negative_control"].tolist() == [False, True]


def test_donors_and_batches_are_gathered() -> None:
    animals = pool_animals(sections(donor=["D1", "D1", None], batch=["b1", "b2", "b1"]), COLUMNS)
    assert animals["donor"].tolist() == ["D1", ""]
    assert animals["batch"].tolist() == ["b1; b2", "b1"]


def test_nullable_types_as_the_batch_writes_them() -> None:
    frame = sections()
    frame["n"] = frame["n"].astype("Int64")
    frame.loc[2, "n"] = pd.NA
    frame["negative_control"] = pd.array([True, pd.NA, False], dtype="boolean")
    animals = pool_animals(frame, COLUMNS)
    assert animals["n"].tolist()[0] == 40
    assert np.isnan(animals["n"].tolist()[1])


def test_an_empty_table() -> None:
    animals = pool_animals(sections().iloc[:0], COLUMNS)
    assert len(animals) == 0
    assert {"animal", "group", "n_sections", "density"} <= set(animals)
    assert len(pool_animals(pd.DataFrame())) == 0


def test_names_survive_csv(tmp_path: Path) -> None:
    frame = sections(animal=["007", "007", "NA"], group=["1", "1", "None"], negative_control=[False, False, True])
    frame.loc[2, "density"] = np.nan
    frame.to_csv(tmp_path / "sections.csv", index=False)
    back = read_sections(tmp_path / "sections.csv")
    assert back["animal"].tolist() == ["007", "007", "NA"]
    assert back["group"].tolist() == ["1", "1", "None"]
    assert back["density"].isna().tolist() == [False, False, True]
    pd.testing.assert_frame_equal(pool_animals(back, COLUMNS), pool_animals(frame, COLUMNS))


def test_every_declared_column_pools_and_is_declared() -> None:
    frame = sections()[["section_id", "animal", "group"]]
    names = {c.name for c in columns("sections") if c.pool is not None}
    frame = pd.concat([frame, pd.DataFrame(dict.fromkeys(sorted(names), 0.5), index=frame.index)], axis=1)
    animals = pool_animals(frame)
    assert names <= set(animals)
    assert animals[sorted(names)].notna().all(axis=None)
    check_columns("animals", animals.drop(columns=["timepoint", "negative_control"]))


@pytest.mark.parametrize("word", ["maybe", "2"])
def test_unknown_flags_are_not_taken_for_no(word: str) -> None:
    with pytest.raises(ValueError, match="neither yes nor no"):
        pool_animals(sections(exclude=["", "", word]), COLUMNS)

import math

import numpy as np
import pytest

from thymusimg.errors import CallError
from thymusimg.measurements.columns import check_curves, columns, dictionary
from thymusimg.measurements.row import Row
from thymusimg.measurements.schema import Curve
from thymusimg.measurements.table_columns import SECTION_CURVES


def test_a_curve_is_rows_with_its_name_and_place():
    row = Row()
    row.curve("c", [1, 2, 3], [0.5, math.nan, 1.5], weight=[1, 0, 2], compartment="cortex", why="no tissue there")
    curves = row.curves
    assert curves["x"].tolist() == [1, 2, 3]
    assert set(curves["curve"]) == {"c"}
    assert set(curves["compartment"]) == {"cortex"}
    assert curves["reason"].tolist() == ["", "no tissue there", ""]
    assert np.isnan(curves["low"]).all()


def test_an_undefined_curve_is_one_row_with_its_reason():
    row = Row()
    row.no_curve("c", "too few cells")
    assert row.curves["reason"].tolist() == ["too few cells"]
    assert row.curves["value"].isna().all()


def test_a_row_without_curves_has_the_columns_all_the_same():
    declared = [c.name for c in columns("curves")]
    assert [name for name in declared if name in Row().curves] == declared[3:]


def test_an_undeclared_curve_is_refused_by_name():
    with pytest.raises(CallError, match="ghost"):
        check_curves(["ghost"])


def test_every_curve_stands_in_the_dictionary():
    names = dictionary().query("table == 'curves'")["column"].tolist()
    assert all(f"{c.name}({c.x_name})" in names for c in SECTION_CURVES)


def test_a_curve_without_unit_cannot_exist():
    with pytest.raises(ValueError, match="unit"):
        Curve("c", "r", "µm", "", "definition")

from __future__ import annotations

import pandas as pd
import pytest

from thymusimg.errors import CallError
from thymusimg.measurements.columns import TABLES, check_columns, column, columns, dictionary
from thymusimg.measurements.schema import Column, Ratio, WeightedMean

PROMISED = """section_id animal group pixel_size_um tissue_area_mm2 cortex_area_mm2 medulla_area_mm2
indeterminate_area_mm2 cyst_area_mm2 medulla_fraction islet_count islets_per_mm2 largest_islet_share cmj_length_mm
cmj_density_mm_per_mm2 cmj_width_um double_positive_fraction segregation_index_50um cortical_thickness_um
cortical_coverage cd45_count cd45_density_per_mm2 cd45_density_cortex_per_mm2 cd45_density_medulla_per_mm2
cd45_area_fraction cd45_log_ratio_cortex_medulla cd45_excess_gini cd45_empty_tile_fraction cd45_count_reliable
k14_marker k8_marker cd45_marker""".split()


def test_promised_columns_of_sections_are_declared() -> None:
    assert set(PROMISED) <= {c.name for c in columns("sections")}


def test_promised_columns_of_cells_are_declared() -> None:
    promised = "section_id cell_id x_um y_um area_um2 compartment distance_to_cmj_um depth_from_capsule_um".split()
    assert {*promised, "mean_cd45", "mean_k14", "mean_k8"} <= {c.name for c in columns("cells")}


@pytest.mark.parametrize("table", TABLES)
def test_names_are_unique_in_a_table(table: str) -> None:
    names = [c.name for c in columns(table)]  # type: ignore[arg-type]
    assert len(names) == len(set(names))


def test_pooling_names_declared_columns() -> None:
    names = {c.name for c in columns("sections")}
    for c in columns("sections"):
        if isinstance(c.pool, Ratio):
            assert set(c.pool.names) <= names, c.name
        if isinstance(c.pool, WeightedMean):
            assert c.pool.weight in names, c.name


def test_every_pooled_column_is_a_column_of_animals() -> None:
    animals = {c.name for c in columns("animals")}
    assert {c.name for c in columns("sections") if c.pool is not None} <= animals


def test_dictionary_leaves_no_unit_or_definition_empty() -> None:
    frame = dictionary()
    assert set(frame["table"]) == set(TABLES)
    for name in ("column", "unit", "definition", "dtype"):
        assert (frame[name].str.strip() != "").all()


@pytest.mark.parametrize("empty", ["name", "unit", "definition"])
def test_a_column_without_unit_or_definition_cannot_exist(empty: str) -> None:
    parts = {"name": "x_um", "unit": "µm", "definition": "a length"} | {empty: " "}
    with pytest.raises(ValueError, match=f"has no {empty}"):
        Column(table="sections", **parts)


def test_undeclared_columns_are_refused_and_named() -> None:
    check_columns("sections", pd.DataFrame(columns=["section_id", "cmj_width_um", "cmj_width_um_reason"]))
    with pytest.raises(CallError, match=r"'sections'.*colour, smell_reason"):
        check_columns("sections", pd.DataFrame(columns=["animal", "colour", "smell_reason"]))


def test_column_is_found_by_name() -> None:
    assert column("sections", "cmj_width_um").unit == "µm"
    with pytest.raises(CallError, match="no column 'nonsense'"):
        column("sections", "nonsense")

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from thymusimg.batch.false_cells import COLUMN, false_density, finish_sections, limit_of_detection, quality_rows
from thymusimg.batch.tables import sections_table
from thymusimg.measurements.columns import check_columns
from thymusimg.measurements.families.infiltration import FINISHED
from thymusimg.settings import Settings

if TYPE_CHECKING:
    import pandas as pd


def bundle(name: str, density: float, controls: tuple[str, ...] = ("c1", "c2"), **over: Any) -> Any:
    row: dict[str, Any] = {
        "section_id": name,
        "group": "control",  # a name like any other
        "cd45_count": round(density * 2),
        "parenchyma_area_mm2": 2.0,
        "cd45_density_per_mm2": density,
        "cd45_count_peripheral": 100,
        "cd45_count_inner": 900,
        "cd45_inner_density_per_mm2": density * 0.9,
        "cd45_log_ratio_cortex_medulla": 1.0,
        "cd45_empty_tile_fraction": 0.05,
    }
    gate = {"controls": list(controls), "false_reason": "" if controls else "no section is marked negative_control"}
    attributes = {
        "section": row | over,
        "reasons": dict.fromkeys((COLUMN, *FINISHED), "no section is marked negative_control"),
        "gate": gate,
        "settings": Settings().model_dump(mode="json"),
    }
    return SimpleNamespace(attributes=attributes)


def finished(bundles: list[Any]) -> pd.DataFrame:
    table, _ = finish_sections(sections_table(bundles), bundles)
    check_columns("sections", table)
    return table.set_index("section_id")


def test_limit_of_detection_by_hand() -> None:
    limit, why = limit_of_detection([1.0, 2.0, 3.0])
    assert (limit, why) == (pytest.approx(2 + 1.645), "")
    for few in ([], [2.0]):
        limit, why = limit_of_detection(few)
        assert math.isnan(limit)
        assert "at least 2" in why


def test_controls_make_the_limit_and_the_class() -> None:
    table = finished([bundle("c1", 1.0), bundle("c2", 3.0), bundle("s1", 5000.0), bundle("s2", 4.0)])
    limit = 2 + 1.645 * math.sqrt(2)
    assert table["cd45_lod_per_mm2"].tolist() == pytest.approx([limit] * 4)
    assert table[COLUMN].tolist() == [2.0] * 4
    assert table["cd45_below_lod"].tolist() == [True, True, False, True]
    assert table["cd45_infiltration"].tolist() == ["absent", "absent", "full", "absent"]
    assert (table["cd45_infiltration_margin"] >= 1).all()
    # 4 against 4.33 per mm²: the nearest way to another class
    assert table.loc["s2", "cd45_infiltration_margin"] == pytest.approx(limit / 4)
    assert "limit of detection: full" in table.loc["s2", "cd45_infiltration_cut"]
    assert not any(f"{name}_reason" in table for name in (COLUMN, *FINISHED))


def test_without_controls_nothing_is_guessed() -> None:
    table = finished([bundle("s1", 0.0, ()), bundle("s2", 5000.0, ())])
    for name in FINISHED:
        assert table[name].isna().all()
        assert (table[f"{name}_reason"] == "no section is marked negative_control").all()


def test_one_control_gives_false_cells_but_no_limit() -> None:
    table = finished([bundle("c1", 1.0, ("c1",)), bundle("s1", 50.0, ("c1",))])
    assert table[COLUMN].tolist() == [1.0, 1.0]
    assert table["cd45_infiltration"].isna().all()
    assert table.loc["s1", "cd45_below_lod_reason"] == (
        "1 negative control was measured; a limit of detection needs at least 2"
    )


def test_a_section_without_cells_or_density_keeps_its_reason() -> None:
    blind = bundle("s1", 0.0, cd45_count=None, cd45_density_per_mm2=None)
    blind.attributes["gate"] = None
    blind.attributes["cells_reason"] = "no CD45 channel was given"
    empty = bundle("s2", 0.0, cd45_density_per_mm2=None)
    empty.attributes["reasons"]["cd45_density_per_mm2"] = "no parenchyma was found"
    table = finished([bundle("c1", 1.0), bundle("c2", 3.0), blind, empty])
    assert table.loc["s1", "cd45_infiltration_reason"] == "no CD45 channel was given"
    assert table.loc["s2", "cd45_infiltration_reason"] == "no parenchyma was found"
    assert table.loc["s2", "cd45_lod_per_mm2"] > 4
    assert table.loc["s2", "cd45_lod_per_mm2_reason"] == ""


def test_controls_without_a_cell_make_any_cell_a_find() -> None:
    table = finished([bundle("c1", 0.0), bundle("c2", 0.0), bundle("s1", 1.0)])
    assert table["cd45_below_lod"].tolist() == [True, True, False]
    assert table.loc["c1", "cd45_infiltration"] == "absent"


def test_false_cells_are_pooled_over_the_controls_and_warned_of() -> None:
    controls = [bundle("c1", 10.0), bundle("c2", 1.0, parenchyma_area_mm2=6.0, cd45_count=6)]
    measured = {b.attributes["section"]["section_id"]: b.attributes["section"] for b in controls}
    assert false_density(controls[0], measured) == (26 / 8, "")
    rows = quality_rows(controls, {"c1": (3.0, ""), "c2": (9.0, "")})
    assert [row["status"] for row in rows] == ["pass", "warn"]

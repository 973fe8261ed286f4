"""A tiny piece of the protocol from end to end: what it writes, that it resumes, that a failure is a finding."""

from __future__ import annotations

import json

import pytest

from thymusimg.errors import CancelledError, OutputError
from thymusimg.validate import validate
from thymusimg.validate.case import Case
from thymusimg.validate.plan import Extent
from thymusimg.validate.run import Answer, run_cases, work
from thymusimg.validate.tables import long_table, null_rates, order_correlation, studies_of
from thymusimg.validate.verdicts import verdicts

SECTION = Case(
    "compartments", "slab", "progenitor_10wk", "nominal", 101, "small", 0.4, 0.65, want=("compartments", "cells")
)
TABLE = Case("null tables", "tables", "", "", 0, "3 + 3 animals, 2 sections", want=())
BROKEN = Case("compartments", "slab", "progenitor_10wk", "nominal", 102, "small", 0.4, 9.0)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    out = tmp_path_factory.mktemp("validation é")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("thymusimg.validate.protocol.plan", lambda extent: [SECTION, TABLE, BROKEN])
        patch.setattr("thymusimg.validate.null_tables.STUDIES_A_CASE", 4)
        report = validate(out, extent=Extent(1, 0, 0, 0, 0, 0, 0, 0, 0))
    return out, report


def test_the_report_says_what_it_is(done):
    out, report = done
    text = report.read_text(encoding="utf-8")
    assert "prove code, not biology" in text
    assert "both generators are this project's own" in text
    for words in ("Gaussian mixture", "Otsu, watershed", "SHA-256", "seeds", "versions", "Clopper-Pearson"):
        assert words in text, words
    assert "## Cases that failed" in text
    assert "pixel_size_um must lie in 0.1-2" in text
    header = (out / "validation.csv").read_text(encoding="utf-8").splitlines()[0]
    assert {"generator", "method", "dice_medulla", "f1_iou_50"} <= set(header.split(","))


def test_pictures_of_what_falls_short_are_there(done):
    out, report = done
    text = report.read_text(encoding="utf-8")
    for line in text.splitlines():
        if line.startswith("!["):
            assert (out / line.split("](")[1].rstrip(")")).stat().st_size > 1000


def test_it_goes_on_where_it_stopped(done, tmp_path):
    out, _ = done
    kept = sorted((out / "validation_cases").glob("*.json"))
    assert len(kept) == 2  # what failed is tried again
    before = [p.stat().st_mtime_ns for p in kept]
    said = []
    answers = run_cases([SECTION, TABLE], out / "validation_cases", 1, lambda *a: said.append(a))
    assert not said  # nothing was left to do
    assert [p.stat().st_mtime_ns for p in kept] == before
    assert answers[0].found["methods"]["thymusimg"]["dice_tissue"] > 0.9
    kept[0].write_text("{", encoding="utf-8")  # a disk that was full
    with pytest.raises(CancelledError):
        run_cases([SECTION, TABLE], out / "validation_cases", 1, _cancel)


def _cancel(*_):
    raise CancelledError("stopped")


def test_the_same_case_gives_the_same_answer():
    one, other = work(TABLE), work(TABLE)
    assert one["found"] == other["found"]
    json.dumps(one)


def test_reversed_studies_come_out_reversed():
    answers = [
        Answer(
            Case("reversed images", "slab", "reversed", "nominal", 1, "one", study=("reversed", g, str(a), "0")),
            {"row": {"cd45_area_fraction": level + 0.01 * a, "segregation_index_50um": level + 0.02 * a,
                     "cortical_coverage": None}},
        )
        for g, level in (("CD34", 0.5), ("progenitors", 0.2))
        for a in range(4)
    ]  # fmt: skip
    rows = {r["endpoint"]: r for r in studies_of(long_table(answers), "reversed images")}
    assert rows["cd45_area_fraction"]["mean_reference"] > rows["cd45_area_fraction"]["mean_group"]
    assert rows["cd45_area_fraction"]["p"] < 0.001
    assert rows["cortical_coverage"]["p"] != rows["cortical_coverage"]["p"]  # undefined is not 0


def test_rates_and_correlation():
    answers = [
        Answer(TABLE, {"studies": 50, "false": {"cd45_area_fraction p_welch": 3}, "family": 2}),
        *(
            Answer(Case("order", "slab", "p", "nominal", 1, f"{o:g}"), {"row": {"segregation_index_50um": o**2}})
            for o in (0.0, 0.2, 0.5, 1.0)
        ),
    ]
    table = long_table(answers)
    assert order_correlation(table)[0]["spearman"] == pytest.approx(1)
    rates = {r["test"]: r for r in null_rates(answers)}
    assert rates["any primary, Holm"]["rate"] == 0.04
    assert rates["cd45_area_fraction p_welch"]["low"] < 0.05 < rates["cd45_area_fraction p_welch"]["high"]
    assert all(v.met for v in verdicts(table, answers))


def test_an_output_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="cannot be written"):
        validate(tmp_path / "file", extent=Extent(0, 0, 0, 0, 0, 0, 0, 0, 0))

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser

import pandas as pd
import pytest
from report_fixtures import GROUPS, PRIMARY, write_run

from thymusimg.errors import CallError
from thymusimg.report.html import write_report

VOID = {"meta", "img", "br", "hr", "link", "input", "path", "use", "circle", "rect", "line"}


class Page(HTMLParser):
    """Collects what a browser would load, and checks that tags close."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.open: list[str] = []
        self.scripts = 0
        self.ids: list[str] = []
        self.images: list[dict] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.addresses += [v for k, v in attrs if k in {"src", "href", "xlink:href", "action", "data"} and v]
        self.scripts += tag == "script" and given.get("type") != "application/json"
        if "id" in given and "svg" not in self.open:
            self.ids.append(given["id"])
        if tag == "img":
            self.images.append(given)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag in VOID:
            return
        assert self.open, tag
        assert self.open.pop() == tag


def _text(html: str) -> str:
    body = re.sub(r"<(style|script)>.*?</\1>|base64,[^\"]*", "", html, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body))


def _report(folder) -> str:
    return write_report(folder).read_text(encoding="utf-8")


def _edit(folder, table, change) -> None:
    file = folder / "tables" / f"{table}.csv"
    frame = pd.read_csv(file, dtype=str, keep_default_na=False)
    change(frame)
    frame.to_csv(file, index=False)


def test_the_report_loads_nothing_from_outside(finished_html) -> None:
    html = finished_html
    page = Page(html)
    assert page.open == []
    assert all(a.startswith(("#", "data:image/jpeg;base64,")) for a in page.addresses)
    assert not re.search(r"@import|url\(\s*['\"]?https?:", html)
    assert len(page.ids) == len(set(page.ids))
    assert all(image["alt"] for image in page.images)
    assert "default-src 'none'" in html


def test_everything_stands_in_the_promised_order(finished_html, finished_run) -> None:
    html = finished_html
    parts = [
        "answer",
        "groups",
        "tables",
        "sections",
        "failures",
        "caveats",
        "methods",
        "checklists",
        "provenance",
        "dictionary",
    ]
    places = [html.index(f'<section id="{part}">') for part in parts]
    assert places == sorted(places)
    sections = pd.read_csv(finished_run / "tables" / "sections.csv")
    assert html.count('<article class="card"') == len(sections)
    text = _text(html)
    for said in (
        "Is the thymus reorganising?",
        "Are human cells repopulating it?",
        "kinetics, not potency",
        "not cells per organ",
        "two dimensions",
        "the file is cut short",
        "u09_s1 (torn)",
    ):
        assert said in text


def test_an_answer_has_its_interval_effect_and_animals(finished_html, finished_run) -> None:
    text = _text(finished_html)
    comparisons = pd.read_csv(finished_run / "tables" / "comparisons.csv")
    row = comparisons[(comparisons.endpoint == "cortical_coverage") & (comparisons.group == "progenitors")].iloc[0]
    assert "Cortical coverage is higher in progenitors than in untreated" in text
    assert f"{row.difference:.3g}" in text
    assert f"{row.ci_low:.3g} to {row.ci_high:.3g}" in text
    assert f"+{row.hedges_g:.3g}" in text
    assert "5 and 3" in text


def test_undefined_values_show_their_reason(finished_html) -> None:
    html = finished_html
    assert html.count("no cortex was found") >= 6 + 3
    assert not re.search(r">\s*nan\b", html, flags=re.IGNORECASE)


def test_missing_pictures_are_said(finished_html) -> None:
    text = _text(finished_html)
    assert text.count("No picture of the stains was recorded") == 1


@pytest.mark.parametrize(
    "evil", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7*7 }}", "$x^2$ & µ"]
)
def test_text_from_files_is_escaped(run_dir, evil) -> None:
    def poison(frame):
        for column in frame.columns:
            if column in {"section_id", "animal", "reason", "message", "path", "note", "definition", "check"}:
                frame.loc[frame.index[:2], column] = evil
        if "group" in frame:
            frame["group"] = frame["group"].replace("untreated", evil)

    for table in ("sections", "animals", "comparisons", "quality", "failures", "dictionary"):
        _edit(run_dir, table, poison)
    record = json.loads((run_dir / "run.json").read_text())
    record["study"] |= {"groups": [evil, "CD34+", "progenitors"], "reference": evil}
    record |= {"command": evil, "thymusimg": evil, "device": evil, "created": evil, "synthetic": True}
    record["inputs"][0]["path"] = evil
    (run_dir / "run.json").write_text(json.dumps(record))
    html = _report(run_dir)
    page = Page(html)
    assert page.open == []
    assert page.scripts == 1
    assert all(a.startswith(("#", "data:image/jpeg;base64,")) for a in page.addresses)
    assert not any("onerror" in image for image in page.images)
    assert "49" not in re.findall(r"<h3>(.*?)</h3>", html)


def test_an_id_cannot_lead_out_of_the_folder(run_dir, jpegs, finished_html) -> None:
    outside = run_dir.parent / "secret.zarr" / "pictures"
    outside.mkdir(parents=True)
    (outside / "composite.jpg").write_bytes(jpegs["composite"])
    before = len(Page(finished_html).images)

    def escape(frame):
        frame.loc[0, "section_id"] = "../../secret"

    _edit(run_dir, "sections", escape)
    assert len(Page(_report(run_dir)).images) == before - 3


def test_ids_stay_as_they_are_written(run_dir) -> None:
    def rename(frame):
        frame.loc[0, "animal"] = "007"
        frame.loc[1, "animal"] = "NA"

    _edit(run_dir, "sections", rename)
    text = _text(_report(run_dir))
    assert "animal 007" in text
    assert "animal NA" in text


def test_synthetic_sections_carry_a_banner(run_dir, finished_html) -> None:
    assert "proves code, not biology" not in finished_html
    record = json.loads((run_dir / "run.json").read_text())
    (run_dir / "run.json").write_text(json.dumps({**record, "synthetic": True}))
    assert "proves code, not biology" in _report(run_dir)


def test_without_primary_nothing_is_called_an_answer(tmp_path, jpegs) -> None:
    folder = write_run(tmp_path / "out", primary=(), groups=GROUPS, pictures=jpegs)
    text = _text(_report(folder))
    assert "No primary endpoint was declared" in text
    assert "Exploratory" in text


def test_too_few_animals_is_said_instead_of_a_test(tmp_path, jpegs) -> None:
    folder = write_run(tmp_path / "out", primary=PRIMARY, groups={"untreated": 1, "CD34+": 1}, pictures=jpegs)
    html = _report(folder)
    assert "at least 2 animals per group are needed" in _text(html)
    assert 'class="answer differs"' not in html


def test_one_group_is_no_comparison(tmp_path, jpegs) -> None:
    folder = write_run(tmp_path / "out", primary=PRIMARY, groups={"untreated": 3}, pictures=jpegs)
    assert "nothing to compare it with" in _text(_report(folder))


def test_a_single_section_has_no_statistics(run_dir) -> None:
    for name in ("animals", "comparisons", "failures"):
        (run_dir / "tables" / f"{name}.csv").unlink()
    sections = pd.read_csv(run_dir / "tables" / "sections.csv").iloc[:1]
    sections.drop(columns=["animal", "group"]).to_csv(run_dir / "tables" / "sections.csv", index=False)
    record = json.loads((run_dir / "run.json").read_text())
    del record["study"]
    (run_dir / "run.json").write_text(json.dumps(record))
    html = _report(run_dir)
    assert "One section, no study" in _text(html)
    assert "<h1>Section u01_s1</h1>" in html
    assert 'id="groups"' not in html
    assert "Welch" not in _text(html.split('id="dictionary"')[0])


def test_a_bare_folder_says_what_was_not_recorded(run_dir) -> None:
    (run_dir / "run.json").unlink()
    for name in ("animals", "comparisons", "failures", "quality", "dictionary", "compartments"):
        (run_dir / "tables" / f"{name}.csv").unlink(missing_ok=True)
    shutil.rmtree(run_dir / "sections")
    html = _report(run_dir)
    assert "not recorded" in _text(html)
    assert "Not found in the run folder" in _text(html)
    assert Page(html).open == []


def test_a_run_in_which_every_section_failed_has_a_report(run_dir) -> None:
    for name in ("sections", "animals", "comparisons", "quality"):
        pd.read_csv(run_dir / "tables" / f"{name}.csv").iloc[:0].to_csv(
            run_dir / "tables" / f"{name}.csv", index=False
        )
    text = _text(_report(run_dir))
    assert "No section was measured" in text
    assert "the file is cut short" in text


def test_empty_tables_without_even_a_header_do_not_stop_it(run_dir) -> None:
    (run_dir / "tables" / "comparisons.csv").write_text("")
    (run_dir / "tables" / "quality.csv").write_text("\n")
    assert Page(_report(run_dir)).open == []


def test_what_is_no_run_folder_is_refused(tmp_path) -> None:
    with pytest.raises(CallError, match=r"no tables/sections\.csv"):
        write_report(tmp_path)


def test_the_same_folder_gives_the_same_report(run_dir, finished_html) -> None:
    assert _report(run_dir) == finished_html
    assert not list(run_dir.glob(".report-*"))


def test_many_sections_stay_a_few_megabytes(finished_html) -> None:
    assert len(finished_html) < 15_000_000


def test_a_study_without_controls_says_what_its_gate_is_worth(run_dir):
    run = run_dir
    head = "No section is a negative control."
    assert head not in _text(_report(run))
    path = run / "run.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    record["study"]["negative_controls"] = []
    path.write_text(json.dumps(record), encoding="utf-8")
    assert head in _text(_report(run))

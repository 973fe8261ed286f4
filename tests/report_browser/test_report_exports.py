from __future__ import annotations

import io
from xml.etree import ElementTree

import pandas as pd
import pytest

CATCH = """
var done = arguments[arguments.length - 1], wanted = arguments[0];
window.thymusimgSave = function (blob, name) {
  if (arguments.length && /png/.test(blob.type)) {
    blob.arrayBuffer().then(b => done([name, blob.type, Array.from(new Uint8Array(b.slice(0, 24))), b.byteLength]));
  } else blob.text().then(text => done([name, blob.type, text]));
};
document.querySelector('button[aria-label="' + wanted + '"]').click();
"""


def _export(page, name: str) -> list:
    return page.execute_async_script(CATCH, name)


def test_a_table_leaves_as_csv_with_every_value_of_the_run(page, report) -> None:
    name, kind, text = _export(page, "Save the table “Animals” as CSV")
    assert (name, kind.split(";")[0]) == ("Animals.csv", "text/csv")
    found = pd.read_csv(io.StringIO(text), dtype={"Animal": str})
    truth = pd.read_csv(report.parent / "tables" / "animals.csv", dtype={"animal": str})
    assert list(found["Group"]) == list(truth["group"])
    column = next(c for c in found if c.startswith("Cortical coverage"))
    assert list(found[column]) == pytest.approx(list(truth["cortical_coverage"]))
    width = next(c for c in found if c.startswith("CD45⁺ cortex : medulla"))
    assert found[width].isna().sum() == truth["cd45_log_ratio_cortex_medulla"].isna().sum() > 0


def test_a_hostile_name_leaves_as_text_and_starts_no_formula(page) -> None:
    page.execute_script("document.querySelector('table.sortable tbody th').textContent = '=HYPERLINK(\"x\")';")
    _, _, text = _export(page, "Save the table “Animals” as CSV")
    assert '"\'=HYPERLINK(""x"")"' in text


def test_a_figure_leaves_as_svg_that_needs_no_page(page) -> None:
    name, kind, text = _export(page, "Cortical coverage: save as SVG")
    assert (name, kind) == ("Cortical coverage.svg", "image/svg+xml")
    root = ElementTree.fromstring(text.encode())  # noqa: S314  # written by the page just opened
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.get("width", "").endswith("pt")
    assert not any(word in text for word in ("currentColor", "var(--", "data-href", "<script"))
    words = "".join(root.itertext())
    assert "Cortical coverage" in words
    assert "untreated" in words
    assert "n = 2" in words


def test_a_figure_leaves_as_png_of_300_dpi(page) -> None:
    name, kind, head, size = _export(page, "Cortical coverage: save as PNG")
    assert (name, kind) == ("Cortical coverage.png", "image/png")
    assert bytes(head[:8]) == b"\x89PNG\r\n\x1a\n"
    width = int.from_bytes(bytes(head[16:20]), "big")
    assert width == pytest.approx(3.1 * 300, rel=0.02)
    assert size > 5_000


def test_a_figure_says_how_the_keyboard_gets_at_its_marks(page) -> None:
    label = page.execute_script("return document.querySelector('.figures svg').getAttribute('aria-label')")
    assert "the table of animals has the same values and links, by keyboard too" in label
    links = page.execute_script("return document.querySelectorAll('#tables tbody th a[href^=\"#animal-\"]').length")
    assert links == 4


def test_paper_gets_the_answer_and_not_hundreds_of_exploratory_tests(page) -> None:
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        shown = (
            "return ['details.exploratory', '#tables .paper', '#dictionary', '#answer', '#viewer']"
            ".map(s => getComputedStyle(document.querySelector(s)).display !== 'none')"
        )
        assert page.execute_script(shown) == [False, True, False, True, False]
        tops = page.execute_script(
            "return ['provenance', 'sections'].map(i => document.getElementById(i).getBoundingClientRect().top)"
        )
        assert tops[1] > tops[0]  # sections come last, as an appendix
    finally:
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_the_contents_stand_on_one_line_at_1280(page) -> None:
    page.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 1280, "height": 900, "deviceScaleFactor": 1, "mobile": False},
    )
    tops = page.execute_script("return [...document.querySelectorAll('nav a')].map(a => a.offsetTop)")
    assert len(set(tops)) == 1

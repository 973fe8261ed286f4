from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest
from hostile_name import HOSTILE

CANVAS = "return document.getElementById('viewer-canvas').toDataURL()"
READY = "return document.getElementById('viewer').dataset.ready !== undefined"
STATE = "return window.thymusimgViewer.state()"


def _wait(page, script: str) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(page, 40, poll_frequency=0.1).until(lambda d: d.execute_script(script))


def _seen(page) -> str:
    page.execute_async_script(
        "var done = arguments[arguments.length - 1]; requestAnimationFrame(() => requestAnimationFrame(done))"
    )
    return hashlib.sha256(page.execute_script(CANVAS).encode()).hexdigest()


def _find(page, css: str):
    return page.find_element("css selector", css)


def _open(page) -> None:
    page.execute_script("document.querySelector('[data-open=\"3\"]').click()")
    _wait(page, READY)


def test_it_opens_offline_without_an_error_and_asks_for_nothing(page) -> None:
    _open(page)
    asked = page.execute_script(
        "return performance.getEntriesByType('resource').map(e => e.name).filter(n => !/^(data|blob):/.test(n))"
    )
    assert asked == []
    assert [entry for entry in page.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_what_is_hostile_stays_text(page) -> None:
    assert "taken" not in page.title
    heads = page.execute_script("return [...document.querySelectorAll('.animal h3')].map(e => e.textContent)")
    assert any(HOSTILE in head for head in heads)


def test_a_mark_leads_to_its_animal_and_on_to_the_viewer(page) -> None:
    page.execute_script(
        "document.querySelector('svg [data-href=\"#animal-2\"]')"
        ".dispatchEvent(new MouseEvent('click', {bubbles: true}))"
    )
    _wait(page, "return location.hash === '#animal-2' && document.activeElement.id === 'animal-2'")
    link = _find(page, "#animal-2 a").get_attribute("href")
    assert link.endswith("#section-3")
    _open(page)
    assert _find(page, "#viewer-title").text == "u02_s1"


def test_the_keyboard_alone_gets_there_and_back(page) -> None:
    from selenium.webdriver.common.keys import Keys

    button = _find(page, '[data-open="1"]')
    button.send_keys(Keys.ENTER)
    _wait(page, READY)
    canvas = _find(page, "#viewer-canvas")
    before = page.execute_script(STATE)
    canvas.send_keys("+", Keys.ARROW_LEFT)
    after = page.execute_script(STATE)
    assert after["scale"] > before["scale"]
    canvas.send_keys("0")
    assert page.execute_script(STATE)["scale"] == pytest.approx(before["scale"])
    canvas.send_keys(Keys.ESCAPE)
    _wait(page, "return !document.getElementById('viewer').open")
    assert page.execute_script("return document.activeElement.dataset.open") == "1"


def test_every_switch_changes_the_picture_and_back(page) -> None:
    _open(page)
    start = _seen(page)
    for layer in ("cd45", "k14", "k8", "compartments", "junction", "cells"):
        box = _find(page, f'[data-layer="{layer}"]')
        box.click()
        assert _seen(page) != start, layer
        box.click()
        assert _seen(page) == start, layer
    page.execute_script(
        "var p = document.getElementById('viewer-palette'); p.value = 'safe'; p.dispatchEvent(new Event('change'))"
    )
    assert _seen(page) != start


def test_a_section_without_a_bundle_has_no_viewer(page) -> None:
    assert len(page.find_elements("css selector", "[data-open]")) == 7


@pytest.mark.parametrize("width", [360, 1280, 1920])
def test_nothing_scrolls_sideways(page, width) -> None:
    page.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False},
    )
    assert page.execute_script("return document.documentElement.scrollWidth") <= width


def test_it_prints(page) -> None:
    printed = base64.b64decode(page.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})["data"])
    assert printed.startswith(b"%PDF-")
    assert printed.count(b"/Type /Page\n") + printed.count(b"/Type /Page ") + printed.count(b"/Type /Page/") >= 3


def test_axe_finds_no_serious_fault(page) -> None:
    axe = pytest.importorskip("axe_core_python", reason="axe-core-python is not installed")
    page.execute_script(Path(axe.__file__).with_name("axe.min.js").read_text(encoding="utf-8"))
    faults = page.execute_async_script(
        "var done = arguments[arguments.length - 1];"
        # the dictionary's hundreds of rows are alike
        "document.querySelectorAll('#dictionary tbody tr:nth-child(n+6)').forEach(r => r.remove());"
        "axe.run(document, {resultTypes: ['violations']}).then(r => done(r.violations"
        ".filter(v => ['serious', 'critical'].includes(v.impact))"
        ".map(v => v.id + ': ' + v.nodes.slice(0, 3).map(n => n.html.slice(0, 200)).join(' | '))))"
    )
    assert faults == []

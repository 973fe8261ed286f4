"""The Compartments widget by hand: polygon, fill, smooth, give a class, only the view, other methods, cancel."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from thymusimg.compartments.model import Compartment

sys.path.insert(0, str(Path(__file__).parent))
from test_plugin_compartments import around, calm, click, drag, middle_of, opened, press

if TYPE_CHECKING:
    from thymusimg.progress import Progress

C, M, K = (int(c) for c in (Compartment.CORTEX, Compartment.MEDULLA, Compartment.CYST))


def outline(window: Any, places_um: Any) -> None:
    """Click round a region, and end with Return."""
    for place in places_um:
        click(window, place)
    press(window, "Return")


def index_of(grid: Any, spot: Any) -> tuple[int, int]:
    row, col = np.rint(grid.to_index(spot)).astype(int)
    return int(row), int(col)


def test_outlined_filled_given_and_smoothed(window, slide):
    widget = opened(window, slide)
    session, page, desk = widget.session, widget.editing, widget.desk
    drawn = session.prepared.compartments
    grid, before = drawn.grid, drawn.labels.copy()
    spot = middle_of(grid, before == C)
    widget.pages.setCurrentWidget(page)

    window.click(page.tools["polygon"])
    press(window, "M")
    outline(window, around(spot, (-25, -25), (-25, 25), (25, 25), (25, -25)))
    calm(window, widget)
    square = (desk.layer.data == M) & (before != M)
    assert np.count_nonzero(square) * grid.pixel_um**2 == pytest.approx(50 * 50, rel=0.15)
    assert square[index_of(grid, spot)]
    assert session.edits.of("compartments")[-1].what == "outlined medulla"
    window.picture("hand_outlined")

    press(window, "B")
    press(window, "C")
    page.brush.slider.setValue(5)
    drag(window, around(spot, (0, -4), (0, 4)))
    calm(window, widget)
    assert desk.layer.data[index_of(grid, spot)] == C
    press(window, "V")
    click(window, spot + np.array([15, 15]))
    press(window, "F")
    calm(window, widget)
    assert (desk.layer.data[square] == M).all()

    click(window, spot + np.array([15, 15]))
    press(window, "S")
    calm(window, widget)
    corner = index_of(grid, spot + np.array([-23, -23]))
    assert desk.layer.data[corner] == C
    assert desk.layer.data[index_of(grid, spot)] == M

    click(window, spot)
    press(window, "Y")
    press(window, "G")
    calm(window, widget)
    assert desk.layer.data[index_of(grid, spot)] == K
    np.testing.assert_array_equal(session.prepared.compartments.labels, desk.layer.data)
    said = [edit.what for edit in session.edits.of("compartments")]
    assert said[-3:] == ["filled a region", "smoothed borders by 15 µm", "called a region cyst"]
    assert not window.said


def test_other_methods_only_the_view_and_cancel(window, slide, monkeypatch):
    from thymusimg_napari.widgets import finding

    widget = opened(window, slide)
    session, page, desk = widget.session, widget.finding, widget.desk
    drawn = session.prepared.compartments
    before, grid = drawn.labels.copy(), drawn.grid

    window.viewer.camera.center = (0.0, *(np.array(grid.shape) * grid.pixel_um / 4))
    window.viewer.camera.zoom *= 2.2
    window.settle(0.3)
    slider = page.sliders["medulla_cut"].slider
    slider.setValue(slider.value() + 35)
    window.choose(page.where, finding.VIEW)
    window.click(page.run)
    calm(window, widget)
    rows, cols = finding.view_box(desk.layer)
    changed = desk.layer.data != before
    inside = np.zeros_like(changed)
    inside[rows, cols] = True
    assert changed.any()
    assert not (changed & ~inside).any()
    assert not inside.all()
    assert "inside the view" in session.edits.of("compartments")[-1].what
    window.click(widget.editing.undo)
    calm(window, widget)
    window.viewer.reset_view()
    window.choose(page.where, finding.WHOLE)

    shown = [page.method.itemText(i) for i in range(page.method.count())]
    for kind in ("Forest", "Network"):
        if kind == "Network":
            pytest.importorskip("torch")
        window.choose(page.method, next(text for text in shown if text.startswith(kind)))
        assert not page.sliders["k14_cut"].isEnabled()
        window.click(page.run)
        calm(window, widget)
        name = page.method.currentData()[0]
        assert session.prepared.compartments.method == name == session.settings.compartments.method
        np.testing.assert_array_equal(desk.layer.data, session.prepared.compartments.labels)
        window.picture(f"hand_{kind.lower()}")

    def endless(_prepared: Any, _settings: Any, progress: Progress) -> None:
        while True:
            progress("compartments", 0.5)
            time.sleep(0.01)

    shown_now = desk.layer.data.copy()
    monkeypatch.setattr(finding, "draw", endless)
    window.click(page.run)
    window.wait(lambda: widget.job_bar.bar.value() == 500, 20)
    assert widget.job_bar.isVisible()
    window.click(widget.job_bar.cancel)
    window.idle()
    assert not widget.job_bar.isVisible()
    np.testing.assert_array_equal(desk.layer.data, shown_now)
    assert not window.said

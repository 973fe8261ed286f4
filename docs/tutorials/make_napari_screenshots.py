"""The pictures of ``napari.md``, taken from a real window that is clicked through.

``python docs/tutorials/make_napari_screenshots.py``. Every step is checked, so that a tutorial that no longer works
is noticed here. Only synthetic sections are shown. It needs ``pip install -e '.[gui]'``, and Xvfb where there is no
screen.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

if TYPE_CHECKING:
    from conftest import Window

HERE = Path(__file__).resolve().parent
IMAGES = HERE / "images"
TESTS = HERE.parents[1] / "tests" / "plugin"
SIZE = (1440, 900)
WIDTH = 1200
LARGEST_BYTES = 150_000
SAMPLE = "progenitor_10wk"


def main() -> None:
    """Click through the tutorial and keep a picture of every step."""
    sys.path.insert(0, str(TESTS))
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        server = _screen(home)
        try:
            _tour(home)
        finally:
            if server is not None:
                server.terminate()
                server.wait(10)


def _screen(home: Path) -> Any:
    own = {
        "QT_API": "pyside6", "NAPARI_ASYNC": "0", "NAPARI_CONFIG": str(home / "napari.yaml"),
        "XDG_CACHE_HOME": str(home / "cache"), "XDG_DATA_HOME": str(home / "data"), "THYMUSIMG_READER": "you",
        "THYMUSIMG_EDITS": str(home / "edits"), "HOME": str(home),  # pictures show ~/thymus and no other folder
    }  # fmt: skip
    os.environ.update(own)
    if os.environ.get("DISPLAY") or not sys.platform.startswith("linux"):
        return None
    from conftest import _start_xvfb

    server, display = _start_xvfb()
    os.environ.update({"DISPLAY": display, "QT_QPA_PLATFORM": "xcb", "LIBGL_ALWAYS_SOFTWARE": "1"})
    return server


def _tour(home: Path) -> None:
    from conftest import Window
    from napari import Viewer

    viewer = Viewer(show=True)
    viewer.window.resize(*SIZE)
    window = Window(viewer, home)
    try:
        _open(window)
        _compartments(window)
        _cells(window)
        before = _measure(window)
        _edit(window)
        after = _measure_again(window, before)
        _save(window, "~/thymus/results")
        _reopen(window, after)
    finally:
        viewer.close()


def _open(window: Window) -> None:
    viewer = window.viewer
    viewer.open_sample("thymusimg", SAMPLE)
    widget = _front(window, "Section")
    window.idle()
    window.click(widget.open)
    window.idle(300)
    _check(widget.session.prepared is not None, "the section is open")
    _keep(window, "1_section")


def _compartments(window: Window) -> None:
    widget = _front(window, "Compartments")
    window.click(widget.finding.run)
    _calm(window, widget)
    _check(widget.session.prepared.compartments.method == "keratin", "the rule has drawn")
    _keep(window, "2_compartments")


def _cells(window: Window) -> None:
    widget = _front(window, "Cells")
    window.idle(300)
    window.click(widget.find)
    window.idle(300)
    _check(len(widget.session.counted.cells.table), "cells are found")
    _keep(window, "3_cells")


def _measure(window: Window) -> float:
    widget = _front(window, "Measure")
    window.click(widget.measure)
    window.idle(300)
    widget.filter.setText("medulla")
    widget.defined.setChecked(True)
    _keep(window, "4_measure")
    return float(widget.session.result.measurements["medulla_fraction"])


def _edit(window: Window) -> None:
    """Paint an islet into the cortex, as somebody would who sees K14 where the rule saw none."""
    widget = _front(window, "Compartments")
    page, session = widget.editing, widget.session
    widget.pages.setCurrentWidget(page)
    window.click(page.tools["paint"])
    window.click(page.classes.buttons[2])
    window.type(page.why, "K14 net visible")
    drawn = session.prepared.compartments
    inside = (drawn.labels == 1) & (drawn.depth_from_capsule_um > 80) & (drawn.distance_to_cmj_um < -45)
    k14 = gaussian_filter(session.prepared.planes["k14"], 15 / drawn.grid.pixel_um)
    brightest = np.unravel_index(np.argmax(np.where(inside, k14, -np.inf)), k14.shape)
    middle = np.asarray(drawn.grid.to_um(np.asarray(brightest)))
    window.viewer.camera.center = middle
    window.viewer.camera.zoom *= 2.5
    window.settle(0.5)
    angles = np.linspace(0, 4 * np.pi, 25)
    radius = np.linspace(2, 16, 25)
    _drag(window, [middle + r * np.array([np.sin(a), np.cos(a)]) for a, r in zip(angles, radius, strict=True)])
    _calm(window, widget)
    _check(session.prepared.compartments.method == "keratin, edited", "the map is edited")
    _keep(window, "5_edit")
    _away(window)  # before the brush is laid down: its mark stays where it was seen last
    window.click(page.tools["pick"])


def _measure_again(window: Window, before: float) -> float:
    widget = _front(window, "Measure")
    window.viewer.reset_view()
    window.idle(300)
    window.click(widget.measure)
    window.idle(300)
    after = float(widget.session.result.measurements["medulla_fraction"])
    _check(after > before, "the medulla grew")
    return after


def _save(window: Window, out: str) -> None:
    widget = _front(window, "Study")
    window.type(widget.out.line, out)
    window.idle()
    window.click(widget.keep)
    window.idle(300)
    _check("is saved with" in window.said[-1], window.said[-1])
    _keep(window, "6_save")


def _reopen(window: Window, after: float) -> None:
    from thymusimg_napari.keeping import keeper_of

    section = _front(window, "Section")
    session = section.session
    keeper_of(session).flush()
    window.click(section.open)
    window.idle(300)
    window.wait(lambda: len(session.edits) > 0, 120)
    window.idle(300)
    widget = _front(window, "Measure")
    window.click(widget.measure)
    window.idle(300)
    _check(session.result.measurements["medulla_fraction"] == after, "the numbers are the same again")
    _keep(window, "7_reopened")


def _front(window: Window, name: str) -> Any:
    """Open a widget, or bring it to the front."""
    from qtpy.QtWidgets import QDockWidget

    widget = window.dock(name)
    holder = widget
    while not isinstance(holder, QDockWidget):
        holder = holder.parent()
    holder.raise_()
    window.settle(0.3)
    return widget


def _check(holds: object, what: str) -> None:
    """Stop where the tutorial no longer tells the truth."""
    if not holds:
        raise RuntimeError(f"the tutorial is stale: {what}")


def _calm(window: Window, widget: Any) -> None:
    window.settle(0.2)
    window.wait(lambda: not widget.finding.trying and not widget.desk.busy, 180)
    window.idle(300)


def _drag(window: Window, places_um: list[Any]) -> None:
    """Draw a line with the left button pressed."""
    from qtpy.QtCore import QPoint, Qt
    from qtpy.QtTest import QTest

    canvas = window.viewer.window._qt_viewer.canvas.native  # noqa: SLF001  napari has no other way to it
    camera = window.viewer.camera
    centre = np.asarray(camera.center[-2:])
    middle = np.array([canvas.height(), canvas.width()]) / 2
    points = []
    for place in places_um:
        y, x = middle + (place - centre) * camera.zoom
        points.append(QPoint(round(x), round(y)))
    left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    QTest.mouseMove(canvas, points[0])
    window.settle(0.05)
    QTest.mousePress(canvas, left, none, points[0])
    for point in points[1:]:
        QTest.mouseMove(canvas, point)
        window.settle(0.03)
    QTest.mouseRelease(canvas, left, none, points[-1])
    window.settle(0.1)


def _away(window: Window) -> None:
    """Take the pointer out of the picture."""
    from qtpy.QtCore import QPoint
    from qtpy.QtTest import QTest

    QTest.mouseMove(window.viewer.window._qt_viewer.canvas.native, QPoint(3, 3))  # noqa: SLF001
    window.settle(0.1)


def _keep(window: Window, name: str) -> None:
    """Keep a picture of the window, small enough for a page; nothing may have gone wrong so far."""
    from napari.utils.notifications import notification_manager

    wrong = [record.message for record in notification_manager.records if str(record.severity) == "error"]
    _check(not wrong, "; ".join(wrong))
    shot = Image.fromarray(window.picture(name)[..., :3])
    shot = shot.resize((WIDTH, round(shot.height * WIDTH / shot.width)), Image.Resampling.LANCZOS)
    IMAGES.mkdir(exist_ok=True)
    path = IMAGES / f"napari_{name}.jpg"
    for quality in (88, 82, 75, 68, 60):
        shot.save(path, quality=quality, optimize=True)
        if path.stat().st_size <= LARGEST_BYTES:
            print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")
            return
    raise ValueError(f"{path}: larger than {LARGEST_BYTES / 1000:.0f} kB")


if __name__ == "__main__":
    main()

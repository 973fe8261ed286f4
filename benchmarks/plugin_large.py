"""``python -m benchmarks.plugin_large``: the napari plugin on a slide of 20,000 × 20,000 × 3 pixels.

A real window on a virtual screen, driven through Qt. Writes ``docs/benchmarks_plugin.md``. Linux only: peaks are the
kernel's own (``VmHWM``), set back before every step.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs" / "benchmarks_plugin.md"
NOTES = ("<!-- notes -->", "<!-- end of notes -->")
QUIET_S = 0.15
sys.path.insert(0, str(ROOT / "tests" / "plugin"))

if TYPE_CHECKING:
    from collections.abc import Callable


def write_slide(path: Path, side: int) -> None:
    """Draw a phantom with as much tissue as a big lobe has, straight to disk; one that is there is used again."""
    from thymusimg.phantom import PRESETS
    from thymusimg.phantom.whole_slide import write_section

    if path.is_file():
        return
    partial = path.with_name(f"partial_{path.name}")
    area = 25.0 * (side / 20_000) ** 2
    spec = PRESETS["progenitor_10wk"].draw(1).model_copy(update={"area_mm2": area})
    write_section(spec, 1, partial, pixel_size_um=0.5, size_mm=side * 0.5e-3, pyramid=True, threads=2)
    partial.rename(path)


@dataclass
class Table:
    """Rows of the page, each printed as soon as it is known."""

    rows: list[str] = field(default_factory=list)

    def add(self, what: str, seconds: list[float]) -> None:
        """Note a step: its seconds, the peak of memory since the row before, the load of the machine."""
        worst = f"{max(seconds):.2f}" if len(seconds) > 1 else ""
        self.rows.append(
            f"| {what} | {len(seconds)} | {median(seconds):.2f} | {worst} | {_status_gb('VmRSS'):.2f} | "
            f"{_status_gb('VmHWM'):.2f} | {os.getloadavg()[0]:.1f} |"
        )
        print(self.rows[-1], flush=True)
        Path("/proc/self/clear_refs").write_text("5")


def _status_gb(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) * 1024 / 1e9


class Clock:
    """Times what a person waits for: until the window has drawn and nothing more comes."""

    def __init__(self, viewer: Any) -> None:
        self.drawn = 0
        self.longest = 0.0
        canvas = viewer.window._qt_viewer.canvas._scene_canvas  # noqa: SLF001 - napari tells of no frame
        canvas.events.draw.connect(self._count, position="last")

    def _count(self, _event: Any) -> None:
        self.drawn += 1

    def until_drawn(self, act: Callable[[], Any], *, quiet_s: float = QUIET_S, most_s: float = 20.0) -> float:
        """Do something; return the seconds until the last frame that follows it (napari draws finer ones after)."""
        from qtpy.QtWidgets import QApplication

        before, start = self.drawn, time.perf_counter()
        act()
        last = time.perf_counter()
        while (now := time.perf_counter()) - start < most_s:
            if self.drawn > before and now - last > quiet_s:
                break
            frames = self.drawn
            QApplication.processEvents()
            if self.drawn > frames:
                last = time.perf_counter()
            time.sleep(0.001)
        return last - start

    def until(self, holds: Callable[[], bool], most_s: float) -> float:
        """Let Qt work until something holds; :attr:`longest` is the longest time that the window did not answer."""
        from qtpy.QtWidgets import QApplication

        start, self.longest = time.perf_counter(), 0.0
        while not holds() and time.perf_counter() - start < most_s:
            began = time.perf_counter()
            QApplication.processEvents()
            self.longest = max(self.longest, time.perf_counter() - began)
            time.sleep(0.001)
        return time.perf_counter() - start


def measure(slide: Path, pictures: Path, table: Table) -> None:
    """Drive the window; fill the table."""
    import conftest
    from napari import Viewer

    start = time.perf_counter()
    viewer = Viewer(show=True)
    viewer.window.resize(1600, 1000)
    window = conftest.Window(viewer, pictures)
    clock = Clock(viewer)
    window.settle(1.0)
    table.add("an empty window", [time.perf_counter() - start])
    table.add(
        "open: reader to first whole frame",
        [clock.until_drawn(lambda: viewer.open(str(slide), plugin="thymusimg"), quiet_s=0.5, most_s=120.0)],
    )
    window.picture("opened")
    _look_around(viewer, clock, table)
    window.picture("pixels")
    widget = _open_section(window, clock, table, slide)
    window.picture("paintable")
    _paint(window, clock, table, widget)
    window.picture("painted")
    viewer.close()


def _look_around(viewer: Any, clock: Clock, table: Table) -> None:
    camera = viewer.camera
    middle = np.array([5000.0, 5000.0]) * (viewer.layers[0].extent.world[1][-1] / 10_000)
    whole = camera.zoom
    factor = (2.0 / whole) ** 0.1  # ten steps to one pixel of the slide a pixel of the screen

    def zoom(by: float) -> None:
        camera.zoom *= by

    def pan(step_um: float) -> None:
        camera.center = (0.0, camera.center[1] + step_um / 2, camera.center[2] + step_um)

    camera.center = (0.0, *middle)
    table.add("zoom step, in", [clock.until_drawn(lambda: zoom(factor)) for _ in range(10)])
    table.add("pan step at 1:1, new tiles", [clock.until_drawn(lambda: pan(150.0)) for _ in range(10)])
    table.add("pan step at 1:1, back", [clock.until_drawn(lambda: pan(-150.0)) for _ in range(10)])
    table.add("zoom step, out", [clock.until_drawn(lambda: zoom(1 / factor)) for _ in range(10)])
    camera.zoom = 4 * whole
    table.add("pan step at a quarter of the slide", [clock.until_drawn(lambda: pan(200.0)) for _ in range(10)])


def _open_section(window: Any, clock: Clock, table: Table, slide: Path) -> Any:
    """Open the section with a map that is drawn here in place of the rule's: what is timed is the layer, not the rule."""
    from thymusimg_napari import openings
    from thymusimg_napari.jobs import running
    from thymusimg_napari.session import session_of
    from thymusimg_napari.shown import show_section

    session = session_of(window.viewer)
    widget = window.dock("Compartments")
    row = openings.lone_row(slide)
    start = time.perf_counter()
    section = openings.open_now(row)
    session.open_section(row, section)
    clock.until_drawn(lambda: show_section(window.viewer, section), quiet_s=0.5, most_s=60.0)
    table.add("section opened in the session, stains drawn anew", [time.perf_counter() - start - 0.5])
    start = time.perf_counter()
    prepared = _quickly_drawn(section, session.settings)
    table.add("(blob map drawn with its distances: not the plugin's)", [time.perf_counter() - start])
    shown = [clock.until_drawn(lambda: session.set_prepared(prepared), quiet_s=0.5, most_s=60.0)]
    table.add("compartments layer shown and paintable", shown)
    clock.until(lambda: not running(), 30)
    return widget


def _quickly_drawn(section: Any, settings: Any) -> Any:
    from types import SimpleNamespace

    import pandas as pd

    from thymusimg.compartments.frame import with_distances
    from thymusimg.pipeline import Prepared
    from thymusimg.section.model import Grid

    grid = Grid.of(section.image.levels[0].shape, section.pixel_size_um)
    labels = np.zeros(grid.shape, np.uint8)
    middle, radius = grid.shape[0] // 2, round(0.28 * grid.shape[0])
    cv2.circle(labels, (middle, middle), radius, 1, -1)
    places = np.random.default_rng(0).uniform(-0.6, 0.6, (40, 2)) * radius + middle
    for y, x in places.round().astype(int):
        cv2.circle(labels, (int(x), int(y)), radius // 12, 2, -1)
    tissue = labels > 0
    found = with_distances(
        labels, tissue.astype(np.float32), tissue, grid, settings.compartments, "keratin", {}, {}
    )
    survey: Any = SimpleNamespace(grid=grid, limits={})
    nothing: Any = None
    return Prepared(section, settings, survey, nothing, nothing, {}, pd.DataFrame(), found, {})


def _paint(window: Any, clock: Clock, table: Table, widget: Any, strokes: int = 10) -> None:
    from thymusimg_napari.keeping import keeper_of

    window.click(widget.editing.tools["paint"])
    layer, session = widget.desk.layer, widget.session
    print(f"labels {layer.data.shape} {layer.data.dtype}, brush {layer.brush_size:g} px", flush=True)
    for zoom, name in ((None, "whole slide in view"), (1.0, "1 µm a pixel of the screen")):
        window.viewer.reset_view()
        if zoom:
            window.viewer.camera.zoom = zoom
        window.settle(1.0)
        found: list[dict[str, float]] = []
        try:
            for number in range(strokes):
                found.append(_stroke(window, clock, widget, number))
                print(f"stroke {number}: {found[-1]}", flush=True)
        finally:
            for key in found[0] if found else ():
                table.add(f"brush, {name}: {key}", [one[key] for one in found])
    keeper = keeper_of(session)
    keeper.touch()
    start = time.perf_counter()
    keeper.flush()
    table.add("autosave, whole: to the disk (in a thread)", [time.perf_counter() - start])
    print(f"edits recorded: {len(session.edits)}", flush=True)


def _stroke(window: Any, clock: Clock, widget: Any, number: int) -> dict[str, float]:
    from qtpy.QtCore import QPoint, Qt
    from qtpy.QtTest import QTest

    widget.editing.choose_class(2 if number % 2 else 1)
    canvas = window.viewer.window._qt_viewer.canvas.native  # noqa: SLF001 - the tests' own way to the mouse
    left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    y = round(canvas.height() * (0.4 + 0.02 * number))
    path = [QPoint(round(canvas.width() * x), y) for x in np.linspace(0.45, 0.55, 8)]
    edits = len(widget.session.edits)

    def until_frame(act: Callable[[], Any]) -> float:
        return clock.until_drawn(act, quiet_s=0.0, most_s=1.0)

    steps = [until_frame(lambda: QTest.mousePress(canvas, left, none, path[0]))]
    steps += [until_frame(lambda place=place: QTest.mouseMove(canvas, place)) for place in path[1:]]
    steps.append(until_frame(lambda: QTest.mouseRelease(canvas, left, none, path[-1])))
    if len(widget.session.edits) == edits:
        raise SystemExit("a stroke painted nothing")
    following = clock.until(lambda: not widget.desk.busy, 20.0)
    blocked = clock.longest
    clock.until(lambda: False, 0.3)
    return {
        "one stroke (press, 7 moves, release, all drawn)": sum(steps),
        "its slowest move": max(steps[:-1]),
        "its release (noted, logged, drawn)": steps[-1],
        "junction and distances have followed": following,
        "… meanwhile the window did not answer for": max(blocked, clock.longest),
    }


def page(side: int, size_gb: float, rows: list[str], notes: str) -> str:
    from benchmarks.__main__ import machine

    lines = [
        "# The napari plugin on a big slide",
        "",
        f"Written by `python -m benchmarks.plugin_large --side {side}`. Seconds, on a slow machine: an upper bound, not a claim.",
        "",
        f"Machine: {machine()}. Software OpenGL (Mesa llvmpipe) on a virtual screen (Xvfb), window of 1600 × 1000: "
        "drawing competes for the same 2 cores. *load* is the machine's load average over the last minute.",
        "",
        f"Slide: phantom `progenitor_10wk`, {side:,} × {side:,} px × 3 channels, uint16, 0.5 µm/px, tiled and deflated "
        f"OME-TIFF with a pyramid, {size_gb:.2f} GB, in the page cache. Tissue: {25 * (side / 20_000) ** 2:g} mm².",
        "",
        "A step ends with the last frame that follows it, finer resolutions included. *n*: how often. *RSS*: resident memory "
        "after the step; *peak*: its highest since the row before. The compartments are "
        "a blob map drawn for the purpose on the section's own coarse grid (2 µm/px): survey and rule were **not** run; strokes use the plugin's brush of 40 µm, with the "
        "edit log, the following junction and the autosave connected.",
        "",
        "| step | n | median s | worst s | RSS GB | peak GB | load |",
        "|---|---:|---:|---:|---:|---:|---:|",
        *rows,
        "",
        "## What to know",
        "",
        NOTES[0],
        notes,
        NOTES[1],
        "",
    ]
    return "\n".join(lines)


def _notes(path: Path) -> str:
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    return text.split(NOTES[0])[1].split(NOTES[1])[0].strip() if NOTES[0] in text else ""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plugin_large", description=__doc__)
    parser.add_argument("--side", type=int, default=20_000, help="side of the slide in px")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="where the slide is kept")
    parser.add_argument("--pictures", type=Path, help="where pictures of the window go")
    parser.add_argument("--out", type=Path, default=DOCS)
    options = parser.parse_args()
    import conftest

    cv2.setNumThreads(1)
    table = Table()
    slide = options.folder / f"plugin_large_{options.side}.ome.tif"
    write_slide(slide, options.side)
    server, display = conftest._start_xvfb()  # noqa: SLF001 - the tests' own screen
    try:
        with tempfile.TemporaryDirectory() as home:
            os.environ |= {
                "QT_API": "pyside6", "QT_QPA_PLATFORM": "xcb", "LIBGL_ALWAYS_SOFTWARE": "1", "NAPARI_ASYNC": "0",
                "NAPARI_CONFIG": f"{home}/napari.yaml", "XDG_CACHE_HOME": home, "XDG_DATA_HOME": home,
                "XDG_RUNTIME_DIR": home, "THYMUSIMG_READER": "tester", "THYMUSIMG_EDITS": f"{home}/edits",
                "DISPLAY": display,
            }  # fmt: skip
            pictures = options.pictures or Path(home)
            pictures.mkdir(parents=True, exist_ok=True)
            measure(slide, pictures, table)
    finally:  # what was measured until then is told, whatever stops it
        text = page(options.side, slide.stat().st_size / 1e9, table.rows, _notes(options.out))
        options.out.write_text(text, encoding="utf-8")
        server.terminate()  # last: Xlib ends the process that loses its screen
        server.wait(10)


if __name__ == "__main__":
    main()

"""A person who paints a stroke a second until the window is killed: ``painting_until_killed.py SLIDE FOLDER``.

Every stroke is told on stdout when it is done: its time and how many edits there are; the map goes to FOLDER.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
from conftest import Window


def main(slide: Path, folder: Path) -> None:
    from napari import Viewer
    from qtpy.QtCore import QPoint, Qt
    from qtpy.QtTest import QTest

    viewer = Viewer(show=True)
    viewer.window.resize(1400, 900)
    window = Window(viewer, Path.cwd())
    session = window.open_section(slide).session
    widget = window.dock("Compartments")
    window.idle()
    window.click(widget.editing.tools["paint"])
    canvas = viewer.window._qt_viewer.canvas.native
    left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    number = 0
    while True:
        number += 1
        code = 2 if number % 2 else 1
        widget.editing.choose_class(code)
        y = canvas.height() * (0.3 + 0.05 * (number % 9))
        path = [QPoint(round(canvas.width() * x), round(y)) for x in np.linspace(0.35, 0.65, 6)]
        QTest.mousePress(canvas, left, none, path[0])
        for point in path[1:]:
            QTest.mouseMove(canvas, point)
            window.settle(0.02)
        QTest.mouseRelease(canvas, left, none, path[-1])
        window.settle(0.05)
        when, edits = time.time(), len(session.edits)
        np.save(folder / f"{edits}.npy", widget.desk.layer.data)
        print(json.dumps({"when": when, "edits": edits, "next": 1 if code == 2 else 2}), flush=True)
        window.settle(0.8)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

"""A real napari window for the plugin's tests, on a screen of their own.

napari draws black without an error where there is no screen, and aborts hard where a library of X is missing: so a
virtual screen is started here, a window is tried in a process of its own, and without either the tests are skipped
aloud.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SCREEN = "1920x1200x24"
PACKAGES = (
    "xvfb libgl1-mesa-dri libgl1 libegl1 libxcb-cursor0 libxcb-icccm4 libxcb-image0 libxcb-keysyms1 "
    "libxcb-render-util0 libxcb-shape0 libxcb-xinerama0 libxcb-xkb1 libxkbcommon-x11-0 libdbus-1-3"
)
_TRIAL = "from qtpy.QtWidgets import QApplication, QLabel; a = QApplication([]); w = QLabel('x'); w.show()"
# napari and what it stands on warn of their own affairs; ours stay errors
FOREIGN = (
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::PendingDeprecationWarning",
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents and "window" in getattr(item, "fixturenames", ()):
            for warning in FOREIGN:
                item.add_marker(pytest.mark.filterwarnings(warning))


@pytest.fixture(scope="session")
def screen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A virtual screen, and folders of the user's that are not the user's."""
    if find_spec("napari") is None or find_spec("PySide6") is None:
        pytest.skip("the plugin's windows are NOT tested: pip install 'thymusimg[gui]'")
    # Mesa and triton each bring an LLVM; were torch to load triton in a later test, the process would die
    sys.modules.setdefault("triton", None)  # type: ignore[arg-type]
    home = tmp_path_factory.mktemp("home")
    own = {
        "QT_API": "pyside6", "QT_QPA_PLATFORM": "xcb", "LIBGL_ALWAYS_SOFTWARE": "1", "NAPARI_ASYNC": "0",
        "NAPARI_CONFIG": str(home / "napari.yaml"), "XDG_CACHE_HOME": str(home / "cache"),
        "XDG_DATA_HOME": str(home / "data"), "XDG_RUNTIME_DIR": str(home), "THYMUSIMG_READER": "tester",
    }  # fmt: skip
    home.chmod(0o700)
    if not sys.platform.startswith("linux"):
        own.pop("QT_QPA_PLATFORM")
        yield from _with_environment(own, "")
        return
    if shutil.which("Xvfb") is None:
        pytest.skip(f"the plugin's windows are NOT tested: no Xvfb (apt-get install {PACKAGES})")
    server, display = _start_xvfb()
    try:
        own["DISPLAY"] = display
        trial = subprocess.run(
            [sys.executable, "-c", _TRIAL], env=os.environ | own, capture_output=True, text=True, timeout=60
        )
        if trial.returncode:
            pytest.skip(f"the plugin's windows are NOT tested: Qt finds no screen (apt-get install {PACKAGES})")
        yield from _with_environment(own, display)
    finally:
        server.terminate()
        server.wait(10)


def _start_xvfb() -> tuple[subprocess.Popen[bytes], str]:
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", SCREEN, "-nolisten", "tcp"],
        pass_fds=[write], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(write)
    with os.fdopen(read) as pipe:
        number = pipe.readline().strip()
    if not number:
        server.wait(10)
        pytest.skip("the plugin's windows are NOT tested: Xvfb does not start")
    return server, f":{number}"


def _with_environment(own: dict[str, str], display: str) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in own.items():
            patch.setenv(name, value)
        yield display


class Window:
    """A napari window that tests drive as people do: through Qt."""

    def __init__(self, viewer: Any, pictures: Path) -> None:
        self.viewer = viewer
        self.pictures = pictures
        self.docked: list[Any] = []

    def dock(self, name: str) -> Any:
        """Open one of the plugin's widgets from its menu entry; return the widget."""
        _, widget = self.viewer.window.add_plugin_dock_widget("thymusimg", name)
        self.docked.append(widget)
        self.settle()
        return widget

    def open_section(self, path: Path) -> Any:
        """Open and check a slide with the Section widget, as people do; return the widget."""
        widget = self.dock("Section")
        self.type(widget.slide.line, str(path))
        self.idle()
        self.click(widget.open)
        self.idle()
        return widget

    def settle(self, seconds: float = 0.2) -> None:
        """Let Qt do what is waiting."""
        from qtpy.QtWidgets import QApplication

        end = time.monotonic() + seconds
        while time.monotonic() < end:
            QApplication.processEvents()
            time.sleep(0.005)

    def wait(self, until: Callable[[], Any], seconds: float = 60.0) -> None:
        """Wait until something holds, and let Qt work meanwhile."""
        from qtpy.QtWidgets import QApplication

        end = time.monotonic() + seconds
        while not until():
            assert time.monotonic() < end, f"not within {seconds:g} s"
            QApplication.processEvents()
            time.sleep(0.005)
        self.settle(0.05)

    def idle(self, seconds: float = 120.0) -> None:
        """Wait until no job runs."""
        from thymusimg_napari.jobs import running

        self.settle(0.05)
        self.wait(lambda: not running(), seconds)

    def click(self, widget: Any) -> None:
        """Click a button."""
        from qtpy.QtCore import Qt
        from qtpy.QtTest import QTest

        assert widget.isEnabled(), f"'{widget.text()}' is grey"
        QTest.mouseClick(widget, Qt.MouseButton.LeftButton)
        self.settle(0.05)

    def type(self, line: Any, text: str) -> None:
        """Type a text into a line in place of what stands there, and press Return."""
        from qtpy.QtCore import QEvent, Qt
        from qtpy.QtGui import QKeyEvent
        from qtpy.QtTest import QTest
        from qtpy.QtWidgets import QApplication

        line.setFocus()
        line.selectAll()
        for sign in text:  # QTest knows no accents
            for kind in (QEvent.Type.KeyPress, QEvent.Type.KeyRelease):
                QApplication.sendEvent(line, QKeyEvent(kind, 0, Qt.KeyboardModifier.NoModifier, sign))
        QTest.keyClick(line, Qt.Key.Key_Return)
        self.settle(0.05)

    def choose(self, box: Any, text: str) -> None:
        """Choose an entry of a combo box by a part of its text, with the keyboard."""
        from qtpy.QtCore import Qt
        from qtpy.QtTest import QTest

        wanted = next(i for i in range(box.count()) if text in box.itemText(i))
        box.setFocus()
        while box.currentIndex() != wanted:
            QTest.keyClick(box, Qt.Key.Key_Down if box.currentIndex() < wanted else Qt.Key.Key_Up)
        self.settle(0.05)

    def picture(self, name: str, *, canvas_only: bool = False) -> Any:
        """Take a screenshot, which must not be flat, and keep it as ``NAME.png``."""
        import imageio.v3 as iio

        self.settle(0.6)
        shot = self.viewer.screenshot(flash=False, canvas_only=canvas_only)
        assert shot[..., :3].std() > 3, "the picture is flat"
        iio.imwrite(self.pictures / f"{name}.png", shot)
        return shot

    @property
    def said(self) -> list[str]:
        """The notifications so far."""
        from napari.utils.notifications import notification_manager

        return [record.message for record in notification_manager.records]


@pytest.fixture(scope="session")
def viewer(screen: str) -> Iterator[Any]:
    """One napari window for all tests: opening one takes seconds."""
    from napari import Viewer

    made = Viewer(show=True)
    made.window.resize(1600, 1000)
    yield made
    made.close()


@pytest.fixture
def window(viewer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Window]:
    """An empty napari window; its pictures go to ``$THYMUSIMG_PICTURES`` where that is set."""
    monkeypatch.setenv("THYMUSIMG_EDITS", str(tmp_path / "edits"))
    from napari.utils.notifications import notification_manager
    from thymusimg_napari.jobs import running
    from thymusimg_napari.session import session_of

    pictures = Path(os.environ.get("THYMUSIMG_PICTURES", tmp_path))
    pictures.mkdir(parents=True, exist_ok=True)
    notification_manager.records.clear()
    made = Window(viewer, pictures)
    yield made
    for job in running():
        job.cancel()
    made.wait(lambda: not running(), 60)
    for widget in made.docked:
        viewer.window.remove_dock_widget(widget)
        widget.deleteLater()
    from qtpy.QtCore import QEvent
    from qtpy.QtWidgets import QApplication

    # processEvents leaves deleteLater to a running event loop, and there is none here
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
    viewer.layers.clear()
    session_of(viewer).reset()
    made.settle(0.1)

"""What the widgets are built of: a panel with its job bar, fields, lists of keys."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtWidgets import (
    QDockWidget,
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMainWindow,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from thymusimg_napari import jobs
from thymusimg_napari.icons import themed
from thymusimg_napari.session import bare, session_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from thymusimg.progress import Progress


class Panel(QWidget):
    """A widget of the plugin: title, body that scrolls, bar of the running job.

    Subclasses put their parts into ``self.body`` and start work with :meth:`run`. ``self.viewer`` is the viewer,
    ``self.session`` what all widgets of the window share.
    """

    def __init__(self, napari_viewer: Any, title: str, *, keys: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self.viewer = bare(napari_viewer)
        self.session = session_of(self.viewer)
        self.title = title
        self.setObjectName(f"thymusimg {title}")
        outer = QVBoxLayout(self)
        outer.setContentsMargins(6, 6, 6, 6)
        content = QWidget()
        self.body = QVBoxLayout(content)
        self.body.setContentsMargins(0, 0, 0, 0)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setWidget(content)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.job_bar = JobBar(self.viewer)
        outer.addWidget(scroll, 1)
        outer.addWidget(self.job_bar)
        if keys:
            outer.addWidget(key_list(keys))
        self.setMinimumWidth(320)
        self._placed = False

    def showEvent(self, event: Any) -> None:
        """Lie as a tab over the plugin's other panels: two below each other are too low for anything."""
        super().showEvent(event)
        if not self._placed:
            self._placed = True
            QTimer.singleShot(0, self._tabbed)

    def _tabbed(self) -> None:
        dock = _dock_of(self)
        if dock is None:
            return
        dock.setWindowTitle(self.title)  # not "Section (thymusimg)": five tabs stand beside each other
        window = dock.parent()
        others = [_dock_of(other) for other in window.findChildren(Panel) if other is not self]
        for other in others:
            if other is not None and other.isVisible() and not other.isFloating() and not dock.isFloating():
                window.tabifyDockWidget(other, dock)
                dock.raise_()
                return

    def run(
        self,
        title: str,
        work: Callable[[Progress], Any],
        done: Callable[[Any], None],
        *,
        cancelled: Callable[[], None] | None = None,
        failed: Callable[[BaseException], None] | None = None,
    ) -> jobs.Job | None:
        """Work in a thread with the panel's bar; None, and nothing is done, while a job of the panel runs."""
        if self.job_bar.job is not None:
            return None
        job = jobs.start(work, title=title, done=done, cancelled=cancelled, failed=failed)
        self.job_bar.follow(job)
        return job

    def listen(self, signal: Any, listener: Callable[..., None]) -> None:
        """Hear a signal of the session for as long as the panel lives."""
        signal.connect(listener)
        self.destroyed.connect(lambda: signal.disconnect(listener, missing_ok=True))


def _dock_of(part: QWidget) -> QDockWidget | None:
    holder: Any = part
    while holder is not None and not isinstance(holder, QDockWidget):
        holder = holder.parent()
    return holder if holder is not None and isinstance(holder.parent(), QMainWindow) else None


class JobBar(QWidget):
    """Progress, stage and a cancel button of one job; hidden while there is none."""

    def __init__(self, viewer: Any) -> None:
        super().__init__()
        self.job: jobs.Job | None = None
        self.stage = QLabel()
        self.bar = QProgressBar()
        self.bar.setRange(0, 1000)
        self.bar.setTextVisible(False)
        self.bar.setMaximumHeight(8)
        self.cancel = QPushButton("Cancel")
        themed(self.cancel, "cancel", viewer)
        self.cancel.clicked.connect(self._cancel)
        words = QVBoxLayout()
        words.addWidget(self.stage)
        words.addWidget(self.bar)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addLayout(words, 1)
        row.addWidget(self.cancel)
        self.hide()

    def follow(self, job: jobs.Job) -> None:
        """Show a job until it ends."""
        self.job = job
        self.stage.setText(f"{job.title} …")
        self.bar.setRange(0, 0)  # busy, until the work says how far it is
        self.cancel.setEnabled(True)
        job.stepped.connect(self._step)
        job.ended.connect(self._ended)
        self.show()

    def _step(self, stage: str, fraction: float) -> None:
        title = self.job.title if self.job else ""
        self.stage.setText(f"{title}: {stage}")
        # a stage of one step stays at 0: the bar is busy then
        self.bar.setRange(0, 1000 if fraction > 0 else 0)
        self.bar.setValue(round(1000 * fraction))

    def _cancel(self) -> None:
        if self.job is not None:
            self.cancel.setEnabled(False)
            self.stage.setText(f"{self.job.title}: stopping …")
            self.job.cancel()

    def _ended(self) -> None:
        self.job = None
        self.hide()


class PathField(QWidget):
    """A line for a path and a button to choose one; ``chosen`` is emitted on Return and after choosing."""

    chosen = Signal(str)

    def __init__(self, viewer: Any, *, caption: str, hint: str, folder: bool = False, files: str = "") -> None:
        super().__init__()
        self._caption, self._folder, self._files = caption, folder, files
        self.line = QLineEdit()
        self.line.setPlaceholderText(hint)
        self.line.returnPressed.connect(self._emit)
        self.button = QToolButton()
        self.button.setToolTip(caption)
        themed(self.button, "open", viewer)
        self.button.clicked.connect(self._choose)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.line, 1)
        row.addWidget(self.button)

    @property
    def path(self) -> Path | None:
        """What stands in the line, or None."""
        text = self.line.text().strip()
        return Path(text).expanduser() if text else None

    def set_path(self, path: str) -> None:
        """Write a path into the line, without telling anybody."""
        self.line.setText(path)

    def _emit(self) -> None:
        if self.path is not None:
            self.chosen.emit(str(self.path))

    def _choose(self) -> None:
        start = str(self.path or Path.home())
        if self._folder:
            path = QFileDialog.getExistingDirectory(self, self._caption, start)
        else:
            path, _ = QFileDialog.getOpenFileName(self, self._caption, start, self._files)
        if path:
            self.line.setText(path)
            self._emit()


def heading(text: str) -> QLabel:
    """Return a heading."""
    label = QLabel(f"<b>{text}</b>")
    label.setContentsMargins(0, 6, 0, 0)
    return label


def words(text: str = "") -> QLabel:
    """Return a text that wraps and can be copied."""
    label = QLabel(text)
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    # a wrapped label asks for the height of its unwrapped text unless it may shrink
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
    return label


def button(viewer: Any, text: str, icon: str, pressed: Callable[[], None], tip: str = "") -> QPushButton:
    """Return a button with a themed icon."""
    made = QPushButton(text)
    made.setToolTip(tip)
    themed(made, icon, viewer)
    made.clicked.connect(lambda _checked=False: pressed())
    return made


def side_by_side(*parts: QWidget) -> QWidget:
    """Return parts in a row."""
    holder = QWidget()
    row = QHBoxLayout(holder)
    row.setContentsMargins(0, 0, 0, 0)
    for part in parts:
        row.addWidget(part)
    return holder


def key_list(keys: Mapping[str, str]) -> QLabel:
    """Return the list of keyboard shortcuts at the foot of a widget."""
    # a key and what it does stay on one line
    lines = " &nbsp; ".join(f"<b>{key}</b>&nbsp;{what.replace(' ', '&nbsp;')}" for key, what in keys.items())
    label = words(f"<small>{lines}</small>")
    label.setToolTip("Keyboard shortcuts, while the picture has the focus")
    return label

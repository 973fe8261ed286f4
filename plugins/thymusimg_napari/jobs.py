"""Work in a thread: progress, cancel, errors in plain words. Nothing long ever runs in the window's own thread.

A job is a function of one argument, the engine's ``progress``; it must not touch layers or widgets. What it returns
is handed to ``done`` in the window's thread.
"""

from __future__ import annotations

import itertools
import threading
import time
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Qt, Signal

from thymusimg.errors import CancelledError, ThymusimgError

if TYPE_CHECKING:
    from collections.abc import Callable

    from thymusimg.progress import Progress

_STEP_S = 0.1
"""Progress is handed to the window at most this often."""


class Job(QObject):
    """One piece of work in a thread of its own.

    Signals
    -------
    stepped(str, float)
        Stage and fraction in [0, 1].
    ended()
        It is over, whatever the outcome; before the outcome, so that a listener of that may start the next job.
    returned(object), failed(object), cancelled()
        The outcome; exactly one of them.
    """

    stepped = Signal(str, float)
    returned = Signal(object)
    failed = Signal(object)
    cancelled = Signal()
    ended = Signal()
    _finished = Signal(object, object)

    _numbers = itertools.count(1)

    def __init__(self, work: Callable[[Progress], Any], title: str) -> None:
        super().__init__()
        self.title = title
        self.running = False
        self._work = work
        self._stop = threading.Event()
        self._last = 0.0
        self._thread = threading.Thread(target=self._run, name=f"thymusimg job {next(self._numbers)}", daemon=True)
        # emitted in the thread, received in the window's: the order of the two must be kept
        self._finished.connect(self._settle, Qt.ConnectionType.QueuedConnection)

    def start(self) -> Job:
        """Begin."""
        self.running = True
        _RUNNING.add(self)
        self._thread.start()
        return self

    def cancel(self) -> None:
        """Ask the work to stop; it does at its next step."""
        self._stop.set()

    @property
    def stopping(self) -> bool:
        """Whether cancel was pressed."""
        return self._stop.is_set()

    def _progress(self, stage: str, fraction: float) -> None:
        if self._stop.is_set():
            raise CancelledError(f"{self.title}: cancelled")
        now = time.monotonic()
        if now - self._last >= _STEP_S:
            self._last = now
            self.stepped.emit(stage, float(fraction))

    def _run(self) -> None:
        result, error = None, None
        try:
            result = self._work(self._progress)
        except BaseException as caught:  # noqa: BLE001  handed to the window, which says it
            error = caught
        try:
            self._finished.emit(result, error)
        except RuntimeError:  # the window was closed meanwhile
            _RUNNING.discard(self)

    def _settle(self, result: Any, error: BaseException | None) -> None:
        self.running = False
        _RUNNING.discard(self)
        self.ended.emit()
        if error is None and not self.stopping:
            self.returned.emit(result)
        elif error is None or isinstance(error, CancelledError):
            self.cancelled.emit()
        else:
            self.failed.emit(error)


_RUNNING: set[Job] = set()


def running() -> tuple[Job, ...]:
    """Return the jobs that are under way."""
    return tuple(_RUNNING)


def start(
    work: Callable[[Progress], Any],
    *,
    title: str,
    done: Callable[[Any], None],
    stepped: Callable[[str, float], None] | None = None,
    failed: Callable[[BaseException], None] | None = None,
    cancelled: Callable[[], None] | None = None,
    ended: Callable[[], None] | None = None,
) -> Job:
    """Run ``work(progress)`` in a thread.

    Parameters
    ----------
    work : callable
        Gets the engine's ``progress``, from which cancel raises :class:`CancelledError`.
    title : str
        What people see: ``Counting cells``.
    done : callable
        Gets the result, in the window's thread.
    stepped, failed, cancelled, ended : callable, optional
        In the window's thread. An error is always shown as a notification too.
    """
    job = Job(work, title)
    job.returned.connect(_guarded(done))
    job.failed.connect(tell)
    for signal, listener in (
        (job.stepped, stepped), (job.failed, failed), (job.cancelled, cancelled), (job.ended, ended),
    ):  # fmt: skip
        if listener is not None:
            signal.connect(_guarded(listener))
    return job.start()


def _guarded(listener: Callable[..., None]) -> Callable[..., None]:
    """Show what a listener raises: Qt would print it and go on."""

    def call(*values: Any) -> None:
        try:
            listener(*values)
        except Exception as error:  # noqa: BLE001  shown to the user
            tell(error)

    return call


def tell(error: BaseException) -> None:
    """Show an error as a napari notification: our own in its plain words, a fault of ours with its traceback."""
    from napari.utils.notifications import notification_manager, show_error

    if isinstance(error, ThymusimgError):
        show_error(str(error))
    elif isinstance(error, MemoryError):
        show_error("Not enough memory for this. Close other sections, or choose a smaller view.")
    elif isinstance(error, OSError):
        show_error(f"{error.filename or 'The system'}: {error.strerror or error}")
    else:
        notification_manager.receive_error(type(error), error, error.__traceback__)


def warn(text: str) -> None:
    """Show a warning, if there is one."""
    from napari.utils.notifications import show_warning

    if text:
        show_warning(text)


class Latest:
    """A live preview: only the newest request is worked on; what came in between is dropped.

    ``ask(work, done)`` starts at once when nothing runs; else it waits for the running one and then starts the
    newest. The window never waits.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._job: Job | None = None
        self._next: tuple[Callable[[Progress], Any], Callable[[Any], None]] | None = None

    @property
    def idle(self) -> bool:
        """Whether nothing runs and nothing waits."""
        return self._job is None and self._next is None

    def ask(self, work: Callable[[Progress], Any], done: Callable[[Any], None]) -> None:
        """Work on this as soon as may be, and forget what has not begun."""
        self._next = (work, done)
        if self._job is None:
            self._begin()

    def _begin(self) -> None:
        if self._next is None:
            return
        (work, done), self._next = self._next, None
        self._job = start(work, title=self._title, done=done, ended=self._ended)

    def _ended(self) -> None:
        self._job = None
        self._begin()

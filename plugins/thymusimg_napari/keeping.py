"""Autosave: what widgets say is unsaved goes into the section's journal every few seconds, in a thread."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer

from thymusimg.errors import OutputError
from thymusimg_napari.autosave import EVERY_S, Journal, Snapshot
from thymusimg_napari.jobs import tell

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from thymusimg_napari.session import Session

    Kept = tuple[Mapping[str, npt.NDArray[Any]], Mapping[str, Any]]


class Keeper(QObject):
    """Writes the journal of a session's section; one a window, from :func:`keeper_of`.

    A widget registers what it wants kept, calls :meth:`touch` at every edit, and asks :meth:`restored` after a
    section was opened.
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self._sources: dict[str, Callable[[], Kept | None]] = {}
        self._dirty = False
        self._writing: threading.Thread | None = None
        self._failed: OutputError | None = None
        self._told = False
        self._left: Snapshot | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(int(1000 * EVERY_S))
        self._timer.timeout.connect(self.write_now)
        self._timer.start()
        session.edited.connect(self._edited)
        session.section_changed.connect(self._take_up)
        self._take_up()

    def keep(self, name: str, source: Callable[[], Kept | None]) -> None:
        """Keep what ``source()`` gives: ``(arrays by name, plain values)``; called in the window's thread.

        Arrays must be copies: they are written in another thread. None: nothing is known yet, so that what was left
        of the section stays; two empty mappings: there is nothing to keep.
        """
        self._sources[name] = source

    def drop(self, name: str) -> None:
        """Keep it no longer."""
        self._sources.pop(name, None)

    def touch(self) -> None:
        """Say that something changed that is not saved."""
        self._dirty = True

    def _edited(self, _edit: object) -> None:
        self.touch()

    @property
    def dirty(self) -> bool:
        """Whether something is not in the journal yet."""
        return self._dirty or (self._writing is not None and self._writing.is_alive())

    def write_now(self) -> None:
        """Begin to write what is unsaved, unless a write is still under way."""
        self._say()
        journal = self.session.journal
        if not self._dirty or journal is None or (self._writing is not None and self._writing.is_alive()):
            return
        snapshot = self.snapshot()
        self._dirty = False
        # not a daemon: a window that is closed waits for it
        self._writing = threading.Thread(target=self._write, args=(journal, snapshot), name="thymusimg autosave")
        self._writing.start()

    def flush(self) -> None:
        """Write what is unsaved and wait until it is on the disk."""
        if self._writing is not None:
            self._writing.join()
        self.write_now()
        if self._writing is not None:
            self._writing.join()
        self._say()

    def snapshot(self) -> Snapshot:
        """Return everything that is to be kept, now."""
        given = {name: source() for name, source in self._sources.items()}
        arrays, values = self._unclaimed({name for name, kept in given.items() if kept is not None})
        for name, kept in given.items():
            if kept is not None and (kept[0] or kept[1]):
                arrays |= dict(kept[0])
                values[name] = dict(kept[1])
        return Snapshot(arrays, values, self.session.edits.as_records())

    def _take_up(self) -> None:
        """Remember what a window that was killed left of the section that is open now."""
        self._left = self.restored()

    def _unclaimed(self, claimed: set[str]) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
        """Return what was left and nobody put back yet, as where a widget is not open: it is kept on."""
        if self._left is None:
            return {}, {}
        values = {name: value for name, value in self._left.values.items() if name not in claimed}
        arrays = {
            name: array
            for name, array in self._left.arrays.items()
            if not any(name == source or name.startswith(f"{source}_") for source in claimed)
        }
        return arrays, values

    def restored(self) -> Snapshot | None:
        """Return the unsaved edits of the open section that a killed window left, or None."""
        return self.session.journal.read() if self.session.journal is not None else None

    def saved(self) -> None:
        """Forget the journal: everything is in the section's bundle."""
        if self._writing is not None:
            self._writing.join()
        self._dirty, self._left = False, None
        if self.session.journal is not None:
            self.session.journal.clear()

    def _write(self, journal: Journal, snapshot: Snapshot) -> None:
        try:
            journal.write(snapshot)
        except OutputError as error:
            self._failed = error
            self._dirty = True

    def _say(self) -> None:
        if self._failed is not None and not self._told:
            tell(self._failed)
        self._told, self._failed = self._failed is not None, None


def keeper_of(session: Session) -> Keeper:
    """Return the keeper of a session; the first call makes it."""
    if session.keeper is None:
        session.keeper = Keeper(session)
    keeper: Keeper = session.keeper
    return keeper

"""The one open section of a window: what it is, what was found on it, what was changed. No Qt, no layers.

Widgets do not know each other: they change the session, and hear from it what another one changed. All of it is
called in the window's thread; jobs hand their results over there.
"""

from __future__ import annotations

import weakref
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from thymusimg.compartments.edited import EDITED
from thymusimg.settings import Settings
from thymusimg_napari.autosave import Journal, journal_folder
from thymusimg_napari.edits import EditLog

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from thymusimg.cells.model import Cells
    from thymusimg.compartments.model import Compartments
    from thymusimg.pipeline import Counted, Prepared, SectionResult
    from thymusimg.section.model import Section
    from thymusimg.study.model import SectionRow, Study
    from thymusimg_napari.blinding import Hidden


class Session:
    """What a window is working on.

    Attributes
    ----------
    study : Study or None
        The study that the section was picked from.
    row : SectionRow or None
        How the open section was opened: a row of the study table, or one made for a lone slide.
    section, prepared, counted, result
        What is known so far, each from the one before; None where it is not known, or no longer true.
    settings : Settings
        Of every stage; the study's, until a widget changes them.
    original : Compartments or None
        What the method drew, where people changed it since; None while nothing was changed.
    original_cells : Cells or None
        What the method found, where people changed it since; None while nothing was changed.
    edits : EditLog
        What people changed on this section.
    journal : Journal or None
        Where edits are kept until they are saved.
    out : Path or None
        The folder of results, laid out as a run's.
    blinding : Hidden or None
        What hides ids and groups from the reader; None where nothing is hidden. :attr:`study` is coded then.
    """

    study_changed = Signal()
    section_changed = Signal()
    """Another section is open, or none."""
    settings_changed = Signal()
    prepared_changed = Signal()
    """Compartments were drawn, edited, or are no longer known."""
    counted_changed = Signal()
    measured_changed = Signal()
    edited = Signal(object)
    """An :class:`Edit` was recorded."""

    def __init__(self) -> None:
        self.study: Study | None = None
        self.row: SectionRow | None = None
        self.section: Section | None = None
        self.settings = Settings()
        self.prepared: Prepared | None = None
        self.original: Compartments | None = None
        self.original_cells: Cells | None = None
        self.counted: Counted | None = None
        self.result: SectionResult | None = None
        self.edits = EditLog()
        self.journal: Journal | None = None
        self.out: Path | None = None
        self.blinding: Hidden | None = None
        self.keeper: Any = None
        """What writes the journal; knows Qt, so it is only held here."""
        self.when_settled: Callable[[Callable[[], None]], None] = lambda act: act()
        """Calls what it is given once :attr:`prepared` has followed all edits; an editable map puts its own."""

    @property
    def section_id(self) -> str:
        """Name of the open section, or ""."""
        return self.section.section_id if self.section else ""

    def set_study(self, study: Study | None) -> None:
        """Work on a study; its settings become the session's."""
        self.study = study
        if study is not None:
            self.settings = study.settings
        self.study_changed.emit()

    def open_section(self, row: SectionRow, section: Section) -> None:
        """Make a section the open one; the image of the one before is closed."""
        self._forget()
        self.row, self.section = row, section
        self.edits = EditLog()
        self.journal = Journal(journal_folder(row))
        self.section_changed.emit()

    def close_section(self) -> None:
        """Have no section open."""
        self._forget()
        self.section_changed.emit()

    def reset(self) -> None:
        """Have no section, no study, and the default settings."""
        self.settings, self.out, self.blinding = Settings(), None, None
        self.set_study(None)
        self.close_section()

    def _forget(self) -> None:
        if self.keeper is not None:
            self.keeper.flush()
        if self.section is not None:
            self.section.image.close()
        self.row = self.section = self.prepared = self.original = self.counted = self.result = self.journal = None
        self.original_cells = None
        self.edits = EditLog()

    def set_settings(self, settings: Settings) -> None:
        """Take other settings; what was found with the old ones stays until it is run again."""
        self.settings = settings
        self.settings_changed.emit()

    def set_prepared(self, prepared: Prepared | None) -> None:
        """Take a section up to its compartments; cells and numbers that stood on others are dropped."""
        self.prepared, self.counted, self.result, self.original = prepared, None, None, None
        self.original_cells = None
        self.prepared_changed.emit()
        self.counted_changed.emit()
        self.measured_changed.emit()

    def set_compartments(self, compartments: Compartments) -> None:
        """Take other compartments, drawn or edited, in place of those of :attr:`prepared`.

        Cells are kept for the Cells widget to place again; numbers are dropped. The first edited ones leave what
        the method drew in :attr:`original`.
        """
        if self.prepared is None:
            return
        if not compartments.method.endswith(EDITED):
            self.original = None
        elif self.original is None:
            self.original = self.prepared.compartments
        self.prepared = replace(self.prepared, compartments=compartments)
        if self.counted is not None:
            self.counted = replace(self.counted, prepared=self.prepared)
        self.result = None
        self.prepared_changed.emit()
        self.measured_changed.emit()

    def set_counted(self, counted: Counted | None) -> None:
        """Take a section with its cells; numbers are dropped, and so are cells that people had changed.

        :attr:`prepared` takes over the settings with which they were found.
        """
        self.original_cells = None
        if counted is not None:
            self.prepared = counted.prepared
        self._recount(counted)

    def set_cells(self, cells: Cells) -> None:
        """Take other cells, changed by a person or placed again, in place of those of :attr:`counted`.

        Numbers are dropped. The first changed ones leave what the method found in :attr:`original_cells`.
        """
        if self.counted is None or self.counted.cells is None:
            return
        if self.original_cells is None and cells.method != self.counted.cells.method:
            self.original_cells = self.counted.cells
        elif self.original_cells is not None and cells.method == self.original_cells.method:
            self.original_cells = None  # everything was undone
        self._recount(replace(self.counted, cells=cells))

    def _recount(self, counted: Counted | None) -> None:
        self.counted, self.result = counted, None
        self.counted_changed.emit()
        self.measured_changed.emit()

    def set_result(self, result: SectionResult | None) -> None:
        """Take the numbers."""
        self.result = result
        self.measured_changed.emit()

    def record_edit(self, what: str, *, target: str, why: str = "", **details: Any) -> None:
        """Note what a person changed; ``target`` is ``compartments``, ``cells``, ``roles`` …."""
        self.edited.emit(self.edits.record(what, target=target, why=why, **details))


_SESSIONS: weakref.WeakValueDictionary[int, Session] = weakref.WeakValueDictionary()


def session_of(viewer: Any) -> Session:
    """Return the session of a viewer; the first call makes it, and it lives as long as the viewer."""
    viewer = bare(viewer)
    session = _SESSIONS.get(id(viewer))
    if session is None:
        session = Session()
        _SESSIONS[id(viewer)] = session
        weakref.finalize(viewer, _keep, session)
    return session


def bare(viewer: Any) -> Any:
    """Return the viewer behind the proxy that napari hands to plugins; the proxy is another one at every look."""
    return getattr(viewer, "__wrapped__", viewer)


def _keep(session: Session) -> None:
    """Close what is open when the viewer is gone; until then this reference keeps the session."""
    if session.section is not None:
        session.section.image.close()

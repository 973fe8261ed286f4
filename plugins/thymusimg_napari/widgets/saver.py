"""Saving the open section from a window, and putting back what was saved when it is opened again."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from thymusimg.errors import CallError, ThymusimgError
from thymusimg.report.edited import MASKS
from thymusimg.report.words import counted
from thymusimg_napari import jobs, saving
from thymusimg_napari.autosave import Journal, journal_folder
from thymusimg_napari.cell_journal import kept
from thymusimg_napari.keeping import keeper_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from thymusimg.batch.edited import Saved
    from thymusimg.pipeline import Prepared
    from thymusimg.section.model import Section
    from thymusimg_napari.edits import EditLog
    from thymusimg_napari.session import Session
    from thymusimg_napari.widgets.parts import Panel

    Take = Callable[[Session, saving.Reopened], None]


class Saver:
    """Saves for every widget of a window; ``saved`` is called after each time."""

    def __init__(self, panel: Panel, *, saved: Callable[[], None]) -> None:
        self.panel, self.session = panel, panel.session
        self._tell = saved
        self._looked: Section | None = None
        # cells that are put back from a bundle are in no journal yet, and the Cells widget need not be open
        keeper_of(self.session).keep("cells", partial(kept, self.session))

    # --- putting back

    def look_again(self) -> None:
        """Look for what was saved of the open section: the folder of results is another one."""
        self._looked = None
        self.put_back()

    def put_back(self) -> None:
        """Put back what was saved of a section just opened; a journal is newer, and its widgets put it back."""
        session, out = self.session, self.session.out
        prepared, row = session.prepared, session.row
        if prepared is None or row is None or out is None or self._looked is session.section:
            return
        self._looked = session.section
        true = session.blinding.true_row(row) if session.blinding else row
        if not saving.saved_edits(out, true):
            return
        left = Journal(journal_folder(row)).read()
        if left is not None and "compartments" in left.arrays:
            return
        take: Take = saving.take if left is None else saving.take_compartments
        study = session.blinding.whole if session.blinding else session.study
        jobs.start(
            lambda progress: saving.reopen(prepared, true, out, progress, study), title="Putting saved edits back",
            done=partial(self._reopened, prepared, take),
        )  # fmt: skip

    def _reopened(self, prepared: Prepared, take: Take, found: saving.Reopened | None) -> None:
        from napari.utils.notifications import show_info

        session = self.session
        if found is None or prepared.section is not session.section:
            return
        if take is saving.take and len(session.edits):
            raise CallError("saved edits were not put back: there are newer ones. Open the section again.")
        take(session, found)
        self._tell()
        show_info(f"{session.section_id}: {counted(edited_masks(found.log), 'saved edit')} put back.")

    # --- saving

    def save(self) -> None:
        """Measure the open section with what was edited, and put it among the results."""
        self.session.when_settled(self._save)

    def _save(self) -> None:
        session, out = self.session, self.session.out
        try:
            what = saving.unsaved(session)
        except ThymusimgError as error:
            jobs.tell(error)
            return
        if out is not None:
            done = partial(self._saved, session.section_id, session.prepared, len(session.edits))
            self.panel.run("Saving", lambda progress: saving.save(what, out, progress), done)

    def _saved(self, name: str, prepared: Prepared | None, edits: int, done: Saved) -> None:
        from napari.utils.notifications import show_info

        session = self.session
        if prepared is session.prepared and edits == len(
            session.edits
        ):  # else what came since stays in the journal
            keeper_of(session).saved()
            cells = session.counted.cells if session.counted else None
            if session.blinding is None and _alike(cells, done.result.cells):
                session.set_result(done.result)
        later = " Its tables and report follow when the run that is under way ends." if done.tables_wait else ""
        count = sum(edit.get("target") in MASKS for edit in saving.saved_records(done))
        show_info(f"{name} is saved with {counted(count, 'edit')}.{later}")
        self._tell()


def edited_masks(log: EditLog) -> int:
    """Count the edits of masks; what was run is noted too, and is none."""
    return sum(edit.target in MASKS for edit in log.entries)


def _alike(one: Any, other: Any) -> bool:
    return (one is None) == (other is None) and (one is None or bool(one.table.equals(other.table)))

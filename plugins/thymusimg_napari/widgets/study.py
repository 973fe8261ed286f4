"""The Study widget: where every section stands, one after the other, saving, running the rest, blinded reading."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QFormLayout

from thymusimg.report.words import counted
from thymusimg.study.design import load_study
from thymusimg.study.model import Study
from thymusimg_napari import jobs, openings, running
from thymusimg_napari.saving import bundle_of
from thymusimg_napari.shown import show_limits, show_section
from thymusimg_napari.states import Status, next_to_look_at, section_states
from thymusimg_napari.widgets.blinded import BlindedReading
from thymusimg_napari.widgets.parts import Panel, PathField, button, side_by_side, words
from thymusimg_napari.widgets.row_table import RowTable
from thymusimg_napari.widgets.saver import Saver, edited_masks
from thymusimg_napari.widgets.second_reader import SecondReader

if TYPE_CHECKING:
    from thymusimg.section.model import Section
    from thymusimg.study.model import SectionRow
    from thymusimg_napari.openings import Checked
    from thymusimg_napari.states import State

KEYS = {"PageDown": "next section", "PageUp": "previous section", "Ctrl+Alt+S": "save"}
COLOURS = {
    str(Status.DONE): "#3fae5a", str(Status.EDITED): "#5b9bd5", str(Status.FLAGGED): "#e0a100",
    str(Status.FAILED): "#e0523f", str(Status.TO_DO): "#888888", str(Status.EXCLUDED): "#888888",
}  # fmt: skip
SAVE = "Save the open section"
SAVE_TIP = "Measures it with the edits and puts it among the results; the method's masks are kept beside"
RESULTS = "thymusimg-results"
"""Folder beside the study table in which results are looked for, until another is chosen."""


class StudyWidget(Panel):
    """The sections of a study and what became of them."""

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer, "Study", keys=KEYS)
        self.states: list[State] = []
        self.saver = Saver(self, saved=self.refresh)
        self._looking = jobs.Latest("Looking at the results")
        self._add_places()
        self._add_table()
        self._add_actions()
        self.second = SecondReader(self)
        self.body.addWidget(self.second)
        self.body.addStretch(1)
        self.listen(self.session.study_changed, self._studied)
        self.listen(self.session.section_changed, self.refresh)
        self.listen(self.session.prepared_changed, self._prepared)
        self.listen(self.session.edited, lambda _edit: self._mark())
        for key, press in zip(
            ("PageDown", "PageUp", "Control-Alt-S"), (self.next, self.previous, self.save), strict=True
        ):
            self.viewer.bind_key(key, lambda _viewer, press=press: press(), overwrite=True)
        self._studied()

    def _add_places(self) -> None:
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        self.study = PathField(
            self.viewer,
            caption="Open a study",
            hint="study.toml or study table (CSV)",
            files="Study (*.toml *.csv)",
        )
        self.study.chosen.connect(self._open_study)
        self.out = PathField(self.viewer, caption="Folder of results", hint="folder of results", folder=True)
        self.out.chosen.connect(self._choose_out)
        form.addRow("Study", self.study)
        form.addRow("Results", self.out)
        self.body.addLayout(form)

    def _add_table(self) -> None:
        self.summary = words()
        self.table = RowTable(["Status", "Section", "Animal", "Group"], stretch=1)
        self.table.setMinimumHeight(200)
        self.table.opened.connect(self.open_number)
        self.table.itemSelectionChanged.connect(self._explain)
        self.remark = words()
        self.body.addWidget(self.summary)
        self.body.addWidget(self.table, 1)
        self.body.addWidget(self.remark)

    def _add_actions(self) -> None:
        view = self.viewer
        self.back = button(view, "Previous", "previous", self.previous, "PageUp")
        self.open = button(view, "Open", "open", self._open_chosen, "Also: double-click a row")
        self.forward = button(view, "Next", "next", self.next, "PageDown")
        self.keep = button(view, SAVE, "save", self.save, SAVE_TIP)
        self.rest = button(
            view, "Run the rest", "run", self.run_rest, "In processes beside the window; edits stand"
        )
        self.report = button(view, "Open report", "study", self.open_report)
        self.body.addWidget(side_by_side(self.back, self.open, self.forward))
        self.body.addWidget(self.keep)
        self.body.addWidget(side_by_side(self.rest, self.report))
        self.blind = BlindedReading(self)
        self.body.addWidget(self.blind)

    # --- which study, and where its results lie

    def _open_study(self, path: str) -> None:
        self.run("Reading the study", lambda _progress: load_study(Path(path)), self._take_study)

    def _take_study(self, study: Study) -> None:
        self.session.blinding = None
        self.session.out = None
        self.session.set_study(study)

    def _studied(self) -> None:
        session, study = self.session, self.session.study
        if study is not None and session.blinding is None:
            self.study.set_path(str(study.table or study.folder))
            if session.out is None:
                session.out = study.folder / RESULTS
            self.blind.stay(study)
        if session.blinding is not None:
            self.study.set_path("(hidden)")
        self.out.set_path("" if session.out is None else str(session.out))
        self.refresh()

    def _choose_out(self, path: str) -> None:
        self.session.out = Path(path)
        study = self.session.study
        if study is not None and self.session.blinding is None:
            self.blind.stay(study)
        self.refresh()
        self.saver.look_again()

    def refresh(self) -> None:
        """Look again where every section stands; a slide that no study names stands alone."""
        session = self.session
        study, out, hidden = session.study, session.out, session.blinding
        if study is None and session.row is not None:
            study = Study(session.settings, (session.row,), session.row.files[0].parent)
        if study is None:
            self._show([])
        else:
            known = study
            self._looking.ask(lambda _progress: section_states(known, out, hidden), self._show)

    def _show(self, states: list[State]) -> None:
        self.states = states
        rows = [(str(s.status), s.row.section_id, s.row.subject.animal, s.row.subject.group) for s in states]
        self.table.fill(rows, tips=[_remark(s) or str(s.status) for s in states])
        self.table.colour(0, COLOURS)
        for column in (2, 3):  # nothing to read, or nothing to be read
            told = any(row[column] for row in rows)
            self.table.setColumnHidden(column, not told or self.session.blinding is not None)
        tally = {status: sum(s.status == status for s in states) for status in Status}
        said = ", ".join(f"{count} {status}" for status, count in tally.items() if count)
        self.summary.setText(
            f"{counted(len(states), 'section')}: {said}." if states else "Open a study, or save a lone slide."
        )
        self._mark()

    def _prepared(self) -> None:
        self._mark()
        self.saver.put_back()

    def _explain(self) -> None:
        number = self.table.chosen
        self.remark.setText(_remark(self.states[number]) if 0 <= number < len(self.states) else "")

    def _mark(self) -> None:
        """Show which section is open, and what can be done now."""
        opened = self.session.section_id
        for row in range(self.table.rowCount()):
            item = self.table.item(row, 1)
            font = item.font()
            font.setBold(item.text() == opened)
            item.setFont(font)
        many, hidden = bool(self.states), self.session.blinding
        for part in (self.back, self.open, self.forward):
            part.setEnabled(many)
        self.rest.setEnabled(self.session.study is not None)
        self.keep.setEnabled(self.session.prepared is not None)
        count = edited_masks(self.session.edits)
        self.keep.setText(f"{SAVE} ({counted(count, 'edit')})" if count else SAVE)
        out = self.session.out
        self.report.setEnabled(hidden is None and out is not None and (out / "report.html").is_file())
        self.report.setToolTip("Not while groups are hidden" if hidden else "In the browser")
        self.blind.show_state(possible=self.session.study is not None and out is not None)

    # --- one section after the other

    def next(self) -> None:
        """Open the section after this one."""
        self._step(1)

    def previous(self) -> None:
        """Open the section before this one."""
        self._step(-1)

    def _step(self, step: int) -> None:
        number = next_to_look_at(self.states, self.session.section_id, step)
        if number >= 0:
            self.open_number(number)

    def _open_chosen(self) -> None:
        if self.table.chosen >= 0:
            self.open_number(self.table.chosen)

    def open_number(self, number: int) -> None:
        """Open a section of the table; what is unsaved of the one before is kept."""
        if not 0 <= number < len(self.states):
            return
        row, settings = self.states[number].row, self.session.settings
        bundle = bundle_of(self.session, row)

        def work(progress: Any) -> tuple[Section, Checked]:
            section = openings.open_now(row)
            try:
                return section, openings.check(section, settings, progress, bundle)
            except BaseException:
                section.image.close()
                raise

        self.run(f"Opening {row.section_id}", work, lambda found: self._opened(row, *found))

    def _opened(self, row: SectionRow, section: Section, checked: Checked) -> None:
        before = self.session.section_id
        self.session.open_section(row, section)
        show_section(self.viewer, section, replacing=before)
        self.session.set_prepared(checked.prepared)
        show_limits(self.viewer, section, checked.prepared.survey.limits)
        jobs.warn(checked.note)
        self.viewer.title = f"thymusimg · {section.section_id}"

    def save(self) -> None:
        """Measure the open section with what was edited, and put it among the results."""
        row = self.session.row
        if row is not None and self.session.out is None:
            self.session.out = self.out.path or row.files[0].parent / RESULTS
            self.out.set_path(str(self.session.out))
        self.saver.save()

    # --- the rest

    def run_rest(self) -> None:
        """Run what is to do, beside the window."""
        hidden, study, out = self.session.blinding, self.session.study, self.session.out
        study = hidden.whole if hidden else study
        if study is not None and out is not None:
            self.run(
                "Running the study",
                lambda progress: running.run_beside(study, out, progress, names=hidden is None),
                self._ran, cancelled=self.refresh, failed=lambda _error: self.refresh(),
            )  # fmt: skip

    def _ran(self, tally: running.Tally) -> None:
        from napari.utils.notifications import show_info

        show_info(f"The study is run: {tally.words}.")
        self.refresh()

    def open_report(self) -> None:
        """Show the report in the browser."""
        if self.session.out is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str((self.session.out / "report.html").resolve())))


def _remark(state: State) -> str:
    return "; ".join(part for part in ("edits not saved" if state.unsaved else "", state.why) if part)

"""The Study widget's part for blinded reading: hide ids and groups, and lift that with a note of who did."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QInputDialog, QVBoxLayout, QWidget

from thymusimg.errors import ThymusimgError
from thymusimg_napari import blinding, jobs
from thymusimg_napari.widgets.parts import button, heading, words

if TYPE_CHECKING:
    from thymusimg.study.model import Study
    from thymusimg_napari.widgets.parts import Panel

TIP = "Codes in place of ids, no groups, a shuffled order; kept in the folder of results"


class BlindedReading(QWidget):
    """Whether the reader sees which section is which."""

    def __init__(self, panel: Panel) -> None:
        super().__init__()
        self.viewer, self.session = panel.viewer, panel.session
        self.state = words()
        self.toggle = button(panel.viewer, "Read blinded", "hide", self._toggle, TIP)
        body = QVBoxLayout(self)
        body.setContentsMargins(0, 0, 0, 0)
        body.addWidget(heading("Blinded reading"))
        body.addWidget(self.state)
        body.addWidget(self.toggle)

    def show_state(self, *, possible: bool) -> None:
        """Say whether ids and groups are hidden."""
        hidden = self.session.blinding
        self.toggle.setEnabled(possible)
        self.toggle.setText("Lift the blinding …" if hidden else "Read blinded")
        lifted = " They were shown before: see the log." if hidden and hidden.blinding.ever_lifted else ""
        self.state.setText(
            f"Ids and groups are hidden, order of seed {hidden.blinding.seed}.{lifted}"
            if hidden
            else "Ids and groups are shown."
        )

    def stay(self, study: Study) -> None:
        """Go on hiding what was hidden when the results were last looked at."""
        try:
            found = blinding.Blinding.read(self.session.out)
        except ThymusimgError as error:
            jobs.tell(error)
            return
        if found is not None and found.on:
            self.hide_ids(study)

    def hide_ids(self, study: Study) -> None:
        """Show codes in place of ids, and nothing that the table says of the animals."""
        if self.session.out is not None:
            self._close_open()
            self.session.out.mkdir(parents=True, exist_ok=True)
            self.session.blinding = blinding.hide(study, self.session.out)
            self.session.set_study(self.session.blinding.study)

    def _toggle(self) -> None:
        hidden, out, study = self.session.blinding, self.session.out, self.session.study
        if out is None or study is None:
            return
        try:
            if hidden is None:
                self.hide_ids(study)
                return
            why, sure = QInputDialog.getText(
                self, "Lift the blinding", "Why? It is noted with your name and the time."
            )
            if sure:
                self._close_open()
                whole = blinding.lift(hidden, out, why=why.strip())
                self.session.blinding = None
                self.session.set_study(whole)
        except (ThymusimgError, OSError) as error:
            jobs.tell(error)

    def _close_open(self) -> None:
        """Close the section: its layers carry its name."""
        if self.session.section is not None:
            self.session.close_section()
        self.viewer.layers.clear()
        self.viewer.title = "thymusimg"

"""The Study widget's part for a second reader: the same section drawn by somebody else, and how far they agree."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QVBoxLayout, QWidget

from thymusimg_napari.second_reader import agreement_rows, compare_readers
from thymusimg_napari.widgets.parts import PathField, heading, words
from thymusimg_napari.widgets.row_table import RowTable

if TYPE_CHECKING:
    from thymusimg.evaluate import Evaluation
    from thymusimg_napari.widgets.parts import Panel


class SecondReader(QWidget):
    """Agreement of the open section with another annotation of it."""

    def __init__(self, panel: Panel) -> None:
        super().__init__()
        self.panel, self.session = panel, panel.session
        self.other = PathField(
            panel.viewer, caption="Another reader's annotation", hint="another reader's bundle, labels or GeoJSON"
        )
        self.other.chosen.connect(self.compare)
        self.table = RowTable(["Agreement", "", "here | there"], stretch=0)
        self.table.setMinimumHeight(170)
        self.notes = words()
        body = QVBoxLayout(self)
        body.setContentsMargins(0, 0, 0, 0)
        body.addWidget(heading("Second reader"))
        body.addWidget(self.other)
        body.addWidget(self.table)
        body.addWidget(self.notes)
        self.table.hide()
        panel.listen(self.session.section_changed, self._forget)

    def compare(self, path: str) -> None:
        """Compare the open section as it is now."""
        prepared, counted = self.session.prepared, self.session.counted
        if prepared is None:
            self.notes.setText("Open a section first.")
            return
        cells = counted.cells if counted else None
        self.panel.run(
            "Comparing the readers",
            lambda progress: compare_readers(prepared, cells, Path(path), progress),
            self._show,
        )

    def _show(self, found: Evaluation) -> None:
        rows, tips = agreement_rows(found)
        self.table.fill(rows, tips=tips)
        self.table.show()
        self.notes.setText("<small>" + "<br>".join(found.notes) + "</small>")

    def _forget(self) -> None:
        self.table.hide()
        self.notes.setText("")

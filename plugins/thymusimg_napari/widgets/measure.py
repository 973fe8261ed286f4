"""The Measure widget: numbers with their meaning, cells and islets as tables, curves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from qtpy.QtWidgets import QCheckBox, QComboBox, QLabel, QLineEdit, QTabWidget, QVBoxLayout, QWidget

from thymusimg_napari.cells_shown import cells_shown
from thymusimg_napari.frame_table import FrameTable
from thymusimg_napari.islets_shown import IsletsShown
from thymusimg_napari.measuring import UNDEFINED, cell_meanings, islet_meanings, measure_now, number_rows
from thymusimg_napari.plots import CurvePlot
from thymusimg_napari.widgets.parts import Panel, button, side_by_side, words

if TYPE_CHECKING:
    from thymusimg_napari.measuring import Numbers

ONE_COLOUR = "one colour"
UNCOLOURED = ("cell_id", "x_um", "y_um")
KEYS = {"click": "a cell or islet selects its row"}


class MeasureWidget(Panel):
    """Measure the open section, and find every number's object."""

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer, "Measure", keys=KEYS)
        self.shown = cells_shown(self.viewer)
        self.islets_shown = IsletsShown(self.viewer)
        self.numbers: Numbers | None = None
        self.state = words()
        self.measure = button(
            self.viewer, "Measure", "run", self.measure_now, "With compartments and cells as they are"
        )
        self.body.addWidget(self.state)
        self.body.addWidget(self.measure)
        self.tabs = QTabWidget()
        self.tabs.addTab(self._numbers_tab(), "Numbers")
        self.tabs.addTab(self._cells_tab(), "Cells")
        self.tabs.addTab(self._islets_tab(), "Islets")
        self.plot = CurvePlot()
        self.tabs.addTab(self.plot, "Curves")
        self.body.addWidget(self.tabs, 1)
        self.shown.picked.connect(self._picked)
        self.shown.clicked.connect(self._clicked)
        self.listen(self.session.section_changed, self._forget)
        self.listen(self.session.measured_changed, self._show)
        self.listen(self.session.settings_changed, self._say)
        self.listen(self.session.counted_changed, self._show_cells)
        self.destroyed.connect(self._unhook)
        self._show()
        self._show_cells()

    def _unhook(self) -> None:
        for signal, slot in ((self.shown.picked, self._picked), (self.shown.clicked, self._clicked)):
            signal.disconnect(slot)

    def _numbers_tab(self) -> QWidget:
        self.filter = QLineEdit()
        self.filter.setPlaceholderText("filter: medulla, density, islet …")
        self.filter.textChanged.connect(lambda _text: self._filter())
        self.defined = QCheckBox("defined only")
        self.defined.toggled.connect(lambda _on: self._filter())
        self.table = FrameTable(stretch=0)
        self.table.setSortingEnabled(False)
        self.table.chosen.connect(self._explain)
        self.meaning = words()
        return _stacked(side_by_side(self.filter, self.defined), self.table, self.meaning)

    def _cells_tab(self) -> QWidget:
        self.colour = QComboBox()
        self.colour.activated.connect(lambda _index: self._colour())
        self.scale = QLabel()
        self.cells = FrameTable()
        self.cells.chosen.connect(lambda row: self.shown.go_to(row + 1))
        return _stacked(side_by_side(QLabel("Colour cells by"), self.colour), self.scale, self.cells)

    def _islets_tab(self) -> QWidget:
        self.islets = FrameTable()
        self.islets.chosen.connect(self._go_to_islet)
        self.islets_say = words()
        return _stacked(self.islets_say, self.islets)

    # --- measuring

    def measure_now(self) -> None:
        """Measure the section with its compartments and cells as they are."""
        self.session.when_settled(self._measure)

    def _measure(self) -> None:
        prepared = self.session.prepared
        if prepared is not None:
            work = measure_now(prepared, self.session.counted, self.session.settings)
            self.run("Measuring", work, self._measured)

    def _measured(self, numbers: Numbers) -> None:
        session = self.session
        if numbers.prepared is not session.prepared or numbers.counted is not session.counted:
            self.state.setText("Something was edited while the section was measured: measure it again.")
            return
        self.numbers = numbers
        session.set_result(numbers.result)

    def _forget(self) -> None:
        self.numbers = None
        self._show()
        self._show_cells()

    def _show(self) -> None:
        """Show the numbers; none, where what they were measured on is no longer true."""
        result = self.session.result
        self.measure.setEnabled(self.session.prepared is not None)
        self.plot.put(None if result is None else result.measured.curves)
        if result is None:
            self.numbers = None
            self.table.put(pd.DataFrame())
            self.meaning.setText("")
        else:
            frame, tips = number_rows(result.measured)
            self.table.put(frame, tips=tips)
            self._filter()
        self._say()
        self._show_islets()

    def _say(self) -> None:
        """Say of which section the numbers are, and whether they are still those of the settings."""
        session, result = self.session, self.session.result
        if result is None:
            opened = session.prepared is not None
            self.state.setText(
                "Not measured since the last change." if opened else "Open a section in the Section widget first."
            )
            return
        count, undefined = len(self.table.frame_model.frame), len(result.measured.reasons)
        text = f"{session.section_id}: {count} numbers, {undefined} undefined (hover: why)."
        apart = {"study", "compute"}  # no number of a section depends on these
        used = result.prepared.settings.model_dump(exclude=apart)
        if used != session.settings.model_dump(exclude=apart):
            text += " Settings were changed since: find and measure again."
        self.state.setText(text)

    def _filter(self) -> None:
        frame = self.table.frame_model.frame
        if frame.empty:
            return
        asked = self.filter.text().strip().lower().replace(" ", "_")
        keep = frame["measurement"].str.contains(asked, regex=False).to_numpy(np.bool_)
        if self.defined.isChecked():
            keep &= (frame["value"] != UNDEFINED).to_numpy(np.bool_)
        self.table.show_only(keep)

    def _explain(self, row: int) -> None:
        name = str(self.table.frame_model.frame["measurement"].iloc[row])
        self.meaning.setText(f"<b>{name}</b>: " + self.table.frame_model.tips[row].replace("\n", "<br>"))

    # --- cells

    def _show_cells(self) -> None:
        cells = self.shown.cells
        frame = pd.DataFrame() if cells is None else cells.table
        self.cells.put(frame, meanings=cell_meanings())
        if self.shown.current:
            self.cells.select(self.shown.current - 1)
        names = [ONE_COLOUR, *(str(name) for name in frame if name not in UNCOLOURED)]
        if names != [self.colour.itemText(i) for i in range(self.colour.count())]:
            chosen = self.colour.currentText()
            self.colour.clear()
            self.colour.addItems(names)
            self.colour.setCurrentIndex(max(0, self.colour.findText(chosen)))
        self._show_scale()

    def _colour(self) -> None:
        name = self.colour.currentText()
        self.shown.colour_by("" if name == ONE_COLOUR else name)
        self._show_scale()

    def _show_scale(self) -> None:
        cells, name = self.shown.cells, self.shown.colouring.column
        limits = None if cells is None else self.shown.colouring.limits(cells.table)
        self.scale.setVisible(limits is not None)
        if limits is not None:
            meaning = cell_meanings().get(name)
            unit = meaning.unit if meaning else ""
            self.scale.setText(f"{limits[0]:.3g}   →   {limits[1]:.3g} {unit}")
            self.scale.setStyleSheet(
                "padding: 2px; color: white; background: qlineargradient(x1:0, y1:0, x2:1, y2:0, stop:0 #414487, "
                "stop:0.25 #2a788e, stop:0.5 #22a884, stop:0.75 #5fb94a, stop:1 #c5ba1f);"
            )

    def _picked(self, number: int) -> None:
        if number:
            self.shown.mark(number)
            self.cells.select(number - 1)

    # --- islets

    def _show_islets(self) -> None:
        numbers = self.numbers
        self.islets_shown.mark(None, 0)
        self.islets.put(pd.DataFrame() if numbers is None else numbers.islets, meanings=islet_meanings())
        if numbers is None:
            self.islets_say.setText("Measure the section to see its islets.")
        else:
            self.islets_say.setText(f"{len(numbers.islets)} medullary islets, the largest first.")

    def _go_to_islet(self, row: int) -> None:
        if self.numbers is not None:
            self.islets_shown.go_to(self.numbers, row + 1)

    def _clicked(self, y_um: float, x_um: float) -> None:
        """Select the islet under a click, where islets are looked at."""
        if self.numbers is None or self.tabs.currentIndex() != 2:
            return
        number = self.islets_shown.at(self.numbers, (y_um, x_um))
        if number:
            self.islets_shown.mark(self.numbers, number)
            self.islets.select(number - 1)


def _stacked(*parts: QWidget) -> QWidget:
    holder = QWidget()
    column = QVBoxLayout(holder)
    column.setContentsMargins(0, 4, 0, 0)
    for part in parts:
        column.addWidget(part, 1 if isinstance(part, FrameTable) else 0)
    return holder

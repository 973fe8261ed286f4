"""Buttons for the compartments, each in its colour, one of them pressed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, Signal
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import QButtonGroup, QGridLayout, QPushButton, QWidget

from thymusimg.compartments.model import Compartment
from thymusimg.report.overlays import COMPARTMENT_COLOURS

if TYPE_CHECKING:
    from collections.abc import Sequence

CLASS_KEYS = {
    Compartment.CORTEX: "C",
    Compartment.MEDULLA: "M",
    Compartment.INDETERMINATE: "I",
    Compartment.OTHER: "O",
    Compartment.CYST: "Y",
    Compartment.BACKGROUND: "E",
}
"""One key each; an artefact has one of its own, X, which acts on a selection."""
NAMES = {Compartment.BACKGROUND: "no tissue"}
_COLUMNS = 2
_INK = 14


class ClassButtons(QWidget):
    """Which compartment is painted."""

    chosen = Signal(int)

    def __init__(self, classes: Sequence[Compartment]) -> None:
        super().__init__()
        self.buttons: dict[Compartment, QPushButton] = {}
        self._group = QButtonGroup(self)
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(4)
        for place, compartment in enumerate(classes):
            name = NAMES.get(compartment, compartment.name.lower())
            made = QPushButton(f"{name}  {CLASS_KEYS[compartment]}")
            made.setCheckable(True)
            made.setIcon(_square(compartment))
            made.setIconSize(QSize(_INK, _INK))
            made.clicked.connect(lambda _checked=False, code=compartment: self.chosen.emit(int(code)))
            self._group.addButton(made)
            self.buttons[compartment] = made
            grid.addWidget(made, place // _COLUMNS, place % _COLUMNS)

    def show_chosen(self, code: int) -> None:
        """Press the button of a compartment, without telling anybody."""
        found = self.buttons.get(Compartment(code))
        if found is not None:
            found.setChecked(True)


def _square(compartment: Compartment) -> QIcon:
    ink = QPixmap(_INK, _INK)
    ink.fill(QColor(*COMPARTMENT_COLOURS[compartment]) if compartment in COMPARTMENT_COLOURS else QColor(0, 0, 0))
    return QIcon(ink)

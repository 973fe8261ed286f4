"""A table of rows to read, in a widget: sortable, with words in colours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QSizePolicy, QTableWidget, QTableWidgetItem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

STATUS_COLOURS = {"pass": "#3fae5a", "warn": "#e0a100", "fail": "#e0523f", "": "#888888"}


class RowTable(QTableWidget):
    """A table of rows to read: sortable, one row at a time, no editing; ``opened`` gives the row's own number."""

    opened = Signal(int)

    def __init__(self, headers: Sequence[str], *, stretch: int = -1) -> None:
        super().__init__(0, len(headers))
        self.setHorizontalHeaderLabels(list(headers))
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setWordWrap(True)
        self.verticalHeader().hide()
        self.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        if stretch >= 0:
            self.horizontalHeader().setSectionResizeMode(stretch, QHeaderView.ResizeMode.Stretch)
        self.cellDoubleClicked.connect(lambda row, _column: self.opened.emit(self.number(row)))

    def fill(self, rows: Sequence[Sequence[Any]], *, tips: Sequence[str] = ()) -> None:
        """Show rows; numbers sort as numbers. ``tips`` are shown on hover, one a row."""
        self.setSortingEnabled(False)
        self.setRowCount(len(rows))
        for number, values in enumerate(rows):
            for column, value in enumerate(values):
                item = QTableWidgetItem()
                item.setData(Qt.ItemDataRole.DisplayRole, value)
                item.setData(Qt.ItemDataRole.UserRole, number)
                item.setToolTip(tips[number] if tips else "")
                self.setItem(number, column, item)
        self.horizontalHeader().setSortIndicator(-1, Qt.SortOrder.AscendingOrder)  # as filled, until a click
        self.setSortingEnabled(True)

    def number(self, row: int) -> int:
        """Return which of the rows that were filled in stands at ``row`` of the sorted table."""
        item = self.item(row, 0)
        return int(item.data(Qt.ItemDataRole.UserRole)) if item is not None else -1

    def colour(self, column: int, colours: Mapping[str, str]) -> None:
        """Write the words of a column in their colours."""
        for row in range(self.rowCount()):
            item = self.item(row, column)
            if item is not None and item.text() in colours:
                item.setForeground(QColor(colours[item.text()]))

    @property
    def chosen(self) -> int:
        """Number of the selected row among those filled in, or -1."""
        return self.number(self.currentRow()) if self.currentRow() >= 0 else -1

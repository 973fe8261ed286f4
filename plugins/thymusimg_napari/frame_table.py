"""A DataFrame as a table: sorted by a click on a header, quick with hundreds of thousands of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from qtpy.QtCore import QAbstractTableModel, QModelIndex, QSize, Qt, Signal
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableView

from thymusimg_napari.measuring import shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from thymusimg_napari.measuring import Meaning


_LONG, _LONG_PX = 14, 96


class FrameModel(QAbstractTableModel):
    """The rows of a table in the order in which they are shown."""

    def __init__(self) -> None:
        super().__init__()
        self.frame = pd.DataFrame()
        self.order = np.zeros(0, np.intp)
        self.meanings: Mapping[str, Meaning] = {}
        self.tips: Sequence[str] = ()
        self._sorted: tuple[str, bool] | None = None

    def put(self, frame: pd.DataFrame, meanings: Mapping[str, Meaning], tips: Sequence[str]) -> None:
        """Show another table, sorted as before."""
        self.beginResetModel()
        self.frame, self.meanings, self.tips = frame, meanings, tips
        self.order = self._ordered()
        self.endResetModel()

    def rowCount(self, _parent: Any = None) -> int:
        """Return how many rows there are."""
        return len(self.order)

    def columnCount(self, _parent: Any = None) -> int:
        """Return how many columns there are."""
        return self.frame.shape[1]

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return what is shown in a field."""
        row = int(self.order[index.row()])
        if role == Qt.ItemDataRole.DisplayRole:
            value = self.frame.iat[row, index.column()]
            return shown(value.item() if isinstance(value, np.generic) else value)
        if role == Qt.ItemDataRole.ToolTipRole:
            return self.tips[row] if self.tips else self._tip(index.column())
        if role == Qt.ItemDataRole.SizeHintRole and len(str(self.frame.iat[row, index.column()])) > _LONG:
            return QSize(_LONG_PX, 20)  # a long name must not push the other columns out of sight
        if role == Qt.ItemDataRole.TextAlignmentRole and self._is_number(index.column()):
            return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        return None

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return a column's name, its meaning on hover."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return str(self.frame.columns[section])
        return self._tip(section) if role == Qt.ItemDataRole.ToolTipRole else None

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sort by a column; what is undefined stands last either way. A column of -1: as it came."""
        there = 0 <= column < self.frame.shape[1]
        self.layoutAboutToBeChanged.emit()
        self._sorted = (str(self.frame.columns[column]), order == Qt.SortOrder.DescendingOrder) if there else None
        self.order = self._ordered()
        self.layoutChanged.emit()

    def _ordered(self) -> Any:
        if self._sorted is None or self._sorted[0] not in self.frame:
            return np.arange(len(self.frame))
        name, descending = self._sorted
        column = self.frame[name].reset_index(drop=True)
        return column.sort_values(ascending=not descending, kind="stable", na_position="last").index.to_numpy()

    def _is_number(self, column: int) -> bool:
        return bool(pd.api.types.is_numeric_dtype(self.frame.dtypes.iloc[column]))

    def _tip(self, column: int) -> str:
        meaning = self.meanings.get(str(self.frame.columns[column]))
        return meaning.tip if meaning else ""


class FrameTable(QTableView):
    """Shows a DataFrame; ``chosen`` gives the row (of the frame, from 0) that a person selected."""

    chosen = Signal(int)

    def __init__(self, *, stretch: int = -1) -> None:
        super().__init__()
        self._stretch = stretch
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.frame_model = FrameModel()
        self.setModel(self.frame_model)
        self.setSortingEnabled(True)
        self.horizontalHeader().setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        self.horizontalHeader().setSectionsMovable(True)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(22)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setMinimumHeight(240)
        self._quiet = False
        self.selectionModel().currentRowChanged.connect(self._changed)

    def put(
        self, frame: pd.DataFrame, *, meanings: Mapping[str, Meaning] | None = None, tips: Sequence[str] = ()
    ) -> None:
        """Show a table; a tip a row, or the columns' meanings."""
        first = self.frame_model.frame.empty
        self._quiet = True
        self.frame_model.put(frame, meanings or {}, tips)
        self._quiet = False
        if first and self._stretch < 0:
            self.resizeColumnsToContents()
        elif first and frame.shape[1]:
            header = self.horizontalHeader()
            for column in range(frame.shape[1]):
                own = column == self._stretch
                mode = QHeaderView.ResizeMode.Stretch if own else QHeaderView.ResizeMode.ResizeToContents
                header.setSectionResizeMode(column, mode)

    @property
    def row(self) -> int:
        """The selected row of the frame, or -1."""
        index = self.currentIndex()
        return int(self.frame_model.order[index.row()]) if index.isValid() else -1

    def select(self, row: int) -> None:
        """Select a row of the frame and scroll to it, without telling anybody; -1 for none."""
        self._quiet = True
        places = np.flatnonzero(self.frame_model.order == row)
        if row < 0 or not len(places):
            self.clearSelection()
        else:
            self.selectRow(int(places[0]))
            self.scrollTo(self.frame_model.index(int(places[0]), 0), QAbstractItemView.ScrollHint.PositionAtCenter)
        self._quiet = False

    def show_only(self, keep: Any) -> None:
        """Hide the rows of the frame that are not in ``keep``, a sequence of bool."""
        for place, row in enumerate(self.frame_model.order):
            self.setRowHidden(place, not keep[row])

    def _changed(self, index: QModelIndex, _before: QModelIndex) -> None:
        if index.isValid() and not self._quiet:
            self.chosen.emit(int(self.frame_model.order[index.row()]))

"""A histogram with lines on it; one of them, the gate, is dragged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QPointF, QRectF, Qt, Signal
from qtpy.QtGui import QColor, QPainter, QPen
from qtpy.QtWidgets import QSizePolicy, QWidget

if TYPE_CHECKING:
    import numpy.typing as npt

NEGATIVE, POSITIVE, CELLS = QColor("#7a8794"), QColor("#e0523f"), QColor("#f2d16b")
GATE, CONTROLS, BACKGROUND = QColor("#ffffff"), QColor("#4fc3f7"), QColor("#9aa7b3")
_SIDE, _FOOT, _HEAD = 6, 18, 16
_TICKS = 4


class Histogram(QWidget):
    """Pixels on a logarithmic scale of counts, cells as a second, lighter row of bars.

    ``moved`` gives the place to which the gate is dragged.
    """

    moved = Signal(float)

    def __init__(self) -> None:
        super().__init__()
        self.setMinimumHeight(150)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setCursor(Qt.CursorShape.SplitHCursor)
        self.clear()

    def clear(self) -> None:
        """Show nothing."""
        self.counts: npt.NDArray[np.int64] = np.zeros(0, np.int64)
        self.edges: npt.NDArray[np.float64] = np.zeros(1)
        self.cells: npt.NDArray[np.int64] = np.zeros(0, np.int64)
        self.gate = self.controls = self.background = float("nan")
        self.update()

    def show_pixels(self, counts: npt.NDArray[np.int64], edges: npt.NDArray[np.float64], background: float) -> None:
        """Show the tissue's pixels."""
        self.counts, self.edges, self.background = counts, edges, background
        self.update()

    def show_cells(self, means: npt.NDArray[np.float64]) -> None:
        """Show the cells' means beside the pixels."""
        inside = np.clip(means[np.isfinite(means)], self.edges[0], self.edges[-1])
        self.cells = np.histogram(inside, self.edges)[0].astype(np.int64) if len(self.counts) else self.counts
        self.update()

    def set_lines(self, gate: float, controls: float = float("nan")) -> None:
        """Move the gate, and the line of the negative controls."""
        self.gate, self.controls = gate, controls
        self.update()

    def x_of(self, value: float) -> float:
        """Return where a value lies, in pixels of the widget."""
        low, high = self.edges[0], self.edges[-1]
        return float(_SIDE + (value - low) / (high - low) * (self.width() - 2 * _SIDE))

    def value_at(self, x: float) -> float:
        """Return the value at a pixel of the widget."""
        low, high = float(self.edges[0]), float(self.edges[-1])
        return float(low + (x - _SIDE) / (self.width() - 2 * _SIDE) * (high - low))

    def mousePressEvent(self, event: Any) -> None:
        """Drag the gate here."""
        self.mouseMoveEvent(event)

    def mouseMoveEvent(self, event: Any) -> None:
        """Drag the gate."""
        if len(self.counts) and event.buttons() & Qt.MouseButton.LeftButton:
            self.moved.emit(self.value_at(event.position().x()))

    def paintEvent(self, _event: Any) -> None:
        """Draw."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if not len(self.counts):
            painter.setPen(BACKGROUND)
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, "CD45 of the tissue appears here")
            painter.end()
            return
        bottom = self.height() - _FOOT
        self._bars(painter, self.counts, bottom, 1.0)
        if self.cells.any():
            self._bars(painter, self.cells, bottom, 0.45, CELLS)
        self._axis(painter, bottom)
        self._line(painter, self.background, BACKGROUND, "", Qt.PenStyle.DotLine, bottom)
        self._line(painter, self.controls, CONTROLS, "controls", Qt.PenStyle.DashLine, bottom)
        self._line(painter, self.gate, GATE, "gate", Qt.PenStyle.SolidLine, bottom)
        painter.end()

    def _bars(
        self, painter: QPainter, counts: npt.NDArray[np.int64], bottom: float, share: float, colour: Any = None
    ) -> None:
        tall = np.log1p(counts) / max(float(np.log1p(counts.max())), 1e-9) * (bottom - _HEAD) * share
        painter.setPen(Qt.PenStyle.NoPen)
        for left, right, height in zip(self.edges[:-1], self.edges[1:], tall, strict=True):
            x0, x1 = self.x_of(left), self.x_of(right)
            painter.setBrush(colour or (POSITIVE if (left + right) / 2 >= self.gate else NEGATIVE))
            painter.drawRect(QRectF(x0, bottom - height, max(1.0, x1 - x0), height))

    def _line(
        self, painter: QPainter, value: float, colour: QColor, name: str, style: Qt.PenStyle, bottom: float
    ) -> None:
        if not np.isfinite(value):
            return
        x = min(max(self.x_of(value), _SIDE), self.width() - _SIDE)
        painter.setPen(QPen(colour, 1.6, style))
        painter.drawLine(QPointF(x, _HEAD), QPointF(x, bottom))
        room = painter.fontMetrics().horizontalAdvance(name)
        # the gate's name stands over its line, that of the controls beside theirs: they may lie close together
        at = QPointF(x + 3, _HEAD - 4) if name == "gate" else QPointF(x + 4, _HEAD + 10)
        painter.drawText(QPointF(min(at.x(), self.width() - room), at.y()), name)

    def _axis(self, painter: QPainter, bottom: float) -> None:
        painter.setPen(BACKGROUND)
        painter.drawLine(QPointF(_SIDE, bottom), QPointF(self.width() - _SIDE, bottom))
        for value in np.linspace(self.edges[0], self.edges[-1], _TICKS):
            text = f"{value:.4g}"
            room = painter.fontMetrics().horizontalAdvance(text)
            x = min(max(self.x_of(float(value)) - room / 2, 0), self.width() - room)
            painter.drawText(QPointF(x, self.height() - 4), text)

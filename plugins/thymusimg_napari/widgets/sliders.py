"""A slider for a number, with its unit, its value and its meaning on hover."""

from __future__ import annotations

from dataclasses import dataclass

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QDoubleSpinBox, QHBoxLayout, QSlider, QWidget


@dataclass(frozen=True)
class Range:
    """What a slider can be set to.

    Attributes
    ----------
    words : str
        What it is, for people.
    low, high, step : float
    suffix : str
        The unit.
    """

    words: str
    low: float
    high: float
    step: float
    suffix: str = ""


class NumberSlider(QWidget):
    """A slider and the number beside it, which can be typed too."""

    moved = Signal(float)
    """The value changed, by whichever of the two."""

    def __init__(self, what: Range, value: float, tip: str = "") -> None:
        super().__init__()
        self._range = what
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, round((what.high - what.low) / what.step))
        self.number = QDoubleSpinBox()
        self.number.setDecimals(0 if what.step >= 1 else 1 if what.step >= 0.1 else 2)
        self.number.setRange(what.low, what.high)
        self.number.setSingleStep(what.step)
        self.number.setSuffix(what.suffix)
        self.number.setFixedWidth(112)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.slider, 1)
        row.addWidget(self.number)
        self.setToolTip(tip)
        self.set_value(value)
        self.slider.valueChanged.connect(self._slid)
        self.number.valueChanged.connect(self._typed)

    @property
    def value(self) -> float:
        """The value."""
        return float(self.number.value())

    def set_value(self, value: float) -> None:
        """Set the value without telling anybody."""
        for part in (self.slider, self.number):
            part.blockSignals(True)
        self.number.setValue(value)
        self.slider.setValue(round((value - self._range.low) / self._range.step))
        for part in (self.slider, self.number):
            part.blockSignals(False)

    def _slid(self, steps: int) -> None:
        self.number.blockSignals(True)
        self.number.setValue(self._range.low + steps * self._range.step)
        self.number.blockSignals(False)
        self.moved.emit(self.value)

    def _typed(self, value: float) -> None:
        self.slider.blockSignals(True)
        self.slider.setValue(round((value - self._range.low) / self._range.step))
        self.slider.blockSignals(False)
        self.moved.emit(self.value)

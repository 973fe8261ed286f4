"""The gate's part of the Cells widget: histogram, slider, the controls' line, live positives."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QDoubleSpinBox, QLabel, QSlider, QVBoxLayout, QWidget

from thymusimg_napari.histogram import Histogram
from thymusimg_napari.positives import Positives
from thymusimg_napari.widgets.parts import side_by_side, words

if TYPE_CHECKING:
    from thymusimg.cells.gating import GateSample
    from thymusimg.pipeline import Prepared
    from thymusimg_napari.session import Session

OWN, CONTROLS = "own background", "negative controls"
LOW_SD, HIGH_SD = 2.0, 50.0
"""The range of the setting ``gate.deviations``."""
_STEPS = 400


class GateBox(QWidget):
    """Says which CD45 counts as human: so many SDs above the background, or what the controls say.

    ``changed`` is emitted when a person moved the gate or chose who sets it.
    """

    changed = Signal()

    def __init__(self, viewer: Any, session: Session) -> None:
        super().__init__()
        self.viewer, self.session = viewer, session
        self.sample: GateSample | None = None
        self.positives = Positives(viewer)
        self.source = QComboBox()
        self.source.addItems([OWN, CONTROLS])
        self.source.setToolTip("Who sets the gate; the controls are those that the study table marks")
        self.source.activated.connect(lambda _index: self._chosen())
        self.histogram = Histogram()
        self.histogram.setToolTip(
            "Drag the gate. Grey and red: the tissue's pixels (log of their number); yellow: means of the cells; "
            "dotted: background of CD45-negative tissue; dashed: what the negative controls say"
        )
        self.histogram.moved.connect(self._dragged)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, _STEPS)
        self.slider.valueChanged.connect(lambda step: self._by_hand(deviations_of(step)))
        self.deviations = QDoubleSpinBox()
        self.deviations.setRange(LOW_SD, HIGH_SD)
        self.deviations.setSingleStep(0.1)
        self.deviations.setSuffix(" SD")
        self.deviations.setKeyboardTracking(False)  # else "3" of "3.5" is taken at once
        self.deviations.setToolTip("How far above the background of CD45-negative tissue the gate lies")
        self.deviations.valueChanged.connect(self._by_hand)
        self.says = words()
        self.live = QCheckBox("Show positive pixels")
        self.live.setToolTip("At full resolution where the view is near, else on the coarse grid")
        self.live.toggled.connect(lambda _on: self._show_positives())
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(side_by_side(QLabel("Gate from"), self.source))
        layout.addWidget(self.histogram)
        layout.addWidget(side_by_side(self.slider, self.deviations))
        layout.addWidget(self.says)
        layout.addWidget(self.live)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(120)
        self._timer.timeout.connect(self._show_positives)
        for event in (viewer.camera.events.center, viewer.camera.events.zoom):
            event.connect(self._view_moved)
            self.destroyed.connect(lambda _=None, event=event: event.disconnect(self._view_moved))
        self.show_sample(None)

    @property
    def by_controls(self) -> bool:
        """Whether the negative controls set the gate."""
        return bool(self.source.currentText() == CONTROLS)

    @property
    def own_deviations(self) -> float:
        """SDs above the section's own background, which hold where no controls set the gate."""
        return self.session.settings.gate.deviations if self.by_controls else float(self.deviations.value())

    @property
    def threshold(self) -> float:
        """The gate in corrected units; NaN while nothing is known."""
        if self.sample is None:
            return math.nan
        if self.by_controls and self.sample.by_controls is not None:
            return self.sample.by_controls.threshold
        return self.sample.threshold(self.deviations.value())

    def show_sample(self, sample: GateSample | None) -> None:
        """Show a section's CD45; the controls set the gate where there are any."""
        self.sample = sample
        with_controls = sample is not None and sample.by_controls is not None
        self.source.model().item(1).setEnabled(with_controls)
        self.source.setCurrentText(CONTROLS if with_controls else OWN)
        for part in (self.source, self.slider, self.deviations, self.live):
            part.setEnabled(sample is not None)
        self._follow()
        if sample is None:
            self.histogram.clear()
        else:
            self.histogram.show_pixels(*sample.histogram(), sample.gate.background)
        self.refresh()

    def refresh(self) -> None:
        """Show lines, shares and positives as they are now."""
        sample, cells = self.sample, self.session.counted.cells if self.session.counted else None
        if sample is None:
            self.says.setText("")
            self._show_positives()
            return
        gate = self.threshold
        controls = sample.by_controls.threshold if sample.by_controls else math.nan
        self.histogram.set_lines(gate, controls)
        self.histogram.show_cells(np.zeros(0) if cells is None else cells.table["mean_cd45"].to_numpy(np.float64))
        above = f"{sample.deviations(gate):.2f} SD above the background of {sample.gate.background:.4g}"
        said = [f"Gate {gate:.4g} ({above})"]
        said.append(f"{100 * sample.positive_share(gate):.3g} % of the tissue's pixels are positive")
        if sample.by_controls is not None:
            said.append(f"controls ({', '.join(sample.by_controls.controls)}): {controls:.4g}")
        if cells is not None and not math.isclose(cells.gate.threshold, gate, rel_tol=1e-9):
            said.append(f"<b>the cells shown were found with {cells.gate.threshold:.4g}: find them again</b>")
        self.says.setText("; ".join(said) + ".")
        self._show_positives()

    def _dragged(self, value: float) -> None:
        if self.sample is not None:
            self._by_hand(self.sample.deviations(value))

    def _by_hand(self, deviations: float) -> None:
        self._put(deviations)
        self.source.setCurrentText(OWN)
        self.refresh()
        self.changed.emit()

    def _follow(self) -> None:
        """Let slider and number say where the gate lies, whoever set it."""
        if self.by_controls and self.sample is not None:
            self._put(self.sample.deviations(self.threshold))
        else:
            self._put(self.session.settings.gate.deviations)

    def _chosen(self) -> None:
        self._follow()
        self.refresh()
        self.changed.emit()

    def _put(self, deviations: float) -> None:
        deviations = min(max(deviations, LOW_SD), HIGH_SD)
        for part, value in ((self.slider, step_of(deviations)), (self.deviations, deviations)):
            before = part.blockSignals(True)  # both say the same; neither may answer the other
            part.setValue(value)
            part.blockSignals(before)

    def _view_moved(self, _event: object = None) -> None:
        if self.live.isChecked():
            self._timer.start()

    def _show_positives(self) -> None:
        prepared: Prepared | None = self.session.prepared
        if prepared is None or self.sample is None or not self.live.isChecked():
            self.positives.hide(self.session.section_id)
            return
        self.positives.show(prepared, self.sample.gate, self.threshold)


def deviations_of(step: int) -> float:
    """Return the SDs of a step of the slider, which runs by ratios.

    Examples
    --------
    >>> deviations_of(0), round(deviations_of(200), 1), deviations_of(400)
    (2.0, 10.0, 50.0)
    """
    return float(LOW_SD * (HIGH_SD / LOW_SD) ** (step / _STEPS))


def step_of(deviations: float) -> int:
    """Return the step of the slider that is nearest to so many SDs."""
    return round(_STEPS * math.log(deviations / LOW_SD) / math.log(HIGH_SD / LOW_SD))

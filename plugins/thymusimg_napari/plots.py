"""Curves of a section: profiles along the axis, L(r), spectra. Matplotlib is loaded when the first is drawn."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtWidgets import QComboBox, QVBoxLayout, QWidget

from thymusimg.measurements.table_columns import SECTION_CURVES
from thymusimg.report.curves import LOG_TICKS, SHOWN
from thymusimg_napari.widgets.parts import words

if TYPE_CHECKING:
    import pandas as pd

    from thymusimg.measurements.schema import Curve

FIRST = (
    "cd45_profile_cma",
    "cd45_l",
    "cd45_profile_cmj",
    "cd45_profile_depth",
    "k14_profile_cmj",
    "k8_profile_cmj",
)
"""Stand at the head of the list."""
TITLES = {shown.curve: (shown.title, shown.x_label) for shown in SHOWN}
LINE = "#e0523f"
LABEL_SIGNS = 44
"""A longer label of an axis is broken: a dock is narrow."""


class CurvePlot(QWidget):
    """One curve at a time, with its interval or envelope as a band; why it is undefined, where it is."""

    def __init__(self) -> None:
        super().__init__()
        self.pick = QComboBox()
        self.pick.currentIndexChanged.connect(lambda _index: self.draw())
        self.says = words()
        self._curves: pd.DataFrame | None = None
        self._canvas: Any = None
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 4, 0, 0)
        self._layout.addWidget(self.pick)
        self._layout.addWidget(self.says)
        self._layout.addStretch(1)

    def put(self, curves: pd.DataFrame | None) -> None:
        """Show the curves of a section; None: there are none yet."""
        self._curves = curves
        chosen = self.pick.currentData()
        self.pick.blockSignals(True)
        self.pick.clear()
        for curve, compartment in _listed(curves):
            title = TITLES.get(curve.name, (curve.name.replace("_", " "), ""))[0]
            self.pick.addItem(f"{title}, {compartment}" if compartment else title, (curve.name, compartment))
        at = self.pick.findData(chosen)
        self.pick.setCurrentIndex(max(at, 0) if self.pick.count() else -1)
        self.pick.blockSignals(False)
        self.draw()

    def showEvent(self, event: Any) -> None:
        """Draw when the plot is looked at first."""
        super().showEvent(event)
        self.draw()

    def draw(self) -> None:
        """Draw the chosen curve, if anybody looks."""
        chosen = self.pick.currentData()
        if self._curves is None or chosen is None:
            self.says.setText("Measure the section to see its curves.")
            if self._canvas is not None:
                self._canvas.hide()
            return
        if not self.isVisible():
            return
        name, compartment = chosen
        curve = next(curve for curve in SECTION_CURVES if curve.name == name)
        part = self._curves[(self._curves["curve"] == name) & (self._curves["compartment"] == compartment)]
        line = part[np.isfinite(part["value"].to_numpy(np.float64))]
        self.says.setText(curve.definition if len(line) else f"Undefined: {_reason(part)}")
        canvas = self._made()
        canvas.setVisible(len(line) > 0)
        if len(line):
            self._plot(canvas.figure, curve, line)
            canvas.draw_idle()

    def _made(self) -> Any:
        if self._canvas is None:
            from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
            from matplotlib.figure import Figure

            made: Any = FigureCanvasQTAgg
            self._canvas = made(Figure(figsize=(3.4, 2.6), layout="constrained"))
            self._canvas.setFixedHeight(280)
            self._canvas.figure.get_layout_engine().set(w_pad=0.15)
            self._layout.insertWidget(1, self._canvas)
        return self._canvas

    def _plot(self, figure: Any, curve: Curve, line: pd.DataFrame) -> None:
        figure.clear()
        palette = self.palette()
        back, front = palette.window().color().name(), palette.windowText().color().name()
        figure.set_facecolor(back)
        axes = figure.add_subplot()
        axes.set_facecolor(back)
        x, value, low, high = (line[name].to_numpy(np.float64) for name in ("x", "value", "low", "high"))
        if np.isfinite(low).any():
            axes.fill_between(x, low, high, color=front, alpha=0.2, linewidth=0)
        axes.plot(x, value, color=LINE, linewidth=1.6, marker="o" if len(x) < 40 else "", markersize=2.5)
        label = TITLES.get(curve.name, ("", f"{curve.x_name}, {curve.x_unit}"))[1] or curve.x_name
        axes.set_xlabel(fill(label, LABEL_SIGNS))
        axes.set_ylabel(curve.unit)
        if curve.x_name in ("wavelength", "tile side"):
            axes.set_xscale("log")
            axes.set_xticks([tick for tick in LOG_TICKS if x.min() * 0.99 <= tick <= x.max() * 1.01])
            axes.xaxis.set_major_formatter(lambda tick, _: f"{tick:g}")
            axes.xaxis.set_minor_formatter("")
        if x.min() < 0 < x.max():
            axes.axvline(0, color=front, linewidth=0.8, alpha=0.5)
        if min(value.min(), low[np.isfinite(low)].min(initial=0)) < 0:
            axes.axhline(0, color=front, linewidth=0.8, alpha=0.5)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        for side in ("left", "bottom"):
            axes.spines[side].set_color(front)
        axes.tick_params(colors=front, labelsize=8)
        axes.xaxis.label.set_color(front)
        axes.yaxis.label.set_color(front)


def _listed(curves: pd.DataFrame | None) -> list[tuple[Curve, str]]:
    if curves is None:
        return []
    there = list(dict.fromkeys(zip(curves["curve"], curves["compartment"], strict=True)))
    known = {curve.name: curve for curve in SECTION_CURVES}
    rank = {name: i for i, name in enumerate(FIRST)}
    order = sorted(range(len(there)), key=lambda i: (rank.get(there[i][0], len(FIRST)), i))
    return [(known[there[i][0]], str(there[i][1])) for i in order]


def _reason(part: pd.DataFrame) -> str:
    reasons = [str(why) for why in part["reason"] if isinstance(why, str) and why]
    return reasons[0] if reasons else "the measurement gave no number"

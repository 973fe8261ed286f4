"""The Compartments widget: find them, teach a forest, correct them, and see the junction follow."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QCheckBox, QGridLayout, QTabWidget, QWidget

from thymusimg.compartments.model import Compartment
from thymusimg_napari.contours import known_areas_mm2
from thymusimg_napari.layers import Purpose, find
from thymusimg_napari.mapping import CompartmentMap
from thymusimg_napari.widgets.classes import CLASS_KEYS
from thymusimg_napari.widgets.editing import ACTIONS, TOOLS, EditingPage
from thymusimg_napari.widgets.finding import FindingPage, share_text
from thymusimg_napari.widgets.parts import Panel, button, words
from thymusimg_napari.widgets.strokes import StrokesPage

if TYPE_CHECKING:
    from collections.abc import Callable

KEYS = {
    "C M I O Y E": "compartment",
    "B P": "brush, polygon",
    "V N": "pick, lasso",
    "G": "give the class",
    "F": "fill",
    "S": "smooth",
    "J": "merge",
    "X": "artefact",
    "Ctrl+Z": "undo",
    "Ctrl+Shift+Z": "redo",
    "D": "distances",
    "Q": "confidence",
    "H": "compartments on / off",
}
SHOWN = {
    Purpose.COMPARTMENTS: "compartments",
    Purpose.JUNCTION: "junction",
    Purpose.DISTANCE: "distances",
    Purpose.CONFIDENCE: "confidence",
}


class CompartmentsWidget(Panel):
    """Compartments of the open section."""

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer, "Compartments", keys=KEYS)
        self.desk = CompartmentMap(self.viewer, self.session)
        self.status = words("Open a section in the Section widget first.")
        self.body.addWidget(self.status)
        self.throw = button(
            self.viewer,
            "Throw these edits away",
            "cancel",
            self._throw,
            "That were put back; can be undone",
        )
        self.body.addWidget(self.throw)
        self.body.addWidget(self._show_row())
        self.pages = QTabWidget()
        self.finding = FindingPage(self)
        self.strokes = StrokesPage(self)
        self.editing = EditingPage(self)
        for page, name in ((self.finding, "Find"), (self.strokes, "Scribble"), (self.editing, "Edit")):
            self.pages.addTab(page, name)
        self.body.addWidget(self.pages, 1)
        self._said = ""
        self.desk.shown.connect(self._layer_shown)
        self.desk.changed.connect(self._show)
        self.listen(self.session.prepared_changed, self._prepared)
        self.listen(self.session.section_changed, self._section)
        self._prepared()
        self._show()

    def _show_row(self) -> QWidget:
        holder = QWidget()
        grid = QGridLayout(holder)
        grid.setContentsMargins(0, 0, 0, 0)
        self.boxes: dict[Purpose, QCheckBox] = {}
        for purpose, name in SHOWN.items():
            box = QCheckBox(name)
            box.toggled.connect(lambda on, purpose=purpose: self._set_visible(purpose, on))
            grid.addWidget(box, len(self.boxes) // 2, len(self.boxes) % 2)
            self.boxes[purpose] = box
        return holder

    # --- what the session says

    def _section(self) -> None:
        self.strokes.section_changed()
        self.finding.reset()

    def _prepared(self) -> None:
        shown = self.desk.map
        self.desk.follow()
        if self.desk.map is not shown:
            self.finding.show_settings()
        self.strokes.show_state()

    def _layer_shown(self, layer: Any) -> None:
        self.editing.take_layer(layer)
        self.bind(layer)
        for purpose in SHOWN:
            found = find(self.viewer.layers, purpose, self.session.section_id)
            if found is not None:
                found.events.visible.connect(self._visible_changed)

    def _show(self) -> None:
        prepared, edited = self.session.prepared, self.desk.map
        opened = prepared is not None and edited is not None
        self.pages.setEnabled(opened)
        self.throw.setVisible(self.desk.put_back is not None)
        self.editing.show()
        self._visible_changed()
        if not opened or prepared is None:
            self.status.setText("Open a section in the Section widget first.")
            return
        found = prepared.compartments
        length = sum(_length_um(line) for line in found.junction_um)
        notes = [f"⚠ {why}" for why in found.reasons.values()]
        busy = " (following …)" if self.desk.busy else ""
        areas = known_areas_mm2(found)
        facts = [
            f"<b>{self.session.section_id}</b> · {found.method}",
            f"medulla {share_text(found)} of {areas[Compartment.CORTEX] + areas[Compartment.MEDULLA]:.2f} mm² "
            f"cortex and medulla · junction {length / 1000:.2f} mm{busy}",
            *notes,
        ]
        if self._said:
            facts.append(f"<i>{self._said}</i>")
        self.status.setText("<br>".join(facts))

    def say(self, text: str) -> None:
        """Say something at the head of the widget."""
        self._said = text
        self._show()
        self._said = ""

    def _throw(self) -> None:
        if self.desk.map is not None:
            drawn = self.desk.map.source.drawn
            self.desk.put_back = None
            self.desk.correct("threw away the edits that were put back", drawn.labels)

    # --- what is shown

    def _set_visible(self, purpose: Purpose, on: bool) -> None:
        layer = find(self.viewer.layers, purpose, self.session.section_id)
        if layer is not None:
            layer.visible = on

    def _visible_changed(self, _event: Any = None) -> None:
        for purpose, box in self.boxes.items():
            layer = find(self.viewer.layers, purpose, self.session.section_id)
            box.blockSignals(True)
            box.setChecked(layer is not None and layer.visible)
            box.setEnabled(layer is not None)
            box.blockSignals(False)

    def show_confidence(self, *, shown: bool) -> None:
        """Show or hide how sure the method is."""
        self.boxes[Purpose.CONFIDENCE].setChecked(shown)

    # --- keys

    def bind(self, layer: Any) -> None:
        """Give a layer the widget's keys; they hold while it is selected."""
        scribbles = layer is self.strokes.layer
        for code, key in CLASS_KEYS.items():
            choose = self.strokes.choose_class if scribbles else self._choose_class
            _bind(layer, key, partial(choose, int(code)))
        _bind(layer, "B", self.strokes.paint if scribbles else lambda: self.editing.use("paint"))
        _bind(layer, "D", lambda: self.boxes[Purpose.DISTANCE].toggle())
        _bind(layer, "Q", lambda: self.boxes[Purpose.CONFIDENCE].toggle())
        _bind(layer, "H", lambda: self.boxes[Purpose.COMPARTMENTS].toggle())
        if scribbles:
            return
        for tool, (_words, key) in TOOLS.items():
            _bind(layer, key, partial(self.editing.use, tool))
        for key in ACTIONS:
            _bind(layer, key, partial(self.editing.act, key))
        _bind(layer, "Control-Z", self.desk.undo)
        _bind(layer, "Control-Shift-Z", self.desk.redo)

    def _choose_class(self, code: int) -> None:
        self.editing.choose_class(code)


def _bind(layer: Any, key: str, press: Callable[[], Any]) -> None:
    layer.bind_key(key, lambda _layer: press(), overwrite=True)


def _length_um(line: Any) -> float:
    from thymusimg.compartments.junction import contour_length

    return contour_length(line)

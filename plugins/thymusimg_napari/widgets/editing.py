"""The third page of the Compartments widget: brush, outline, correct, undo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtWidgets import QFormLayout, QGridLayout, QLineEdit, QPushButton, QVBoxLayout, QWidget

from thymusimg.compartments.corrections import (
    fill_patch,
    give_class,
    mark_artefact,
    merge_patch,
    patch_at,
    smooth_borders,
)
from thymusimg.compartments.model import Compartment
from thymusimg_napari.map_journal import TARGET
from thymusimg_napari.painting import class_name
from thymusimg_napari.selecting import Selection
from thymusimg_napari.widgets.classes import CLASS_KEYS, ClassButtons
from thymusimg_napari.widgets.parts import button, heading, side_by_side, words
from thymusimg_napari.widgets.sliders import NumberSlider, Range

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from thymusimg.section.model import Mask
    from thymusimg_napari.widgets.compartments import CompartmentsWidget

TOOLS = {
    "paint": ("Brush", "B"),
    "polygon": ("Polygon", "P"),
    "pick": ("Pick a patch", "V"),
    "lasso": ("Lasso", "N"),
}
TIPS = {
    "paint": "Paint the chosen compartment; [ and ] change the brush",
    "polygon": "Click round a region; double-click or Enter gives it the chosen compartment, Esc drops it",
    "pick": "Click a patch to select it",
    "lasso": "Draw round a region to select it",
}
SMOOTHING_UM = 15.0
_DRAGGED_PX = 4.0


class EditingPage(QWidget):
    """Everything that a person does to the map by hand."""

    def __init__(self, panel: CompartmentsWidget) -> None:
        super().__init__()
        self.panel, self.viewer, self.session, self.desk = panel, panel.viewer, panel.session, panel.desk
        self.selection = Selection(self.viewer)
        self.tool = ""
        self.code = int(Compartment.MEDULLA)
        body = QVBoxLayout(self)
        body.setContentsMargins(0, 4, 0, 0)
        body.addWidget(heading("Compartment"))
        self.classes = ClassButtons(tuple(CLASS_KEYS))
        self.classes.chosen.connect(self.choose_class)
        body.addWidget(self.classes)
        body.addWidget(heading("Tool"))
        self.tools = {name: self._tool_button(name) for name in TOOLS}
        body.addWidget(side_by_side(self.tools["paint"], self.tools["polygon"]))
        body.addWidget(side_by_side(self.tools["pick"], self.tools["lasso"]))
        self.brush = NumberSlider(Range("Brush", 2, 400, 2, " µm"), 40.0, "Width of the brush")
        self.brush.moved.connect(lambda _value: self._size_brush())
        form = QFormLayout()
        form.addRow("Brush", self.brush)
        body.addLayout(form)
        body.addWidget(words("<b>On the selection, or the patch under the cursor</b>"))
        self.actions = self._action_buttons()
        grid = QGridLayout()
        for place, made in enumerate(self.actions.values()):
            grid.addWidget(made, place // 2, place % 2)
        body.addLayout(grid)
        self.why = QLineEdit()
        self.why.setPlaceholderText("why (kept with every edit)")
        self.why.textChanged.connect(self._reason)
        body.addWidget(self.why)
        self.undo = button(self.viewer, "Undo", "previous", self.desk.undo, "Ctrl+Z")
        self.redo = button(self.viewer, "Redo", "next", self.desk.redo, "Ctrl+Shift+Z")
        body.addWidget(side_by_side(self.undo, self.redo))
        self.log = words()
        body.addWidget(self.log)
        body.addStretch(1)
        self.choose_class(self.code)

    def _tool_button(self, name: str) -> QPushButton:
        text, key = TOOLS[name]
        made = QPushButton(f"{text}  {key}")
        made.setCheckable(True)
        made.setToolTip(TIPS[name])
        made.clicked.connect(lambda _checked=False: self.use(name))
        return made

    def _action_buttons(self) -> dict[str, QPushButton]:
        made = {}
        for key, (text, tip) in ACTIONS.items():
            made[key] = QPushButton(f"{text}  {key}")
            made[key].setToolTip(tip)
            made[key].clicked.connect(lambda _checked=False, key=key: self.act(key))
        return made

    # --- what is painted, and with what

    def choose_class(self, code: int) -> None:
        """Paint this compartment from now on."""
        self.code = int(code)
        self.classes.show_chosen(self.code)
        if self.desk.layer is not None:
            self.desk.layer.selected_label = self.code

    def use(self, tool: str) -> None:
        """Take a tool in hand: paint, polygon, pick or lasso."""
        layer = self.desk.layer
        for name, made in self.tools.items():
            made.setChecked(name == tool and layer is not None)
        if layer is None:
            return
        self.panel.finding.end_preview()
        self.tool = tool
        if tool == "lasso":
            self.panel.bind(self.selection.draw(self.session.section_id))
            return
        layer.visible = True
        self.viewer.layers.selection.active = layer
        layer.mode = {"paint": "paint", "polygon": "polygon", "pick": "pan_zoom"}[tool]
        layer.selected_label = self.code
        self._size_brush()

    def take_layer(self, layer: Any) -> None:
        """Make a map that was just shown editable with the page's keys and tools."""
        layer.selected_label = self.code
        layer.mouse_drag_callbacks.append(self._clicked)
        layer.events.mode.connect(self._mode_changed)
        self.selection.clear()
        self._size_brush()
        for made in self.tools.values():
            made.setChecked(False)

    def _mode_changed(self, _event: Any = None) -> None:
        """Follow a mode that was chosen in napari's own controls."""
        mode = str(self.desk.layer.mode) if self.desk.layer is not None else ""
        name = {"paint": "paint", "polygon": "polygon"}.get(mode, self.tool if mode == "pan_zoom" else "")
        for tool, made in self.tools.items():
            made.setChecked(tool == name)

    def _size_brush(self) -> None:
        if self.desk.layer is not None and self.desk.map is not None:
            pixel_um = self.desk.map.source.drawn.grid.pixel_um
            self.desk.layer.brush_size = max(1.0, self.brush.value / pixel_um)

    # --- what is selected

    def _clicked(self, layer: Any, event: Any) -> Iterator[None]:
        if self.tool != "pick" or str(layer.mode) != "pan_zoom" or event.button != 1:
            return
        start = np.asarray(event.pos, float)
        yield
        while event.type == "mouse_move":
            yield
        if np.hypot(*(np.asarray(event.pos, float) - start)) < _DRAGGED_PX:
            self.pick(event.position)

    def pick(self, position_um: Any) -> bool:
        """Select the patch at a place in µm."""
        edited = self.desk.map
        if edited is None:
            return False
        grid = edited.source.drawn.grid
        row, col = (int(v) for v in np.rint(grid.to_index(np.asarray(position_um)[-2:])))
        found = self.selection.pick(edited.labels, grid, row, col, self.session.section_id)
        if found:
            self.panel.say(f"selected: {class_name(int(edited.labels[row, col]))}")
        return found

    def region(self) -> Mask | None:
        """Return what a correction acts on: the selection, else the patch under the cursor."""
        edited = self.desk.map
        if edited is None:
            return None
        grid = edited.source.drawn.grid
        found = self.selection.region(grid)
        if found is not None:
            return found
        row, col = (int(v) for v in np.rint(grid.to_index(np.asarray(self.viewer.cursor.position)[-2:])))
        return patch_at(edited.labels, row, col)

    # --- corrections

    def act(self, key: str) -> None:
        """Do what a key says to the selection."""
        edited, where = self.desk.map, self.region()
        if edited is None:
            return
        if where is None:
            self.panel.say("Nothing is selected: pick a patch (V), or draw round one (N).")
            return
        pixel_um = edited.source.drawn.grid.pixel_um
        what, correct = self._correction(key, pixel_um)
        self.panel.finding.end_preview()
        if self.desk.correct(what, correct(edited.labels, where)):
            self.selection.clear()
            if self.tool == "lasso":
                self.use("pick")
        else:
            self.panel.say(f"{what}: nothing changes here.")

    def _correction(self, key: str, pixel_um: float) -> tuple[str, Callable[[Any, Any], Any]]:
        if key == "G":
            name = class_name(self.code)
            return f"called a region {name}", lambda labels, where: give_class(labels, where, self.code)
        if key == "F":
            return "filled a region", fill_patch
        if key == "S":
            sigma = SMOOTHING_UM / pixel_um
            return (
                f"smoothed borders by {SMOOTHING_UM:g} µm",
                lambda labels, where: smooth_borders(labels, where, sigma),
            )
        if key == "J":
            return "merged a patch with its surroundings", merge_patch
        return "called a region an artefact", mark_artefact

    def _reason(self, text: str) -> None:
        self.desk.why = text.strip()

    # --- what was done

    def show(self) -> None:
        """Show what can be undone and the last edits."""
        edited = self.desk.map
        for made, what in (
            (self.undo, edited.can_undo if edited else ""), (self.redo, edited.can_redo if edited else ""),
        ):  # fmt: skip
            made.setEnabled(bool(what))
            made.setToolTip(f"{made.text()}: {what}" if what else "nothing")
        last = self.session.edits.of(TARGET)[-4:]
        lines = [f"{e.when[11:16]} {e.who}: {e.what}{f' – {e.why}' if e.why else ''}" for e in reversed(last)]
        self.log.setText(f"<small>{'<br>'.join(lines)}</small>")


ACTIONS = {
    "G": ("Give the class", "Gives the selection the chosen compartment"),
    "F": ("Fill", "Fills what a patch encloses"),
    "S": ("Smooth", f"Smooths the borders inside the selection by {SMOOTHING_UM:g} µm"),
    "J": ("Merge", "Joins the selection with what surrounds it"),
    "X": ("This is artefact", "Fold, tear, bubble or debris: stays tissue, is measured no more"),
}

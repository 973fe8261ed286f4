"""The second page of the Compartments widget: scribble on a few sections, train a forest, see it applied."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QFormLayout, QLineEdit, QVBoxLayout, QWidget

from thymusimg.compartments.model import Compartment
from thymusimg_napari.edits import reader_name
from thymusimg_napari.forest_work import apply_forest, look, sure_from
from thymusimg_napari.keeping import keeper_of
from thymusimg_napari.layers import KEY, Purpose, compartment_layer, replace_layer
from thymusimg_napari.scribbling import BRUSH_UM, CLASSES, Strokes, save_model, train
from thymusimg_napari.widgets.classes import ClassButtons
from thymusimg_napari.widgets.parts import button, heading, side_by_side, words
from thymusimg_napari.widgets.sliders import NumberSlider, Range

if TYPE_CHECKING:
    from thymusimg.compartments.scribbles import Look
    from thymusimg.pipeline import Prepared
    from thymusimg.progress import Progress
    from thymusimg_napari.forest_work import Shown
    from thymusimg_napari.scribbling import Trained
    from thymusimg_napari.widgets.compartments import CompartmentsWidget

NAME = "my-forest"


class StrokesPage(QWidget):
    """Strokes on several sections, a forest from them."""

    def __init__(self, panel: CompartmentsWidget) -> None:
        super().__init__()
        self.panel, self.viewer, self.session = panel, panel.viewer, panel.session
        self.strokes = Strokes()
        self.trained: Trained | None = None
        self.layer: Any = None
        body = QVBoxLayout(self)
        body.setContentsMargins(0, 4, 0, 0)
        body.addWidget(
            words("Paint a few strokes of each compartment, on two sections or more. Train, look, correct, train.")
        )
        self.start = button(self.viewer, "Scribble on this section", "run", self.begin, "Makes a layer to paint on")
        body.addWidget(self.start)
        self.classes = ClassButtons(CLASSES)
        self.classes.chosen.connect(self.choose_class)
        body.addWidget(self.classes)
        self.brush = NumberSlider(Range("Brush", 4, 200, 2, " µm"), BRUSH_UM, "Width of a stroke")
        self.brush.moved.connect(lambda _value: self._size_brush())
        form = QFormLayout()
        form.addRow("Brush", self.brush)
        body.addLayout(form)
        body.addWidget(heading("Trained on"))
        self.counts = words()
        body.addWidget(self.counts)
        self.train = button(self.viewer, "Train and apply", "run", self.train_now, "Fits a forest, shows it here")
        self.apply = button(self.viewer, "Apply only", "next", self.apply_now, "Shows the last forest here")
        self.forget = button(self.viewer, "Forget these strokes", "cancel", self.forget_now, "Of this section")
        body.addWidget(side_by_side(self.train, self.apply))
        body.addWidget(self.forget)
        self.sure = NumberSlider(
            Range("Indeterminate below", 0.0, 0.9, 0.02), 0.4, "A place whose likeliest class has less probability"
        )
        self.sure.moved.connect(lambda _value: self.apply_now())
        more = QFormLayout()
        more.addRow("Indeterminate below", self.sure)
        body.addLayout(more)
        self.says = words()
        body.addWidget(self.says)
        body.addWidget(heading("Keep the forest"))
        self.name = QLineEdit(NAME)
        self.name.setToolTip("Name of the model, in ~/.thymusimg/models; or the path of a new folder")
        self.save = button(self.viewer, "Save model", "save", self.save_now, "Any session and any run can use it")
        body.addWidget(side_by_side(self.name, self.save))
        body.addStretch(1)
        keeper_of(self.session).keep("scribbles", self._kept)
        self.show_state()

    # --- painting

    def begin(self) -> None:
        """Make a layer to scribble on, and look at the section meanwhile."""
        prepared = self.session.prepared
        if prepared is None:
            return
        grid, section_id = prepared.survey.grid, self.session.section_id
        before = self.strokes.strokes_of(section_id)
        if before is None:
            before = self._from_journal(grid.shape)
        painted = np.zeros(grid.shape, np.uint8) if before is None else before.copy()
        data, options, kind = compartment_layer(painted, grid, section_id, name="scribbles")
        options["metadata"][KEY]["purpose"] = str(Purpose.SCRIBBLES)
        options["opacity"] = 0.9
        self.layer = replace_layer(self.viewer, (data, options, kind))
        self.layer.events.paint.connect(self._painted)
        self.panel.finding.end_preview()
        self.panel.bind(self.layer)
        self.choose_class(int(Compartment.MEDULLA))
        self.paint()
        if self.strokes.look_of(section_id) is None:
            self.panel.run(
                "Looking at the section",
                lambda progress: look(prepared, progress),
                partial(self._looked, prepared),
            )

    def paint(self) -> None:
        """Take the brush in hand."""
        if self.layer is not None and self.layer in self.viewer.layers:
            self.layer.visible = True
            self.viewer.layers.selection.active = self.layer
            self.layer.mode = "paint"
            self._size_brush()

    def choose_class(self, code: int) -> None:
        """Scribble this compartment from now on."""
        self.classes.show_chosen(code)
        if self.layer is not None:
            self.layer.selected_label = int(code)
            self.paint()

    def _size_brush(self) -> None:
        if self.layer is not None and self.session.prepared is not None:
            self.layer.brush_size = max(1.0, self.brush.value / self.session.prepared.survey.grid.pixel_um)

    def _painted(self, _event: Any = None) -> None:
        QTimer.singleShot(0, self._wrote)  # napari tells of a polygon and of a fill before it writes them

    def _wrote(self) -> None:
        self._take_strokes()
        keeper_of(self.session).touch()
        self.show_state()

    def _take_strokes(self) -> None:
        if self.layer is not None and self.session.row is not None and self.layer in self.viewer.layers:
            animal = self.session.row.subject.animal
            self.strokes.put(self.session.section_id, np.asarray(self.layer.data), animal)

    def _looked(self, prepared: Prepared, found: Look | None) -> None:
        if prepared.section is not self.session.section:
            return
        if found is None:
            self.panel.say("Nothing of this section can be judged: there is no tissue away from its edge.")
            return
        self.strokes.opened(self.session.section_id, found)
        self._take_strokes()
        self.show_state()

    def forget_now(self) -> None:
        """Take this section out of the training."""
        self.strokes.forget(self.session.section_id)
        if self.layer is not None:
            self.layer.data = np.zeros_like(self.layer.data)
        keeper_of(self.session).touch()
        self.show_state()

    # --- training

    def train_now(self) -> None:
        """Fit a forest on every stroke, and show what it makes of the open section."""
        prepared, sections, least = self.session.prepared, self.strokes.sections, self.sure.value
        if prepared is None:
            return
        known = self.strokes.look_of(self.session.section_id)

        def work(progress: Progress) -> Shown:
            progress("fitting", 0.0)
            trained = train(sections)
            progress("applying", 0.5)
            return apply_forest(prepared, sure_from(trained, least), sections, known, progress)

        self.panel.run("Training", work, lambda found: self._applied(prepared, found, new=True))

    def apply_now(self) -> None:
        """Show what the last forest makes of the open section."""
        prepared, trained, least = self.session.prepared, self.trained, self.sure.value
        sections, known = self.strokes.sections, self.strokes.look_of(self.session.section_id)
        if prepared is not None and trained is not None:
            self.panel.run(
                "Applying",
                lambda progress: apply_forest(prepared, sure_from(trained, least), sections, known, progress),
                lambda found: self._applied(prepared, found, new=False),
            )

    def _applied(self, prepared: Prepared, shown: Shown, *, new: bool) -> None:
        self.trained = shown.trained
        if prepared.section is self.session.section and shown.look is not None and shown.found is not None:
            self.strokes.opened(self.session.section_id, shown.look)
            self.panel.desk.take(shown.found, shown.settings)
            self.panel.show_confidence(shown=True)
        if new:
            self._say_accuracy(shown.trained)
            self.session.record_edit(
                "trained a forest on strokes", target="model", why=self.panel.desk.why, places=shown.trained.places
            )
        self.paint()
        self.show_state()

    def _say_accuracy(self, trained: Trained) -> None:
        lines = [f"{name}: {value:.2f}" for name, value in trained.accuracy.items()]
        held = "Found again on each when it was left out (1 is all): " + ", ".join(lines) + "."
        alone = "Strokes on one section only: how it does on another is not known."
        self.says.setText(f"<small>Trained in {trained.seconds:.1f} s. {held if lines else alone}</small>")

    # --- keeping

    def save_now(self) -> None:
        """Write the last forest as a model folder, and choose it as the method."""
        if self.trained is None:
            return
        text = self.name.text().strip() or NAME
        folder = Path(text).expanduser() if "/" in text else Path("~/.thymusimg/models").expanduser() / text
        trained = sure_from(self.trained, self.sure.value)
        sections = self.strokes.sections
        who = reader_name()
        self.panel.run(
            "Saving the model",
            lambda _progress: save_model(trained, folder, who=who, sections=sections),
            lambda model: self._saved(model.folder, model.card.name),
        )

    def _saved(self, folder: Path, name: str) -> None:
        self.panel.finding.list_methods(name)
        if self.panel.finding.method.currentData()[0] != name or "/" in self.name.text():
            self.panel.finding.list_methods(str(folder))
        self.panel.say(f"The forest '{name}' is in {folder}; it is now the method on the first page.")

    def _kept(self) -> tuple[dict[str, Any], dict[str, Any]]:
        if self.layer is None or not np.any(self.layer.data):
            return {}, {}
        return {"scribbles": np.asarray(self.layer.data).copy()}, {}

    def _from_journal(self, shape: tuple[int, ...]) -> Any:
        snapshot = keeper_of(self.session).restored()
        found = None if snapshot is None else snapshot.arrays.get("scribbles")
        return found if found is not None and found.shape == shape else None

    # --- what stands there

    def section_changed(self) -> None:
        """Let go of the section before; its strokes stay."""
        self.layer = None
        self.strokes.left()
        self.show_state()

    def show_state(self) -> None:
        """Show the strokes of every section, and what can be done."""
        lines = [
            f"<b>{section}</b>: {', '.join(f'{what} {n}' for what, n in counts.items()) or 'nothing judged'}"
            for section, counts in self.strokes.places().items()
        ]
        self.counts.setText("<br>".join(lines) or "no strokes yet (places of 4 µm are counted)")
        opened = self.session.prepared is not None
        self.start.setEnabled(opened)
        self.train.setEnabled(opened and bool(lines))
        self.apply.setEnabled(opened and self.trained is not None)
        self.forget.setEnabled(self.strokes.strokes_of(self.session.section_id) is not None)
        self.sure.setEnabled(self.trained is not None)
        self.save.setEnabled(self.trained is not None)

"""The first page of the Compartments widget: which method, with which settings, seen before it is run."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QComboBox, QFormLayout, QSizePolicy, QVBoxLayout, QWidget

from thymusimg.compartments.methods import find_division
from thymusimg.compartments.model import Compartment
from thymusimg.compartments.preview import Sketch, sketch_section
from thymusimg.models.find import list_models
from thymusimg.settings.compartments import CompartmentSettings
from thymusimg_napari.contours import known_areas_mm2, same_selection
from thymusimg_napari.jobs import Latest
from thymusimg_napari.layers import KEY, Purpose, compartment_layer, find, replace_layer
from thymusimg_napari.widgets.parts import PathField, button, side_by_side, words
from thymusimg_napari.widgets.sliders import NumberSlider, Range

if TYPE_CHECKING:
    from thymusimg.compartments.model import Compartments
    from thymusimg.compartments.preview import Tried
    from thymusimg.pipeline import Prepared
    from thymusimg.progress import Progress
    from thymusimg.settings import Settings
    from thymusimg_napari.widgets.compartments import CompartmentsWidget

SLIDERS = {
    "medulla_cut": Range("Medulla from a share of", 0.05, 0.95, 0.01),
    "k14_cut": Range("K14 present from", 0.05, 0.95, 0.01),
    "k8_cut": Range("K8 present from", 0.05, 0.95, 0.01),
    "mixed_share": Range("Mixed within", 0.0, 0.95, 0.01),
    "mixed_width_um": Range("Mixed if wider than", 10, 300, 5, " µm"),
    "min_contrast": Range("Least contrast", 1.05, 4.0, 0.05),
    "min_islet_um2": Range("Smallest islet", 0, 20_000, 250, " µm²"),
    "capsule_um": Range("Capsule at most", 0, 100, 2, " µm"),
    "junction_smoothing_um": Range("Junction smoothed by", 2, 40, 1, " µm"),
}
"""Settings that can be tried with a slider."""
DEBOUNCE_MS = 60
WHOLE, VIEW = "Whole section", "Only what the view shows"
KERATIN = "Keratin rule"


class FindingPage(QWidget):
    """Method, settings with a live preview, run."""

    def __init__(self, panel: CompartmentsWidget) -> None:
        super().__init__()
        self.panel, self.viewer, self.session = panel, panel.viewer, panel.session
        self._latest = Latest("Trying settings")
        self._sketch: tuple[Prepared, Sketch] | None = None
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(DEBOUNCE_MS)
        self._pause.timeout.connect(self._try)
        self.tried: Tried | None = None
        self.method = QComboBox()
        self.method.setToolTip("The rule, or a trained model; 'thymusimg models' lists them")
        self.method.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.method.setMinimumContentsLength(12)
        self.method.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.method.currentIndexChanged.connect(lambda _index: self._chosen())
        self.folder = PathField(self.viewer, caption="Open a model folder", hint="or a model folder", folder=True)
        self.folder.chosen.connect(self.use_model)
        self.where = QComboBox()
        self.where.addItems([WHOLE, VIEW])
        self.where.setToolTip(
            "In the view: levels are still the whole section's, but only what is seen is replaced"
        )
        self.run = button(self.viewer, "Run", "run", self.run_method, "Runs the method with these settings")
        self.back = button(
            self.viewer, "Back", "previous", self.reset, "Settings of the compartments that are shown"
        )
        body = QVBoxLayout(self)
        body.setContentsMargins(0, 4, 0, 0)
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.addRow("Method", self.method)
        form.addRow("Model", self.folder)
        form.addRow("Where", self.where)
        body.addLayout(form)
        self.about = words()
        body.addWidget(self.about)
        body.addWidget(words("<b>Settings of the rule</b>: move one to see what it would change"))
        sliders = QFormLayout()
        # beside their words, sliders would be a few pixels long in a dock
        sliders.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapAllRows)
        sliders.setVerticalSpacing(2)
        self.sliders: dict[str, NumberSlider] = {}
        defaults = CompartmentSettings()
        for name, what in SLIDERS.items():
            tip = str(CompartmentSettings.model_fields[name].description or "")
            slider = NumberSlider(what, float(getattr(defaults, name)), tip)
            slider.moved.connect(lambda _value: self._pause.start())
            self.sliders[name] = slider
            sliders.addRow(what.words, slider)
        body.addLayout(sliders)
        self.says = words()
        body.addWidget(self.says)
        body.addWidget(side_by_side(self.run, self.back))
        body.addStretch(1)
        self.list_methods()

    # --- which method

    def list_methods(self, choose: str = "keratin") -> None:
        """List the rule and every installed model."""
        self.method.blockSignals(True)
        self.method.clear()
        self.method.addItem(KERATIN, ("keratin", "needs no training; reads both keratins' levels from the section"))
        models, _faults = list_models()
        for model in models:
            if model.card.task == "compartments":
                kind = "Network" if model.card.kind == "unet" else "Forest"
                about = model.card.summary or f"{model.folder}"
                self.method.addItem(f"{kind} · {model.card.name}", (model.card.name, about))
        found = [i for i in range(self.method.count()) if self.method.itemData(i)[0] == choose]
        if not found:
            self.method.addItem(f"Model folder · {choose}", (choose, choose))
            found = [self.method.count() - 1]
        self.method.setCurrentIndex(found[0])
        self.method.blockSignals(False)
        self._chosen()

    def use_model(self, folder: str) -> None:
        """Take a model by the path of its folder."""
        self.list_methods(folder)

    def _chosen(self) -> None:
        name, about = self.method.currentData()
        self.about.setText(f"<small>{about}</small>")
        for key, slider in self.sliders.items():
            # a model brings its own; the frame around it is everybody's
            slider.setEnabled(name == "keratin" or key in ("min_islet_um2", "capsule_um", "junction_smoothing_um"))

    # --- settings

    def chosen_settings(self) -> Settings:
        """Return the session's settings with the method and the sliders of this page."""
        values = {name: slider.value for name, slider in self.sliders.items()}
        values |= {"method": self.method.currentData()[0]}
        compartments = self.session.settings.compartments.model_copy(update=values)
        return self.session.settings.model_copy(update={"compartments": compartments})

    def show_settings(self) -> None:
        """Set the sliders to the settings of the compartments that are shown."""
        prepared = self.session.prepared
        settings = (prepared.settings if prepared is not None else self.session.settings).compartments
        for name, slider in self.sliders.items():
            slider.set_value(float(getattr(settings, name)))

    def reset(self) -> None:
        """Forget the preview and take the settings of what is shown."""
        self._pause.stop()
        self.end_preview()
        self.show_settings()

    # --- preview

    def _try(self) -> None:
        prepared = self.session.prepared
        if prepared is None or self.method.currentData()[0] != "keratin":
            return
        settings = self.chosen_settings().compartments
        self._latest.ask(
            lambda _progress: self._attempt(prepared, settings), lambda found: self._show_tried(prepared, *found)
        )

    def _attempt(self, prepared: Prepared, settings: CompartmentSettings) -> tuple[Tried, float]:
        start = time.perf_counter()
        if self._sketch is None or self._sketch[0].survey is not prepared.survey:
            self._sketch = prepared, sketch_section(prepared.planes, prepared.tissue, prepared.survey.grid)
        return self._sketch[1].attempt(settings), time.perf_counter() - start

    @property
    def trying(self) -> bool:
        """Whether a preview is still to come."""
        return self._pause.isActive() or not self._latest.idle

    def _show_tried(self, prepared: Prepared, tried: Tried, seconds: float) -> None:
        if self.session.prepared is None or prepared.section is not self.session.section:
            return
        self.tried = tried
        data, options, kind = compartment_layer(tried.labels, tried.grid, self.session.section_id, name="preview")
        options["metadata"][KEY]["purpose"] = str(Purpose.PREVIEW)
        layer = find(self.viewer.layers, Purpose.PREVIEW, self.session.section_id)
        if layer is not None and layer.data.shape == data.shape:
            layer.data = data
        else:
            with same_selection(self.viewer):
                layer = replace_layer(self.viewer, (data, options, kind))
                layer.editable = False
        self._hide_own(hidden=True)
        now = share_text(self.session.prepared.compartments)
        pixels = "" if tried.grid == prepared.survey.grid else f", seen at {tried.grid.pixel_um:g} µm"
        note = f"<br>{tried.note}" if tried.note else ""
        self.says.setText(
            f"<b>Preview</b>: medulla {percent(tried.medulla_share)} of cortex and medulla (now {now}).{note}<br>"
            f"<small>{seconds:.2f} s{pixels}. Nothing is changed until Run.</small>"
        )

    def end_preview(self) -> None:
        """Take the preview away."""
        self.tried = None
        layer = find(self.viewer.layers, Purpose.PREVIEW)
        if layer is not None:
            with same_selection(self.viewer):
                self.viewer.layers.remove(layer)
            self._hide_own(hidden=False)
        self.says.setText("")

    def _hide_own(self, *, hidden: bool) -> None:
        layer = self.panel.desk.layer
        if layer is not None and layer in self.viewer.layers:
            layer.visible = not hidden

    # --- run

    def run_method(self) -> None:
        """Run the method on the section."""
        prepared, desk = self.session.prepared, self.panel.desk
        if prepared is None or desk.map is None:
            return
        settings = self.chosen_settings()
        view = view_box(desk.layer) if self.where.currentText() == VIEW else None
        done = partial(self._ran, prepared, settings, view)
        self.panel.run("Drawing compartments", lambda progress: draw(prepared, settings, progress), done)

    def _ran(
        self, prepared: Prepared, settings: Settings, view: tuple[slice, slice] | None, found: Compartments
    ) -> None:
        desk = self.panel.desk
        if prepared.section is not self.session.section or desk.map is None:
            return
        self.end_preview()
        if view is None:
            desk.take(found, settings)
            return
        labels = desk.map.labels.copy()
        labels[view] = found.labels[view]
        desk.correct(f"took {found.method} inside the view", labels)


def draw(prepared: Prepared, settings: Settings, progress: Progress) -> Compartments:
    """Run the method that settings name on a prepared section; work for a job."""
    progress("compartments", 0.0)
    divide = find_division(settings.compartments.method, compute=settings.compute, progress=progress)
    found = divide(prepared.planes, prepared.tissue, prepared.survey.grid, settings.compartments)
    progress("compartments", 1.0)
    return found


def view_box(layer: Any) -> tuple[slice, slice]:
    """Return the part of a layer that the window shows."""
    (top, left), (bottom, right) = np.asarray(layer.corner_pixels)[:, -2:]
    return slice(int(top), int(bottom) + 1), slice(int(left), int(right) + 1)


def share_text(compartments: Compartments) -> str:
    """Return the share of medulla in cortex and medulla, for people."""
    areas = known_areas_mm2(compartments)
    medulla, cortex = areas[Compartment.MEDULLA], areas[Compartment.CORTEX]
    return percent(medulla / (medulla + cortex) if medulla + cortex else float("nan"))


def percent(share: float) -> str:
    """Return a share in words."""
    return f"{100 * share:.1f} %" if np.isfinite(share) else "undefined"

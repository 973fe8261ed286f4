"""The Cells widget: find the human CD45+ cells, set their gate, look at them and put them right."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QComboBox

from thymusimg.cells.gating import sample_gate
from thymusimg.errors import CallError
from thymusimg.pipeline import count_cells, place_cells
from thymusimg_napari import jobs
from thymusimg_napari.cell_counts import counted_rows
from thymusimg_napari.cell_journal import kept, restore
from thymusimg_napari.cell_methods import cell_methods
from thymusimg_napari.cells_shown import cells_shown
from thymusimg_napari.controls import control_rows, measure_controls
from thymusimg_napari.keeping import keeper_of
from thymusimg_napari.trial import hide_trial, show_trial, trial
from thymusimg_napari.views import view_window
from thymusimg_napari.widgets.gating import GateBox
from thymusimg_napari.widgets.parts import Panel, PathField, button, heading, side_by_side, words
from thymusimg_napari.widgets.reviewing import KEYS, ReviewBox
from thymusimg_napari.widgets.row_table import RowTable

if TYPE_CHECKING:
    from thymusimg.cells.gate import ControlEvidence
    from thymusimg.cells.model import Cells
    from thymusimg.pipeline import Counted, Prepared
    from thymusimg.progress import Progress
    from thymusimg.section.model import Section

FOLDER = "a model folder or weights …"


class CellsWidget(Panel):
    """Find, gate and correct the cells of the open section."""

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer, "Cells", keys=KEYS)
        self.shown = cells_shown(self.viewer)
        self.controls: tuple[ControlEvidence, ...] = ()
        self._section: object = None
        self._placing = jobs.Latest("Placing cells")
        self._sampling = jobs.Latest("Reading CD45")
        self._add_finding()
        self._add_gate()
        self._add_review()
        self._add_counts()
        self.body.addStretch(1)
        # held by the session alone: edited cells are kept when this widget is closed too
        keeper_of(self.session).keep("cells", partial(kept, self.session))
        self.listen(self.session.section_changed, self._forget)
        self.listen(self.session.study_changed, self._show_controls)
        self.listen(self.session.prepared_changed, self._prepared)
        self.listen(self.session.counted_changed, self._show_counts)
        self._show_controls()
        self._prepared()
        self._show_counts()

    def _add_finding(self) -> None:
        self.state = words()
        self.body.addWidget(self.state)
        self.method = QComboBox()
        for name, said in cell_methods():
            self.method.addItem(said, name)
        self.method.addItem(FOLDER, None)
        self.method.activated.connect(lambda _index: self._show_path())
        index = self.method.findData(self.session.settings.cells.method)
        self.method.setCurrentIndex(max(index, 0))
        self.path = PathField(
            self.viewer, caption="A model folder", hint="folder of a model, or weights", folder=True
        )
        self.find_view = button(
            self.viewer,
            "Find in view",
            "target",
            self.look_in_view,
            "A trial: the section's numbers stay as they are",
        )
        self.find = button(self.viewer, "Find in section", "run", self.find_cells)
        self.body.addWidget(self.method)
        self.body.addWidget(self.path)
        self.body.addWidget(side_by_side(self.find_view, self.find))
        self._show_path()

    def _add_gate(self) -> None:
        self.body.addWidget(heading("Gate"))
        self.gate = GateBox(self.viewer, self.session)
        self.gate.changed.connect(self._show_state)
        self.measure_controls = button(
            self.viewer, "Measure the negative controls", "run", self.read_controls,
            "The sections that the study table marks negative_control",
        )  # fmt: skip
        self.body.addWidget(self.gate)
        self.body.addWidget(self.measure_controls)

    def _add_review(self) -> None:
        self.body.addWidget(heading("Review"))
        self.review = ReviewBox(self.viewer, self.session, self.shown)
        self.review.edited.connect(keeper_of(self.session).touch)
        self.body.addWidget(self.review)

    def _add_counts(self) -> None:
        self.body.addWidget(heading("Cells per compartment"))
        self.counts = RowTable(["", "cells", "found", "1/mm²"], stretch=0)
        self.counts.setMinimumHeight(150)
        self.body.addWidget(self.counts)

    # --- the section

    def _forget(self) -> None:
        self._section = None
        self.gate.show_sample(None)
        self.review.begin_anew()
        self._show_state()

    def _prepared(self) -> None:
        """Read CD45 of a new section; place the cells anew in changed compartments; take up what was left."""
        prepared = self.session.prepared
        self._show_state()
        if prepared is None:
            self.gate.show_sample(None)
            return
        if self._section is not prepared.section:
            self._section = prepared.section
            self._sample(prepared)
            if restore(self.session, prepared):
                self.review.begin_anew()
        elif self.session.counted is not None and self.session.counted.cells is not None:
            self._place_again(self.session.counted.cells, prepared)

    def _sample(self, prepared: Prepared) -> None:
        if "cd45" not in prepared.section.roles:
            return
        controls, settings = self.controls, self.session.settings

        def work(progress: Progress) -> Any:
            return prepared.section, sample_gate(
                prepared.section, prepared.correction, prepared.compartments, settings.gate,
                controls=controls, threads=settings.compute.threads, progress=progress,
            )  # fmt: skip

        self._sampling.ask(work, self._sampled)

    def _sampled(self, result: Any) -> None:
        section, sample = result
        if section is self.session.section:
            self.gate.show_sample(sample)

    def _place_again(self, cells: Cells, prepared: Prepared) -> None:
        def work(_progress: Progress) -> Any:
            return cells, place_cells(cells, prepared.compartments, prepared.settings.measurements)

        self._placing.ask(work, self._placed_again)

    def _placed_again(self, result: Any) -> None:
        before, cells = result
        if self.session.counted is not None and self.session.counted.cells is before:
            self.session.set_cells(cells)

    # --- controls

    def _show_controls(self) -> None:
        rows = control_rows(self.session.study)
        self.controls = ()
        self.measure_controls.setVisible(bool(rows))
        self.measure_controls.setText(f"Measure the {len(rows)} negative control(s)")

    def read_controls(self) -> None:
        """Measure the study's negative controls; their gate becomes a line on the histogram."""
        rows, settings = control_rows(self.session.study), self.session.settings
        self.run("Measuring controls", lambda p: measure_controls(rows, settings, p), self._controlled)

    def _controlled(self, controls: tuple[ControlEvidence, ...]) -> None:
        self.controls = controls
        if self.session.prepared is not None:
            self._sample(self.session.prepared)

    # --- finding

    def chosen_method(self) -> str:
        """Return the method as the settings name it.

        Raises
        ------
        CallError
            If a folder is to be named and none is.
        """
        name = self.method.currentData()
        if name is not None:
            return str(name)
        if self.path.path is None:
            raise CallError("cells: name the folder of a model or a file of weights first")
        return str(self.path.path)

    def _asked(self) -> tuple[Prepared, tuple[ControlEvidence, ...]] | None:
        """Return the section with the settings as they stand in the widget."""
        prepared = self.session.prepared
        if prepared is None:
            return None
        settings = self.session.settings
        deviations = self.gate.own_deviations
        settings = settings.model_copy(
            update={
                "cells": settings.cells.model_copy(update={"method": self.chosen_method()}),
                "gate": settings.gate.model_copy(update={"deviations": deviations}),
            }
        )
        self.session.set_settings(settings)
        used = {name: getattr(settings, name) for name in ("cells", "gate", "measurements", "compute")}
        asked = replace(prepared, settings=prepared.settings.model_copy(update=used))
        return asked, self.controls if self.gate.by_controls else ()

    def _begin(self) -> tuple[Prepared, tuple[ControlEvidence, ...]] | None:
        try:
            return self._asked()
        except CallError as error:
            jobs.tell(error)
            return None

    def find_cells(self) -> None:
        """Find the cells of the section with the method and the gate that are set."""
        if (asked := self._begin()) is not None:
            prepared, controls = asked
            self.run("Finding cells", lambda p: count_cells(prepared, controls=controls, progress=p), self._counted)

    def _counted(self, counted: Counted) -> None:
        prepared = self.session.prepared
        if prepared is None or counted.prepared.section is not self.session.section:
            return
        if counted.cells is not None and counted.prepared.compartments is not prepared.compartments:
            # they were edited while cells were looked for
            cells = place_cells(counted.cells, prepared.compartments, counted.prepared.settings.measurements)
            now = replace(counted.prepared, compartments=prepared.compartments)
            counted = replace(counted, prepared=now, cells=cells)
        dropping = ", dropping corrections" if self.session.original_cells is not None else ""
        self.session.set_counted(counted)
        if counted.cells is None:
            jobs.tell(CallError(f"No cells: {counted.cells_reason}.{self._what_to_do()}"))
        gate = counted.cells.gate if counted.cells is not None else None
        self.session.record_edit(
            f"found cells by {counted.prepared.settings.cells.method}{dropping}",
            target="run", gate=None if gate is None else gate.threshold,
            gate_source="" if gate is None else gate.source,
            deviations=counted.prepared.settings.gate.deviations,
            cells=0 if counted.cells is None else len(counted.cells.table),
        )  # fmt: skip
        hide_trial(self.viewer, counted.prepared.section.section_id)
        self.review.begin_anew()
        self.gate.refresh()

    def look_in_view(self) -> None:
        """Find the cells of the view as a trial."""
        if (asked := self._begin()) is not None:
            prepared, controls = asked
            work = trial(prepared, controls, self.gate.sample, view_window(self.viewer, prepared.section))
            self.run("Finding cells in view", work, self._tried)

    def _tried(self, result: tuple[Section, Cells]) -> None:
        section, cells = result
        if section is self.session.section:
            show_trial(self.viewer, cells, section.section_id)
            self.state.setText(
                f"Trial: {len(cells.table)} cells in the view (cyan). They do not count for the section."
            )

    # --- what there is

    def _show_path(self) -> None:
        self.path.setVisible(self.method.currentData() is None)

    def _show_state(self) -> None:
        prepared, counted = self.session.prepared, self.session.counted
        for part in (self.find, self.find_view):
            part.setEnabled(prepared is not None)
        if prepared is None:
            self.state.setText("Open a section in the Section widget first.")
        elif counted is None:
            self.state.setText(f"{prepared.section.section_id}: cells were not looked for yet.")
        elif counted.cells is None:
            self.state.setText(f"No cells: {counted.cells_reason}.{self._what_to_do()}")
        else:
            cells, gate = counted.cells, f"{counted.cells.gate.threshold:.4g}"
            self.state.setText(f"<b>{len(cells.table):,} cells</b> by {cells.method}, gate {gate}")

    def _what_to_do(self) -> str:
        prepared = self.session.prepared
        mapped = prepared is None or "cd45" in prepared.section.roles
        return "" if mapped else " Say in the Section widget which channel it is, if the slide has one."

    def _show_counts(self) -> None:
        """Count the cells of every compartment, beside what the method found."""
        self._show_state()
        self.review.refresh()
        prepared, counted = self.session.prepared, self.session.counted
        cells = None if counted is None else counted.cells
        if prepared is None or cells is None or "compartment" not in cells.table:
            self.counts.fill([])
            return
        self.counts.fill(counted_rows(cells, self.session.original_cells, prepared.compartments))

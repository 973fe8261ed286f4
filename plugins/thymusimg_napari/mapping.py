"""The map of compartments in a viewer: shown, painted, corrected, undone, kept. Its lines follow in a thread."""

from __future__ import annotations

import weakref
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal
from qtpy.QtCore import QTimer

from thymusimg.compartments.edited import redraw
from thymusimg.compartments.model import Compartment
from thymusimg_napari.contours import same_selection, show_confidence, show_lines
from thymusimg_napari.following import Follower, with_contours
from thymusimg_napari.keeping import keeper_of
from thymusimg_napari.layers import compartment_layer, replace_layer
from thymusimg_napari.line_widths import keep_lines_visible
from thymusimg_napari.map_journal import TARGET, kept, rebuilt
from thymusimg_napari.painting import EditedMap, Source, class_name, painted_box

if TYPE_CHECKING:
    from collections.abc import Callable

    from thymusimg.compartments.model import Compartments
    from thymusimg.section.model import LabelPlane, Section
    from thymusimg.settings import Settings
    from thymusimg_napari.autosave import Snapshot
    from thymusimg_napari.contours import Contours
    from thymusimg_napari.following import Drawn
    from thymusimg_napari.painting import Box, Change
    from thymusimg_napari.session import Session

_VERBS = {"paint": "painted", "polygon": "outlined", "fill": "filled", "erase": "erased"}
_CODES = frozenset(int(code) for code in Compartment)
_NEWEST: weakref.WeakKeyDictionary[Session, CompartmentMap] = weakref.WeakKeyDictionary()


class CompartmentMap:
    """The compartments of the open section as one editable layer.

    Attributes
    ----------
    map : EditedMap or None
    layer : Labels layer or None
    why : str
        What the person gives as the reason; noted with every edit.
    put_back : Snapshot or None
        Unsaved edits that were found and put back when the section was opened.
    """

    changed = Signal()
    shown = Signal(object)
    """A layer that is to be edited was put into the viewer."""

    def __init__(self, viewer: Any, session: Session) -> None:
        self.viewer, self.session = viewer, session
        self.map: EditedMap | None = None
        self.layer: Any = None
        self.why = ""
        self.put_back: Snapshot | None = None
        self._section: Section | None = None
        self._own = False
        self._follower = Follower()
        self._widths = keep_lines_visible(viewer)
        session.when_settled = self.when_settled
        keeper_of(session).keep(TARGET, self._kept)
        _NEWEST[session] = self

    @property
    def retired(self) -> bool:
        """Whether another panel of the window took over: napari may keep a closed one alive."""
        return _NEWEST.get(self.session) is not self

    @property
    def busy(self) -> bool:
        """Whether the junction is still to follow."""
        return self._follower.busy

    def when_settled(self, act: Callable[[], None]) -> None:
        """Call ``act`` when the session's compartments are those that are shown: now, or once they followed."""
        self._follower.when_settled(act)

    # --- what the session says

    def follow(self) -> None:
        """Show the session's compartments, unless they are the ones that are shown."""
        prepared = self.session.prepared
        if self._own or self.retired:
            return
        if prepared is None:
            self.map = self.layer = self._section = self.put_back = None
            self._follower.forget()
            self.changed.emit()
            return
        source = Source(self.session.original or prepared.compartments, prepared.settings)
        opened = self._section is not self.session.section
        if not opened and self.map is not None and np.array_equal(self.map.labels, prepared.compartments.labels):
            return
        self._section = self.session.section
        self._show(EditedMap(source, prepared.compartments.labels.copy()), prepared.compartments)
        if opened:
            self._find_journal()
        self.changed.emit()

    def _show(self, edited: EditedMap, compartments: Compartments) -> None:
        with same_selection(self.viewer):
            data = compartment_layer(edited.labels, compartments.grid, self.session.section_id)
            self.layer = replace_layer(self.viewer, data)
        edited.labels = self.layer.data  # one array: what is painted is what is noted
        self.map = edited
        self.layer.events.paint.connect(self._painted)
        self.layer.events.selected_label.connect(self._only_compartments)
        self._draw(*with_contours(compartments))
        self.shown.emit(self.layer)

    def _draw(self, compartments: Compartments, contours: Contours) -> None:
        show_lines(self.viewer, compartments, contours, self.session.section_id)
        show_confidence(self.viewer, compartments, self.session.section_id)
        self._widths.fit()

    def _only_compartments(self, _event: Any = None) -> None:
        if self.layer is not None and int(self.layer.selected_label) not in _CODES:
            self.layer.selected_label = int(Compartment.MEDULLA)

    # --- what a person does

    def _painted(self, event: Any) -> None:
        if self.map is None or self.retired:
            return
        mode, code = str(self.layer.mode), int(self.layer.selected_label)
        verb = _VERBS.get(mode, "painted")
        gone = mode == "erase" or code == Compartment.BACKGROUND
        what = "erased tissue" if gone else f"{verb} {class_name(code)}"
        box, edited = painted_box(event.value), self.map
        change = edited.took(what, box)
        if change is not None:
            self._took(change)
        else:  # napari tells of a polygon and of a fill before it writes them
            QTimer.singleShot(0, lambda: self._wrote(edited, what, box))

    def _wrote(self, edited: EditedMap, what: str, box: Box | None) -> None:
        if edited is self.map and not self.retired:
            self._took(edited.took(what, box))

    def correct(self, what: str, labels: LabelPlane) -> bool:
        """Put corrected labels in place of these; whether anything changed."""
        change = None if self.map is None else self.map.put(what, labels)
        if change is not None:
            self.layer.refresh()
            self._took(change)
        return change is not None

    def undo(self) -> None:
        """Take the last step back; that is an edit too."""
        change = None if self.map is None else self.map.undo()
        if change is not None:
            self._stepped("undid", change, change.source_before)

    def redo(self) -> None:
        """Do again what was undone."""
        change = None if self.map is None else self.map.redo()
        if change is not None:
            self._stepped("redid", change, change.source_after)

    def _stepped(self, verb: str, change: Change, source: Source) -> None:
        self.layer.refresh()
        if change.source_before is not change.source_after:
            self._set_source(source)
        self._took(replace(change, what=f"{verb}: {change.what}"))

    def _took(self, change: Change | None) -> None:
        if change is None or self.map is None:
            return
        rows, cols = change.box
        self.session.record_edit(
            change.what, target=TARGET, why=self.why, pixels=change.pixels,
            area_um2=round(change.pixels * self.map.source.drawn.grid.pixel_um ** 2, 1),
            box_px=[rows.start, cols.start, rows.stop, cols.stop],
        )  # fmt: skip
        self._follower.soon(self._follow_lines)
        self.changed.emit()

    def take(self, compartments: Compartments, settings: Settings) -> None:
        """Take what a method drew, in place of everything; undo brings back what was there."""
        prepared = self.session.prepared
        if self.map is None or prepared is None:
            return
        was_edited = self.map.edited
        source = Source(compartments, settings)
        change = self.map.put(f"ran {compartments.method}", compartments.labels, source)
        self._set_source(source)
        self.layer.refresh()
        self._draw(*with_contours(compartments))
        keeper_of(self.session).touch()
        if was_edited and change is not None:
            self.session.record_edit(
                f"replaced the edited compartments by {compartments.method}", target=TARGET, why=self.why,
                pixels=change.pixels,
            )  # fmt: skip
        self.changed.emit()

    def _set_source(self, source: Source) -> None:
        if self.session.prepared is None:
            return
        self._own = True
        try:
            self.session.set_settings(source.settings)
            self.session.set_prepared(
                replace(self.session.prepared, settings=source.settings, compartments=source.drawn)
            )
        finally:
            self._own = False

    # --- the junction and the distances follow

    def _follow_lines(self) -> None:
        if self.map is None or self._section is not self.session.section:  # another one was opened in the pause
            return
        source, labels, section = self.map.source, self.map.labels.copy(), self.session.section
        self._follower.now(
            lambda _progress: with_contours(redraw(source.drawn, labels, source.settings.compartments)),
            lambda found: self._redrawn(found, source, section),
        )

    def _redrawn(self, drawn: Drawn, source: Source, section: Section | None) -> None:
        if section is not self.session.section or self.map is None or self.map.source is not source:
            return
        self._own = True
        try:
            self.session.set_compartments(drawn[0])
        finally:
            self._own = False
        self._draw(*drawn)
        self.changed.emit()

    # --- nothing is lost

    def _kept(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return kept(self.map)

    def _find_journal(self) -> None:
        """Put back the unsaved edits that a killed window left, if there are any."""
        self.put_back = None
        snapshot = keeper_of(self.session).restored()
        prepared, section = self.session.prepared, self.session.section
        if snapshot is None or prepared is None or TARGET not in snapshot.arrays:
            return
        if snapshot.arrays[TARGET].shape != prepared.compartments.labels.shape:
            return

        def work(_progress: Any) -> tuple[Source, Drawn]:
            source, compartments = rebuilt(snapshot, prepared.compartments, prepared.settings)
            return source, with_contours(compartments)

        self._follower.now(work, lambda found: self._restore(snapshot, found[0], found[1], section))

    def _restore(self, snapshot: Snapshot, source: Source, drawn: Drawn, section: Section | None) -> None:
        from napari.utils.notifications import show_info

        if section is not self.session.section or self.map is None or self.map.edited:
            return
        if len(self.session.edits) == 0:
            self.session.edits = snapshot.log
        self._set_source(source)
        change = self.map.put("unsaved edits put back", drawn[0].labels, source)
        self.layer.refresh()
        self.put_back = snapshot if change is not None else None
        self._redrawn(drawn, source, section)
        count = len(snapshot.log.of(TARGET))
        what = f"{count} unsaved edit(s) of the compartments" if count else f"compartments by {source.drawn.method}"
        show_info(f"{self.session.section_id}: {what} put back from before.")

"""The cells in the viewer: points far away, outlines near by, the marked one, clicks on them.

Masks are painted for what is in view only, so that a section of any size is edited at the same speed.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal

from thymusimg.cells.edited import cell_at, region_of
from thymusimg.section.model import Window
from thymusimg_napari.colouring import Colouring
from thymusimg_napari.contours import same_selection
from thymusimg_napari.flags import look_at
from thymusimg_napari.layers import UM, Purpose, add, cell_point_layer, find, mark, replace_layer
from thymusimg_napari.reviewing import place_of_cell
from thymusimg_napari.session import bare, session_of
from thymusimg_napari.views import view_window

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from thymusimg.cells.model import Cells
    from thymusimg_napari.session import Session

OUTLINED_PX = 1600
"""Outlines are drawn where the view is at most so many full-resolution pixels high and wide."""
_WAIT_MS = 60
"""The view has rested so long when outlines are drawn again."""
_LINE_PX, _FINEST = 2.5, 6
"""A painted pixel is at most about so large on the screen, down to a sixth of the slide's."""
_STILL_PX = 5
"""A press that moves less before it is let go is a click."""
NEAR_UM = 45.0
"""A cell that is jumped to has so much around it."""
CURRENT_COLOUR = "yellow"


class CellsShown(QObject):
    """Shows the cells of a window's section; one a window, from :func:`cells_shown`."""

    picked = Signal(int)
    """A cell was clicked in the picture: its number, 0 where there is none."""
    clicked = Signal(float, float)
    """A place (y, x in µm) was clicked."""
    marked = Signal(int)
    """Another cell is the marked one, or none."""

    def __init__(self, viewer: Any) -> None:
        super().__init__()
        self._viewer = weakref.ref(viewer)
        self.session: Session = session_of(viewer)
        self.colouring = Colouring()
        self.current = 0
        self._near: bool | None = None
        self._stale = True
        self._points_visible = True
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_WAIT_MS)
        self._timer.timeout.connect(self.draw_outlines)
        viewer.camera.events.center.connect(self._moved)
        viewer.camera.events.zoom.connect(self._moved)
        viewer.mouse_drag_callbacks.append(self._pressed)
        self.session.counted_changed.connect(self.refresh)
        self.session.section_changed.connect(self._forget)
        self.refresh()

    @property
    def viewer(self) -> Any:
        """The window's viewer."""
        return self._viewer()

    @property
    def cells(self) -> Cells | None:
        """The cells of the open section."""
        return None if self.session.counted is None else self.session.counted.cells

    def refresh(self) -> None:
        """Show the cells as they are now."""
        cells = self.cells
        self._stale = True
        if cells is None:
            self.mark(0)
            self._near = None
            for purpose in (Purpose.CELL_POINTS, Purpose.CELL_OUTLINES):
                self._remove(purpose)
            return
        if self.current > len(cells.table):
            self.mark(0)
        self.draw_outlines()

    def colour_by(self, column: str) -> None:
        """Colour points and outlines by a column of the cell table; "" for one colour."""
        self.colouring = Colouring(column)
        self._stale = True
        self.draw_outlines()

    def mark(self, cell_id: int) -> None:
        """Mark a cell with a thick outline; 0 for none."""
        cells = self.cells
        self.current = cell_id if cells is not None else 0
        self._remove(Purpose.CURRENT)
        if cells is not None and self.current:
            with same_selection(self.viewer):
                add(self.viewer, _ring(cells, self.current, self.session))
        self.marked.emit(self.current)

    def go_to(self, cell_id: int) -> None:
        """Mark a cell and centre the view on it; a view that is near enough keeps its zoom."""
        cells, section = self.cells, self.session.section
        if cells is None or section is None:
            return
        self.mark(cell_id)
        place = place_of_cell(cells, cell_id)
        window = view_window(self.viewer, section)
        height_um = (window.y1 - window.y0) * section.pixel_size_um
        if height_um > 6 * NEAR_UM:
            look_at(self.viewer, place, NEAR_UM)
        else:
            self.viewer.camera.center = (0.0, *place)

    def at(self, place_um: tuple[float, float]) -> int:
        """Return the number of the cell at a place, 0 where there is none."""
        cells, section = self.cells, self.session.section
        if cells is None or section is None:
            return 0
        return cell_at(cells, place_um, section.pixel_size_um)

    def draw_outlines(self) -> None:
        """Paint the masks in view; far away there are only points."""
        cells, section = self.cells, self.session.section
        if cells is None or section is None:
            return
        window = view_window(self.viewer, section)
        near = max(window.shape) <= OUTLINED_PX
        self._show_points(cells, near)
        layer = find(self.viewer.layers, Purpose.CELL_OUTLINES, section.section_id)
        if not near:
            if layer is not None:
                self._put_labels(layer, np.zeros((2, 2), np.int32), Window(0, 2, 0, 2))
            return
        # finer than the slide's pixels where they are seen as squares: outlines are thin lines then
        fold = max(1, min(_FINEST, int(self.viewer.camera.zoom * section.pixel_size_um / _LINE_PX)))
        labels = cells.masks.paint(window).astype(np.int32).repeat(fold, 0).repeat(fold, 1)
        if layer is None:
            with same_selection(self.viewer):
                layer = add(self.viewer, self._outline_layer())
        self._put_labels(layer, labels, window, fold)

    def _show_points(self, cells: Cells, near: bool) -> None:
        """Show points far away, outlines near by; who shows or hides the points by hand has the last word.

        Near by the points are left as they are, so that an edit costs the same however many cells there are.
        """
        layer = find(self.viewer.layers, Purpose.CELL_POINTS, self.session.section_id)
        if layer is None or (self._stale and not near):
            self._stale = False
            data, options, kind = cell_point_layer(cells.table, self.session.section_id)
            colours = self.colouring.of_rows(cells.table)
            if colours is not None and len(colours):
                options |= {"face_color": colours, "border_color": colours}
            with same_selection(self.viewer):
                layer = replace_layer(self.viewer, (data, options, kind))
        if near != self._near:
            if near:
                self._points_visible, layer.visible = layer.visible, False
            elif self._points_visible:
                layer.visible = True
            self._near = near

    def _put_labels(self, layer: Any, labels: npt.NDArray[np.int32], window: Window, fold: int = 1) -> None:
        section = self.session.section
        if section is None or self.cells is None:
            return
        layer.data = labels
        px, inset = section.pixel_size_um, (1 / fold - 1) / 2
        layer.scale = (px / fold, px / fold)
        layer.translate = ((window.y0 + inset) * px, (window.x0 + inset) * px)
        layer.colormap = self.colouring.of_labels(self.cells.table, labels)
        layer.contour = 1 if not self.colouring.column else 1 + fold

    def _outline_layer(self) -> Any:
        pixel_um = self.session.section.pixel_size_um if self.session.section else 1.0
        options = {
            "name": "cell outlines",
            "opacity": 0.9,
            "scale": (pixel_um, pixel_um),
            "units": UM,
            "metadata": mark(Purpose.CELL_OUTLINES, self.session.section_id),
        }
        return np.zeros((2, 2), np.int32), options, "labels"

    def _remove(self, purpose: Purpose) -> None:
        layer = find(self.viewer.layers, purpose, self.session.section_id)
        if layer is not None:
            with same_selection(self.viewer):
                self.viewer.layers.remove(layer)

    def _moved(self, _event: object = None) -> None:
        if self.cells is not None:
            self._timer.start()

    def _forget(self) -> None:
        self.current, self._near, self._stale, self.colouring = 0, None, True, Colouring()
        self.marked.emit(0)

    def _pressed(self, _viewer: Any, event: Any) -> Iterator[None]:
        """Pick the cell under a click; a drag moves the view as ever."""
        if event.button != 1 or event.modifiers or self.session.section is None:
            return
        start = np.asarray(event.pos)
        yield
        while event.type == "mouse_move":
            yield
        if np.abs(np.asarray(event.pos) - start).max() <= _STILL_PX:
            place = float(event.position[-2]), float(event.position[-1])
            self.clicked.emit(*place)
            self.picked.emit(self.at(place))


_SHOWN: weakref.WeakKeyDictionary[Session, CellsShown] = weakref.WeakKeyDictionary()


def cells_shown(viewer: Any) -> CellsShown:
    """Return what shows the cells of a viewer; the first call makes it."""
    viewer = bare(viewer)
    session = session_of(viewer)
    if session not in _SHOWN:
        _SHOWN[session] = CellsShown(viewer)
    return _SHOWN[session]


def _ring(cells: Cells, cell_id: int, session: Session) -> Any:
    """Return the outline of one cell as a line in µm."""
    from skimage.measure import find_contours

    region = region_of(cells, cell_id)
    px = session.section.pixel_size_um if session.section else 1.0
    lines = find_contours(np.pad(region.mask, 1).astype(np.float32), 0.5)
    line = max(lines, key=len) - 1 + (region.window.y0, region.window.x0)
    options = {
        "name": "marked cell",
        "shape_type": "polygon",
        "edge_color": CURRENT_COLOUR,
        "face_color": "transparent",
        "edge_width": max(0.5, px),
        "metadata": mark(Purpose.CURRENT, session.section_id),
        "scale": (1.0, 1.0),
        "units": UM,
    }
    return [line[:-1] * px], options, "shapes"

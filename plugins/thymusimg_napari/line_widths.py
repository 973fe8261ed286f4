"""Lines that stay visible: as wide as they are drawn in µm, but never thinner than a hair on the screen."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer

from thymusimg_napari.layers import Purpose, find_all

if TYPE_CHECKING:
    from collections.abc import Mapping

LEAST_UM: Mapping[Purpose, float] = {Purpose.JUNCTION: 3.0, Purpose.SELECTION: 2.0}
SCREEN_PX = 2.0
"""No line is thinner on the screen."""
_SETTLED_MS = 120
_WORTH = 1.15  # a smaller change of width is not seen
_OF: weakref.WeakKeyDictionary[Any, LineWidths] = weakref.WeakKeyDictionary()


class LineWidths(QObject):
    """Makes the lines of a viewer wider as one zooms out; one a viewer, from :func:`keep_lines_visible`."""

    def __init__(self, viewer: Any) -> None:
        super().__init__()
        self._viewer = weakref.ref(viewer)
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(_SETTLED_MS)
        self._pause.timeout.connect(self.fit)
        viewer.camera.events.zoom.connect(self._changed)
        viewer.layers.events.inserted.connect(self._changed)

    def _changed(self, _event: Any = None) -> None:
        self._pause.start()

    def fit(self) -> None:
        """Give every line the width that this zoom asks for."""
        viewer = self._viewer()
        if viewer is None:
            return
        for purpose, least in LEAST_UM.items():
            wanted = width_um(least, float(viewer.camera.zoom))
            for layer in find_all(viewer.layers, purpose):
                widths = layer.edge_width if len(layer.data) else []
                if len(widths) and not wanted / _WORTH <= float(widths[0]) <= wanted * _WORTH:
                    layer.edge_width = [wanted] * len(widths)
                    layer.refresh(thumbnail=False, highlight=False)  # napari only takes note of a width


def keep_lines_visible(viewer: Any) -> LineWidths:
    """Return what keeps the lines of a viewer visible; the first call begins it."""
    if viewer not in _OF:
        _OF[viewer] = LineWidths(viewer)
    return _OF[viewer]


def width_um(least_um: float, pixels_per_um: float) -> float:
    """Return how wide a line is drawn.

    Examples
    --------
    >>> width_um(3.0, 4.0), width_um(3.0, 0.1)
    (3.0, 20.0)
    """
    return max(least_um, SCREEN_PX / pixels_per_um)

"""Lines drawn over cells with the mouse: an outline with Alt held, a cut with Shift."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from thymusimg_napari.contours import same_selection
from thymusimg_napari.layers import UM, Purpose, add, find, mark

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Place = tuple[float, float]

_HELD = ("Alt", "Shift", "Control", "Meta")


class LineDrawing:
    """Shows the line that is being drawn, and hands it over when the button is let go.

    Parameters
    ----------
    viewer : napari.Viewer
    wanted : callable
        Whether lines are drawn now.
    drawn : callable
        Gets ``"Alt"`` or ``"Shift"`` and the places, (y, x) in µm.
    """

    def __init__(self, viewer: Any, wanted: Callable[[], bool], drawn: Callable[[str, list[Place]], None]) -> None:
        self.viewer, self._wanted, self._drawn = viewer, wanted, drawn
        viewer.mouse_drag_callbacks.append(self._dragged)

    def leave(self) -> None:
        """Draw no more."""
        if self._dragged in self.viewer.mouse_drag_callbacks:
            self.viewer.mouse_drag_callbacks.remove(self._dragged)

    def _dragged(self, _viewer: Any, event: Any) -> Iterator[None]:
        held = {name for name in _HELD if name in event.modifiers}
        if not self._wanted() or event.button != 1 or held not in ({"Alt"}, {"Shift"}):
            return
        line = [_place(event)]
        yield
        while event.type == "mouse_move":
            line.append(_place(event))
            if len(line) % 3 == 0:
                self._draw(line)
            yield
        self._draw([])
        if len(line) > 1:
            self._drawn(held.pop(), line)

    def _draw(self, line: list[Place]) -> None:
        """Show the line that is being drawn; an empty one takes it away."""
        layer = find(self.viewer.layers, Purpose.CURRENT, "drawn")
        with same_selection(self.viewer):
            if layer is not None:
                self.viewer.layers.remove(layer)
            if len(line) > 1:
                options = {
                    "name": "drawn", "shape_type": "path", "edge_color": "cyan", "edge_width": 0.4,
                    "metadata": mark(Purpose.CURRENT, "drawn"), "scale": (1.0, 1.0), "units": UM,
                }  # fmt: skip
                add(self.viewer, ([line], options, "shapes"))


def _place(event: Any) -> Place:
    y, x = event.position[-2:]
    return float(y), float(x)

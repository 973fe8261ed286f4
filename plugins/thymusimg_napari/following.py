"""What follows from an edited map, the junction and all distances: drawn again in a thread when the hand rests.

Drawing a whole map again takes seconds on a big slide, and one stroke is seldom the last: so it waits for a pause.
Whoever needs everything to have followed (saving, measuring) says so, and is called when it has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer

from thymusimg_napari.contours import distance_lines_of, known_areas_mm2
from thymusimg_napari.jobs import Latest

if TYPE_CHECKING:
    from collections.abc import Callable

    from thymusimg.compartments.model import Compartments
    from thymusimg.progress import Progress
    from thymusimg_napari.contours import Contours

    Drawn = tuple[Compartments, Contours]

PAUSE_MS = 700
"""So long nothing was painted, and the junction follows."""


class Follower(QObject):
    """Draws the newest state of a map again, once the hand that paints it rests."""

    def __init__(self) -> None:
        super().__init__()
        self._latest = Latest("Drawing the junction")
        self._ask: Callable[[], None] | None = None
        self._then: list[Callable[[], None]] = []
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(PAUSE_MS)
        self._pause.timeout.connect(self._begin)

    @property
    def busy(self) -> bool:
        """Whether something is still to follow."""
        return self._ask is not None or not self._latest.idle

    def soon(self, ask: Callable[[], None]) -> None:
        """Call ``ask`` when nothing came for a while; it hands its work to :meth:`now`."""
        self._ask = ask
        self._pause.start()

    def now(self, work: Callable[[Progress], Any], done: Callable[[Any], None]) -> None:
        """Work in a thread; ``done`` gets the newest result alone."""

        def settled(found: Any) -> None:
            done(found)
            self._tell()

        self._latest.ask(work, settled)

    def when_settled(self, act: Callable[[], None]) -> None:
        """Call ``act`` when everything has followed: now, if it has; else the pause ends at once."""
        if not self.busy:
            act()
            return
        self._then.append(act)
        self._begin()

    def _begin(self) -> None:
        self._pause.stop()
        ask, self._ask = self._ask, None
        if ask is not None:
            ask()
        self._tell()

    def _tell(self) -> None:
        if self.busy:
            return
        waiting, self._then = self._then, []
        for act in waiting:
            act()

    def forget(self) -> None:
        """Drop what waits: another section is open."""
        self._pause.stop()
        self._ask, self._then = None, []


def with_contours(found: Compartments) -> Drawn:
    """Return a map with its lines, and know its areas: so that the window has nothing left to compute."""
    known_areas_mm2(found)
    return found, distance_lines_of(found)

"""The families of one section, measured at once by one team of threads: none waits for another one's end."""

from __future__ import annotations

from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from typing import TYPE_CHECKING

from thymusimg.measurements.families import FAMILIES, IN_PIECES, LARGE_PIECES
from thymusimg.measurements.row import Row
from thymusimg.section.memory import give_back
from thymusimg.section.tiles import Team

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thymusimg.measurements.families import Family
    from thymusimg.measurements.view import SectionView
    from thymusimg.progress import Progress

STAGE = "measurements"
TOLD_EVERY_S = 0.2
IN_PIECES_SHARE = 0.7
"""About so much of the time goes into the families that are worked on in pieces."""


def measure_families(view: SectionView, progress: Progress) -> list[Row]:
    """Measure every family, a row each, in their order; no number depends on the threads.

    ``progress`` is only called from the caller's own thread; what it raises stops the work.
    """
    done = _Done(progress)
    if view.compute.threads <= 1:
        view = replace(view, progress=done.piece_here)
        return [done.family(family, _measured(family, view)) for family in FAMILIES]
    with Team(view.compute.threads, STAGE) as team, ThreadPoolExecutor(len(IN_PIECES), STAGE) as beside:
        view = replace(view, team=team, progress=done.piece)
        # the team's queue begins with those in one piece: light pieces of the others fill what they leave
        whole = {family: team.submit(_measured, family, view) for family in FAMILIES if not _in_pieces(family)}
        first = {family: list(whole.values()) if family is LARGE_PIECES else [] for family in IN_PIECES.values()}
        rest = {family: beside.submit(_measured, family, view, after) for family, after in first.items()}
        found = [(whole | rest)[family] for family in FAMILIES]
        try:
            return _followed(found, done)
        except BaseException:
            team.shutdown(wait=False, cancel_futures=True)  # whoever waits for a piece learns of it
            raise


class _Done:
    """How much is done, told to the caller."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._pieces = dict.fromkeys(IN_PIECES, 0.0)
        self._whole = 0.0

    def piece(self, stage: str, fraction: float) -> None:
        """Note how far a family in pieces is."""
        self._pieces[stage] = fraction

    def piece_here(self, stage: str, fraction: float) -> None:
        """Note it, in the caller's own thread."""
        self.piece(stage, fraction)
        self.tell()

    def family(self, family: Family, row: Row) -> Row:
        """Note that a family is measured."""
        for stage in [stage for stage, one in IN_PIECES.items() if one is family]:
            self._pieces[stage] = 1.0  # it may have had nothing to do
        self._whole += not _in_pieces(family)
        self.tell()
        return row

    def tell(self) -> None:
        """Tell the caller, who may raise."""
        pieces = sum(self._pieces.values()) / len(IN_PIECES)
        whole = self._whole / (len(FAMILIES) - len(IN_PIECES))
        self._progress(STAGE, IN_PIECES_SHARE * pieces + (1 - IN_PIECES_SHARE) * whole)


def _followed(futures: Sequence[Future[Row]], done: _Done) -> list[Row]:
    """Wait for all, telling now and then how much is done; the first exception is raised at once."""
    waiting = set(futures)
    while waiting:
        ready, waiting = wait(waiting, timeout=TOLD_EVERY_S, return_when=FIRST_EXCEPTION)
        for future, family in zip(futures, FAMILIES, strict=True):
            if future in ready:
                done.family(family, future.result())
        done.tell()
    return [future.result() for future in futures]


def _in_pieces(family: Family) -> bool:
    return any(one is family for one in IN_PIECES.values())


def _measured(family: Family, view: SectionView, after: Sequence[Future[Row]] = ()) -> Row:
    for future in after:
        future.result()
    row = Row()
    family.measure(row, view)
    give_back()  # one family's scratch planes must not lie beside the next one's
    return row

"""The tile grid with its halo, and the loop that maps a function over tiles in threads."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from thymusimg.progress import silent
from thymusimg.section.model import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future

    from thymusimg.progress import Progress

Item = TypeVar("Item")
Result = TypeVar("Result")


class Tile(NamedTuple):
    """A piece of work: ``core`` is what the tile answers for, ``outer`` what it reads (core and halo)."""

    core: Window
    outer: Window

    @property
    def core_in_outer(self) -> tuple[slice, slice]:
        """The core as an index into an array of the outer window."""
        y, x = self.core.y0 - self.outer.y0, self.core.x0 - self.outer.x0
        height, width = self.core.shape
        return slice(y, y + height), slice(x, x + width)


def tile_grid(shape: tuple[int, int], size: int | tuple[int, int], halo: int = 0) -> list[Tile]:
    """Cut an image into tiles, row by row; the cores cover every pixel once.

    Parameters
    ----------
    shape : (int, int)
        Height and width in pixels.
    size : int or (int, int)
        Side, or height and width, of a core in pixels; the last row and column may be smaller.
    halo : int
        Margin that a tile reads around its core, clipped at the image's edge.

    Examples
    --------
    >>> [tile.core.shape for tile in tile_grid((5, 3), 3)]
    [(3, 3), (2, 3)]
    """
    height, width = (size, size) if isinstance(size, int) else size
    if height < 1 or width < 1 or halo < 0:
        raise ValueError(f"a tile of {height} × {width} px with a halo of {halo} px is no tile")
    cores = [
        Window(y, min(y + height, shape[0]), x, min(x + width, shape[1]))
        for y in range(0, shape[0], height)
        for x in range(0, shape[1], width)
    ]
    return [Tile(core, core.grown(halo, shape)) for core in cores]


class Team(ThreadPoolExecutor):
    """Threads that several loops share: where one runs out of pieces, the next one's are worked on already.

    No piece may itself wait for the team.
    """

    def __init__(self, threads: int, name: str = "") -> None:
        super().__init__(threads, name)
        self.threads = threads


def map_tiles(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    threads: int | Team = 1,
    *,
    progress: Progress = silent,
    stage: str = "tiles",
) -> Iterator[Result]:
    """Yield ``function(item)`` for every item in order, computed in ``threads`` threads or by a team's.

    At most ``2 × threads`` results exist at once, so memory does not grow with the slide. The first exception,
    in the order of the items, is raised and no further item is begun; an exception from ``progress`` (a cancel)
    does the same. Nothing runs until the result is iterated.

    Examples
    --------
    >>> list(map_tiles(abs, [-1, 2, -3], threads=2))
    [1, 2, 3]
    """
    told = partial(progress, stage)
    if isinstance(threads, Team):
        yield from _by_team(function, items, threads, told)
    elif threads > 1:
        with Team(threads, stage) as team:
            yield from _by_team(function, items, team, told)
    else:
        for done, item in enumerate(items, start=1):
            yield function(item)
            told(done / len(items))


def _by_team(
    function: Callable[[Item], Result], items: Sequence[Item], team: Team, told: Callable[[float], None]
) -> Iterator[Result]:
    waiting: deque[Future[Result]] = deque()
    upcoming = iter(items)
    try:
        for item in islice(upcoming, 2 * team.threads):
            waiting.append(team.submit(function, item))
        done = 0
        while waiting:
            result = waiting.popleft().result()
            for item in islice(upcoming, 1):
                waiting.append(team.submit(function, item))
            yield result
            done += 1
            told(done / len(items))
    finally:
        # those that run cannot be taken back, and the caller may close what they read
        wait([future for future in waiting if not future.cancel()])

"""What chance would give: points drawn anew, or marks dealt anew, a stated number of times from a stated seed."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

from thymusimg.progress import silent
from thymusimg.section.tiles import Team, map_tiles

if TYPE_CHECKING:
    from collections.abc import Callable

    from thymusimg.measurements.pattern.window import Codes, Window
    from thymusimg.progress import Progress

Values = npt.NDArray[np.float64]
Draw = "Callable[[np.random.Generator], Values]"
T = TypeVar("T")


def simulate(
    task: Callable[[np.random.Generator], T],
    count: int,
    seed: int,
    threads: int | Team = 1,
    progress: Progress = silent,
) -> list[T]:
    """Run ``task`` ``count`` times, each with a generator of its own: the results do not depend on the threads.

    Simulation ``i`` draws from NumPy's PCG64 seeded with child ``i`` of ``seed``, which no plain seed equals:
    points that were themselves made with ``default_rng(seed)`` never meet their own twin among the simulations.

    Examples
    --------
    >>> def task(rng):
    ...     return int(rng.integers(100))
    >>> simulate(task, 3, seed=1) == simulate(task, 3, seed=1, threads=2)
    True
    """

    def one(number: int) -> T:
        return task(np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(number,)))))

    return list(map_tiles(one, range(count), threads, progress=progress, stage="simulations"))


def redraw(window: Window, codes: Codes, *, by_part: bool = True) -> Callable[[np.random.Generator], Values]:
    """Return a function that draws as many points anew.

    Parameters
    ----------
    window : Window
    codes : (N,) uint8
        The part of every point, as :meth:`Window.part` gives it; none is 0.
    by_part : bool
        Every part keeps its number of points: an inhomogeneous null, under which cortex and medulla may differ.
        Else all points go anywhere in the window, which mostly tests whether they do (complete spatial randomness).
    """
    parts = np.unique(codes) if by_part else np.zeros(0, np.uint8)
    if not by_part or not len(codes):
        draw, n = window.sampler(), len(codes)
        return lambda rng: draw(n, rng)
    counts = [int(np.count_nonzero(codes == part)) for part in parts]
    samplers = [window.sampler(int(part)) for part in parts]

    def draw_parts(rng: np.random.Generator) -> Values:
        return np.concatenate([draw(n, rng) for draw, n in zip(samplers, counts, strict=True)])

    return draw_parts

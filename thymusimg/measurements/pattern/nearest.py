"""Clark and Evans' index: nearest neighbours against those of random points in the same window (P7)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from thymusimg.measurements.pattern.nulls import redraw, simulate
from thymusimg.measurements.pattern.pairs import nearest_distances, sort_points

if TYPE_CHECKING:
    from thymusimg.measurements.pattern.pairs import Sorted
    from thymusimg.measurements.pattern.window import Window

Values = npt.NDArray[np.float64]


def mean_nearest(points: Sorted) -> float:
    """Return the mean distance to the nearest neighbour, NaN for fewer than two points."""
    return float(nearest_distances(points).mean()) if len(points.points) > 1 else math.nan


def nearest_neighbours_um(points_um: npt.ArrayLike, window: Window) -> Values:
    """Return the distance of every point to its nearest neighbour in µm, in the order given.

    NaN for points outside the window, and for a single one.
    """
    placed = window.place(points_um)
    inside = np.flatnonzero(window.part(placed))
    out = np.full(len(placed), np.nan)
    if len(inside) > 1:
        points = sort_points(placed[inside], spacing_px(window, len(inside)))
        out[inside[points.order]] = nearest_distances(points) * window.pixel_um
    return out


def clark_evans(
    points_um: npt.ArrayLike,
    window: Window,
    *,
    by_part: bool = False,
    simulations: int = 199,
    seed: int = 0,
    threads: int = 1,
) -> float:
    """Return R = r̄ / E[r̄]: the mean distance to the nearest neighbour over that of points drawn anew (P7).

    1 for random points, below 1 clustered, 2.149 at most (a triangular lattice; Clark & Evans 1954). Without an
    edge E[r̄] is 1 / (2 √λ). Near one it is larger, by an amount that depends on the window (Donnelly 1978 gives it
    for smooth ones); here it is the mean over simulations in the window itself: holes and septa are corrected for.
    Cells cannot overlap: where their spacing is little more than a diameter, R exceeds 1 without any dispersion.

    Parameters
    ----------
    points_um : (N, 2) array
        (y, x) in µm. Those outside the window are left out.
    window : Window
    by_part : bool
        Draw every part's points within it (see :func:`~thymusimg.measurements.pattern.nulls.redraw`).

    Examples
    --------
    >>> from thymusimg.measurements.pattern.window import Window
    >>> square = Window.of(np.ones((100, 100), np.uint8), 2.0)
    >>> grid = np.stack(np.meshgrid(np.arange(10) * 20 + 9.0, np.arange(10) * 20 + 9.0), -1).reshape(-1, 2)
    >>> 1.7 < clark_evans(grid, square) < 2.0  # 2 on an endless square lattice
    True
    """
    placed = window.place(points_um)
    codes = window.part(placed)
    inside = placed[codes > 0]
    side = spacing_px(window, len(inside))
    observed = mean_nearest(sort_points(inside, side))
    if math.isnan(observed):
        return math.nan
    draw = redraw(window, codes[codes > 0], by_part=by_part)
    expected = simulate(lambda rng: mean_nearest(sort_points(draw(rng), side)), simulations, seed, threads)
    return observed / float(np.mean(expected))


def spacing_px(window: Window, count: int) -> float:
    """Return 1 / √λ in pixels."""
    return math.sqrt(np.count_nonzero(window.mask) / max(count, 1))

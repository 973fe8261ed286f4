"""How two kinds of points lie to each other, against marks dealt anew or the second kind drawn anew (R8)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from thymusimg.measurements.pattern.covariance import set_covariance
from thymusimg.measurements.pattern.envelope import Envelope, global_envelope
from thymusimg.measurements.pattern.functions import BIN_UM, besag_l_um, sum_pairs, two_kinds
from thymusimg.measurements.pattern.nulls import redraw, simulate
from thymusimg.measurements.pattern.pairs import cell_side, sort_points

if TYPE_CHECKING:
    from thymusimg.measurements.pattern.window import Window

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class CrossPattern:
    """Two kinds of points in a window.

    Attributes
    ----------
    counts : (int, int)
        Points of either kind in the window.
    radii_um, excess_um : (R,) float64
        Cross-L, √(K₁₂ / π), less r. Above the null: the kinds attract each other; below: they keep apart.
    null : Envelope
        Of the same; its ``p`` is that of the two kinds being mixed at random.
    """

    counts: tuple[int, int]
    radii_um: Values
    excess_um: Values
    null: Envelope


def measure_cross_pattern(
    first_um: npt.ArrayLike,
    second_um: npt.ArrayLike,
    window: Window,
    radii_um: npt.ArrayLike,
    *,
    null: Literal["labels", "redraw"] = "labels",
    simulations: int = 199,
    seed: int = 0,
    level: float = 0.95,
    threads: int = 1,
) -> CrossPattern:
    """Measure the cross-L of two kinds of points with translation correction, and its global envelope (R8).

    Parameters
    ----------
    first_um, second_um : (N, 2), (M, 2) array
        (y, x) in µm, the centre of the image's first pixel at 0. Those outside the window are left out.
    window : Window
    radii_um : (R,) array
        Multiples of 0.25 µm; at most a quarter of ``window.width_um`` should be read.
    null : str
        ``"labels"``: the places stay, and which point is of which kind is dealt anew. ``"redraw"``: the first kind
        stays, and the second is drawn anew, as many in every part of the window.
    threads : int
        No number depends on it.

    Raises
    ------
    ValueError
        If a kind has no point in the window.

    Examples
    --------
    Points of two kinds that take turns on a square lattice keep apart:

    >>> from thymusimg.measurements.pattern.window import Window
    >>> window = Window.of(np.ones((100, 100), np.uint8), 2.0)
    >>> y, x = np.mgrid[:10, :10].reshape(2, -1)
    >>> at = np.stack([y, x], axis=1) * 20 + 9.0
    >>> mixed = measure_cross_pattern(at[(y + x) % 2 == 0], at[(y + x) % 2 == 1], window, [20, 30], simulations=99)
    >>> mixed.null.above.tolist(), mixed.null.below.tolist()  # 4 of 4 neighbours at 20 µm are of the other kind
    ([True, False], [False, False])
    """
    radii = np.asarray(radii_um, np.float64)
    both, marks = two_kinds(first_um, second_um)
    placed = window.place(both)
    codes = window.part(placed)
    points, marks, codes = placed[codes > 0], marks[codes > 0], codes[codes > 0]
    counts = (int(np.count_nonzero(marks == 0)), int(np.count_nonzero(marks == 1)))
    if 0 in counts:
        raise ValueError(f"a cross pattern needs points of both kinds in the window; there are {counts}")
    reach = math.ceil(float(radii.max()) / BIN_UM) * BIN_UM
    covariance = set_covariance(window.mask, window.pixel_um, reach)
    side = cell_side(reach / window.pixel_um)
    ordered = sort_points(points, side)

    def excess(dealt: npt.NDArray[np.uint8]) -> Values:
        k = sum_pairs(ordered, covariance, reach, dealt, 2).k_um2(radii, 0, 1)
        return np.asarray(besag_l_um(k) - radii)

    draw = redraw(window, codes[marks == 1])
    first = points[marks == 0]

    def moved(rng: np.random.Generator) -> Values:
        again = sort_points(np.concatenate([first, draw(rng)]), side)
        kinds = np.repeat(np.array([0, 1], np.uint8), counts)
        return np.asarray(besag_l_um(sum_pairs(again, covariance, reach, kinds, 2).k_um2(radii, 0, 1)) - radii)

    task = moved if null == "redraw" else lambda rng: excess(rng.permutation(marks))
    observed = excess(marks)
    simulated = np.array(simulate(task, simulations, seed, threads))
    return CrossPattern(counts, radii, observed, global_envelope(observed, simulated, level))

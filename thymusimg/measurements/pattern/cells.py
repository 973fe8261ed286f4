"""How points lie in their window, against points drawn anew: L, g, the envelope's verdict, Clark-Evans (P6, P7)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from thymusimg.measurements.pattern.covariance import set_covariance
from thymusimg.measurements.pattern.envelope import Envelope, global_envelope
from thymusimg.measurements.pattern.functions import BIN_UM, besag_l_um, stoyan_bandwidth_um, sum_pairs
from thymusimg.measurements.pattern.nearest import mean_nearest
from thymusimg.measurements.pattern.nulls import redraw, simulate
from thymusimg.measurements.pattern.pairs import cell_side, sort_points
from thymusimg.progress import silent

if TYPE_CHECKING:
    from thymusimg.measurements.pattern.window import Window
    from thymusimg.progress import Progress
    from thymusimg.section.tiles import Team

Values = npt.NDArray[np.float64]
Verdict = Literal["clustered", "dispersed", "clustered and dispersed", "not distinguishable from random"]

STEP_UM = 2.5
"""Distance between the radii at which the functions are read."""


class PatternChoice(NamedTuple):
    """How a pattern is measured.

    Attributes
    ----------
    reach_um : float
        Largest distance, if the window allows it (a quarter of its least width).
    core_um : float
        Pairs nearer than this are left out of L and of the test, in the data and in the null alike: cells cannot
        overlap, and that is no dispersion.
    by_part : bool
        The null keeps the number of points of every part.
    """

    reach_um: float = 100.0
    core_um: float = 10.0
    simulations: int = 199
    seed: int = 0
    by_part: bool = True
    level: float = 0.95


@dataclass(frozen=True)
class Pattern:
    """The pattern of points in a window.

    Attributes
    ----------
    count : int
        Points in the window.
    radii_um : (R,) float64
        From ``core_um`` (exclusive) on.
    excess_um : (R,) float64
        L(r) − r.
    l_null : Envelope
        Of L(r) − r over the null's simulations; its ``p`` is that of the pattern.
    neighbour_ratio : (R,) float64
        Neighbours farther than ``core_um`` and up to r, over their mean in the null: 1 for random points.
    g_radii_um, g : (Q,) float64
        Pair correlation, at distances below the core too.
    g_null : Envelope
    clark_evans : float
    """

    count: int
    radii_um: Values
    excess_um: Values
    l_null: Envelope
    neighbour_ratio: Values
    g_radii_um: Values
    g: Values
    g_null: Envelope
    clark_evans: float

    def excess_over_null_um(self, r_um: float) -> float:
        """Return L̂(r) less the mean of the null's, NaN beyond the radii."""
        return self._at(r_um, self.excess_um - self.l_null.mean)

    def neighbour_ratio_at(self, r_um: float) -> float:
        """Return ``neighbour_ratio`` at one radius, NaN beyond the radii."""
        return self._at(r_um, self.neighbour_ratio)

    def _at(self, r_um: float, values: Values) -> float:
        at = np.flatnonzero(np.isclose(self.radii_um, r_um))
        return float(values[at[0]]) if len(at) else math.nan

    @property
    def verdict(self) -> Verdict:
        """Whether L leaves the null's global envelope, and to which side."""
        above, below = bool(self.l_null.above.any()), bool(self.l_null.below.any())
        if above and below:
            return "clustered and dispersed"
        return "clustered" if above else "dispersed" if below else "not distinguishable from random"

    @property
    def clustering_scale_um(self) -> float:
        """Radius at which L exceeds the null's mean the most.

        NaN unless the points are clustered, and if the excess still grows at the reach.
        It lies between the radius and the diameter of clusters that are round and apart (Kiskowski et al. 2009).
        """
        over = self.excess_um - self.l_null.mean
        most = int(np.argmax(over))
        if not self.l_null.above.any() or most == len(over) - 1:
            return math.nan
        return float(self.radii_um[most])


def radii_within(window: Window, choice: PatternChoice) -> Values:
    """Return the radii at which a pattern can be read: up to a quarter of the window's width, perhaps none."""
    reach = min(choice.reach_um, window.width_um / 4)
    radii = np.arange(1, math.floor(reach / STEP_UM + 1e-9) + 1) * STEP_UM
    return np.asarray(radii[radii > choice.core_um + 1e-9])


def measure_pattern(
    points_um: npt.ArrayLike,
    window: Window,
    choice: PatternChoice | None = None,
    threads: int | Team = 1,
    progress: Progress = silent,
) -> Pattern:
    """Measure how points lie in a window, against as many drawn anew (P6, P7).

    L is Besag's, of Ripley's K with translation correction, from which pairs nearer than ``core_um`` are left out:
    L(r) = √[(K(r) − K(core)) / π + core²], r for random points.

    Parameters
    ----------
    points_um : (N, 2) array
        (y, x) in µm; at least two in the window. Those outside are left out.
    window : Window
        At least one radius must fit (:func:`radii_within`).
    threads : int or Team
        No number depends on it.
    progress : callable
        Told how many of the simulations are done.

    Raises
    ------
    ValueError
        If fewer than two points lie in the window, or no radius fits.

    Examples
    --------
    >>> from thymusimg.measurements.pattern.window import Window
    >>> square = Window.of(np.ones((200, 200), np.uint8), 2.0)
    >>> rng = np.random.default_rng(1)
    >>> parents = rng.uniform(0, 398, (20, 1, 2))
    >>> clusters = (parents + rng.normal(0, 8, (20, 10, 2))).reshape(-1, 2)
    >>> measure_pattern(clusters, square, PatternChoice(simulations=39)).verdict
    'clustered'
    >>> measure_pattern(rng.uniform(0, 398, (200, 2)), square, PatternChoice(simulations=39)).verdict
    'not distinguishable from random'
    """
    choice = choice or PatternChoice()
    radii = radii_within(window, choice)
    placed = window.place(points_um)
    codes = window.part(placed)
    points, codes = placed[codes > 0], codes[codes > 0]
    if len(points) < 2 or not len(radii):
        raise ValueError(
            f"a pattern needs two points and a radius: {len(points)} points in a window {window.width_um:g} µm wide"
        )
    bandwidth = stoyan_bandwidth_um(len(points), window.area_um2)
    g_radii = np.arange(1, round(radii[-1] / STEP_UM) + 1) * STEP_UM
    reach = math.ceil((radii[-1] + bandwidth) / BIN_UM) * BIN_UM
    covariance = set_covariance(window.mask, window.pixel_um, reach)
    side = cell_side(reach / window.pixel_um)

    def functions(drawn: Values) -> tuple[Values, Values, float]:
        ordered = sort_points(drawn, side)
        sums = sum_pairs(ordered, covariance, reach)
        return sums.k_um2(radii, core_um=choice.core_um), sums.g(g_radii, bandwidth), mean_nearest(ordered)

    k, g, nearest = functions(points)
    draw = redraw(window, codes, by_part=choice.by_part)
    drawn = simulate(lambda rng: functions(draw(rng)), choice.simulations, choice.seed, threads, progress)
    drawn_k = np.array([d[0] for d in drawn])
    core = math.pi * choice.core_um**2
    expected = drawn_k.mean(axis=0) - core
    excess = besag_l_um(k) - radii
    return Pattern(
        count=len(points),
        radii_um=radii,
        excess_um=excess,
        l_null=global_envelope(excess, besag_l_um(drawn_k) - radii, choice.level),
        neighbour_ratio=np.divide(k - core, expected, out=np.full_like(k, np.nan), where=expected > 0),
        g_radii_um=g_radii,
        g=g,
        g_null=global_envelope(g, np.array([d[1] for d in drawn]), choice.level),
        clark_evans=nearest / float(np.mean([d[2] for d in drawn])),
    )

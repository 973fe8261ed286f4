"""Whether cells touch the keratin network more than cells laid at random would (P9)."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

CONTACT_UM = 2.0
REDRAWS = 999
Values = npt.NDArray[np.float64]


class Contact(NamedTuple):
    """Contact of cells with the network.

    ``share`` of the cells that touch it, ``expected`` share if each were laid anywhere in its compartment, their
    ``ratio``, and the ends of the ratio's 95 % range under the redraws (``low``, ``high``: what chance gives).
    """

    share: float
    expected: float
    ratio: float
    low: float
    high: float
    cells: int


def measure_contact(
    distance_um: Values, radius_um: Values, chance: Values, *, contact_um: float = CONTACT_UM, seed: int = 0
) -> Contact:
    """Compare the share of cells at the network with that of cells redrawn within their compartments (P9).

    A cell touches if its edge, its centre's distance less its equivalent radius √(A/π), comes within ``contact_um``
    of the nearest strand's middle line. In the null each cell keeps its size and is laid anywhere in its
    compartment, so it touches with probability ``chance``: the share of the compartment at most radius +
    ``contact_um`` from the network. That is drawn 999 times; without it, contact would only mirror how much
    keratin there is. Cells may overlap in the null.

    Parameters
    ----------
    distance_um, radius_um, chance : (N,) float64
        Distance of every cell's centre to the network, its radius, and its chance to touch, in [0, 1].
    contact_um : float
    seed : int

    Examples
    --------
    Of four cells two touch, and each would with probability ¼.

    >>> found = measure_contact(np.array([1.0, 4.0, 9.0, 9.0]), np.full(4, 3.0), np.full(4, 0.25))
    >>> found.share, found.expected, found.ratio
    (0.5, 0.25, 2.0)
    """
    known = np.isfinite(distance_um) & np.isfinite(chance)
    n = int(known.sum())
    if n == 0:
        return Contact(math.nan, math.nan, math.nan, math.nan, math.nan, 0)
    share = float((distance_um[known] - radius_um[known] <= contact_um).mean())
    odds = chance[known]
    expected = float(odds.mean())
    if expected == 0:
        return Contact(share, 0.0, math.nan, math.nan, math.nan, n)
    rng = np.random.default_rng(seed)
    drawn = np.array([(rng.random(n) < odds).mean() for _ in range(REDRAWS)]) / expected
    low, high = (float(v) for v in np.quantile(drawn, (0.025, 0.975)))
    return Contact(share, expected, share / expected, low, high, n)


def chance_within(reach_um: Values, counts: npt.NDArray[np.int64], step_um: float) -> Values:
    """Return the share of a compartment at most ``reach_um`` from the network.

    Parameters
    ----------
    reach_um : (N,) float64
    counts : (B,) int64
        Pixels by distance, in steps of ``step_um``; the last holds all beyond. NaN for reaches into it.
    step_um : float
    """
    total = counts.sum()
    if total == 0:
        return np.full(len(reach_um), math.nan)
    # the step that holds the reach counts in part
    share = np.concatenate([[0.0], np.cumsum(counts[:-1])]) / total
    edges = np.arange(len(counts)) * step_um
    return np.where(reach_um <= edges[-1], np.interp(reach_um, edges, share), math.nan)

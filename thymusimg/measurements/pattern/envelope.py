"""Global envelopes: is a whole curve unlike those that chance gives, and where (P6)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]


class Envelope(NamedTuple):
    """A curve against simulated ones.

    Attributes
    ----------
    low, high, mean : (R,) float64
        The global envelope and the mean of the simulated curves.
    p : float
        p value of the extreme rank length.
    p_interval : (float, float)
        The p interval of the extreme rank: its ends are the liberal and the conservative p value.
    above, below : (R,) bool
        Where the observed curve leaves the envelope. Somewhere if and only if ``p`` ≤ 1 − level.
    """

    low: Values
    high: Values
    mean: Values
    p: float
    p_interval: tuple[float, float]
    above: npt.NDArray[np.bool_]
    below: npt.NDArray[np.bool_]


def global_envelope(observed: npt.ArrayLike, simulated: npt.ArrayLike, level: float = 0.95) -> Envelope:
    """Compare a curve with simulated ones by the global rank envelope test (Myllymäki et al. 2017, JRSS B 79:381).

    At every place the curves are ranked from both sides (mid-ranks for ties). A curve's extreme rank is its
    smallest; ties, of which there are many, are broken by the extreme rank *length*: the sorted ranks are
    compared in lexicographic order, so that a curve that is extreme over a longer stretch is more extreme. The
    envelope is the hull of the curves that are left when the most extreme share 1 − ``level`` is taken away
    (Mrkvička et al. 2020). Under the null all S + 1 curves are exchangeable: the error is 1 − ``level`` for the
    whole curve.

    Parameters
    ----------
    observed : (R,) array
        Without NaN.
    simulated : (S, R) array
        S ≥ 1 / (1 − level) − 1, or nothing can be significant.
    level : float

    Examples
    --------
    >>> simulated = np.random.default_rng(0).normal(size=(199, 5))
    >>> found = global_envelope([0, 9, 9, 0, 0], simulated)
    >>> found.p, found.above.tolist()
    (0.005, [False, True, True, False, False])
    """
    curves = np.vstack([np.asarray(observed, np.float64)[None], np.asarray(simulated, np.float64)])
    total = len(curves)
    rank = _ranks(curves)
    rank = np.sort(np.minimum(rank, total + 1 - rank), axis=1)
    extreme, at_least = rank[:, 0], _as_extreme(rank)
    inside = curves[at_least > (1 - level) * total + 1e-9]
    low, high = inside.min(axis=0), inside.max(axis=0)
    p_low = float(np.count_nonzero(extreme < extreme[0]) / total)
    p_high = float(np.count_nonzero(extreme <= extreme[0]) / total)
    return Envelope(
        low,
        high,
        curves[1:].mean(axis=0),
        float(at_least[0] / total),
        (p_low, p_high),
        curves[0] > high,
        curves[0] < low,
    )


def _ranks(curves: Values) -> Values:
    """Return the ranks of every column from 1, ties at their middle; scipy.stats takes half a second to import.

    >>> _ranks(np.array([[3.0], [1.0], [3.0]])).ravel().tolist()
    [2.5, 1.0, 2.5]
    """
    out = np.empty(curves.shape)
    for column, ranks in zip(curves.T, out.T, strict=True):
        ordered = np.sort(column)
        ranks[:] = (np.searchsorted(ordered, column, "left") + np.searchsorted(ordered, column, "right") + 1) / 2
        if np.isnan(ordered[-1]):
            ranks[:] = np.nan
    return out


def _as_extreme(rank: Values) -> npt.NDArray[np.intp]:
    """Count for every row of sorted ranks the rows that come no later in lexicographic order, itself included."""
    order = np.lexsort(rank.T[::-1])
    new = np.concatenate([[True], (rank[order[1:]] != rank[order[:-1]]).any(axis=1)])
    last = np.append(np.flatnonzero(new)[1:], len(rank))  # behind the end of every run of equal rows
    out = np.empty(len(rank), np.intp)
    out[order] = last[np.cumsum(new) - 1]
    return out

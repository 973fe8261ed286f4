"""Several tests at once: Holm for what was declared, false discovery rate for the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Values = npt.NDArray[np.float64]


def holm(p: Values, family: int | None = None) -> Values:
    r"""Adjust p values by Holm's step-down method.

    .. math:: \tilde p_{(i)} = \max_{j \le i} \min(1, (m - j + 1) p_{(j)})

    Parameters
    ----------
    p : (n,) array
        NaN where a declared test could not be made.
    family
        Number m of tests that were declared; by default all of ``p``, NaN included: what was declared counts,
        so a test that fails does not make the others easier (Holm 1979).

    Examples
    --------
    >>> import numpy as np
    >>> holm(np.array([0.01, 0.04, 0.03])).tolist()
    [0.03, 0.06, 0.06]
    """
    adjusted = np.full(p.shape, np.nan)
    order = np.argsort(p, kind="stable")[: int(np.isfinite(p).sum())]
    steps = (family or p.size) - np.arange(order.size)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(steps * p[order]))
    return adjusted


def false_discovery(p: Values) -> Values:
    r"""Adjust p values to Benjamini-Hochberg q values.

    .. math:: q_{(i)} = \min_{j \ge i} \min(1, m p_{(j)} / j)

    Parameters
    ----------
    p : (n,) array
        NaN where there was no test; such entries do not count (Benjamini and Hochberg 1995).
    """
    adjusted = np.full(p.shape, np.nan)
    order = np.argsort(p, kind="stable")[: int(np.isfinite(p).sum())]
    ranked = p[order] * order.size / np.arange(1, order.size + 1)
    adjusted[order] = np.minimum(1.0, np.minimum.accumulate(ranked[::-1])[::-1])
    return adjusted

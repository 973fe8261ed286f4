"""How much of one labelling lies where the other lies: Dice, and Cohen's kappa beyond chance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thymusimg.section.model import Mask


def dice(one: Mask, other: Mask) -> float:
    """Return the Dice coefficient 2 |A ∩ B| / (|A| + |B|) of two masks.

    Parameters
    ----------
    one, other : (Y, X) bool

    Returns
    -------
    float
        In [0, 1]; 0 where one of the two is empty, NaN where both are: there is nothing to agree on.

    References
    ----------
    Dice 1945, Ecology 26:297.

    Examples
    --------
    Two squares of 4 pixels that share 2:

    >>> import numpy as np
    >>> a, b = np.zeros((2, 2, 3), bool)
    >>> a[:, :2], b[:, 1:] = True, True
    >>> dice(a, b)
    0.5
    """
    both = int(np.count_nonzero(one)) + int(np.count_nonzero(other))
    return 2 * int(np.count_nonzero(one & other)) / both if both else float("nan")


def confusion(
    one: npt.NDArray[np.integer], other: npt.NDArray[np.integer], codes: Sequence[int]
) -> npt.NDArray[np.int64]:
    """Count pixels by their code in ``one`` (rows) and in ``other`` (columns); other codes are passed over.

    >>> import numpy as np
    >>> confusion(np.array([1, 1, 2, 9]), np.array([1, 2, 2, 1]), codes=(1, 2))
    array([[1, 1],
           [0, 1]])
    """
    place = np.full(max(int(max(codes)), int(one.max(initial=0)), int(other.max(initial=0))) + 1, -1, np.int64)
    place[list(codes)] = np.arange(len(codes))
    rows, columns = place[one.ravel()], place[other.ravel()]
    known = (rows >= 0) & (columns >= 0)
    flat = np.bincount(rows[known] * len(codes) + columns[known], minlength=len(codes) ** 2)
    return flat.reshape(len(codes), len(codes)).astype(np.int64)


def kappa(table: npt.NDArray[np.integer], *, ordinal: bool = False) -> float:
    """Return Cohen's kappa of a square table of counts: agreement beyond chance.

    κ = 1 − Σ w·observed / Σ w·expected with disagreement weights w: 1 off the diagonal for names (Cohen 1960), and
    (i − j)² for ordinal classes (Cohen 1968), which the rows must then hold in their order.

    Returns
    -------
    float
        At most 1; 0 is chance; NaN where chance alone would agree fully (one class) or nothing was counted.

    References
    ----------
    Cohen 1960, Educ Psychol Meas 20:37; Cohen 1968, Psychol Bull 70:213.

    Examples
    --------
    Observed agreement 0.7, chance 0.5:

    >>> import numpy as np
    >>> round(kappa(np.array([[20, 5], [10, 15]])), 3)
    0.4
    """
    counts = np.asarray(table, np.float64)
    total = counts.sum()
    i, j = np.indices(counts.shape)
    weights = ((i - j) ** 2).astype(np.float64) if ordinal else (i != j).astype(np.float64)
    if total == 0:
        return float("nan")
    chance = float((weights * np.outer(counts.sum(1), counts.sum(0))).sum()) / float(total)
    return 1 - float((weights * counts).sum()) / chance if chance > 0 else float("nan")

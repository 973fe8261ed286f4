"""Exact permutation of animals between two groups, within strata."""

from __future__ import annotations

import itertools
import math
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Values = npt.NDArray[np.float64]
    Labels = npt.NDArray[np.bool_]


class Permutation(NamedTuple):
    """Result of a permutation test.

    ``p`` is two-sided; ``smallest`` the least p that any data could give with these group sizes; ``exact`` whether
    all arrangements were counted; ``arrangements`` how many were.
    """

    p: float
    smallest: float
    exact: bool
    arrangements: int


def permute(
    values: Values,
    in_group: Labels,
    strata: npt.NDArray[np.int64] | None = None,
    *,
    most_exact: int = 200_000,
    draws: int = 99_999,
    seed: int = 20,
) -> Permutation:
    r"""Test a difference of means by exchanging animals between two groups within strata.

    The statistic is :math:`T = \sum_{i \in group} (x_i - \bar x_{s(i)})`: the difference of means, with each
    stratum's level taken out, weighted by :math:`n_{gs} n_{rs} / n_s`. The p is the share of arrangements with
    :math:`|T|` at least as large as the one seen; where they are drawn, :math:`(1 + \#) / (N + 1)`.

    Parameters
    ----------
    values : (n,) array
        One value an animal.
    in_group : (n,) boolean array
        True for the group, False for the reference.
    strata : (n,) integer array, optional
        Batch or donor of each animal; animals are exchanged within a stratum only.
    most_exact
        Up to so many arrangements all are counted.
    draws, seed
        How many are drawn otherwise, and from which seed.

    Examples
    --------
    >>> import numpy as np
    >>> permute(np.arange(6.0), np.arange(6) >= 3).p
    0.1
    """
    blocks = _blocks(values, in_group, strata)
    total = math.prod(math.comb(block.size, count) for block, count in blocks)
    balanced = all(2 * count == block.size for block, count in blocks)
    smallest = min(1.0, (2 if balanced else 1) / total)
    seen = sum(float(block[:count].sum()) for block, count in blocks)
    # arrangements that differ by rounding only are ties
    limit = abs(seen) - 1e-9 * max(1e-300, float(np.abs(values - values.mean()).sum()))
    if total <= most_exact:
        hits = int((np.abs(_all_sums(blocks)) >= limit).sum())
        return Permutation(hits / total, smallest, True, total)
    hits = sum(int((np.abs(part) >= limit).sum()) for part in _drawn_sums(blocks, draws, seed))
    return Permutation((1 + hits) / (draws + 1), max(smallest, 1 / (draws + 1)), False, draws)


def _blocks(values: Values, in_group: Labels, strata: npt.NDArray[np.int64] | None) -> list[tuple[Values, int]]:
    """Centre each stratum and put its group's animals first; strata of one group only cannot be permuted."""
    labels = np.zeros(values.size, dtype=np.int64) if strata is None else strata
    blocks = []
    for stratum in np.unique(labels):
        inside, own = values[labels == stratum], in_group[labels == stratum]
        if own.any() and not own.all():
            centred = inside - inside.mean()
            blocks.append((np.concatenate([centred[own], centred[~own]]), int(own.sum())))
    return blocks


def _all_sums(blocks: list[tuple[Values, int]]) -> Values:
    """Return the statistic of every arrangement."""
    sums = np.zeros(1)
    for block, count in blocks:
        chosen = np.zeros(math.comb(block.size, count))
        for place in _choices(block.size, count).T:
            chosen += block[place]
        sums = np.add.outer(sums, chosen).ravel()
    return sums


@lru_cache(maxsize=8)  # every endpoint of a study asks for the same
def _choices(size: int, count: int) -> npt.NDArray[np.uint16]:
    """List every choice of ``count`` of ``size`` animals, as (choices, count) places."""
    places = itertools.chain.from_iterable(itertools.combinations(range(size), count))
    return np.fromiter(places, dtype=np.uint16, count=count * math.comb(size, count)).reshape(-1, count)


def _drawn_sums(blocks: list[tuple[Values, int]], draws: int, seed: int, chunk: int = 10_000) -> list[Values]:
    generator = np.random.default_rng(seed)
    found = []
    for start in range(0, draws, chunk):
        size = min(chunk, draws - start)
        sums = np.zeros(size)
        for block, count in blocks:
            sums += generator.permuted(np.tile(block, (size, 1)), axis=1)[:, :count].sum(axis=1)
        found.append(sums)
    return found

"""Sets of sections: agreement of every number that both sides have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from thymusimg.evaluate.agreement import bland_altman, concordance, icc_2_1
from thymusimg.evaluate.overlap import confusion, kappa

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

Pair = tuple["Mapping[str, object]", "Mapping[str, object]"]

GRADES = ("_grade", "_score")
"""Columns of whole numbers with such a name are ordinal grades: weighted kappa."""
_PASSED_OVER = ("pixel_size_um", "grid_pixel_um")
COLUMNS = (
    "column", "n", "mean_result", "mean_truth", "ccc", "ccc_low", "ccc_high", "icc_2_1", "icc_low", "icc_high",
    "bias", "bias_low", "bias_high", "lower_limit", "lower_low", "lower_high", "upper_limit", "upper_low",
    "upper_high", "weighted_kappa", "reason",
)  # fmt: skip


def agreement_table(pairs: Sequence[Pair]) -> pd.DataFrame:
    """Return one row a column that both sides have a number of, over the sections of a set.

    Parameters
    ----------
    pairs : sequence of (mapping, mapping)
        The numbers of each section by column, of either side.
    """
    names: dict[str, None] = {}
    for a, b in pairs:
        names |= {k: None for k in a if k in b and k not in _PASSED_OVER}
    rows = []
    for name in names:
        both = np.array([[_number(a.get(name)), _number(b.get(name))] for a, b in pairs], np.float64)
        both = both[np.isfinite(both).all(1)]
        if len(both):
            rows.append(_agreement(name, both[:, 0], both[:, 1]))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _number(value: object) -> float:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        return float("nan")
    return float(value)


def _agreement(name: str, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> dict[str, object]:
    ccc, icc, limits = concordance(x, y), icc_2_1(x, y), bland_altman(x, y)
    row: dict[str, object] = {
        "column": name, "n": len(x), "mean_result": float(x.mean()), "mean_truth": float(y.mean()),
        "ccc": ccc.estimate, "ccc_low": ccc.low, "ccc_high": ccc.high,
        "icc_2_1": icc.estimate, "icc_low": icc.low, "icc_high": icc.high,
    }  # fmt: skip
    for key, low, interval in (
        ("bias", "bias", limits.bias),
        ("lower_limit", "lower", limits.lower),
        ("upper_limit", "upper", limits.upper),
    ):
        row |= {key: interval.estimate, f"{low}_low": interval.low, f"{low}_high": interval.high}
    row["weighted_kappa"] = _grades(x, y) if name.endswith(GRADES) else float("nan")
    reasons = dict.fromkeys(r for r in (ccc.reason, icc.reason, limits.bias.reason) if r)
    return row | {"reason": "; ".join(reasons)}


def _grades(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> float:
    both = np.concatenate([x, y])
    if (both != np.rint(both)).any() or (both < 0).any():
        return float("nan")
    a, b = x.astype(np.int64), y.astype(np.int64)
    return kappa(confusion(a, b, range(int(both.max()) + 1)), ordinal=True)

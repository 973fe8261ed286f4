"""What this study could have found, and what a next one of n animals a group would."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import special

from thymusimg.measurements.columns import columns as declared
from thymusimg.study import scales
from thymusimg.study.effects import Interval
from thymusimg.study.power import detectable_d

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from thymusimg.measurements.schema import Column, Scale
    from thymusimg.settings import StudySettings

    Values = npt.NDArray[np.float64]

SIZES = (3, 4, 5, 6, 8, 10, 12, 15)
"""Animals a group of a next study."""
POWER = 0.8
NAMES = tuple(column.name for column in declared("power"))


def power_table(
    animals: pd.DataFrame, settings: StudySettings, columns: Iterable[Column] | None = None
) -> pd.DataFrame:
    r"""Say what difference each primary endpoint shows with 80 % power, at this and at other sizes.

    The SD between animals is this study's own, pooled within the two groups on the endpoint's scale, with its
    :math:`\chi^2` interval: from few animals it is known badly, and so is what follows from it. No power is
    computed from the difference that was seen (it would only be the p value once more).

    Parameters
    ----------
    animals : DataFrame
        Rows of ``animals.csv``.
    settings : StudySettings
        Reference, primary endpoints and coverage. The level is ``1 - confidence`` over the primary tests.
    columns
        Where the primary endpoints are declared; by default the measurements' own.

    Returns
    -------
    DataFrame
        The table ``power``: a row an endpoint, contrast and number of animals. Where this study's groups differ in
        size, its own row has ``n_per_group`` the harmonic mean, rounded down.
    """
    known = {c.name: c for c in (declared("sections") if columns is None else columns)}
    groups = list(dict.fromkeys(animals["group"])) if len(animals) else []
    others = [group for group in groups if group != settings.reference]
    if settings.reference not in groups:
        return _framed([])
    tests = max(1, len(settings.primary) * len(others))
    rows = []
    for name in settings.primary:
        for group in others:
            if name in animals and name in known:
                parts = [_values(animals, name, one) for one in (settings.reference, group)]
                rows += _rows(known[name], settings, group, parts, tests)
    return _framed(rows)


def _rows(
    column: Column, settings: StudySettings, group: str, parts: list[Values], tests: int
) -> list[dict[str, object]]:
    chosen = scales.choose_scale(np.concatenate(parts), column.scale)
    spread = _spread([scales.onto(part, chosen.scale) for part in parts], settings.confidence)
    n = [part.size for part in parts]
    own = int(2 * n[0] * n[1] / (n[0] + n[1])) if min(n) >= 2 else 0
    shared = {
        "endpoint": column.name,
        "reference": settings.reference,
        "group": group,
        "tests": tests,
        "power": POWER,
        "sd": spread.estimate,
        "sd_low": spread.low,
        "sd_high": spread.high,
        "effect_label": scales.EFFECT_LABELS[chosen.scale],
        "reason": "" if math.isfinite(spread.estimate) else "the SD between animals needs 2 animals in a group",
    }
    rows = []
    for size, this in [(n, False) for n in SIZES if n != own] + ([(own, True)] if own else []):
        sizes = (n[0], n[1]) if this else (size, size)
        alpha = 1 - settings.confidence
        d = detectable_d(*sizes, power=POWER, alpha=alpha / tests)
        up, down = _on_scale(d * spread.estimate, chosen.scale)
        one = detectable_d(*sizes, power=POWER, alpha=alpha)
        numbers = {
            "n_per_group": size,
            "this_study": this,
            "detectable_sd": d,
            "detectable_sd_one_test": one,
            "detectable": up,
            "detectable_low": down,
        }
        rows.append(shared | numbers)
    return sorted(rows, key=lambda row: int(str(row["n_per_group"])))


def _spread(parts: list[Values], confidence: float) -> Interval:
    r"""Return the SD within groups and its interval :math:`s \sqrt{\nu / \chi^2}`."""
    df = sum(part.size - 1 for part in parts if part.size)
    if df < 1:
        return Interval(math.nan, math.nan, math.nan)
    sd = math.sqrt(sum(float(((part - part.mean()) ** 2).sum()) for part in parts if part.size) / df)
    tail = (1 - confidence) / 2
    low, high = (sd * math.sqrt(df / special.chdtri(df, p)) for p in (tail, 1 - tail))
    return Interval(sd, float(low), float(high))


def _on_scale(shift: float, scale: Scale) -> tuple[float, float]:
    if not math.isfinite(shift):
        return math.nan, math.nan
    shown = scales.effect(Interval(0.0, -shift, shift), scale)
    return shown.high, shown.low


def _values(animals: pd.DataFrame, name: str, group: str) -> Values:
    values = pd.to_numeric(animals.loc[animals["group"] == group, name], errors="coerce").to_numpy(dtype=np.float64)
    known: Values = values[np.isfinite(values)]
    return known


def _framed(rows: list[dict[str, object]]) -> pd.DataFrame:
    types = {"str": "str", "int": "int64", "float": "float64", "bool": "bool"}
    table = pd.DataFrame(rows, columns=list(NAMES))
    return table.astype({column.name: types[column.dtype] for column in declared("power")})

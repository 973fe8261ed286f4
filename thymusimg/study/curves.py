"""Curves of sections to curves of animals and groups."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import special

from thymusimg.study.summarise import JOINED, SUBJECT_TEXT

ANIMAL_KEY = ["animal", "group", "curve", "compartment", "x"]
GROUP_KEY = ["group", "curve", "compartment", "x"]
LEAST_WEIGHT = 0.05
"""An animal takes no part in its group's curve where it has less than this share of its own greatest weight: what a
few µm² at the rim of a section hold is no density of an animal."""
SAME_X = 9
"""Digits to which two sections' x must agree to be one place."""


def pool_curves(curves: pd.DataFrame, excluded: frozenset[str] = frozenset()) -> pd.DataFrame:
    """Pool the curves of every animal's sections.

    At every x the value is Σ weight · value / Σ weight over the sections in which both are defined: with the
    tissue's area as weight a profile of densities is Σ cells / Σ area, never a mean of ratios.

    Parameters
    ----------
    curves : DataFrame
        The table ``curves``: ``section_id, animal, group, curve, compartment, x, value, weight, reason``.
    excluded : frozenset of str
        Sections that are left out.

    Returns
    -------
    DataFrame
        ``animal, group, curve, compartment, x, value, weight, n_sections, reason``, in order of appearance and
        x. Where no section has a value, NaN with their reasons.

    Examples
    --------
    >>> table = pd.DataFrame({"section_id": ["s1", "s2"], "animal": "m", "group": "g", "curve": "c",
    ...     "compartment": "", "x": 5.0, "value": [10.0, 40.0], "weight": [2.0, 1.0], "reason": ""})
    >>> float(pool_curves(table)["value"].iloc[0])
    20.0
    """
    used = _typed(curves[~curves["section_id"].isin(excluded)])
    known = np.isfinite(used["value"]) & np.isfinite(used["weight"]) & (used["weight"] > 0)
    used = used.assign(
        _product=(used["value"] * used["weight"]).where(known, 0.0),
        _weight=used["weight"].where(known, 0.0),
        _n=known,
    )
    grouped = used.groupby(ANIMAL_KEY, sort=False, dropna=False)
    pooled = grouped[["_product", "_weight"]].sum().rename(columns={"_weight": "weight"})
    pooled["n_sections"] = grouped["_n"].sum().astype("int64")
    pooled["value"] = (pooled["_product"] / pooled["weight"]).where(pooled["weight"] > 0)
    pooled["reason"] = _reasons(used, pooled["n_sections"], ANIMAL_KEY, "no section has a value here")
    table = _without_lone_reasons(pooled.reset_index(), ["animal"])
    return _sorted(table, ["animal"])[[*ANIMAL_KEY, "value", "weight", "n_sections", "reason"]]


def group_curves(animal_curves: pd.DataFrame, confidence: float = 0.95) -> pd.DataFrame:
    r"""Average the animals' curves in every group.

    .. math:: \bar v \pm t_{n-1} s / \sqrt{n}

    at every x by itself: the interval covers the curve at one place, not the whole curve at once. ``sd`` is the
    dispersion between animals. An animal counts where its weight is at least a twentieth of its greatest along the
    curve.

    Parameters
    ----------
    animal_curves : DataFrame
        From :func:`pool_curves`.
    confidence : float
        Coverage of the intervals.

    Returns
    -------
    DataFrame
        ``group, curve, compartment, x, mean, low, high, sd, n_animals, reason``.
    """
    used = _weighty(animal_curves)
    grouped = used.groupby(GROUP_KEY, sort=False, dropna=False)
    table = grouped["value"].agg(["mean", "std"]).rename(columns={"std": "sd"})
    table["n_animals"] = grouped["_n"].sum().astype("int64")
    n = table["n_animals"].to_numpy(dtype=np.float64)
    enough = n >= 2
    t = special.stdtrit(np.where(enough, n - 1, 1.0), 0.5 + confidence / 2)
    reach = np.where(enough, t / np.sqrt(np.maximum(n, 1)), np.nan) * table["sd"]
    table["low"], table["high"] = table["mean"] - reach, table["mean"] + reach
    table["reason"] = _reasons(used, table["n_animals"], GROUP_KEY, "no animal has a value here")
    table.loc[table["n_animals"] == 1, "reason"] = "one animal: no interval"
    return _sorted(table.reset_index(), [])[[*GROUP_KEY, "mean", "low", "high", "sd", "n_animals", "reason"]]


def _weighty(animal_curves: pd.DataFrame) -> pd.DataFrame:
    """Blank an animal's values where it has next to nothing to take them from; ``_n`` marks those that remain."""
    weight = animal_curves["weight"].astype(np.float64).fillna(0.0)
    greatest = weight.groupby([animal_curves[name] for name in ("animal", "curve", "compartment")]).transform("max")
    light = (weight < LEAST_WEIGHT * greatest) & np.isfinite(animal_curves["value"].astype(np.float64))
    used = animal_curves.assign(value=animal_curves["value"].astype(np.float64).mask(light))
    used["reason"] = used["reason"].mask(light, "too little of the animal lies here to count in its group")
    return used.assign(_n=np.isfinite(used["value"]))


def _typed(curves: pd.DataFrame) -> pd.DataFrame:
    typed = curves.copy()
    for name in ("section_id", "animal", "group", "curve", "compartment", "reason"):
        typed[name] = typed[name].fillna("").astype(str) if name in typed else ""
    for name in ("x", "value", "weight"):
        typed[name] = pd.to_numeric(typed[name], errors="coerce").astype(np.float64)
    typed["x"] = typed["x"].round(SAME_X) + 0.0  # and no negative zero beside zero
    return typed


def _reasons(used: pd.DataFrame, known: pd.Series[int], key: list[str], otherwise: str) -> pd.Series[str]:
    """Give the distinct reasons where nothing is known."""
    reasons = pd.Series("", index=known.index, dtype=object)
    if not (known == 0).any():
        return reasons
    undefined = used[used["reason"] != ""].drop_duplicates([*key, "reason"])
    given = undefined.groupby(key, sort=False, dropna=False)["reason"].agg(JOINED.join)
    reasons.update(given)
    reasons = reasons.where(reasons != "", otherwise)
    return reasons.where(known == 0, "")


def _without_lone_reasons(table: pd.DataFrame, unit: list[str]) -> pd.DataFrame:
    """Drop the row that says why a section has no curve, where another section of the animal has one."""
    has = table.groupby([*unit, "curve", "compartment"])["n_sections"].transform("max") > 0
    return table[~(has & table["x"].isna())]


def _sorted(table: pd.DataFrame, unit: list[str]) -> pd.DataFrame:
    """Keep the order of groups, animals and curves; within a curve, by x."""
    keys = [pd.factorize(table[name])[0] for name in ("group", *unit, "curve", "compartment")]
    order = np.lexsort([table["x"].to_numpy(), *reversed(keys)])
    return table.iloc[order].reset_index(drop=True)


def excluded_sections(sections: pd.DataFrame) -> frozenset[str]:
    """Name the sections that ``sections.csv`` marks as excluded."""
    from thymusimg.study.summarise import with_subject

    typed = with_subject(sections)
    return frozenset(typed.loc[typed["exclude"].to_numpy(dtype=bool), SUBJECT_TEXT[0]])

"""Every declared and exploratory comparison of groups, with the animal as the unit."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from thymusimg.measurements.columns import columns as declared
from thymusimg.study.adjust import false_discovery, holm
from thymusimg.study.contrast import Contrast, contrast

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from thymusimg.measurements.schema import Column
    from thymusimg.settings import StudySettings

COLUMNS = tuple(field.name for field in dataclasses.fields(Contrast))
"""Columns of ``comparisons.csv``, in their order."""


def compare_groups(
    animals: pd.DataFrame, settings: StudySettings, columns: Iterable[Column] | None = None
) -> pd.DataFrame:
    """Compare every group with the declared reference, for every endpoint.

    An interval is Welch-t on the column's scale: ``log`` gives a ratio, ``logit`` an odds ratio. Where an animal
    has no place on the scale, the contrast is a difference and says so. ``hedges_g`` is on the same scale. Animals
    are exchanged within batch, else donor, where each of these holds both groups. ``p_adjusted`` is Holm's over the
    primary endpoints times the contrasts (tests that could not be made count too), and the Benjamini-Hochberg q
    over all exploratory tests; both adjust ``p_welch``.

    Parameters
    ----------
    animals
        Rows of ``animals.csv``, one an animal (:func:`thymusimg.study.summarise.pool_animals`).
    settings
        Reference group, primary endpoints, coverage, limits of the permutation.
    columns
        The endpoints; those without a ``pool``, or absent from ``animals`` and not primary, are passed over. By
        default every pooled column that the measurements know.

    Returns
    -------
    DataFrame
        One row a contrast, primary endpoints first; where inference is refused (fewer than two animals, one group,
        no reference, confounded with batch, no variance) the means stand with the ``reason``.
    """
    known = {c.name: c for c in (declared("sections") if columns is None else columns) if c.pool is not None}
    primary = [known[name] for name in settings.primary if name in known]
    exploratory = [c for c in known.values() if c.name in animals and c.name not in settings.primary]
    rows = [
        *(row for column in primary for row in _endpoint(column, "primary", animals, settings)),
        *(row for column in exploratory for row in _endpoint(column, "exploratory", animals, settings)),
    ]
    return _table(_adjusted(rows))


def _endpoint(column: Column, role: str, animals: pd.DataFrame, settings: StudySettings) -> list[Contrast]:
    """Return an endpoint's contrasts, or one row a group with the reason why there are none."""
    groups = list(dict.fromkeys(animals["group"])) if len(animals) else []
    reference = settings.reference
    others = [group for group in groups if group != reference]
    reason = _no_contrasts(groups, reference)
    if column.name not in animals:
        shown = (others if reference in groups else groups) or [""]
        return [
            Contrast(column.name, column.unit, role, reference, group, reason="measured in no animal")
            for group in shown
        ]
    if reason:
        return [_group_alone(column, role, animals, reference, group, reason) for group in groups or [""]]
    by_group = {group: animals[animals["group"] == group] for group in groups}
    return [contrast(column, role, by_group[reference], by_group[group], settings) for group in others]


def _no_contrasts(groups: Sequence[str], reference: str) -> str:
    if not groups:
        return "no animal was measured"
    if len(groups) == 1:
        return f"only one group ('{groups[0]}'): nothing to compare it with"
    if not reference:
        return 'no reference group is declared: write  reference = "GROUP"  under [study] in study.toml'
    if reference not in groups:
        return f"no animal of the reference group '{reference}' was measured"
    return ""


def _group_alone(
    column: Column, role: str, animals: pd.DataFrame, reference: str, group: str, reason: str
) -> Contrast:
    values = pd.to_numeric(animals.loc[animals["group"] == group, column.name]).dropna()
    return Contrast(
        column.name,
        column.unit,
        role,
        reference,
        group,
        n_group=len(values),
        mean_group=float(values.mean()) if len(values) else np.nan,
        reason=reason,
    )


def _adjusted(rows: list[Contrast]) -> list[Contrast]:
    adjusted = list(rows)
    for role in ("primary", "exploratory"):
        places = [i for i, row in enumerate(rows) if row.role == role]
        p = np.array([rows[i].p_welch for i in places], dtype=np.float64)
        q = holm(p) if role == "primary" else false_discovery(p)
        tests = p.size if role == "primary" else int(np.isfinite(p).sum())
        method = "Holm" if role == "primary" else "Benjamini-Hochberg"
        label = f"{method} over {tests} {role} tests (p_welch)"
        for i, value in zip(places, q, strict=True):
            if np.isfinite(value):
                adjusted[i] = dataclasses.replace(rows[i], p_adjusted=float(value), adjustment=label)
    return adjusted


def _table(rows: list[Contrast]) -> pd.DataFrame:
    table = pd.DataFrame([dataclasses.asdict(row) for row in rows], columns=list(COLUMNS))
    types = {"str": "str", "int": "int64", "float": "float64"}
    return table.astype({field.name: types[str(field.type)] for field in dataclasses.fields(Contrast)})

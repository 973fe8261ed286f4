"""Every declared and exploratory comparison of groups, with the animal as the unit."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd

from thymusimg.measurements.columns import columns as declared
from thymusimg.measurements.study_columns import ORGANISATION_COLUMNS
from thymusimg.study.adjust import false_discovery, holm
from thymusimg.study.contrast import Contrast, contrast
from thymusimg.study.hierarchy import view_sections
from thymusimg.study.summarise import kept_sections

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from thymusimg.measurements.schema import Column, Scale
    from thymusimg.settings import StudySettings

SHARED = ("animal", "group", "donor", "batch", "negative_control", "n_sections", "cd45_saturated_share")
"""Columns of ``animals.csv`` that every contrast looks at."""
COLUMNS = tuple(field.name for field in dataclasses.fields(Contrast))
"""Columns of ``comparisons.csv``, in their order."""


def compare_groups(
    animals: pd.DataFrame,
    settings: StudySettings,
    columns: Iterable[Column] | None = None,
    *,
    sections: pd.DataFrame | None = None,
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
        default every pooled column that the measurements know, and the Organisation Index.
    sections
        Rows of ``sections.csv``. With them each contrast carries the intraclass correlation of an animal's sections
        and, as a sensitivity analysis only, a mixed model of the sections (:mod:`thymusimg.study.mixed`; for
        densities of counts :mod:`thymusimg.study.counts`). Nothing else depends on them.

    Returns
    -------
    DataFrame
        One row a contrast, primary endpoints first; where inference is refused (fewer than two animals, one group,
        no reference, confounded with batch, no variance) the means stand with the ``reason``.
    """
    given = [*declared("sections"), *ORGANISATION_COLUMNS] if columns is None else list(columns)
    known = {c.name: c for c in given if c.pool is not None or c.table == "animals"}
    # the Organisation Index is exploratory whatever is declared: it is made of other endpoints
    primary = [known[name] for name in settings.primary if name in known and known[name].table == "sections"]
    exploratory = [c for c in known.values() if c.name in animals and c not in primary]
    rows = [
        *(row for column in primary for row in _endpoint(column, "primary", animals, settings)),
        *(row for column in exploratory for row in _endpoint(column, "exploratory", animals, settings)),
    ]
    rows = _adjusted(rows)
    if sections is not None and len(sections):
        counts = {c.name for c in given if c.dtype == "int"}
        kept = kept_sections(sections)
        rows = [_beside(row, known, kept, counts, settings) for row in rows]
    return _table(rows)


def _beside(
    row: Contrast,
    known: Mapping[str, Column],
    sections: pd.DataFrame,
    counts: Collection[str],
    settings: StudySettings,
) -> Contrast:
    """Set what the sections say beside a contrast that has inference."""
    if row.reason or known[row.endpoint].table != "sections":
        return row
    scale = cast("Scale", row.scale)
    groups = (row.reference, row.group)
    seen = view_sections(sections, known[row.endpoint], groups, scale, counts, settings.confidence)
    return dataclasses.replace(
        row,
        **dataclasses.asdict(seen.nesting),
        mixed_estimate=seen.mixed.estimate.estimate,
        mixed_low=seen.mixed.estimate.low,
        mixed_high=seen.mixed.estimate.high,
        mixed_p=seen.mixed.p,
        mixed_converged=seen.mixed.converged,
        mixed_note=seen.mixed.note,
    )


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
    # a contrast is over one column: the others are not carried along
    beside = [name for name in (*SHARED, column.name, f"{column.name}_reason") if name in animals]
    narrow = animals[list(dict.fromkeys(beside))]
    by_group = {group: narrow[narrow["group"] == group] for group in groups}
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
    types = {"str": "str", "int": "int64", "float": "float64", "bool | None": "boolean"}
    return table.astype({field.name: types[str(field.type)] for field in dataclasses.fields(Contrast)})

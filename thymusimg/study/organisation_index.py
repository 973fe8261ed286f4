"""One number for how organised a thymus is, against external references only (R15)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from thymusimg.errors import StudyTableError
from thymusimg.settings.study import Anchor, OrganisationReference

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    import numpy.typing as npt

    Values = npt.NDArray[np.float64]

SOURCES: dict[str, tuple[str, ...]] = {
    "medulla_fraction": ("medulla_fraction",),
    "sharpness": ("cmj_width_um",),
    "segregation": ("segregation_index_50um",),
    "coverage": ("cortical_coverage",),
    "burden": ("cyst_share", "indeterminate_share"),
}
"""The columns of ``animals.csv`` that each component is made of; fixed beforehand, never fitted."""
COLUMNS = {
    "medulla_fraction": "organisation_z_medulla_balance",
    "sharpness": "organisation_z_sharpness",
    "segregation": "organisation_z_segregation",
    "coverage": "organisation_z_coverage",
    "burden": "organisation_z_burden",
}
INDEX = "organisation_index"
UNDECLARED = "no external reference was declared"
LEAST_ANIMALS = 3


def components(animals: pd.DataFrame) -> dict[str, Values]:
    """Return each component in its own unit, one value an animal: the width as a natural logarithm."""
    found = {}
    for name, columns in SOURCES.items():
        value = sum(_numbers(animals, column) for column in columns)
        found[name] = np.asarray(value, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        width = found["sharpness"]
        found["sharpness"] = np.where(width > 0, np.log(width), np.nan)
    return found


def reference_of(animals: pd.DataFrame, wild_type: str, untreated: str, where: str) -> OrganisationReference:
    r"""Turn animals of an earlier run into the reference of each component.

    .. math:: S = \sqrt{\frac{\sum_{g} (n_g - 1) s_g^2}{\sum_{g} (n_g - 1)}}, \quad g \in \{wild type, untreated\}

    over the animals in which the component is defined. Untreated thymus may have no junction: then S rests on the
    wild type alone.

    Parameters
    ----------
    animals : DataFrame
        ``animals.csv`` of the earlier run.
    wild_type, untreated : str
        Its groups.
    where : str
        Its name, for the errors.

    Raises
    ------
    StudyTableError
        If a group is not there or has fewer than 3 animals, or a component cannot be told from them.
    """
    if "group" not in animals or "animal" not in animals:
        raise StudyTableError(f"{where}: not an animals.csv of thymusimg (no column 'animal' or 'group')")
    groups = {name: (animals["group"] == name).to_numpy() for name in (wild_type, untreated)}
    for name, rows in groups.items():
        if rows.sum() < LEAST_ANIMALS:
            known = ", ".join(sorted(set(animals["group"])))
            raise StudyTableError(
                f"{where}: {int(rows.sum())} animals in '{name}'; a reference needs at least {LEAST_ANIMALS} "
                f"(its groups: {known})"
            )
    values = components(animals)
    return OrganisationReference(
        **{name: _anchor(name, values[name], groups, wild_type, where) for name in SOURCES}
    )


def _anchor(
    name: str, values: Values, groups: dict[str, npt.NDArray[np.bool_]], wild_type: str, where: str
) -> Anchor:
    parts = {group: values[rows & np.isfinite(values)] for group, rows in groups.items()}
    squares = sum(float(((part - part.mean()) ** 2).sum()) for part in parts.values() if part.size)
    free = sum(part.size - 1 for part in parts.values() if part.size)
    own = parts[wild_type]
    if own.size < LEAST_ANIMALS or free < 1 or squares <= 1e-24 * max(1.0, float((own**2).sum())):
        raise StudyTableError(
            f"{where}: {' + '.join(SOURCES[name])} is defined in {own.size} animals of '{wild_type}' and has no "
            "spread to measure by, or too few; the Organisation Index needs all its components in the wild type"
        )
    return Anchor(wild_type=float(own.mean()), sd=math.sqrt(squares / free))


def read_reference(
    path: Path, wild_type: str, untreated: str, own: Collection[tuple[str, str]]
) -> OrganisationReference:
    """Read the reference from the ``animals.csv`` of an earlier run.

    Parameters
    ----------
    own : collection of (animal, group)
        The study's own animals: a reference that holds one of them in its group is refused, because the index
        would be fitted to the study's own groups.

    Raises
    ------
    StudyTableError
    """
    try:
        animals = pd.read_csv(
            path,
            dtype={"animal": str, "group": str},
            keep_default_na=False,
            na_values=[""],
            float_precision="round_trip",
        )
    except (OSError, ValueError) as error:
        raise StudyTableError(f"{path}: the reference of the Organisation Index cannot be read ({error})") from None
    if {"animal", "group"} <= set(animals.columns):
        used = animals[animals["group"].isin((wild_type, untreated))]
        shared = [f"{a} ({g})" for a, g in zip(used["animal"], used["group"], strict=True) if (a, g) in own]
        if shared:
            raise StudyTableError(
                f"{path}: {', '.join(shared[:3])}{' …' if len(shared) > 3 else ''} are animals of this study; the "
                "Organisation Index needs references from outside it"
            )
    return reference_of(animals, wild_type, untreated, str(path))


def with_organisation_index(animals: pd.DataFrame, reference: OrganisationReference | None) -> pd.DataFrame:
    r"""Add the Organisation Index and its components to ``animals.csv``.

    .. math::
        z_f = -|f - W_f| / S_f, \quad z_w = -(\ln w - W_w) / S_w, \quad z_s = (s - W_s) / S_s, \quad
        z_c = (c - W_c) / S_c, \quad z_b = -(b - W_b) / S_b, \quad OI = \tfrac{1}{5} \sum z

    with f the medulla fraction, w the width of the junction, s the segregation index, c the cortical coverage and b
    the share of cysts and indeterminate tissue; W is the mean of the external wild type, S the SD within the
    external wild type and untreated groups. 0 is the wild type, below is less organised; the unit is SD between
    animals. The weights are equal and nothing is fitted to this study. The medulla fraction counts by its distance
    from the wild type's either way, so that the wild type's own mean is -0.8 there (mean of -|z|) and its index
    -0.16.

    Parameters
    ----------
    animals : DataFrame
        One row an animal.
    reference : OrganisationReference or None
        None leaves every column undefined.

    Examples
    --------
    >>> anchor = Anchor(wild_type=0.3, sd=0.1)
    >>> reference = OrganisationReference(medulla_fraction=anchor, sharpness=Anchor(wild_type=2.0, sd=0.5),
    ...     segregation=anchor, coverage=Anchor(wild_type=1.0, sd=0.1), burden=anchor)
    >>> animal = pd.DataFrame({"animal": ["m1"], "medulla_fraction": [0.4], "cmj_width_um": [np.exp(2.5)],
    ...     "segregation_index_50um": [0.2], "cortical_coverage": [0.9], "cyst_share": [0.3],
    ...     "indeterminate_share": [0.1]})
    >>> [round(float(x), 9) for x in with_organisation_index(animal, reference).iloc[0][[*COLUMNS.values(), INDEX]]]
    [-1.0, -1.0, -1.0, -1.0, -1.0, -1.0]
    """
    names = (INDEX, *COLUMNS.values())
    if reference is None:
        undeclared = {key: v for n in names for key, v in ((n, np.nan), (f"{n}_reason", UNDECLARED))}
        return pd.concat([animals, pd.DataFrame(undeclared, index=animals.index)], axis=1)
    scores: dict[str, Values] = {}
    for name, value in components(animals).items():
        anchor: Anchor = getattr(reference, name)
        z = (value - anchor.wild_type) / anchor.sd
        scores[name] = -np.abs(z) if name == "medulla_fraction" else -z if name in ("sharpness", "burden") else z
    added = _with_reason(INDEX, np.mean(np.stack(list(scores.values())), axis=0), _missing(scores))
    for name, column in COLUMNS.items():
        added |= _with_reason(column, scores[name], f"{' or '.join(SOURCES[name])} is undefined")
    return pd.concat([animals, pd.DataFrame(added, index=animals.index)], axis=1)


def _with_reason(name: str, values: Values, why: str | list[str]) -> dict[str, object]:
    if np.isfinite(values).all():
        return {name: values}
    return {name: values, f"{name}_reason": np.where(np.isfinite(values), "", why)}


def _missing(scores: dict[str, Values]) -> list[str]:
    absent = np.stack([~np.isfinite(z) for z in scores.values()], axis=1)
    names = [" or ".join(SOURCES[name]) for name in scores]
    return [f"undefined: {', '.join(n for n, gone in zip(names, row, strict=True) if gone)}" for row in absent]


def _numbers(table: pd.DataFrame, name: str) -> Values:
    if name not in table:
        return np.full(len(table), np.nan)
    return pd.to_numeric(table[name], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)

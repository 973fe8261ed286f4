"""One endpoint, one group against the reference."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from thymusimg.measurements.schema import Sum
from thymusimg.study import scales
from thymusimg.study.effects import cliffs_delta, hedges_g, is_constant, welch
from thymusimg.study.permutation import permute
from thymusimg.study.summarise import JOINED

if TYPE_CHECKING:
    import numpy.typing as npt

    from thymusimg.measurements.schema import Column, Scale
    from thymusimg.settings import StudySettings

    Values = npt.NDArray[np.float64]

FEW_ANIMALS = 4
"""Below so many animals a group, every comparison carries a plain warning."""


@dataclass(frozen=True)
class Contrast:
    """One row of ``comparisons.csv``, before adjustment."""

    endpoint: str
    unit: str
    role: str
    reference: str
    group: str
    n_reference: int = 0
    n_group: int = 0
    mean_reference: float = np.nan
    mean_group: float = np.nan
    difference: float = np.nan
    ci_low: float = np.nan
    ci_high: float = np.nan
    scale: str = ""
    effect_label: str = ""
    hedges_g: float = np.nan
    g_ci_low: float = np.nan
    g_ci_high: float = np.nan
    cliffs_delta: float = np.nan
    p_welch: float = np.nan
    p_permutation: float = np.nan
    p_adjusted: float = np.nan
    adjustment: str = ""
    min_possible_p: float = np.nan
    note: str = ""
    reason: str = ""
    sections_per_animal: float = np.nan
    icc: float = np.nan
    design_effect: float = np.nan
    mixed_estimate: float = np.nan
    mixed_low: float = np.nan
    mixed_high: float = np.nan
    mixed_p: float = np.nan
    mixed_converged: bool | None = None
    mixed_note: str = ""


class Strata(NamedTuple):
    """Within what animals are exchanged: a stratum number an animal (None: freely), and what to say about it."""

    labels: npt.NDArray[np.int64] | None
    note: str


def contrast(
    column: Column, role: str, reference: pd.DataFrame, group: pd.DataFrame, settings: StudySettings
) -> Contrast:
    """Compare one endpoint between two groups of animals.

    Parameters
    ----------
    column
        The endpoint, with its scale.
    role
        ``primary`` or ``exploratory``.
    reference, group
        Rows of ``animals.csv`` of either group; none may be empty.
    settings
        Coverage of the intervals and limits of the permutation.

    Returns
    -------
    Contrast
        With estimates wherever there are any, and a ``reason`` where inference is refused.
    """
    values, other = (pd.to_numeric(part[column.name]).to_numpy(dtype=np.float64) for part in (group, reference))
    has, other_has = np.isfinite(values), np.isfinite(other)
    animals = pd.concat([reference[other_has], group[has]], ignore_index=True)
    base = Contrast(
        endpoint=column.name,
        unit=column.unit,
        role=role,
        reference=reference["group"].iloc[0],
        group=group["group"].iloc[0],
        n_reference=int(other_has.sum()),
        n_group=int(has.sum()),
        mean_reference=_mean(other[other_has]),
        mean_group=_mean(values[has]),
    )
    notes = [_undefined_note(part, column, found) for part, found in ((reference, other_has), (group, has))]
    other, values = other[other_has], values[has]
    chosen = scales.choose_scale(np.concatenate([other, values]), column.scale)
    other, values = scales.onto(other, chosen.scale), scales.onto(values, chosen.scale)
    reason = _refusal(base, column, animals, other, values)
    if reason:
        return dataclasses.replace(base, reason=reason, note=_sentences(notes))
    strata = strata_of(animals, base.reference, base.group)
    apart = _donors_apart(animals, base.reference, base.group)
    notes += [chosen.note, strata.note, apart, *_warnings(base, animals, column)]
    return _inference(base, chosen.scale, other, values, strata, settings, notes)


def _inference(
    base: Contrast,
    scale: Scale,
    x: Values,
    y: Values,
    strata: Strata,
    settings: StudySettings,
    notes: list[str],
) -> Contrast:
    """Fill in a contrast from the reference's values ``x`` and the group's ``y``, both on ``scale``."""
    test = welch(x, y, settings.confidence)
    shown = scales.effect(test.difference, scale)
    g = hedges_g(x, y, settings.confidence)
    permuted = permute(
        np.concatenate([x, y]),
        np.arange(x.size + y.size) >= x.size,
        strata.labels,
        most_exact=settings.exact_permutations,
        draws=settings.random_permutations,
        seed=settings.seed,
    )
    if not permuted.exact:
        notes.append(f"p_permutation from {permuted.arrangements:,} random arrangements (seed {settings.seed})")
    if permuted.smallest > 0.05:
        notes.append(f"no permutation test of these animals can be below {permuted.smallest:.2f}")
    return dataclasses.replace(
        base,
        difference=shown.estimate,
        ci_low=shown.low,
        ci_high=shown.high,
        scale=scale,
        effect_label=scales.EFFECT_LABELS[scale],
        hedges_g=g.estimate,
        g_ci_low=g.low,
        g_ci_high=g.high,
        cliffs_delta=cliffs_delta(x, y),
        p_welch=test.p,
        p_permutation=permuted.p,
        min_possible_p=permuted.smallest,
        note=_sentences(notes),
    )


def strata_of(animals: pd.DataFrame, reference: str, group: str) -> Strata:
    """Choose within what animals may be exchanged: batch, else donor, if each stratum holds both groups."""
    notes = []
    for name in ("batch", "donor"):
        labels = animals[name].fillna("").astype(str) if name in animals else pd.Series("", index=animals.index)
        if labels.nunique() < 2:
            continue
        both = all(set(part) == {reference, group} for _, part in animals["group"].groupby(labels))
        if both and (labels != "").all() and not labels.str.contains(JOINED, regex=False).any():
            return Strata(pd.factorize(labels, sort=True)[0].astype(np.int64), f"permuted within {name}")
        notes.append(f"not permuted within {name}, because not every {name} holds both groups")
    return Strata(None, JOINED.join(notes))


def _donors_apart(animals: pd.DataFrame, reference: str, group: str) -> str:
    """Say that donor and treatment cannot be told apart, where they cannot."""
    if "donor" not in animals:
        return ""
    donors = animals["donor"].fillna("").astype(str)
    if (donors == "").any() or donors.str.contains(JOINED, regex=False).any():
        return ""
    apart = all(len(set(part)) == 1 for _, part in animals["group"].groupby(donors))
    return (
        f"no donor is in both '{reference}' and '{group}': their donors may differ as well as their treatment"
        * apart
    )


def confounded_with_batch(animals: pd.DataFrame) -> bool:
    """Tell whether batches are known, there are several, and none holds animals of both groups."""
    if "batch" not in animals:
        return False
    held: dict[str, set[str]] = {}
    for batches, group in zip(animals["batch"].fillna("").astype(str), animals["group"], strict=True):
        if not batches:
            return False
        for batch in batches.split(JOINED):
            held.setdefault(batch, set()).add(group)
    return len(held) > 1 and all(len(groups) == 1 for groups in held.values())


def _refusal(base: Contrast, column: Column, animals: pd.DataFrame, reference: Values, group: Values) -> str:
    """Say why there may be no inference, or nothing."""
    few = [
        f"n = {n} in '{name}'" for name, n in ((base.reference, reference.size), (base.group, group.size)) if n < 2
    ]
    if few:
        return f"{' and '.join(few)}: at least 2 animals per group are needed"
    if confounded_with_batch(animals):
        return (
            f"no batch holds animals of both '{base.reference}' and '{base.group}': "
            "a difference between the groups cannot be told from one between the batches"
        )
    if isinstance(column.pool, Sum) and animals["n_sections"].nunique() > 1:
        return "a total over sections, and the animals have different numbers of sections: compare it per area"
    if is_constant(reference) and is_constant(group):
        return "the animals do not differ within either group, so there is no variance to judge a difference by"
    return ""


def _undefined_note(part: pd.DataFrame, column: Column, found: npt.NDArray[np.bool_]) -> str:
    missing = int((~found).sum())
    if not missing:
        return ""
    why = ""
    if f"{column.name}_reason" in part:
        reasons = dict.fromkeys(part.loc[~found, f"{column.name}_reason"].fillna("").astype(str))
        why = f" ({' / '.join(reason.replace(JOINED, ' / ') for reason in reasons if reason)})"
    return f"undefined in {missing} of {len(part)} animals of '{part['group'].iloc[0]}'{why}, which are left out"


def _warnings(base: Contrast, animals: pd.DataFrame, column: Column) -> list[str]:
    notes = []
    if min(base.n_reference, base.n_group) < FEW_ANIMALS:
        notes.append(
            f"only {base.n_reference} and {base.n_group} animals: the interval rests on the assumption of normal "
            "values, and only very large differences can be found"
        )
    if not column.name.startswith("cd45"):
        return notes
    if "negative_control" in animals:
        controls = animals.groupby("group")["negative_control"].all()
        notes += [f"'{g}' are the negative controls of the CD45 gate" for g in controls.index[controls]]
    if ("count" in column.name or "density" in column.name) and "cd45_saturated_share" in animals:
        crowded = int((pd.to_numeric(animals["cd45_saturated_share"]) > 0.05).sum())
        if crowded:
            notes.append(f"cells overlap in {crowded} animals and are undercounted there: read cd45_area_fraction")
    return notes


def _sentences(notes: list[str]) -> str:
    return JOINED.join(note for note in notes if note)


def _mean(values: Values) -> float:
    return float(values.mean()) if values.size else np.nan

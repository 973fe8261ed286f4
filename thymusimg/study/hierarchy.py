"""What the sections say about a contrast of animals: how alike an animal's sections are, and a mixed model."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from thymusimg.measurements.schema import Ratio, Sum
from thymusimg.study import scales
from thymusimg.study.counts import fit_counts
from thymusimg.study.mixed import MixedFit, fit_mixed
from thymusimg.study.summarise import JOINED

if TYPE_CHECKING:
    from collections.abc import Collection

    import numpy.typing as npt

    from thymusimg.measurements.schema import Column, Scale

    Values = npt.NDArray[np.float64]


NOTHING = MixedFit()


@dataclass(frozen=True)
class Nesting:
    """How an endpoint's variance is shared between animals and their sections.

    ``icc`` is the intraclass correlation of an animal's sections within groups, ``sections_per_animal`` their mean
    number m, ``design_effect`` 1 + (m - 1) icc: by so much a test of sections overrates what it has.
    """

    icc: float = math.nan
    sections_per_animal: float = math.nan
    design_effect: float = math.nan


def nesting(values: Values, animals: npt.NDArray[np.object_], groups: npt.NDArray[np.object_]) -> Nesting:
    r"""Return the intraclass correlation of the sections of an animal, the groups' means taken out.

    .. math::
        ICC = \frac{MS_a - MS_s}{MS_a + (k_0 - 1) MS_s}, \quad DEFF = 1 + (m - 1) ICC

    from the nested analysis of variance, with :math:`k_0` the unbalanced number of sections (Snedecor and Cochran
    1989, 13.7; Kish 1965). Below 0 it is given as 0. Undefined (NaN) where no animal has two sections, or no group
    has two animals.

    Parameters
    ----------
    values, animals, groups : (n,) arrays
        One entry a section; values are finite and on the scale of the comparison.

    Examples
    --------
    >>> found = nesting(np.array([1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 4.0]), np.array(list("aabbccdd"), object),
    ...                 np.array(list("rrrrgggg"), object))
    >>> found.icc, found.design_effect
    (1.0, 2.0)
    """
    table = pd.DataFrame({"y": values, "animal": animals, "group": groups})
    by_animal = table.groupby("animal", sort=False)
    count = by_animal.size().to_numpy(dtype=np.float64)
    if not count.size:
        return Nesting()
    per_animal = float(count.mean())
    group = by_animal["group"].first()
    sections, n_animals, n_groups = float(count.sum()), count.size, group.nunique()
    if sections <= n_animals or n_animals <= n_groups:
        return Nesting(sections_per_animal=per_animal)
    animal_mean = by_animal["y"].transform("mean")
    group_mean = table.groupby("group")["y"].transform("mean")
    within = float(((table["y"] - animal_mean) ** 2).sum()) / (sections - n_animals)
    between = float(((animal_mean - group_mean) ** 2).sum()) / (n_animals - n_groups)
    in_group = pd.Series(count, index=group.to_numpy()).groupby(level=0)
    squares = in_group.apply(lambda k: float((k**2).sum() / k.sum()))
    k0 = (sections - float(squares.sum())) / (n_animals - n_groups)
    total = between + (k0 - 1) * within
    if total <= 1e-24 * float((table["y"] ** 2).mean()):
        return Nesting(sections_per_animal=per_animal)
    icc = min(1.0, max(0.0, (between - within) / total))
    return Nesting(icc, per_animal, 1 + (per_animal - 1) * icc)


@dataclass(frozen=True)
class BySection:
    """What a contrast of animals is set beside; the model's numbers are shown as the contrast's are."""

    nesting: Nesting = Nesting()
    mixed: MixedFit = NOTHING


def view_sections(
    sections: pd.DataFrame,
    column: Column,
    groups: tuple[str, str],
    scale: Scale,
    counts: Collection[str],
    confidence: float,
) -> BySection:
    """Look at one endpoint over the sections of two groups.

    Parameters
    ----------
    sections : DataFrame
        Rows of ``sections.csv`` with the subject's columns typed, excluded sections left out.
    column : Column
        The endpoint.
    groups : (reference, group)
    scale : Scale
        On which the animals were compared.
    counts : collection of str
        Columns that are counts: a density of one is modelled as a count.
    confidence : float
        Coverage of the interval.
    """
    if column.name not in sections:
        return BySection(mixed=MixedFit(note="mixed model: the sections have no value of their own"))
    pool = column.pool
    names = ["animal", "group", "batch", "donor", column.name, *(pool.names if isinstance(pool, Ratio) else ())]
    part = sections[[name for name in dict.fromkeys(names) if name in sections]]
    part = part[part["group"].isin(groups)]
    y = pd.to_numeric(part[column.name], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    known = np.isfinite(y)
    part, y = part[known], y[known]
    if not y.size:
        return BySection(mixed=MixedFit(note="mixed model: no section has a value"))
    chosen = scales.choose_scale(y, scale)
    with_y = part[["animal", "group", "batch", "donor"]].assign(y=scales.onto(y, chosen.scale))
    alike = nesting(with_y["y"].to_numpy(), part["animal"].to_numpy(), part["group"].to_numpy())
    ready = _counted(part, column, counts)
    if ready is not None:
        return BySection(alike, _shown(fit_counts(ready, groups[0], confidence), "log", scale))
    fit = fit_mixed(with_y, groups[0], confidence)
    notes = [fit.note]
    if isinstance(column.pool, Sum):
        notes.append("per section, where the animals' value is the total over theirs")
    mixed = MixedFit(fit.estimate, fit.p, fit.df, fit.converged, JOINED.join(notes))
    return BySection(alike, _shown(mixed, chosen.scale, scale))


def _counted(part: pd.DataFrame, column: Column, counts: Collection[str]) -> pd.DataFrame | None:
    """Return the sections' counts and areas, if the endpoint is a density of counts."""
    pool = column.pool
    if not (isinstance(pool, Ratio) and isinstance(pool.numerator, str) and pool.numerator in counts):
        return None
    if not isinstance(pool.denominator, str) or not {pool.numerator, pool.denominator} <= set(part.columns):
        return None
    count, area = (
        pd.to_numeric(part[name], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
        for name in (pool.numerator, pool.denominator)
    )
    used = np.isfinite(count) & np.isfinite(area) & (area > 0)
    ready: pd.DataFrame = part.loc[used, ["animal", "group"]].assign(count=count[used], area=area[used])
    return ready


def _shown(fit: MixedFit, scale: Scale, headline: Scale) -> MixedFit:
    """Turn an estimate on a scale into a difference, ratio or odds ratio, and say if the contrast is another."""
    note = fit.note
    if scale != headline and math.isfinite(fit.p):
        note = JOINED.join(
            [note, f"{_a(scales.EFFECT_LABELS[scale])}, where the contrast is {_a(scales.EFFECT_LABELS[headline])}"]
        )
    return MixedFit(scales.effect(fit.estimate, scale), fit.p, fit.df, fit.converged, note)


def _a(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"

"""``python -m benchmarks.statistics``: do the intervals cover, and does a null study stay silent?

Writes ``docs/statistics.md``. Tables of sections are drawn (donor, animal, section), pooled and compared by the package's
own functions; what people do instead (a t test of sections, a bootstrap of animals) runs on the same tables.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import stats

from thymusimg.measurements.columns import column
from thymusimg.settings import StudySettings
from thymusimg.study import scales
from thymusimg.study.compare import compare_groups
from thymusimg.study.effects import hedges_g, welch
from thymusimg.study.power import detectable_d
from thymusimg.study.summarise import pool_animals

if TYPE_CHECKING:
    from collections.abc import Iterable

    from thymusimg.measurements.schema import Scale

    Values = np.ndarray

DOCS = Path(__file__).parents[1] / "docs" / "statistics.md"
GROUPS = ("CD34", "progenitors", "untreated")
SIZES, ICCS, SECTIONS = (4, 5, 6, 8), (0.3, 0.5, 0.7, 0.9), 4
DONOR_SHARE = 0.25
"""Share of the variance between animals that is between donors."""


@dataclass(frozen=True)
class Kind:
    """An endpoint: its column, where its sections lie on the scale, and the SD of a section there."""

    name: str
    scale: Scale
    level: float
    sd: float
    weight: str

    def columns(self, latent: Values, area: Values, draw: np.random.Generator) -> dict[str, Values]:
        """Return the columns of ``sections.csv`` that the endpoint is pooled from."""
        if self.scale == "logit":
            share = 1 / (1 + np.exp(-latent))
            return {self.name: share, "cd45_area_mm2": share * area}
        if self.name.endswith("per_mm2"):
            count = draw.poisson(np.exp(latent) * area)
            return {self.name: count / area, "cd45_count": count}
        return {self.name: np.exp(latent), self.weight: area * draw.lognormal(0, 0.3, area.shape)}

    def pooled(self, table: dict[str, Values], area: Values) -> Values:
        """Pool over the last axis, as :func:`pool_animals` does one animal at a time."""
        if self.scale == "logit":
            return table["cd45_area_mm2"].sum(-1) / area.sum(-1)
        if self.name.endswith("per_mm2"):
            return table["cd45_count"].sum(-1) / area.sum(-1)
        return (table[self.weight] * table[self.name]).sum(-1) / table[self.weight].sum(-1)


KINDS = (
    Kind("cd45_area_fraction", "logit", -2.0, 0.8, "parenchyma_area_mm2"),
    Kind("cd45_density_per_mm2", "log", np.log(800.0), 0.9, "parenchyma_area_mm2"),
    Kind("cmj_width_um", "log", np.log(40.0), 0.35, "cmj_profiled_length_mm"),
)
SPARSE = Kind("cd45_density_per_mm2", "log", np.log(1.5), 0.9, "parenchyma_area_mm2")
PRIMARY = tuple(kind.name for kind in KINDS)


def latent(kind: Kind, shape: tuple[int, ...], icc: float, draw: np.random.Generator, donors: Values) -> Values:
    """Draw sections on the scale: donors within animals' variance, animals, sections; the last axis is the sections."""
    between = kind.sd**2 * icc
    animal = donors * np.sqrt(between * DONOR_SHARE) + draw.normal(
        0, np.sqrt(between * (1 - DONOR_SHARE)), shape[:-1]
    )
    return kind.level + animal[..., None] + draw.normal(0, kind.sd * np.sqrt(1 - icc), shape)


def null_study(
    n: int, icc: float, seed: int, *, nested: bool = False, kinds: Iterable[Kind] = KINDS
) -> pd.DataFrame:
    """Draw ``sections.csv`` of a study in which the groups do not differ; ``nested``: every group has donors of its own."""
    draw = np.random.default_rng(seed)
    shape = (len(GROUPS), n, SECTIONS)
    area = draw.lognormal(0.3, 0.5, shape)
    which = np.arange(n) % 2 + (2 * np.arange(len(GROUPS))[:, None] if nested else np.zeros((len(GROUPS), 1), int))
    table: dict[str, Values] = {"parenchyma_area_mm2": area}
    for kind in kinds:
        donors = draw.normal(0, 1, 2 * len(GROUPS))[which]
        table |= kind.columns(latent(kind, shape, icc, draw, donors), area, draw)
    group, animal, _ = np.unravel_index(np.arange(area.size), shape)
    frame = pd.DataFrame({name: values.ravel() for name, values in table.items()})
    frame.insert(0, "section_id", [f"s{i}" for i in range(area.size)])
    frame.insert(1, "animal", [f"{GROUPS[g]}{a}" for g, a in zip(group, animal, strict=True)])
    frame.insert(2, "group", [GROUPS[g] for g in group])
    frame.insert(3, "donor", [f"d{which[g, a]}" for g, a in zip(group, animal, strict=True)])
    return frame


def judge(frame: pd.DataFrame, kinds: Iterable[Kind], seed: int) -> pd.DataFrame:
    """Compare a study as a run does, and as others do; one row a contrast."""
    names = tuple(kind.name for kind in kinds)
    endpoints = [column("sections", name) for name in names]
    settings = StudySettings(reference=GROUPS[0], primary=names)
    animals = pool_animals(frame, endpoints)
    table = compare_groups(animals, settings, endpoints)
    table["section_t"] = [section_t(frame, row.endpoint, row.group) for row in table.itertuples()]
    table["bootstrap"] = [bootstrap_excludes(animals, row.endpoint, row.group, seed) for row in table.itertuples()]
    return table


def on_scale(values: Values, name: str) -> Values:
    declared = column("sections", name).scale
    return scales.onto(values, scales.choose_scale(values, declared).scale)


def section_t(frame: pd.DataFrame, name: str, group: str) -> float:
    part = frame[frame["group"].isin((GROUPS[0], group))]
    y = on_scale(part[name].to_numpy(dtype=np.float64), name)
    own = (part["group"] == group).to_numpy()
    return float(stats.ttest_ind(y[own], y[~own], equal_var=False).pvalue)


def bootstrap_excludes(animals: pd.DataFrame, name: str, group: str, seed: int, draws: int = 1000) -> bool:
    """Tell whether the percentile interval of resampled animals leaves out 0."""
    part = animals[animals["group"].isin((GROUPS[0], group))]
    y = on_scale(part[name].to_numpy(dtype=np.float64), name)
    own = (part["group"] == group).to_numpy()
    draw = np.random.default_rng(seed)
    means = [half[draw.integers(0, half.size, (draws, half.size))].mean(1) for half in (y[own], y[~own])]
    low, high = np.quantile(means[0] - means[1], (0.025, 0.975))
    return bool(low > 0 or high < 0)


def clopper_pearson(hits: int, n: int) -> tuple[float, float]:
    found = stats.binomtest(hits, n).proportion_ci(method="exact")
    return float(found.low), float(found.high)


def percent(hits: int, n: int) -> str:
    low, high = clopper_pearson(hits, n)
    return f"{hits / n:.1%} ({low:.1%}-{high:.1%})".replace("%-", "-").replace("%", " %")


def null_studies(count: int, *, nested: bool, kinds: tuple[Kind, ...] = KINDS, first: int = 0) -> pd.DataFrame:
    """Judge ``count`` null studies, n and ICC in turn."""
    cells = [(n, icc) for n in SIZES for icc in ICCS]
    found = []
    for i in range(count):
        n, icc = cells[i % len(cells)]
        table = judge(null_study(n, icc, first + i, nested=nested, kinds=kinds), kinds, first + i)
        found.append(table.assign(study=i, n=n, icc_true=icc))
    return pd.concat(found, ignore_index=True)


def false_positives(table: pd.DataFrame) -> list[str]:
    lines = []
    for name, part in table.groupby("endpoint", sort=False):
        m = len(part)
        hits = [int((part[p] < 0.05).sum()) for p in ("p_welch", "p_permutation", "section_t")]
        shown = [percent(h, m) for h in hits] + [percent(int(part["bootstrap"].sum()), m)]
        lines.append(f"| `{name}`, one contrast | {m:,} | " + " | ".join(shown) + " |")
    for n, part in table.groupby("n"):
        m = len(part)
        hits = [int((part[p] < 0.05).sum()) for p in ("p_welch", "p_permutation", "section_t")]
        shown = [percent(h, m) for h in hits] + [percent(int(part["bootstrap"].sum()), m)]
        lines.append(f"| n = {n}, any endpoint, one contrast | {m:,} | " + " | ".join(shown) + " |")
    return lines


def family_wise(table: pd.DataFrame) -> str:
    by_study = table.groupby("study")
    hits = int((by_study["p_adjusted"].min() < 0.05).sum())
    return percent(hits, by_study.ngroups)


def coverage(kind: Kind, n: int, *, times: int, ratio: float, seed: int) -> tuple[int, int]:
    """Count how often the Welch interval holds the true difference; the group's SD is ``ratio`` times the reference's."""
    draw = np.random.default_rng(seed)

    def animals(size: tuple[int, ...], shift: float, spread: float) -> Values:
        area = draw.lognormal(0.3, 0.5, (*size, SECTIONS))
        own = latent(kind, (*size, SECTIONS), 0.6, draw, np.zeros(size))
        own = kind.level + shift + (own - kind.level) * spread
        return scales.onto(kind.pooled(kind.columns(own, area, draw), area), kind.scale)

    truth = [float(np.mean(animals((200_000,), shift, spread))) for shift, spread in ((0.0, 1.0), (1.0, ratio))]
    x, y = animals((times, n), 0.0, 1.0), animals((times, n), 1.0, ratio)
    known = np.isfinite(x).all(1) & np.isfinite(y).all(1)
    hits = 0
    for a, b in zip(x[known], y[known], strict=True):
        interval = welch(a, b).difference
        hits += interval.low <= truth[1] - truth[0] <= interval.high
    return hits, int(known.sum())


def g_coverage(n: int, times: int, seed: int, d: float = 1.5) -> tuple[int, int]:
    """Count how often the interval of Hedges g holds J times the true d; values are normal."""
    draw = np.random.default_rng(seed)
    hits = 0
    correction = 1 - 3 / (4 * (2 * n - 2) - 1)
    for _ in range(times):
        found = hedges_g(draw.normal(0, 1, n), draw.normal(d, 1, n))
        hits += found.low <= correction * d <= found.high
    return hits, times


def power_line(n: int, times: int, seed: int) -> str:
    draw = np.random.default_rng(seed)
    d = detectable_d(n, n)
    x, y = draw.normal(0, 1, (times, n)), draw.normal(d, 1, (times, n))
    welch_hits = int((stats.ttest_ind(x, y, axis=1, equal_var=False).pvalue < 0.05).sum())
    student = int((stats.ttest_ind(x, y, axis=1).pvalue < 0.05).sum())
    return f"| {n} | {d:.2f} | {percent(student, times)} | {percent(welch_hits, times)} |"


def page(studies: int, times: int) -> str:
    crossed = null_studies(studies, nested=False)
    nested = null_studies(max(200, studies // 4), nested=True, first=1_000_000)
    sparse = null_studies(max(200, studies // 4), nested=False, kinds=(SPARSE,), first=2_000_000)
    per_icc = [
        f"| {icc:g} | {len(part):,} | {percent(int((part['p_welch'] < 0.05).sum()), len(part))} | "
        f"{percent(int((part['section_t'] < 0.05).sum()), len(part))} |"
        for icc, part in crossed.groupby("icc_true")
    ]
    covered = []
    for k, kind in enumerate(KINDS):
        for ratio in (1.0, 2.0):
            cells = [
                percent(*coverage(kind, n, times=times, ratio=ratio, seed=100 * k + n)) for n in (4, 5, 6, 7, 8)
            ]
            spread = "equal SDs" if ratio == 1 else f"SDs 1 : {ratio:g}"
            covered.append(f"| `{kind.name}` ({kind.scale}), {spread} | " + " | ".join(cells) + " |")
    cells = [percent(*g_coverage(n, times, n)) for n in (4, 5, 6, 7, 8)]
    covered.append("| Hedges g, true d 1.5, normal values | " + " | ".join(cells) + " |")
    power = [power_line(n, 4 * times, n) for n in (3, 4, 5, 6, 8, 10, 12, 15)]
    return PAGE.format(
        studies=studies,
        nested_studies=nested["study"].nunique(),
        sparse_studies=sparse["study"].nunique(),
        times=times,
        crossed="\n".join(false_positives(crossed)),
        family=family_wise(crossed),
        per_icc="\n".join(per_icc),
        nested=percent(int((nested["p_welch"] < 0.05).sum()), len(nested)),
        nested_family=family_wise(nested),
        sparse=percent(int((sparse["p_welch"] < 0.05).sum()), len(sparse)),
        sparse_plain=f"{(sparse['scale'] == 'identity').mean():.0%}".replace("%", " %"),
        covered="\n".join(covered),
        power="\n".join(power),
    )


PAGE = """# Do the intervals cover, and do null studies stay silent?

Written by `python -m benchmarks.statistics`. Drawn tables, no images: they test the statistics of a study, nothing else.
Every section has a place on the endpoint's scale: level + donor + animal + section, normal, with an intraclass correlation
(ICC) of 0.3, 0.5, 0.7 or 0.9 (a quarter of the variance between animals is the donors'), its own area (log-normal, CV 0.5),
and, for densities, Poisson counts. Four sections an animal; n = 4, 5, 6 or 8 animals in each of three groups. Pooling and
comparing are the package's own functions. In parentheses: exact (Clopper-Pearson) 95 % intervals.

## False positives: {studies:,} null studies

Share of contrasts with p < 0.05 where the groups do not differ. Aim: an interval that holds or lies below 5 %.

| | contrasts | Welch t on animals (headline) | exact permutation | *t test on sections* | *percentile bootstrap of animals* |
|---|---:|---:|---:|---:|---:|
{crossed}

After Holm over 3 primaries × 2 contrasts, a study with any false positive: **{family}**.

Welch's t stays below 5 % here because every donor gives cells to every group: the donors' variance widens the interval and
cancels in the difference. Without it the intervals cover 95 % (below). The permutation is made within donors: with two
donors and four animals a group its smallest p is 2/36 = 0.056, so that at n = 4 it cannot be significant, and says so.

The two columns in italics are what is done instead: the section as the unit, and a cluster bootstrap. By ICC:

| ICC | contrasts | Welch t on animals | *t test on sections* |
|---:|---:|---:|---:|
{per_icc}

* Donors that each belong to one group only (two a group, {nested_studies} studies): {nested} of the contrasts, {nested_family} of the
  studies after Holm. Donor and treatment then cannot be told apart; no test of mice mends that, and the report names the
  donors of every group for this reason.
* Almost no cells (1.5 per mm², {sparse_studies} studies; in {sparse_plain} of the contrasts some animal has none, so the comparison is
  a difference in place of a ratio): {sparse}.

## Coverage of the 95 % intervals

{times:,} studies a cell, true difference of 1 on the scale, ICC 0.6. Aim: 93-97 %.

| interval | n = 4 | n = 5 | n = 6 | n = 7 | n = 8 |
|---|---:|---:|---:|---:|---:|
{covered}

## Power

At the smallest difference that `power.csv` says is found with 80 % power (in SD between animals, one test at 0.05). The
formula is that of Student's t; Welch's, which is what is reported, pays for not assuming equal SDs.

| n a group | difference | found, Student's t | found, Welch's t |
|---:|---:|---:|---:|
{power}

With n = 3 a group no permutation test can be significant (the smallest two-sided p is 0.10), and the note of every such
contrast says so.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=1600, help="null studies (a multiple of 16)")
    parser.add_argument("--times", type=int, default=4000, help="simulated studies a cell of the coverage table")
    parser.add_argument("--out", type=Path, default=DOCS)
    call = parser.parse_args()
    call.out.write_text(page(call.studies, call.times), encoding="utf-8")
    print(call.out)


if __name__ == "__main__":
    main()

"""The answers of the cases, brought together into the tables of the report."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import stats

from thymusimg.measurements.columns import columns
from thymusimg.settings import StudySettings
from thymusimg.study.contrast import contrast
from thymusimg.validate.null_tables import PRIMARY, clopper_pearson
from thymusimg.validate.sections import OURS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from thymusimg.validate.run import Answer

DRAWS = 2000
"""Studies drawn from the measured sections to see how often the groups come out in order."""
ANIMALS = 6
ORDER_COLUMNS = ("segregation_index_50um", "cd45_area_fraction")


def long_table(answers: Iterable[Answer]) -> pd.DataFrame:
    """Return one row a case and method with every score."""
    rows = []
    for answer in answers:
        case = answer.case
        about: dict[str, Any] = {
            "part": case.part, "generator": case.generator, "preset": case.preset, "optics": case.optics,
            "label": case.label, "seed": case.seed,
        }  # fmt: skip
        for method, scores in answer.found.get("methods", {}).items():
            rows.append(about | {"method": method} | scores)
        if row := answer.found.get("row"):
            rows.append(about | {"method": OURS, "group": (case.study or ("", ""))[1]} | row)
    frame = pd.DataFrame(rows)
    for name in frame.columns.difference(["part", "generator", "preset", "optics", "label", "method", "group"]):
        frame[name] = pd.to_numeric(frame[name], errors="coerce")
    return frame


def part_of(table: pd.DataFrame, part: str) -> pd.DataFrame:
    """Return the rows of one part; none if nothing was run of it."""
    return table[table["part"] == part] if len(table) else table


def null_rates(answers: Iterable[Answer]) -> list[dict[str, Any]]:
    """Return the rate of false positives a design, endpoint and test, with its exact interval."""
    studies: dict[str, int] = defaultdict(int)
    counts: dict[tuple[str, str], int] = defaultdict(int)
    for answer in answers:
        if answer.case.part == "null tables" and answer.found:
            design = answer.case.label
            studies[design] += int(answer.found["studies"])
            counts[design, "any primary, Holm"] += int(answer.found["family"])
            for name, k in answer.found["false"].items():
                counts[design, name] += int(k)
    rows = []
    for (design, name), k in counts.items():
        n = studies[design]
        low, high = clopper_pearson(k, n)
        rows.append(
            {"design": design, "test": name, "false": k, "studies": n, "rate": k / n, "low": low, "high": high}
        )
    return rows


def order_correlation(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return Spearman's correlation of λ and the segregation index, a generator."""
    rows = []
    found = part_of(table, "order")
    for generator in dict.fromkeys(found["generator"]) if len(found) else ():
        part = found[found["generator"] == generator]
        order, index = part["label"].astype(float).to_numpy(), part["segregation_index_50um"].to_numpy(float)
        known = np.isfinite(index)
        enough = known.sum() > 2 and np.ptp(index[known]) > 0
        rho = float(stats.spearmanr(order[known], index[known]).statistic) if enough else math.nan
        rows.append(
            {"generator": generator, "n": int(known.sum()), "undefined": int((~known).sum()), "spearman": rho}
        )
    return rows


def studies_of(table: pd.DataFrame, part: str) -> list[dict[str, Any]]:
    """Compare the groups of every image-level study, endpoint by endpoint, with the real statistics."""
    found = part_of(table, part)
    rows: list[dict[str, Any]] = []
    if not len(found):
        return rows
    found = found[found["group"].notna()] if "group" in found else found.iloc[:0]
    known = {c.name: c for c in columns("sections")}
    settings = StudySettings(reference="CD34")
    for (generator, study), part_rows in found.groupby(["generator", "label"], sort=False):
        for name in PRIMARY:
            animals = part_rows[["group", name]]
            halves = [animals[animals["group"] == g].reset_index(drop=True) for g in ("CD34", "progenitors")]
            if any(half[name].notna().sum() < 2 for half in halves):
                rows.append({"generator": generator, "study": study, "endpoint": name, "p": math.nan})
                continue
            done = contrast(known[name], "primary", halves[0], halves[1], settings)
            rows.append({
                "generator": generator, "study": study, "endpoint": name, "p": done.p_welch, "g": done.hedges_g,
                "mean_reference": done.mean_reference, "mean_group": done.mean_group,
            })  # fmt: skip
    return rows


def group_ordering(table: pd.DataFrame, presets: Sequence[str]) -> list[dict[str, Any]]:
    """Return how often the medians of the groups stand in the right order, in studies drawn from the sections."""
    found = part_of(table, "ordered groups")
    rows: list[dict[str, Any]] = []
    if not len(found):
        return rows
    rng = np.random.default_rng(20)
    for generator in dict.fromkeys(found["generator"]):
        for name in ORDER_COLUMNS:
            part = found[(found["generator"] == generator) & found[name].notna()]
            pools = [part.loc[part["preset"] == p, name].to_numpy(float) for p in presets]
            row: dict[str, Any] = {
                "generator": generator, "column": name, "pools": [len(p) for p in pools],
                "medians": [float(np.median(p)) if len(p) else math.nan for p in pools], "share": math.nan,
            }  # fmt: skip
            if all(len(p) > 1 for p in pools):
                drawn = [np.median(rng.choice(p, (DRAWS, ANIMALS)), axis=1) for p in pools]
                row["share"] = float(np.mean((drawn[0] < drawn[1]) & (drawn[1] < drawn[2])))
            rows.append(row)
    return rows

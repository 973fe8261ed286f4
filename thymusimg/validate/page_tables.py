"""The tables of the report, from the runs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from thymusimg.validate.plan import DENSITIES, LARGEST_MM2, ORDERED, SMALL_MM, SWEEPS
from thymusimg.validate.sections import METHODS, MIXTURE
from thymusimg.validate.tables import (
    ANIMALS,
    DRAWS,
    group_ordering,
    null_rates,
    order_correlation,
    part_of,
    studies_of,
)
from thymusimg.validate.verdicts import mean_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from thymusimg.validate.run import Answer

CLASS_SCORES = ("dice_tissue", "dice_medulla", "dice_cortex", "border_mean_um", "border_p95_um")
CELL_SCORES = ("f1_iou_50", "detection_f1_4um", "count_bias", "density_bias")


def picture_lines(images: dict[str, str], which: str) -> list[str]:
    """Return the pictures of one part, each with its caption."""
    wanted = {path: caption for path, caption in images.items() if f"validation_{which}" in path}
    lines = []
    for path, caption in wanted.items():
        lines += [f"![{caption}]({path})", "", f"*{caption}*", ""]
    return ["### Where it falls short", "", *lines] if which == "short" and lines else lines


def compartment_lines(table: pd.DataFrame) -> list[str]:
    """Return the table of the compartments."""
    if not len(table):
        return []
    lines = [
        "## Compartments",
        "",
        "Dice, and the distance of the cortex-medulla border (average symmetric distance, and 95 % Hausdorff "
        "distance) in µm; means over the sections. *Otsu* splits blurred K14 and K8; *Gaussian mixture* has four "
        "components on blurred K14, of which the medullary ones are chosen by the truth. Both are given the true "
        "tissue: their best case. *natural* lobes have their scenario's size (the wild type's a piece of "
        f"{LARGEST_MM2:g} mm²) at 1 µm a pixel, *small* ones at most {SMALL_MM:g} mm at 0.5 µm. *hard*: folds, "
        "tears, fat, debris, macrophages, stain drift, tile steps and a bright capsule, all at once. The truth's "
        "artefact is not scored. A section that is refused a division (indeterminate throughout) counts as 0, and "
        "its border is undefined.",
        "",
        "| generator | preset | lobes | optics | method | n | tissue | medulla | cortex | border mean "
        "| border 95 % | border undefined |",
        "|---|---|---|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    keys = ["generator", "preset", "label", "optics", "method"]
    for (generator, preset, size, optics, method), part in _in_order(table).groupby(keys, sort=False):
        numbers = " | ".join(digits(mean_of(part, s)) for s in CLASS_SCORES)
        lost = int(part["border_mean_um"].isna().sum())
        who = f"{generator} | {preset} | {size} | {optics} | {method}"
        lines.append(f"| {who} | {len(part)} | {numbers} | {lost} |")
    return [*lines, ""]


def _in_order(table: pd.DataFrame) -> pd.DataFrame:
    ranked = table.assign(_rank=table["method"].map({m: i for i, m in enumerate(METHODS)}))
    return ranked.sort_values(["generator", "preset", "label", "optics", "_rank"], kind="stable")


def cell_lines(table: pd.DataFrame) -> list[str]:
    """Return the table of the cells."""
    if not len(table):
        return []
    sizes = ", ".join(f"{name} {density:,.0f}" for name, density in DENSITIES.items())
    lines = [
        "## Human CD45+ cells",
        "",
        f"The whole pipeline; cells per mm²: {sizes}. F1 at IoU 0.5 and of centres within 4 µm (optimal matching), "
        "relative bias of the count and of the density. The baseline is Otsu on CD45 with a distance watershed; "
        "the mixture makes no cells.",
        "",
        "| generator | cells | optics | method | n | F1 IoU 0.5 | F1 4 µm | count | density |",
        "|---|---|---|---|---:|---:|---:|---:|---:|",
    ]
    order = {name: i for i, name in enumerate(DENSITIES)}
    ranked = table.assign(
        _d=table["label"].map(order), _m=table["method"].map({m: i for i, m in enumerate(METHODS)})
    )
    ranked = ranked.sort_values(["generator", "optics", "_d", "_m"], ascending=[True, False, True, True])
    keys = ["generator", "label", "optics", "method"]
    for (generator, density, optics, method), part in ranked.groupby(keys, sort=False):
        if method == MIXTURE:
            continue
        f1s = " | ".join(digits(mean_of(part, s)) for s in CELL_SCORES[:2])
        biases = " | ".join(_percent(mean_of(part, s)) for s in CELL_SCORES[2:])
        lines.append(f"| {generator} | {density} | {optics} | {method} | {len(part)} | {f1s} | {biases} |")
    return [*lines, ""]


def sweep_lines(table: pd.DataFrame, images: dict[str, str]) -> list[str]:
    """Return the figure and the table of the degradations."""
    parts = [f"sweep {name}" for name in SWEEPS]
    if not table["part"].isin(parts).any():
        return []
    lines = ["## Degradation", "", "One fault is made worse, everything else is nominal.", ""]
    lines += picture_lines(images, "sweeps")
    lines += [
        "| what | level | generator | method | medulla | F1 IoU 0.5 | count |",
        "|---|---:|---|---|---:|---:|---:|",
    ]
    for name, (_, _, levels) in SWEEPS.items():
        part = part_of(table, f"sweep {name}")
        for level in levels:
            at = part[part["label"] == f"{level:g}"]
            for (generator, method), rows in at.groupby(["generator", "method"], sort=False):
                lines.append(
                    f"| {name} | {level:g} | {generator} | {method} | {digits(mean_of(rows, 'dice_medulla'))} | "
                    f"{digits(mean_of(rows, 'f1_iou_50'))} | {_percent(mean_of(rows, 'count_bias'))} |"
                )
    return [*lines, ""]


def series_lines(table: pd.DataFrame, images: dict[str, str]) -> list[str]:
    """Return the figure and the table of the density series."""
    part = part_of(table, "density")
    if not len(part):
        return []
    lines = ["## Density", "", "The same lobes with more and more cells, spread evenly.", ""]
    lines += picture_lines(images, "density")
    lines += [
        "| cells per mm² | generator | method | F1 IoU 0.5 | count | density |",
        "|---:|---|---|---:|---:|---:|",
    ]
    for level in sorted(dict.fromkeys(part["label"]), key=float):
        for (generator, method), rows in part[part["label"] == level].groupby(["generator", "method"], sort=False):
            lines.append(
                f"| {float(level):,.0f} | {generator} | {method} | {digits(mean_of(rows, 'f1_iou_50'))} | "
                f"{_percent(mean_of(rows, 'count_bias'))} | {_percent(mean_of(rows, 'density_bias'))} |"
            )
    return [*lines, ""]


def order_lines(table: pd.DataFrame, images: dict[str, str]) -> list[str]:
    """Return the figure and the table of the λ series."""
    rows = order_correlation(table)
    if not rows:
        return []
    lines = [
        "## Order λ",
        "",
        "Lobes of one seed in which only λ changes: 1 keeps K8 and K14 apart, 0 mixes them.",
        "",
    ]
    lines += picture_lines(images, "order")
    lines += [
        "| generator | sections | undefined | Spearman of λ and the segregation index |", "|---|---:|---:|---:|"
    ]  # fmt: skip
    lines += [f"| {r['generator']} | {r['n']} | {r['undefined']} | {digits(r['spearman'])} |" for r in rows]
    return [*lines, ""]


def null_lines(answers: Sequence[Answer]) -> list[str]:
    """Return the table of the null studies on tables."""
    rows = null_rates(answers)
    if not rows:
        return []
    lines = [
        "## Studies without a difference",
        "",
        "Simulated on tables (donor, batch, animal and section each leave their mark) and sent through the real "
        "pooling and comparison. Rate of p ≤ 0.05, with the exact (Clopper-Pearson) 95 % interval; *any primary, "
        "Holm* is the rate of studies in which any of the three primary endpoints is significant after adjustment.",
        "",
        "| design | test | studies | false positives | rate | 95 % interval |",
        "|---|---|---:|---:|---:|---|",
    ]
    for r in rows:
        span = f"{100 * r['low']:.2f} to {100 * r['high']:.2f} %"
        lines.append(
            f"| {r['design']} | {r['test']} | {r['studies']:,} | {r['false']} | {100 * r['rate']:.2f} % | {span} |"
        )
    return [*lines, ""]


def image_study_lines(table: pd.DataFrame) -> list[str]:
    """Return the null studies on images and the reversed studies."""
    lines: list[str] = []
    nulls = studies_of(table, "null images")
    if nulls:
        known = [r for r in nulls if not math.isnan(r["p"])]
        hits = sum(r["p"] <= 0.05 for r in known)
        studies = len({(r["generator"], r["study"]) for r in nulls})
        lines += [
            "### The same on images",
            "",
            f"A smoke test: {studies} null {'study' if studies == 1 else 'studies'} drawn as images and measured "
            f"from the pixels. {hits} of {len(known)} tests have p ≤ 0.05 ({len(nulls) - len(known)} undefined). "
            "So few cannot show a rate of 5 %; the tables above do.",
            "",
        ]
    turned = studies_of(table, "reversed images")
    if turned:
        lines += [
            "## Reversed studies",
            "",
            "The group named CD34 is drawn from the scenario of the progenitors, and the other way round: software "
            "that knows the answer would be caught.",
            "",
            "| generator | study | endpoint | mean of 'CD34' | mean of 'progenitors' | p (Welch) | reversed |",
            "|---|---|---|---:|---:|---:|---|",
        ]
        for r in turned:
            if math.isnan(r["p"]):
                lines.append(f"| {r['generator']} | {r['study']} | {r['endpoint']} | - | - | undefined | - |")
                continue
            word = "yes" if r["mean_reference"] > r["mean_group"] else "**no**"
            means = f"{digits(r['mean_reference'])} | {digits(r['mean_group'])}"
            lines.append(f"| {r['generator']} | {r['study']} | {r['endpoint']} | {means} | {r['p']:.3g} | {word} |")
        lines.append("")
    return lines


def ordering_lines(table: pd.DataFrame) -> list[str]:
    """Return how often the groups come out in order."""
    rows = group_ordering(table, ORDERED)
    if not rows:
        return []
    lines = [
        "## Order of the groups",
        "",
        f"{DRAWS:,} studies of {ANIMALS} animals a group, drawn with replacement from the measured sections of "
        f"{', '.join(ORDERED)}: how often the medians stand in that order.",
        "",
        "| generator | column | sections a group | medians | in order |",
        "|---|---|---|---|---:|",
    ]
    for r in rows:
        medians = ", ".join(digits(m) for m in r["medians"])
        pools = ", ".join(str(n) for n in r["pools"])
        lines.append(
            f"| {r['generator']} | {r['column']} | {pools} | {medians} | {_percent(r['share'], sign=False)} |"
        )
    return [*lines, ""]


def digits(value: Any) -> str:
    """Return a number as the report shows it; a dash where it is undefined."""
    number = float(value) if isinstance(value, (int, float, np.number)) else math.nan
    if math.isnan(number):
        return "-"
    return f"{number:.3f}" if abs(number) < 10 else f"{number:.1f}"


def _percent(value: float, *, sign: bool = True) -> str:
    if math.isnan(value):
        return "-"
    return f"{100 * value:+.1f} %" if sign else f"{100 * value:.1f} %"

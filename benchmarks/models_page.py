"""``python -m benchmarks.models_page``: writes ``docs/models.md`` from the tables that the benchmarks left.

Tables: ``docs/models/cells.csv`` (``benchmarks.cell_models``), ``compartments.csv`` (``benchmarks.compartment_models``)
and every ``*.md`` fragment beside them, in the order of :data:`FRAGMENTS`. A table that is not there is named, not
left out silently.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from benchmarks.cell_models import DENSITIES, FIRST_SEED, METHODS

DOCS = Path(__file__).parents[1] / "docs"
TABLES = DOCS / "models"
FRAGMENTS = ("designs", "nuclei", "fine_tuning")
"""Fragments of the page that other benchmarks write: designs compared, real nuclei, fine-tuning."""

HEAD = """# Models

What ships in `models/`, how it compares with the methods that need no training, and where it falls short.
`thymusimg models` lists what is installed; every model's card (`models/NAME/README.md`) has its licence, its hash and
the command that made it.

**Every figure on this page that is not marked as real comes from synthetic sections.** Networks were trained on
sections of the same two generators (other seeds) on which they are tested here. That proves code, not biology: on real
stains they may be better or worse than the rule-based methods, and `thymusimg train` with one's own annotations is the
way to find out (`docs/training.md`).
"""
CELLS = """## Cells

Sections of 0.25 mm² at 0.5 µm, progenitor preset with the density evened out, seeds {first} and up, which no training,
validation or choice has seen. *Network* is `--cells network`, *classical* is `--cells classical`, *watershed* is Otsu
on CD45 with a distance-transform watershed (scikit-image). F1 at IoU 0.5 of matched outlines; bias of the count
(found / true − 1), and of the density, which also depends on the parenchyma found. Mean of {seeds} sections a row.

{density}

False cells in sections without any human cell, per mm² of tissue:

{empty}

Degradation, 8,000 profiles per mm², without DAPI, F1 at IoU 0.5:

{sweeps}
"""


def cells_part(path: Path) -> str:
    """Return the part of the page about cells."""
    if not path.exists():
        return f"## Cells\n\n`{path.name}` is missing: run `python -m benchmarks.cell_models --out docs/models`.\n"
    table = pd.read_csv(path)
    density = table[(table["part"] == "density") & (table["label"] != "empty")]
    return CELLS.format(
        first=FIRST_SEED,
        seeds=table[table["part"] == "density"]["seed"].nunique(),
        density=_density(density),
        empty=_empty(table[table["label"] == "empty"]),
        sweeps=_sweeps(table[table["part"] != "density"]),
    )


def _density(table: pd.DataFrame) -> str:
    rows = [
        [
            "generator", "optics", "density", "profiles/mm²", "DAPI", *(f"F1 {m}" for m in METHODS),
            *(f"count bias {m}" for m in METHODS[:2]), "density bias network",
        ]
    ]  # fmt: skip
    labels = [label for label in DENSITIES if label != "empty"]
    for keys, part in table.groupby(["generator", "optics", "label", "dapi"], sort=False):
        generator, optics, label, dapi = (str(k) for k in keys)
        mean = part.groupby("method")[["f1_iou_50", "count_bias", "density_bias", "density_truth_per_mm2"]].mean()
        rows.append(
            [
                generator, optics, label, f"{mean.loc['network', 'density_truth_per_mm2']:,.0f}",
                "yes" if dapi == "True" else "no", *(f"{mean.loc[m, 'f1_iou_50']:.3f}" for m in METHODS),
                *(f"{mean.loc[m, 'count_bias']:+.1%}" for m in METHODS[:2]),
                f"{mean.loc['network', 'density_bias']:+.1%}",
            ]
        )  # fmt: skip
    order = {"slab": 0, "drawn": 1, "nominal": 0, "hard": 1, "no": 0, "yes": 1} | {
        name: i for i, name in enumerate(labels)
    }
    body = sorted(rows[1:], key=lambda row: (order[row[1]], order[row[0]], order[row[2]], order[row[4]]))
    return markdown([rows[0], *body])


def _empty(table: pd.DataFrame) -> str:
    rows = [["generator", "optics", *METHODS]]
    for keys, part in table.groupby(["generator", "optics"], sort=False):
        mean = part.groupby("method")["false_per_mm2"].mean()
        rows.append([*(str(k) for k in keys), *(f"{mean[m]:.1f}" for m in METHODS)])
    return markdown(rows)


def _sweeps(table: pd.DataFrame) -> str:
    rows = [["degradation", "level", *(f"{m} ({g})" for g in ("slab", "drawn") for m in METHODS)]]
    table = table.assign(level=table["label"].astype(float)).sort_values(["part", "level"], kind="stable")
    for (part, label), group in table.groupby(["part", "level"], sort=False):
        mean = group.groupby(["generator", "method"])["f1_iou_50"].mean()
        rows.append([str(part), f"{label:g}",
                     *(f"{mean[g, m]:.3f}" for g in ("slab", "drawn") for m in METHODS)])  # fmt: skip
    return markdown(rows)


def markdown(rows: list[list[str]]) -> str:
    """Return a table whose first row is its head."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def main() -> None:
    """Write the page."""
    parts = [HEAD, cells_part(TABLES / "cells.csv")]
    compartments = TABLES / "compartments.md"
    parts.append(
        compartments.read_text(encoding="utf-8") if compartments.exists() else "## Compartments\n\nMissing.\n"
    )
    parts += [p.read_text(encoding="utf-8") for name in FRAGMENTS if (p := TABLES / f"{name}.md").exists()]
    (DOCS / "models.md").write_text("\n".join(parts), encoding="utf-8")
    print(DOCS / "models.md")


if __name__ == "__main__":
    main()

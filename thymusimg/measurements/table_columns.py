"""The columns of every table but ``sections.csv``."""

from __future__ import annotations

from thymusimg.measurements.families import FAMILIES
from thymusimg.measurements.schema import Column, Curve, Dtype, Table

ColumnRow = tuple[str, str, str] | tuple[str, str, str, Dtype] | tuple[str, str, str, Dtype, str]


def declare_columns(table: Table, source: str, *rows: ColumnRow) -> tuple[Column, ...]:
    """Declare columns from rows of ``name, unit, definition[, dtype[, range]]``."""
    columns = []
    for name, unit, definition, *rest in rows:
        dtype: Dtype = rest[0] if rest else "float"  # type: ignore[assignment]  # a row's fourth item is a Dtype
        columns.append(
            Column(name, table, unit, definition, source, dtype, interval=rest[1] if len(rest) > 1 else "")
        )
    return tuple(columns)


SECTION_ID: ColumnRow = ("section_id", "text", "Name of the section in every table", "str")
ANIMAL: ColumnRow = ("animal", "text", "Animal that the section comes from", "str")
GROUP: ColumnRow = ("group", "text", "Treatment group of the animal", "str")

SECTION_COLUMNS: tuple[Column, ...] = tuple(column for family in FAMILIES for column in family.COLUMNS)
"""The columns of ``sections.csv``, in their order."""

SECTION_CURVES: tuple[Curve, ...] = tuple(curve for family in FAMILIES for curve in getattr(family, "CURVES", ()))
"""The curves of a section, in their order."""

COMPARTMENT_COLUMNS = declare_columns(
    "compartments",
    "R1, P1, P2",
    SECTION_ID,
    ANIMAL,
    GROUP,
    ("compartment", "text", "cortex, medulla, indeterminate, cyst, other or artefact", "str"),
    ("area_mm2", "mm²", "Area of the compartment", "float", "≥ 0"),
    (
        "fraction",
        "fraction",
        "Area as a share of tissue and cyst lumen together; undefined for artefact, which is no part of them",
        "float",
        "0-1",
    ),
    ("cd45_count", "count", "Human CD45+ cell profiles in the compartment", "int", "≥ 0"),
    ("cd45_density_per_mm2", "1/mm²", "Human CD45+ cell profiles per mm² of the compartment", "float", "≥ 0"),
    ("cd45_density_low_per_mm2", "1/mm²", "Lower end of its Garwood 95 % interval", "float", "≥ 0"),
    ("cd45_density_high_per_mm2", "1/mm²", "Upper end of its Garwood 95 % interval", "float", "≥ 0"),
    ("cd45_area_fraction", "fraction", "Share of the area at or above the CD45 gate", "float", "0-1"),
    ("mean_cd45", "intensity", "Mean CD45 over background", "float"),
    ("mean_k14", "intensity", "Mean K14 over background", "float"),
    ("mean_k8", "intensity", "Mean K8 over background", "float"),
    ("mean_dapi", "intensity", "Mean DAPI over background", "float"),
    ("mean_confidence", "fraction", "Mean confidence of the labels", "float", "0-1"),
    ("reason", "text", "Why numbers of this row are undefined", "str"),
)

CELL_COLUMNS = declare_columns(
    "cells",
    "P2, P4",
    SECTION_ID,
    ANIMAL,
    GROUP,
    ("cell_id", "label", "Number of the cell in labels/cells of its section, from 1", "int", "≥ 1"),
    ("x_um", "µm", "Centroid, to the right; the centre of the first full-resolution pixel is 0", "float"),
    ("y_um", "µm", "Centroid, downwards; the centre of the first full-resolution pixel is 0", "float"),
    ("area_um2", "µm²", "Area of the cell's profile", "float", "> 0"),
    ("compartment", "text", "Compartment that the cell lies in", "str"),
    ("distance_to_cmj_um", "µm", "Distance to the corticomedullary junction, negative in cortex", "float"),
    ("depth_from_capsule_um", "µm", "Distance to the outer edge of the tissue", "float", "≥ 0"),
    ("axis", "fraction", "Corticomedullary axis: 0 at the capsule, 1 at and inside the medulla", "float", "0-1"),
    (
        "cma3",
        "CMA",
        "Corticomedullary axis of capsule, cortex and medulla (Yayon et al. 2024): negative is outside",
        "float",
        "-1 to 1",
    ),
    ("cma2", "CMA", "Corticomedullary axis of capsule and medulla only (Yayon et al. 2024)", "float", "-1 to 1"),
    ("mean_cd45", "intensity", "Mean CD45 over background on the cell", "float"),
    ("mean_k14", "intensity", "Mean K14 over background on the cell", "float"),
    ("mean_k8", "intensity", "Mean K8 over background on the cell", "float"),
    ("mean_dapi", "intensity", "Mean DAPI over background on the cell", "float"),
    ("score", "fraction", "Confidence of the detection", "float", "0-1"),
)

CURVE_COLUMNS = declare_columns(
    "curves",
    "",
    SECTION_ID,
    ANIMAL,
    GROUP,
    ("curve", "text", "Name of the curve; the dictionary has one entry a curve", "str"),
    ("compartment", "text", "Where it was taken; empty: in the whole parenchyma", "str"),
    ("x", "as the curve says", "Scale or place at which the curve is given"),
    ("value", "as the curve says", "Value of the curve"),
    ("low", "as the value", "Lower end of its interval or envelope, as the curve says"),
    ("high", "as the value", "Upper end of its interval or envelope, as the curve says"),
    ("weight", "as the curve says", "What an animal's sections are averaged by at the same x", "float", "≥ 0"),
    ("reason", "text", "Why the value is undefined", "str"),
)

QUALITY_COLUMNS = declare_columns(
    "quality",
    "Q",
    SECTION_ID,
    ("channel", "text", "Stain that was checked; empty for the section as a whole", "str"),
    ("check", "text", "What was checked", "str"),
    ("value", "as `unit` says", "The number that was judged"),
    ("unit", "text", "Unit of the value", "str"),
    ("status", "text", "pass, warn or fail", "str"),
    ("reason", "text", "Why, in one line", "str"),
    ("where", "text", "Where on the section", "str"),
)

FAILURE_COLUMNS = declare_columns(
    "failures",
    "run",
    ("section_id", "text", "Section that could not be analysed", "str"),
    ("path", "text", "Its file", "str"),
    ("stage", "text", "Stage that failed", "str"),
    ("error", "text", "Name of the error", "str"),
    ("message", "text", "What was found, where, what was expected, what to do", "str"),
)

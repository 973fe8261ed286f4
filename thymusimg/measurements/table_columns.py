"""The columns of every table but ``sections.csv``."""

from __future__ import annotations

from thymusimg.measurements.families import FAMILIES
from thymusimg.measurements.schema import Column, Curve, Dtype, Table

_Row = tuple[str, str, str] | tuple[str, str, str, Dtype] | tuple[str, str, str, Dtype, str]


def _declare(table: Table, source: str, *rows: _Row) -> tuple[Column, ...]:
    """Declare columns from rows of ``name, unit, definition[, dtype[, range]]``."""
    columns = []
    for name, unit, definition, *rest in rows:
        dtype: Dtype = rest[0] if rest else "float"  # type: ignore[assignment]  # a row's fourth item is a Dtype
        columns.append(
            Column(name, table, unit, definition, source, dtype, interval=rest[1] if len(rest) > 1 else "")
        )
    return tuple(columns)


_SECTION_ID: _Row = ("section_id", "text", "Name of the section in every table", "str")
_ANIMAL: _Row = ("animal", "text", "Animal that the section comes from", "str")
_GROUP: _Row = ("group", "text", "Treatment group of the animal", "str")

SECTION_COLUMNS: tuple[Column, ...] = tuple(column for family in FAMILIES for column in family.COLUMNS)
"""The columns of ``sections.csv``, in their order."""

SECTION_CURVES: tuple[Curve, ...] = tuple(curve for family in FAMILIES for curve in getattr(family, "CURVES", ()))
"""The curves of a section, in their order."""

COMPARTMENT_COLUMNS = _declare(
    "compartments",
    "R1, P1, P2",
    _SECTION_ID,
    _ANIMAL,
    _GROUP,
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

CELL_COLUMNS = _declare(
    "cells",
    "P2, P4",
    _SECTION_ID,
    _ANIMAL,
    _GROUP,
    ("cell_id", "label", "Number of the cell in labels/cells of its section, from 1", "int", "≥ 1"),
    ("x_um", "µm", "Centroid, to the right; the centre of the first full-resolution pixel is 0", "float"),
    ("y_um", "µm", "Centroid, downwards; the centre of the first full-resolution pixel is 0", "float"),
    ("area_um2", "µm²", "Area of the cell's profile", "float", "> 0"),
    ("compartment", "text", "Compartment that the cell lies in", "str"),
    ("distance_to_cmj_um", "µm", "Distance to the corticomedullary junction, negative in cortex", "float"),
    ("depth_from_capsule_um", "µm", "Distance to the outer edge of the tissue", "float", "≥ 0"),
    ("axis", "fraction", "Corticomedullary axis: 0 at the capsule, 1 at and inside the medulla", "float", "0-1"),
    ("mean_cd45", "intensity", "Mean CD45 over background on the cell", "float"),
    ("mean_k14", "intensity", "Mean K14 over background on the cell", "float"),
    ("mean_k8", "intensity", "Mean K8 over background on the cell", "float"),
    ("mean_dapi", "intensity", "Mean DAPI over background on the cell", "float"),
    ("score", "fraction", "Confidence of the detection", "float", "0-1"),
)

CURVE_COLUMNS = _declare(
    "curves",
    "",
    _SECTION_ID,
    _ANIMAL,
    _GROUP,
    ("curve", "text", "Name of the curve; the dictionary has one entry a curve", "str"),
    ("compartment", "text", "Where it was taken; empty: in the whole parenchyma", "str"),
    ("x", "as the curve says", "Scale or place at which the curve is given"),
    ("value", "as the curve says", "Value of the curve"),
    ("low", "as the value", "Lower end of its interval or envelope, as the curve says"),
    ("high", "as the value", "Upper end of its interval or envelope, as the curve says"),
    ("weight", "as the curve says", "What an animal's sections are averaged by at the same x", "float", "≥ 0"),
    ("reason", "text", "Why the value is undefined", "str"),
)

ANIMAL_COLUMNS = (
    *_declare(
        "animals",
        "study table",
        ("animal", "text", "The animal: the unit of every comparison", "str"),
        _GROUP,
        ("donor", "text", "Donor of the human cells", "str"),
        ("batch", "text", "Staining or imaging batch", "str"),
        ("timepoint", "text", "Time after transplantation, as the study table has it", "str"),
        ("negative_control", "true/false", "Whether all its sections are negative controls of human CD45", "bool"),
        ("section_ids", "text", "The sections that were pooled", "str"),
        ("n_sections", "count", "Sections that were pooled", "int", "≥ 1"),
    ),
    *(
        Column(
            c.name, "animals", c.unit, f"{c.definition} ({c.pool})", c.source, "float", c.pool, c.scale, c.interval
        )
        for c in SECTION_COLUMNS
        if c.pool is not None
    ),
)

COMPARISON_COLUMNS = _declare(
    "comparisons",
    "G",
    ("endpoint", "text", "Column of animals.csv that is compared", "str"),
    ("unit", "text", "Unit of the endpoint", "str"),
    ("role", "text", "primary (declared before looking) or exploratory", "str"),
    ("reference", "text", "Group that is compared with", "str"),
    ("group", "text", "Group that is compared", "str"),
    ("n_reference", "count", "Animals of the reference group with a value", "int", "≥ 0"),
    ("n_group", "count", "Animals of the group with a value", "int", "≥ 0"),
    ("mean_reference", "endpoint's unit", "Mean of the reference group's animals"),
    ("mean_group", "endpoint's unit", "Mean of the group's animals"),
    ("difference", "on the scale", "Group less reference; on a log or logit scale the ratio or odds ratio"),
    ("ci_low", "on the scale", "Lower end of the Welch-t 95 % interval of the difference"),
    ("ci_high", "on the scale", "Upper end of the Welch-t 95 % interval of the difference"),
    ("scale", "text", "Scale on which groups were compared: identity, log or logit", "str"),
    ("effect_label", "text", "What the difference is: difference, ratio or odds ratio", "str"),
    ("hedges_g", "SD", "Standardised difference, corrected for small samples"),
    ("g_ci_low", "SD", "Lower end of its 95 % interval"),
    ("g_ci_high", "SD", "Upper end of its 95 % interval"),
    ("cliffs_delta", "fraction", "P(group > reference) - P(group < reference)", "float", "-1 to 1"),
    ("p_welch", "probability", "Two-sided p of Welch's t test on animals", "float", "0-1"),
    ("p_permutation", "probability", "Two-sided p of the exact permutation of animals", "float", "0-1"),
    ("p_adjusted", "probability", "p adjusted as `adjustment` says", "float", "0-1"),
    ("adjustment", "text", "Holm over primaries and contrasts, or false discovery rate", "str"),
    ("min_possible_p", "probability", "Smallest permutation p that so few animals allow", "float", "0-1"),
    ("note", "text", "Plain warning about the comparison", "str"),
    ("reason", "text", "Why there is no inference", "str"),
)

QUALITY_COLUMNS = _declare(
    "quality",
    "Q",
    _SECTION_ID,
    ("channel", "text", "Stain that was checked; empty for the section as a whole", "str"),
    ("check", "text", "What was checked", "str"),
    ("value", "as `unit` says", "The number that was judged"),
    ("unit", "text", "Unit of the value", "str"),
    ("status", "text", "pass, warn or fail", "str"),
    ("reason", "text", "Why, in one line", "str"),
    ("where", "text", "Where on the section", "str"),
)

FAILURE_COLUMNS = _declare(
    "failures",
    "run",
    ("section_id", "text", "Section that could not be analysed", "str"),
    ("path", "text", "Its file", "str"),
    ("stage", "text", "Stage that failed", "str"),
    ("error", "text", "Name of the error", "str"),
    ("message", "text", "What was found, where, what was expected, what to do", "str"),
)

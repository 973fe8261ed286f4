"""The columns of the tables of a study: lobes, animals, comparisons and what stands beside them."""

from __future__ import annotations

from thymusimg.measurements.schema import Column, Table
from thymusimg.measurements.table_columns import (
    ANIMAL,
    GROUP,
    SECTION_COLUMNS,
    SECTION_ID,
    ColumnRow,
    declare_columns,
)

ORGANISATION_COLUMNS = declare_columns(
    "animals",
    "R15",
    (
        "organisation_index",
        "SD",
        "Organisation Index: mean of the five organisation_z columns; 0 is the mean of the external wild type, "
        "lower is less organised. Undefined unless every one of the five is defined",
    ),
    (
        "organisation_z_medulla_balance",
        "SD",
        "-|f - W| / S with f the medulla_fraction, W its mean in the external wild type, S the pooled SD of the "
        "external wild type and untreated references",
        "float",
        "≤ 0",
    ),
    (
        "organisation_z_sharpness",
        "SD",
        "-(ln cmj_width_um - W) / S, with W and S as above on the natural logarithm: above 0 is sharper than the "
        "wild type",
    ),
    ("organisation_z_segregation", "SD", "(segregation_index_50um - W) / S, with W and S as above"),
    ("organisation_z_coverage", "SD", "(cortical_coverage - W) / S, with W and S as above"),
    ("organisation_z_burden", "SD", "-(cyst_share + indeterminate_share - W) / S, with W and S as above"),
)

ORGAN_COLUMNS = declare_columns(
    "animals",
    "P12",
    (
        "tissue_volume_mm3",
        "mm³",
        "Volume of the organ's analysable tissue: spacing × sum of areas (Cavalieri); only where the study "
        "declares systematic sections through the whole organ",
        "float",
        "≥ 0",
    ),
    (
        "tissue_volume_ce",
        "fraction",
        "Coefficient of error of tissue_volume_mm3 from the sections' spacing (Gundersen & Jensen 1987)",
        "float",
        "≥ 0",
    ),
    (
        "cd45_cells_per_organ",
        "cells",
        "Human CD45+ cells of the organ: profiles × spacing / (thickness + cell height) (Abercrombie 1946); too "
        "low where caps of cut cells are not seen or cells lie over each other",
        "float",
        "≥ 0",
    ),
)

_UNIT: tuple[ColumnRow, ...] = (
    ("donor", "text", "Donor of the human cells", "str"),
    ("batch", "text", "Staining or imaging batch", "str"),
    ("timepoint", "text", "Time after transplantation, as the study table has it", "str"),
    ("negative_control", "true/false", "Whether all its sections are negative controls of human CD45", "bool"),
    ("section_ids", "text", "The sections that were pooled", "str"),
    ("n_sections", "count", "Sections that were pooled", "int", "≥ 1"),
)
"""What is said of whatever sections are pooled to, behind its name and group."""


def _pooled(table: Table) -> tuple[Column, ...]:
    """Declare the columns of ``sections.csv`` that pool, for a table of what they are pooled to."""
    return tuple(
        Column(c.name, table, c.unit, f"{c.definition} ({c.pool})", c.source, "float", c.pool, c.scale, c.interval)
        for c in SECTION_COLUMNS
        if c.pool is not None
    )


ANIMAL_COLUMNS = (
    *declare_columns(
        "animals",
        "study table",
        ("animal", "text", "The animal: the unit of every comparison", "str"),
        GROUP,
        *_UNIT,
    ),
    *_pooled("animals"),
    *ORGANISATION_COLUMNS,
    *ORGAN_COLUMNS,
)

LOBE_COLUMNS = (
    *declare_columns(
        "lobes",
        "study table",
        ("animal", "text", "The animal that the lobe is of", "str"),
        ("lobe", "text", "Lobe, as the study table has it", "str"),
        GROUP,
        *_UNIT,
    ),
    *_pooled("lobes"),
)

COMPARISON_COLUMNS = declare_columns(
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
    ("sections_per_animal", "count", "Mean number of sections of an animal with a value", "float", "≥ 1"),
    (
        "icc",
        "fraction",
        "Intraclass correlation of an animal's sections, within groups and on the scale",
        "float",
        "0-1",
    ),
    (
        "design_effect",
        "factor",
        "1 + (sections_per_animal - 1) icc: by so much a test of sections would overrate what it has",
        "float",
        "≥ 1",
    ),
    (
        "mixed_estimate",
        "on the scale",
        "Sensitivity analysis, never the headline: group against reference from a model of the sections, "
        "y ~ group (+ batch) + (1 | animal) (+ (1 | donor)) by REML; for densities of counts a negative binomial "
        "with the offset ln area. A difference, ratio or odds ratio",
    ),
    ("mixed_low", "on the scale", "Lower end of its 95 % interval"),
    ("mixed_high", "on the scale", "Upper end of its 95 % interval"),
    ("mixed_p", "probability", "Its two-sided p", "float", "0-1"),
    ("mixed_converged", "true/false", "Whether the fit converged; empty: no model was fitted", "bool"),
    (
        "mixed_note",
        "text",
        "Which model, and what was at a boundary, singular, left out or did not converge",
        "str",
    ),
)

POWER_COLUMNS = declare_columns(
    "power",
    "G",
    ("endpoint", "text", "Primary endpoint", "str"),
    ("reference", "text", "Group that is compared with", "str"),
    ("group", "text", "Group that is compared", "str"),
    ("n_per_group", "count", "Animals in each of the two groups", "int", "≥ 2"),
    ("this_study", "true/false", "Whether the row is this study's own number of animals", "bool"),
    ("tests", "count", "Primary tests; the level is 0.05 over them, as the first step of Holm's", "int", "≥ 1"),
    ("power", "fraction", "Power that the row is for, of a two-sided t test", "float", "0-1"),
    ("detectable_sd", "SD", "Smallest difference found with this power, in SD between animals", "float", "> 0"),
    ("detectable_sd_one_test", "SD", "The same at the level 0.05, for a single test", "float", "> 0"),
    ("sd", "on the scale", "SD between the animals of this study within groups, on the scale", "float", "≥ 0"),
    ("sd_low", "on the scale", "Lower end of its 95 % interval (normal values)", "float", "≥ 0"),
    ("sd_high", "on the scale", "Upper end of its 95 % interval", "float", "≥ 0"),
    (
        "detectable",
        "on the scale",
        "detectable_sd times sd, as a difference, ratio or odds ratio, upwards",
    ),
    ("detectable_low", "on the scale", "The same downwards: how much lower the group must be"),
    ("effect_label", "text", "What it is: difference, ratio or odds ratio", "str"),
    ("reason", "text", "Why numbers of this row are undefined", "str"),
)

SENSITIVITY_COLUMNS = declare_columns(
    "sensitivity",
    "G",
    ("setting", "text", "Setting that was varied (table.key of study.toml); several where a grid was run", "str"),
    ("value", "text", "Its value", "str"),
    ("is_default", "true/false", "Whether this is the run's own value", "bool"),
    ("endpoint", "text", "Primary endpoint", "str"),
    ("reference", "text", "Group that is compared with", "str"),
    ("group", "text", "Group that is compared", "str"),
    ("n_reference", "count", "Animals of the reference group with a value", "int", "≥ 0"),
    ("n_group", "count", "Animals of the group with a value", "int", "≥ 0"),
    ("estimate", "on the scale", "Group less reference: a difference, ratio or odds ratio"),
    ("ci_low", "on the scale", "Lower end of its Welch-t interval"),
    ("ci_high", "on the scale", "Upper end of its Welch-t interval"),
    ("effect_label", "text", "What the estimate is: difference, ratio or odds ratio", "str"),
    ("p_welch", "probability", "Two-sided p of Welch's t test on animals", "float", "0-1"),
    ("p_adjusted", "probability", "p adjusted by Holm over primaries and contrasts", "float", "0-1"),
    ("significant", "true/false", "Whether p_adjusted is below 1 less the confidence", "bool"),
    ("sign_holds", "true/false", "Whether the estimate lies on the run's own side of no effect", "bool"),
    (
        "significance_holds",
        "true/false",
        "Whether p_adjusted lies on the same side of 1 less the confidence as the run's own",
        "bool",
    ),
    ("sections_changed", "count", "Sections whose value of the endpoint is not the run's own", "int", "≥ 0"),
    ("reason", "text", "Why there is no estimate, or why the setting was not varied", "str"),
)

ANIMAL_CURVE_COLUMNS = declare_columns(
    "animal_curves",
    "",
    ANIMAL,
    GROUP,
    ("curve", "text", "Name of the curve; the dictionary has one entry a curve", "str"),
    ("compartment", "text", "Where it was taken; empty: in the whole parenchyma", "str"),
    ("x", "as the curve says", "Scale or place at which the curve is given"),
    ("value", "as the curve says", "Σ weight × value / Σ weight over the animal's sections"),
    ("weight", "as the curve says", "Σ weight", "float", "≥ 0"),
    ("n_sections", "count", "Sections with a value at this x", "int", "≥ 0"),
    ("reason", "text", "Why the value is undefined", "str"),
)

GROUP_CURVE_COLUMNS = declare_columns(
    "group_curves",
    "",
    GROUP,
    ("curve", "text", "Name of the curve; the dictionary has one entry a curve", "str"),
    ("compartment", "text", "Where it was taken; empty: in the whole parenchyma", "str"),
    ("x", "as the curve says", "Scale or place at which the curve is given"),
    ("mean", "as the curve says", "Mean of the animals"),
    ("low", "as the curve says", "Lower end of its t interval at this x alone; at least 2 animals"),
    ("high", "as the curve says", "Upper end of its t interval at this x alone; at least 2 animals"),
    ("sd", "as the curve says", "SD between animals: itself a phenotype (R16)", "float", "≥ 0"),
    ("n_animals", "count", "Animals with a value at this x", "int", "≥ 0"),
    ("reason", "text", "Why there is no mean or no interval", "str"),
)

EXCLUSION_COLUMNS = declare_columns(
    "exclusions",
    "study table",
    SECTION_ID,
    ANIMAL,
    GROUP,
    (
        "reason",
        "text",
        "Why the section is in no animal's value: the study table's notes, or that it failed",
        "str",
    ),
)

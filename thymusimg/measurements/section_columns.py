"""Every column of ``sections.csv``: what it means, and how sections of one animal pool."""

from __future__ import annotations

from thymusimg.measurements.schema import Column, Dtype, Pool, Ratio, Scale, Sum, WeightedMean

PARENCHYMA = "parenchyma_area_mm2"
BY_PARENCHYMA = WeightedMean(PARENCHYMA)
SECTION = ("tissue_area_mm2", "cyst_area_mm2")
"""Tissue and cyst lumen: the whole over which the shares of the compartments sum to 1."""


def _label(name: str, definition: str, unit: str = "text", dtype: Dtype = "str", interval: str = "") -> Column:
    return Column(name, "sections", unit, definition, "study table", dtype, interval=interval)


def _column(
    name: str,
    unit: str,
    definition: str,
    source: str,
    pool: Pool = None,
    scale: Scale = "identity",
    interval: str = "≥ 0",
    dtype: Dtype = "float",
) -> Column:
    return Column(name, "sections", unit, definition, source, dtype, pool, scale, interval)


def _area(name: str, definition: str, source: str = "R1") -> Column:
    return _column(name, "mm²", definition, source, Sum(), "log")


def _share(name: str, of: str) -> Column:
    definition = f"{of}, as a share of tissue and cyst lumen together; the five shares sum to 1"
    return _column(
        name, "fraction", definition, "R1", Ratio(name.replace("_share", "_area_mm2"), SECTION), "logit", "0-1"
    )


def _density(where: str, count: str, area: str) -> tuple[Column, ...]:
    name = f"cd45_density{where}"
    place = where.removeprefix("_") or "parenchyma (cortex, medulla and indeterminate)"
    bound = "end of the exact Poisson (Garwood) 95 % interval of the section's density in"
    note = "it describes the section and ignores clustering"
    return (
        _column(
            f"{name}_per_mm2",
            "1/mm²",
            f"Human CD45+ cell profiles per mm² of {place}",
            "P2",
            Ratio(count, area),
            "log",
        ),
        _column(f"{name}_low_per_mm2", "1/mm²", f"Lower {bound} {place}; {note}", "P2; Garwood 1936"),
        _column(f"{name}_high_per_mm2", "1/mm²", f"Upper {bound} {place}; {note}", "P2; Garwood 1936"),
    )


_SUBJECT = (
    _label("section_id", "Name of the section in every table"),
    _label("animal", "Animal that the section comes from: the unit of every comparison"),
    _label("group", "Treatment group of the animal"),
    _label("donor", "Donor of the human cells"),
    _label("batch", "Staining or imaging batch"),
    _label("timepoint", "Time after transplantation, as the study table has it"),
    _label("level", "Level of the section in the organ, as the study table has it"),
    _label("lobe", "Lobe, as the study table has it"),
    _label("negative_control", "Whether the section is a negative control of human CD45", "true/false", "bool"),
    _label("exclude", "Whether the study leaves the section out of its animal", "true/false", "bool"),
    _label("notes", "Notes of the study table"),
    Column("pixel_size_um", "sections", "µm", "Side of a full-resolution pixel", "image", interval="0.05-5"),
    Column(
        "grid_pixel_um", "sections", "µm", "Side of a pixel of the grid of compartments", "image", interval="> 0"
    ),
    Column("k14_marker", "sections", "text", "Marker that stands in the role of Keratin 14", "image", "str"),
    Column("k8_marker", "sections", "text", "Marker that stands in the role of Keratin 8", "image", "str"),
    Column("cd45_marker", "sections", "text", "Marker that stands in the role of human CD45", "image", "str"),
    Column("compartments_method", "sections", "text", "Method that drew the compartments", "settings", "str"),
    Column("cells_method", "sections", "text", "Method that found the cells; none if skipped", "settings", "str"),
)

_AREAS = (
    _area("tissue_area_mm2", "Analysable tissue: all tissue without artefact and cyst lumen"),
    _area(PARENCHYMA, "Cortex, medulla and indeterminate together: what densities and area fractions are per"),
    _area("cortex_area_mm2", "Cortex"),
    _area("medulla_area_mm2", "Medulla"),
    _area("indeterminate_area_mm2", "Parenchyma that is neither cortex nor medulla"),
    _area("cyst_area_mm2", "Cysts and voids", "R13"),
    _area("other_area_mm2", "Tissue that is no parenchyma: capsule, septa, vessels"),
    _area("artefact_area_mm2", "Folds, tears, debris: left out of every measurement"),
    _column(
        "medulla_fraction",
        "fraction",
        "Medulla / (cortex + medulla), by area",
        "R1",
        Ratio("medulla_area_mm2", ("cortex_area_mm2", "medulla_area_mm2")),
        "logit",
        "0-1",
    ),
    _share("cortex_share", "Cortex"),
    _share("medulla_share", "Medulla"),
    _share("indeterminate_share", "Indeterminate parenchyma"),
    _share("cyst_share", "Cysts and voids"),
    _share("other_share", "Capsule, septa and vessels"),
)

_ISLETS = (
    _column(
        "islet_count",
        "count",
        "Medullary islets of at least 1,500 µm² (8-connected after closing gaps up to 10 µm); those that the "
        "image's border cuts are counted",
        "R2",
        Sum(),
        "log",
        dtype="int",
    ),
    _column(
        "islets_per_mm2",
        "1/mm²",
        "islet_count per mm² of parenchyma",
        "R2",
        Ratio("islet_count", PARENCHYMA),
        "log",
    ),
    _column(
        "islets_at_border",
        "count",
        "Islets that the image's border cuts: their area counts, their size does not",
        "R2",
        Sum(),
        dtype="int",
    ),
    _column(
        "islet_median_area_um2",
        "µm²",
        "Median area of the islets that the image's border does not cut",
        "R2",
        WeightedMean("medulla_area_mm2"),
        "log",
    ),
    _column(
        "largest_islet_share",
        "fraction",
        "Area of the largest islet / area of all islets",
        "R2",
        WeightedMean("medulla_area_mm2"),
        "logit",
        "0-1",
    ),
    _column(
        "islet_effective_number",
        "islets",
        "(ΣA)² / ΣA² over the islets: their number if all were equally large",
        "R2",
        WeightedMean("medulla_area_mm2"),
        "log",
        "≥ 1",
    ),
)

_JUNCTION = (
    _column(
        "cmj_length_mm",
        "mm",
        "Length of the corticomedullary junction (cortex-medulla border only)",
        "R3",
        Sum(),
        "log",
    ),
    _column(
        "cmj_density_mm_per_mm2",
        "mm/mm²",
        "cmj_length_mm per mm² of parenchyma",
        "R3",
        Ratio("cmj_length_mm", PARENCHYMA),
        "log",
    ),
    _column(
        "cmj_width_um",
        "µm",
        "10-90 % width of the junction, 2.563 s: median over places on the junction of the error function fitted "
        "to the K14 profile across it, corrected for sampling",
        "R5",
        WeightedMean("cmj_profiled_length_mm"),
        "log",
    ),
    _column("cmj_width_q25_um", "µm", "Lower quartile of cmj_width_um over the places", "R5"),
    _column("cmj_width_q75_um", "µm", "Upper quartile of cmj_width_um over the places", "R5"),
    _column(
        "cmj_contrast",
        "fraction",
        "Median over the places of h / (b + h): the step of K14 over its medullary plateau",
        "R5",
        WeightedMean("cmj_profiled_length_mm"),
        "identity",
        "≤ 1 when the cortical plateau is not negative",
    ),
    _column("cmj_fit_r2", "fraction", "Median R² of the fitted profiles", "R5", interval="0-1"),
    _column(
        "cmj_profiled_length_mm", "mm", "Length of junction whose K14 profile could be taken", "R5", Sum(), "log"
    ),
)

_STAINS = (
    _column(
        "double_positive_fraction",
        "fraction",
        "Area(K8+ and K14+) / area(K8+ or K14+) in the parenchyma; positive is above Otsu's threshold of the stain "
        "over the parenchyma, and above three SD of the pixels off the tissue",
        "R6",
        Ratio("double_positive_area_mm2", "keratin_positive_area_mm2"),
        "logit",
        "0-1",
    ),
    _area("double_positive_area_mm2", "Parenchyma that is K8+ and K14+", "R6"),
    _area("keratin_positive_area_mm2", "Parenchyma that is K8+ or K14+", "R6"),
    _column(
        "segregation_index_50um",
        "fraction",
        "1 - H50 / Hglobal: how much of the mixture of K14- and K8-dominated places is sorted at 50 µm; from the "
        "stains, never from the compartments",
        "R7",
        BY_PARENCHYMA,
        "logit",
        "≤ 1; 0 is unsorted",
    ),
)

_CORTEX = (
    _column(
        "cortical_thickness_um",
        "µm",
        "Median over the cortex of the local thickness (diameter of the largest inscribed disc around a place)",
        "R12; Hildebrand & Rüegsegger 1997",
        WeightedMean("cortex_area_mm2"),
        "log",
    ),
    _column(
        "cortical_coverage",
        "fraction",
        "Share of the capsule's length under which, within 60 µm, the nearest parenchyma is cortex",
        "R12",
        Ratio("covered_capsule_length_mm", "capsule_length_mm"),
        "logit",
        "0-1",
    ),
    _column(
        "capsule_length_mm", "mm", "Length of the tissue's outer outline, smoothed at 10 µm", "R12", Sum(), "log"
    ),
    _column("covered_capsule_length_mm", "mm", "Length of the capsule with cortex under it", "R12", Sum(), "log"),
)

_CELLS = (
    _column("cd45_count", "count", "Human CD45+ cell profiles in the parenchyma", "P2", Sum(), "log", dtype="int"),
    _column(
        "cd45_count_cortex", "count", "Human CD45+ cell profiles in the cortex", "P2", Sum(), "log", dtype="int"
    ),
    _column(
        "cd45_count_medulla", "count", "Human CD45+ cell profiles in the medulla", "P2", Sum(), "log", dtype="int"
    ),
    _column(
        "cd45_count_outside",
        "count",
        "Human CD45+ cell profiles outside the parenchyma (capsule, septa, vessels, cysts); in no density",
        "P2",
        Sum(),
        "log",
        dtype="int",
    ),
    *_density("", "cd45_count", PARENCHYMA),
    *_density("_cortex", "cd45_count_cortex", "cortex_area_mm2"),
    *_density("_medulla", "cd45_count_medulla", "medulla_area_mm2"),
    _column(
        "cd45_area_fraction",
        "fraction",
        "Share of the parenchyma's area that is at or above the CD45 gate",
        "P1",
        Ratio("cd45_area_mm2", PARENCHYMA),
        "logit",
        "0-1",
    ),
    _column(
        "cd45_area_fraction_cortex",
        "fraction",
        "Share of the cortex' area that is at or above the CD45 gate",
        "P1",
        WeightedMean("cortex_area_mm2"),
        "logit",
        "0-1",
    ),
    _column(
        "cd45_area_fraction_medulla",
        "fraction",
        "Share of the medulla's area that is at or above the CD45 gate",
        "P1",
        WeightedMean("medulla_area_mm2"),
        "logit",
        "0-1",
    ),
    _area("cd45_area_mm2", "Parenchyma at or above the CD45 gate", "P1"),
    _column(
        "cd45_log_ratio_cortex_medulla",
        "natural log",
        "ln{[(nC + ½) / AC] / [(nM + ½) / AM]}: above 0, cells are denser in the cortex",
        "P3",
        BY_PARENCHYMA,
        "identity",
        "any",
    ),
    _column(
        "cd45_median_distance_to_cmj_um",
        "µm",
        "Median signed distance of the parenchyma's CD45+ cells to the junction (cortex negative)",
        "P4",
        WeightedMean("cd45_count"),
        "identity",
        "any",
    ),
    _column(
        "cd45_median_depth_um",
        "µm",
        "Median depth of the parenchyma's CD45+ cells under the capsule",
        "P4",
        WeightedMean("cd45_count"),
        "log",
    ),
    _column(
        "cd45_excess_gini",
        "Gini",
        "Gini coefficient of the cell density on 100 µm tiles (weighted by tissue area) less its expectation for "
        "as many cells scattered at random: 0 is random, above 0 is clustered",
        "P5",
        BY_PARENCHYMA,
        "identity",
        "-1 to 1",
    ),
    _column(
        "cd45_empty_tile_fraction",
        "fraction",
        "Share of the 100 µm tiles' parenchyma that lies in tiles without a CD45+ cell",
        "P5",
        BY_PARENCHYMA,
        "logit",
        "0-1",
    ),
    _column(
        "cd45_saturated_share",
        "fraction",
        "Share of the CD45+ area that lies in 50 µm tiles whose CD45 coverage is above 0.6",
        "P2",
        WeightedMean("cd45_area_mm2"),
        "identity",
        "0-1",
    ),
    _column(
        "cd45_count_reliable",
        "true/false",
        "False when more than 5 % of the CD45+ area lies in 50 µm tiles covered above 0.6: cells overlap there "
        "and counts are too low; read the area fraction",
        "P2",
        interval="true or false",
        dtype="bool",
    ),
    _column(
        "cd45_false_cells_per_mm2",
        "1/mm²",
        "Cells per mm² of parenchyma that the same gate finds in the negative controls; densities of that order "
        "mean nothing",
        "Q",
    ),
)

SECTION_COLUMNS: tuple[Column, ...] = (*_SUBJECT, *_AREAS, *_ISLETS, *_JUNCTION, *_STAINS, *_CORTEX, *_CELLS)
"""The columns of ``sections.csv``, in their order."""

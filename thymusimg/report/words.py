"""How numbers, columns and p-values read in plain text."""

from __future__ import annotations

import math
import re

from thymusimg.channels.markers import names_stain, read_name

LABELS = {
    "tissue_area_mm2": "Tissue area",
    "cortex_area_mm2": "Cortex area",
    "medulla_area_mm2": "Medulla area",
    "indeterminate_area_mm2": "Indeterminate area",
    "cyst_area_mm2": "Cyst area",
    "medulla_fraction": "Medulla fraction",
    "islet_count": "Medullary islets",
    "islets_per_mm2": "Medullary islet density",
    "largest_islet_share": "Largest islet's share",
    "cmj_length_mm": "Corticomedullary junction length",
    "cmj_density_mm_per_mm2": "Junction density",
    "cmj_width_um": "Junction width",
    "double_positive_fraction": "K8⁺K14⁺ fraction",
    "segregation_index_50um": "Segregation index (50 µm)",
    "cortical_thickness_um": "Cortical thickness",
    "cortical_coverage": "Cortical coverage",
    "cd45_count": "CD45⁺ profiles",
    "cd45_density_per_mm2": "CD45⁺ density",
    "cd45_density_cortex_per_mm2": "CD45⁺ density, cortex",
    "cd45_density_medulla_per_mm2": "CD45⁺ density, medulla",
    "cd45_area_fraction": "CD45⁺ area fraction",
    "cd45_log_ratio_cortex_medulla": "CD45⁺ cortex : medulla, ln ratio",
    "cd45_excess_gini": "CD45⁺ excess Gini",
    "cd45_empty_tile_fraction": "Tissue without CD45⁺ cells",
}
"""Columns that people read most, in their words; every other column is shown by its name."""

UNITS = {
    "natural log": "",
    "text": "",
    "true/false": "",
    "gini": "",
    "1/mm²": "per mm²",
    "1/mm2": "per mm²",
    "1": "",
    "-": "",
    "–": "",
    "fraction": "",
    "none": "",
    "nan": "",
    "count": "",
    "um": "µm",
    "um2": "µm²",
}

GATE_SOURCES = {
    "section": "the section's own background",
    "controls_sd": "the negative controls, in units of the background's SD",
    "controls_absolute": "the negative controls of the same batch and exposure",
}

REORGANISATION = (
    "segregation_index_50um",
    "cortical_coverage",
    "medulla_fraction",
    "cortical_thickness_um",
    "cmj_width_um",
    "islets_per_mm2",
    "largest_islet_share",
    "double_positive_fraction",
)
REPOPULATION = (
    "cd45_area_fraction",
    "cd45_density_per_mm2",
    "cd45_log_ratio_cortex_medulla",
    "cd45_empty_tile_fraction",
)
MINUS = "−"


def label(column: str) -> str:
    """Return a column in the reader's words; its unit stands elsewhere.

    Examples
    --------
    >>> label("capsule_length_mm"), label("cd45_median_depth_um")
    ('Capsule length', 'CD45⁺ median depth')
    """
    if column in LABELS:
        return LABELS[column]
    words = re.sub(r"(_per_mm2|_mm2|_um2|_mm|_um)$", "", column).replace("_", " ").strip()
    words = re.sub(r"\bcmj\b", "junction", words).replace("cd45", "CD45⁺")
    return words[:1].upper() + words[1:]


def stands_in(role: str, marker: str) -> bool:
    """Tell whether a marker is another than the role's own: CD205 in the role of K8, but not KRT8.

    A name that only a microscope gave, like the ``T1`` of ``AF594-T1``, names no marker and so no other one.

    Examples
    --------
    >>> stands_in("k8", "CD205"), stands_in("k8", "KRT8"), stands_in("cd45", "T1"), stands_in("cd45", "")
    (True, False, False, False)
    """
    return names_stain(marker) and role not in read_name(marker).roles


def unit_of(unit: str) -> str:
    """Return a unit as it is printed behind a number, "" for pure numbers."""
    plain = unit.strip()
    plain = UNITS.get(plain.casefold(), plain)
    return plain.replace("mm2", "mm²")


def is_repopulation(column: str) -> bool:
    """Tell whether a column speaks of human cells rather than of the tissue's order."""
    return column.startswith("cd45")


def number(value: float, *, signed: bool = False) -> str:
    """Return a number with three significant digits, grouped thousands and a true minus sign.

    Examples
    --------
    >>> number(0.12345), number(-12345.6), number(3.0), number(float("nan"))
    ('0.123', '−12,346', '3', 'undefined')
    """
    if not math.isfinite(value):
        return "undefined" if math.isnan(value) else ("∞" if value > 0 else f"{MINUS}∞")
    size = abs(value)
    if size >= 1e6 or 0 < size < 1e-4:
        text = f"{size:.2e}".replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")
        mantissa, _, power = text.partition("e")
        text = f"{mantissa} × 10{power.translate(str.maketrans('-0123456789', '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'))}"
    elif size >= 100:
        text = f"{size:,.0f}"
    else:
        # Two digits behind the point are enough from 1 on; below, three that count.
        text = f"{size:.3g}"
    sign = MINUS if value < 0 and text.strip("0.,") else "+" if signed and value > 0 else ""
    return sign + text


def with_unit(value: float, unit: str, *, signed: bool = False) -> str:
    """Return a number with its unit."""
    text, plain = number(value, signed=signed), unit_of(unit)
    return f"{text} {plain}" if plain and math.isfinite(value) else text


def percent(share: float) -> str:
    """Return a share as per cent, on one line: ``95 %``."""
    return f"{100 * share:.4g}\N{NO-BREAK SPACE}%"


def within(title: str) -> str:
    """Return a title as it stands within a sentence.

    Examples
    --------
    >>> within("Cortical coverage"), within("CD45⁺ density"), within("K8⁺K14⁺ fraction")
    ('cortical coverage', 'CD45⁺ density', 'K8⁺K14⁺ fraction')
    """
    return title[:1].lower() + title[1:] if title[1:2].islower() else title


def p_value(p: float) -> str:
    """Return a p-value as papers print it: ``p = 0.032``, ``p < 0.001``.

    Examples
    --------
    >>> p_value(0.0004), p_value(0.1)
    ('p < 0.001', 'p = 0.10')
    """
    if math.isnan(p):
        return "p undefined"
    return "p < 0.001" if p < 0.001 else f"p = {bare_p(p)}"


def bare_p(p: float) -> str:
    """Return a p-value as a table prints it: ``0.032``, ``< 0.001``, nothing where it is undefined."""
    if math.isnan(p):
        return ""
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.0995 else f"{p:.2f}"


def listed(parts: list[str], last: str = "and") -> str:
    """Join words as a sentence does: ``a, b and c``."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} {last} {parts[-1]}" if parts else ""


def counted(count: int, singular: str, plural: str = "") -> str:
    """Return a count with its noun: ``1 section``, ``6 sections``."""
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"

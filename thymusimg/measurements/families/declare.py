"""How the families declare the columns of ``sections.csv``."""

from __future__ import annotations

from thymusimg.measurements.schema import Column, Dtype, Pool, Scale, Sum, WeightedMean

PARENCHYMA_AREA = "parenchyma_area_mm2"
BY_PARENCHYMA = WeightedMean(PARENCHYMA_AREA)
SECTION = ("tissue_area_mm2", "cyst_area_mm2")
"""Tissue and cyst lumen: the whole over which the shares of the compartments sum to 1."""


def declare(
    name: str,
    unit: str,
    definition: str,
    source: str,
    pool: Pool = None,
    scale: Scale = "identity",
    interval: str = "≥ 0",
    dtype: Dtype = "float",
) -> Column:
    """Declare a column of ``sections.csv``."""
    return Column(name, "sections", unit, definition, source, dtype, pool, scale, interval)


def declare_area(name: str, definition: str, source: str = "R1") -> Column:
    """Declare an area in mm²: summed over an animal's sections, compared on the log scale."""
    return declare(name, "mm²", definition, source, Sum(), "log")


def label(name: str, definition: str, unit: str = "text", dtype: Dtype = "str", interval: str = "") -> Column:
    """Declare a column that the study table gives."""
    return Column(name, "sections", unit, definition, "study table", dtype, interval=interval)

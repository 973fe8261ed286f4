"""What a column is: unit, definition, source, and how sections pool to an animal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Table = Literal["sections", "compartments", "cells", "animals", "comparisons", "quality", "failures"]
Scale = Literal["identity", "log", "logit"]


@dataclass(frozen=True)
class Sum:
    """An animal's value is the sum over its sections (counts, areas, lengths)."""


@dataclass(frozen=True)
class Ratio:
    """An animal's value is Σ numerator / Σ denominator over its sections, never a mean of ratios.

    ``numerator`` and ``denominator`` name columns of ``sections.csv`` (or a tuple of columns to add up), and
    ``factor`` turns their quotient into the column's unit.
    """

    numerator: str | tuple[str, ...]
    denominator: str | tuple[str, ...]
    factor: float = 1.0


@dataclass(frozen=True)
class WeightedMean:
    """An animal's value is the mean over its sections, weighted by a column of ``sections.csv``."""

    weight: str


Pool = Sum | Ratio | WeightedMean | None


@dataclass(frozen=True)
class Column:
    """One column of one table.

    ``source`` is the id in the metric catalogue (``R5``, ``P3``) or the paper; ``pool`` says how sections become an
    animal (None: not pooled); ``scale`` is the scale on which groups are compared; ``interval`` is the range of
    possible values in words (``0-1``, ``≥ 0``).
    """

    name: str
    table: Table
    unit: str
    definition: str
    source: str = ""
    dtype: str = "float"
    pool: Pool = None
    scale: Scale = "identity"
    interval: str = ""

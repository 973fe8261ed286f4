"""What a column is: unit, definition, source, and how sections pool to an animal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Table = Literal[
    "sections", "compartments", "cells", "curves", "lobes", "animals", "comparisons", "power", "sensitivity",
    "animal_curves", "group_curves", "exclusions", "quality", "failures"
]  # fmt: skip
Scale = Literal["identity", "log", "logit"]
Dtype = Literal["float", "int", "bool", "str"]


@dataclass(frozen=True)
class Sum:
    """An animal's value is the sum over its sections (counts, areas, lengths)."""

    def __str__(self) -> str:
        return "sum over sections"


@dataclass(frozen=True)
class Ratio:
    """An animal's value is Σ numerator / Σ denominator over its sections, never a mean of ratios.

    ``numerator`` and ``denominator`` name columns of ``sections.csv`` (or a tuple of columns to add up), and
    ``factor`` turns their quotient into the column's unit. A section in which any of them is undefined takes no
    part in either sum.
    """

    numerator: str | tuple[str, ...]
    denominator: str | tuple[str, ...]
    factor: float = 1.0

    @property
    def names(self) -> tuple[str, ...]:
        """Every column that the ratio needs."""
        return (*_tuple(self.numerator), *_tuple(self.denominator))

    def __str__(self) -> str:
        times = "" if self.factor == 1.0 else f" × {self.factor:g}"
        return f"Σ({' + '.join(_tuple(self.numerator))}) / Σ({' + '.join(_tuple(self.denominator))}){times}"


@dataclass(frozen=True)
class WeightedMean:
    """An animal's value is the mean over its sections, weighted by a column of ``sections.csv``.

    A section whose value or weight is undefined takes no part.
    """

    weight: str

    def __str__(self) -> str:
        return f"mean over sections weighted by {self.weight}"


@dataclass(frozen=True)
class LogRatio:
    """An animal's value is ln{[(Σn₁ + ½) / ΣA₁] / [(Σn₂ + ½) / ΣA₂]} over its sections.

    The four name columns of ``sections.csv``: counts and the areas that they are per. A section in which any of
    them is undefined takes no part; one without the first or the second area adds its other half.
    """

    count: str
    area: str
    other_count: str
    other_area: str

    @property
    def names(self) -> tuple[str, ...]:
        """Every column that the ratio needs."""
        return (self.count, self.area, self.other_count, self.other_area)

    def __str__(self) -> str:
        return f"ln of [(Σ{self.count} + ½) / Σ{self.area}] / [(Σ{self.other_count} + ½) / Σ{self.other_area}]"


Pool = Sum | Ratio | WeightedMean | LogRatio | None


@dataclass(frozen=True)
class Column:
    """One column of one table.

    ``source`` is the id in the metric catalogue (``R5``, ``P3``) or the paper; ``pool`` says how sections become an
    animal (None: not pooled); ``scale`` is the scale on which groups are compared; ``interval`` is the range of
    possible values in words (``0-1``, ``≥ 0``).

    Raises
    ------
    ValueError
        If the name, the unit or the definition is empty: such a column cannot exist.
    """

    name: str
    table: Table
    unit: str
    definition: str
    source: str = ""
    dtype: Dtype = "float"
    pool: Pool = None
    scale: Scale = "identity"
    interval: str = ""

    def __post_init__(self) -> None:
        for part in ("name", "unit", "definition"):
            if not getattr(self, part).strip():
                raise ValueError(f"column {self.table}.{self.name or '?'} has no {part}; every column needs one")


@dataclass(frozen=True)
class Curve:
    """One function of a scale: rows of the table ``curves`` that carry its name.

    An animal's curve is Σ weight · value / Σ weight over its sections, at every ``x``.

    Raises
    ------
    ValueError
        If a name, a unit or the definition is empty: such a curve cannot exist.
    """

    name: str
    x_name: str
    x_unit: str
    unit: str
    definition: str
    source: str = ""

    def __post_init__(self) -> None:
        for part in ("name", "x_name", "x_unit", "unit", "definition"):
            if not getattr(self, part).strip():
                raise ValueError(f"curve {self.name or '?'} has no {part}; every curve needs one")


def _tuple(names: str | tuple[str, ...]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else names

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from thymusimg.settings.base import Frozen


class StudySettings(Frozen):
    """What the study compares, and how."""

    table: str = ""
    """The study table (CSV), relative to the TOML file."""

    reference: str = ""
    """The group that every other group is compared with."""

    synthetic: bool = False
    """The sections were drawn by a program: the report says so on its first line."""

    primary: tuple[str, ...] = Field((), max_length=3)
    """At most three columns of ``sections.csv``, declared before looking; the rest is exploratory."""

    confidence: float = Field(0.95, gt=0.5, lt=1)
    """Coverage of the intervals, as a fraction."""

    exact_permutations: int = Field(200_000, ge=1, le=5_000_000)
    """Up to so many arrangements of the animals are all counted; above, arrangements are drawn at random."""

    random_permutations: int = Field(99_999, ge=999, le=5_000_000)
    """How many arrangements are drawn where there are too many to count."""

    seed: int = Field(20, ge=0)
    """Seed of the random arrangements."""

    @model_validator(mode="after")
    def _primary_once(self) -> Self:
        if len(set(self.primary)) < len(self.primary):
            raise ValueError("a primary endpoint is named twice")
        return self

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from thymusimg.settings.base import Frozen


class Anchor(Frozen):
    """Where an external reference puts one component of the Organisation Index (R15)."""

    wild_type: float = Field(allow_inf_nan=False)
    """Mean of the wild type, in the component's own unit (natural logarithm of µm for the junction's width)."""

    sd: float = Field(gt=0, allow_inf_nan=False)
    """SD between the animals of the references, pooled within wild type and untreated, in the same unit."""


class OrganisationReference(Frozen):
    """The external references of the Organisation Index (R15) as numbers."""

    medulla_fraction: Anchor
    """Of ``medulla_fraction``."""

    sharpness: Anchor
    """Of ln ``cmj_width_um``."""

    segregation: Anchor
    """Of ``segregation_index_50um``."""

    coverage: Anchor
    """Of ``cortical_coverage``."""

    burden: Anchor
    """Of ``cyst_share`` + ``indeterminate_share``."""


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

    organisation_reference: str = ""
    """``animals.csv`` of an earlier run, relative to the TOML file: the external reference of R15."""

    wild_type: str = ""
    """The wild-type group in ``organisation_reference``."""

    untreated: str = ""
    """The untreated group in ``organisation_reference``."""

    organisation: OrganisationReference | None = None
    """The external reference of R15 as numbers; read from ``organisation_reference`` where that is given."""

    systematic_sections: bool = False
    """The sections run through the whole organ in equal steps from a random start, numbered by ``level`` (P12)."""

    section_spacing_um: float | None = Field(None, gt=0, le=1e5)
    """From one measured section to the next, in µm (P12)."""

    section_thickness_um: float | None = Field(None, gt=0, le=500)
    """Thickness of a section after cutting, in µm (P12)."""

    cell_height_um: float | None = Field(None, gt=0, le=100)
    """Mean height of the counted cells across the section, in µm (P12)."""

    @model_validator(mode="after")
    def _one_reference(self) -> Self:
        named = [bool(self.organisation_reference), bool(self.wild_type), bool(self.untreated)]
        if any(named) and not all(named):
            raise ValueError("organisation_reference, wild_type and untreated belong together: give all three")
        return self

    @model_validator(mode="after")
    def _primary_once(self) -> Self:
        if len(set(self.primary)) < len(self.primary):
            raise ValueError("a primary endpoint is named twice")
        return self

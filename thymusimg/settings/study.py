from __future__ import annotations

from pydantic import Field

from thymusimg.settings.base import Frozen


class StudySettings(Frozen):
    """What the study compares."""

    table: str = ""
    """The study table (CSV), relative to the TOML file."""

    reference: str = ""
    """The group that every other group is compared with."""

    primary: tuple[str, ...] = Field((), max_length=3)
    """At most three columns of ``sections.csv``, declared before looking; the rest is exploratory."""

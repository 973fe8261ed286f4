"""The families of measurements: what each declares, and how it fills a section's row.

A family is a module with ``COLUMNS`` (columns of ``sections.csv``), perhaps ``CURVES``, and ``measure(row, view)``,
which puts every one of its columns: a number, or NaN with a reason. The order here is that of the columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from thymusimg.measurements.families import (
    areas,
    cells,
    cortex,
    epithelium,
    infiltration,
    islets,
    junction,
    network,
    pattern,
    profile,
    segregation,
    spectrum,
    spread,
    stains,
    subject,
    topology,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thymusimg.measurements.row import Row
    from thymusimg.measurements.schema import Column
    from thymusimg.measurements.view import SectionView


class Family(Protocol):
    """A module of this folder; one that fills curves declares them in ``CURVES`` too."""

    @property
    def COLUMNS(self) -> tuple[Column, ...]:
        """The columns that the family fills."""

    def measure(self, row: Row, view: SectionView) -> None:
        """Put every column of the family into the row."""


FAMILIES: tuple[Family, ...] = (
    subject,
    areas,
    islets,
    junction,
    stains,
    segregation,
    topology,
    spectrum,
    cortex,
    cells,
    spread,
    profile,
    infiltration,
    epithelium,
    pattern,
    network,
)

IN_PIECES: Mapping[str, Family] = {"simulations": pattern, "network": network}
"""Families that are worked on in pieces, by the name under which they tell how far they are."""
LARGE_PIECES: Family = network
"""Its tiles take much memory: they wait until the families in one piece, which take as much, are measured."""

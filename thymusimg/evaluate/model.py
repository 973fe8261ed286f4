"""What an evaluation compares: a section's labels, wherever they come from, and where they lie."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from thymusimg.evaluate.outlines import Shape


@dataclass(frozen=True)
class Raster:
    """A label image and the place of its pixels.

    Attributes
    ----------
    pixels : (Y, X) integer array
        numpy, or a lazy zarr array.
    pixel_um : float
        Side of a pixel in µm.
    first_um : float or None
        Where the centre of the first pixel lies, in µm from the centre of the slide's first pixel; None where the
        file records no place.
    """

    pixels: Any
    pixel_um: float
    first_um: float | None = 0.0

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        height, width = self.pixels.shape
        return int(height), int(width)

    @property
    def words(self) -> str:
        """Size and pixel, for messages."""
        height, width = self.shape
        return f"{width} × {height} px of {self.pixel_um:.6g} µm"

    def array(self) -> np.ndarray[Any, np.dtype[Any]]:
        """Read all of it."""
        return np.asarray(self.pixels)


@dataclass(frozen=True)
class Labelled:
    """Everything that one side says about one section.

    Attributes
    ----------
    section_id : str
        "" where the file names none (a label file).
    source : str
        The file or folder, for messages.
    compartments, tissue, cells : Raster or None
        Codes of :class:`thymusimg.compartments.model.Compartment`; all tissue; one label a cell.
    shapes : tuple of Shape
        Outlines that are not drawn yet, because only the other side knows the grid.
    row : mapping
        The section's row of ``sections.csv``, where there is one.
    """

    section_id: str
    source: str
    compartments: Raster | None = None
    tissue: Raster | None = None
    cells: Raster | None = None
    shapes: tuple[Shape, ...] = ()
    row: Mapping[str, object] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Evaluation:
    """What comes out of comparing two sides.

    Attributes
    ----------
    classes : DataFrame
        One row a section and class: Dice, boundary distance, areas and their fractions.
    cells : DataFrame
        One row a section: counts, densities, F1 by overlap and by distance of centres, and kappa of the classes.
    agreement : DataFrame
        One row a column that both sides have a number of: CCC, Bland-Altman, ICC(2,1); empty for one section.
    notes : tuple of str
        What a reader must know: what was left out, which grids were brought together, which sections have no
        partner.
    """

    classes: pd.DataFrame
    cells: pd.DataFrame
    agreement: pd.DataFrame
    notes: tuple[str, ...]
    annotators: bool = False

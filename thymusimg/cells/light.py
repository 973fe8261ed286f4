"""What every detector of cells sees of a section: corrected stains, the gate, and where there is tissue."""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from thymusimg.cells.collect import join
from thymusimg.cells.overlap import count_positive
from thymusimg.errors import CellsError, PixelSizeError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd

    from thymusimg.cells.collect import Found
    from thymusimg.cells.model import CellMasks, Gate
    from thymusimg.channels.correct import Correction
    from thymusimg.section.model import FloatPlane, Mask, Section, Window

STAINS = ("cd45", "k14", "k8")
"""Stains whose means under the cells are measured."""


class TooCoarseError(CellsError, PixelSizeError):
    """The section is too coarse for cells; everything but the cells can still be measured."""


@dataclass(frozen=True)
class CellLight:
    """The stains of a section as a detector reads them; safe in several threads.

    Attributes
    ----------
    analysable : (Y, X) bool
        Tissue in which cells are looked for, on the coarse grid.
    """

    section: Section
    correction: Correction
    analysable: Mask
    gate: Gate

    @property
    def stains(self) -> list[str]:
        """The stains whose means are measured; CD45 first."""
        return [role for role in STAINS if role in self.section.roles]

    def join(self, tiles: Sequence[Found]) -> tuple[pd.DataFrame, CellMasks]:
        """Join the cells of the section's tiles to a table and masks, on the slide."""
        return join(tiles, self.stains, self.section.pixel_size_um, self.section.origin)

    @property
    def local_sd(self) -> float:
        """SD of the background over the size of a cell."""
        return self.gate.background_sd if math.isnan(self.gate.local_sd) else self.gate.local_sd

    @property
    def least_excess(self) -> float:
        """How far a human cell's membrane must rise above its surroundings, in corrected units.

        An absolute threshold of controls holds as it is. Otherwise the gate is so many SDs above the background,
        and a cell so many *local* SDs above its own surroundings, whatever the slow changes of the background.
        """
        excess = self.gate.threshold - self.gate.background
        if self.gate.source == "controls_absolute":
            return excess
        return excess / self.gate.background_sd * self.local_sd

    def read(self, roles: Sequence[str], window: Window) -> dict[str, FloatPlane]:
        """Read and correct stains of a window at full resolution."""
        # unmixing needs every stain together
        needed = self.correction.roles if self.correction.unmixing is not None else roles
        if not roles:
            return {}
        return self.correction.apply({role: self.section.read(role, window) for role in needed}, window)

    def positive(self, cd45: FloatPlane, window: Window, core: Window) -> tuple[FloatPlane, tuple[slice, slice]]:
        """Return the share of positive pixels of the coarse pixels that begin in ``core``, and where they are.

        ``cd45`` is that of ``window``, which reaches beyond the core by a coarse pixel at least.
        """
        factor = self.section.grid.factor
        y0, y1, x0, x1 = (-(-edge // factor) for edge in core)
        part = cd45[
            y0 * factor - window.y0 : y1 * factor - window.y0, x0 * factor - window.x0 : x1 * factor - window.x0
        ]
        shape = (y1 - y0, x1 - x0)
        return count_positive(part, np.float32(self.gate.threshold), factor, shape), (slice(y0, y1), slice(x0, x1))

    def has_tissue(self, core: Window) -> bool:
        """Tell whether there is tissue to look at in ``core``."""
        factor = self.section.grid.factor
        rows = slice(core.y0 // factor, -(-core.y1 // factor))
        return bool(self.analysable[rows, core.x0 // factor : -(-core.x1 // factor)].any())


def refuse_coarse(section: Section, coarsest_um: float) -> None:
    """Refuse a section whose pixels are too coarse for cells.

    Raises
    ------
    TooCoarseError
    """
    if section.pixel_size_um > coarsest_um * (1 + 1e-6):
        raise TooCoarseError(
            f"{section.section_id}: pixels of {section.pixel_size_um:.3g} µm are too coarse for cells; "
            f"at most {coarsest_um:.3g} µm is needed"
        )


@contextmanager
def one_thread_in_opencv() -> Iterator[None]:
    """Keep OpenCV from starting threads of its own below ours."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)

"""Relative illumination of a stitched slide: one factor along the rows, one along the columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from thymusimg.section.model import FloatPlane, Window

Factors = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Gain:
    """Relative illumination: at (y, x) it is ``rows[y] · columns[x]``.

    Two vectors, not a plane: on a big slide a plane a stain would be most of what the analysis holds.

    Attributes
    ----------
    rows : (Y,) float32
    columns : (X,) float32
    """

    rows: Factors
    columns: Factors

    def sampled(self, factor: int, window: Window) -> Gain:
        """Return the gain of the coarse grid at the full-resolution pixels of a window, linear between its pixels.

        Weights come from the pixel's absolute row and column, so that the windows of two tiles agree bit for bit.
        """
        return Gain(
            _sampled(self.rows, window.y0, window.y1, factor), _sampled(self.columns, window.x0, window.x1, factor)
        )

    def flatten(self, plane: FloatPlane) -> None:
        """Divide a (Y, X) plane by the gain, in place."""
        plane /= self.rows[:, None]
        plane /= self.columns


def _sampled(factors: Factors, start: int, stop: int, factor: int) -> Factors:
    if factor == 1:
        return factors[start:stop]
    place = np.clip((np.arange(start, stop, dtype=np.float64) + 0.5) / factor - 0.5, 0, len(factors) - 1)
    lower = place.astype(np.intp)
    upper = np.minimum(lower + 1, len(factors) - 1)
    weight = (place - lower).astype(np.float32)
    return np.asarray(factors[lower] + weight * (factors[upper] - factors[lower]), np.float32)

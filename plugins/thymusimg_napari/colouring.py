"""Cells coloured by a column: compartments in the report's colours, numbers from dark to bright. No Qt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from thymusimg.compartments.model import Compartment
from thymusimg.report.overlays import COMPARTMENT_COLOURS

if TYPE_CHECKING:
    import numpy.typing as npt

    Colours = npt.NDArray[np.float32]

PLAIN = (1.0, 1.0, 1.0, 1.0)
UNDEFINED = (0.55, 0.55, 0.55, 1.0)
"""Of cells for which the column is undefined."""
ENDS = (0.02, 0.98)
"""Quantiles at which the colours end: one bright cell must not darken all others."""
SCALE, DARKEST = "viridis", 0.2
"""Its darkest fifth would vanish on the dark slide."""


@dataclass(frozen=True)
class Colouring:
    """A column, or "" for one colour."""

    column: str = ""

    def limits(self, table: pd.DataFrame) -> tuple[float, float] | None:
        """Return the values of the darkest and the brightest colour; None where the column holds no numbers."""
        if self.column not in table or not pd.api.types.is_numeric_dtype(table[self.column]):
            return None
        values = table[self.column].to_numpy(np.float64)
        values = values[np.isfinite(values)]
        if not len(values):
            return None
        low, high = (float(v) for v in np.quantile(values, ENDS))
        return low, high

    def of_rows(self, table: pd.DataFrame) -> Colours | None:
        """Return (N, 4) colours; None for one colour."""
        if self.column not in table:
            return None
        if not pd.api.types.is_numeric_dtype(table[self.column]):
            return _of_words(table[self.column])
        limits = self.limits(table)
        values = table[self.column].to_numpy(np.float64)
        if limits is None:
            return np.tile(np.asarray(UNDEFINED, np.float32), (len(table), 1))
        low, high = limits
        from matplotlib import colormaps

        scaled = np.clip((values - low) / (high - low), 0, 1) if high > low else np.full(len(values), 0.5)
        scaled = DARKEST + (1 - DARKEST) * scaled
        colours = np.asarray(colormaps[SCALE](np.nan_to_num(scaled)), np.float32)
        colours[~np.isfinite(values)] = UNDEFINED
        return colours

    def of_labels(self, table: pd.DataFrame, labels: npt.NDArray[np.int32]) -> Any:
        """Return the colormap of a label image whose labels are ``cell_id``."""
        from napari.utils.colormaps import DirectLabelColormap

        clear = np.zeros(4, np.float32)
        colours = self.of_rows(table)
        if colours is None:
            return DirectLabelColormap(color_dict={None: np.asarray(PLAIN, np.float32), 0: clear})
        shades: dict[int | None, Any] = {None: clear, 0: clear}
        shades |= {int(one): colours[one - 1] for one in np.unique(labels) if one}
        return DirectLabelColormap(color_dict=shades)


def _of_words(words: pd.Series) -> Colours:
    colours = {code.name.lower(): COMPARTMENT_COLOURS.get(code, (140, 140, 140)) for code in Compartment}
    known = {name: [v / 255 for v in rgb] for name, rgb in colours.items()}
    return np.array([[*known[word], 1.0] if word in known else UNDEFINED for word in words], np.float32).reshape(
        -1, 4
    )

"""The medullary islets of a section one by one: where they lie, how large they are, how many cells they hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import ndimage

from thymusimg.compartments.model import Compartment
from thymusimg.measurements.shapes.islets import label_islets

if TYPE_CHECKING:
    from thymusimg.cells.model import Cells
    from thymusimg.compartments.model import Compartments
    from thymusimg.settings import MeasurementSettings

MEANINGS = {
    "islet": ("label", "Number of the islet, the largest first"),
    "area_um2": ("µm²", "Its medulla; gaps that were closed do not count"),
    "y_um": ("µm", "Centroid of its medulla, downwards"),
    "x_um": ("µm", "Centroid of its medulla, to the right"),
    "isoperimetric_ratio": ("ratio", "P² / (4πA) of its outer outline, smoothed at 5 µm; a disc has 1. "
                                     "Undefined where the image's border cuts it"),
    "at_border": ("yes or no", "Whether the image's border cuts it: its area is known in part only"),
    "cd45_count": ("count", "Human CD45+ cell profiles whose centroid lies in it"),
    "cd45_density_per_mm2": ("1/mm²", "Human CD45+ cell profiles per mm² of it"),
}  # fmt: skip
"""Unit and definition of every column of :func:`islet_table`."""


PLACE = ("y_um", "x_um")


def islet_table(
    compartments: Compartments, settings: MeasurementSettings, cells: Cells | None = None
) -> tuple[pd.DataFrame, npt.NDArray[np.int32]]:
    """Return one row an islet (R2), the largest first, and the (Y, X) labels that say where each lies.

    Parameters
    ----------
    compartments : Compartments
    settings : MeasurementSettings
        What counts as an islet, as for ``islet_count``.
    cells : Cells, optional
        Without them, the columns of cells are absent.

    Returns
    -------
    DataFrame
        Columns as in :data:`MEANINGS`.
    (Y, X) int32
        ``islet`` on the coarse grid, 0 off the islets.
    """
    grid = compartments.grid
    islets, labels = label_islets(
        compartments.mask(Compartment.MEDULLA), grid.pixel_um,
        min_area_um2=settings.islet_min_area_um2, closing_um=settings.islet_closing_um,
    )  # fmt: skip
    numbers = np.arange(1, islets.count + 1)
    places = np.reshape(ndimage.center_of_mass(labels > 0, labels, numbers), (-1, 2)) if islets.count else None
    where = np.zeros((0, 2)) if places is None else grid.to_um(places)
    table = pd.DataFrame(
        {
            "islet": numbers,
            "area_um2": islets.areas_um2,
            "y_um": where[:, 0],
            "x_um": where[:, 1],
            "isoperimetric_ratio": islets.roundness,
            "at_border": islets.at_border,
        }
    )
    if cells is not None:
        y, x = (
            np.floor(grid.to_index(cells.table[c].to_numpy(np.float64), axis) + 0.5).astype(np.intp)
            for axis, c in enumerate(PLACE)
        )
        inside = labels[np.clip(y, 0, labels.shape[0] - 1), np.clip(x, 0, labels.shape[1] - 1)]
        table["cd45_count"] = np.bincount(inside, minlength=islets.count + 1)[1:]
        table["cd45_density_per_mm2"] = table["cd45_count"] / (table["area_um2"] * 1e-6)
    return table, labels

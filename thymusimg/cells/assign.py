"""Where each cell lies: its compartment and its distances."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from thymusimg.compartments.model import Compartment

if TYPE_CHECKING:
    from thymusimg.cells.model import Cells
    from thymusimg.compartments.model import Compartments
    from thymusimg.section.model import FloatPlane


def assign_cells(cells: Cells, compartments: Compartments) -> Cells:
    """Give every cell the compartment at its centroid, and its distances.

    The compartment is that of the nearest coarse pixel, in lower case (``cortex``, ``medulla``, ``indeterminate``,
    ``cyst``, ``other``; ``artefact`` and ``background`` only for cells that another method found there).
    Distances and the axis are bilinear; where a neighbouring coarse pixel is undefined they are that of the
    nearest one.

    Parameters
    ----------
    cells : Cells
    compartments : Compartments

    Returns
    -------
    Cells
        With ``compartment, distance_to_cmj_um, depth_from_capsule_um, axis`` in its table.
    """
    y = compartments.grid.to_index(cells.table["y_um"].to_numpy(np.float64), axis=0)
    x = compartments.grid.to_index(cells.table["x_um"].to_numpy(np.float64), axis=1)
    height, width = compartments.labels.shape
    rows = np.clip(np.floor(y + 0.5).astype(np.intp), 0, height - 1)
    columns = np.clip(np.floor(x + 0.5).astype(np.intp), 0, width - 1)
    names = {int(code): code.name.lower() for code in Compartment}
    labels = compartments.labels[rows, columns]
    table = cells.table.assign(
        compartment=np.array([names[int(label)] for label in labels], dtype=object),
        distance_to_cmj_um=_sample(compartments.distance_to_cmj_um, y, x),
        depth_from_capsule_um=_sample(compartments.depth_from_capsule_um, y, x),
        axis=_sample(compartments.axis, y, x),
    )
    return replace(cells, table=table)


def _sample(plane: FloatPlane, y: npt.NDArray[np.float64], x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    height, width = plane.shape
    y, x = np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)
    y0, x0 = np.floor(y).astype(np.intp), np.floor(x).astype(np.intp)
    y1, x1 = np.minimum(y0 + 1, height - 1), np.minimum(x0 + 1, width - 1)
    wy, wx = y - y0, x - x0
    upper = (1 - wx) * plane[y0, x0] + wx * plane[y0, x1]
    lower = (1 - wx) * plane[y1, x0] + wx * plane[y1, x1]
    blended = (1 - wy) * upper + wy * lower
    rows, columns = np.floor(y + 0.5).astype(np.intp), np.floor(x + 0.5).astype(np.intp)
    nearest = plane[np.minimum(rows, height - 1), np.minimum(columns, width - 1)]
    sampled: npt.NDArray[np.float64] = np.where(np.isnan(blended), nearest, blended)
    return sampled

"""What is known about a drawn section besides its pixels."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from thymusimg.compartments.model import Compartment
from thymusimg.phantom.values import TrueValues, measure_truth

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from thymusimg.phantom.slab import Scene
    from thymusimg.section.model import FloatPlane


def true_answer(
    scene: Scene,
    visible_px: npt.NDArray[np.int64],
    covered: npt.NDArray[np.floating[Any]],
    clean: Mapping[str, FloatPlane],
) -> dict[str, Any]:
    """Return the fields of :class:`thymusimg.phantom.Truth` but its full-resolution planes.

    ``visible_px`` is the area of every human profile's label in pixels; on the coarse grid, ``covered`` is the
    share of each pixel that human profiles cover, and ``clean`` the clean stains.
    """
    anatomy, faults, optics = scene.anatomy, scene.faults, scene.spec.optics
    tissue = anatomy.tissue if faults.tear is None else anatomy.tissue & ~faults.tear
    labels = anatomy.labels.copy()
    labels[faults.artefact & tissue] = Compartment.ARTEFACT
    labels[~tissue] = Compartment.BACKGROUND
    cells = cell_table(scene.cells, scene.granules.macrophages, visible_px * anatomy.grid.slide_pixel_um**2)
    human = cells[: len(visible_px)]
    return {
        "grid": anatomy.grid,
        "labels": labels,
        "tissue": tissue,
        "artefact": faults.artefact,
        "cells": cells,
        "psf": {
            "core_um": optics.psf_um,
            "defocus_um": optics.defocus_um,
            "defocus_share": optics.defocus_share,
            "shift_um": scene.shifts.tolist(),
        },
        "mixing": scene.mixing,
        "parameters": {
            "generator": "slab",
            "seed": scene.seed,
            "spec": scene.spec.model_dump(mode="json"),
            "shape": list(anatomy.grid.slide_shape),
        },
        "values": TrueValues(
            partial(measure_truth, anatomy.grid, labels, tissue, human, covered, clean, scene.spec)
        ),
    }


def cell_table(cells: pd.DataFrame, macrophages: pd.DataFrame, visible_um2: np.ndarray) -> pd.DataFrame:
    """Return every body, human first, numbered as in the label image; others have the instance 0."""
    human = len(visible_um2)
    table = pd.concat([cells, macrophages], ignore_index=True) if len(macrophages) else cells.copy()
    rows = np.arange(len(table))
    table.insert(0, "instance", np.where(rows < human, rows + 1, 0))
    table["visible_area_um2"] = np.nan
    table.loc[: human - 1, "visible_area_um2"] = visible_um2
    return table

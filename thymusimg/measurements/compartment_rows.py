"""The rows of ``compartments.csv`` of one section."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from thymusimg.compartments.model import Compartment
from thymusimg.measurements.columns import columns
from thymusimg.measurements.population.placing import cell_places
from thymusimg.measurements.population.repopulation import density_per_mm2

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thymusimg.cells.model import Cells
    from thymusimg.compartments.model import Compartments
    from thymusimg.section.model import FloatPlane, Subject

_ROWS = tuple(c for c in Compartment if c is not Compartment.BACKGROUND)


def compartment_rows(
    subject: Subject,
    compartments: Compartments,
    planes: Mapping[str, FloatPlane],
    cells: Cells | None,
    cells_reason: str = "",
) -> pd.DataFrame:
    """Return one row a compartment: area, share, CD45+ cells with their Garwood interval, mean intensities.

    Undefined numbers are NaN and the column ``reason`` says why.
    """
    codes = None if cells is None else cell_places(cells, compartments).code
    whole = int(np.count_nonzero(compartments.analysable | compartments.mask(Compartment.CYST)))
    rows = []
    for compartment in _ROWS:
        inside = np.flatnonzero(compartments.labels == compartment)
        row: dict[str, object] = {
            "section_id": subject.section_id,
            "animal": subject.animal,
            "group": subject.group,
            "compartment": compartment.name.lower(),
            "area_mm2": inside.size * compartments.grid.pixel_area_mm2,
            "fraction": _share(compartment, inside.size, whole),
            "mean_confidence": _mean(compartments.confidence, inside),
        }
        row |= _count(compartment, inside, compartments.grid.pixel_area_mm2, codes)
        if cells is not None:
            row["cd45_area_fraction"] = _mean(cells.positive_fraction, inside)
        row |= {f"mean_{role}": _mean(plane, inside) for role, plane in planes.items()}
        row["reason"] = _reason(compartment, inside.size, cells, cells_reason)
        rows.append(row)
    names = [c.name for c in columns("compartments")]
    return pd.DataFrame(rows).reindex(columns=names)


def _share(compartment: Compartment, pixels: int, whole: int) -> float:
    # artefact is no part of tissue and cyst, over which the shares are taken
    return math.nan if compartment is Compartment.ARTEFACT or not whole else pixels / whole


def _count(
    compartment: Compartment, inside: npt.NDArray[np.intp], pixel_mm2: float, codes: npt.NDArray[np.uint8] | None
) -> dict[str, object]:
    names = ("cd45_density_per_mm2", "cd45_density_low_per_mm2", "cd45_density_high_per_mm2")
    if codes is None:
        return dict.fromkeys(("cd45_count", *names), math.nan)
    count = int(np.count_nonzero(codes == compartment))
    return {"cd45_count": count, **dict(zip(names, density_per_mm2(count, inside.size * pixel_mm2), strict=True))}


def _mean(plane: FloatPlane, inside: npt.NDArray[np.intp]) -> float:
    return float(plane.ravel()[inside].mean(dtype=np.float64)) if inside.size else math.nan


def _reason(compartment: Compartment, pixels: int, cells: Cells | None, cells_reason: str) -> str:
    if not pixels:
        return f"no {compartment.name.lower()} was found"
    return "" if cells is not None else cells_reason or "cells were not looked for"

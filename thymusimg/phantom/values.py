"""The true value of what the measurements of a section should find."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from thymusimg.compartments.model import PARENCHYMA, Compartment

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from thymusimg.phantom.spec import PhantomSpec
    from thymusimg.section.model import FloatPlane, Grid, LabelPlane, Mask

_NAMES = {
    "cortex": Compartment.CORTEX,
    "medulla": Compartment.MEDULLA,
    "indeterminate": Compartment.INDETERMINATE,
    "cyst": Compartment.CYST,
}
SMALLEST_ISLET_UM2 = 1500.0


def measure_truth(
    grid: Grid,
    labels: LabelPlane,
    tissue: Mask,
    cells: pd.DataFrame,
    covered: FloatPlane,
    clean: Mapping[str, FloatPlane],
    spec: PhantomSpec,
) -> dict[str, float]:
    """Return the columns of ``sections.csv`` that follow from the truth alone; NaN where undefined.

    ``order`` is the λ that was asked for. Areas count coarse pixels, densities count the cells whose centre lies in
    the compartment.
    """
    area = {name: np.count_nonzero(labels == code) * grid.pixel_area_mm2 for name, code in _NAMES.items()}
    analysable = tissue & ~np.isin(labels, (Compartment.CYST, Compartment.ARTEFACT))
    values = {f"{name}_area_mm2": float(a) for name, a in area.items()}
    values["tissue_area_mm2"] = float(np.count_nonzero(analysable)) * grid.pixel_area_mm2
    values["medulla_fraction"] = _ratio(area["medulla"], area["cortex"] + area["medulla"])
    parenchyma = area["cortex"] + area["medulla"] + area["indeterminate"]
    at = np.clip(
        np.round(grid.to_index(cells[["y_um", "x_um"]].to_numpy(float))).astype(int), 0, np.array(labels.shape) - 1
    )
    home = labels[at[:, 0], at[:, 1]]
    inside = float(np.isin(home, PARENCHYMA).sum())
    values["cd45_count"] = inside
    values["cd45_density_per_mm2"] = _ratio(inside, parenchyma)
    for name in ("cortex", "medulla"):
        values[f"cd45_density_{name}_per_mm2"] = _ratio(float((home == _NAMES[name]).sum()), area[name])
    values |= _islets(grid, labels, parenchyma)
    inside_mask = np.isin(labels, PARENCHYMA)
    values["cd45_profile_area_fraction"] = float(covered[inside_mask].mean()) if inside_mask.any() else float("nan")
    values["order"] = spec.order
    return values


def _islets(grid: Grid, labels: LabelPlane, parenchyma_mm2: float) -> dict[str, float]:
    _, _, stats, _ = cv2.connectedComponentsWithStats(
        (labels == Compartment.MEDULLA).astype(np.uint8), connectivity=8
    )
    areas = stats[1:, cv2.CC_STAT_AREA] * grid.pixel_um**2
    areas = areas[areas >= SMALLEST_ISLET_UM2]
    return {
        "islet_count": float(len(areas)),
        "islets_per_mm2": _ratio(float(len(areas)), parenchyma_mm2),
        "largest_islet_share": _ratio(float(areas.max()), float(areas.sum())) if len(areas) else float("nan"),
    }


def _ratio(above: float, below: float) -> float:
    return float(above) / float(below) if below > 0 else float("nan")

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.spatial import cKDTree

from thymusimg.compartments.junction import junction_contours
from thymusimg.compartments.keratin import segment_compartments
from thymusimg.compartments.model import Compartment
from thymusimg.compartments.tissue import find_tissue
from thymusimg.phantom import PhantomSpec, make_phantom
from thymusimg.section.survey import Survey
from thymusimg.settings import CompartmentSettings, TissueSettings


@pytest.mark.parametrize("seed", [11, 12])
def test_synthetic_section(seed: int) -> None:
    phantom = make_phantom(PhantomSpec(area_mm2=0.7, indeterminate_fraction=0.05), seed)
    truth, grid = phantom.truth, phantom.truth.grid
    planes = {}
    for role in ("k14", "k8"):
        plane = phantom.plane(role)
        pad = [(0, n * grid.factor - m) for n, m in zip(grid.shape, plane.shape, strict=True)]
        blocks = np.pad(plane, pad, mode="edge").reshape(grid.shape[0], grid.factor, grid.shape[1], grid.factor)
        planes[role] = blocks.mean((1, 3), dtype=np.float32)
    tissue = find_tissue(Survey(grid, planes, np.ones(grid.shape, bool), pd.DataFrame(), {}), TissueSettings())
    lit = {role: plane - np.float32(tissue.background[role]) for role, plane in planes.items()}
    found = segment_compartments(lit, tissue, grid, CompartmentSettings())

    def dice(a: np.ndarray, b: np.ndarray) -> float:
        return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))

    assert dice(tissue.mask, truth.tissue) >= 0.97
    assert dice(found.labels == Compartment.MEDULLA, truth.labels == Compartment.MEDULLA) >= 0.90
    assert dice(found.labels == Compartment.CORTEX, truth.labels == Compartment.CORTEX) >= 0.90
    lumen = truth.labels == Compartment.CYST
    assert (found.labels[lumen] == Compartment.MEDULLA).mean() < 0.1
    drawn = np.concatenate(found.junction_um)
    true = np.concatenate(junction_contours(truth.labels, grid, 10.0))
    assert (cKDTree(true).query(drawn)[0].mean() + cKDTree(drawn).query(true)[0].mean()) / 2 < 15

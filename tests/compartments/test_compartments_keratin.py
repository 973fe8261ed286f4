from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from thymusimg.compartments.keratin import segment_compartments
from thymusimg.compartments.model import Compartment
from thymusimg.compartments.tissue import find_tissue
from thymusimg.section.model import Grid
from thymusimg.section.survey import Survey
from thymusimg.settings import CompartmentSettings, TissueSettings


def analyse(planes: dict[str, np.ndarray], px: float = 2.0, valid: np.ndarray | None = None):
    shape = planes["k14"].shape
    grid = Grid(shape, px, 1)
    survey = Survey(grid, planes, np.ones(shape, bool) if valid is None else valid, pd.DataFrame(), {})
    tissue = find_tissue(survey, TissueSettings())
    lit = {role: plane - np.float32(tissue.background[role]) for role, plane in planes.items()}
    return tissue, segment_compartments(lit, tissue, grid, CompartmentSettings())


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * np.count_nonzero(a & b) / max(1, np.count_nonzero(a) + np.count_nonzero(b))


def disc(n: int, radius_px: float) -> np.ndarray:
    y, x = np.indices((n, n)) - (n - 1) / 2
    return np.hypot(y, x) <= radius_px


def paint(
    cortex: np.ndarray, medulla: np.ndarray, seed: int = 0, k8_in_medulla: float = 0.45
) -> dict[str, np.ndarray]:
    """Draw textured keratins on a slide of offset 100 with autofluorescent tissue."""
    rng = np.random.default_rng(seed)
    mesh = rng.gamma(2.0, 0.5, cortex.shape)
    mesh_14 = rng.gamma(2.0, 0.5, cortex.shape)
    k8 = 100 + 800 * mesh * (cortex + k8_in_medulla * medulla) + 30 * (cortex | medulla)
    k14 = 100 + 1000 * mesh_14 * medulla + 40 * (cortex | medulla)
    noise = rng.normal(0, 5, (2, *cortex.shape))
    return {"k14": (k14 + noise[0]).astype(np.float32), "k8": (k8 + noise[1]).astype(np.float32)}


def test_textured_discs() -> None:
    lobe, core = disc(600, 260), disc(600, 120)
    tissue, found = analyse(paint(lobe & ~core, core))
    assert dice(tissue.mask, lobe) > 0.98
    assert dice(found.labels == Compartment.MEDULLA, core) > 0.97
    assert dice(found.labels == Compartment.CORTEX, lobe & ~core) > 0.97
    length = sum(np.hypot(*np.diff(line, axis=0).T).sum() for line in found.junction_um)
    assert length == pytest.approx(2 * np.pi * 240, rel=0.03)

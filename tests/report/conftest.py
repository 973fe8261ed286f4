from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest

from thymusimg.cells.model import CellMasks, Cells, Gate
from thymusimg.compartments.model import Compartment, Compartments
from thymusimg.section.model import Grid, Level, Section, Subject, Window


@dataclass(frozen=True)
class ArrayImage:
    """An image that lies in memory."""

    planes: np.ndarray
    windows: list[Window] = field(default_factory=list)

    path = "memory"
    format = "array"
    channel_names = ("CD45", "K14", "K8")
    emission_nm = (None, None, None)
    max_value = 65535.0
    tile_shape = (256, 256)
    pixel_size_um = None
    semi_quantitative = False
    lossy = ""
    warnings = ()

    @property
    def dtype(self) -> Any:
        return self.planes.dtype

    @property
    def levels(self) -> tuple[Level, ...]:
        return (Level(self.planes.shape[1:], 1.0),)

    def read(self, level: int, channel: int, window: Window) -> np.ndarray:
        self.windows.append(window)
        return self.planes[channel][window.slices]

    def close(self) -> None:
        pass


@dataclass(frozen=True)
class Analysed:
    section: Section
    planes: dict[str, np.ndarray]
    compartments: Compartments
    cells: Cells


def _cells(shape: tuple[int, int], places: np.ndarray, pixel_um: float, grid: Grid) -> Cells:
    radius = round(3.4 / pixel_um)
    disc = cv2.circle(np.zeros((2 * radius + 1,) * 2, np.uint8), (radius, radius), radius, 1, -1).astype(bool)
    boxes = np.stack(
        [places[:, 0] - radius, places[:, 0] + radius + 1, places[:, 1] - radius, places[:, 1] + radius + 1], axis=1
    ).astype(np.int32)
    starts = np.arange(len(places) + 1, dtype=np.int64) * disc.size
    full = np.zeros(shape, np.float32)
    for y0, y1, x0, x1 in boxes:
        full[y0:y1, x0:x1] += disc
    fraction = cv2.resize(np.clip(full, 0, 1), grid.shape[::-1], interpolation=cv2.INTER_AREA)
    table = pd.DataFrame(
        {"cell_id": np.arange(len(places)) + 1, "y_um": places[:, 0] * pixel_um, "x_um": places[:, 1] * pixel_um}
    )
    gate = Gate(threshold=200.0, background=120.0, background_sd=20.0, source="section")
    return Cells(table, CellMasks(boxes, starts, np.tile(disc.ravel(), len(places))), fraction, gate)


@pytest.fixture(scope="session")
def analysed() -> Analysed:
    """A round lobe of 0.8 mm with a round medulla, a cyst in it, and cells that are rings."""
    rng = np.random.default_rng(3)
    pixel_um, side = 0.5, 2048
    grid = Grid.of((side, side), pixel_um)
    yy, xx = (np.indices(grid.shape) - grid.shape[0] / 2) * grid.pixel_um
    radius = np.hypot(yy, xx) + 25 * np.sin(5 * np.arctan2(yy, xx))
    labels = np.zeros(grid.shape, np.uint8)
    labels[radius < 420] = Compartment.OTHER
    labels[radius < 405] = Compartment.CORTEX
    labels[radius < 180] = Compartment.MEDULLA
    labels[np.hypot(yy - 60, xx - 40) < 35] = Compartment.CYST
    labels[(np.hypot(yy + 280, xx) < 60) & (labels == 1)] = Compartment.INDETERMINATE
    labels[np.hypot(yy, xx + 390) < 40] = Compartment.ARTEFACT
    tissue = labels > 0
    found, _ = cv2.findContours((radius < 180).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    junction = tuple(grid.to_um(line[:, 0, ::-1]) for line in found)
    nan = np.full(grid.shape, np.nan, np.float32)
    distance = np.where(tissue, 180 - radius, np.nan).astype(np.float32)
    compartments = Compartments(
        grid, labels, tissue, tissue.astype(np.float32), distance, nan, nan, junction, cuts={"k14_share": 0.5}
    )

    places = rng.integers(40, side - 40, (9000, 2))
    code = labels[places[:, 0] // grid.factor, places[:, 1] // grid.factor]
    keep = (code == Compartment.CORTEX) | ((code == Compartment.MEDULLA) & (rng.random(9000) < 0.3))
    places = places[keep]
    places = places[np.lexsort((places[:, 1], places[:, 0]))]
    cells = _cells((side, side), places, pixel_um, grid)
    cd45 = np.full((side, side), 120, np.float32)
    for y, x in places:
        cv2.circle(cd45, (int(x), int(y)), 6, 1200.0, 2)
    cd45 = cv2.GaussianBlur(cd45, (0, 0), 1.0)

    def up(plane: np.ndarray) -> np.ndarray:
        return cv2.resize(plane.astype(np.float32), (side, side), interpolation=cv2.INTER_LINEAR)

    mesh = cv2.GaussianBlur(rng.random((side, side)).astype(np.float32), (0, 0), 4)
    mesh = (mesh - mesh.min()) / np.ptp(mesh)
    k14 = 100 + 2500 * up(labels == Compartment.MEDULLA) * mesh
    k8 = 100 + (2500 * up(labels == Compartment.CORTEX) + 900 * up(labels == Compartment.MEDULLA)) * mesh
    stack = np.stack([cd45, k14, k8])
    stack = np.clip(stack + rng.normal(0, 20, stack.shape), 0, 65535).astype(np.uint16)
    roles = {"cd45": 0, "k14": 1, "k8": 2}
    planes = {
        role: cv2.resize(stack[i].astype(np.float32) - 110, grid.shape[::-1], interpolation=cv2.INTER_AREA)
        for role, i in roles.items()
    }
    section = Section(Subject("S1"), ArrayImage(stack), roles, {"k14": "K14", "k8": "CD205", "cd45": "CD45"}, 0.5)
    return Analysed(section, planes, compartments, cells)

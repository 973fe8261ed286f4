from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import pandas as pd

from thymusimg.cells.model import CellMasks, Cells, Gate
from thymusimg.compartments.model import Compartment, Compartments
from thymusimg.measurements.columns import dictionary
from thymusimg.section.model import Grid, Level, Section, Subject, Window
from thymusimg.settings import Settings, StudySettings
from thymusimg.study.compare import compare_groups
from thymusimg.study.summarise import pool_animals


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


def make_section() -> Analysed:
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


PRIMARY = ("cd45_area_fraction", "segregation_index_50um", "cortical_coverage")

GROUPS = {"untreated": 3, "CD34+": 4, "progenitors": 5}


def _section_row(
    rng: np.random.Generator, section_id: str, animal: str, group: str, shift: float
) -> dict[str, Any]:
    """Return one row that holds together: areas add up, ratios are those of their parts."""
    area = rng.uniform(1, 3)
    cortex, medulla = area * (0.25 + 0.3 * shift), area * rng.uniform(0.2, 0.3)
    parenchyma = area * 0.95
    count = int(rng.poisson(parenchyma * 40 * np.exp(4 * shift + rng.normal(0, 0.3))))
    covered = float(np.clip(0.15 + 0.6 * shift + rng.normal(0, 0.06), 0.02, 0.98))
    row: dict[str, Any] = {
        "section_id": section_id,
        "animal": animal,
        "group": group,
        "batch": "b1",
        "negative_control": group == "untreated",
        "pixel_size_um": 0.5,
        "grid_pixel_um": 2.0,
        "k14_marker": "K14",
        "k8_marker": "CD205",
        "cd45_marker": "CD45",
        "compartments_method": "keratin",
        "cells_method": "classical",
        "tissue_area_mm2": area,
        "parenchyma_area_mm2": parenchyma,
        "cortex_area_mm2": cortex,
        "medulla_area_mm2": medulla,
        "medulla_fraction": medulla / (cortex + medulla),
        "cmj_length_mm": rng.uniform(2, 6),
        "cmj_width_um": rng.uniform(15, 60),
        "segregation_index_50um": float(np.clip(0.2 + 0.4 * shift + rng.normal(0, 0.05), 0.01, 0.99)),
        "cortical_coverage": covered,
        "capsule_length_mm": 5.0,
        "covered_capsule_length_mm": 5.0 * covered,
        "islet_count": int(rng.integers(2, 12)),
        "cd45_count": count,
        "cd45_count_cortex": count // 2,
        "cd45_count_medulla": count - count // 2,
        "cd45_density_per_mm2": count / parenchyma,
        "cd45_area_mm2": count * 3.2e-5,
        "cd45_area_fraction": max(count * 3.2e-5 / parenchyma, 1e-5),
        "cd45_log_ratio_cortex_medulla": rng.normal(1, 0.3),
        "cd45_log_ratio_cortex_medulla_reason": "",
        "cd45_count_reliable": shift < 0.9,
    }
    if group == "untreated":
        row |= {
            "cd45_count_cortex": 0,
            "cortex_area_mm2": 0.0,
            "cd45_log_ratio_cortex_medulla": np.nan,
            "cd45_log_ratio_cortex_medulla_reason": "no cortex was found",
        }
    return row


def write_run(
    folder: Any,
    *,
    primary: tuple[str, ...],
    groups: dict[str, int],
    pictures: dict[str, bytes],
    layers: dict[str, bytes] | None = None,
) -> Any:
    """Write a run folder as a study would leave it."""
    rng = np.random.default_rng(11)
    rows = []
    for shift, (group, count) in zip((0.0, 0.45, 1.0), groups.items(), strict=False):
        for a in range(count):
            animal = f"{group[0]}{a + 1:02d}"
            rows += [
                _section_row(rng, f"{animal}_s{s}", animal, group, shift + rng.normal(0, 0.08)) for s in (1, 2)
            ]
    sections = pd.DataFrame(rows)
    settings = Settings(study=StudySettings(reference=next(iter(groups)), primary=primary))
    animals = pool_animals(sections)
    tables = folder / "tables"
    tables.mkdir(parents=True)
    sections.to_csv(tables / "sections.csv", index=False)
    animals.to_csv(tables / "animals.csv", index=False)
    compare_groups(animals, settings.study).to_csv(tables / "comparisons.csv", index=False)
    dictionary().to_csv(tables / "dictionary.csv", index=False)
    pd.DataFrame(
        [
            {"section_id": r["section_id"], "channel": c, "check": k, "value": v, "unit": "fraction", "status": s,
             "reason": w}
            for r in rows
            for c, k, v, s, w in (
                ("cd45", "saturation", 0.0004, "pass", ""),
                ("k14", "focus", 0.82, "warn", "82 % of the tiles are in focus, 90 % are expected"),
            )
        ]
    ).to_csv(tables / "quality.csv", index=False)  # fmt: skip
    pd.DataFrame(
        [
            (
                "x9_s1",
                "slides/x9.czi",
                "read",
                "UnreadableError",
                "slides/x9.czi: the file is cut short; copy it again",
            )
        ],
        columns=["section_id", "path", "stage", "error", "message"],
    ).to_csv(tables / "failures.csv", index=False)
    for row in rows[:-1]:
        place = folder / "sections" / f"{row['section_id']}.zarr" / "pictures"
        place.mkdir(parents=True)
        for name, data in pictures.items():
            (place / f"{name}.jpg").write_bytes(data)
        for name, data in (layers or {}).items():
            (place / name).write_bytes(data)
    record = {
        "thymusimg": "0.1.0",
        "created": "2026-01-05T10:00:00+00:00",
        "command": "thymusimg run study.toml --out out",
        "settings": settings.model_dump(mode="json"),
        "inputs": [
            {"section_id": r["section_id"], "path": f"{r['section_id']}.tif", "sha256": "ab" * 32, "bytes": 10}
            for r in rows
        ],
        "versions": {"python": "3.11.9", "numpy": "2.1.0"},
        "device": "cpu",
        "models": [],
        "times_s": {"survey": 1.2, "cells": 3.4},
        "study": {"reference": next(iter(groups)), "primary": list(primary), "groups": list(groups),
                  "exclusions": [{"section_id": "u09_s1", "reason": "torn"}],
                  "negative_controls": ["u01_s1"], "n_sections_total": len(rows) + 2},
    }  # fmt: skip
    (folder / "run.json").write_text(json.dumps(record))
    return folder

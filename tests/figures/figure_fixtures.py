"""A finished run whose every pixel is known: bundles, slides and tables, written without the pipeline."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import tifffile

from thymusimg.section.model import Grid, Subject, Window
from thymusimg.section.store import BundleContent, LabelImage, write_bundle

if TYPE_CHECKING:
    from pathlib import Path

PIXEL_UM = 1.0
SHAPE = (600, 500)
GRID = Grid.of(SHAPE, PIXEL_UM)
OFFSET = 100.0
ROLES = {"cd45": "hCD45", "k14": "KRT14", "k8": "KRT8"}
CELLS_UM = ((200.0, 150.0), (300.0, 250.0), (400.0, 350.0))
"""(y, x); discs of 5 µm."""
ANIMALS = {
    ("NSG & <b>", "a1"): (0.10, 0.12), ("NSG & <b>", "a2"): (0.20, 0.24), ("NSG & <b>", "a3"): (0.90, 0.80),
    ("CD34", "b1"): (0.40, 0.60), ("CD34", "b2"): (0.55, 0.57), ("CD34", "b3"): (0.70, 0.74),
}  # fmt: skip
"""Value of ``medulla_fraction`` of both sections of every animal; the animal's is their mean."""


def pixels(gain: float) -> np.ndarray:
    """CYX full-resolution grey levels: a lobe with a bright band a stain, and CD45+ discs."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(np.float32)
    lobe = ((y - 300) / 240) ** 2 + ((x - 250) / 190) ** 2 < 1
    planes = np.full((3, *SHAPE), OFFSET, np.float32)
    planes[1][lobe] += gain * (40 + 60 * (np.sin(y / 9) > 0))[lobe]
    planes[2][lobe] += gain * (50 + 50 * (np.cos(x / 7) > 0))[lobe]
    planes[0][lobe] += 5
    planes[0][cell_labels() > 0] += gain * 300
    planes += np.random.default_rng(5).normal(0, 2, planes.shape).astype(np.float32)
    return np.rint(planes).astype(np.uint16)


def cell_labels() -> np.ndarray:
    labels = np.zeros(SHAPE, np.uint32)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    for number, (cy, cx) in enumerate(CELLS_UM, start=1):
        labels[(y * PIXEL_UM - cy) ** 2 + (x * PIXEL_UM - cx) ** 2 <= 5.0**2] = number
    return labels


def write_section(folder: Path, subject: Subject, gain: float, frame: Window | None = None) -> None:
    """Write a slide under ``folder/slides`` and the bundle that a run would leave of it, or of a frame of it."""
    grid = Grid.of(SHAPE, PIXEL_UM, frame)
    full = pixels(gain)
    slide = folder / "slides" / f"{subject.section_id}.ome.tif"
    slide.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(slide, full, metadata={
        "axes": "CYX", "Channel": {"Name": list(ROLES.values())},
        "PhysicalSizeX": PIXEL_UM, "PhysicalSizeY": PIXEL_UM, "PhysicalSizeXUnit": "µm", "PhysicalSizeYUnit": "µm",
    })  # fmt: skip
    factor = GRID.factor
    coarse = full.reshape(3, GRID.shape[0], factor, GRID.shape[1], factor).mean(axis=(2, 4)) - OFFSET
    tissue = coarse[1] > 15
    labels = np.where(tissue, 1, 0).astype(np.uint8)
    middle = np.zeros(GRID.shape, bool)
    middle[120:180, 100:150] = True
    labels[middle & tissue] = 2
    cells = cell_labels()
    box = GRID.to_um(np.array([(119.5, 99.5), (119.5, 149.5), (179.5, 149.5), (179.5, 99.5), (119.5, 99.5)]))
    write_bundle(
        folder / "sections" / f"{subject.section_id}.zarr",
        BundleContent(
            grid,
            dict(zip(ROLES, coarse[(slice(None), *grid.place.slices)].astype(np.float32), strict=True)),
            ROLES,
            dict.fromkeys(ROLES, (0.0, 100.0)),
            {
                "tissue": LabelImage.on_grid(tissue[grid.place.slices].astype(np.uint8), grid),
                "compartments": LabelImage.on_grid(labels[grid.place.slices], grid),
                "cells": LabelImage(SHAPE, "uint32", PIXEL_UM, 0.0, lambda w: cells[w.slices]),
            },
            {
                "junction": pd.DataFrame({"piece": 0, "y_um": box[:, 0], "x_um": box[:, 1]}),
                "cells": pd.DataFrame(CELLS_UM, columns=["y_um", "x_um"]),
            },
            {},
            {
                "subject": asdict(subject),
                "slide": {
                    "path": str(slide), "shape": list(SHAPE), "pixel_size_um": PIXEL_UM, "markers": ROLES,
                    "semi_quantitative": False, "frame": None if frame is None else list(frame),
                },
                "opened": {
                    "path": str(slide), "paths": {}, "channels": {}, "scene": None, "projection": None, "roi": None,
                    "pixel_size_um": None,
                },
                "gate": {"threshold": 80.0, "background": 5.0, "background_sd": 2.0, "source": "section"},
            },
        ),
    )  # fmt: skip


def write_run(folder: Path, *, bundles: bool = True) -> None:
    """Write a run of six animals in two groups; bundles for one section of each group unless for none."""
    rows, pooled = [], []
    for (group, animal), values in ANIMALS.items():
        pooled.append({"animal": animal, "group": group, "medulla_fraction": np.mean(values), "islet_count": ""})
        rows += [
            {"section_id": f"{animal}_s{i}", "animal": animal, "group": group, "medulla_fraction": value}
            for i, value in enumerate(values, start=1)
        ]
    tables = folder / "tables"
    tables.mkdir(parents=True)
    pd.DataFrame(rows).to_csv(tables / "sections.csv", index=False)
    pd.DataFrame(pooled).to_csv(tables / "animals.csv", index=False)
    pd.DataFrame([COMPARISON]).to_csv(tables / "comparisons.csv", index=False)
    pd.DataFrame(
        [{"table": "sections", "column": "medulla_fraction", "unit": "fraction", "definition": "", "source": ""}]
    ).to_csv(tables / "dictionary.csv", index=False)
    pd.DataFrame([{"section_id": "broken", "message": "no tissue"}]).to_csv(tables / "failures.csv", index=False)
    study = {"reference": "NSG & <b>", "primary": ["medulla_fraction"], "confidence": 0.95}
    (folder / "run.json").write_text(json.dumps({"synthetic": True, "settings": {"study": study}}))
    if bundles:
        write_section(folder, Subject("a2_s1", "a2", "NSG & <b>"), 1.0)
        write_section(folder, Subject("b2_s2", "b2", "CD34"), 1.6)


COMPARISON = {
    "endpoint": "medulla_fraction", "unit": "fraction", "role": "primary", "reference": "NSG & <b>",
    "group": "CD34",
    "n_reference": 3, "n_group": 3, "mean_reference": 0.39, "mean_group": 0.59, "difference": 0.2, "ci_low": -0.3,
    "ci_high": 0.7, "scale": "identity", "effect_label": "difference", "hedges_g": 0.5, "g_ci_low": -1.0,
    "g_ci_high": 2.0, "p_welch": 0.3, "p_permutation": 0.4, "p_adjusted": 0.3, "adjustment": "Holm", "note": "",
    "min_possible_p": 0.1, "reason": "",
}  # fmt: skip

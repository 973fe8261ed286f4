"""The open section against what another reader drew on it: the numbers of ``thymusimg evaluate``. No Qt."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from thymusimg.evaluate import evaluate
from thymusimg.evaluate.instances import DETECTION_UM
from thymusimg.section.store import LabelImage, write_labels

if TYPE_CHECKING:
    from thymusimg.cells.model import Cells
    from thymusimg.evaluate import Evaluation
    from thymusimg.pipeline import Prepared
    from thymusimg.progress import Progress

CELL_F1 = {
    f"detection_f1_{DETECTION_UM:g}um": f"cells, F1 within {DETECTION_UM:g} µm",
    "f1_iou_50": "cells, F1 at IoU 0.5",
}


def compare_readers(prepared: Prepared, cells: Cells | None, other: Path, progress: Progress) -> Evaluation:
    """Compare the section as it is in the window with another annotation of it.

    Parameters
    ----------
    other : Path
        A bundle, OME-Zarr labels, a label TIFF, GeoJSON, or a run's folder that holds the section.

    Raises
    ------
    CallError, SectionError
        As :func:`thymusimg.evaluate.evaluate`.
    """
    section, found = prepared.section, prepared.compartments
    own = other / "sections" / f"{section.section_id}.zarr"
    other = own if own.is_dir() else other
    labels = {
        "tissue": LabelImage.on_grid(found.tissue.astype(np.uint8), found.grid),
        "compartments": LabelImage.on_grid(found.labels, found.grid),
    }
    if cells is not None:
        labels["cells"] = LabelImage.on_pixels(section, cells.masks.paint)
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder) / f"{section.section_id}.zarr"
        write_labels(here, labels)
        return evaluate(here, other, annotators=True, pixel_size_um=section.pixel_size_um, progress=progress)


def agreement_rows(found: Evaluation) -> tuple[list[tuple[str, str, str]], list[str]]:
    """Return name, value and area or count of either reader, and a reason a row."""
    rows, tips = [], []
    for row in found.classes.to_dict("records"):
        areas = f"{_number(row['area_result_mm2'])} | {_number(row['area_truth_mm2'])} mm²"
        rows.append((f"{row['class']}, Dice", _number(row["dice"]), areas))
        tips.append(str(row["reason"] or f"borders lie {_number(row['boundary_mean_um'])} µm apart on average"))
    for row in found.cells.to_dict("records"):
        for column, name in CELL_F1.items():
            if column in row and not math.isnan(float(row[column])):
                counts = f"{_number(row['count_result'])} | {_number(row['count_truth'])}"
                rows.append((name, _number(row[column]), counts))
                tips.append(str(row["reason"] or ""))
        kappa = row["kappa_classes"]
        if not math.isnan(float(kappa)):
            rows.append(("all tissue, Cohen's κ", _number(kappa), ""))
            tips.append("Agreement of the compartments beyond chance, pixel by pixel")
    return rows, tips


def _number(value: object) -> str:
    number = float(value) if isinstance(value, int | float | np.number) else math.nan
    return "–" if math.isnan(number) else f"{number:.3g}"

"""How well a cell network finds the cells of examples that it was not fitted on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from thymusimg.cells.decode import Decoding, decode
from thymusimg.cells.normalise import compress
from thymusimg.evaluate.instances import f1_at_iou, measure_overlaps

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from thymusimg.train.cell_examples import CellExample

IOU = 0.5
SMALLEST_PX = 16
"""Detections smaller than this (4 µm² at 0.5 µm/px) are dropped before they are scored."""
FEWEST = 20
"""An F1 of fewer cells than this is mostly chance."""


def outputs_of(
    module: torch.nn.Module, given: npt.NDArray[np.float32], stride: int, device: str = "cpu"
) -> npt.NDArray[np.float32]:
    """Return the raw outputs ``(4, Y, X)`` of a field ``(2, Y, X)`` of any size."""
    height, width = given.shape[1:]
    missing = [(0, 0), *((0, -n % stride) for n in (height, width))]
    padded = torch.from_numpy(np.pad(given, missing, mode="edge"))[None].to(device)
    with torch.inference_mode():
        out = module(padded.contiguous(memory_format=torch.channels_last))
    found: npt.NDArray[np.float32] = out[0, :, :height, :width].float().cpu().numpy()
    return found


def found_cells(
    module: torch.nn.Module, example: CellExample, stride: int, decoding: Decoding, *, device: str = "cpu"
) -> npt.NDArray[np.int32]:
    """Return the label image that a network and its decoding give for an example."""
    dapi = None if example.dapi is None else example.dapi.astype(np.float32)
    given = compress(example.cd45.astype(np.float32), dapi)
    labels, _ = decode(outputs_of(module, given, stride, device), decoding)
    sizes = np.bincount(labels.ravel())
    labels[sizes[labels] < SMALLEST_PX] = 0
    labels[example.labels < 0] = 0
    return labels


def score_example(found: npt.NDArray[np.int32], example: CellExample) -> dict[str, float]:
    """Return ``f1`` at IoU 0.5, the cells ``found`` and ``true``, and the field's ``mm2`` (at 0.5 µm/px)."""
    overlaps = measure_overlaps(found, np.maximum(example.labels, 0))
    return {
        "f1": f1_at_iou(overlaps, [IOU])[IOU], "found": float(len(overlaps.area)),
        "true": float(len(overlaps.other_area)),
    }  # fmt: skip


def score_examples(
    module: torch.nn.Module,
    examples: Sequence[CellExample],
    stride: int,
    decoding: Decoding,
    *,
    device: str = "cpu",
) -> dict[str, float]:
    """Return the figures by which an epoch is judged.

    Returns
    -------
    mapping
        ``f1``: mean F1 at IoU 0.5 over the examples with at least 20 cells (or, failing these, any);
        ``count_error``: mean |found − true| / true of the same; ``false_cells``: cells found in an example that has
        none, on average; ``score``: ``f1`` less 0.01 a false cell of an empty field.
    """
    rows = [score_example(found_cells(module, e, stride, decoding, device=device), e) for e in examples]
    full = [r for r in rows if r["true"] >= FEWEST] or [r for r in rows if r["true"] > 0]
    empty = [r["found"] for r in rows if r["true"] == 0]
    f1 = float(np.mean([r["f1"] for r in full])) if full else float("nan")
    false_cells = float(np.mean(empty)) if empty else 0.0
    error = float(np.mean([abs(r["found"] / r["true"] - 1) for r in full])) if full else float("nan")
    return {
        "score": (f1 if full else 0.0) - 0.01 * false_cells,
        "f1": f1,
        "count_error": error,
        "false_cells": false_cells,
    }


def without_dapi(example: CellExample) -> CellExample:
    """Return an example as if its slide had no DAPI."""
    return replace(example, name=f"{example.name}, no DAPI", dapi=None)

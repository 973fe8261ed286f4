"""One section of two sides: every class, the cortex-medulla border, and the cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from thymusimg.compartments.model import PARENCHYMA, Compartment
from thymusimg.evaluate.boundary import BoundaryDistance, boundary_distance, outline
from thymusimg.evaluate.grids import Aligned, align, repeat
from thymusimg.evaluate.instances import DETECTION_UM, IOU_THRESHOLDS, detection_f1, f1_at_iou, measure_overlaps
from thymusimg.evaluate.overlap import confusion, dice, kappa

if TYPE_CHECKING:
    import numpy.typing as npt

    from thymusimg.evaluate.model import Labelled
    from thymusimg.section.model import Mask

CLASSES = {
    "cortex": Compartment.CORTEX,
    "medulla": Compartment.MEDULLA,
    "indeterminate": Compartment.INDETERMINATE,
    "cyst": Compartment.CYST,
    "other": Compartment.OTHER,
}
TISSUE, ARTEFACT, BORDER = "tissue", "artefact", "cortex-medulla border"
CELL_NUMBERS = (
    "count_result", "count_truth", "count_bias", "density_result_per_mm2", "density_truth_per_mm2", "density_bias",
    *(f"f1_iou_{round(100 * t)}" for t in IOU_THRESHOLDS), f"detection_f1_{DETECTION_UM:g}um",
)  # fmt: skip


@dataclass(frozen=True)
class Maps:
    """The compartments of two sides on one grid.

    Attributes
    ----------
    left_out : (Y, X) bool
        Where nothing is scored: artefact of the truth (of either annotator), unless it is to be scored.
    """

    result: npt.NDArray[np.uint8]
    truth: npt.NDArray[np.uint8]
    result_tissue: Mask
    truth_tissue: Mask
    left_out: Mask
    grid: Aligned


def bring_together(result: Labelled, truth: Labelled, *, score_artefact: bool, annotators: bool) -> Maps | str:
    """Return the compartments of both sides on one grid, or why there are none.

    Raises
    ------
    CallError
        If they are on different grids.
    """
    for side in (result, truth):
        if side.compartments is None:
            return f"{side.source} holds no compartments"
    grid = align("compartments", result, truth)
    a, b = np.asarray(grid.one).astype(np.uint8), np.asarray(grid.other).astype(np.uint8)
    left_out = np.zeros(a.shape, bool)
    if not score_artefact:
        left_out |= b == Compartment.ARTEFACT
        if annotators:
            left_out |= a == Compartment.ARTEFACT
    tissues = [_tissue(side, labels) for side, labels in ((result, a), (truth, b))]
    return Maps(a, b, tissues[0], tissues[1], left_out, grid)


def _tissue(side: Labelled, labels: npt.NDArray[np.uint8]) -> Mask:
    if side.tissue is not None and side.compartments is not None and side.tissue.shape == side.compartments.shape:
        factor = -(-labels.shape[0] // side.tissue.shape[0])  # 1, or what the compartments were repeated by
        tissue: Mask = repeat(side.tissue.array() > 0, factor, labels.shape)
        return tissue
    everything: Mask = (labels != Compartment.BACKGROUND) & (labels != Compartment.ARTEFACT)
    return everything


def class_rows(maps: Maps) -> list[dict[str, object]]:
    """Return one row a class, and one for the cortex-medulla border.

    Fractions are of the five classes together (cortex, medulla, indeterminate, cyst, other).
    """
    px, kept = maps.grid.pixel_um, ~maps.left_out
    whole = [np.count_nonzero(np.isin(m, list(CLASSES.values())) & kept) for m in (maps.result, maps.truth)]
    rows = [_row(TISSUE, maps.result_tissue & kept, maps.truth_tissue & kept, px)]
    for name, code in CLASSES.items():
        a, b = (maps.result == code) & kept, (maps.truth == code) & kept
        shares = [float(np.count_nonzero(m) / n) if n else float("nan") for m, n in zip((a, b), whole, strict=True)]
        fractions = {
            "fraction_result": shares[0], "fraction_truth": shares[1], "fraction_error": shares[0] - shares[1]
        }  # fmt: skip
        rows.append(_row(name, a, b, px) | fractions)
    artefact = (maps.result == Compartment.ARTEFACT, maps.truth == Compartment.ARTEFACT)
    rows.append(_row(ARTEFACT, *artefact, px))  # scored everywhere: left out, it would score nothing
    rows.append(_border_row(maps, px))
    return rows


def _row(name: str, a: Mask, b: Mask, px: float) -> dict[str, object]:
    distance = boundary_distance(outline(a), outline(b), px)
    row: dict[str, object] = {
        "class": name,
        "dice": dice(a, b),
        "boundary_mean_um": distance.mean_um,
        "boundary_p95_um": distance.p95_um,
        "area_result_mm2": np.count_nonzero(a) * px**2 * 1e-6,
        "area_truth_mm2": np.count_nonzero(b) * px**2 * 1e-6,
    }
    return row | {"reason": _absent(bool(a.any()), bool(b.any()), distance)}


def _absent(result: bool, truth: bool, distance: BoundaryDistance) -> str:
    if not result and not truth:
        return "absent in both: nothing to compare"
    if result != truth:
        return f"absent in {'truth' if result else 'result'}: Dice 0, boundary distance undefined"
    return "an outline runs outside the image only" if np.isnan(distance.mean_um) else ""


def _border_row(maps: Maps, px: float) -> dict[str, object]:
    lines = []
    for labels in (maps.result, maps.truth):
        medulla, cortex = ((labels == c) & ~maps.left_out for c in (Compartment.MEDULLA, Compartment.CORTEX))
        lines.append(outline(medulla, cortex))
    distance = boundary_distance(lines[0], lines[1], px)
    absent = [name for name, line in zip(("result", "truth"), lines, strict=True) if not len(line.start)]
    return {
        "class": BORDER,
        "boundary_mean_um": distance.mean_um,
        "boundary_p95_um": distance.p95_um,
        "reason": f"no cortex borders on medulla in {' and '.join(absent)}" if absent else "",
    }


def tissue_kappa(maps: Maps) -> float:
    """Return Cohen's kappa of the classes over the pixels that either side calls tissue."""
    where = (maps.result_tissue | maps.truth_tissue) & ~maps.left_out
    codes = [int(c) for c in (Compartment.BACKGROUND, *CLASSES.values(), Compartment.ARTEFACT)]
    return kappa(confusion(maps.result[where], maps.truth[where], codes))


def cell_row(result: Labelled, truth: Labelled, maps: Maps | str) -> dict[str, object]:
    """Return counts, densities and F1 of the cells of one section.

    Cells whose centre lies where nothing is scored are left out on both sides. Densities are per mm² of each side's
    own parenchyma, of the cells whose centre lies in it.

    Raises
    ------
    CallError
        If the two label images differ in shape, pixel or place.
    """
    for side in (result, truth):
        if side.cells is None:
            return dict.fromkeys(CELL_NUMBERS, float("nan")) | {"reason": f"{side.source} holds no cells"}
    grid = align("cells", result, truth)
    found = measure_overlaps(grid.one, grid.other)
    if not isinstance(maps, str):
        away = [_at(maps.left_out, maps.grid, c, grid) for c in (found.centre, found.other_centre)]
        found = found.without(away[0], away[1])
    centres = [grid.first_um + c * grid.pixel_um for c in (found.centre, found.other_centre)]
    n, m = len(centres[0]), len(centres[1])
    row: dict[str, object] = {"count_result": n, "count_truth": m, "count_bias": _bias(n, m)}
    if isinstance(maps, str):
        densities = [float("nan")] * 2
    else:
        densities = [
            _density(labels, maps, c, grid)
            for labels, c in ((maps.result, found.centre), (maps.truth, found.other_centre))
        ]
    row |= {"density_result_per_mm2": densities[0], "density_truth_per_mm2": densities[1]}
    row["density_bias"] = _bias(*densities)
    row |= {f"f1_iou_{round(100 * t)}": value for t, value in f1_at_iou(found).items()}
    row[f"detection_f1_{DETECTION_UM:g}um"] = detection_f1(centres[0], centres[1])
    reasons = [] if n or m else ["no cell on either side"]
    reasons += [f"density: {maps}"] if isinstance(maps, str) else []
    reasons += ["biases are relative to a truth of 0"] if n and not m else []
    return row | {"reason": "; ".join(reasons)}


def _bias(result: float, truth: float) -> float:
    return result / truth - 1 if truth > 0 else float("nan")


def _density(labels: npt.NDArray[np.uint8], maps: Maps, centres: npt.NDArray[np.float64], cells: Aligned) -> float:
    parenchyma = np.isin(labels, PARENCHYMA) & ~maps.left_out
    area = np.count_nonzero(parenchyma) * maps.grid.pixel_um**2 * 1e-6
    return float(np.count_nonzero(_at(parenchyma, maps.grid, centres, cells))) / area if area else float("nan")


def _at(mask: Mask, grid: Aligned, centres: npt.NDArray[np.float64], cells: Aligned) -> npt.NDArray[np.bool_]:
    um = cells.first_um + centres * cells.pixel_um
    at = np.rint((um - grid.first_um) / grid.pixel_um).astype(np.int64)
    at = np.clip(at, 0, np.array(mask.shape) - 1)
    inside: npt.NDArray[np.bool_] = mask[at[:, 0], at[:, 1]]
    return inside

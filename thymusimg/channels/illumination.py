"""How even the light is: what still repeats from tile to tile, and how even the background lies."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from thymusimg.channels.check import Check, Status, grade, percent, unmeasured
from thymusimg.channels.fold import BINS
from thymusimg.channels.vignetting import clipped_signal, tile_pattern

if TYPE_CHECKING:
    import numpy.typing as npt

    from thymusimg.channels.check import Evidence

_BLOCKS = 8
_BLOCK_PIXELS = 200


def check_tiles(evidence: Evidence, role: str) -> list[Check]:
    """Measure what is left of the tiles' vignetting, and the step at their seams, after correction."""
    periods = evidence.correction.periods
    axes = [axis for axis, period in enumerate(periods) if period is not None]
    plane = clipped_signal(evidence.planes[role], 0.0, evidence.inside) if axes else None
    if plane is None:
        why = "too little stained tissue" if axes else "no pattern repeats from tile to tile"
        return [
            unmeasured(role, "illumination", "CV", why),
            unmeasured(role, "seams", "share of brightness", why),
        ]
    found = [tile_pattern(plane, evidence.inside, axis, periods) for axis in axes]
    # What was flattened was learnt from these tiles: the doubt of the pattern stays in the residual.
    spread = math.sqrt(sum(float(np.mean(f.pattern**2)) + f.doubt**2 for f in found))
    step = max(seam_step(f.pattern) for f in found)
    where = " and ".join(("rows", "columns")[axis] for axis in axes)
    done = f"{where}, {'after flattening' if role in evidence.correction.gains else 'not flattened'}"
    settings = evidence.settings
    return [
        Check(
            role,
            "illumination",
            spread,
            "CV",
            grade(spread, settings.illumination_pass, settings.illumination_fail),
            f"brightness varies by {percent(spread)} across the camera's tiles ({done})",
        ),
        Check(
            role,
            "seams",
            step,
            "share of brightness",
            grade(step, settings.seam_pass, settings.seam_fail),
            f"brightness steps by {percent(step)} where tiles meet ({done})",
        ),
    ]


def seam_step(pattern: npt.NDArray[np.float64]) -> float:
    """Return the largest rise or fall of a tile's pattern within a sixteenth of the tile.

    Smooth vignetting bends slowly and leaves little; a seam between unequal edges is abrupt.
    """
    reach = BINS // 16
    return float(np.max(np.abs(np.roll(pattern, -reach) - pattern)))


def check_background(evidence: Evidence, role: str) -> Check:
    """Measure how even the background lies around the tissue, in units of the tissue's own brightness.

    Only pixels off the tissue are used: a smooth surface through the tissue would take a medulla for a shadow.
    """
    unit, check = "share of tissue brightness", "background"
    signal = evidence.signal[role]
    off = evidence.survey.valid & ~evidence.tissue
    tissue = float(np.median(signal)) if signal.size else 0.0
    if tissue <= 0:
        return unmeasured(role, check, unit, "the tissue is no brighter than the background")
    plane = evidence.survey.planes[role]
    levels = []
    for rows in np.array_split(np.arange(plane.shape[0]), _BLOCKS):
        for columns in np.array_split(np.arange(plane.shape[1]), _BLOCKS):
            if not (rows.size and columns.size):
                continue
            block = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            values = plane[block][off[block]]
            if values.size >= _BLOCK_PIXELS:
                levels.append(float(np.percentile(values[:: max(1, values.size // 5000)], 25)))
    if len(levels) < 4:
        return unmeasured(role, check, unit, "there is too little background around the tissue")
    # A robust spread: blocks that hold a shred of tissue are no illumination.
    quarter, three = np.percentile(levels, (25, 75))
    spread = float(three - quarter) / 1.349 / tissue
    # A warning at most: shreds of tissue and fat beside the section look the same.
    status: Status = "pass" if spread <= evidence.settings.illumination_pass else "warn"
    reason = f"the background varies by {percent(spread)} of the tissue's brightness over the slide"
    if status != "pass":
        reason += ": stray light, uneven washing, or shreds of tissue beside the section"
    return Check(role, check, spread, unit, status, reason)

"""How sure an outline is a human CD45+ cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thymusimg.cells.contours import EVIDENCE

if TYPE_CHECKING:
    import numpy.typing as npt

    from thymusimg.cells.contours import Outlines
    from thymusimg.section.model import FloatPlane

BIAS = -0.3
WEIGHTS = {"faint": -28.3, "log_votes": 0.80, "small": -12.1, "large": -3.1, "contrast": 5.5}
"""Weights of the evidence in the logit of the score.

A logistic regression on 22 synthetic sections (sparse to packed, clean to bad optics, 0.25-1.0 µm/px; outlines that
meet a true cell at IoU ≥ 0.5 against all others), in which false outlines on empty and sparse sections count twenty
times: a false cell weighs most where there are no cells.
"""

ALIKE, ALIKE_SHARE = 0.3, 0.6
"""An outline is autofluorescent where every other stain has this part of CD45's contrast, and is brighter inside in
this share of the directions.

On synthetic sections this takes 95-97 % of macrophages and lipofuscin, and 1-4 % of the cells.
"""
LEAST_COVERAGE = 0.7
"""Least share of the directions in which the signal drops; between cells, outlines lean on the neighbours' rims."""
RIM_PART = 0.5
"""The rim is measured at the half height of a membrane's blurred edge: its middle is about twice as high."""


def score_outlines(outlines: Outlines, excess: float) -> FloatPlane:
    """Weigh the evidence of every outline to a score in [0, 1].

    The evidence: the drop of the signal across the outline, and that drop as a part of the rim's height over its
    surroundings; the votes of the edges; and whether the outline is too small or too large for a thymocyte.

    Parameters
    ----------
    outlines : Outlines
    excess : float
        How far a human membrane must rise above its surroundings, in units of the floor of the evened-out scale; an
        outline that does not scores 0.

    Returns
    -------
    (N,) float32
    """
    seen = dict(zip(EVIDENCE, outlines.evidence.T.astype(np.float64), strict=True))
    drop, around, rim, radius = seen["drop"], seen["around"], seen["rim"], seen["radius"]
    terms = {
        "faint": _above(0.3 - drop),
        "log_votes": np.log(np.maximum(seen["votes"], 0.01)),
        "small": _above(2.1 - radius),
        "large": _above(radius - 3.7),
        "contrast": drop / np.maximum(rim - around, 0.05),
    }
    logit = BIAS + sum(WEIGHTS[name] * term for name, term in terms.items())
    score = 1 / (1 + np.exp(-np.clip(logit, -50, 50)))
    # the scale is the root of 1 + I/floor, so the difference of squares is one of intensities
    score[seen["coverage"] < LEAST_COVERAGE] = 0
    score[rim**2 - around**2 < RIM_PART * excess] = 0
    result: FloatPlane = score.astype(np.float32)
    return result


def is_autofluorescent(ratio: npt.NDArray[np.float64], share: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Tell which outlines look in the other stains as they do in CD45 (see ``autofluorescence.likeness``)."""
    return (ratio > ALIKE) & (share > ALIKE_SHARE)


def _above(value: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.maximum(value, 0.0)
